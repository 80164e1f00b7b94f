#include "tests/report_support.h"
#include "tensor/storage/json_writer.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

const char *const REPORT_SUPPORT_EVIL = "</title><script>alert(\"1\" && '2')</script>";

enum { EPOCHS = 30, LABELS = 4, WORDS = 6 };

static void write_file(const char *folder, const char *name, ReelJsonWriter *json)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(reel_json_finish(json), file);
    fclose(file);
    reel_json_free(json);
}

static void write_seed(ReelJsonWriter *json, int model, int seed, double gap)
{
    double top = 0.4 + gap * model + 0.01 * (seed % 3);
    reel_json_number(json, "best_f1", top);
    reel_json_integer(json, "best_epoch", EPOCHS - 5);
    reel_json_number(json, "last_f1", top - 0.05);
    reel_json_number(json, "last_micro_f1", top + 0.1);
    if (model == 1) { /* the only one with a validation part */
        reel_json_integer(json, "selected_epoch", 20);
        reel_json_number(json, "tuned_f1", top);
    }
    reel_json_number(json, "seconds", 12.5);
    reel_json_number(json, "peak_rss_mb", 123);
    reel_json_bool(json, "interrupted", false);
    reel_json_begin_array(json, "epochs");
    for (int e = 1; e <= EPOCHS; e++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "epoch", e);
        reel_json_number(json, "train_loss", 0.1 + exp(-0.1 * e));
        reel_json_number(json, "test_f1",
                         e <= EPOCHS - 5 ? top * e / (EPOCHS - 5) : top - 0.01 * (e - EPOCHS + 5));
        reel_json_number(json, "test_micro_f1", 0.5);
        reel_json_number(json, "seconds", 0.4 + 0.1 * model);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
}

static const char *const models[] = {"lstm", "attention", "<b>&amp;"};

static void write_results(const char *folder, int seeds, double gap)
{
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "data", "data/\"<evil>\" & co.tsv");
    reel_json_string(&json, "data_hash", "0123abcd");
    reel_json_integer(&json, "rows", 120);
    reel_json_integer(&json, "train", 96);
    reel_json_integer(&json, "test", 24);
    reel_json_integer(&json, "labels", LABELS);
    reel_json_integer(&json, "seed", 7);
    reel_json_begin_array(&json, "models");
    for (int m = 0; m < 3; m++) {
        reel_json_begin_object(&json, NULL);
        reel_json_string(&json, "name", models[m]);
        reel_json_integer(&json, "params", 1000000 * (m + 1));
        reel_json_integer(&json, "params_without_embedding", 300000);
        write_seed(&json, m, 0, gap);
        if (seeds > 0) {
            reel_json_begin_array(&json, "seeds");
            for (int s = 0; s < seeds; s++) {
                reel_json_begin_object(&json, NULL);
                reel_json_integer(&json, "seed", 7 + s);
                write_seed(&json, m, s, gap);
                reel_json_end_object(&json);
            }
            reel_json_end_array(&json);
        }
        reel_json_end_object(&json);
    }
    reel_json_end_array(&json);
    reel_json_end_object(&json);
    write_file(folder, "results.json", &json);
}

static void write_integers(ReelJsonWriter *json, const char *key, int count, const int *values)
{
    reel_json_begin_array(json, key);
    for (int i = 0; i < count; i++)
        reel_json_integer(json, NULL, values[i]);
    reel_json_end_array(json);
}

static void write_data(ReelJsonWriter *json)
{
    static const char *const labels[LABELS] = {"", "role::program", "a & b", "<i>"};
    static const char *const words[WORDS] = {"<bos>", "text", "editor", "with", "&colour", "<eos>"};
    reel_json_begin_array(json, "classes");
    for (int k = 0; k < LABELS; k++) {
        reel_json_begin_object(json, NULL);
        reel_json_string(json, "name", k == 0 ? REPORT_SUPPORT_EVIL : labels[k]);
        reel_json_integer(json, "train", 40 - 9 * k);
        reel_json_integer(json, "test", 10 - 2 * k);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    reel_json_begin_array(json, "bins");
    for (int b = 0; b < 8; b++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "from", 8 * b);
        reel_json_integer(json, "to", 8 * b + 7);
        reel_json_integer(json, "train", 12);
        reel_json_integer(json, "test", 3);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    reel_json_begin_array(json, "texts");
    for (int i = 0; i < 2; i++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "row", 10 * i);
        reel_json_begin_array(json, "words");
        for (int w = 0; w < WORDS; w++)
            reel_json_string(json, NULL, words[w]);
        reel_json_end_array(json);
        write_integers(json, "labels", 2, (int[]){0, 1});
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
}

static void write_details(ReelJsonWriter *json, int m)
{
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", models[m]);
    reel_json_bool(json, "has_attention", m == 1);
    reel_json_begin_array(json, "scores");
    for (int k = 0; k < LABELS; k++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "hits", k == 3 ? 0 : 3 + m - k);
        reel_json_integer(json, "predicted", k == 3 ? 0 : 6);
        reel_json_integer(json, "support", 10 - 2 * k);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    reel_json_begin_array(json, "misses");
    for (int k = 0; k < 3; k++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "missed", k);
        reel_json_integer(json, "instead", k - 1);
        reel_json_integer(json, "texts", 9 - k);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    reel_json_begin_array(json, "readings");
    for (int i = 0; i < 2; i++) {
        reel_json_begin_object(json, NULL);
        write_integers(json, "predicted", 2, (int[]){1, 2});
        reel_json_begin_array(json, "weights");
        for (int w = 0; m == 1 && w < WORDS; w++)
            reel_json_number(json, NULL, w == 2 ? 0.5 : 0.1);
        reel_json_end_array(json);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    reel_json_end_object(json);
}

void report_support_run(const char *folder, int seeds, double gap, int details)
{
    write_results(folder, seeds, gap);
    if (!details)
        return;
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "data_hash", "0123abcd");
    reel_json_integer(&json, "train_ids", 2400);
    write_data(&json);
    reel_json_begin_array(&json, "details");
    for (int m = 0; m < 3; m++)
        write_details(&json, m);
    reel_json_end_array(&json);
    reel_json_end_object(&json);
    write_file(folder, "report.json", &json);
}

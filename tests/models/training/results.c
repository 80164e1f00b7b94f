/* results.json: every number of runs that were made up stands where it belongs. */
#include "models/training/results.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static ModelDataset *dataset;
static char *text; /* of the file */

static void setup(void)
{
    ModelDatasetOptions options = model_dataset_defaults();
    folder = shell_folder();
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
}

static void teardown(void)
{
    free(text);
    text = NULL;
    model_dataset_free(dataset);
    shell_remove_folder(folder);
}

static void read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text = calloc(1, 1 << 16);
    ck_assert_uint_gt(fread(text, 1, (1 << 16) - 1, file), 0);
    fclose(file);
}

/* The number behind the key, searched for from the last of `place` on. */
static double number(const char *const *place, const char *key)
{
    char quoted[80];
    const char *at = text;
    for (; *place; place++) {
        at = strstr(at, *place);
        ck_assert_msg(at != NULL, "there is no %s in %s", *place, text);
    }
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    at = strstr(at, quoted);
    ck_assert_msg(at != NULL, "there is no %s", key);
    return strtod(at + strlen(quoted), NULL);
}

#define expect_number(wanted, key, ...)                                                                      \
    ck_assert_double_eq_tol(number((const char *const[]){__VA_ARGS__, NULL}, key), wanted, 1e-9)

/* Two epochs; all numbers differ by run. */
static ModelRunResult made_up(const char *name, uint64_t seed, double x, ModelRunEpoch epochs[2])
{
    epochs[0] =
        (ModelRunEpoch){.epoch = 1, .train_loss = 0.5 + x, .test_f1 = 0.4 + x, .test_micro_f1 = 0.45 + x};
    epochs[1] =
        (ModelRunEpoch){.epoch = 2, .train_loss = 0.3 + x, .test_f1 = 0.2 + x, .test_micro_f1 = 0.25 + x};
    return (ModelRunResult){.name = name,
                            .seed = seed,
                            .params = 1000,
                            .params_without_embedding = 100,
                            .count = 2,
                            .epochs = epochs,
                            .best_f1 = 0.4 + x,
                            .best_epoch = 1,
                            .last_f1 = 0.2 + x,
                            .last_micro_f1 = 0.25 + x,
                            .seconds = 7 + x,
                            .selected = {.epoch = 2,
                                         .tuned = {.valid_f1 = 0.6 + x,
                                                   .threshold = 0.7,
                                                   .macro_f1 = 0.1 + x,
                                                   .micro_f1 = 0.15 + x,
                                                   .interval = {.low = 0.05 + x, .high = 0.12 + x}}}};
}

START_TEST(numbers_stand_where_they_belong)
{
    ModelRunEpoch epochs[4][2];
    char path[256];
    ModelRunResult runs[4] = {made_up("rnn", 3, 0.001, epochs[0]), made_up("rnn", 4, 0.003, epochs[1]),
                              made_up("lstm", 3, 0.01, epochs[2]), made_up("lstm", 4, 0.05, epochs[3])};
    TensorArena arena = {0};
    ModelResults results = {
        .data = "x.tsv",
        .seed = 3,
        .threads = 5,
        .shards = 6,
        .batch = 7,
        .lr = 0.25,
        .ensemble = {.members = 4, .tuned = {.threshold = -1, .valid_f1 = 0.81, .macro_f1 = 0.82}}};
    model_results_set_dataset(&results, dataset);
    ck_assert_ok(model_results_set_runs(&results, runs, 4, &arena));
    ck_assert_int_eq(results.num_models, 2);
    ck_assert_int_eq(results.models[0].num_seeds, 2);
    snprintf(path, sizeof path, "%s/results.json", folder);
    ck_assert_ok(model_results_write(&results, path));
    read_text(path);
    expect_number(120, "rows", "{");
    expect_number((double)dataset->train.count, "train", "{");
    expect_number((double)dataset->test.count, "test", "{");
    expect_number(5, "threads", "{");
    expect_number(6, "shards", "{");
    expect_number(7, "batch", "{");
    expect_number(0.25, "lr", "{");
    for (int m = 0; m < 2; m++) {
        const char *model = m ? "\"name\": \"lstm\"" : "\"name\": \"rnn\"";
        double x = m ? 0.03 : 0.002, sd = sqrt(2) * (m ? 0.02 : 0.001);
        expect_number(runs[2 * m].best_f1, "best_f1", model);
        expect_number(1, "best_epoch", model);
        expect_number(epochs[2 * m][1].test_f1, "last_f1", model);
        expect_number(epochs[2 * m][1].test_micro_f1, "last_micro_f1", model);
        expect_number(0.7, "threshold", model);
        expect_number(0.4 + x, "best_f1_mean", model);
        expect_number(sd, "best_f1_sd", model);
        expect_number(0.2 + x, "last_f1_mean", model);
        expect_number(sd, "last_f1_sd", model);
        expect_number(0.1 + x, "tuned_f1_mean", model);
        expect_number(sd, "tuned_f1_sd", model);
        for (int s = 0; s < 2; s++) {
            const ModelRunResult *run = &runs[2 * m + s];
            const char *seed = s ? "\"seed\": 4" : "\"seed\": 3";
            expect_number(run->best_f1, "best_f1", model, "\"seeds\"", seed);
            expect_number(run->selected.tuned.valid_f1, "valid_f1", model, "\"seeds\"", seed);
            expect_number(run->selected.tuned.macro_f1, "tuned_f1", model, "\"seeds\"", seed);
            expect_number(run->selected.tuned.micro_f1, "tuned_micro_f1", model, "\"seeds\"", seed);
            expect_number(run->selected.tuned.interval.low, "tuned_f1_low", model, "\"seeds\"", seed);
            expect_number(run->selected.tuned.interval.high, "tuned_f1_high", model, "\"seeds\"", seed);
            expect_number(run->seconds, "seconds", model, "\"seeds\"", seed);
            expect_number(run->epochs[1].train_loss, "train_loss", model, "\"seeds\"", seed, "\"epoch\": 2");
            expect_number(run->epochs[1].test_f1, "test_f1", model, "\"seeds\"", seed, "\"epoch\": 2");
        }
    }
    expect_number(4, "members", "\"ensemble\"");
    expect_number(-1, "threshold", "\"ensemble\"");
    expect_number(0.81, "valid_f1", "\"ensemble\"");
    expect_number(0.82, "tuned_f1", "\"ensemble\"");
    tensor_arena_free(&arena);
}
END_TEST

/* What is read again is the same, and a file of version 0.1.0, in which thresholds are probabilities, is
 * converted. */
START_TEST(the_file_is_read_again)
{
    ModelRunEpoch epochs[2][2];
    ModelRunResult runs[2] = {made_up("rnn", 3, 0.001, epochs[0]), made_up("rnn", 4, 0.003, epochs[1])};
    ModelResults results = {.data = "x.tsv", .notebook = true}, back;
    TensorArena arena = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/results.json", folder);
    model_results_set_dataset(&results, dataset);
    ck_assert_ok(model_results_set_runs(&results, runs, 2, &arena));
    ck_assert_ok(model_results_write(&results, path));
    for (int old = 0; old < 2; old++) {
        if (old)
            shell_must("sed -i '/\"format\"/d; s/\"threshold\": 0.7/\"threshold\": 0.25/' %s", path);
        ck_assert_ok(model_results_read(&back, path, &arena));
        ck_assert_str_eq(back.data_hash, dataset->text.data_hash);
        ck_assert(back.notebook && back.num_models == 1 && back.models[0].num_seeds == 2);
        const ModelRunResult *seed = &back.models[0].seeds[1];
        ck_assert(seed->seed == 4 && seed->count == 2 && seed->epochs[1].train_loss == 0.3 + 0.003);
        ck_assert_double_eq(seed->selected.tuned.interval.high, 0.12 + 0.003);
        ck_assert_double_eq_tol(seed->selected.tuned.threshold, old ? -log(3) : 0.7, 1e-12);
        ck_assert_double_eq(back.models[0].best.mean, results.models[0].best.mean);
        ck_assert_double_eq(back.models[0].tuned.sd, results.models[0].tuned.sd);
        ck_assert_double_eq(back.models[0].first.best_f1, runs[0].best_f1);
    }
    tensor_arena_free(&arena);
}
END_TEST

Suite *models_results_suite(void);
Suite *models_results_suite(void)
{
    Suite *suite = suite_create("models/results");
    TCase *c = tcase_create("results");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, numbers_stand_where_they_belong);
    tcase_add_test(c, the_file_is_read_again);
    suite_add_tcase(suite, c);
    return suite;
}

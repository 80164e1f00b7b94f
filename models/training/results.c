#include "models/training/results.h"
#include "tensor/storage/json_writer.h"
#include "models/training/spread.h"
#include "models/training/threshold.h"
#include "tensor/storage/atomic_file.h"

#include <string.h>

/* What one run came to; inside the model for its first seed, and in "seeds" for each. */
static void write_run(ReelJsonWriter *json, const RunResult *run)
{
    const RunEpoch *last = run->count ? &run->epochs[run->count - 1] : NULL;
    reel_json_number(json, "best_f1", run->best_f1);
    reel_json_integer(json, "best_epoch", run->best_epoch);
    reel_json_number(json, "last_f1", last ? last->test_f1 : 0);
    reel_json_number(json, "last_micro_f1", last ? last->test_micro_f1 : 0);
    if (run->selected.epoch) {
        reel_json_integer(json, "selected_epoch", run->selected.epoch);
        reel_json_number(json, "valid_f1", run->selected.valid_f1);
        reel_json_number(json, "threshold", threshold_probability(run->selected.threshold));
        reel_json_number(json, "tuned_f1", run->selected.tuned_f1);
        reel_json_number(json, "tuned_micro_f1", run->selected.tuned_micro_f1);
        reel_json_number(json, "tuned_f1_low", run->selected.tuned_interval.low);
        reel_json_number(json, "tuned_f1_high", run->selected.tuned_interval.high);
    }
    reel_json_number(json, "seconds", run->seconds);
    reel_json_number(json, "peak_rss_mb", run->peak_rss_mb);
    reel_json_bool(json, "interrupted", run->interrupted);
    reel_json_number(json, "rate", run->rate);
    reel_json_begin_array(json, "epochs");
    for (int i = 0; i < run->count; i++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "epoch", run->epochs[i].epoch);
        reel_json_number(json, "train_loss", run->epochs[i].train_loss);
        reel_json_number(json, "test_f1", run->epochs[i].test_f1);
        reel_json_number(json, "test_micro_f1", run->epochs[i].test_micro_f1);
        reel_json_number(json, "seconds", run->epochs[i].seconds);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
}

int results_seeds(const RunResult *runs, int count)
{
    int seeds = 1;
    while (seeds < count && strcmp(runs[seeds].name, runs[0].name) == 0 &&
           runs[seeds].seed > runs[seeds - 1].seed)
        seeds++;
    return seeds;
}

/* Mean and spread of the homework's F1 and of the last epoch's. */
static void write_spread(ReelJsonWriter *json, const RunResult *runs, int seeds)
{
    double best[RESULTS_MAX_SEEDS], last[RESULTS_MAX_SEEDS], tuned[RESULTS_MAX_SEEDS];
    int n = 0, chosen = 0;
    for (int i = 0; i < seeds && i < RESULTS_MAX_SEEDS; i++)
        if (runs[i].count > 0) {
            if (runs[i].selected.epoch)
                tuned[chosen++] = runs[i].selected.tuned_f1;
            best[n] = runs[i].best_f1;
            last[n++] = runs[i].epochs[runs[i].count - 1].test_f1;
        }
    Spread of_best = spread_of(best, n), of_last = spread_of(last, n);
    reel_json_number(json, "best_f1_mean", of_best.mean);
    reel_json_number(json, "best_f1_sd", of_best.sd);
    reel_json_number(json, "last_f1_mean", of_last.mean);
    reel_json_number(json, "last_f1_sd", of_last.sd);
    if (chosen > 0) {
        reel_json_number(json, "tuned_f1_mean", spread_of(tuned, chosen).mean);
        reel_json_number(json, "tuned_f1_sd", spread_of(tuned, chosen).sd);
    }
}

/* One model with all its seeds. */
static void write_model(ReelJsonWriter *json, const RunResult *runs, int seeds)
{
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", runs->name);
    reel_json_integer(json, "params", runs->params);
    reel_json_integer(json, "params_without_embedding", runs->params_without_embedding);
    write_run(json, runs);
    write_spread(json, runs, seeds);
    reel_json_begin_array(json, "seeds");
    for (int i = 0; i < seeds; i++) {
        reel_json_begin_object(json, NULL);
        reel_json_integer(json, "seed", (int64_t)runs[i].seed);
        write_run(json, &runs[i]);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
    reel_json_end_object(json);
}

static void write_ensemble(ReelJsonWriter *json, const Ensemble *ensemble)
{
    reel_json_begin_object(json, "ensemble");
    reel_json_integer(json, "members", ensemble->members);
    reel_json_number(json, "valid_f1", ensemble->valid_f1);
    reel_json_number(json, "threshold", threshold_probability(ensemble->threshold));
    reel_json_number(json, "tuned_f1", ensemble->tuned_f1);
    reel_json_number(json, "tuned_micro_f1", ensemble->tuned_micro_f1);
    reel_json_number(json, "tuned_f1_low", ensemble->interval.low);
    reel_json_number(json, "tuned_f1_high", ensemble->interval.high);
    reel_json_end_object(json);
}

ReelStatus results_write(const Results *results, const char *path)
{
    ReelJsonWriter json = {0};
    const Dataset *dataset = results->dataset;
    reel_json_begin_object(&json, NULL);
    reel_json_string(&json, "data", results->data);
    reel_json_string(&json, "data_hash", dataset->text.data_hash);
    reel_json_integer(&json, "rows", dataset_rows(dataset));
    reel_json_integer(&json, "train", dataset->train.count);
    reel_json_integer(&json, "valid", dataset->valid.count);
    reel_json_integer(&json, "test", dataset->test.count);
    reel_json_integer(&json, "labels", dataset_num_classes(dataset));
    reel_json_integer(&json, "vocab", dataset->text.tokenizer.vocab_size);
    reel_json_integer(&json, "max_len", dataset->text.max_len);
    reel_json_integer(&json, "seed", (int64_t)results->seed);
    reel_json_integer(&json, "threads", results->threads);
    reel_json_integer(&json, "shards", results->shards);
    reel_json_integer(&json, "batch", results->batch);
    reel_json_number(&json, "lr", results->lr);
    reel_json_bool(&json, "notebook", results->notebook);
    reel_json_string(&json, "best_f1_is",
                     "the maximum over epochs of macro F1 on the test part, as in the homework");
    reel_json_begin_array(&json, "models");
    for (int i = 0, seeds; i < results->count; i += seeds) {
        seeds = results_seeds(results->models + i, results->count - i);
        write_model(&json, &results->models[i], seeds);
    }
    reel_json_end_array(&json);
    if (results->ensemble)
        write_ensemble(&json, results->ensemble);
    reel_json_end_object(&json);
    const char *text = reel_json_finish(&json);
    ReelStatus status =
        text ? reel_atomic_file_put(path, text, json.size) : reel_status_no_memory(json.size, path);
    reel_json_free(&json);
    return status;
}

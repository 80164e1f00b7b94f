#include "models/training/results.h"
#include "models/training/threshold.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <math.h>
#include <string.h>

/* 2: thresholds are logits. Files without a number have probabilities. */
enum { FORMAT = 2 };

/* ---- The table ---- */

/* clang-format off */
REEL_JSON_TABLE(epoch_quality_shape, RunEpoch,
    REEL_JSON_NAMED(RunEpoch, "epoch",         epoch,         INT),
    REEL_JSON_NAMED(RunEpoch, "train_loss",    train_loss,    NUMBER),
    REEL_JSON_NAMED(RunEpoch, "test_f1",       test_f1,       NUMBER),
    REEL_JSON_NAMED(RunEpoch, "test_micro_f1", test_micro_f1, NUMBER));

REEL_JSON_TABLE(epoch_shape, RunEpoch,
    {NULL, REEL_JSON_FIELD_PART, 0, REEL_JSON_ALWAYS, &epoch_quality_shape},
    REEL_JSON_NAMED(RunEpoch, "seconds", seconds, NUMBER));

REEL_JSON_TABLE(tuned_shape, ModelTuned,
    REEL_JSON_NAMED(ModelTuned, "valid_f1",       valid_f1,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "threshold",      threshold,     NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_f1",       macro_f1,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_micro_f1", micro_f1,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_f1_low",   interval.low,  NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_f1_high",  interval.high, NUMBER));

REEL_JSON_TABLE(selection_shape, Selection,
    REEL_JSON_NAMED(Selection, "selected_epoch", epoch, INT),
    REEL_JSON_PART(Selection,  NULL,             tuned, REEL_JSON_ALWAYS, &tuned_shape));

static const ReelJsonField run_fields[] = {
    REEL_JSON_NAMED(RunResult, "best_f1",       best_f1,       NUMBER),
    REEL_JSON_NAMED(RunResult, "best_epoch",    best_epoch,    INT),
    REEL_JSON_NAMED(RunResult, "last_f1",       last_f1,       NUMBER),
    REEL_JSON_NAMED(RunResult, "last_micro_f1", last_micro_f1, NUMBER),
    REEL_JSON_PART(RunResult,  NULL,            selected,      offsetof(RunResult, selected.epoch), &selection_shape),
    REEL_JSON_NAMED(RunResult, "seconds",       seconds,       NUMBER),
    REEL_JSON_NAMED(RunResult, "peak_rss_mb",   peak_rss_mb,   NUMBER),
    REEL_JSON_NAMED(RunResult, "interrupted",   interrupted,   BOOL),
    REEL_JSON_NAMED(RunResult, "rate",          rate,          NUMBER),
    REEL_JSON_LIST(RunResult, epochs, count, &epoch_shape)};
const ReelJsonShape MODEL_RUN_SHAPE = REEL_JSON_SHAPE(RunResult, run_fields);

REEL_JSON_TABLE(seed_shape, RunResult,
    REEL_JSON_NAMED(RunResult, "seed", seed, INTEGER),
    {NULL, REEL_JSON_FIELD_PART, 0, REEL_JSON_ALWAYS, &MODEL_RUN_SHAPE});

REEL_JSON_TABLE(tuned_spread_shape, Spread,
    REEL_JSON_NAMED(Spread, "tuned_f1_mean", mean, NUMBER),
    REEL_JSON_NAMED(Spread, "tuned_f1_sd",   sd,   NUMBER));

REEL_JSON_TABLE(model_shape, ModelResult,
    REEL_JSON_NAMED(ModelResult, "name",                     name,                     TEXT),
    REEL_JSON_NAMED(ModelResult, "params",                   params,                   INTEGER),
    REEL_JSON_NAMED(ModelResult, "params_without_embedding", params_without_embedding, INTEGER),
    REEL_JSON_PART(ModelResult,  NULL,                       first,                    REEL_JSON_ALWAYS, &MODEL_RUN_SHAPE),
    REEL_JSON_NAMED(ModelResult, "best_f1_mean",             best.mean,                NUMBER),
    REEL_JSON_NAMED(ModelResult, "best_f1_sd",               best.sd,                  NUMBER),
    REEL_JSON_NAMED(ModelResult, "last_f1_mean",             last.mean,                NUMBER),
    REEL_JSON_NAMED(ModelResult, "last_f1_sd",               last.sd,                  NUMBER),
    REEL_JSON_PART(ModelResult,  NULL,                       tuned,                    offsetof(ModelResult, tuned.n), &tuned_spread_shape),
    REEL_JSON_LIST(ModelResult, seeds, num_seeds, &seed_shape));

REEL_JSON_TABLE(ensemble_shape, Ensemble,
    REEL_JSON_NAMED(Ensemble, "members", members, INT),
    REEL_JSON_PART(Ensemble,  NULL,      tuned,   REEL_JSON_ALWAYS, &tuned_shape));

REEL_JSON_TABLE(results_shape, Results,
    REEL_JSON_NAMED(Results, "format",     format,     INT),
    REEL_JSON_NAMED(Results, "data",       data,       TEXT),
    REEL_JSON_NAMED(Results, "data_hash",  data_hash,  TEXT),
    REEL_JSON_NAMED(Results, "rows",       rows,       INTEGER),
    REEL_JSON_NAMED(Results, "train",      train,      INTEGER),
    REEL_JSON_NAMED(Results, "valid",      valid,      INTEGER),
    REEL_JSON_NAMED(Results, "test",       test,       INTEGER),
    REEL_JSON_NAMED(Results, "labels",     labels,     INTEGER),
    REEL_JSON_NAMED(Results, "vocab",      vocab,      INTEGER),
    REEL_JSON_NAMED(Results, "max_len",    max_len,    INTEGER),
    REEL_JSON_NAMED(Results, "seed",       seed,       INTEGER),
    REEL_JSON_NAMED(Results, "threads",    threads,    INTEGER),
    REEL_JSON_NAMED(Results, "shards",     shards,     INTEGER),
    REEL_JSON_NAMED(Results, "batch",      batch,      INTEGER),
    REEL_JSON_NAMED(Results, "lr",         lr,         NUMBER),
    REEL_JSON_NAMED(Results, "notebook",   notebook,   BOOL),
    REEL_JSON_NAMED(Results, "best_f1_is", best_f1_is, TEXT),
    REEL_JSON_LIST(Results, models, num_models, &model_shape),
    REEL_JSON_PART(Results,  "ensemble",   ensemble,   offsetof(Results, ensemble.members), &ensemble_shape));
/* clang-format on */

/* ---- In a file of weights ---- */

void results_snapshot_quality(NnSnapshot *snapshot, const RunEpoch *epoch, const RunResult *result,
                              int64_t texts)
{
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "texts", texts);
    reel_json_write_fields(&json, "epoch", &epoch_quality_shape, epoch);
    if (result->selected.epoch)
        reel_json_write_fields(&json, "validation", &selection_shape, &result->selected);
    reel_json_end_object(&json);
    nn_snapshot_json(snapshot, RESULTS_QUALITY, &json);
}

/* ---- From runs ---- */

void results_set_dataset(Results *results, const Dataset *dataset)
{
    results->data_hash = dataset->text.data_hash;
    results->rows = dataset_rows(dataset);
    results->train = dataset->train.count;
    results->valid = dataset->valid.count;
    results->test = dataset->test.count;
    results->labels = dataset_num_classes(dataset);
    results->vocab = dataset->text.tokenizer.vocab_size;
    results->max_len = dataset->text.max_len;
}

/* How many of the runs, from the first on, are seeds of one model: the same name, and rising seeds. */
static int seeds_of_one(const RunResult *runs, int count)
{
    int seeds = 1;
    while (seeds < count && strcmp(runs[seeds].name, runs[0].name) == 0 &&
           runs[seeds].seed > runs[seeds - 1].seed)
        seeds++;
    return seeds;
}

/* Mean and spread of a figure over the seeds that finished an epoch and, where asked for, chose one. */
static Spread over_seeds(const ModelResult *model, size_t offset, bool chosen)
{
    double values[RESULTS_MAX_SEEDS];
    int n = 0;
    for (int s = 0; s < model->num_seeds && n < RESULTS_MAX_SEEDS; s++) {
        const RunResult *seed = &model->seeds[s];
        double value = *(const double *)((const char *)seed + offset);
        if (seed->count > 0 && (!chosen || seed->selected.epoch > 0) && isfinite(value))
            values[n++] = value;
    }
    return spread_of(values, n);
}

/* What follows from the seeds. */
static void sum_up(ModelResult *model)
{
    model->first = model->seeds[0];
    model->best = over_seeds(model, offsetof(RunResult, best_f1), false);
    model->last = over_seeds(model, offsetof(RunResult, last_f1), false);
    model->micro = over_seeds(model, offsetof(RunResult, last_micro_f1), false);
    model->tuned = over_seeds(model, offsetof(RunResult, selected.tuned.macro_f1), true);
}

ReelStatus results_set_runs(Results *results, RunResult *runs, int count, TensorArena *arena)
{
    results->num_models = 0;
    results->models = tensor_arena_calloc(arena, (size_t)count * sizeof *results->models);
    if (!results->models)
        return reel_status_no_memory((size_t)count * sizeof *results->models, "the results");
    for (int i = 0, seeds; i < count; i += seeds) {
        ModelResult *model = &results->models[results->num_models++];
        seeds = seeds_of_one(runs + i, count - i);
        *model = (ModelResult){.name = runs[i].name,
                               .params = runs[i].params,
                               .params_without_embedding = runs[i].params_without_embedding,
                               .seeds = runs + i,
                               .num_seeds = seeds};
        sum_up(model);
    }
    return reel_status_ok();
}

/* ---- The file ---- */

ReelStatus results_write(const Results *results, const char *path)
{
    ReelJsonWriter json = {0};
    Results all = *results;
    all.format = FORMAT;
    all.best_f1_is = "the maximum over epochs of macro F1 on the test part, as in the homework";
    reel_json_write_fields(&json, NULL, &results_shape, &all);
    return reel_json_save(&json, path);
}

static void to_logit(double *threshold)
{
    *threshold = threshold_log_odds(*threshold);
}

static ReelStatus complete(Results *results, const char *path)
{
    if (results->num_models < 1)
        return reel_status_failed("%s: no models in it; is it the results.json of a training run?", path);
    for (int i = 0; i < results->num_models; i++) {
        ModelResult *model = &results->models[i];
        if (!model->name)
            return reel_status_failed("%s: model %d has no name", path, i + 1);
        if (model->num_seeds < 1) {
            model->first.seed = (uint64_t)results->seed;
            model->seeds = &model->first;
            model->num_seeds = 1;
        }
        for (int s = 0; s < model->num_seeds && results->format < FORMAT; s++)
            to_logit(&model->seeds[s].selected.tuned.threshold);
        sum_up(model);
    }
    if (results->format < FORMAT)
        to_logit(&results->ensemble.tuned.threshold);
    return reel_status_ok();
}

ReelStatus results_read(Results *results, const char *path, TensorArena *arena)
{
    char *text = NULL;
    size_t size = 0;
    *results = (Results){0};
    ReelStatus status = reel_text_file_read(path, &text, &size);
    if (reel_status_is_ok(&status))
        status = reel_json_read_fields(text, size, path, &results_shape, results, arena);
    reel_mem_free(text);
    return reel_status_is_ok(&status) ? complete(results, path) : status;
}

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
REEL_JSON_TABLE(epoch_quality_shape, ModelRunEpoch,
    REEL_JSON_NAMED(ModelRunEpoch, "epoch",         epoch,         INT),
    REEL_JSON_NAMED(ModelRunEpoch, "train_loss",    train_loss,    NUMBER),
    REEL_JSON_NAMED(ModelRunEpoch, "test_f1",       test_f1,       NUMBER),
    REEL_JSON_NAMED(ModelRunEpoch, "test_micro_f1", test_micro_f1, NUMBER),
    REEL_JSON_NAMED(ModelRunEpoch, "test_accuracy", test_accuracy, NUMBER));

REEL_JSON_TABLE(epoch_shape, ModelRunEpoch,
    {NULL, REEL_JSON_FIELD_PART, 0, REEL_JSON_ALWAYS, &epoch_quality_shape},
    REEL_JSON_NAMED(ModelRunEpoch, "seconds", seconds, NUMBER));

REEL_JSON_TABLE(tuned_shape, ModelTuned,
    REEL_JSON_NAMED(ModelTuned, "valid_score",    valid_score,   NUMBER),
    REEL_JSON_NAMED(ModelTuned, "valid_f1",       valid_f1,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "threshold",      threshold,     NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_f1",       macro_f1,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_micro_f1", micro_f1,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_accuracy", accuracy,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "slope",          line.slope,    NUMBER),
    REEL_JSON_NAMED(ModelTuned, "shift",          line.shift,    NUMBER),
    REEL_JSON_NAMED(ModelTuned, "below",          line.below,    NUMBER),
    REEL_JSON_NAMED(ModelTuned, "above",          line.above,    NUMBER),
    REEL_JSON_NAMED(ModelTuned, "bend",           line.bend,     NUMBER),
    REEL_JSON_NAMED(ModelTuned, "calibration_error_before", error_before, NUMBER),
    REEL_JSON_NAMED(ModelTuned, "calibration_error", error,      NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_f1_low",   interval.low,  NUMBER),
    REEL_JSON_NAMED(ModelTuned, "tuned_f1_high",  interval.high, NUMBER));

REEL_JSON_TABLE(selection_shape, ModelSelection,
    REEL_JSON_NAMED(ModelSelection, "selected_epoch", epoch, INT),
    REEL_JSON_PART(ModelSelection,  NULL,             tuned, REEL_JSON_ALWAYS, &tuned_shape));

static const ReelJsonField run_fields[] = {
    REEL_JSON_NAMED(ModelRunResult, "best_f1",       best_f1,       NUMBER),
    REEL_JSON_NAMED(ModelRunResult, "best_epoch",    best_epoch,    INT),
    REEL_JSON_NAMED(ModelRunResult, "last_f1",       last_f1,       NUMBER),
    REEL_JSON_NAMED(ModelRunResult, "last_micro_f1", last_micro_f1, NUMBER),
    REEL_JSON_NAMED(ModelRunResult, "last_accuracy", last_accuracy, NUMBER),
    REEL_JSON_PART(ModelRunResult,  NULL,            selected,      offsetof(ModelRunResult, selected.epoch), &selection_shape),
    REEL_JSON_NAMED(ModelRunResult, "seconds",       seconds,       NUMBER),
    REEL_JSON_NAMED(ModelRunResult, "peak_rss_mb",   peak_rss_mb,   NUMBER),
    REEL_JSON_NAMED(ModelRunResult, "interrupted",   interrupted,   BOOL),
    REEL_JSON_NAMED(ModelRunResult, "rate",          rate,          NUMBER),
    REEL_JSON_LIST(ModelRunResult, epochs, count, &epoch_shape)};
const ReelJsonShape model_run_shape = REEL_JSON_SHAPE(ModelRunResult, run_fields);

REEL_JSON_TABLE(seed_shape, ModelRunResult,
    REEL_JSON_NAMED(ModelRunResult, "seed", seed, INTEGER),
    {NULL, REEL_JSON_FIELD_PART, 0, REEL_JSON_ALWAYS, &model_run_shape});

REEL_JSON_TABLE(best_spread_shape, ModelSpread,
    REEL_JSON_NAMED(ModelSpread, "best_f1_mean", mean, NUMBER),
    REEL_JSON_NAMED(ModelSpread, "best_f1_sd",   sd,   NUMBER));

REEL_JSON_TABLE(last_spread_shape, ModelSpread,
    REEL_JSON_NAMED(ModelSpread, "last_f1_mean", mean, NUMBER),
    REEL_JSON_NAMED(ModelSpread, "last_f1_sd",   sd,   NUMBER));

REEL_JSON_TABLE(tuned_spread_shape, ModelSpread,
    REEL_JSON_NAMED(ModelSpread, "tuned_f1_mean", mean, NUMBER),
    REEL_JSON_NAMED(ModelSpread, "tuned_f1_sd",   sd,   NUMBER));

REEL_JSON_TABLE(model_shape, ModelResult,
    REEL_JSON_NAMED(ModelResult, "name",                     name,                     TEXT),
    REEL_JSON_NAMED(ModelResult, "params",                   params,                   INTEGER),
    REEL_JSON_NAMED(ModelResult, "params_without_embedding", params_without_embedding, INTEGER),
    REEL_JSON_PART(ModelResult,  NULL,                       first,                    REEL_JSON_ALWAYS, &model_run_shape),
    REEL_JSON_PART(ModelResult,  NULL,                       best,                     offsetof(ModelResult, best.n), &best_spread_shape),
    REEL_JSON_PART(ModelResult,  NULL,                       last,                     offsetof(ModelResult, last.n), &last_spread_shape),
    REEL_JSON_PART(ModelResult,  NULL,                       tuned,                    offsetof(ModelResult, tuned.n), &tuned_spread_shape),
    REEL_JSON_LIST(ModelResult, seeds, num_seeds, &seed_shape));

REEL_JSON_TABLE(ensemble_shape, ModelEnsemble,
    REEL_JSON_NAMED(ModelEnsemble, "members", members, INT),
    REEL_JSON_PART(ModelEnsemble,  NULL,      tuned,   REEL_JSON_ALWAYS, &tuned_shape));

REEL_JSON_TABLE(results_shape, ModelResults,
    REEL_JSON_NAMED(ModelResults, "format",     format,     INT),
    REEL_JSON_NAMED(ModelResults, "data",       data,       TEXT),
    REEL_JSON_NAMED(ModelResults, "data_hash",  data_hash,  TEXT),
    REEL_JSON_NAMED(ModelResults, "rows",       rows,       INTEGER),
    REEL_JSON_NAMED(ModelResults, "train",      train,      INTEGER),
    REEL_JSON_NAMED(ModelResults, "valid",      valid,      INTEGER),
    REEL_JSON_NAMED(ModelResults, "test",       test,       INTEGER),
    REEL_JSON_NAMED(ModelResults, "labels",     labels,     INTEGER),
    REEL_JSON_NAMED(ModelResults, "task",       task,       TEXT),
    REEL_JSON_NAMED(ModelResults, "vocab",      vocab,      INTEGER),
    REEL_JSON_NAMED(ModelResults, "max_len",    max_len,    INTEGER),
    REEL_JSON_NAMED(ModelResults, "seed",       seed,       INTEGER),
    REEL_JSON_NAMED(ModelResults, "threads",    threads,    INTEGER),
    REEL_JSON_NAMED(ModelResults, "shards",     shards,     INTEGER),
    REEL_JSON_NAMED(ModelResults, "batch",      batch,      INTEGER),
    REEL_JSON_NAMED(ModelResults, "lr",         lr,         NUMBER),
    REEL_JSON_NAMED(ModelResults, "notebook",   notebook,   BOOL),
    REEL_JSON_NAMED(ModelResults, "best_f1_is", best_f1_is, TEXT),
    REEL_JSON_LIST(ModelResults, models, num_models, &model_shape),
    REEL_JSON_PART(ModelResults,  "ensemble",   ensemble,   offsetof(ModelResults, ensemble.members), &ensemble_shape));
/* clang-format on */

/* ---- In a file of weights ---- */

void model_results_snapshot_quality(NnSnapshot *snapshot, const ModelRunEpoch *epoch,
                                    const ModelRunResult *result, int64_t texts)
{
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "texts", texts);
    reel_json_write_fields(&json, "epoch", &epoch_quality_shape, epoch);
    if (result->selected.epoch)
        reel_json_write_fields(&json, "validation", &selection_shape, &result->selected);
    reel_json_end_object(&json);
    nn_snapshot_json(snapshot, MODEL_RESULTS_QUALITY, &json);
}

/* ---- From runs ---- */

void model_results_set_dataset(ModelResults *results, const ModelDataset *dataset)
{
    results->data_hash = dataset->text.data_hash;
    results->rows = model_dataset_rows(dataset);
    results->train = dataset->train.count;
    results->valid = dataset->valid.count;
    results->test = dataset->test.count;
    results->labels = model_dataset_num_classes(dataset);
    results->task = model_task_name(dataset->text.task);
    results->vocab = dataset->text.tokenizer.vocab_size;
    results->max_len = dataset->text.max_len;
}

/* How many of the runs, from the first on, are seeds of one model: the same name, and rising seeds. */
static int seeds_of_one(const ModelRunResult *runs, int count)
{
    int seeds = 1;
    while (seeds < count && strcmp(runs[seeds].name, runs[0].name) == 0 &&
           runs[seeds].seed > runs[seeds - 1].seed)
        seeds++;
    return seeds;
}

ModelDelivered model_run_delivered(const ModelRunResult *run)
{
    const ModelTuned *tuned = &run->selected.tuned;
    if (run->selected.epoch > 0)
        return (ModelDelivered){run->selected.epoch, tuned->macro_f1, tuned->micro_f1, tuned->accuracy};
    for (int i = 0; i < run->count; i++)
        if (run->epochs[i].epoch == run->best_epoch)
            return (ModelDelivered){run->best_epoch, run->epochs[i].test_f1, run->epochs[i].test_micro_f1,
                                    run->epochs[i].test_accuracy};
    return (ModelDelivered){0, NAN, NAN, NAN};
}

/* A figure of one run. */
typedef double (*RunFigure)(const ModelRunResult *run);

static double best_of(const ModelRunResult *run)
{
    return run->best_f1;
}

static double last_of(const ModelRunResult *run)
{
    return run->last_f1;
}

static double macro_of(const ModelRunResult *run)
{
    return model_run_delivered(run).macro_f1;
}

static double micro_of(const ModelRunResult *run)
{
    return model_run_delivered(run).micro_f1;
}

static double accuracy_of(const ModelRunResult *run)
{
    return model_run_delivered(run).accuracy;
}

static double tuned_of(const ModelRunResult *run)
{
    return run->selected.epoch > 0 ? run->selected.tuned.macro_f1 : NAN;
}

/* Mean and spread of a figure over the seeds that finished an epoch and have it. */
static ModelSpread over_seeds(const ModelResult *model, RunFigure figure)
{
    double values[MODEL_RESULTS_MAX_SEEDS];
    int n = 0;
    for (int s = 0; s < model->num_seeds && n < MODEL_RESULTS_MAX_SEEDS; s++) {
        double value = figure(&model->seeds[s]);
        if (model->seeds[s].count > 0 && isfinite(value))
            values[n++] = value;
    }
    return model_spread_of(values, n);
}

/* What follows from the seeds. */
static void sum_up(ModelResult *model)
{
    model->first = model->seeds[0];
    model->best = over_seeds(model, best_of);
    model->last = over_seeds(model, last_of);
    model->macro = over_seeds(model, macro_of);
    model->micro = over_seeds(model, micro_of);
    model->accuracy = over_seeds(model, accuracy_of);
    model->tuned = over_seeds(model, tuned_of);
}

ReelStatus model_results_set_runs(ModelResults *results, ModelRunResult *runs, int count, TensorArena *arena)
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

ReelStatus model_results_write(const ModelResults *results, const char *path)
{
    ReelJsonWriter json = {0};
    ModelResults all = *results;
    all.format = FORMAT;
    all.best_f1_is = "the maximum over epochs of macro F1 on the test part, as in the homework";
    reel_json_write_fields(&json, NULL, &results_shape, &all);
    return reel_json_save(&json, path);
}

static void to_logit(double *threshold)
{
    *threshold = model_threshold_log_odds(*threshold);
}

static ReelStatus complete(ModelResults *results, const char *path)
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

ReelStatus model_results_read(ModelResults *results, const char *path, TensorArena *arena)
{
    char *text = NULL;
    size_t size = 0;
    *results = (ModelResults){0};
    ReelStatus status = reel_text_file_read(path, &text, &size);
    if (reel_status_is_ok(&status))
        status = reel_json_read_fields(text, size, path, &results_shape, results, arena);
    reel_mem_free(text);
    return reel_status_is_ok(&status) ? complete(results, path) : status;
}

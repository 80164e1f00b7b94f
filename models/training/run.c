#include "models/training/run_internal.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tensor/usage.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The least part of the learning rate that is tried: halved ten times. */
#define LEAST_RATE (1.0 / 1024)

ModelRunOptions model_run_defaults(void)
{
    ModelRunOptions options = {.epochs = 50,
                               .batch = 64,
                               .config = {.embed_dropout = -1, .dropout = -1},
                               .trainer = model_trainer_defaults(),
                               .log_odds_bias = true,
                               .form = MODEL_LOSS_SUM,
                               .rate = 1,
                               .selection = {.strength = INFINITY},
                               .files = {.every = MODEL_RUN_EVERY_SO_OFTEN, .seconds = 60, .level = 1}};
    options.trainer.threads = tensor_pool_processors();
    options.trainer.shards = MODEL_RUN_SHARDS;
    return options;
}

void model_run_result_free(ModelRunResult *result)
{
    reel_mem_free(result->epochs);
    model_metrics_free(&result->metrics);
    model_predictions_free(&result->test);
    model_selection_free(&result->selected);
    result->epochs = NULL;
}

/* ---- What the model says of a part ---- */

static ReelStatus predict(Run *run, ModelPredictions *predictions, const ModelDatasetPart *part, bool attends,
                          ModelMetrics *metrics)
{
    ModelLoaderOptions batches =
        model_prediction_batches(part, run->options->notebook ? run->options->batch : 0);
    return model_predict_part(predictions, model_trainer_shares(run->trainer), part, &batches, attends,
                              metrics);
}

/* What the report and the counts are made from. */
static ReelStatus predict_test(Run *run)
{
    ModelRunResult *result = run->result;
    const ModelDatasetPart *part = &run->dataset->test;
    ReelStatus status = predict(run, &result->test, part, run->kind->has_attention, &result->metrics);
    if (!reel_status_is_ok(&status))
        return status;
    run->diverged = !tensor_is_finite(
        tensor_from(result->test.logits, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes)));
    return run->diverged ? reel_status_failed("the logits are not numbers; lower --lr, or find the op with "
                                              "--check-finite")
                         : reel_status_ok();
}

/* ---- Training ---- */

static void report(Run *run, ModelRunProgress *progress)
{
    if (!run->watcher || !run->watcher->progress)
        return;
    int64_t left = progress->batches * (progress->epochs - progress->epoch + 1) - progress->batch;
    /* The first batch is no measure: it pays for memory that later ones have, and for what came before. */
    if (run->batches_done <= 1)
        run->measured_from = reel_clock_seconds();
    progress->seconds_left = run->batches_done > 1 ? (reel_clock_seconds() - run->measured_from) *
                                                         (double)left / (double)(run->batches_done - 1)
                                                   : -1;
    progress->best_f1 = run->result->best_f1;
    progress->best_epoch = run->result->best_epoch;
    run->watcher->progress(run->watcher->context, progress);
}

/* One update with its bookkeeping. */
static ReelStatus train_batch(Run *run, const ModelBatch *batch, double *loss)
{
    ModelTrainingState *at = &run->at;
    *loss = 0;
    ReelStatus status = model_trainer_step(run->trainer, batch, loss);
    if (!isfinite(*loss)) {
        run->diverged = true;
        return reel_status_failed(
            "%s: the loss is not a number in epoch %d, batch %lld; lower --lr, or find the op "
            "with --check-finite",
            run->kind->name, at->epoch, (long long)at->batch + 1);
    }
    if (!reel_status_is_ok(&status))
        return status;
    at->loss_sum += *loss * batch->size;
    at->seen += batch->size;
    at->tokens += batch->num_ids;
    at->batch++;
    run->batches_done++;
    return reel_status_ok();
}

/* The rest of a pass over the training part. *stopped: the watcher asked to end in the middle. */
static ReelStatus train_epoch(Run *run, ModelRunProgress *progress, bool *stopped)
{
    ModelTrainingState *at = &run->at;
    double began = reel_clock_seconds();
    int64_t tokens_before = at->tokens;
    ModelBatch batch;
    if (run->options->bpe_dropout > 0) {
        ReelStatus status = model_subword_dropout_draw(&run->dropout, at->epoch - 1);
        if (!reel_status_is_ok(&status))
            return status;
    }
    model_loader_start_epoch(&run->loader, at->epoch - 1);
    model_loader_seek(&run->loader, at->batch);
    *stopped = false;
    while (!*stopped && model_loader_next(&run->loader, &batch)) {
        ReelStatus status = train_batch(run, &batch, &progress->batch_loss);
        if (!reel_status_is_ok(&status))
            return status;
        progress->batch = at->batch;
        progress->tokens = at->tokens - tokens_before;
        progress->seconds = reel_clock_seconds() - began;
        progress->loss = at->loss_sum / (double)at->seen;
        report(run, progress);
        *stopped = model_run_wants_stop(run);
        if (at->batch < progress->batches && (*stopped || model_run_save_is_due(run)))
            status = model_run_save_last(run);
        if (!reel_status_is_ok(&status))
            return status;
    }
    return run->loader.status;
}

/* ---- The validation part's choice ---- */

static ReelStatus select_epoch(Run *run, int epoch)
{
    const ModelRunOptions *options = run->options;
    ModelRunResult *result = run->result;
    const ModelDataset *dataset = run->dataset;
    if (dataset->valid.count > 0) {
        ReelStatus status = predict(run, &run->valid, &dataset->valid, false, NULL);
        return reel_status_is_ok(&status)
                   ? model_selection_consider(&result->selected, &options->selection, dataset,
                                              run->valid.logits, result->test.logits, epoch)
                   : status;
    }
    if (!options->selected || epoch != options->selected->epoch)
        return reel_status_ok();
    return model_selection_take(&result->selected, options->selected, dataset, result->test.logits);
}

static int last_epoch(const ModelRunOptions *options)
{
    return options->selected ? options->selected->epoch : options->epochs;
}

/* Whether no better epoch is to be expected. */
static bool is_over(const Run *run)
{
    const ModelRunOptions *options = run->options;
    int last = last_epoch(options);
    int since = run->at.epoch - 1 - run->result->selected.epoch, patience = options->selection.patience;
    return run->at.epoch > last || (run->dataset->valid.count > 0 && patience > 0 && since >= patience);
}

/* A run that breaks away need not end in infinities: saturated units can come to rest where they answer every
 * text alike. Its loss tells. The loss of the labels' frequencies is what training starts from, where the
 * output bias does. */
static ReelStatus check_loss(Run *run)
{
    const ModelRunOptions *options = run->options;
    const ModelRunResult *result = run->result;
    double loss = run->at.loss_sum / (double)run->at.seen, base = run->loss.base, least = INFINITY;
    if (options->log_odds_bias && !options->notebook && !options->files.init)
        least = base;
    for (int i = 0; i < result->count; i++)
        least = fmin(least, result->epochs[i].train_loss);
    bool grew = loss > 2 * least && loss > 0.5 * base, all_is_lost = least < 0.9 * base && loss > base;
    if (run->result->form == MODEL_LOSS_MEAN || (!grew && !all_is_lost))
        return reel_status_ok();
    run->diverged = true;
    return reel_status_failed("%s: the loss grew to %.4g in epoch %d, from %.4g; lower --lr", run->kind->name,
                              loss, run->at.epoch, least);
}

static ReelStatus finish_epoch(Run *run, ModelRunProgress *progress, double began)
{
    ModelRunResult *result = run->result;
    ModelTrainingState *at = &run->at;
    ReelStatus status = check_loss(run);
    if (!reel_status_is_ok(&status))
        return status;
    status = predict_test(run);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%s: after epoch %d: %.300s", run->kind->name, at->epoch, status.message);
    bool tests = run->dataset->test.count > 0;
    ModelRunEpoch *epoch = &result->epochs[result->count++];
    *epoch = (ModelRunEpoch){.epoch = at->epoch,
                             .train_loss = at->loss_sum / (double)at->seen,
                             .test_f1 = tests ? model_metrics_macro(&result->metrics).f1 : NAN,
                             .test_micro_f1 = tests ? model_metrics_micro(&result->metrics).f1 : NAN,
                             .test_accuracy = tests ? model_metrics_accuracy(&result->metrics) : NAN,
                             .seconds = reel_clock_seconds() - began};
    result->last_f1 = epoch->test_f1;
    result->last_micro_f1 = epoch->test_micro_f1;
    result->last_accuracy = epoch->test_accuracy;
    /* Without a test part none is better than the last. */
    if (result->best_epoch == 0 || epoch->test_f1 > result->best_f1 || !tests) {
        result->best_f1 = epoch->test_f1;
        result->best_epoch = epoch->epoch;
    }
    status = select_epoch(run, epoch->epoch);
    if (!reel_status_is_ok(&status))
        return status;
    char weights[64];
    snprintf(weights, sizeof weights, "the weights of %.32s after epoch %d", run->kind->name, epoch->epoch);
    status = model_trainer_check(run->trainer, weights);
    if (!reel_status_is_ok(&status))
        return status;
    progress->finished = epoch;
    report(run, progress);
    run->at = (ModelTrainingState){.epoch = at->epoch + 1};
    return model_run_after_epoch(run, epoch);
}

/* The first parameter with a value that is no number, by name, or "". */
static ReelStatus find_bad_weight(const Run *run, NnNamed *bad)
{
    TensorArena arena;
    ReelStatus status = reel_status_ok();
    bad->name[0] = '\0';
    tensor_arena_init(&arena, 0);
    for (NnIterator it = nn_iterate(&run->model->base); reel_status_is_ok(&status) && nn_next(&it);) {
        Tensor value = nn_named_view(&it.named);
        if (it.named.parameter->core.read) /* rows that are not up to date */
            value = tape_parameter_snapshot(&it.named.parameter->core, &arena);
        if (!tensor_is_valid(value))
            status = reel_status_failed("%s: out of memory to check %s", run->kind->name, it.named.name);
        else if (!tensor_is_finite(value)) {
            *bad = it.named;
            break;
        }
        tensor_arena_reset(&arena);
    }
    tensor_arena_free(&arena);
    return status;
}

/* Whether the last update left numbers: there is no later loss that would tell. */
static ReelStatus check_weights(Run *run)
{
    NnNamed bad;
    ReelStatus status = find_bad_weight(run, &bad);
    run->diverged = bad.name[0] != '\0';
    if (reel_status_is_ok(&status) && run->diverged)
        status =
            reel_status_failed("%s: the last update left values in %s that are not numbers; lower --lr, or "
                               "find the op with --check-finite",
                               run->kind->name, bad.name);
    return status;
}

/* What stays as it is in this epoch. */
static void freeze(Run *run)
{
    const ModelRunOptions *o = run->options;
    Model *model = run->model;
    for (NnParameter *p = nn_first_parameter(&model->base); p; p = nn_next_parameter(&model->base, p)) {
        int depth = model_depth_of(model, p);
        p->core.frozen = (int64_t)depth * o->unfreeze >= run->at.epoch ||
                         (run->at.epoch <= o->freeze_vectors && depth == model_depth(model));
    }
}

/* Trains from where the run is to its end. */
static ReelStatus train_on(Run *run)
{
    int epochs = last_epoch(run->options);
    while (!is_over(run)) {
        double began = reel_clock_seconds();
        bool stopped;
        freeze(run);
        ModelRunProgress progress = {.model = run->kind->name,
                                     .epoch = run->at.epoch,
                                     .epochs = epochs,
                                     .batches = model_loader_num_batches(&run->loader)};
        ReelStatus status = train_epoch(run, &progress, &stopped);
        if (!reel_status_is_ok(&status))
            return status;
        if (stopped && progress.batch < progress.batches) {
            run->result->interrupted = true;
            return reel_status_ok();
        }
        status = finish_epoch(run, &progress, began);
        if (reel_status_is_ok(&status) && is_over(run))
            status = check_weights(run);
        if (reel_status_is_ok(&status) && (stopped || is_over(run) || model_run_save_is_due(run)))
            status = model_run_save_last(run);
        if (!reel_status_is_ok(&status))
            return status;
        if (stopped) {
            run->result->interrupted = !is_over(run);
            return reel_status_ok();
        }
    }
    return reel_status_ok();
}

/* ---- Preparing ---- */

static ReelStatus prepare_result(Run *run)
{
    ModelRunResult *result = run->result;
    size_t bytes = (size_t)run->options->epochs * sizeof *result->epochs;
    result->epochs = reel_mem_alloc(bytes);
    if (!result->epochs)
        return reel_status_no_memory(bytes, "the epochs");
    ReelStatus status = model_metrics_init(&result->metrics, model_dataset_num_classes(run->dataset));
    result->metrics.missed = run->dataset->test.missed;
    result->metrics.missed_labels = run->dataset->test.missed_labels;
    return status;
}

static ReelStatus begin_model(Model *model, const ModelDataset *dataset)
{
    if (!model->kind->begin)
        return reel_status_ok();
    size_t bytes = (size_t)dataset->text.tokenizer.vocab_size * sizeof(int64_t);
    int64_t *frequencies = reel_mem_alloc(bytes);
    if (!frequencies)
        return reel_status_no_memory(bytes, "the words' frequencies");
    ReelStatus status = model_dataset_document_frequencies(dataset, frequencies);
    if (reel_status_is_ok(&status))
        model->kind->begin(model, frequencies, dataset->train.count);
    reel_mem_free(frequencies);
    return status;
}

/* Weights to begin with, which must be numbers. */
static ReelStatus load_first_weights(Run *run)
{
    NnNamed bad;
    const char *path = run->options->files.init;
    ReelStatus status = model_run_load_init(run);
    if (reel_status_is_ok(&status))
        status = find_bad_weight(run, &bad);
    if (reel_status_is_ok(&status) && bad.name[0])
        status = reel_status_failed(
            "%s: %s has values that are not numbers; begin with another file, or without --init", path,
            bad.name);
    return status;
}

static ReelStatus set_vectors(Run *run)
{
    NnParameter *embedding = model_embedding(run->model);
    if (!run->options->vectors)
        return reel_status_ok();
    if (!embedding)
        return reel_status_usage("--vectors: %s has no embedding of words", run->kind->name);
    return nn_parameter_write(embedding, run->options->vectors->rows);
}

/* The model with its first weights: drawn, or read from the file it goes on from or begins with. */
static ReelStatus prepare_model(Run *run, const TensorNpz *last)
{
    const ModelRunOptions *options = run->options;
    const ModelDataset *dataset = run->dataset;
    ModelConfig config = options->config;
    config.vocabulary = dataset->text.tokenizer.vocab_size;
    config.first_piece = dataset->text.tokenizer.first_piece;
    config.labels = model_dataset_num_classes(dataset);
    ReelStatus status = last ? model_new_without_values(&run->model, run->kind, config)
                             : model_new(&run->model, run->kind, config, options->seed);
    if (!reel_status_is_ok(&status))
        return status;
    run->result->params = model_count(run->model);
    run->result->params_without_embedding = model_count_without_embedding(run->model);
    if (last)
        return nn_load_from(&run->model->base, last, (NnLoadOptions){0});
    if (options->log_odds_bias && !options->notebook) {
        model_set_output_bias(run->model, dataset->train.label_counts, dataset->train.count);
        model_label_loss_shift_bias(&run->loss, run->result->form, run->model);
    }
    status = set_vectors(run);
    if (reel_status_is_ok(&status))
        status = begin_model(run->model, dataset);
    if (reel_status_is_ok(&status) && options->files.init)
        status = load_first_weights(run);
    return reel_status_is_ok(&status) && options->pretraining ? model_run_pretrain(run) : status;
}

static ReelStatus prepare_training(Run *run, const TensorNpz *last)
{
    const ModelRunOptions *options = run->options;
    ModelTrainerOptions trainer = options->trainer;
    int32_t labels = model_dataset_num_classes(run->dataset);
    trainer.seed = options->seed;
    trainer.schedule.lr *= run->result->rate;
    trainer.labels = run->loss.labels;
    trainer.loss = run->loss.function;
    trainer.decisions = run->loss.decisions;
    if (run->loss.pos_weight)
        trainer.pos_weight = tensor_from(run->loss.pos_weight, TENSOR_F32, TENSOR_SHAPE(labels));
    if (run->loss.weight && run->result->form != MODEL_LOSS_MEAN)
        trainer.weight = tensor_from(run->loss.weight, TENSOR_F32, TENSOR_SHAPE(labels));
    ReelStatus status = model_trainer_new(&run->trainer, run->model, &trainer);
    if (!reel_status_is_ok(&status))
        return status;
    ModelLoaderOptions loader = {.batch = options->batch,
                                 .shuffle = true,
                                 .pad = options->notebook,
                                 .seed = options->seed,
                                 .block = options->shuffle_block};
    const ModelDatasetPart *part = &run->dataset->train;
    if (options->bpe_dropout > 0) {
        status = model_subword_dropout_init(&run->dropout, run->dataset, options->bpe_dropout, options->seed);
        part = &run->dropout.part;
    }
    if (reel_status_is_ok(&status))
        status = model_loader_init(&run->loader, part, &loader);
    if (!reel_status_is_ok(&status) || !last)
        return status;
    if (run->at.batch >= model_loader_num_batches(&run->loader))
        return reel_status_failed(
            "%s: says batch %lld, and an epoch has %lld; delete the file to train the model from "
            "the start",
            tensor_npz_path(last), (long long)run->at.batch,
            (long long)model_loader_num_batches(&run->loader));
    return model_training_state_restore(last, &run->at, model_trainer_optimizer(run->trainer));
}

static ReelStatus prepare(Run *run)
{
    TensorNpz *last = NULL;
    run->at = (ModelTrainingState){.epoch = 1};
    run->result->form = run->options->form;
    run->result->rate = run->options->rate;
    ReelStatus status = prepare_result(run);
    if (reel_status_is_ok(&status))
        status = model_run_open_last(run, &last);
    if (reel_status_is_ok(&status))
        status = model_label_loss_init(&run->loss, run->options->loss, run->result->form,
                                       &run->dataset->train, run->options->pos_weight);
    if (reel_status_is_ok(&status))
        status = prepare_model(run, last);
    if (reel_status_is_ok(&status))
        status = prepare_training(run, last);
    tensor_npz_close(last);
    bool writes = run->options->files.folder && nn_comm_rank(run->options->trainer.comm) == 0;
    if (reel_status_is_ok(&status) && writes)
        status = model_saver_new(&run->saver, (TensorNpzOptions){.level = run->options->files.level});
    run->saved = reel_clock_seconds();
    return status;
}

/* ---- Beginning again ---- */

/* What is trained; the data, the loss and the files stay. */
static void free_training(Run *run)
{
    model_loader_free(&run->loader);
    model_subword_dropout_free(&run->dropout);
    model_trainer_free(run->trainer);
    model_free(run->model);
    run->loader = (ModelLoader){0};
    run->dropout = (ModelSubwordDropout){0};
    run->trainer = NULL;
    run->model = NULL;
}

static void forget_result(ModelRunResult *result)
{
    result->count = result->best_epoch = 0;
    model_selection_free(&result->selected);
    result->best_f1 = result->last_f1 = result->last_micro_f1 = result->last_accuracy = 0;
    model_metrics_reset(&result->metrics);
    model_predictions_free(&result->test);
}

/* Trains anew at half the learning rate. */
static ReelStatus begin_again(Run *run, const char *why)
{
    ModelRunProgress progress = {.model = run->kind->name, .epochs = run->options->epochs, .again = why};
    free_training(run);
    forget_result(run->result);
    run->best_waits = false;
    if (run->options->files.kept)
        nn_snapshot_clear(run->options->files.kept);
    run->diverged = false;
    run->at = (ModelTrainingState){.epoch = 1};
    progress.rate = run->result->rate /= 2;
    if (run->watcher && run->watcher->progress)
        run->watcher->progress(run->watcher->context, &progress);
    ReelStatus status = prepare_model(run, NULL);
    return reel_status_is_ok(&status) ? prepare_training(run, NULL) : status;
}

static ReelStatus train(Run *run)
{
    if (run->result->interrupted)
        return reel_status_ok();
    ReelStatus status = train_on(run);
    while (run->diverged && run->result->rate > LEAST_RATE) {
        status = begin_again(run, status.message);
        if (reel_status_is_ok(&status) && !run->result->interrupted)
            status = train_on(run);
    }
    return status;
}

/* Where this process has finished no epoch, nobody has asked the model yet. The counts are those of the last
 * epoch. */
static ReelStatus ask_at_last(Run *run)
{
    ModelRunResult *result = run->result;
    return result->test.logits ? reel_status_ok()
                               : predict(run, &result->test, &run->dataset->test, run->kind->has_attention,
                                         result->count ? NULL : &result->metrics);
}

ReelStatus model_run_model(ModelRunResult *result, Model **model, const ModelKind *kind,
                           const ModelDataset *dataset, const ModelRunOptions *options,
                           const ModelRunWatcher *watcher)
{
    memset(result, 0, sizeof *result);
    result->name = kind->name;
    result->seed = options->seed;
    if (model)
        *model = NULL;
    if (options->epochs < 0 || options->batch < 1)
        return reel_status_usage(
            "%s: a run needs at least 0 epochs and batches of at least one text, not %d and %d", kind->name,
            options->epochs, options->batch);
    reel_usage_reset_peak();
    Run run = {.options = options,
               .watcher = watcher,
               .dataset = dataset,
               .kind = kind,
               .result = result,
               .started = reel_clock_seconds()};
    nn_snapshot_init(&run.unknown);
    nn_snapshot_init(&run.best);
    ReelStatus status = prepare(&run);
    if (reel_status_is_ok(&status))
        status = train(&run);
    if (reel_status_is_ok(&status))
        status = ask_at_last(&run);
    model_run_close_files(&run, &status);
    model_run_forget_pretraining(&run, result->interrupted || !reel_status_is_ok(&status));
    result->seconds = model_run_seconds(&run);
    result->peak_rss_mb = reel_usage_peak_mb();
    if (model && reel_status_is_ok(&status)) {
        *model = run.model;
        run.model = NULL;
    }
    free_training(&run);
    model_label_loss_free(&run.loss);
    model_predictions_free(&run.valid);
    if (!reel_status_is_ok(&status))
        model_run_result_free(result);
    return status;
}

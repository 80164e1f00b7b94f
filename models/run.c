#include "models/run.h"
#include "tensor/mem.h"
#include "tensor/pool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Peak memory: the kernel's high-water mark, which can be set back ---- */

static void reset_peak_rss(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

static double peak_rss_mb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    char line[256];
    long kb = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld kB", &kb) == 1)
            break;
    fclose(file);
    return (double)kb / 1024;
}

RunOptions run_defaults(void)
{
    RunOptions options = {.epochs = 50, .batch = 64, .trainer = trainer_defaults(), .log_odds_bias = true};
    options.trainer.threads = options.trainer.shards = pool_processors();
    return options;
}

void run_result_free(RunResult *result)
{
    mem_free(result->epochs);
    metrics_free(&result->metrics);
    result->epochs = NULL;
}

/* ---- Evaluation ---- */

static Status evaluate_batches(Trainer *trainer, Loader *loader, Metrics *metrics, float *logits)
{
    Batch batch;
    loader_start_epoch(loader, 0);
    metrics_reset(metrics);
    while (loader_next(loader, &batch)) {
        Tensor scores = tensor_from(logits, DTYPE_F32, SHAPE(batch.size, metrics->num_labels));
        Status status = trainer_predict(trainer, &batch, scores, NULL);
        if (!status_is_ok(&status))
            return status;
        metrics_add(metrics, scores, batch.labels, 0.0);
    }
    return status_ok();
}

Status run_evaluate(Trainer *trainer, const DatasetPart *part, int batch, bool pad, Metrics *metrics)
{
    Loader loader;
    LoaderOptions options = {.batch = batch, .shuffle = false, .pad = pad};
    Status status = loader_init(&loader, part, &options);
    if (!status_is_ok(&status))
        return status;
    size_t bytes = (size_t)batch * (size_t)part->num_classes * sizeof(float);
    float *logits = mem_alloc(bytes);
    status = logits ? evaluate_batches(trainer, &loader, metrics, logits)
                    : status_no_memory(bytes, "the predictions of a batch");
    mem_free(logits);
    loader_free(&loader);
    return status;
}

/* ---- Training ---- */

typedef struct Run {
    const RunOptions *options;
    const RunWatcher *watcher;
    const Dataset *dataset;
    Model *model;
    Trainer *trainer;
    Loader loader;
    RunResult *result;
    double started;
    int64_t batches_done;
} Run;

static bool wants_stop(const Run *run)
{
    return run->watcher && run->watcher->stop && run->watcher->stop(run->watcher->context);
}

static void report(Run *run, RunProgress *progress)
{
    if (!run->watcher || !run->watcher->progress)
        return;
    int64_t all = progress->batches * progress->epochs;
    double per_batch = (now() - run->started) / (double)(run->batches_done > 0 ? run->batches_done : 1);
    progress->seconds_left = per_batch * (double)(all - run->batches_done);
    run->watcher->progress(run->watcher->context, progress);
}

/* One pass over the training part. *stopped: the watcher asked to end in the middle. */
static Status train_epoch(Run *run, RunProgress *progress, bool *stopped)
{
    double began = now(), sum = 0;
    int64_t seen = 0;
    Batch batch;
    loader_start_epoch(&run->loader, progress->epoch - 1);
    *stopped = false;
    while (!*stopped && loader_next(&run->loader, &batch)) {
        double loss;
        Status status = trainer_step(run->trainer, &batch, &loss);
        if (!status_is_ok(&status))
            return status;
        if (!isfinite(loss))
            return status_failed(
                "%s: the loss is not a number in epoch %d, batch %lld; lower --lr, or find the op "
                "with --check-finite",
                run->model->kind->name, progress->epoch, (long long)progress->batch + 1);
        sum += loss * batch.size;
        seen += batch.size;
        run->batches_done++;
        progress->batch++;
        progress->tokens += batch.num_ids;
        progress->seconds = now() - began;
        progress->loss = sum / (double)seen;
        report(run, progress);
        *stopped = wants_stop(run);
    }
    return status_ok();
}

static Status finish_epoch(Run *run, RunProgress *progress, double began)
{
    RunResult *result = run->result;
    Status status = run_evaluate(run->trainer, &run->dataset->test, run->options->batch,
                                 run->options->notebook, &result->metrics);
    if (!status_is_ok(&status))
        return status;
    RunEpoch *epoch = &result->epochs[result->count++];
    *epoch = (RunEpoch){.epoch = progress->epoch,
                        .train_loss = progress->loss,
                        .test_f1 = metrics_macro(&result->metrics).f1,
                        .test_micro_f1 = metrics_micro(&result->metrics).f1,
                        .seconds = now() - began};
    if (result->best_epoch == 0 || epoch->test_f1 > result->best_f1) {
        result->best_f1 = epoch->test_f1;
        result->best_epoch = epoch->epoch;
    }
    progress->finished = epoch;
    report(run, progress);
    return status_ok();
}

static Status train(Run *run)
{
    for (int e = 1; e <= run->options->epochs; e++) {
        double began = now();
        bool stopped;
        RunProgress progress = {.model = run->model->kind->name,
                                .epoch = e,
                                .epochs = run->options->epochs,
                                .batches = loader_num_batches(&run->loader)};
        Status status = train_epoch(run, &progress, &stopped);
        if (!status_is_ok(&status))
            return status;
        if (stopped && progress.batch < progress.batches) {
            run->result->interrupted = true;
            return status_ok();
        }
        status = finish_epoch(run, &progress, began);
        if (!status_is_ok(&status))
            return status;
        if (stopped) {
            run->result->interrupted = e < run->options->epochs;
            return status_ok();
        }
    }
    return status_ok();
}

static Status prepare(Run *run, const ModelKind *kind)
{
    const RunOptions *options = run->options;
    const Dataset *dataset = run->dataset;
    ModelConfig config = options->config;
    config.vocabulary = dataset->tokenizer.vocab_size;
    config.labels = dataset_num_classes(dataset);
    Status status = model_new(&run->model, kind, config, options->seed);
    if (!status_is_ok(&status))
        return status;
    if (options->log_odds_bias && !options->notebook)
        model_set_output_bias(run->model, dataset->train.label_counts, dataset->train.count);
    TrainerOptions trainer = options->trainer;
    trainer.seed = options->seed;
    status = trainer_new(&run->trainer, run->model, &trainer);
    if (!status_is_ok(&status))
        return status;
    LoaderOptions loader = {
        .batch = options->batch, .shuffle = true, .pad = options->notebook, .seed = options->seed};
    status = loader_init(&run->loader, &dataset->train, &loader);
    if (!status_is_ok(&status))
        return status;
    RunResult *result = run->result;
    result->params = model_count(run->model);
    result->params_without_embedding = model_count_without_embedding(run->model);
    result->epochs = mem_calloc((size_t)options->epochs, sizeof *result->epochs);
    if (!result->epochs)
        return status_no_memory((size_t)options->epochs * sizeof *result->epochs, "the epochs");
    return metrics_init(&result->metrics, (int32_t)config.labels);
}

Status run_model(RunResult *result, Model **model, const ModelKind *kind, const Dataset *dataset,
                 const RunOptions *options, const RunWatcher *watcher)
{
    reset_peak_rss();
    memset(result, 0, sizeof *result);
    result->name = kind->name;
    result->seed = options->seed;
    Run run = {
        .options = options, .watcher = watcher, .dataset = dataset, .result = result, .started = now()};
    Status status = prepare(&run, kind);
    if (status_is_ok(&status))
        status = train(&run);
    result->seconds = now() - run.started;
    result->peak_rss_mb = peak_rss_mb();
    loader_free(&run.loader);
    trainer_free(run.trainer);
    if (model && status_is_ok(&status))
        *model = run.model;
    else
        model_free(run.model);
    if (!status_is_ok(&status))
        run_result_free(result);
    return status;
}

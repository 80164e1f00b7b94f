/* What a training run takes before it trains: from a TSV file to the first batch of the first step. */
#include "models/training/trainer.h"
#include "tensor/clock.h"
#include "tools/bench.h"

#include <stdio.h>

enum { MAX_ROUNDS = 256 };

/* What is measured, in seconds. */
typedef enum { READ, MODEL, BATCH, FIRST_BATCH, FIRST_STEP, FORWARD, PREDICT, PARTS } Part;

static const struct {
    const char *key, *label;
} parts[PARTS] = {[READ] = {"read_ms", "reading, cleaning, vocabulary, ids"},
                  [MODEL] = {"model_ms", "an lstm and its trainer"},
                  [BATCH] = {"batch_ms", "the first batch"},
                  [FIRST_BATCH] = {"start_to_first_batch_ms", "all of these"},
                  [FIRST_STEP] = {"first_step_ms", "the first step (later ones find memory made)"},
                  [FORWARD] = {"forward_ms", "the forward half of later steps on that batch"},
                  [PREDICT] = {"predict_ms", "predicting that batch"}};

/* Evaluation is to run at the speed of training's forward half. */
static ReelStatus compare_predict(ModelTrainer *trainer, const ModelBatch *batch, int64_t labels,
                                  TensorArena *arena, double *seconds)
{
    enum { REPEATS = 5 };
    double forward[REPEATS], predict[REPEATS], loss;
    Tensor logits = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(batch->size, labels));
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < REPEATS && reel_status_is_ok(&status); i++) {
        status = model_trainer_step(trainer, batch, &loss);
        forward[i] = model_trainer_times(trainer).forward;
        double begun = reel_clock_seconds();
        if (reel_status_is_ok(&status))
            status = model_trainer_predict(trainer, batch, logits, NULL);
        predict[i] = reel_clock_seconds() - begun;
    }
    seconds[FORWARD] = model_spread_median(forward, REPEATS);
    seconds[PREDICT] = model_spread_median(predict, REPEATS);
    return status;
}

static ReelStatus run_once(const BenchOptions *options, const char *path, double *seconds, int64_t *texts)
{
    ModelDataset *dataset = NULL;
    ModelLoader loader = {0};
    Model *model = NULL;
    ModelTrainer *trainer = NULL;
    ModelBatch batch;
    double begun = reel_clock_seconds(), loss;
    ReelStatus status = model_dataset_read(&dataset, path, NULL);
    seconds[READ] = reel_clock_seconds() - begun;
    if (!reel_status_is_ok(&status))
        return status;
    *texts = dataset->train.count + dataset->test.count;
    begun = reel_clock_seconds();
    ModelConfig config = {.vocabulary = dataset->text.tokenizer.vocab_size,
                          .labels = model_dataset_num_classes(dataset)};
    ModelTrainerOptions how = model_trainer_defaults();
    how.threads = options->threads;
    how.shards = options->shards ? options->shards : options->threads;
    status = model_new(&model, model_zoo_find("lstm"), config, options->seed);
    if (reel_status_is_ok(&status))
        status = model_trainer_new(&trainer, model, &how);
    seconds[MODEL] = reel_clock_seconds() - begun;
    begun = reel_clock_seconds();
    ModelLoaderOptions of_loader = model_loader_defaults();
    of_loader.batch = options->shape.batch;
    if (reel_status_is_ok(&status))
        status = model_loader_init(&loader, &dataset->train, &of_loader);
    if (reel_status_is_ok(&status) && !model_loader_next(&loader, &batch))
        status = reel_status_failed("%s: no text to train on", path);
    seconds[BATCH] = reel_clock_seconds() - begun;
    seconds[FIRST_BATCH] = seconds[READ] + seconds[MODEL] + seconds[BATCH];
    begun = reel_clock_seconds();
    if (reel_status_is_ok(&status))
        status = model_trainer_step(trainer, &batch, &loss);
    seconds[FIRST_STEP] = reel_clock_seconds() - begun;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    if (reel_status_is_ok(&status))
        status = compare_predict(trainer, &batch, config.labels, &arena, seconds);
    tensor_arena_free(&arena);
    model_loader_free(&loader);
    model_trainer_free(trainer);
    model_free(model);
    model_dataset_free(dataset);
    return status;
}

ReelStatus bench_pipeline(const BenchOptions *options, const char *path)
{
    double seconds[PARTS][MAX_ROUNDS], one[PARTS] = {0};
    int64_t texts = 0;
    for (int i = 0; i < options->rounds; i++) {
        ReelStatus status = run_once(options, path, one, &texts);
        if (!reel_status_is_ok(&status))
            return status;
        for (int part = 0; part < PARTS; part++)
            seconds[part][i] = one[part];
    }
    ReelJsonWriter json = {0};
    bench_begin(&json);
    reel_json_string(&json, "data", path);
    reel_json_integer(&json, "texts", texts);
    printf("%s: %lld texts; medians of %d\n", path, (long long)texts, options->rounds);
    for (int i = 0; i < PARTS; i++) {
        double ms = 1e3 * model_spread_median(seconds[i], options->rounds);
        printf("%9.1f ms  %s\n", ms, parts[i].label);
        reel_json_number(&json, parts[i].key, ms);
    }
    return bench_end(&json, options, reel_status_ok());
}

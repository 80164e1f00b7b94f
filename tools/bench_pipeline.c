/* What a training run takes before it trains: from a TSV file to the first batch of the first step. */
#include "models/training/trainer.h"
#include "tensor/clock.h"
#include "tools/bench.h"

#include <math.h>
#include <stdio.h>

enum { MAX_ROUNDS = 256 };

/* Seconds. */
typedef struct Start {
    double read;             /* the file to splits, clean texts, vocabulary and ids */
    double model;            /* weights drawn, the trainer made */
    double batch;            /* the first batch put together */
    double step;             /* the first step, which makes the tapes' memory */
    double forward, predict; /* the forward half of a later step, and a prediction, of one batch */
} Start;

/* Evaluation is to run at the speed of training's forward half. */
static ReelStatus compare_predict(Trainer *trainer, const Batch *batch, TensorArena *arena, Start *start)
{
    enum { REPEATS = 5 };
    double forward[REPEATS], predict[REPEATS], loss;
    Tensor logits = tensor_new(arena, TENSOR_F32, batch->labels.ndim, batch->labels.shape);
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < REPEATS && reel_status_is_ok(&status); i++) {
        status = trainer_step(trainer, batch, &loss);
        forward[i] = trainer_times(trainer).forward;
        double begun = reel_clock_seconds();
        if (reel_status_is_ok(&status))
            status = trainer_predict(trainer, batch, logits, NULL);
        predict[i] = reel_clock_seconds() - begun;
    }
    start->forward = bench_median(forward, REPEATS);
    start->predict = bench_median(predict, REPEATS);
    return status;
}

static ReelStatus run_once(const BenchOptions *options, const char *path, Start *start, int64_t *texts)
{
    Dataset *dataset = NULL;
    Loader loader = {0};
    Model *model = NULL;
    Trainer *trainer = NULL;
    Batch batch;
    double begun = reel_clock_seconds(), loss;
    ReelStatus status = dataset_read(&dataset, path, NULL);
    start->read = reel_clock_seconds() - begun;
    if (!reel_status_is_ok(&status))
        return status;
    *texts = dataset->train.count + dataset->test.count;
    begun = reel_clock_seconds();
    ModelConfig config = {.vocabulary = dataset->text.tokenizer.vocab_size,
                          .labels = dataset_num_classes(dataset)};
    TrainerOptions how = trainer_defaults();
    how.threads = options->threads;
    how.shards = options->shards ? options->shards : options->threads;
    status = model_new(&model, bench_find_model("lstm"), config, options->seed);
    if (reel_status_is_ok(&status))
        status = trainer_new(&trainer, model, &how);
    start->model = reel_clock_seconds() - begun;
    begun = reel_clock_seconds();
    LoaderOptions of_loader = loader_defaults();
    of_loader.batch = options->shape.batch;
    if (reel_status_is_ok(&status))
        status = loader_init(&loader, &dataset->train, &of_loader);
    if (reel_status_is_ok(&status) && !loader_next(&loader, &batch))
        status = reel_status_failed("%s: no text to train on", path);
    start->batch = reel_clock_seconds() - begun;
    begun = reel_clock_seconds();
    if (reel_status_is_ok(&status))
        status = trainer_step(trainer, &batch, &loss);
    start->step = reel_clock_seconds() - begun;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    if (reel_status_is_ok(&status))
        status = compare_predict(trainer, &batch, &arena, start);
    tensor_arena_free(&arena);
    loader_free(&loader);
    trainer_free(trainer);
    model_free(model);
    dataset_free(dataset);
    return status;
}

static double median_ms(const Start *starts, int count, double (*of)(const Start *))
{
    double values[MAX_ROUNDS];
    for (int i = 0; i < count; i++)
        values[i] = 1e3 * of(&starts[i]);
    return bench_median(values, count);
}

static double read_of(const Start *s)
{
    return s->read;
}

static double model_of(const Start *s)
{
    return s->model;
}

static double batch_of(const Start *s)
{
    return s->batch;
}

static double step_of(const Start *s)
{
    return s->step;
}

static double forward_of(const Start *s)
{
    return s->forward;
}

static double predict_of(const Start *s)
{
    return s->predict;
}

static double first_batch_of(const Start *s)
{
    return s->read + s->model + s->batch;
}

ReelStatus bench_pipeline(const BenchOptions *options, const char *path)
{
    static const struct {
        const char *key, *label;
        double (*of)(const Start *);
    } parts[] = {{"read_ms", "reading, cleaning, vocabulary, ids", read_of},
                 {"model_ms", "an lstm and its trainer", model_of},
                 {"batch_ms", "the first batch", batch_of},
                 {"start_to_first_batch_ms", "all of these", first_batch_of},
                 {"first_step_ms", "the first step (later ones find memory made)", step_of},
                 {"forward_ms", "the forward half of later steps on that batch", forward_of},
                 {"predict_ms", "predicting that batch", predict_of}};
    Start starts[MAX_ROUNDS];
    int64_t texts = 0;
    for (int i = 0; i < options->rounds; i++) {
        ReelStatus status = run_once(options, path, &starts[i], &texts);
        if (!reel_status_is_ok(&status))
            return status;
    }
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    bench_describe_machine(&json);
    reel_json_string(&json, "data", path);
    reel_json_integer(&json, "texts", texts);
    bench_print_machine();
    printf("%s: %lld texts; medians of %d\n", path, (long long)texts, options->rounds);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double ms = median_ms(starts, options->rounds, parts[i].of);
        printf("%9.1f ms  %s\n", ms, parts[i].label);
        reel_json_number(&json, parts[i].key, ms);
    }
    reel_json_end_object(&json);
    return bench_write_json(&json, options->json);
}

#include "models/training/trainer.h"
#include "models/text/tokenizer.h"
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tensor/pool.h"

#include <math.h>
#include <string.h>

/* One shard of a batch: its texts, and what came of them. */
typedef struct Shard {
    Tape *tape;
    int32_t *ids;     /* the texts one after another */
    int32_t *offsets; /* [texts + 1] */
    int32_t *texts;   /* [count]: their places in the batch */
    int32_t count;
    double loss; /* the sum over this shard's decisions */
    double forward, backward;
    ReelStatus status;
} Shard;

struct Trainer {
    Model *model;
    TrainerOptions options;
    NnOptimizer *optimizer;
    TensorPool *pool;
    Shard *shards;
    Tape **tapes;   /* of the shards, as the optimizer takes them */
    int32_t *order; /* the batch's texts, longest first */
    int32_t text_capacity, id_capacity;
    TrainerTimes times;

    /* Of the call at hand. */
    const Batch *batch;
    bool training;
    Tensor logits;
    float *attention;
};

TrainerOptions trainer_defaults(void)
{
    TrainerOptions options = {.shards = 1, .threads = 1, .optimizer = nn_optimizer_options(NN_ADAM)};
    options.schedule = (NnSchedule){.kind = NN_CONSTANT, .lr = 2e-3};
    return options;
}

ReelStatus trainer_new(Trainer **out, Model *model, const TrainerOptions *options)
{
    *out = NULL;
    if (options->shards < 1 || options->threads < 1)
        return reel_status_usage("a trainer needs at least one shard and one thread");
    if (!(options->word_dropout >= 0 && options->word_dropout < 1))
        return reel_status_usage("the word dropout is %g and must lie in [0, 1)", options->word_dropout);
    Trainer *trainer = reel_mem_calloc(1, sizeof *trainer);
    if (!trainer)
        return reel_status_no_memory(sizeof *trainer, "the trainer");
    size_t count = (size_t)options->shards;
    *trainer = (Trainer){.model = model,
                         .options = *options,
                         .pool = tensor_pool_new(options->threads),
                         .shards = reel_mem_calloc(count, sizeof(Shard)),
                         .tapes = reel_mem_calloc(count, sizeof(Tape *))};
    ReelStatus status = reel_status_ok();
    bool complete = trainer->pool && trainer->shards && trainer->tapes;
    for (size_t i = 0; i < count && complete; i++) {
        trainer->shards[i].tape = trainer->tapes[i] = tape_new();
        complete = trainer->tapes[i] != NULL;
        if (complete)
            tape_set_check_finite(trainer->tapes[i], options->check_finite);
    }
    if (!complete)
        status = reel_status_failed("out of memory or threads for %d shards", options->shards);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&trainer->optimizer, &model->base, options->optimizer, trainer->pool);
    if (!reel_status_is_ok(&status)) {
        trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return status;
}

void trainer_free(Trainer *trainer)
{
    if (!trainer)
        return;
    nn_optimizer_free(trainer->optimizer);
    for (int i = 0; trainer->shards && i < trainer->options.shards; i++) {
        tape_free(trainer->shards[i].tape);
        reel_mem_free(trainer->shards[i].ids);
        reel_mem_free(trainer->shards[i].offsets);
        reel_mem_free(trainer->shards[i].texts);
    }
    tensor_pool_free(trainer->pool);
    reel_mem_free(trainer->shards);
    reel_mem_free(trainer->tapes);
    reel_mem_free(trainer->order);
    reel_mem_free(trainer);
}

/* ---- Splitting a batch ---- */

static bool grow_indices(int32_t **array, int32_t count)
{
    int32_t *larger = reel_mem_realloc(*array, (size_t)count * sizeof *larger);
    if (larger)
        *array = larger;
    return larger != NULL;
}

/* Room for a batch in every shard, whatever its share of it. Grows to the largest batch and stays. */
static bool reserve(Trainer *trainer, const Batch *batch)
{
    int32_t texts = trainer->text_capacity, ids = trainer->id_capacity;
    if (batch->size > texts) {
        texts = batch->size;
        if (!grow_indices(&trainer->order, texts))
            return false;
    }
    if (batch->num_ids > ids)
        ids = batch->num_ids + batch->num_ids / 4;
    if (texts == trainer->text_capacity && ids == trainer->id_capacity)
        return true;
    for (int i = 0; i < trainer->options.shards; i++) {
        Shard *shard = &trainer->shards[i];
        if (!grow_indices(&shard->ids, ids) || !grow_indices(&shard->offsets, texts + 1) ||
            !grow_indices(&shard->texts, texts))
            return false;
    }
    trainer->text_capacity = texts;
    trainer->id_capacity = ids;
    return true;
}

static int32_t length_of(const Batch *batch, int32_t text)
{
    return batch->offsets[text + 1] - batch->offsets[text];
}

/* The texts longest first, equal ones in their order (insertion sort: batches are small and half of the
 * work is done where they repeat). */
static void order_by_length(Trainer *trainer, const Batch *batch)
{
    int32_t *order = trainer->order;
    for (int32_t i = 0; i < batch->size; i++) {
        int32_t length = length_of(batch, i), at = i;
        for (; at > 0 && length_of(batch, order[at - 1]) < length; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Replaces words by <unk> (Iyyer et al. 2015, section 3.1), drawn for each text of the batch by itself, so
 * that what is drawn does not depend on the shards. */
static void drop_words(const Trainer *trainer, int32_t text, int32_t *ids, int32_t length)
{
    uint64_t step = (uint64_t)nn_optimizer_steps(trainer->optimizer);
    TensorRandom random = tensor_random_new(trainer->options.seed ^ tensor_random_stream("words"),
                                            (step << 24) + (uint64_t)text);
    for (int32_t i = 0; i < length; i++)
        if (ids[i] >= NUM_SPECIAL_TOKENS &&
            tensor_random_uniform_f64(&random) < trainer->options.word_dropout)
            ids[i] = TOKEN_UNK;
}

static void give(const Trainer *trainer, Shard *shard, const Batch *batch, int32_t text)
{
    int32_t length = length_of(batch, text), at = shard->offsets[shard->count];
    memcpy(shard->ids + at, batch->ids + batch->offsets[text], (size_t)length * sizeof *shard->ids);
    if (trainer->training && trainer->options.word_dropout > 0)
        drop_words(trainer, text, shard->ids + at, length);
    shard->texts[shard->count++] = text;
    shard->offsets[shard->count] = at + length;
}

/* Deals the texts out by length, there and back again, so that the shards have the same to do. */
static void deal(Trainer *trainer, const Batch *batch)
{
    int count = trainer->options.shards;
    for (int i = 0; i < count; i++) {
        trainer->shards[i].count = 0;
        trainer->shards[i].offsets[0] = 0;
    }
    order_by_length(trainer, batch);
    for (int32_t i = 0; i < batch->size; i++) {
        int round = i / count, place = i % count;
        give(trainer, &trainer->shards[round % 2 ? count - 1 - place : place], batch, trainer->order[i]);
    }
}

/* ---- Running a shard ---- */

/* The rows of the batch's labels that belong to the shard: [texts, K]. */
static Tensor shard_labels(Trainer *trainer, const Shard *shard)
{
    Tensor all = trainer->batch->labels;
    Tensor labels = tensor_new(tape_arena(shard->tape), TENSOR_F32, TENSOR_SHAPE(shard->count, all.shape[1]));
    for (int32_t i = 0; tensor_is_valid(labels) && i < shard->count; i++)
        tensor_copy_into(tensor_select(labels, 0, i), tensor_select(all, 0, shard->texts[i]));
    return labels;
}

static Var constant_or_none(Tape *tape, Tensor value)
{
    return tensor_is_valid(value) ? tape_constant(tape, value) : VAR_NONE;
}

static void train_shard(Trainer *trainer, Shard *shard, Var logits, double started)
{
    Tape *tape = shard->tape;
    const TrainerOptions *options = &trainer->options;
    Var target = tape_constant(tape, shard_labels(trainer, shard));
    Var sum = var_bce_with_logits(logits, target, constant_or_none(tape, options->pos_weight),
                                  constant_or_none(tape, options->weight), VAR_REDUCTION_SUM);
    double labels = options->labels > 0 ? options->labels : (double)trainer->batch->labels.shape[1];
    Var loss = var_scale(sum, 1.0 / ((double)trainer->batch->size * labels), 0.0);
    double middle = reel_clock_seconds();
    tape_backward(loss);
    shard->loss = var_item(sum);
    shard->forward = middle - started;
    shard->backward = reel_clock_seconds() - middle;
}

static void give_predictions(Trainer *trainer, Shard *shard, NnSequence text, Var logits, Var attention)
{
    Tensor values = var_value(logits);
    for (int32_t i = 0; tensor_is_valid(values) && i < shard->count; i++)
        tensor_copy_into(tensor_select(trainer->logits, 0, shard->texts[i]), tensor_select(values, 0, i));
    if (!trainer->attention || !attention.tape)
        return;
    Tensor weights = var_value(nn_unpack(nn_with_rows(text, attention)));
    for (int32_t i = 0; tensor_is_valid(weights) && i < shard->count; i++) {
        int32_t length = shard->offsets[i + 1] - shard->offsets[i];
        memcpy(trainer->attention + trainer->batch->offsets[shard->texts[i]],
               tensor_f32(weights) + shard->offsets[i], (size_t)length * sizeof(float));
    }
}

static void run_shard(void *context, int index)
{
    Trainer *trainer = context;
    Shard *shard = &trainer->shards[index];
    Tape *tape = shard->tape;
    double started = reel_clock_seconds();
    tape_begin(tape);
    tape_set_grad_enabled(tape, trainer->training);
    shard->status = reel_status_ok();
    shard->loss = shard->forward = shard->backward = 0;
    if (shard->count == 0)
        return;
    uint64_t step = (uint64_t)nn_optimizer_steps(trainer->optimizer);
    tape_set_random(tape, tensor_random_new(trainer->options.seed ^ tensor_random_stream("dropout"),
                                            step * (uint64_t)trainer->options.shards + (uint64_t)index));
    NnSequence text = nn_pack(tape, shard->ids, shard->offsets, shard->count);
    Var attention = VAR_NONE;
    Var logits = model_forward(trainer->model, text, trainer->attention ? &attention : NULL);
    if (trainer->training)
        train_shard(trainer, shard, logits, started);
    else
        give_predictions(trainer, shard, text, logits, attention);
    shard->status = *tape_status(tape);
}

static ReelStatus run_all(Trainer *trainer, const Batch *batch, bool training)
{
    if (batch->size < 1)
        return reel_status_failed("a batch must have at least one text");
    if (!reserve(trainer, batch))
        return reel_status_failed("out of memory for a batch of %d texts", batch->size);
    double started = reel_clock_seconds();
    trainer->batch = batch;
    trainer->training = training;
    deal(trainer, batch);
    nn_module_train(&trainer->model->base, training);
    if (!nn_module_prepare(&trainer->model->base))
        return reel_status_failed("out of memory for packed weights");
    double prepared = reel_clock_seconds() - started;
    tensor_pool_run(trainer->pool, run_shard, trainer, trainer->options.shards);
    trainer->times = (TrainerTimes){.prepare = prepared};
    for (int i = 0; i < trainer->options.shards; i++) {
        const Shard *shard = &trainer->shards[i];
        if (!reel_status_is_ok(&shard->status))
            return shard->status;
        if (shard->forward > trainer->times.forward)
            trainer->times.forward = shard->forward;
        if (shard->backward > trainer->times.backward)
            trainer->times.backward = shard->backward;
    }
    return reel_status_ok();
}

static bool is_batch_by_labels(const Trainer *trainer, const Batch *batch, Tensor t)
{
    return t.dtype == TENSOR_F32 && t.ndim == 2 && t.shape[0] == batch->size &&
           t.shape[1] == trainer->model->config.labels;
}

ReelStatus trainer_step(Trainer *trainer, const Batch *batch, double *loss)
{
    double started = reel_clock_seconds();
    if (!is_batch_by_labels(trainer, batch, batch->labels))
        return reel_status_failed("trainer: the labels of %d texts must be f32 [%d, %lld]", batch->size,
                                  batch->size, (long long)trainer->model->config.labels);
    nn_optimizer_set_lr(trainer->optimizer,
                        nn_schedule_lr(&trainer->options.schedule, nn_optimizer_steps(trainer->optimizer)));
    trainer->attention = NULL;
    ReelStatus status = run_all(trainer, batch, true);
    if (!reel_status_is_ok(&status))
        return status;
    double middle = reel_clock_seconds();
    int used = trainer->options.shards < batch->size ? trainer->options.shards : batch->size;
    double sum = 0;
    for (int i = 0; i < used; i++)
        sum += trainer->shards[i].loss;
    status = nn_optimizer_step(trainer->optimizer, trainer->tapes, used);
    trainer->times.optimizer = reel_clock_seconds() - middle;
    trainer->times.step = reel_clock_seconds() - started;
    bool overflowed = !reel_status_is_ok(&status) && trainer->options.optimizer.clip_norm > 0 &&
                      !isfinite(nn_optimizer_norm(trainer->optimizer));
    *loss = overflowed ? NAN : sum / ((double)batch->size * (double)batch->labels.shape[1]);
    return status;
}

ReelStatus trainer_predict(Trainer *trainer, const Batch *batch, Tensor logits, float *attention)
{
    if (!is_batch_by_labels(trainer, batch, logits))
        return reel_status_failed("trainer: the logits of %d texts must be f32 [%d, %lld]", batch->size,
                                  batch->size, (long long)trainer->model->config.labels);
    trainer->logits = logits;
    trainer->attention = attention;
    return run_all(trainer, batch, false);
}

NnOptimizer *trainer_optimizer(Trainer *trainer)
{
    return trainer->optimizer;
}

const TrainerOptions *trainer_options(const Trainer *trainer)
{
    return &trainer->options;
}

TrainerTimes trainer_times(const Trainer *trainer)
{
    return trainer->times;
}

size_t trainer_tape_bytes(const Trainer *trainer)
{
    size_t bytes = 0;
    for (int i = 0; i < trainer->options.shards; i++)
        bytes += tape_peak_bytes(trainer->tapes[i]);
    return bytes;
}

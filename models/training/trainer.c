#include "models/training/trainer.h"
#include "models/text/tokenizer.h"
#include "tensor/clock.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

/* The texts of a batch that one shard has, longest first. */
typedef struct Share {
    NnIds *texts, *labels; /* [count]; the labels only where it trains */
    int32_t *places;       /* [count]: where each stands in the batch */
    int32_t count, text_capacity;
    int32_t *ids; /* of texts that are read in another way than the batch has them */
    int64_t id_capacity;
} Share;

struct ModelTrainer {
    Model *model;
    ModelTrainerOptions options;
    NnParallel *parallel;
    NnOptimizer *optimizer;
    Share *shares;  /* [shards] */
    int32_t *order; /* the batch's texts, longest first */
    int32_t *first; /* [length_capacity + 2]: of sorting them */
    int32_t text_capacity, length_capacity;
    ModelTrainerTimes times;

    /* Of the call at hand. */
    const ModelBatch *batch;
    bool training;
    bool says_vectors; /* and not logits */
    Tensor logits;
    float *const *attention;
};

ModelTrainerOptions model_trainer_defaults(void)
{
    ModelTrainerOptions options = {.shards = 1, .threads = 1, .optimizer = nn_optimizer_options(NN_ADAM)};
    options.schedule = (NnSchedule){.kind = NN_CONSTANT, .lr = 2e-3};
    return options;
}

/* The parameters of one depth. */
typedef struct Depth {
    Model *model;
    int depth;
} Depth;

static bool lies_at(const NnParameter *parameter, void *context)
{
    const Depth *depth = context;
    return model_depth_of(depth->model, parameter) == depth->depth;
}

/* All parameters in one group, but for those with a rate of their own: a group for each depth below the
 * output's, or for the embedding's alone. */
static ReelStatus new_optimizer(ModelTrainer *trainer)
{
    const ModelTrainerOptions *o = &trainer->options;
    Model *model = trainer->model;
    int all = model_depth(model), first = o->layer_rate != 0 ? 1 : all, count = 0;
    NnParameterGroup *groups = reel_mem_calloc((size_t)all, sizeof *groups);
    Depth *depths = reel_mem_calloc((size_t)all, sizeof *depths);
    if (!groups || !depths) {
        reel_mem_free(groups);
        reel_mem_free(depths);
        return reel_status_no_memory((size_t)all * sizeof *groups, "the groups of parameters");
    }
    for (int depth = first; depth <= all; depth++) {
        double rate = depth == all && o->embedding_rate != 0 ? o->embedding_rate : pow(o->layer_rate, depth);
        if (rate == 0 || (depth == all && !model_embedding(model)))
            continue;
        depths[count] = (Depth){model, depth};
        groups[count] = nn_group_where(lies_at, &depths[count], o->optimizer);
        groups[count++].options.lr *= rate;
    }
    ReelStatus status =
        nn_optimizer_new_grouped(&trainer->optimizer, &model->base, o->optimizer, groups, count);
    reel_mem_free(groups);
    reel_mem_free(depths);
    return status;
}

ReelStatus model_trainer_new(ModelTrainer **out, Model *model, const ModelTrainerOptions *options)
{
    *out = NULL;
    if (options->shards < 1 || options->threads < 1)
        return reel_status_usage("a trainer needs at least one shard and one thread");
    if (!(options->word_dropout >= 0 && options->word_dropout < 1))
        return reel_status_usage("the word dropout is %g and must lie in [0, 1)", options->word_dropout);
    ModelTrainer *trainer = reel_mem_calloc(1, sizeof *trainer);
    if (!trainer)
        return reel_status_no_memory(sizeof *trainer, "the trainer");
    *trainer = (ModelTrainer){.model = model,
                              .options = *options,
                              .shares = reel_mem_calloc((size_t)options->shards, sizeof(Share))};
    NnParallelOptions parallel = {.shards = options->shards,
                                  .threads = options->threads,
                                  .comm = options->comm,
                                  .seed = options->seed,
                                  .check_finite = options->check_finite};
    ReelStatus status = trainer->shares
                            ? nn_parallel_new(&trainer->parallel, &model->base, &parallel)
                            : reel_status_no_memory((size_t)options->shards * sizeof(Share), "the trainer");
    if (reel_status_is_ok(&status))
        status = new_optimizer(trainer);
    if (!reel_status_is_ok(&status)) {
        model_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return status;
}

void model_trainer_free(ModelTrainer *trainer)
{
    if (!trainer)
        return;
    nn_optimizer_free(trainer->optimizer);
    nn_parallel_free(trainer->parallel);
    for (int i = 0; trainer->shares && i < trainer->options.shards; i++) {
        reel_mem_free(trainer->shares[i].texts);
        reel_mem_free(trainer->shares[i].labels);
        reel_mem_free(trainer->shares[i].places);
        reel_mem_free(trainer->shares[i].ids);
    }
    reel_mem_free(trainer->shares);
    reel_mem_free(trainer->order);
    reel_mem_free(trainer->first);
    reel_mem_free(trainer);
}

/* ---- Splitting a batch ---- */

static int32_t length_of(const ModelBatch *batch, int32_t text)
{
    return batch->padded ? batch->padded : batch->texts[text].count;
}

static int32_t longest_of(const ModelBatch *batch)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < batch->size; i++)
        longest = length_of(batch, i) > longest ? length_of(batch, i) : longest;
    return longest;
}

/* Room for `count` ids. */
static bool grow(int32_t **array, int64_t count)
{
    int32_t *larger = reel_mem_realloc(*array, (size_t)count * sizeof *larger);
    if (larger)
        *array = larger;
    return larger != NULL;
}

/* Room to sort a batch. Grows to the largest and stays. */
static bool reserve(ModelTrainer *trainer, const ModelBatch *batch)
{
    int32_t longest = longest_of(batch);
    if (longest > trainer->length_capacity || !trainer->first) {
        if (!grow(&trainer->first, (int64_t)longest + 2))
            return false;
        trainer->length_capacity = longest;
    }
    if (batch->size > trainer->text_capacity) {
        if (!grow(&trainer->order, batch->size))
            return false;
        trainer->text_capacity = batch->size;
    }
    return true;
}

/* Room in a share for `count` texts. */
static bool reserve_share(Share *share, int32_t count)
{
    if (count <= share->text_capacity)
        return true;
    NnIds *texts = reel_mem_realloc(share->texts, (size_t)count * sizeof *texts),
          *labels = reel_mem_realloc(share->labels, (size_t)count * sizeof *labels);
    share->texts = texts ? texts : share->texts;
    share->labels = labels ? labels : share->labels;
    if (!texts || !labels || !grow(&share->places, count))
        return false;
    share->text_capacity = count;
    return true;
}

/* The texts longest first, equal ones in their order: a counting sort. */
static void order_by_length(ModelTrainer *trainer, const ModelBatch *batch)
{
    int32_t longest = longest_of(batch), *first = trainer->first;
    memset(first, 0, ((size_t)longest + 2) * sizeof *first);
    for (int32_t i = 0; i < batch->size; i++)
        first[longest - length_of(batch, i) + 1]++;
    for (int32_t l = 0; l <= longest; l++)
        first[l + 1] += first[l];
    for (int32_t i = 0; i < batch->size; i++)
        trainer->order[first[longest - length_of(batch, i)]++] = i;
}

/* Replaces words by <unk> (Iyyer et al. 2015, section 3.1), drawn for each text of the batch by itself, so
 * that what is drawn does not depend on the shards. */
static void drop_words(const ModelTrainer *trainer, int32_t text, int32_t *ids, int32_t length)
{
    uint64_t step = (uint64_t)nn_optimizer_steps(trainer->optimizer);
    TensorRandom random = tensor_random_new(trainer->options.seed ^ tensor_random_stream("words"),
                                            (step << 24) + (uint64_t)text);
    for (int32_t i = 0; i < length; i++)
        if (ids[i] >= MODEL_NUM_SPECIAL_TOKENS &&
            tensor_random_uniform_f64(&random) < trainer->options.word_dropout)
            ids[i] = MODEL_TOKEN_UNK;
}

/* Fills the texts of a share up with <pad>, or drops words of them, in a copy. False: no memory. */
static bool rewrite(const ModelTrainer *trainer, Share *share, const ModelBatch *batch)
{
    int64_t needed = 0;
    for (int32_t i = 0; i < share->count; i++)
        needed += length_of(batch, share->places[i]);
    if (needed > share->id_capacity) {
        if (!grow(&share->ids, needed))
            return false;
        share->id_capacity = needed;
    }
    int32_t *to = share->ids;
    for (int32_t i = 0; i < share->count; i++) {
        NnIds text = share->texts[i];
        int32_t length = length_of(batch, share->places[i]);
        memcpy(to, text.ids, (size_t)text.count * sizeof *to);
        for (int32_t t = text.count; t < length; t++)
            to[t] = MODEL_TOKEN_PAD;
        if (trainer->training && trainer->options.word_dropout > 0)
            drop_words(trainer, share->places[i], to, text.count);
        share->texts[i] = (NnIds){to, length};
        to += length;
    }
    return true;
}

/* Deals the texts out by length, there and back again, so that the shards have the same to do. False: no
 * memory. */
static bool deal(ModelTrainer *trainer, const ModelBatch *batch)
{
    int count = trainer->options.shards;
    for (int i = 0; i < count; i++) {
        trainer->shares[i].count = 0;
        if (!reserve_share(&trainer->shares[i], batch->size / count + 1))
            return false;
    }
    order_by_length(trainer, batch);
    for (int32_t i = 0; i < batch->size; i++) {
        int round = i / count, place = i % count;
        Share *share = &trainer->shares[round % 2 ? count - 1 - place : place];
        int32_t text = trainer->order[i];
        share->texts[share->count] = batch->texts[text];
        if (trainer->training)
            share->labels[share->count] = batch->labels[text];
        share->places[share->count++] = text;
    }
    bool rewrites = batch->padded || (trainer->training && trainer->options.word_dropout > 0);
    for (int i = 0; rewrites && i < count; i++)
        if (nn_parallel_has(trainer->parallel, i) && !rewrite(trainer, &trainer->shares[i], batch))
            return false;
    return true;
}

/* ---- Running a shard ---- */

static Var constant_or_none(Tape *tape, Tensor value)
{
    return tensor_is_valid(value) ? tape_constant(tape, value) : VAR_NONE;
}

static ModelInput input_of(const ModelTrainer *trainer, const Share *share, Tape *tape)
{
    return model_input(trainer->model, tape, share->texts, share->count);
}

static Var loss_of_shard(void *context, Tape *tape, int index, int count)
{
    const ModelTrainer *trainer = context;
    const ModelTrainerOptions *options = &trainer->options;
    const Share *share = &trainer->shares[index];
    (void)count;
    if (share->count == 0)
        return VAR_NONE;
    Var logits = model_forward(trainer->model, input_of(trainer, share, tape)).logits;
    Var target = model_label_rows(tape, share->labels, share->count, trainer->model->config.labels);
    ModelLossFunction *loss = options->loss ? options->loss : model_loss_sigmoid;
    Var sum = loss(logits, target, constant_or_none(tape, options->pos_weight),
                   constant_or_none(tape, options->weight));
    nn_parallel_report(trainer->parallel, index, var_item(sum));
    double labels = options->labels > 0 ? options->labels : (double)trainer->model->config.labels;
    return var_scale(sum, 1.0 / ((double)trainer->batch->size * labels), 0.0);
}

/* The logits of a shard's texts, [texts, K], and behind them the weights of its ids, where these are wanted.
 */
static Tensor predict_shard(void *context, Tape *tape, int index)
{
    const ModelTrainer *trainer = context;
    const Share *share = &trainer->shares[index];
    if (share->count == 0)
        return tensor_invalid();
    ModelInput input = input_of(trainer, share, tape);
    ModelOutput output = model_forward(trainer->model, input);
    Var said = trainer->says_vectors ? output.vectors : output.logits;
    Tensor logits = tensor_contiguous(tape_arena(tape), var_value(said));
    if (!trainer->attention || !output.attention.tape || !tensor_is_valid(logits))
        return logits;
    Tensor weights = var_value(nn_unpack(nn_with_rows(input.text, output.attention)));
    int64_t scores = tensor_numel(&logits), ids = tensor_numel(&weights);
    Tensor both = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(scores + ids));
    if (!tensor_is_valid(weights) || !tensor_is_valid(both))
        return tensor_invalid();
    memcpy(tensor_f32(both), tensor_f32(logits), (size_t)scores * sizeof(float));
    memcpy(tensor_f32(both) + scores, tensor_f32(weights), (size_t)ids * sizeof(float));
    return both;
}

static void take_predictions(void *context, int index, Tensor result)
{
    const ModelTrainer *trainer = context;
    const Share *share = &trainer->shares[index];
    int64_t labels = trainer->logits.shape[1], scores = share->count * labels;
    if (!tensor_is_valid(result))
        return;
    for (int32_t i = 0; i < share->count; i++)
        tensor_copy_into(tensor_select(trainer->logits, 0, share->places[i]),
                         tensor_from(tensor_f32(result) + i * labels, TENSOR_F32, TENSOR_SHAPE(labels)));
    if (tensor_numel(&result) == scores)
        return;
    const float *weights = tensor_f32(result) + scores;
    for (int32_t i = 0; i < share->count; weights += share->texts[i++].count)
        memcpy(trainer->attention[share->places[i]], weights,
               (size_t)trainer->batch->texts[share->places[i]].count * sizeof(float));
}

/* Gives each shard its texts. */
static ReelStatus begin_batch(ModelTrainer *trainer, const ModelBatch *batch, bool training)
{
    if (batch->size < 1)
        return reel_status_failed("a batch must have at least one text");
    trainer->batch = batch;
    trainer->training = training;
    if (!reserve(trainer, batch) || !deal(trainer, batch))
        return reel_status_failed("out of memory for a batch of %d texts", batch->size);
    nn_module_train(&trainer->model->base, training);
    return reel_status_ok();
}

/* A batch to train on names labels that there are. */
static ReelStatus check_labels(const ModelTrainer *trainer, const ModelBatch *batch)
{
    if (!batch->labels)
        return reel_status_failed("trainer: the batch has no labels to train on");
    for (int32_t i = 0; i < batch->size; i++)
        for (int32_t k = 0; k < batch->labels[i].count; k++)
            if (batch->labels[i].ids[k] < 0 || batch->labels[i].ids[k] >= trainer->model->config.labels)
                return reel_status_failed("trainer: text %d has label %d, and the model has labels 0 to %lld",
                                          i, batch->labels[i].ids[k],
                                          (long long)trainer->model->config.labels - 1);
    return reel_status_ok();
}

ReelStatus model_trainer_step(ModelTrainer *trainer, const ModelBatch *batch, double *loss)
{
    double started = reel_clock_seconds();
    ReelStatus status = check_labels(trainer, batch);
    if (!reel_status_is_ok(&status))
        return status;
    nn_optimizer_set_lr(trainer->optimizer,
                        nn_schedule_lr(&trainer->options.schedule, nn_optimizer_steps(trainer->optimizer)));
    double sum = 0;
    status = begin_batch(trainer, batch, true);
    double dealt = reel_clock_seconds() - started;
    nn_parallel_set_step(trainer->parallel, nn_optimizer_steps(trainer->optimizer));
    if (reel_status_is_ok(&status))
        status = nn_parallel_backward(trainer->parallel, loss_of_shard, trainer, &sum);
    if (!reel_status_is_ok(&status))
        return status;
    double middle = reel_clock_seconds();
    NnParallelTimes times = nn_parallel_times(trainer->parallel);
    status = nn_optimizer_step(trainer->optimizer, nn_parallel_pieces(trainer->parallel));
    trainer->times = (ModelTrainerTimes){.prepare = dealt + times.prepare,
                                         .forward = times.forward,
                                         .backward = times.backward,
                                         .optimizer = reel_clock_seconds() - middle,
                                         .step = reel_clock_seconds() - started};
    bool overflowed = !reel_status_is_ok(&status) && trainer->options.optimizer.clip_norm > 0 &&
                      !isfinite(nn_optimizer_norm(trainer->optimizer));
    double decisions =
        trainer->options.decisions > 0 ? trainer->options.decisions : (double)trainer->model->config.labels;
    *loss = overflowed ? NAN : sum / ((double)batch->size * decisions);
    return status;
}

ReelStatus model_trainer_predict(ModelTrainer *trainer, const ModelBatch *batch, Tensor logits,
                                 float *const *attention)
{
    const Model *model = trainer->model;
    int64_t width = trainer->says_vectors ? model_width(model) : model->config.labels;
    if (logits.dtype != TENSOR_F32 || logits.ndim != 2 || logits.shape[0] != batch->size ||
        logits.shape[1] != width)
        return reel_status_failed("trainer: the %s of %d texts must be f32 [%d, %lld]",
                                  trainer->says_vectors ? "vectors" : "logits", batch->size, batch->size,
                                  (long long)width);
    trainer->logits = logits;
    trainer->attention = attention;
    ReelStatus status = begin_batch(trainer, batch, false);
    return reel_status_is_ok(&status) ? nn_parallel_each(trainer->parallel, predict_shard, take_predictions,
                                                         trainer, trainer->options.shards)
                                      : status;
}

void model_trainer_say_vectors(ModelTrainer *trainer, bool on)
{
    trainer->says_vectors = on;
}

ReelStatus model_trainer_check(ModelTrainer *trainer, const char *what)
{
    return nn_parallel_check(trainer->parallel, what);
}

NnOptimizer *model_trainer_optimizer(ModelTrainer *trainer)
{
    return trainer->optimizer;
}

ModelTrainerTimes model_trainer_times(const ModelTrainer *trainer)
{
    return trainer->times;
}

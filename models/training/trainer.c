#include "models/training/trainer.h"
#include "models/text/tokenizer.h"
#include "models/training/shares_internal.h"
#include "tensor/clock.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

struct ModelTrainer {
    Model *model;
    ModelTrainerOptions options;
    ModelShares shares;
    NnOptimizer *optimizer;
    ModelTrainerTimes times;
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
    trainer->model = model;
    trainer->options = *options;
    NnParallelOptions parallel = {.shards = options->shards,
                                  .threads = options->threads,
                                  .comm = options->comm,
                                  .seed = options->seed,
                                  .check_finite = options->check_finite};
    ReelStatus status = model_shares_init(&trainer->shares, model, &parallel);
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
    model_shares_free(&trainer->shares);
    reel_mem_free(trainer);
}

/* ---- A shard ---- */

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

static Var constant_or_none(Tape *tape, Tensor value)
{
    return tensor_is_valid(value) ? tape_constant(tape, value) : VAR_NONE;
}

static Var loss_of_shard(void *context, Tape *tape, int index, int count)
{
    const ModelTrainer *trainer = context;
    const ModelTrainerOptions *options = &trainer->options;
    const ModelShare *share = &trainer->shares.shares[index];
    (void)count;
    if (share->count == 0)
        return VAR_NONE;
    Var logits = model_forward(trainer->model, model_share_input(&trainer->shares, share, tape)).logits;
    Var target = model_label_rows(tape, share->labels, share->count, trainer->model->config.labels);
    ModelLossFunction *loss = options->loss ? options->loss : model_loss_sigmoid;
    Var sum = loss(logits, target, constant_or_none(tape, options->pos_weight),
                   constant_or_none(tape, options->weight));
    nn_parallel_report(trainer->shares.parallel, index, var_item(sum));
    double labels = options->labels > 0 ? options->labels : (double)trainer->model->config.labels;
    return var_scale(sum, 1.0 / ((double)trainer->shares.batch->size * labels), 0.0);
}

/* Gives each shard its texts, less the words that are dropped. */
static ReelStatus begin_step(ModelTrainer *trainer, const ModelBatch *batch)
{
    ModelShares *shares = &trainer->shares;
    bool drops = trainer->options.word_dropout > 0;
    ReelStatus status = model_shares_deal(shares, batch, true, drops);
    nn_module_train(&trainer->model->base, true);
    for (int i = 0; drops && reel_status_is_ok(&status) && i < shares->count; i++) {
        const ModelShare *share = &shares->shares[i];
        int32_t *ids = share->ids; /* of all its texts, one after the other */
        for (int32_t k = 0; nn_parallel_has(shares->parallel, i) && k < share->count; k++) {
            drop_words(trainer, share->places[k], ids, share->texts[k].count);
            ids += share->texts[k].count;
        }
    }
    return status;
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
    status = begin_step(trainer, batch);
    double dealt = reel_clock_seconds() - started;
    nn_parallel_set_step(trainer->shares.parallel, nn_optimizer_steps(trainer->optimizer));
    if (reel_status_is_ok(&status))
        status = nn_parallel_backward(trainer->shares.parallel, loss_of_shard, trainer, &sum);
    if (!reel_status_is_ok(&status))
        return status;
    double middle = reel_clock_seconds();
    NnParallelTimes times = nn_parallel_times(trainer->shares.parallel);
    status = nn_optimizer_step(trainer->optimizer, nn_parallel_pieces(trainer->shares.parallel));
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
    nn_module_train(&trainer->model->base, false);
    return model_shares_predict(&trainer->shares, batch, logits, attention);
}

ModelShares *model_trainer_shares(ModelTrainer *trainer)
{
    return &trainer->shares;
}

ReelStatus model_trainer_check(ModelTrainer *trainer, const char *what)
{
    return nn_parallel_check(trainer->shares.parallel, what);
}

NnOptimizer *model_trainer_optimizer(ModelTrainer *trainer)
{
    return trainer->optimizer;
}

ModelTrainerTimes model_trainer_times(const ModelTrainer *trainer)
{
    return trainer->times;
}

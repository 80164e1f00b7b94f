#include "models/language/language.h"

#include "autograd/ops.h"
#include "nn/training_place.h"
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PLACE "reel/language_training.json"

enum { SETTINGS_SIZE = 400, WINDOW = 50, LEAST_OF_ADAPTIVE = 1000, LEAST_WIDTH = 16 };

/* What is predicted in one go: `count` ids of a text, the first of which is only read. */
typedef struct Piece {
    int64_t begin;
    int32_t count;
} Piece;

/* Texts as pieces, in the order in which batches take them. */
typedef struct Plan {
    const ModelLanguageTexts *texts;
    Piece *pieces; /* [count] */
    int32_t count;
    int64_t tokens;
    int32_t *order;   /* [count]: batch b has those from b * batch on */
    int32_t *batches; /* [(count + batch - 1) / batch]: the order of the batches */
} Plan;

struct ModelLanguage {
    NnModule base;
    NnDropout dropout;
    NnAdaptiveSoftmax next, previous; /* previous: where the encoder has both directions */
    ModelLanguageEncoder encoder;
    ModelLanguageOptions options;
    int32_t ids;
    int32_t *order; /* [ids] the class of each id */
    Plan plan;
    NnParallel *parallel;
    NnOptimizer *optimizer;
    int epoch; /* from 1 */
    int64_t batch;
    double loss_sum; /* of this epoch */
    int64_t seen;
};

ModelLanguageOptions model_language_defaults(void)
{
    return (ModelLanguageOptions){
        .batch = 64, .length = 128, .epochs = 1, .lr = 2e-3, .clip = 1, .shards = 2, .threads = 1};
}

/* ---- The order of the texts ---- */

static void plan_free(Plan *plan)
{
    reel_mem_free(plan->pieces);
    reel_mem_free(plan->order);
    reel_mem_free(plan->batches);
    *plan = (Plan){0};
}

static int32_t batches_of(const Plan *plan, int batch)
{
    return (plan->count + batch - 1) / batch;
}

/* Cuts the texts. The last id of a piece is the first one of the next. */
static ReelStatus plan_init(Plan *plan, const ModelLanguageTexts *texts, int length, int batch)
{
    int64_t count = 0;
    for (int64_t i = 0; i < texts->count; i++)
        count += (texts->offsets[i + 1] - texts->offsets[i] - 2) / length + 1;
    if (count == 0)
        return reel_status_failed("there are no texts to learn from");
    if (count > INT32_MAX - batch)
        return reel_status_failed(
            "%lld pieces of texts are more than 2^31; give fewer texts, or longer pieces", (long long)count);
    *plan = (Plan){.texts = texts, .count = (int32_t)count};
    plan->pieces = reel_mem_alloc((size_t)count * sizeof *plan->pieces);
    plan->order = reel_mem_alloc((size_t)count * sizeof *plan->order);
    plan->batches = reel_mem_alloc((size_t)batches_of(plan, batch) * sizeof *plan->batches);
    if (!plan->pieces || !plan->order || !plan->batches)
        return reel_status_no_memory((size_t)count * sizeof *plan->pieces, "the order of the texts");
    Piece *piece = plan->pieces;
    for (int64_t i = 0; i < texts->count; i++)
        for (int64_t at = texts->offsets[i]; at < texts->offsets[i + 1] - 1; at += length) {
            int64_t left = texts->offsets[i + 1] - at;
            *piece = (Piece){at, (int32_t)(left < length + 1 ? left : length + 1)};
            plan->tokens += piece++->count - 1;
        }
    return reel_status_ok();
}

/* Pieces of one length are side by side, the longest first: a batch of them has short steps at its end alone.
 */
static void sort_by_length(const Plan *plan, int32_t *order, int32_t count, int32_t *scratch, int32_t *starts,
                           int length)
{
    memset(starts, 0, ((size_t)length + 3) * sizeof *starts);
    for (int32_t i = 0; i < count; i++)
        starts[length + 1 - plan->pieces[order[i]].count + 1]++;
    for (int32_t l = 0; l <= length + 1; l++)
        starts[l + 1] += starts[l];
    for (int32_t i = 0; i < count; i++)
        scratch[starts[length + 1 - plan->pieces[order[i]].count]++] = order[i];
    memcpy(order, scratch, (size_t)count * sizeof *order);
}

/* Shuffles the pieces, sorts some batches' worth of them by length, and shuffles the batches. Without
 * `random` all are sorted. */
static ReelStatus plan_order(Plan *plan, TensorRandom *random, int batch, int length)
{
    int32_t window = random && plan->count / WINDOW > batch ? WINDOW * batch : plan->count;
    int32_t batches = batches_of(plan, batch);
    int32_t *scratch = reel_mem_alloc((size_t)window * sizeof *scratch),
            *starts = reel_mem_alloc(((size_t)length + 3) * sizeof *starts);
    for (int32_t i = 0; i < plan->count; i++)
        plan->order[i] = i;
    for (int32_t i = 0; i < batches; i++)
        plan->batches[i] = i;
    if (random)
        tensor_random_permutation(random, plan->order, plan->count);
    for (int32_t at = 0; scratch && starts && at < plan->count; at += window) {
        int32_t left = plan->count - at;
        sort_by_length(plan, plan->order + at, left < window ? left : window, scratch, starts, length);
    }
    if (random)
        tensor_random_permutation(random, plan->batches, batches);
    reel_mem_free(scratch);
    reel_mem_free(starts);
    return scratch && starts
               ? reel_status_ok()
               : reel_status_no_memory((size_t)window * sizeof *scratch, "the order of the texts");
}

/* ---- The loss of some pieces ---- */

/* A batch of pieces, or the part of it that a shard has. */
typedef struct Rows {
    const Plan *plan;
    const int32_t *pieces;
    int32_t count;
} Rows;

static Rows batch_rows(const Plan *plan, int64_t batch, int size)
{
    int32_t first = plan->batches[batch] * size, left = plan->count - first;
    return (Rows){plan, plan->order + first, left < size ? left : size};
}

static int64_t tokens_of(Rows rows)
{
    int64_t tokens = 0;
    for (int32_t i = 0; i < rows.count; i++)
        tokens += rows.plan->pieces[rows.pieces[i]].count - 1;
    return tokens;
}

/* The ids that are read, and of each the class of its neighbour; -1: there is none. */
typedef struct Packed {
    int32_t *ids, *next, *previous, *offsets;
} Packed;

static bool lay_out(const ModelLanguage *m, Tape *tape, Rows rows, Packed *p)
{
    bool both = m->encoder.both;
    size_t most = (size_t)(tokens_of(rows) + rows.count), at = 0;
    p->ids = tensor_arena_alloc(tape_arena(tape), (3 * most + (size_t)rows.count + 1) * sizeof *p->ids);
    if (!p->ids)
        return false;
    p->next = p->ids + most;
    p->previous = p->next + most;
    p->offsets = p->previous + most;
    p->offsets[0] = 0;
    for (int32_t i = 0; i < rows.count; i++) {
        Piece piece = rows.plan->pieces[rows.pieces[i]];
        const int32_t *text = rows.plan->texts->ids.ids + piece.begin;
        int32_t read = both ? piece.count : piece.count - 1;
        for (int32_t t = 0; t < read; t++, at++) {
            p->ids[at] = text[t];
            p->next[at] = t + 1 < piece.count ? m->order[text[t + 1]] : -1;
            p->previous[at] = t > 0 ? m->order[text[t - 1]] : -1;
        }
        p->offsets[i + 1] = (int32_t)at;
    }
    return true;
}

/* The loss of the rows that have a class. */
static Var loss_of_rows(NnAdaptiveSoftmax *softmax, Var states, NnSequence classes)
{
    Tape *tape = states.tape;
    Tensor all = var_value(classes.rows);
    int64_t n = tensor_is_valid(all) ? all.shape[0] : 0, count = 0;
    int32_t *rows = tensor_arena_alloc(tape_arena(tape), 2 * (size_t)n * sizeof *rows), *known = rows + n;
    if (!rows)
        return tape_fail(tape, "a language model: out of memory");
    for (int64_t i = 0; i < n; i++)
        if (tensor_i32(all)[i] >= 0) {
            known[count] = tensor_i32(all)[i];
            rows[count++] = (int32_t)i;
        }
    if (count < n)
        states =
            var_gather_rows(states, tape_constant(tape, tensor_from(rows, TENSOR_I32, TENSOR_SHAPE(count))));
    Var target = tape_constant(tape, tensor_from(known, TENSOR_I32, TENSOR_SHAPE(count)));
    return nn_adaptive_softmax_loss(softmax, states, target, VAR_REDUCTION_SUM);
}

/* The sum over all ids that are predicted; of both directions, the mean of the two. */
static Var sum_of_losses(ModelLanguage *m, Tape *tape, Rows rows)
{
    Packed p;
    if (!lay_out(m, tape, rows, &p))
        return tape_fail(tape, "a language model: out of memory");
    NnSequence text = nn_pack(tape, p.ids, p.offsets, rows.count);
    NnSequence states = m->encoder.states(m->encoder.context, text);
    if (!tape_ok(tape))
        return (Var){.tape = tape};
    states = nn_dropout_locked(&m->dropout, states);
    int64_t width = m->encoder.width;
    Var forward = m->encoder.both ? var_slice(states.rows, 1, 0, width, 1) : states.rows;
    Var loss = loss_of_rows(&m->next, forward, nn_pack(tape, p.next, p.offsets, rows.count));
    if (!m->encoder.both)
        return loss;
    Var backward = var_slice(states.rows, 1, width, 2 * width, 1);
    Var other = loss_of_rows(&m->previous, backward, nn_pack(tape, p.previous, p.offsets, rows.count));
    return var_scale(var_add(loss, other), 0.5, 0);
}

/* ---- Making and freeing ---- */

static ReelStatus check_options(const ModelLanguageOptions *o)
{
    if (o->batch < 1 || o->length < 1 || o->epochs < 0 || o->shards < 1 || o->threads < 1 || !(o->lr > 0) ||
        !(o->clip >= 0))
        return reel_status_usage("a language model: batch, length, shards, threads and lr must be positive, "
                                 "epochs and clip not negative");
    return reel_status_ok();
}

/* PyTorch's example for 30,000 words has cutoffs 2,000 and 10,000. */
static NnAdaptiveOptions cutoffs(const ModelLanguage *m)
{
    NnAdaptiveOptions options = nn_adaptive_options();
    if (m->options.full || m->ids < LEAST_OF_ADAPTIVE || m->encoder.width < LEAST_WIDTH)
        return options;
    options.count = 2;
    options.cutoffs[0] = m->ids / 15;
    options.cutoffs[1] = m->ids / 3;
    return options;
}

static ReelStatus build(ModelLanguage **out, ModelLanguageEncoder encoder, int32_t ids,
                        const ModelLanguageOptions *options)
{
    *out = NULL;
    ReelStatus status = check_options(options);
    if (!reel_status_is_ok(&status))
        return status;
    ModelLanguage *m = reel_mem_calloc(1, sizeof *m);
    int32_t *order = reel_mem_alloc((size_t)ids * sizeof *order);
    if (!m || !order) {
        reel_mem_free(m);
        reel_mem_free(order);
        return reel_status_no_memory((size_t)ids * sizeof *order, "the model");
    }
    m->encoder = encoder;
    m->options = *options;
    m->ids = ids;
    m->order = order;
    m->epoch = 1;
    nn_module_init(&m->base);
    nn_module_add(&m->base, encoder.module, "encoder");
    NN_ADD(m, dropout, nn_dropout_init, options->dropout);
    NN_ADD(m, next, nn_adaptive_softmax_init, encoder.width, ids, cutoffs(m));
    if (encoder.both)
        NN_ADD(m, previous, nn_adaptive_softmax_init, encoder.width, ids, cutoffs(m));
    *out = m;
    return nn_module_status(&m->base);
}

/* An id and how often it is predicted. */
typedef struct Ranked {
    int64_t count;
    int32_t id;
} Ranked;

static int by_count(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : (x->id > y->id) - (x->id < y->id);
}

static ReelStatus rank_ids(ModelLanguage *m, const ModelLanguageTexts *texts)
{
    Ranked *ranked = reel_mem_calloc((size_t)m->ids, sizeof *ranked);
    if (!ranked)
        return reel_status_no_memory((size_t)m->ids * sizeof *ranked, "the order of the words");
    ReelStatus status = reel_status_ok();
    for (int32_t i = 0; i < m->ids; i++)
        ranked[i].id = i;
    for (size_t i = 0; i < texts->ids.count; i++) {
        int32_t id = texts->ids.ids[i];
        if (id < 0 || id >= m->ids) {
            status = reel_status_failed("id %d of the texts is not below %d", id, m->ids);
            break;
        }
        ranked[id].count++;
    }
    qsort(ranked, (size_t)m->ids, sizeof *ranked, by_count);
    for (int32_t i = 0; i < m->ids; i++)
        m->order[ranked[i].id] = i;
    reel_mem_free(ranked);
    return status;
}

/* The engine, when it is first needed: the weights are there then. */
static ReelStatus prepare_parallel(ModelLanguage *m)
{
    const ModelLanguageOptions *o = &m->options;
    if (m->parallel)
        return reel_status_ok();
    return nn_parallel_new(
        &m->parallel, &m->base,
        &(NnParallelOptions){.shards = o->shards, .threads = o->threads, .comm = o->comm, .seed = o->seed});
}

static ReelStatus prepare_optimizer(ModelLanguage *m)
{
    NnOptimizerOptions adam = nn_optimizer_options(NN_ADAM);
    adam.lr = m->options.lr;
    adam.clip_norm = m->options.clip;
    return nn_optimizer_new(&m->optimizer, &m->base, adam);
}

ReelStatus model_language_new(ModelLanguage **model, ModelLanguageEncoder encoder, int32_t ids,
                              const ModelLanguageTexts *texts, const ModelLanguageOptions *options)
{
    ModelLanguage *m;
    ReelStatus status = build(&m, encoder, ids, options);
    if (reel_status_is_ok(&status))
        status = plan_init(&m->plan, texts, options->length, options->batch);
    if (reel_status_is_ok(&status))
        status = rank_ids(m, texts);
    if (reel_status_is_ok(&status))
        status = nn_module_reset(&m->next.base, options->seed ^ tensor_random_stream("next"));
    if (reel_status_is_ok(&status) && encoder.both)
        status = nn_module_reset(&m->previous.base, options->seed ^ tensor_random_stream("previous"));
    if (reel_status_is_ok(&status))
        status = prepare_parallel(m);
    if (reel_status_is_ok(&status))
        status = prepare_optimizer(m);
    *model = m;
    if (!reel_status_is_ok(&status)) {
        model_language_free(m);
        *model = NULL;
    }
    return status;
}

ReelStatus model_language_restore(ModelLanguage **model, ModelLanguageEncoder encoder, int32_t ids,
                                  const int32_t *order, const ModelLanguageOptions *options)
{
    ModelLanguage *m;
    ReelStatus status = build(&m, encoder, ids, options);
    if (reel_status_is_ok(&status)) {
        memcpy(m->order, order, (size_t)ids * sizeof *order);
    } else {
        model_language_free(m);
        m = NULL;
    }
    *model = m;
    return status;
}

void model_language_free(ModelLanguage *m)
{
    if (!m)
        return;
    nn_optimizer_free(m->optimizer);
    nn_parallel_free(m->parallel);
    nn_module_free(&m->base);
    plan_free(&m->plan);
    reel_mem_free(m->order);
    reel_mem_free(m);
}

NnModule *model_language_module(ModelLanguage *m)
{
    return &m->base;
}

const int32_t *model_language_order(const ModelLanguage *m)
{
    return m->order;
}

int model_language_epoch(const ModelLanguage *m)
{
    return m->epoch;
}

int64_t model_language_tokens(const ModelLanguage *m)
{
    return m->plan.tokens;
}

/* ---- Training ---- */

static Var shard_loss(void *context, Tape *tape, int shard, int shards)
{
    ModelLanguage *m = context;
    Rows all = batch_rows(&m->plan, m->batch, m->options.batch), part = all;
    int32_t from = (int32_t)((int64_t)all.count * shard / shards),
            to = (int32_t)((int64_t)all.count * (shard + 1) / shards);
    part.pieces += from;
    part.count = to - from;
    if (part.count == 0)
        return VAR_NONE;
    return var_scale(sum_of_losses(m, tape, part), 1.0 / (double)tokens_of(all), 0);
}

static ReelStatus begin_epoch(ModelLanguage *m)
{
    TensorRandom random =
        tensor_random_new(m->options.seed ^ tensor_random_stream("texts"), (uint64_t)m->epoch);
    return plan_order(&m->plan, &random, m->options.batch, m->options.length);
}

static ReelStatus update(ModelLanguage *m, int64_t batches)
{
    const ModelLanguageOptions *o = &m->options;
    double loss;
    int64_t step = (m->epoch - 1) * batches + m->batch,
            tokens = tokens_of(batch_rows(&m->plan, m->batch, o->batch));
    NnSchedule schedule = {.kind = NN_COSINE, .lr = o->lr, .total = o->epochs * batches};
    nn_optimizer_set_lr(m->optimizer, nn_schedule_lr(&schedule, step));
    nn_parallel_set_step(m->parallel, step);
    ReelStatus status = nn_parallel_backward(m->parallel, shard_loss, m, &loss);
    if (reel_status_is_ok(&status) && !isfinite(loss))
        status =
            reel_status_failed("a language model: the loss is not a number in epoch %d, batch %lld; lower "
                               "its learning rate",
                               m->epoch, (long long)m->batch + 1);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_step(m->optimizer, nn_parallel_pieces(m->parallel));
    m->loss_sum += loss * (double)tokens;
    m->seen += tokens;
    m->batch++;
    return status;
}

ReelStatus model_language_train(ModelLanguage *m, int epoch, ModelLanguageWatcher *watcher, void *context,
                                bool *finished)
{
    double started = reel_clock_seconds();
    int64_t tokens = 0, batches = batches_of(&m->plan, m->options.batch);
    *finished = false;
    while (m->epoch <= epoch) {
        ReelStatus status = begin_epoch(m);
        while (reel_status_is_ok(&status) && m->batch < batches) {
            int64_t before = m->seen;
            status = update(m, batches);
            tokens += m->seen - before;
            ModelLanguageProgress progress = {m->epoch,
                                              m->options.epochs,
                                              m->batch,
                                              batches,
                                              m->loss_sum / (double)m->seen,
                                              reel_clock_seconds() - started,
                                              tokens};
            if (reel_status_is_ok(&status) && watcher && !watcher(context, &progress))
                return status;
        }
        if (!reel_status_is_ok(&status))
            return status;
        m->epoch++;
        m->batch = m->seen = 0;
        m->loss_sum = 0;
    }
    *finished = true;
    return reel_status_ok();
}

/* ---- Asking ---- */

typedef struct Evaluation {
    ModelLanguage *model;
    Plan plan;
    double sum;
} Evaluation;

static Tensor batch_loss(void *context, Tape *tape, int task)
{
    Evaluation *e = context;
    return var_value(sum_of_losses(e->model, tape, batch_rows(&e->plan, task, e->model->options.batch)));
}

static void add_loss(void *context, int task, Tensor result)
{
    (void)task;
    ((Evaluation *)context)->sum += tensor_get(&result, NULL);
}

ReelStatus model_language_evaluate(ModelLanguage *m, const ModelLanguageTexts *texts, double *loss,
                                   int64_t *tokens)
{
    const ModelLanguageOptions *o = &m->options;
    Evaluation e = {.model = m};
    ReelStatus status = plan_init(&e.plan, texts, o->length, o->batch);
    if (reel_status_is_ok(&status))
        status = plan_order(&e.plan, NULL, o->batch, o->length);
    if (reel_status_is_ok(&status))
        status = prepare_parallel(m);
    if (reel_status_is_ok(&status)) {
        nn_module_train(&m->base, false);
        status = nn_parallel_each(m->parallel, batch_loss, add_loss, &e, batches_of(&e.plan, o->batch));
        nn_module_train(&m->base, true);
    }
    *loss = e.plan.tokens ? e.sum / (double)e.plan.tokens : NAN;
    if (tokens)
        *tokens = e.plan.tokens;
    plan_free(&e.plan);
    return status;
}

bool model_language_log_prob(ModelLanguage *m, Var states, float *scores)
{
    Tensor all = var_value(nn_adaptive_softmax_log_prob(&m->next, states));
    if (!tensor_is_valid(all))
        return false;
    for (int64_t n = 0; n < all.shape[0]; n++)
        for (int32_t i = 0; i < m->ids; i++)
            scores[n * m->ids + i] = (float)tensor_get(&all, (int64_t[]){n, m->order[i]});
    return true;
}

/* ---- Going on ---- */

/* All that the bytes depend on. */
static void describe(const ModelLanguage *m, char settings[SETTINGS_SIZE])
{
    const ModelLanguageOptions *o = &m->options;
    const ModelLanguageTexts *t = m->plan.texts;
    uLong crc = crc32_z(0, (const Bytef *)t->ids.ids, t->ids.count * sizeof *t->ids.ids);
    crc = crc32_z(crc, (const Bytef *)t->offsets, ((size_t)t->count + 1) * sizeof *t->offsets);
    snprintf(
        settings, SETTINGS_SIZE,
        "batch %d, length %d, epochs %d, lr %.17g, clip %.17g, dropout %.17g, %s softmax, shards %d, seed "
        "%" PRIu64 ", %d ids, texts %08lx",
        o->batch, o->length, o->epochs, o->lr, o->clip, o->dropout, o->full ? "full" : "adaptive", o->shards,
        o->seed, m->ids, crc);
}

ReelStatus model_language_save(ModelLanguage *m, const char *path, int level)
{
    char settings[SETTINGS_SIZE];
    NnSnapshot snapshot;
    describe(m, settings);
    nn_snapshot_init(&snapshot);
    nn_snapshot_parameters(&snapshot, &m->base);
    nn_snapshot_training_place(&snapshot, PLACE,
                               &(NnTrainingPlace){settings, m->epoch, m->batch, m->seen, m->loss_sum});
    nn_snapshot_optimizer(&snapshot, m->optimizer);
    ReelStatus status = nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = level});
    nn_snapshot_free(&snapshot);
    return status;
}

ReelStatus model_language_load(ModelLanguage *m, const char *path)
{
    char settings[SETTINGS_SIZE];
    NnTrainingPlace place;
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open(&npz, path);
    describe(m, settings);
    if (reel_status_is_ok(&status))
        status = nn_load_training_place(npz, PLACE, "a language model", settings, m->options.epochs,
                                        batches_of(&m->plan, m->options.batch), &place);
    if (reel_status_is_ok(&status)) {
        m->epoch = place.epoch;
        m->batch = place.done;
        m->seen = place.seen;
        m->loss_sum = place.loss;
        status = nn_load_from(&m->base, npz, (NnLoadOptions){0});
    }
    if (reel_status_is_ok(&status))
        status = nn_optimizer_load_from(m->optimizer, npz);
    tensor_npz_close(npz);
    return status;
}

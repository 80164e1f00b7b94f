#include "nn/optimizer_internal.h"
#include "tensor/mem.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"
#include "tensor/vmath.h"

#include <math.h>
#include <string.h>

enum {
    DENSE_CHUNK = 16384, /* elements of a task of the pool */
    ROW_CHUNK = 16,      /* rows of one */
    BUFFER = 2048        /* elements whose gradient is summed at a time */
};

NnOptimizerOptions nn_optimizer_options(NnOptimizerKind kind)
{
    return (NnOptimizerOptions){.kind = kind,
                                .lr = 1e-3,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .eps = 1e-8,
                                .weight_decay = kind == NN_ADAMW ? 0.01 : 0.0};
}

/* ---- Building ---- */

static bool new_moment(Tensor *moment, Tensor like)
{
    void *data = reel_mem_calloc((size_t)tensor_numel(&like), tensor_dtype_size(like.dtype));
    *moment = data ? tensor_from(data, like.dtype, like.ndim, like.shape) : tensor_invalid();
    return data;
}

static ReelStatus add_state(NnOptimizer *o, NnParameter *p)
{
    Tensor value = p->core.value;
    char path[NN_NAME_SIZE];
    nn_parameter_path(p, path);
    if (!tensor_is_valid(value))
        return reel_status_failed("optimizer: parameter %s has no value yet: call nn_module_reset() first",
                                  path);
    int64_t size = tensor_numel(&value);
    OptimizerState *state = &o->states[o->count++];
    *state = (OptimizerState){.optimizer = o, .parameter = p, .dtype = value.dtype};
    state->width = value.ndim > 0 ? size / value.shape[0] : 1;
    /* What another optimizer updates late is brought up to date before each of our updates, of all rows. */
    IdleRows idle = o->rule->idle_rows(&o->options);
    state->by_rows = p->sparse && idle != ROWS_MOVE && value.dtype == TENSOR_F32 && !p->core.read;
    int moments = o->rule->moments(&o->options);
    bool ok = (moments < 1 || new_moment(&state->m, value)) && (moments < 2 || new_moment(&state->v, value));
    if (ok && state->by_rows) {
        state->slots = reel_mem_calloc((size_t)value.shape[0], sizeof *state->slots);
        ok = state->slots && (idle != ROWS_ARE_LATE || nn_late_rows_begin(state));
    }
    return ok ? reel_status_ok() : reel_status_no_memory((size_t)size * 2 * sizeof(float), path);
}

static bool in_range(const NnOptimizerOptions *options)
{
    return options->lr >= 0 && isfinite(options->lr) && options->momentum >= 0 && options->momentum < 1 &&
           options->beta1 >= 0 && options->beta1 < 1 && options->beta2 >= 0 && options->beta2 < 1 &&
           options->eps >= 0 && isfinite(options->eps) && options->weight_decay >= 0 &&
           isfinite(options->weight_decay) && options->clip_norm >= 0;
}

ReelStatus nn_optimizer_new(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options,
                            TensorPool *pool)
{
    *optimizer = NULL;
    if (!in_range(&options))
        return reel_status_usage(
            "optimizer: lr, eps, weight_decay and clip_norm must be finite and at least 0, "
            "momentum, beta1 and beta2 in [0, 1)");
    ReelStatus status = nn_module_status(module);
    if (!reel_status_is_ok(&status))
        return status;
    int count = 0;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        count++;
    NnOptimizer *o = reel_mem_calloc(1, sizeof *o);
    OptimizerState *states = reel_mem_calloc((size_t)count, sizeof *states);
    if (!o || !states) {
        reel_mem_free(o);
        reel_mem_free(states);
        return reel_status_no_memory((size_t)count * sizeof *states, "the optimizer");
    }
    *o = (NnOptimizer){.module = module,
                       .options = options,
                       .rule = options.kind == NN_SGD ? &nn_sgd_rule : &nn_adam_rule,
                       .pool = pool,
                       .lr = options.lr,
                       .norm = NAN,
                       .memory = nn_adam_memory(&options),
                       .states = states};
    for (NnParameter *p = nn_first_parameter(module); p && reel_status_is_ok(&status);
         p = nn_next_parameter(module, p))
        status = add_state(o, p);
    if (!reel_status_is_ok(&status)) {
        nn_optimizer_free(o);
        return status;
    }
    *optimizer = o;
    return status;
}

void nn_optimizer_free(NnOptimizer *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->count; i++) {
        OptimizerState *state = &o->states[i];
        nn_late_rows_end(state);
        reel_mem_free(state->m.data);
        reel_mem_free(state->v.data);
        reel_mem_free(state->last.data);
        reel_mem_free(state->schedule);
        reel_mem_free(state->slots);
    }
    reel_mem_free(o->states);
    reel_mem_free(o);
}

/* ---- Gathering the gradients ---- */

/* An error where the parameter is not what it was when the optimizer was made. */
static ReelStatus check(const OptimizerState *state)
{
    const TapeParameter *core = &state->parameter->core;
    ReelStatus status = nn_parameter_status(state->parameter);
    if (!reel_status_is_ok(&status))
        return status;
    char path[NN_NAME_SIZE];
    nn_parameter_path(state->parameter, path);
    if (core->value.dtype != state->dtype)
        return reel_status_usage(
            "parameter %s has become %s since the optimizer was made for %s; make it anew", path,
            tensor_dtype_name(core->value.dtype), tensor_dtype_name(state->dtype));
    if (is_late(state) && core->read_context != state)
        return reel_status_usage(
            "the struct of parameter %s was written over while an optimizer updates its rows "
            "late; use nn_parameter_read() and nn_parameter_write()",
            path);
    return reel_status_ok();
}

static Tensor densify(const TapeGradient *gradient, Tensor like, TensorArena *arena)
{
    if (!tensor_is_valid(gradient->rows))
        return tensor_contiguous(arena, gradient->dense);
    Tensor dense = tensor_zeros(arena, like.dtype, like.ndim, like.shape);
    if (tensor_is_valid(dense) && !tensor_scatter_add_rows(dense, gradient->rows, gradient->ids))
        return tensor_invalid();
    return dense;
}

/* Fetches a parameter's gradients. *any: there is one, perhaps of zeros. False: no memory. */
static bool fetch(NnOptimizer *o, OptimizerState *state, Tape *const *tapes, bool *any)
{
    TensorArena *arena = tape_arena(tapes[0]);
    state->ids = NULL;
    state->dense = tensor_arena_calloc(arena, (size_t)o->tapes * sizeof *state->dense);
    state->sparse = tensor_arena_calloc(arena, (size_t)o->tapes * sizeof *state->sparse);
    if (!state->dense || !state->sparse)
        return false;
    bool any_dense = false, any_rows = false;
    for (int t = 0; t < o->tapes; t++) {
        state->sparse[t] = tape_gradient(tapes[t], &state->parameter->core);
        if (tensor_is_valid(state->sparse[t].rows)) {
            state->sparse[t].rows = tensor_contiguous(tape_arena(tapes[t]), state->sparse[t].rows);
            if (!tensor_is_valid(state->sparse[t].rows))
                return false;
        }
        any_dense = any_dense || tensor_is_valid(state->sparse[t].dense);
        any_rows = any_rows || tensor_is_valid(state->sparse[t].rows);
    }
    *any = any_dense || any_rows;
    if (*any && state->by_rows && !any_dense)
        return nn_late_rows_find(state, arena);
    for (int t = 0; t < o->tapes; t++) {
        if (!tensor_is_valid(state->sparse[t].rows) && !tensor_is_valid(state->sparse[t].dense))
            continue;
        state->dense[t] = densify(&state->sparse[t], state->parameter->core.value, tape_arena(tapes[t]));
        if (!tensor_is_valid(state->dense[t]))
            return false;
    }
    return true;
}

static void add_items(NnOptimizer *o, OptimizerState *state, int64_t total, int64_t chunk)
{
    for (int64_t begin = 0; begin < total; begin += chunk)
        o->items[o->item_count++] = (OptimizerItem){
            .state = state, .begin = begin, .end = begin + chunk < total ? begin + chunk : total};
}

static ReelStatus no_memory(const NnOptimizer *o)
{
    return reel_status_failed("optimizer: out of memory in update %d", o->step + 1);
}

static ReelStatus gather_work(NnOptimizer *o, Tape *const *tapes, int count)
{
    o->tapes = count;
    o->item_count = 0;
    int64_t most = 0;
    for (int i = 0; i < o->count; i++) {
        const OptimizerState *state = &o->states[i];
        int64_t size = tensor_numel(&state->parameter->core.value);
        most += size / DENSE_CHUNK + size / state->width / ROW_CHUNK + 2;
    }
    TensorArena *arena = tape_arena(tapes[0]);
    o->items = tensor_arena_alloc(arena, (size_t)most * sizeof *o->items);
    if (!o->items)
        return no_memory(o);
    for (int i = 0; i < o->count; i++) {
        OptimizerState *state = &o->states[i];
        bool any = false;
        if (state->parameter->core.frozen)
            continue;
        if (!fetch(o, state, tapes, &any))
            return no_memory(o);
        state->takes_part = any;
        if (any && state->ids)
            add_items(o, state, state->rows, ROW_CHUNK);
        else if (any)
            add_items(o, state, tensor_numel(&state->parameter->core.value), DENSE_CHUNK);
    }
    return reel_status_ok();
}

/* ---- Sums over the tapes, and their norm ---- */

#define DEFINE_SUM_DENSE(T, NAME)                                                                            \
    static void NAME(const NnOptimizer *o, const OptimizerState *state, int64_t begin, int64_t count,        \
                     T *sum)                                                                                 \
    {                                                                                                        \
        bool first = true;                                                                                   \
        for (int t = 0; t < o->tapes; t++) {                                                                 \
            if (!tensor_is_valid(state->dense[t]))                                                           \
                continue;                                                                                    \
            const T *g = (const T *)state->dense[t].data + begin;                                            \
            if (first)                                                                                       \
                memcpy(sum, g, (size_t)count * sizeof *sum);                                                 \
            else                                                                                             \
                for (int64_t j = 0; j < count; j++)                                                          \
                    sum[j] += g[j];                                                                          \
            first = false;                                                                                   \
        }                                                                                                    \
        for (int64_t j = 0; o->scale != 1 && j < count; j++)                                                 \
            sum[j] *= (T)o->scale;                                                                           \
    }
DEFINE_SUM_DENSE(float, sum_dense_f32)
DEFINE_SUM_DENSE(double, sum_dense_f64)

/* Elements first .. first + count of the gradient of the row at `slot`. */
static void sum_row(const NnOptimizer *o, const OptimizerState *state, int64_t slot, int64_t first,
                    int64_t count, float *sum)
{
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (int t = 0; t < o->tapes; t++) {
        int32_t source = state->sources[slot * o->tapes + t];
        if (source < 0)
            continue;
        Tensor rows = state->sparse[t].rows;
        tensor_vmath_add(sum, sum, tensor_f32(rows) + source * rows.strides[0] + first, (size_t)count);
    }
    for (int64_t j = 0; o->scale != 1 && j < count; j++)
        sum[j] *= (float)o->scale;
}

/* A piece of a gradient, in the parameter's type. */
typedef union Piece {
    float f32[BUFFER];
    double f64[BUFFER];
} Piece;

/* Calls `visit` for pieces of at most BUFFER elements of an item, with the piece's place in the parameter and
 * its gradient. */
typedef void Visit(OptimizerItem *item, int64_t at, Piece *gradient, int64_t count);

static void visit_pieces(const NnOptimizer *o, OptimizerItem *item, Visit *visit)
{
    OptimizerState *state = item->state;
    _Alignas(64) Piece piece;
    if (state->ids) {
        for (int64_t slot = item->begin; slot < item->end; slot++)
            for (int64_t first = 0; first < state->width; first += BUFFER) {
                int64_t count = state->width - first < BUFFER ? state->width - first : BUFFER;
                sum_row(o, state, slot, first, count, piece.f32);
                visit(item, state->ids[slot] * state->width + first, &piece, count);
            }
        return;
    }
    for (int64_t at = item->begin; at < item->end; at += BUFFER) {
        int64_t count = item->end - at < BUFFER ? item->end - at : BUFFER;
        if (state->dtype == TENSOR_F64)
            sum_dense_f64(o, state, at, count, piece.f64);
        else
            sum_dense_f32(o, state, at, count, piece.f32);
        visit(item, at, &piece, count);
    }
}

static void add_squares(OptimizerItem *item, int64_t at, Piece *gradient, int64_t count)
{
    (void)at;
    item->squares += tensor_sum_of_squares(tensor_from(gradient, item->state->dtype, TENSOR_SHAPE(count)));
}

static void square_task(void *context, int task)
{
    NnOptimizer *o = context;
    visit_pieces(o, &o->items[task], add_squares);
}

static double norm_of_gradients(NnOptimizer *o)
{
    tensor_pool_run(o->pool, square_task, o, o->item_count);
    double squares = 0;
    for (int i = 0; i < o->item_count; i++)
        squares += o->items[i].squares;
    return sqrt(squares);
}

/* ---- Updating ---- */

static void update_piece(OptimizerItem *item, int64_t at, Piece *gradient, int64_t count)
{
    OptimizerState *state = item->state;
    const UpdateRule *rule = state->optimizer->rule;
    Tensor value = state->parameter->core.value;
    bool begins_row = is_late(state) && state->ids && at % state->width == 0;
    if (begins_row)
        nn_late_rows_settle(state, at / state->width, state->steps - 1);
    if (state->dtype == TENSOR_F32)
        rule->update_f32(state, at, tensor_f32(value) + at, gradient->f32, count);
    else
        rule->update_f64(state, at, tensor_f64(value) + at, gradient->f64, count);
    if (begins_row)
        tensor_i32(state->last)[at / state->width] = state->steps;
}

static void update_task(void *context, int task)
{
    NnOptimizer *o = context;
    visit_pieces(o, &o->items[task], update_piece);
}

/* Before the update of a parameter that takes part. */
static void begin_update(OptimizerState *state)
{
    TapeParameter *core = &state->parameter->core;
    if (is_late(state) && !state->ids)
        nn_late_rows_settle_all(state, state->steps);
    else if (core->read_context != state)
        tape_parameter_settle(core); /* of another optimizer */
    state->steps++;
    state->optimizer->rule->begin(state);
}

ReelStatus nn_optimizer_step(NnOptimizer *o, Tape *const *tapes, int count)
{
    ReelStatus status =
        count < 1 ? reel_status_usage("optimizer: an update needs at least one tape") : reel_status_ok();
    for (int t = 0; t < count; t++)
        if (!tape_ok(tapes[t]))
            return *tape_status(tapes[t]);
    o->scale = 1;
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++) {
        o->states[i].takes_part = false;
        status = check(&o->states[i]);
    }
    if (reel_status_is_ok(&status))
        status = gather_work(o, tapes, count);
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++)
        if (o->states[i].takes_part && is_late(&o->states[i]) &&
            !nn_late_rows_reserve(&o->states[i], o->states[i].steps + 1))
            status = no_memory(o);
    if (!reel_status_is_ok(&status))
        return status;
    o->norm = NAN;
    if (o->options.clip_norm > 0) {
        o->norm = norm_of_gradients(o);
        if (!isfinite(o->norm))
            return reel_status_failed(
                "optimizer: the norm of the gradients in update %lld is %g, so that they cannot be "
                "clipped; nothing was changed, lower the learning rate or look with "
                "tape_set_check_finite()",
                (long long)o->step + 1, o->norm);
        if (o->norm > o->options.clip_norm)
            o->scale = o->options.clip_norm / (o->norm + 1e-6);
    }
    for (int i = 0; i < o->count; i++)
        if (o->states[i].takes_part)
            begin_update(&o->states[i]);
    o->step++;
    tensor_pool_run(o->pool, update_task, o, o->item_count);
    for (int i = 0; i < o->count; i++)
        if (o->states[i].takes_part)
            nn_late_rows_updated(&o->states[i]);
    return reel_status_ok();
}

void nn_optimizer_set_lr(NnOptimizer *o, double lr)
{
    o->lr = lr;
}

int64_t nn_optimizer_steps(const NnOptimizer *o)
{
    return o->step;
}

double nn_optimizer_norm(const NnOptimizer *o)
{
    return o->norm;
}

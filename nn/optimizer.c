#include "nn/optimizer_internal.h"
#include "tensor/elementwise.h"
#include "tensor/mem.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DENSE_CHUNK = 16384, /* elements of a task of the pool */
    ROW_CHUNK = 16,      /* rows of one */
    BUFFER = 2048,       /* elements whose gradient is summed at a time */
    SETTINGS = 4096      /* updates whose settings have room at the start; then it doubles */
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

static Tensor new_state(Dtype dtype, int ndim, const int64_t *shape)
{
    int64_t count = 1;
    for (int i = 0; i < ndim; i++)
        count *= shape[i];
    void *data = mem_calloc((size_t)count, dtype_size(dtype));
    return data ? tensor_from(data, dtype, ndim, shape) : tensor_invalid();
}

static Status add_state(NnOptimizer *o, NnParameter *p)
{
    Tensor value = p->core.value;
    char path[NN_NAME_SIZE];
    nn_parameter_path(p, path);
    if (!tensor_is_valid(value))
        return status_failed("optimizer: parameter %s has no value yet: call nn_module_reset() first", path);
    int64_t size = tensor_numel(&value);
    OptimizerState *state = &o->states[o->count++];
    *state =
        (OptimizerState){.optimizer = o, .parameter = p, .width = value.ndim > 0 ? size / value.shape[0] : 1};
    bool moments = optimizer_is_adam(o), momentum = moments || o->options.momentum != 0;
    if (momentum)
        state->m = new_state(value.dtype, value.ndim, value.shape);
    if (moments)
        state->v = new_state(value.dtype, value.ndim, value.shape);
    /* What another optimizer updates late is brought up to date before each of our updates, of all rows. */
    state->late = p->sparse && late_rows_are_possible(o) && value.dtype == DTYPE_F32 && !p->core.read;
    if (state->late) {
        state->last = new_state(DTYPE_I32, SHAPE(value.shape[0]));
        state->slots = mem_calloc((size_t)value.shape[0], sizeof *state->slots);
    }
    if ((momentum && !tensor_is_valid(state->m)) || (moments && !tensor_is_valid(state->v)) ||
        (state->late && (!tensor_is_valid(state->last) || !state->slots)))
        return status_no_memory((size_t)size * 2 * sizeof(float), path);
    if (state->late && moments) {
        p->core.read = late_rows_read;
        p->core.settle = late_rows_settle_now;
        p->core.read_context = state;
    }
    return status_ok();
}

static bool in_range(const NnOptimizerOptions *options)
{
    return options->lr >= 0 && isfinite(options->lr) && options->momentum >= 0 && options->momentum < 1 &&
           options->beta1 >= 0 && options->beta1 < 1 && options->beta2 >= 0 && options->beta2 < 1 &&
           options->eps >= 0 && isfinite(options->eps) && options->weight_decay >= 0 &&
           isfinite(options->weight_decay) && options->clip_norm >= 0;
}

Status nn_optimizer_new(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options, Pool *pool)
{
    *optimizer = NULL;
    if (!in_range(&options))
        return status_usage("optimizer: lr, eps, weight_decay and clip_norm must be finite and at least 0, "
                            "momentum, beta1 and beta2 in [0, 1)");
    Status built = nn_module_status(module);
    if (!status_is_ok(&built))
        return built;
    int count = 0;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        count++;
    NnOptimizer *o = mem_calloc(1, sizeof *o);
    OptimizerState *states = mem_calloc((size_t)count, sizeof *states);
    VmathAdam *schedule = mem_alloc(SETTINGS * sizeof *schedule);
    if (!o || !states || !schedule) {
        mem_free(o);
        mem_free(states);
        mem_free(schedule);
        return status_no_memory((size_t)count * sizeof *states, "the optimizer");
    }
    *o = (NnOptimizer){.module = module,
                       .options = options,
                       .pool = pool,
                       .lr = options.lr,
                       .norm = NAN,
                       .schedule = schedule,
                       .schedule_capacity = SETTINGS,
                       .states = states};
    o->memory = late_rows_memory(&options);
    Status status = status_ok();
    for (NnParameter *p = nn_first_parameter(module); p && status_is_ok(&status);
         p = nn_next_parameter(module, p))
        status = add_state(o, p);
    if (!status_is_ok(&status)) {
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
        Parameter *core = &state->parameter->core;
        if (core->read_context == state) {
            parameter_settle(core);
            core->read = NULL;
            core->settle = NULL;
            core->read_context = NULL;
            parameter_changed(core);
        }
        mem_free(state->m.data);
        mem_free(state->v.data);
        mem_free(state->last.data);
        mem_free(state->slots);
    }
    mem_free(o->schedule);
    mem_free(o->states);
    mem_free(o);
}

/* ---- Gathering the gradients ---- */

static Tensor densify(const TapeGradient *gradient, Tensor like, Arena *arena)
{
    if (!tensor_is_valid(gradient->rows))
        return tensor_contiguous(arena, gradient->dense);
    Tensor dense = tensor_zeros(arena, like.dtype, like.ndim, like.shape);
    if (tensor_is_valid(dense) && !tensor_scatter_add_rows(dense, gradient->rows, gradient->ids))
        return tensor_invalid();
    return dense;
}

/* Fetches a parameter's gradients. *any: there is one. False: no memory. */
static bool fetch(NnOptimizer *o, OptimizerState *state, Tape *const *tapes, bool *any)
{
    Arena *arena = tape_arena(tapes[0]);
    state->dense = arena_calloc(arena, (size_t)o->tapes * sizeof *state->dense);
    state->sparse = arena_calloc(arena, (size_t)o->tapes * sizeof *state->sparse);
    if (!state->dense || !state->sparse)
        return false;
    bool any_dense = false, any_rows = false;
    for (int t = 0; t < o->tapes; t++) {
        state->sparse[t] = tape_gradient(tapes[t], &state->parameter->core);
        any_dense = any_dense || tensor_is_valid(state->sparse[t].dense);
        any_rows = any_rows || tensor_is_valid(state->sparse[t].rows);
    }
    *any = any_dense || any_rows;
    if (state->late && !any_dense)
        return late_rows_find(o, state, arena);
    for (int t = 0; t < o->tapes; t++) {
        if (!tensor_is_valid(state->sparse[t].rows) && !tensor_is_valid(state->sparse[t].dense))
            continue;
        state->dense[t] = densify(&state->sparse[t], state->parameter->core.value, tape_arena(tapes[t]));
        if (!tensor_is_valid(state->dense[t]))
            return false;
    }
    state->ids = NULL;
    return true;
}

static void add_items(NnOptimizer *o, OptimizerState *state, int64_t total, int64_t chunk)
{
    for (int64_t begin = 0; begin < total; begin += chunk)
        o->items[o->item_count++] = (OptimizerItem){
            .state = state, .begin = begin, .end = begin + chunk < total ? begin + chunk : total};
}

static bool gather_work(NnOptimizer *o, Tape *const *tapes, int count)
{
    o->tapes = count;
    o->item_count = 0;
    int64_t most = 0;
    for (int i = 0; i < o->count; i++) {
        Tensor value = o->states[i].parameter->core.value;
        most += tensor_numel(&value) / DENSE_CHUNK + (value.ndim > 0 ? value.shape[0] : 1) / ROW_CHUNK + 2;
    }
    Arena *arena = tape_arena(tapes[0]);
    o->items = arena_alloc(arena, (size_t)most * sizeof *o->items);
    if (!o->items)
        return false;
    for (int i = 0; i < o->count; i++) {
        OptimizerState *state = &o->states[i];
        bool any = false;
        if (state->parameter->core.frozen) {
            late_rows_stand_still(state);
            continue;
        }
        if (!fetch(o, state, tapes, &any))
            return false;
        if (!any)
            continue;
        Parameter *core = &state->parameter->core;
        if (core->read_context != state)
            parameter_settle(core);
        Tensor value = core->value;
        if (state->ids)
            add_items(o, state, state->rows, ROW_CHUNK);
        else
            add_items(o, state, tensor_numel(&value), DENSE_CHUNK);
    }
    return true;
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
        for (int64_t j = 0; o->scale != 1.0f && j < count; j++)                                              \
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
        vmath_add(sum, sum, tensor_f32(rows) + source * rows.strides[0] + first, (size_t)count);
    }
    for (int64_t j = 0; o->scale != 1.0f && j < count; j++)
        sum[j] *= o->scale;
}

/* Calls `visit` for pieces of at most BUFFER elements of an item, with the piece's place in the parameter and
 * its gradient. */
typedef void Visit(OptimizerItem *item, int64_t at, void *gradient, int64_t count);

static void visit_pieces(const NnOptimizer *o, OptimizerItem *item, Visit *visit)
{
    OptimizerState *state = item->state;
    _Alignas(64) double buffer[BUFFER];
    bool f64 = state->parameter->core.value.dtype == DTYPE_F64;
    if (state->ids) {
        for (int64_t slot = item->begin; slot < item->end; slot++)
            for (int64_t first = 0; first < state->width; first += BUFFER) {
                int64_t count = state->width - first < BUFFER ? state->width - first : BUFFER;
                sum_row(o, state, slot, first, count, (float *)buffer);
                visit(item, state->ids[slot] * state->width + first, buffer, count);
            }
        return;
    }
    for (int64_t at = item->begin; at < item->end; at += BUFFER) {
        int64_t count = item->end - at < BUFFER ? item->end - at : BUFFER;
        if (f64)
            sum_dense_f64(o, state, at, count, buffer);
        else
            sum_dense_f32(o, state, at, count, (float *)buffer);
        visit(item, at, buffer, count);
    }
}

static void add_squares(OptimizerItem *item, int64_t at, void *gradient, int64_t count)
{
    (void)at;
    Dtype dtype = item->state->parameter->core.value.dtype;
    item->squares += tensor_sum_of_squares(tensor_from(gradient, dtype, SHAPE(count)));
}

static void square_task(void *context, int task)
{
    NnOptimizer *o = context;
    visit_pieces(o, &o->items[task], add_squares);
}

/* ---- Updating ---- */

#define DEFINE_UPDATE(T, NAME)                                                                               \
    static void NAME(const NnOptimizer *o, T *w, T *m, T *v, T *g, int64_t n)                                \
    {                                                                                                        \
        const NnOptimizerOptions *options = &o->options;                                                     \
        if (options->weight_decay != 0 && options->kind != NN_ADAMW)                                         \
            for (int64_t j = 0; j < n; j++)                                                                  \
                g[j] += (T)options->weight_decay * w[j];                                                     \
        if (options->kind == NN_SGD) {                                                                       \
            for (int64_t j = 0; m && j < n; j++)                                                             \
                g[j] = m[j] = (T)options->momentum * m[j] + g[j];                                            \
            for (int64_t j = 0; j < n; j++)                                                                  \
                w[j] -= (T)o->lr * g[j];                                                                     \
            return;                                                                                          \
        }                                                                                                    \
        ADAM_UPDATE(w, m, v, g, n);                                                                          \
    }
#define ADAM_UPDATE(w, m, v, g, n) vmath_adam(w, m, v, g, &o->schedule[o->step - 1], (size_t)(n))
DEFINE_UPDATE(float, update_f32)
#undef ADAM_UPDATE
/* In f64 the settings are taken from the options again, since the schedule's are f32. */
#define ADAM_UPDATE(w, m, v, g, n) adam_f64(o, w, m, v, g, n)
static void adam_f64(const NnOptimizer *o, double *w, double *m, double *v, const double *g, int64_t n)
{
    const NnOptimizerOptions *options = &o->options;
    double bias1 = 1 - pow(options->beta1, o->step), bias2 = 1 - pow(options->beta2, o->step);
    double keep = options->kind == NN_ADAMW ? 1 - o->lr * options->weight_decay : 1;
    for (int64_t j = 0; j < n; j++) {
        m[j] = options->beta1 * m[j] + (1 - options->beta1) * g[j];
        v[j] = options->beta2 * v[j] + (1 - options->beta2) * g[j] * g[j];
        w[j] = keep * w[j] - o->lr / bias1 * m[j] / (sqrt(v[j]) / sqrt(bias2) + options->eps);
    }
}
DEFINE_UPDATE(double, update_f64)

static void update_piece(OptimizerItem *item, int64_t at, void *gradient, int64_t count)
{
    OptimizerState *state = item->state;
    const NnOptimizer *o = state->optimizer;
    Tensor value = state->parameter->core.value;
    if (state->ids && at % state->width == 0)
        late_rows_settle(state, at / state->width, o->step - 1);
    if (value.dtype == DTYPE_F32)
        update_f32(o, tensor_f32(value) + at, state->m.data ? tensor_f32(state->m) + at : NULL,
                   state->v.data ? tensor_f32(state->v) + at : NULL, gradient, count);
    else
        update_f64(o, tensor_f64(value) + at, state->m.data ? tensor_f64(state->m) + at : NULL,
                   state->v.data ? tensor_f64(state->v) + at : NULL, gradient, count);
    if (state->ids)
        tensor_i32(state->last)[at / state->width] = o->step;
}

static void update_task(void *context, int task)
{
    NnOptimizer *o = context;
    visit_pieces(o, &o->items[task], update_piece);
}

/* Adds this update's settings to the schedule. */
static bool add_settings(NnOptimizer *o)
{
    const NnOptimizerOptions *options = &o->options;
    VmathAdam *schedule = mem_grow(o->schedule, (size_t)o->step, &o->schedule_capacity, sizeof *schedule);
    if (!schedule)
        return false;
    o->schedule = schedule;
    int32_t t = o->step + 1;
    double bias1 = 1 - pow(options->beta1, t), root2 = sqrt(1 - pow(options->beta2, t));
    VmathAdam *now = &schedule[o->step];
    memset(now, 0, sizeof *now);
    now->beta1 = options->beta1;
    now->beta2 = options->beta2;
    now->step_size = (float)(o->lr * root2 / bias1);
    now->eps = (float)(options->eps * root2);
    now->keep = options->kind == NN_ADAMW ? (float)(1 - o->lr * options->weight_decay) : 1.0f;
    /* Without gradient an update is at most step_size_k / step_size_{k-1} beta1 / sqrt(beta2) times the one
     * before. Where that is not below 1, idle rows may still move later. */
    if (t > 1 && now->step_size * options->beta1 > now[-1].step_size * sqrt(options->beta2))
        o->rise = o->step;
    return true;
}

static double clip(NnOptimizer *o)
{
    pool_run(o->pool, square_task, o, o->item_count);
    double squares = 0;
    for (int i = 0; i < o->item_count; i++)
        squares += o->items[i].squares;
    return sqrt(squares);
}

Status nn_optimizer_step(NnOptimizer *o, Tape *const *tapes, int count)
{
    for (int t = 0; t < count; t++)
        if (!tape_ok(tapes[t]))
            return *tape_status(tapes[t]);
    o->scale = 1.0f;
    if (count < 1)
        return status_usage("optimizer: an update needs at least one tape");
    if (!gather_work(o, tapes, count) || !add_settings(o))
        return status_failed("optimizer: out of memory in update %d", o->step + 1);
    o->norm = NAN;
    if (o->options.clip_norm > 0) {
        o->norm = clip(o);
        if (o->norm > o->options.clip_norm)
            o->scale = (float)(o->options.clip_norm / (o->norm + 1e-6));
    }
    for (int i = 0; i < o->item_count; i++)
        if (!o->items[i].state->ids && (i == 0 || o->items[i - 1].state != o->items[i].state))
            late_rows_settle_all(o->items[i].state, o->step);
    o->step++;
    pool_run(o->pool, update_task, o, o->item_count);
    for (int i = 0; i < o->item_count; i++) {
        OptimizerState *state = o->items[i].state;
        if (i > 0 && o->items[i - 1].state == state)
            continue;
        Parameter *core = &state->parameter->core;
        bool ours = core->read_context == state;
        core->is_behind = core->is_behind && !ours;
        parameter_changed(core);
        core->is_behind = core->is_behind || ours;
        for (int64_t row = 0; state->late && !state->ids && row < state->last.shape[0]; row++)
            tensor_i32(state->last)[row] = o->step;
    }
    return status_ok();
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

/* ---- For checkpoints ---- */

bool nn_optimizer_state(NnOptimizer *o, int i, char *name, Tensor *state)
{
    enum { VMATH_ADAM_WORDS = sizeof(VmathAdam) / sizeof(int32_t) };
    switch (i) {
    case 0:
        snprintf(name, NN_NAME_SIZE, "step");
        *state = tensor_from(&o->step, DTYPE_I32, SHAPE(1));
        return true;
    case 1:
        snprintf(name, NN_NAME_SIZE, "rise");
        *state = tensor_from(&o->rise, DTYPE_I32, SHAPE(1));
        return true;
    case 2:
        snprintf(name, NN_NAME_SIZE, "schedule");
        *state = tensor_from(o->schedule, DTYPE_I32, SHAPE(o->step, VMATH_ADAM_WORDS));
        return true;
    default:
        break;
    }
    int at = 3;
    for (int k = 0; k < o->count; k++) {
        const char *const stems[3] = {"m", "v", "last"};
        const Tensor tensors[3] = {o->states[k].m, o->states[k].v, o->states[k].last};
        for (int j = 0; j < 3; j++)
            if (tensor_is_valid(tensors[j]) && at++ == i) {
                char path[NN_NAME_SIZE];
                nn_parameter_path(o->states[k].parameter, path);
                snprintf(name, NN_NAME_SIZE, "%s/%.*s", stems[j], NN_NAME_SIZE - 8, path);
                *state = tensors[j];
                return true;
            }
    }
    return false;
}

Status nn_optimizer_restore(NnOptimizer *o, int64_t steps)
{
    if (steps < 0 || steps > INT32_MAX / 2)
        return status_failed("optimizer: %lld updates cannot be restored", (long long)steps);
    size_t capacity = (size_t)steps + SETTINGS;
    VmathAdam *schedule = mem_calloc(capacity, sizeof *schedule);
    if (!schedule)
        return status_no_memory(capacity * sizeof *schedule, "the optimizer's schedule");
    mem_free(o->schedule);
    o->schedule = schedule;
    o->schedule_capacity = capacity;
    o->step = (int32_t)steps;
    return status_ok();
}

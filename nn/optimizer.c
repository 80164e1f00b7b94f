#include "nn/optimizer_internal.h"
#include "tensor/mem.h"
#include "tensor/reduce.h"

#include <math.h>
#include <string.h>

enum {
    DENSE_CHUNK = 16384, /* elements of a task of the pool */
    ROW_CHUNK = 16       /* rows of one */
};

/* ---- Building ---- */

static bool new_moment(Tensor *moment, Tensor like)
{
    void *data = reel_mem_calloc((size_t)tensor_numel(&like), tensor_dtype_size(like.dtype));
    *moment = data ? tensor_from(data, like.dtype, like.ndim, like.shape) : tensor_invalid();
    return data;
}

/* Memory for what is kept beside a parameter. */
static ReelStatus start_state(OptimizerState *state)
{
    const UpdateRule *rule = state->optimizer->rule;
    const NnOptimizerOptions *options = &state->group->options;
    Tensor value = state->parameter->core.value;
    int64_t size = tensor_numel(&value);
    int moments = rule->moments(options);
    IdleRows idle = rule->idle_rows(options);
    state->width = value.ndim > 0 ? size / value.shape[0] : 1;
    state->by_rows = state->parameter->sparse && idle != ROWS_MOVE && value.dtype == TENSOR_F32;
    bool ok = (!(moments & MOMENT_M) || new_moment(&state->m, value)) &&
              (!(moments & MOMENT_V) || new_moment(&state->v, value));
    if (ok && rule->first_v)
        tensor_fill(state->v, rule->first_v(options));
    if (ok && state->by_rows && idle == ROWS_ARE_LATE)
        ok = nn_late_rows_begin(state);
    char path[NN_NAME_SIZE];
    nn_parameter_path(state->parameter, path);
    return ok ? reel_status_ok() : reel_status_no_memory((size_t)size * 2 * sizeof(float), path);
}

/* The parameters of a module, in its order; states has room for them. */
static ReelStatus add_states(NnOptimizer *o)
{
    char path[NN_NAME_SIZE];
    for (NnParameter *p = nn_first_parameter(o->module); p; p = nn_next_parameter(o->module, p)) {
        nn_parameter_path(p, path);
        if (!tensor_is_valid(p->core.value))
            return reel_status_failed(
                "optimizer: parameter %s has no value yet: call nn_module_reset() first", path);
        if (p->quantized)
            return reel_status_usage("optimizer: parameter %s is of 8 bits and only read; load it without "
                                     "NnLoadOptions.in_place",
                                     path);
        if (p->optimizer)
            return reel_status_usage("optimizer: parameter %s has an optimizer already; free that one first, "
                                     "or give each its own parameters",
                                     path);
        p->optimizer = o;
        o->states[o->count++] =
            (OptimizerState){.optimizer = o, .parameter = p, .dtype = p->core.value.dtype};
    }
    return reel_status_ok();
}

static ReelStatus start(NnOptimizer *o, NnOptimizerOptions options, const NnParameterGroup *groups)
{
    ReelStatus status = add_states(o);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_set_groups(o, options, groups);
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++)
        status = start_state(&o->states[i]);
    return status;
}

ReelStatus nn_optimizer_new_grouped(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options,
                                    const NnParameterGroup *groups, int group_count)
{
    *optimizer = NULL;
    ReelStatus status = nn_module_status(module);
    if (!reel_status_is_ok(&status))
        return status;
    size_t count = 0, all = (size_t)(group_count > 0 ? group_count : 0) + 1;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        count++;
    NnOptimizer *o = reel_mem_calloc(1, sizeof *o);
    OptimizerState *states = reel_mem_calloc(count, sizeof *states);
    OptimizerGroup *own = reel_mem_calloc(all, sizeof *own);
    if (!o || !states || !own) {
        reel_mem_free(o);
        reel_mem_free(states);
        reel_mem_free(own);
        return reel_status_no_memory(count * sizeof *states, "the optimizer");
    }
    *o = (NnOptimizer){
        .module = module, .norm = NAN, .states = states, .groups = own, .group_count = (int)all};
    status = start(o, options, groups);
    if (!reel_status_is_ok(&status)) {
        nn_optimizer_free(o);
        return status;
    }
    *optimizer = o;
    return status;
}

ReelStatus nn_optimizer_new(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options)
{
    return nn_optimizer_new_grouped(optimizer, module, options, NULL, 0);
}

void nn_optimizer_free(NnOptimizer *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->count; i++) {
        OptimizerState *state = &o->states[i];
        nn_late_rows_end(state);
        if (state->parameter->optimizer == o)
            state->parameter->optimizer = NULL;
        reel_mem_free(state->m.data);
        reel_mem_free(state->v.data);
        reel_mem_free(state->last.data);
        reel_mem_free(state->schedule);
    }
    reel_mem_free(o->states);
    reel_mem_free(o->groups);
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

/* Fetches a parameter's gradients. *any: there is one, perhaps of zeros. False: no memory. */
static bool fetch(NnOptimizer *o, OptimizerState *state, const NnPieces *pieces, bool *any)
{
    TensorArena *arena = pieces->arena;
    TapeGradient *gradients = tensor_arena_alloc(arena, (size_t)pieces->count * sizeof *gradients);
    state->addends = tensor_arena_alloc(arena, (size_t)pieces->count * sizeof *state->addends);
    state->addend_count = 0;
    state->goes_by_rows = false;
    if (!gradients || !state->addends)
        return false;
    bool any_dense = false, any_rows = false;
    for (int i = 0; i < pieces->count; i++) {
        TapeGradient *g = &gradients[i];
        *g = pieces->gradient(pieces->context, i, state->parameter);
        if (tensor_is_valid(g->rows)) {
            g->rows = tensor_contiguous(arena, g->rows);
            if (!tensor_is_valid(g->rows))
                return false;
        }
        any_dense = any_dense || tensor_is_valid(g->dense);
        any_rows = any_rows || tensor_is_valid(g->rows);
    }
    *any = any_dense || any_rows;
    state->goes_by_rows = *any && state->by_rows && !any_dense;
    if (state->goes_by_rows)
        return nn_sum_rows_find(&state->rows, gradients, NULL, o->pieces, arena);
    for (int i = 0; i < pieces->count; i++) {
        if (!tensor_is_valid(gradients[i].rows) && !tensor_is_valid(gradients[i].dense))
            continue;
        Tensor dense = nn_sum_densify(&gradients[i], state->parameter->core.value, arena);
        if (!tensor_is_valid(dense))
            return false;
        state->addends[state->addend_count++] = (Addend){i, dense.data};
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

/* Makes the pieces ready for the parameters that are not frozen. */
static ReelStatus begin_pieces(const NnOptimizer *o, const NnPieces *pieces)
{
    NnParameter **parameters = tensor_arena_alloc(pieces->arena, (size_t)o->count * sizeof(NnParameter *));
    int count = 0;
    if (!parameters)
        return no_memory(o);
    for (int i = 0; i < o->count; i++)
        if (!o->states[i].parameter->core.frozen)
            parameters[count++] = o->states[i].parameter;
    return pieces->begin(pieces, parameters, count);
}

static ReelStatus gather_work(NnOptimizer *o, const NnPieces *pieces)
{
    ReelStatus status = begin_pieces(o, pieces);
    if (!reel_status_is_ok(&status))
        return status;
    o->pieces = pieces->count;
    o->item_count = 0;
    int64_t most = 0;
    for (int i = 0; i < o->count; i++) {
        const OptimizerState *state = &o->states[i];
        int64_t size = tensor_numel(&state->parameter->core.value);
        most += size / DENSE_CHUNK + size / state->width / ROW_CHUNK + 2;
    }
    o->items = tensor_arena_alloc(pieces->arena, (size_t)most * sizeof *o->items);
    if (!o->items)
        return no_memory(o);
    for (int i = 0; i < o->count; i++) {
        OptimizerState *state = &o->states[i];
        bool any = false;
        if (state->parameter->core.frozen)
            continue;
        if (!fetch(o, state, pieces, &any))
            return no_memory(o);
        state->takes_part = any;
        if (any && state->goes_by_rows)
            add_items(o, state, state->rows.count, ROW_CHUNK);
        else if (any)
            add_items(o, state, tensor_numel(&state->parameter->core.value), DENSE_CHUNK);
    }
    return status;
}

/* ---- Sums over the pieces, and their norm ---- */

#define KERNELS "nn/optimizer_kernels_internal.h"
#include "tensor/each_real.h"

/* Calls `visit` for parts of at most SUM_CHUNK elements of an item, with the part's place in the parameter
 * and its gradient. */
typedef void Visit(OptimizerItem *item, int64_t at, void *gradient, int64_t count);

static void visit_parts(OptimizerItem *item, Visit *visit)
{
    OptimizerState *state = item->state;
    _Alignas(64) SumBuffer buffers[SUM_DEPTH];
    if (state->goes_by_rows) {
        const SumRows *rows = &state->rows;
        for (int64_t k = item->begin; k < item->end; k++)
            for (int64_t at = 0; at < state->width; at += SUM_CHUNK) {
                int64_t count = state->width - at < SUM_CHUNK ? state->width - at : SUM_CHUNK;
                float *g = gradient_f32(state, rows->addends + rows->first[k],
                                        rows->first[k + 1] - rows->first[k], at, count, buffers);
                visit(item, rows->ids[k] * state->width + at, g, count);
            }
        return;
    }
    for (int64_t at = item->begin; at < item->end; at += SUM_CHUNK) {
        int64_t count = item->end - at < SUM_CHUNK ? item->end - at : SUM_CHUNK;
        if (state->dtype == TENSOR_F32)
            visit(item, at, gradient_f32(state, state->addends, state->addend_count, at, count, buffers),
                  count);
        else
            visit(item, at, gradient_f64(state, state->addends, state->addend_count, at, count, buffers),
                  count);
    }
}

static void add_squares(OptimizerItem *item, int64_t at, void *gradient, int64_t count)
{
    (void)at;
    item->squares += tensor_sum_of_squares(tensor_from(gradient, item->state->dtype, TENSOR_SHAPE(count)));
}

static void square_task(void *context, int task)
{
    NnOptimizer *o = context;
    visit_parts(&o->items[task], add_squares);
}

static double norm_of_gradients(NnOptimizer *o, TensorPool *pool)
{
    tensor_pool_run(pool, square_task, o, o->item_count);
    double squares = 0;
    for (int i = 0; i < o->item_count; i++)
        squares += o->items[i].squares;
    return sqrt(squares);
}

/* ---- Updating ---- */

static void update_part(OptimizerItem *item, int64_t at, void *gradient, int64_t count)
{
    OptimizerState *state = item->state;
    const UpdateRule *rule = state->optimizer->rule;
    Tensor value = state->parameter->core.value;
    bool begins_row = is_late(state) && state->goes_by_rows && at % state->width == 0;
    if (begins_row)
        nn_late_rows_settle(state, at / state->width, state->steps - 1);
    if (state->dtype == TENSOR_F32)
        rule->update_f32(state, at, tensor_f32(value) + at, gradient, count);
    else
        rule->update_f64(state, at, tensor_f64(value) + at, gradient, count);
    if (begins_row)
        tensor_i32(state->last)[at / state->width] = state->steps;
}

static void update_task(void *context, int task)
{
    NnOptimizer *o = context;
    visit_parts(&o->items[task], update_part);
}

/* Before the update of a parameter that takes part. */
static void begin_update(OptimizerState *state)
{
    if (is_late(state) && !state->goes_by_rows)
        nn_late_rows_settle_all(state, state->steps);
    state->steps++;
    state->optimizer->rule->begin(state);
}

/* All that can fail, before anything is changed. */
static ReelStatus prepare_update(NnOptimizer *o, const NnPieces *pieces)
{
    ReelStatus status = reel_status_ok();
    o->scale = 1;
    o->norm = NAN;
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++) {
        o->states[i].takes_part = false;
        status = check(&o->states[i]);
    }
    if (reel_status_is_ok(&status))
        status = gather_work(o, pieces);
    for (int i = 0; i < o->count && reel_status_is_ok(&status); i++)
        if (o->states[i].takes_part && is_late(&o->states[i]) &&
            !nn_late_rows_reserve(&o->states[i], o->states[i].steps + 1))
            status = no_memory(o);
    double clip_norm = o->groups[0].options.clip_norm;
    if (!reel_status_is_ok(&status) || clip_norm == 0)
        return status;
    o->norm = norm_of_gradients(o, pieces->pool);
    if (!isfinite(o->norm))
        return reel_status_failed(
            "optimizer: the norm of the gradients in update %lld is %g, so that they cannot be "
            "clipped; nothing was changed, lower the learning rate or look with "
            "tape_set_check_finite()",
            (long long)o->step + 1, o->norm);
    if (o->norm > clip_norm)
        o->scale = clip_norm / (o->norm + 1e-6);
    return status;
}

ReelStatus nn_optimizer_step(NnOptimizer *o, NnPieces pieces)
{
    if (pieces.count < 1 || pieces.count > NN_MOST_SHARDS)
        return reel_status_usage("optimizer: an update takes 1 to %d pieces of a gradient, not %d",
                                 NN_MOST_SHARDS, pieces.count);
    ReelStatus status = prepare_update(o, &pieces);
    if (!reel_status_is_ok(&status))
        return status;
    for (int i = 0; i < o->count; i++)
        if (o->states[i].takes_part)
            begin_update(&o->states[i]);
    o->step++;
    tensor_pool_run(pieces.pool, update_task, o, o->item_count);
    for (int i = 0; i < o->count; i++) {
        OptimizerState *state = &o->states[i];
        if (state->takes_part)
            nn_late_rows_updated(state);
        if (pieces.clear)
            pieces.clear(pieces.context, state->parameter);
    }
    return status;
}

void nn_optimizer_set_lr(NnOptimizer *o, double lr)
{
    double base = o->groups[0].options.lr;
    for (int i = 0; i < o->group_count; i++) {
        double own = o->groups[i].options.lr;
        o->groups[i].lr = own == base ? lr : lr * (own / base);
    }
}

void nn_optimizer_set_group_lr(NnOptimizer *o, int group, double lr)
{
    if (group >= 0 && group + 1 < o->group_count)
        o->groups[group + 1].lr = lr;
}

int64_t nn_optimizer_steps(const NnOptimizer *o)
{
    return o->step;
}

double nn_optimizer_norm(const NnOptimizer *o)
{
    return o->norm;
}

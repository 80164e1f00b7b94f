/* Rows of an embedding that are brought up to date when they are needed (optimizer.h says why that changes
 * nothing). What a row misses meanwhile are updates without gradient, which vmath_adam_idle() makes up for
 * from the settings that each of them had. */
#include "nn/optimizer_internal.h"
#include "tensor/rows.h"

#include <math.h>

bool late_rows_are_possible(const NnOptimizer *o)
{
    if (o->options.kind == NN_SGD)
        return o->options.momentum == 0 && o->options.weight_decay == 0;
    return o->options.kind == NN_ADAMW || o->options.weight_decay == 0;
}

/* Without gradient an update is at most beta1 / sqrt(beta2) times the one before, at the same learning rate.
 * Once the power of that is below 1e-9, no weight of f32 moves any more. */
int32_t late_rows_memory(const NnOptimizerOptions *options)
{
    double ratio = options->beta1 / sqrt(options->beta2);
    if (options->beta1 == 0)
        return 1;
    double steps = ratio < 1 ? ceil(log(1e-9) / log(ratio)) : INT32_MAX;
    return steps < INT32_MAX ? (int32_t)steps : INT32_MAX;
}

/* Moves w [width] from after step `from` to after step `to` with zero gradients; m and v are those after
 * `from`. */
static void idle(const NnOptimizer *o, float *w, const float *m, const float *v, int32_t from, int32_t to,
                 int64_t width)
{
    int32_t moving = to - from < o->memory ? to - from : o->memory;
    int32_t may_stop = o->rise > from ? o->rise - from : 0;
    if (o->options.weight_decay != 0) /* a decay that rounds to nothing now need not do so later */
        may_stop = moving;
    vmath_adam_idle(w, m, v, o->schedule + from, (size_t)moving, (size_t)may_stop, (size_t)width);
    if (o->options.weight_decay == 0 || from + moving == to)
        return;
    double keep = 1;
    for (int32_t k = from + moving; k < to; k++)
        keep *= o->schedule[k].keep;
    for (int64_t j = 0; j < width; j++)
        w[j] = (float)(w[j] * keep);
}

void late_rows_read(const void *context, Tensor ids, Tensor out)
{
    const OptimizerState *state = context;
    const NnOptimizer *o = state->optimizer;
    tensor_gather_rows(out, state->parameter->core.value, ids);
    const float *m = tensor_f32(state->m), *v = tensor_f32(state->v);
    for (int64_t i = 0; i < ids.shape[0]; i++) {
        int32_t id = tensor_i32(ids)[i * ids.strides[0]], last = tensor_i32(state->last)[id];
        if (last < o->step)
            idle(o, tensor_f32(out) + i * out.strides[0], m + id * state->width, v + id * state->width, last,
                 o->step, state->width);
    }
}

void late_rows_settle(OptimizerState *state, int64_t row, int32_t to)
{
    const NnOptimizer *o = state->optimizer;
    int32_t from = tensor_i32(state->last)[row];
    if (from >= to)
        return;
    tensor_i32(state->last)[row] = to;
    if (!optimizer_is_adam(o))
        return;
    float *w = tensor_f32(state->parameter->core.value) + row * state->width;
    float *m = tensor_f32(state->m) + row * state->width, *v = tensor_f32(state->v) + row * state->width;
    idle(o, w, m, v, from, to, state->width);
    float decay_m = (float)pow(o->options.beta1, to - from),
          decay_v = (float)pow(o->options.beta2, to - from);
    for (int64_t j = 0; j < state->width; j++) {
        m[j] *= decay_m;
        v[j] *= decay_v;
    }
}

void late_rows_settle_all(OptimizerState *state, int32_t to)
{
    for (int64_t row = 0; state->late && row < state->last.shape[0]; row++)
        late_rows_settle(state, row, to);
}

void late_rows_settle_now(const void *context)
{
    const OptimizerState *state = context;
    late_rows_settle_all((OptimizerState *)(uintptr_t)state, state->optimizer->step);
}

void late_rows_stand_still(OptimizerState *state)
{
    int32_t now = state->optimizer->step;
    late_rows_settle_all(state, now);
    for (int64_t row = 0; state->late && row < state->last.shape[0]; row++)
        tensor_i32(state->last)[row] = now + 1;
}

/* A sparse set: a slot counts only if the entry that it points to points back. */
bool late_rows_find(NnOptimizer *o, OptimizerState *state, Arena *arena)
{
    int64_t most = 0;
    for (int t = 0; t < o->tapes; t++)
        if (tensor_is_valid(state->sparse[t].ids))
            most += state->sparse[t].ids.shape[0];
    state->rows = 0;
    state->ids = arena_alloc(arena, (size_t)most * sizeof *state->ids);
    state->sources = arena_alloc(arena, (size_t)(most * o->tapes) * sizeof *state->sources);
    if (!state->ids || !state->sources)
        return false;
    for (int t = 0; t < o->tapes; t++) {
        Tensor ids = state->sparse[t].ids;
        for (int64_t i = 0; tensor_is_valid(ids) && i < ids.shape[0]; i++) {
            int32_t id = tensor_i32(ids)[i * ids.strides[0]], slot = state->slots[id];
            if (slot < 0 || slot >= state->rows || state->ids[slot] != id) {
                slot = state->slots[id] = (int32_t)state->rows;
                state->ids[state->rows++] = id;
                for (int k = 0; k < o->tapes; k++)
                    state->sources[slot * o->tapes + k] = -1;
            }
            state->sources[slot * o->tapes + t] = (int32_t)i;
        }
    }
    return true;
}

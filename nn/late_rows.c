/* Rows of an embedding that are brought up to date when they are needed (optimizer.h says why that changes
 * nothing). What a row misses meanwhile are updates without gradient, which the rule makes up for from the
 * settings that each of them had. Time is counted in updates that the parameter took part in. */
#include "nn/optimizer_internal.h"
#include "tensor/mem.h"
#include "tensor/rows.h"

enum { SETTINGS = 4096 }; /* updates whose settings have room at the start; then it doubles */

static void read_rows(const void *context, Tensor ids, Tensor out)
{
    const OptimizerState *state = context;
    tensor_gather_rows(out, state->parameter->core.value, ids);
    for (int64_t i = 0; i < ids.shape[0]; i++) {
        int32_t id = tensor_i32(ids)[i * ids.strides[0]], last = tensor_i32(state->last)[id];
        if (last < state->steps)
            state->optimizer->rule->idle(state, tensor_f32(out) + i * out.strides[0],
                                         moment_row(state, state->m, id), moment_row(state, state->v, id),
                                         last, state->steps);
    }
}

static void settle_now(const void *context)
{
    OptimizerState *state = (OptimizerState *)(uintptr_t)context;
    nn_late_rows_settle_all(state, state->steps);
}

bool nn_late_rows_begin(OptimizerState *state)
{
    TapeParameter *core = &state->parameter->core;
    int64_t rows = core->value.shape[0];
    void *last = reel_mem_calloc((size_t)rows, sizeof(int32_t));
    if (!last)
        return false;
    state->last = tensor_from(last, TENSOR_I32, TENSOR_SHAPE(rows));
    if (!nn_late_rows_reserve(state, SETTINGS))
        return false;
    core->read = read_rows;
    core->settle = settle_now;
    core->read_context = state;
    return true;
}

void nn_late_rows_end(OptimizerState *state)
{
    TapeParameter *core = &state->parameter->core;
    if (!is_late(state) || core->read_context != state)
        return;
    tape_parameter_settle(core);
    core->read = NULL;
    core->settle = NULL;
    core->read_context = NULL;
    tape_parameter_changed(core);
}

bool nn_late_rows_reserve(OptimizerState *state, int32_t count)
{
    if (state->capacity >= (size_t)count)
        return true;
    AdamStep *schedule = reel_mem_reserve(state->schedule, state->capacity, (size_t)count - state->capacity,
                                          &state->capacity, sizeof *schedule);
    if (schedule)
        state->schedule = schedule;
    return schedule;
}

void nn_late_rows_settle(OptimizerState *state, int64_t row, int32_t to)
{
    const UpdateRule *rule = state->optimizer->rule;
    int32_t *last = tensor_i32(state->last), from = last[row];
    if (from >= to)
        return;
    last[row] = to;
    float *w = tensor_f32(state->parameter->core.value) + row * state->width;
    float *m = moment_row(state, state->m, row), *v = moment_row(state, state->v, row);
    rule->idle(state, w, m, v, from, to);
    rule->decay(state, m, v, from, to);
}

void nn_late_rows_settle_all(OptimizerState *state, int32_t to)
{
    for (int64_t row = 0; row < state->last.shape[0]; row++)
        nn_late_rows_settle(state, row, to);
}

void nn_late_rows_updated(OptimizerState *state)
{
    TapeParameter *core = &state->parameter->core;
    if (is_late(state))
        core->is_behind = false;
    tape_parameter_changed(core);
    if (!is_late(state))
        return;
    for (int64_t row = 0; !state->goes_by_rows && row < state->last.shape[0]; row++)
        tensor_i32(state->last)[row] = state->steps;
    core->is_behind = state->goes_by_rows && state->rows.count < state->last.shape[0];
}

void nn_late_rows_loaded(OptimizerState *state)
{
    TapeParameter *core = &state->parameter->core;
    core->is_behind = core->is_lost = false;
    tape_parameter_changed(core);
    for (int64_t row = 0; row < state->last.shape[0]; row++)
        core->is_behind = core->is_behind || tensor_i32(state->last)[row] < state->steps;
}

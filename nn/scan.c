#include "nn/scan.h"

/* Rows first .. stop of a state; the state itself where that is all. */
static Var some_rows(Var state, int64_t first, int64_t stop)
{
    return first == 0 && stop == var_size(state, 0) ? state : var_slice(state, 0, first, stop, 1);
}

/* The first `running` rows of each state: the texts are ordered by length, so those that end are last. */
static void keep_running(const Var *state, int states, int32_t running, Var *before)
{
    for (int i = 0; i < states; i++)
        before[i] = state[i].tape ? some_rows(state[i], 0, running) : VAR_NONE;
}

/* Rows in the order of the texts to the order of the places. */
static Var by_place(Var rows, const NnPacking *packing)
{
    if (packing->sorted || !rows.tape)
        return rows;
    Tensor text = tensor_from((int32_t *)(uintptr_t)packing->text, TENSOR_I32, TENSOR_SHAPE(packing->texts));
    return var_gather_rows(rows, tape_constant(rows.tape, text));
}

/* What the cell made of its states at step t: one row for each text that runs. */
static bool check_step(Tape *tape, const Var *after, int states, int32_t running, int32_t t)
{
    for (int i = 0; i < states && tape_ok(tape); i++)
        if (!after[i].tape)
            tape_fail(tape, "nn_scan: the cell left state %d of step %d empty", i, (int)t);
        else if (var_ndim(after[i]) < 1 || var_size(after[i], 0) != running)
            tape_fail(tape, "nn_scan: state %d of step %d must have a row for each of %d texts", i, (int)t,
                      (int)running);
    return tape_ok(tape);
}

NnScan(nn_scan)(const NnCell *cell, void *self, NnSequence x, const Var *initial)
{
    Tape *tape = x.rows.tape;
    NnScan scan = {.tape = tape, .states = cell->states};
    if (!tape || !tape_ok(tape) || !x.packing)
        return scan;
    if (cell->states < 1 || cell->states > NN_MAX_STATES) {
        tape_fail(tape, "nn_scan: a cell must have 1 to %d states, not %d", NN_MAX_STATES, cell->states);
        return scan;
    }
    const NnPacking *packing = x.packing;
    size_t count = (size_t)packing->steps * (size_t)cell->states;
    Var *after = tensor_arena_calloc(tape_arena(tape), count * sizeof *after);
    if (!after) {
        tape_fail(tape, "nn_scan: out of memory");
        return scan;
    }
    Var state[NN_MAX_STATES] = {{0}}, before[NN_MAX_STATES];
    for (int i = 0; initial && i < cell->states; i++)
        state[i] = by_place(initial[i], packing);
    for (int32_t t = 0; t < packing->steps; t++) {
        keep_running(state, cell->states, nn_running(packing, t), before);
        Var *now = after + (size_t)t * (size_t)cell->states;
        cell->step(self, nn_step(x, t), before, now);
        if (!check_step(tape, now, cell->states, nn_running(packing, t), t))
            return scan;
        for (int i = 0; i < cell->states; i++)
            state[i] = now[i];
    }
    scan.after = after;
    scan.packing = packing;
    return scan;
}

static Var *gather_parts(NnScan scan, int state)
{
    if (!scan.packing || !tape_ok(scan.tape))
        return NULL;
    if (state < 0 || state >= scan.states) {
        tape_fail(scan.tape, "nn_scan: there is no state %d, the cell has %d states", state, scan.states);
        return NULL;
    }
    Var *parts = tensor_arena_alloc(tape_arena(scan.tape), (size_t)scan.packing->steps * sizeof *parts);
    if (!parts)
        tape_fail(scan.tape, "nn_scan: out of memory");
    return parts;
}

Var(nn_scan_last)(NnScan scan, int state)
{
    Var *parts = gather_parts(scan, state);
    if (!parts)
        return (Var){.tape = scan.tape};
    const NnPacking *packing = scan.packing;
    /* The longest texts have the first places and end last: from the last step to the first, the rows
     * that do not run on are the next places. */
    int count = 0;
    for (int32_t t = packing->steps - 1; t >= 0; t--) {
        int32_t running = nn_running(packing, t), running_on = nn_running(packing, t + 1);
        if (running > running_on)
            parts[count++] = some_rows(scan.after[t * scan.states + state], running_on, running);
    }
    Var last = count == 1 ? parts[0] : var_concat(parts, count, 0);
    if (packing->sorted)
        return last;
    Tensor place =
        tensor_from((int32_t *)(uintptr_t)packing->place, TENSOR_I32, TENSOR_SHAPE(packing->texts));
    return var_gather_rows(last, tape_constant(scan.tape, place));
}

NnSequence(nn_scan_sequence)(NnScan scan, int state)
{
    Var *parts = gather_parts(scan, state);
    if (!parts)
        return (NnSequence){.rows = {.tape = scan.tape}};
    for (int32_t t = 0; t < scan.packing->steps; t++)
        parts[t] = scan.after[t * scan.states + state];
    return (NnSequence){.rows = var_concat(parts, scan.packing->steps, 0), .packing = scan.packing};
}

NnSequence(nn_scan_input)(NnSequence x, Var weight)
{
    if (!x.packing || x.packing->steps > 1 || !x.rows.tape || !tape_ok(x.rows.tape))
        return x;
    Var zeros = var_expand(tape_scalar(x.rows, 0), TENSOR_SHAPE(x.packing->rows, var_size(weight, 1)));
    return nn_with_rows(x, var_addmm(x.rows, zeros, weight));
}

#include "nn/recurrent.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- The three cells ---- */

/* What a cell needs at each step; it lives for one run. */
typedef struct CellRun {
    Var weight_hh; /* [G H, H] */
    Var bias_hh;   /* [G H] or VAR_NONE: GRU only, the others add it to the projected inputs */
    int64_t hidden;
    VarGateOrder gates; /* LSTM */
} CellRun;

static void rnn_step(void *self, Var x, const Var *before, Var *after)
{
    const CellRun *run = self;
    after[0] = var_tanh(before[0].tape ? var_addmm(x, before[0], run->weight_hh) : x);
}

static void lstm_step(void *self, Var x, const Var *before, Var *after)
{
    const CellRun *run = self;
    after[0] = var_gated_memory_step(x, before[0], run->weight_hh, before[1], run->gates, &after[1]);
}

static void gru_step(void *self, Var x, const Var *before, Var *after)
{
    const CellRun *run = self;
    Var no_bias = run->bias_hh.tape ? run->bias_hh : tape_scalar(x, 0);
    Var u = before[0].tape ? var_linear(before[0], run->weight_hh, run->bias_hh)
                           : var_expand(no_bias, TENSOR_SHAPE(var_size(x, 0), 3 * run->hidden));
    after[0] = var_gated_unit(x, u, before[0]);
}

struct NnRecurrentKind {
    const char *name;
    int gates;
    bool bias_in_step; /* bias_hh is not simply added to the inputs' projection */
    NnCell cell;
};

static const NnRecurrentKind rnn_kind = {"nn_rnn", 1, false, {.step = rnn_step, .states = 1}};
static const NnRecurrentKind lstm_kind = {"nn_lstm", 4, false, {.step = lstm_step, .states = 2}};
static const NnRecurrentKind gru_kind = {"nn_gru", 3, true, {.step = gru_step, .states = 1}};

/* ---- Building ---- */

NnRecurrentOptions nn_recurrent_options(void)
{
    return (NnRecurrentOptions){.layers = 1,
                                .biases = 2,
                                .gates = {.input = 0, .forget = 1, .cell = 2, .output = 3},
                                .forget_bias = NAN};
}

static int directions(const NnRecurrent *m)
{
    return m->options.bidirectional ? 2 : 1;
}

static void release(NnModule *module)
{
    NnRecurrent *m = (NnRecurrent *)(void *)module;
    reel_mem_free(m->layers);
    m->layers = NULL;
}

static void add_layer(NnRecurrent *m, NnRecurrentLayer *layer, int index, bool reverse)
{
    static const char *const stems[4] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    for (int i = 0; i < 4; i++)
        snprintf(layer->names[i], sizeof layer->names[i], "%s_l%d%s", stems[i], index,
                 reverse ? "_reverse" : "");
    int64_t width = m->kind->gates * m->hidden;
    int64_t input = index == 0 ? m->input : m->hidden * directions(m);
    NnInit uniform = nn_init_linear(m->hidden);
    NnInit recurrent = m->options.orthogonal ? nn_init_orthogonal(1.0) : uniform;
    nn_module_add_parameter(&m->base, &layer->weight_ih, layer->names[0], TENSOR_SHAPE(width, input),
                            uniform);
    nn_module_add_parameter(&m->base, &layer->weight_hh, layer->names[1], TENSOR_SHAPE(width, m->hidden),
                            recurrent);
    if (m->options.biases > 0)
        nn_module_add_parameter(&m->base, &layer->bias_ih, layer->names[2], TENSOR_SHAPE(width), uniform);
    if (m->options.biases > 1)
        nn_module_add_parameter(&m->base, &layer->bias_hh, layer->names[3], TENSOR_SHAPE(width), uniform);
    if (m->kind == &lstm_kind && m->options.biases > 0 && !isnan(m->options.forget_bias)) {
        layer->bias_ih.fill_first = m->options.gates.forget * m->hidden;
        layer->bias_ih.fill_stop = layer->bias_ih.fill_first + m->hidden;
        layer->bias_ih.fill_value = m->options.forget_bias;
    }
}

static void init(NnRecurrent *m, const NnRecurrentKind *kind, int64_t input, int64_t hidden,
                 NnRecurrentOptions options)
{
    nn_module_init(&m->base);
    m->base.release = release;
    m->kind = kind;
    m->options = options;
    m->input = input;
    m->hidden = hidden;
    m->layers = NULL;
    if (options.layers < 1 || !(options.dropout >= 0 && options.dropout < 1) ||
        !(options.weight_dropout >= 0 && options.weight_dropout < 1)) {
        nn_module_fail(
            &m->base, reel_status_failed("%s: needs at least one layer and a dropout in [0, 1)", kind->name));
        return;
    }
    if (options.biases < 0 || options.biases > 2) {
        nn_module_fail(&m->base,
                       reel_status_failed("%s: has 0 to 2 biases, not %d", kind->name, options.biases));
        return;
    }
    int64_t count = (int64_t)options.layers * directions(m);
    m->layers = reel_mem_calloc((size_t)count, sizeof *m->layers);
    if (!m->layers) {
        nn_module_fail(&m->base, reel_status_no_memory((size_t)count * sizeof *m->layers, kind->name));
        return;
    }
    for (int64_t i = 0; i < count; i++)
        add_layer(m, &m->layers[i], (int)(i / directions(m)), i % directions(m) == 1);
}

void nn_rnn_init(NnRnn *m, int64_t input, int64_t hidden)
{
    init(m, &rnn_kind, input, hidden, nn_recurrent_options());
}

void nn_lstm_init(NnLstm *m, int64_t input, int64_t hidden)
{
    init(m, &lstm_kind, input, hidden, nn_recurrent_options());
}

void nn_gru_init(NnGru *m, int64_t input, int64_t hidden)
{
    init(m, &gru_kind, input, hidden, nn_recurrent_options());
}

void nn_rnn_init_with(NnRnn *m, int64_t input, int64_t hidden, NnRecurrentOptions options)
{
    init(m, &rnn_kind, input, hidden, options);
}

void nn_lstm_init_with(NnLstm *m, int64_t input, int64_t hidden, NnRecurrentOptions options)
{
    init(m, &lstm_kind, input, hidden, options);
}

void nn_gru_init_with(NnGru *m, int64_t input, int64_t hidden, NnRecurrentOptions options)
{
    init(m, &gru_kind, input, hidden, options);
}

/* ---- Running ---- */

/* Layer and direction `index` of the module. */
static NnScan run_layer(NnRecurrent *m, int index, NnSequence x, NnRecurrentState before)
{
    Tape *tape = x.rows.tape;
    NnRecurrentLayer *layer = &m->layers[index];
    CellRun run = {.weight_hh = nn_var(&layer->weight_hh, tape),
                   .bias_hh = m->options.biases > 1 ? nn_var(&layer->bias_hh, tape) : VAR_NONE,
                   .hidden = m->hidden,
                   .gates = m->options.gates};
    Var bias = m->options.biases > 0 ? nn_var(&layer->bias_ih, tape) : VAR_NONE;
    if (m->base.training && m->options.weight_dropout > 0)
        run.weight_hh = var_dropout(run.weight_hh, m->options.weight_dropout);
    if (!m->kind->bias_in_step && run.bias_hh.tape)
        bias = var_add(bias, run.bias_hh);
    Var projected = var_linear(x.rows, nn_var(&layer->weight_ih, tape), bias); /* [N, G H] */
    x = nn_with_rows(x, projected);
    if (!before.h.tape && !before.c.tape)
        return nn_scan(&m->kind->cell, &run, nn_scan_input(x, run.weight_hh), NULL);
    Var initial[2] = {before.h.tape ? var_select(before.h, 0, index) : VAR_NONE,
                      before.c.tape ? var_select(before.c, 0, index) : VAR_NONE};
    return nn_scan(&m->kind->cell, &run, x, initial);
}

/* Whether one part of a state is there in the shape of this run, [L D, B, H], or not given. */
static bool fits(const NnRecurrent *m, NnSequence x, Var part, const char *name)
{
    int64_t layers = (int64_t)m->options.layers * directions(m), texts = x.packing ? x.packing->texts : 0;
    bool same = !part.tape || (var_ndim(part) == 3 && var_size(part, 0) == layers &&
                               var_size(part, 1) == texts && var_size(part, 2) == m->hidden);
    if (!same)
        tape_fail(x.rows.tape, "%s: the state's %s must be [%lld, %lld, %lld]", m->kind->name, name,
                  (long long)layers, (long long)texts, (long long)m->hidden);
    return same;
}

/* The states h of one layer at every token, both directions side by side. */
static NnSequence layer_sequence(const NnScan *scans, int count)
{
    NnSequence forward = nn_scan_sequence(scans[0], 0);
    if (count == 1)
        return forward;
    NnSequence backward = nn_reverse(nn_scan_sequence(scans[1], 0));
    return nn_with_rows(forward, var_concat((Var[]){forward.rows, backward.rows}, 2, 1));
}

static NnRecurrentOutput run(NnRecurrent *m, NnSequence x, NnRecurrentState before)
{
    Tape *tape = x.rows.tape;
    int count = directions(m);
    NnRecurrentOutput out = {
        .last = {.tape = tape}, .layers = m->options.layers, .directions = count, .input = x};
    if (!tape || !tape_ok(tape))
        return out;
    nn_enter(&m->base, tape);
    size_t scans = (size_t)m->options.layers * (size_t)count;
    out.scans = m->layers ? tensor_arena_calloc(tape_arena(tape), scans * sizeof *out.scans) : NULL;
    if (!out.scans)
        tape_fail(tape, "%s: out of memory, or not initialised", m->kind->name);
    bool may_run = fits(m, x, before.h, "h") && fits(m, x, before.c, "c");
    for (int l = 0; l < m->options.layers && may_run && tape_ok(tape); l++) {
        NnScan *scans = out.scans + l * count;
        scans[0] = run_layer(m, l * count, x, before);
        if (count == 2)
            scans[1] = run_layer(m, l * count + 1, nn_reverse(x), before);
        if (l + 1 == m->options.layers)
            break;
        x = layer_sequence(scans, count);
        if (m->base.training && m->options.dropout > 0)
            x = nn_with_rows(x, var_dropout(x.rows, m->options.dropout));
    }
    if (tape_ok(tape)) {
        const NnScan *top = out.scans + (out.layers - 1) * count;
        out.last = nn_scan_last(top[0], 0);
        if (count == 2)
            out.last = var_concat((Var[]){out.last, nn_scan_last(top[1], 0)}, 2, 1);
    }
    nn_leave(tape);
    return out;
}

NnRecurrentOutput(nn_rnn)(NnRnn *m, NnSequence x)
{
    return run(m, x, (NnRecurrentState){VAR_NONE, VAR_NONE});
}

NnRecurrentOutput(nn_lstm)(NnLstm *m, NnSequence x)
{
    return run(m, x, (NnRecurrentState){VAR_NONE, VAR_NONE});
}

NnRecurrentOutput(nn_gru)(NnGru *m, NnSequence x)
{
    return run(m, x, (NnRecurrentState){VAR_NONE, VAR_NONE});
}

NnRecurrentOutput(nn_recurrent_from)(NnRecurrent *m, NnSequence x, NnRecurrentState before)
{
    return run(m, x, before);
}

NnRecurrentState(nn_recurrent_state)(NnRecurrentOutput out)
{
    Tape *tape = out.input.rows.tape;
    NnRecurrentState state = {{.tape = tape}, {.tape = tape}};
    int count = out.layers * out.directions;
    Var *parts = tape && tape_ok(tape) && out.scans
                     ? tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *parts)
                     : NULL;
    if (!parts)
        return state;
    for (int s = 0; s < out.scans[0].states; s++) {
        for (int i = 0; i < count; i++)
            parts[i] = nn_scan_last(out.scans[i], s);
        *(s == 0 ? &state.h : &state.c) = var_stack(parts, count, 0);
    }
    if (out.scans[0].states == 1)
        state.c = VAR_NONE;
    return state;
}

Var(nn_recurrent_step)(NnRecurrent *m, Var x, NnRecurrentState *state)
{
    Tape *tape = x.tape;
    if (!tape || var_is_empty(x))
        return x;
    if (m->options.bidirectional)
        return tape_fail(tape, "%s: a step has one direction", m->kind->name);
    int64_t texts = var_size(x, 0);
    int32_t *ones = tensor_arena_alloc(tape_arena(tape), (size_t)texts * sizeof *ones);
    if (!ones)
        return tape_fail(tape, "%s: out of memory", m->kind->name);
    for (int64_t i = 0; i < texts; i++)
        ones[i] = 1;
    NnRecurrentOutput out = run(m, nn_pack_rows(x, ones, (int32_t)texts), *state);
    *state = nn_recurrent_state(out);
    return out.last;
}

NnSequence(nn_recurrent_sequence)(NnRecurrentOutput out)
{
    if (!out.scans || !tape_ok(out.input.rows.tape))
        return nn_with_rows(out.input, (Var){.tape = out.input.rows.tape});
    return layer_sequence(out.scans + (out.layers - 1) * out.directions, out.directions);
}

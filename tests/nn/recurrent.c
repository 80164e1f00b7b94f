#include "nn/recurrent.h"
#include "nn/embedding.h"
#include "tensor/mem_internal.h"
#include "tensor/panels.h"
#include "tensor/vmath_internal.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"
#include "tensor/panels_internal.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

static void teardown(void)
{
    tensor_panels_force_fallback(false);
    tape_tear_down();
}

typedef void Init(NnRecurrent *m, int64_t input, int64_t hidden, NnRecurrentOptions options);
typedef NnRecurrentOutput Forward(NnRecurrent *m, NnSequence x);

static const struct {
    const char *name;
    Init *init;
    Forward *forward;
    int states, gates;
} kinds[] = {{"rnn", nn_rnn_init_with, nn_rnn, 1, 1},
             {"lstm", nn_lstm_init_with, nn_lstm, 2, 4},
             {"gru", nn_gru_init_with, nn_gru, 1, 3}};
enum { KINDS = 3 };

static NnRecurrentOptions layered(int layers, bool bidirectional)
{
    NnRecurrentOptions options = nn_recurrent_options();
    options.layers = layers;
    options.bidirectional = bidirectional;
    return options;
}

/* ---- Against PyTorch ---- */

static Var weighted(Var value, Tensor weights)
{
    Tensor g = tensor_cast(tape_arena(value.tape), weights, var_value(value).dtype);
    return var_sum(var_mul(value, tape_constant(value.tape, g)), TENSOR_AXES_ALL, false);
}

static TensorDtype dtype_of(const NnRecurrent *m)
{
    return m->layers[0].weight_ih.core.value.dtype;
}

/* Last states against [L D, B, H], and their share of the loss. */
static Var check_last(Fixture *fixture, NnRecurrentOutput out, int state, const char *name, double limit,
                      Var loss)
{
    char of_grad[40];
    snprintf(of_grad, sizeof of_grad, "reel/grad_%s", name);
    Tensor expected = fixture_tensor(fixture, "reel/%s", name),
           grads = fixture_tensor(fixture, "%s", of_grad);
    for (int i = 0; i < out.layers * out.directions; i++) {
        Var last = nn_scan_last(out.scans[i], state);
        ck_assert_close(var_value(last), tensor_select(expected, 0, i), limit);
        loss = var_add(loss, weighted(last, tensor_select(grads, 0, i)));
    }
    return loss;
}

static void compare(Fixture *fixture, NnRecurrent *m, int kind)
{
    double limit = dtype_of(m) == TENSOR_F64 ? 1e-6 : 1e-5,
           gradient_limit = dtype_of(m) == TENSOR_F64 ? 1e-6 : 1e-4;
    tape_begin(tape);
    Tensor offsets = fixture_tensor(fixture, "reel/offsets");
    int32_t lengths[4];
    for (int b = 0; b < 4; b++)
        lengths[b] = tensor_i32(offsets)[b + 1] - tensor_i32(offsets)[b];
    Var x =
        tape_leaf(tape, tensor_cast(tape_arena(tape), fixture_tensor(fixture, "reel/input"), dtype_of(m)));
    NnRecurrentOutput out = kinds[kind].forward(m, nn_pack_rows(x, lengths, 4));
    Var rows = nn_unpack(nn_recurrent_sequence(out));
    ck_assert_tape_ok(tape);
    ck_assert_close(var_value(rows), fixture_tensor(fixture, "reel/output"), limit);
    Var loss = weighted(rows, fixture_tensor(fixture, "reel/grad_output"));
    loss = check_last(fixture, out, 0, "h_n", limit, loss);
    if (kinds[kind].states == 2)
        loss = check_last(fixture, out, 1, "c_n", limit, loss);
    /* `last`: the top layer's last states side by side. */
    Tensor h_n = fixture_tensor(fixture, "reel/h_n");
    int top = (out.layers - 1) * out.directions;
    for (int d = 0; d < out.directions; d++)
        ck_assert_close(tensor_slice(var_value(out.last), 1, d * m->hidden, (d + 1) * m->hidden, 1),
                        tensor_select(h_n, 0, top + d), limit);
    ck_assert(tape_backward(loss));
    ck_assert_norm_close(var_grad(x), fixture_tensor(fixture, "reel/grad_input"), gradient_limit,
                         "the input");
    for (NnIterator it = nn_iterate(&m->base); nn_next(&it);)
        ck_assert_norm_close(named_gradient(tape, &it.named, &arena),
                             fixture_tensor(fixture, "reel/grad/%s", it.named.name), gradient_limit,
                             it.named.name);
}

static void compare_with_pytorch(int kind, bool deep, bool f64)
{
    char name[60];
    snprintf(name, sizeof name, "module_%s%s", kinds[kind].name, deep ? "_deep_bidirectional" : "");
    Fixture fixture = fixture_open(name);
    NnRecurrent m;
    kinds[kind].init(&m, 4, 3, layered(deep ? 2 : 1, deep));
    ck_assert_ok(f64 ? nn_module_reset_f64(&m.base, 0) : nn_module_reset(&m.base, 0));
    fixture_load(&fixture, &m.base);
    for (int twice = 0; twice < 2; twice++) /* the second time with panels that are there already */
        compare(&fixture, &m, kind);
    nn_module_free(&m.base);
    fixture_close(&fixture);
}

START_TEST(outputs_states_and_gradients_are_pytorchs)
{
    TensorVmathLevel before = tensor_vmath_level();
    for (int deep = 0; deep < 2; deep++) {
        compare_with_pytorch(_i, deep, false);
        compare_with_pytorch(_i, deep, true);
        tensor_panels_force_fallback(true);
        compare_with_pytorch(_i, deep, false);
        tensor_panels_force_fallback(false);
        for (int level = 0; level < TENSOR_VMATH_LEVELS; level++)
            if (tensor_vmath_set_level((TensorVmathLevel)level))
                compare_with_pytorch(_i, deep, false);
        tensor_vmath_set_level(before);
    }
}
END_TEST

/* ---- Gradients ---- */

enum { TEXTS = 4, ROWS = 10 };
static const int32_t lengths[TEXTS] = {2, 1, 4, 3};

typedef struct Checked {
    NnRecurrent m;
    int kind;
    bool last_alone;
} Checked;

static Var run(Tape *t, Var input, void *context)
{
    (void)t;
    Checked *c = context;
    NnRecurrentOutput out = kinds[c->kind].forward(&c->m, nn_pack_rows(input, lengths, TEXTS));
    return c->last_alone ? out.last : var_concat((Var[]){out.last, nn_recurrent_sequence(out).rows}, 2, 0);
}

static Tensor noise(TensorDtype dtype, int64_t rows, int64_t columns)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(rows, columns));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

START_TEST(backward_agrees_with_differences)
{
    for (int form = 0; form < 4; form++) {
        Checked c = {.kind = _i, .last_alone = form % 2};
        kinds[_i].init(&c.m, 3, 2, layered(1 + form / 2, form >= 2));
        ck_assert_ok(nn_module_reset_f64(&c.m.base, 4));
        check_module_gradients(&c.m.base, run, &c, noise(TENSOR_F64, ROWS, 3));
        nn_module_free(&c.m.base);
    }
}
END_TEST

/* ---- Building ---- */

START_TEST(names_and_counts_are_pytorchs)
{
    NnRecurrent m;
    int64_t g = kinds[_i].gates;
    kinds[_i].init(&m, 5, 7, layered(2, true));
    ck_assert_int_eq(nn_module_count(&m.base), 2 * (g * 7 * (5 + 7 + 2)) + 2 * (g * 7 * (14 + 7 + 2)));
    static const char *const names[] = {"weight_ih_l0",       "weight_hh_l0",         "bias_ih_l0",
                                        "bias_hh_l0",         "weight_ih_l0_reverse", "weight_hh_l0_reverse",
                                        "bias_ih_l0_reverse", "bias_hh_l0_reverse",   "weight_ih_l1",
                                        "weight_hh_l1",       "bias_ih_l1",           "bias_hh_l1"};
    int i = 0;
    for (NnIterator it = nn_iterate(&m.base); nn_next(&it) && i < 12; i++)
        ck_assert_str_eq(it.named.name, names[i]);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    double most = 0;
    for (NnIterator it = nn_iterate(&m.base); nn_next(&it);) {
        Tensor t = nn_named_view(&it.named);
        for (int64_t k = 0; k < tensor_numel(&t); k++)
            most = fmax(most, fabs((double)tensor_f32(t)[k]));
    }
    ck_assert(most <= 1 / sqrt(7) && most > 0.95 / sqrt(7));
    nn_module_free(&m.base);
}
END_TEST

START_TEST(first_values_can_be_chosen)
{
    NnRecurrentOptions options = nn_recurrent_options();
    options.forget_bias = 1.0;
    options.orthogonal = true;
    NnRecurrent m;
    kinds[_i].init(&m, 5, 4, options);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    Tensor bias = m.layers[0].bias_ih.core.value, hh = m.layers[0].weight_hh.core.value;
    for (int64_t k = 0; k < bias.shape[0]; k++)
        ck_assert_int_eq(tensor_f32(bias)[k] == 1.0f, kinds[_i].gates == 4 && k >= 4 && k < 8);
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 4; j++) {
            double dot = 0;
            for (int64_t k = 0; k < 4; k++)
                dot += tensor_get(&hh, (int64_t[]){i, k}) * tensor_get(&hh, (int64_t[]){j, k});
            ck_assert_double_eq_tol(dot, i == j, 1e-5);
        }
    nn_module_free(&m.base);
}
END_TEST

/* All values of `name` in `to`, gate g from where `order` puts it in `from`; zeros where `from` has none. */
static void copy_gates(NnRecurrent *to, NnRecurrent *from, const char *name, const int *order, int gates)
{
    NnNamed of_to, of_from;
    if (!nn_find(&to->base, name, &of_to))
        return;
    Tensor values = nn_named_view(&of_to);
    int64_t rows = values.shape[0] / gates;
    tensor_fill(values, 0);
    for (int g = 0; g < gates && nn_find(&from->base, name, &of_from); g++)
        tensor_copy_into(tensor_slice(values, 0, g * rows, (g + 1) * rows, 1),
                         tensor_slice(nn_named_view(&of_from), 0, order[g] * rows, (order[g] + 1) * rows, 1));
    tape_parameter_changed(&of_to.parameter->core);
}

/* With biases left out, and with the gates elsewhere, it is PyTorch's with zeros there and with the rows
 * brought into its order. */
START_TEST(biases_may_be_left_out_and_gates_lie_elsewhere)
{
    static const char *const names[] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"};
    for (int biases = 0; biases < 3; biases++) {
        NnRecurrentOptions options = nn_recurrent_options();
        const int onnx[] = {0, 2, 3, 1}, same[] = {0, 1, 2, 3}; /* where i, f, g, o lie */
        options.biases = biases;
        options.forget_bias = 1;
        options.gates = (VarGateOrder){.input = 0, .output = 1, .forget = 2, .cell = 3};
        NnRecurrent m, pytorchs;
        kinds[_i].init(&m, 3, 2, options);
        kinds[_i].init(&pytorchs, 3, 2, nn_recurrent_options());
        ck_assert_int_eq(nn_module_count(&m.base),
                         nn_module_count(&pytorchs.base) - (2 - biases) * kinds[_i].gates * 2);
        ck_assert_ok(nn_module_reset_f64(&m.base, 1));
        ck_assert_ok(nn_module_reset_f64(&pytorchs.base, 2));
        if (kinds[_i].gates == 4 && biases > 0)
            ck_assert_double_eq(tensor_get(&m.layers[0].bias_ih.core.value, (int64_t[]){5}), 1);
        for (int i = 0; i < 4; i++)
            copy_gates(&pytorchs, &m, names[i], kinds[_i].gates == 4 ? onnx : same, kinds[_i].gates);
        tape_begin(tape);
        Var x = tape_constant(tape, noise(TENSOR_F64, ROWS, 3));
        NnRecurrentOutput a = kinds[_i].forward(&m, nn_pack_rows(x, lengths, TEXTS)),
                          b = kinds[_i].forward(&pytorchs, nn_pack_rows(x, lengths, TEXTS));
        ck_assert_tape_ok(tape);
        ck_assert_close(var_value(a.last), var_value(b.last), 1e-14);
        Checked c = {.kind = _i};
        kinds[_i].init(&c.m, 3, 2, options);
        ck_assert_ok(nn_module_reset_f64(&c.m.base, 4));
        check_module_gradients(&c.m.base, run, &c, noise(TENSOR_F64, ROWS, 3));
        nn_module_free(&c.m.base);
        nn_module_free(&m.base);
        nn_module_free(&pytorchs.base);
    }
}
END_TEST

/* ---- From a state, and step by step ---- */

START_TEST(from_a_state_it_is_pytorchs)
{
    for (int f64 = 0; f64 < 2; f64++) {
        Fixture fixture = fixture_open("module_lstm_from");
        TensorDtype dtype = f64 ? TENSOR_F64 : TENSOR_F32;
        double limit = f64 ? 1e-6 : 1e-5;
        NnRecurrent m;
        nn_lstm_init_with(&m, 2, 2, layered(1, true));
        ck_assert_ok(f64 ? nn_module_reset_f64(&m.base, 0) : nn_module_reset(&m.base, 0));
        fixture_load(&fixture, &m.base);
        tape_begin(tape);
        NnRecurrentState before = {
            tape_leaf(tape, tensor_cast(&arena, fixture_tensor(&fixture, "reel/h"), dtype)),
            tape_leaf(tape, tensor_cast(&arena, fixture_tensor(&fixture, "reel/c"), dtype))};
        Var x = tape_constant(tape, tensor_cast(&arena, fixture_tensor(&fixture, "reel/input"), dtype));
        NnRecurrentOutput out = nn_recurrent_from(&m, nn_pack_rows(x, (const int32_t[]){2, 3}, 2), before);
        NnRecurrentState after = nn_recurrent_state(out);
        Var rows = nn_unpack(nn_recurrent_sequence(out));
        ck_assert_tape_ok(tape);
        ck_assert_close(var_value(rows), fixture_tensor(&fixture, "reel/output"), limit);
        ck_assert_close(var_value(after.h), fixture_tensor(&fixture, "reel/h_n"), limit);
        ck_assert_close(var_value(after.c), fixture_tensor(&fixture, "reel/c_n"), limit);
        ck_assert(tape_backward(var_add(var_sum(rows, TENSOR_AXES_ALL, false),
                                        var_sum(var_mul(after.h, after.c), TENSOR_AXES_ALL, false))));
        ck_assert_norm_close(var_grad(before.h), fixture_tensor(&fixture, "reel/grad_h"), 10 * limit, "h");
        ck_assert_norm_close(var_grad(before.c), fixture_tensor(&fixture, "reel/grad_c"), 10 * limit, "c");
        nn_module_free(&m.base);
        fixture_close(&fixture);
    }
}
END_TEST

/* A text in two halves, the second from the first one's state, and one step at a time, is the text at once.
 */
START_TEST(a_text_may_come_in_parts)
{
    enum { STEPS = 4, TOGETHER = 3 };
    NnRecurrent m;
    kinds[_i].init(&m, 3, 2, layered(2, false));
    ck_assert_ok(nn_module_reset_f64(&m.base, 4));
    Tensor x = noise(TENSOR_F64, STEPS * TOGETHER, 3); /* step after step */
    Var rows[STEPS];
    static const int32_t halves[] = {2, 2, 2}, whole[] = {4, 4, 4};
    for (int t = 0; t < STEPS; t++)
        rows[t] = tape_constant(tape, tensor_slice(x, 0, t * TOGETHER, (t + 1) * TOGETHER, 1));
    Var by_text[3]; /* the first half, the second, all: text after text */
    for (int part = 0; part < 3; part++) {
        int first = part == 1 ? 2 : 0, stop = part == 0 ? 2 : 4;
        Var texts = var_transpose(var_stack(rows + first, stop - first, 0), 0, 1); /* [B, T, 3] */
        by_text[part] = var_reshape(texts, TENSOR_SHAPE((stop - first) * TOGETHER, 3));
    }
    NnRecurrentOutput all = kinds[_i].forward(&m, nn_pack_rows(by_text[2], whole, TOGETHER));
    NnRecurrentState expected = nn_recurrent_state(all), state = {VAR_NONE, VAR_NONE};
    for (int half = 0; half < 2; half++)
        state =
            nn_recurrent_state(nn_recurrent_from(&m, nn_pack_rows(by_text[half], halves, TOGETHER), state));
    ck_assert_tape_ok(tape);
    ck_assert_close(var_value(state.h), var_value(expected.h), 1e-14);
    NnRecurrentState step = {VAR_NONE, VAR_NONE};
    Var last = VAR_NONE;
    for (int t = 0; t < STEPS; t++)
        last = nn_recurrent_step(&m, rows[t], &step);
    ck_assert_tape_ok(tape);
    ck_assert_close(var_value(last), var_value(all.last), 1e-14);
    ck_assert_close(var_value(step.h), var_value(expected.h), 1e-14);
    ck_assert_int_eq(step.c.tape != NULL, kinds[_i].states == 2);
    if (kinds[_i].states == 2)
        ck_assert_close(var_value(step.c), var_value(expected.c), 1e-14);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_state_of_another_shape_is_an_error)
{
    NnRecurrent m;
    kinds[_i].init(&m, 3, 2, layered(1, true));
    ck_assert_ok(nn_module_reset(&m.base, 4));
    Var x = tape_constant(tape, noise(TENSOR_F32, ROWS, 3));
    NnRecurrentState wrong = {tape_constant(tape, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3, 2))),
                              VAR_NONE};
    ck_assert(var_is_empty(nn_recurrent_from(&m, nn_pack_rows(x, lengths, TEXTS), wrong).last));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "the state's h must be [2, 4, 2]");
    tape_begin(tape);
    wrong = (NnRecurrentState){VAR_NONE, VAR_NONE};
    x = tape_constant(tape, noise(TENSOR_F32, ROWS, 3));
    ck_assert(var_is_empty(nn_recurrent_step(&m, x, &wrong)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "one direction");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(settings_that_make_no_module_are_errors)
{
    NnRecurrent m;
    NnRecurrentOptions bad[] = {layered(0, false), layered(-3, true), layered(1, false),
                                layered(1, false), layered(1, false), layered(INT_MAX, true),
                                layered(1, false), layered(1, false)};
    bad[7].weight_dropout = 1;
    bad[2].dropout = 1;
    bad[3].dropout = -0.1;
    bad[4].dropout = NAN;
    bad[6].biases = 3;
    for (int i = 0; i < 8; i++) {
        reel_mem_fail_at(i == 5 ? 0 : -1, 0); /* what asks for too much may also get it */
        kinds[_i].init(&m, 3, 2, bad[i]);
        reel_mem_fail_at(-1, 0);
        ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED,
                         i == 5   ? "memory"
                         : i == 6 ? "0 to 2 biases, not 3"
                                  : "at least one layer and a dropout in [0, 1)");
        tape_begin(tape);
        Var x = tape_constant(tape, noise(TENSOR_F32, ROWS, 3));
        ck_assert(var_is_empty(kinds[_i].forward(&m, nn_pack_rows(x, lengths, TEXTS)).last));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, kinds[_i].name);
        nn_module_free(&m.base);
    }
    kinds[_i].init(&m, 0, 2, nn_recurrent_options());
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "at least 1");
    nn_module_free(&m.base);
    kinds[_i].init(&m, 3, 2, nn_recurrent_options()); /* no values */
    tape_begin(tape);
    ck_assert(var_is_empty(
        kinds[_i]
            .forward(&m, nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, ROWS, 3)), lengths, TEXTS))
            .last));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "has no value yet");
    nn_module_free(&m.base);
}
END_TEST

/* For the path in messages. */
typedef struct Net {
    NnModule base;
    NnLstm encoder;
} Net;

START_TEST(rows_of_another_width_are_errors_with_path_and_place)
{
    Net net;
    nn_module_init(&net.base);
    NN_ADD(&net, encoder, nn_lstm_init, 3, 2);
    ck_assert_ok(nn_module_reset(&net.base, 0));
    NnRecurrentOutput out =
        nn_lstm(&net.encoder, nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, ROWS, 4)), lengths, TEXTS));
    ck_assert(var_is_empty(out.last));
    ck_assert(var_is_empty(nn_recurrent_sequence(out).rows));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "linear([10, 4], [8, 3]");
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "encoder");
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/recurrent.c:");
    nn_module_free(&net.base);
}
END_TEST

/* ---- Dropout between layers ---- */

START_TEST(dropout_is_between_layers_and_only_while_training)
{
    for (int layers = 1; layers < 3; layers++) {
        NnRecurrent m, plain;
        NnRecurrentOptions options = layered(layers, false);
        kinds[_i].init(&plain, 3, 16, options);
        options.dropout = 0.5;
        kinds[_i].init(&m, 3, 16, options);
        ck_assert_ok(nn_module_reset(&m.base, 0));
        ck_assert_ok(nn_module_reset(&plain.base, 0));
        Tensor results[4];
        for (int i = 0; i < 4; i++) {
            nn_module_train(&m.base, i < 3);
            tape_begin(tape);
            tape_set_random(tape, tensor_random_new(i == 2 ? 7 : 6, 0));
            Var x = tape_constant(tape, noise(TENSOR_F32, ROWS, 3));
            results[i] =
                tensor_copy(&arena, var_value(kinds[_i].forward(&m, nn_pack_rows(x, lengths, TEXTS)).last));
        }
        tape_begin(tape);
        Tensor expected =
            var_value(kinds[_i]
                          .forward(&plain, nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, ROWS, 3)),
                                                        lengths, TEXTS))
                          .last);
        ck_assert(tensor_equal(results[3], expected));
        ck_assert(tensor_equal(results[0], results[1]));
        ck_assert_int_eq(tensor_equal(results[0], results[2]), layers == 1);
        ck_assert_int_eq(tensor_equal(results[0], expected), layers == 1);
        nn_module_free(&m.base);
        nn_module_free(&plain.base);
    }
}
END_TEST

START_TEST(weight_dropout_is_of_the_recurrent_weights_and_only_while_training)
{
    NnRecurrent m;
    NnRecurrentOptions options = nn_recurrent_options();
    options.weight_dropout = 0.5;
    kinds[_i].init(&m, 3, 16, options);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    Tensor results[4], first[2];
    for (int i = 0; i < 4; i++) {
        nn_module_train(&m.base, i < 3);
        tape_begin(tape);
        tape_set_random(tape, tensor_random_new(i == 2 ? 7 : 6, 0));
        Var x = tape_constant(tape, noise(TENSOR_F32, ROWS, 3));
        NnRecurrentOutput out = kinds[_i].forward(&m, nn_pack_rows(x, lengths, TEXTS));
        results[i] = tensor_copy(&arena, var_value(out.last));
        if (i > 1) /* the first step has no state, and so no weight for it */
            first[i - 2] = tensor_copy(&arena, var_value(nn_step(nn_recurrent_sequence(out), 0)));
        ck_assert_tape_ok(tape);
    }
    ck_assert(tensor_equal(results[0], results[1]));
    ck_assert(!tensor_equal(results[0], results[2]) && !tensor_equal(results[0], results[3]));
    ck_assert(tensor_equal(first[0], first[1]));
    nn_module_free(&m.base);
}
END_TEST

/* ---- Independence ---- */

START_TEST(a_text_has_the_same_states_alone)
{
    for (int deep = 0; deep < 2; deep++) {
        NnRecurrent m;
        kinds[_i].init(&m, 5, 9, layered(1 + deep, deep));
        ck_assert_ok(nn_module_reset(&m.base, 0));
        Tensor x = noise(TENSOR_F32, ROWS, 5);
        tape_begin(tape);
        Tensor all = tensor_copy(
            &arena,
            var_value(kinds[_i].forward(&m, nn_pack_rows(tape_constant(tape, x), lengths, TEXTS)).last));
        int64_t at = 0;
        for (int b = 0; b < TEXTS; at += lengths[b++]) {
            tape_begin(tape);
            Var rows = tape_constant(tape, tensor_slice(x, 0, at, at + lengths[b], 1));
            Tensor alone = var_value(kinds[_i].forward(&m, nn_pack_rows(rows, lengths + b, 1)).last);
            ck_assert(tensor_equal(tensor_select(alone, 0, 0), tensor_select(all, 0, b)));
        }
        nn_module_free(&m.base);
    }
}
END_TEST

START_TEST(repeated_rows_change_nothing)
{
    NnRecurrent m;
    NnEmbedding table;
    kinds[_i].init(&m, 5, 6, layered(2, true));
    nn_embedding_init(&table, 4, 5);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    ck_assert_ok(nn_module_reset(&table.base, 0));
    int32_t ids[ROWS] = {1, 1, 0, 3, 1, 3, 3, 0, 1, 2};
    int32_t offsets[TEXTS + 1] = {0, 2, 3, 7, 10};
    NnSequence x = nn_embedding_sequence(&table, nn_pack(tape, ids, offsets, TEXTS));
    Tensor repeated = tensor_copy(&arena, var_value(kinds[_i].forward(&m, x).last));
    Tensor whole = tensor_copy(&arena, var_value(nn_unpack(x)));
    tape_begin(tape);
    Tensor plain =
        var_value(kinds[_i].forward(&m, nn_pack_rows(tape_constant(tape, whole), lengths, TEXTS)).last);
    ck_assert(tensor_equal(plain, repeated));
    nn_module_free(&m.base);
    nn_module_free(&table.base);
}
END_TEST

/* Texts of one token: the recurrent weight takes part with a gradient of zeros, as in PyTorch, and an
 * optimizer moves it on by its momentum. */
START_TEST(a_recurrent_weight_takes_part_in_texts_of_one_token)
{
    static void (*const inits[])(NnRecurrent *, int64_t, int64_t) = {nn_rnn_init, nn_lstm_init, nn_gru_init};
    static NnRecurrentOutput (*const runs[])(NnRecurrent *, NnSequence) = {(nn_rnn), (nn_lstm), (nn_gru)};
    for (int k = 0; k < 3; k++) {
        NnRecurrent m;
        inits[k](&m, 2, 3);
        ck_assert_ok(nn_module_reset(&m.base, 0));
        NnOptimizerOptions options = nn_optimizer_options(NN_SGD);
        options.lr = 1;
        options.momentum = 0.5;
        NnOptimizer *optimizer;
        ck_assert_ok(nn_optimizer_new(&optimizer, &m.base, options));
        TapeParameter *weight = &m.layers[0].weight_hh.core;
        Tensor before = tensor_copy(&arena, weight->value), moved[3];
        for (int s = 0; s < 3; s++) { /* two tokens, then one */
            tape_begin(tape);
            float x[] = {1, 2, -1, 0.5};
            const int32_t lengths[] = {s == 0 ? 2 : 1, 1};
            Var packed = tape_constant(tape, tensor_from(x, TENSOR_F32, TENSOR_SHAPE(2, 2)));
            ck_assert(tape_backward(var_sum(runs[k](&m, nn_pack_rows(packed, lengths, s == 0 ? 1 : 2)).last,
                                            TENSOR_AXES_ALL, false)));
            TapeGradient g = tape_gradient(tape, weight);
            ck_assert(tensor_is_valid(g.dense));
            if (s > 0)
                ck_assert(tensor_equal(g.dense,
                                       tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(g.dense.shape[0], 3))));
            ck_assert_ok(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
            moved[s] = tensor_copy(&arena, weight->value);
        }
        int64_t n = tensor_numel(&before);
        double most = 0;
        for (int64_t i = 0; i < n; i++) {
            double first = (double)tensor_f32(moved[0])[i] - tensor_f32(before)[i];
            most = fmax(most, fabs(first));
            for (int s = 1; s < 3; s++)
                ck_assert_double_eq_tol((double)tensor_f32(moved[s])[i] - tensor_f32(moved[s - 1])[i],
                                        first * pow(0.5, s), 1e-6);
        }
        ck_assert_double_gt(most, 1e-3);
        nn_optimizer_free(optimizer);
        nn_module_free(&m.base);
    }
}
END_TEST

Suite *nn_recurrent_suite(void);
Suite *nn_recurrent_suite(void)
{
    Suite *suite = suite_create("nn/recurrent");
    TCase *c = tcase_create("recurrent");
    tcase_add_checked_fixture(c, tape_set_up, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, outputs_states_and_gradients_are_pytorchs, 0, KINDS);
    tcase_add_loop_test(c, backward_agrees_with_differences, 0, KINDS);
    tcase_add_loop_test(c, names_and_counts_are_pytorchs, 0, KINDS);
    tcase_add_loop_test(c, first_values_can_be_chosen, 0, KINDS);
    tcase_add_test(c, from_a_state_it_is_pytorchs);
    tcase_add_loop_test(c, a_text_may_come_in_parts, 0, KINDS);
    tcase_add_loop_test(c, a_state_of_another_shape_is_an_error, 0, KINDS);
    tcase_add_loop_test(c, biases_may_be_left_out_and_gates_lie_elsewhere, 0, KINDS);
    tcase_add_loop_test(c, settings_that_make_no_module_are_errors, 0, KINDS);
    tcase_add_test(c, rows_of_another_width_are_errors_with_path_and_place);
    tcase_add_loop_test(c, dropout_is_between_layers_and_only_while_training, 0, KINDS);
    tcase_add_loop_test(c, weight_dropout_is_of_the_recurrent_weights_and_only_while_training, 0, KINDS);
    tcase_add_loop_test(c, a_text_has_the_same_states_alone, 0, KINDS);
    tcase_add_loop_test(c, repeated_rows_change_nothing, 0, KINDS);
    tcase_add_test(c, a_recurrent_weight_takes_part_in_texts_of_one_token);
    suite_add_tcase(suite, c);
    return suite;
}

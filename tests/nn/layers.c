#include "nn/layers.h"
#include "nn/linear.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Tensor noise(TensorDtype dtype, int64_t rows, int64_t columns)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(rows, columns));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -2, 2);
    return t;
}

/* ---- Against PyTorch ---- */

START_TEST(layer_norm_is_pytorchs)
{
    for (int f64 = 0; f64 < 2; f64++) {
        Fixture fixture = fixture_open("layer_norm");
        NnLayerNorm m;
        nn_layer_norm_init(&m, 7);
        ck_assert_double_eq(m.eps, fixture_number(&fixture, "reel/eps"));
        ck_assert_ok(f64 ? nn_module_reset_f64(&m.base, 0) : nn_module_reset(&m.base, 0));
        ck_assert_double_eq(tensor_get(&m.weight.core.value, (int64_t[]){3}), 1);
        ck_assert_double_eq(tensor_get(&m.bias.core.value, (int64_t[]){3}), 0);
        fixture_load(&fixture, &m.base);
        TensorDtype dtype = m.weight.core.value.dtype;
        tape_begin(tape);
        Var x = tape_leaf(tape, tensor_cast(&arena, fixture_tensor(&fixture, "reel/input"), dtype));
        Var y = nn_layer_norm(&m, x);
        Tensor g = tensor_cast(&arena, fixture_tensor(&fixture, "reel/grad_output"), dtype);
        tape_backward(var_sum(var_mul(y, tape_constant(tape, g)), TENSOR_AXES_ALL, false));
        ck_assert_tape_ok(tape);
        ck_assert_close(var_value(y), fixture_tensor(&fixture, "reel/output"),
                        f64 ? 1e-6 : 1e-4); /* one row's mean is 100 */
        ck_assert_norm_close(var_grad(x), fixture_tensor(&fixture, "reel/grad_input"), f64 ? 1e-6 : 1e-4,
                             "the input");
        for (NnIterator it = nn_iterate(&m.base); nn_next(&it);)
            ck_assert_norm_close(named_gradient(tape, &it.named, &arena),
                                 fixture_tensor(&fixture, "reel/grad/%s", it.named.name), f64 ? 1e-6 : 1e-4,
                                 it.named.name);
        nn_module_free(&m.base);
        fixture_close(&fixture);
    }
}
END_TEST

static Var rms_norm(Fixture *fixture, Var input, Var memory, void *context)
{
    (void)fixture, (void)memory;
    return nn_rms_norm(context, input);
}

START_TEST(rms_norm_is_pytorchs)
{
    NnRmsNorm m;
    nn_rms_norm_init(&m, 5);
    check_module_with_pytorch("rms_norm", &m.base, rms_norm, &m);
    nn_module_free(&m.base);
}
END_TEST

static Var given(Fixture *fixture, const char *name, TensorDtype dtype)
{
    return tape_constant(tape, tensor_cast(&arena, fixture_tensor(fixture, "%s", name), dtype));
}

/* One of the fixture's losses of x; `modules`: through the module where there is one. */
static Var loss_of(Fixture *fixture, const char *name, Var x, TensorDtype dtype, bool modules)
{
    Var targets = given(fixture, "targets", dtype);
    NnBceWithLogits m;
    nn_bce_with_logits_init(&m);
    if (strcmp(name, "bce_with_logits") == 0)
        return modules ? nn_bce_with_logits(&m, x, targets)
                       : var_bce_with_logits(x, targets, VAR_NONE, VAR_NONE, VAR_REDUCTION_MEAN);
    if (strcmp(name, "bce_with_logits_weighted") == 0)
        return var_bce_with_logits(x, targets, given(fixture, "pos_weight", dtype),
                                   given(fixture, "weight", dtype), VAR_REDUCTION_MEAN);
    if (strcmp(name, "bce") == 0)
        return modules ? nn_bce(&m, x, targets) : var_bce(x, targets, VAR_NONE, VAR_REDUCTION_MEAN);
    if (strcmp(name, "cross_entropy") == 0)
        return var_cross_entropy(x, tape_constant(tape, fixture_tensor(fixture, "classes")),
                                 VAR_REDUCTION_MEAN);
    return var_mse(x, targets, VAR_REDUCTION_MEAN);
}

START_TEST(losses_are_pytorchs)
{
    static const char *const names[] = {"bce_with_logits", "bce_with_logits_weighted", "bce", "cross_entropy",
                                        "mse"};
    Fixture fixture = fixture_open("losses");
    for (int i = 0; i < 5; i++)
        for (int f64 = 0; f64 < 2; f64++)
            for (int modules = 0; modules < 2; modules++) {
                TensorDtype dtype = f64 ? TENSOR_F64 : TENSOR_F32;
                tape_begin(tape);
                Var x = tape_leaf(
                    tape,
                    tensor_cast(&arena, fixture_tensor(&fixture, i == 2 ? "probability" : "logits"), dtype));
                Var loss = loss_of(&fixture, names[i], x, dtype, modules);
                ck_assert(tape_backward(loss));
                Tensor expected = fixture_tensor(&fixture, "%s/loss", names[i]);
                ck_assert_msg(fabs(var_item(loss) / tensor_item(expected) - 1) < 1e-6, "%s: %.9g, not %.9g",
                              names[i], var_item(loss), tensor_item(expected));
                ck_assert_norm_close(var_grad(x), fixture_tensor(&fixture, "%s/grad", names[i]), 1e-6,
                                     names[i]);
            }
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_loss_module_has_reduction_and_weights)
{
    NnBceWithLogits m;
    nn_bce_with_logits_init(&m);
    float weights[3] = {1, 2, 3};
    m.pos_weight = tensor_from(weights, TENSOR_F32, TENSOR_SHAPE(3));
    Tensor x = noise(TENSOR_F32, 4, 3), target = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(4, 3));
    for (int64_t i = 0; i < 12; i += 2)
        tensor_f32(target)[i] = 1;
    double sum = 0;
    m.reduction = VAR_REDUCTION_NONE;
    Tensor each = var_value(nn_bce_with_logits(&m, tape_constant(tape, x), tape_constant(tape, target)));
    ck_assert(tensor_same_shape(&each, &x));
    for (int64_t i = 0; i < 12; i++) {
        double p = 1 / (1 + exp(-(double)tensor_f32(x)[i])), t = tensor_f32(target)[i];
        double expected = -(weights[i % 3] * t * log(p) + (1 - t) * log(1 - p));
        ck_assert_double_eq_tol(tensor_f32(each)[i], expected, 1e-5);
        sum += expected;
    }
    m.reduction = VAR_REDUCTION_SUM;
    ck_assert_double_eq_tol(
        var_item(nn_bce_with_logits(&m, tape_constant(tape, x), tape_constant(tape, target))), sum, 1e-4);
}
END_TEST

/* ---- Activations ---- */

START_TEST(any_function_of_one_value_is_an_activation)
{
    NnActivation m;
    NnSequential parts;
    nn_activation_init(&m, var_softplus);
    nn_sequential_init(&parts);
    nn_sequential_add(&parts, &m.base);
    Var x = tape_constant(tape, noise(TENSOR_F32, 3, 4));
    ck_assert(tensor_equal(var_value(nn_sequential(&parts, x)), var_value(var_softplus(x))));
    nn_module_free(&parts.base);
}
END_TEST

START_TEST(activations_are_their_functions)
{
    NnTanh tanh_;
    NnSigmoid sigmoid;
    NnRelu relu;
    NnSoftmax rows, columns;
    nn_tanh_init(&tanh_);
    nn_sigmoid_init(&sigmoid);
    nn_relu_init(&relu);
    nn_softmax_init(&rows, 1);
    nn_softmax_init(&columns, 0);
    Tensor x = noise(TENSOR_F32, 3, 4);
    Var v = tape_constant(tape, x);
    Tensor t = var_value(nn_tanh(&tanh_, v)), s = var_value(nn_sigmoid(&sigmoid, v)),
           r = var_value(nn_relu(&relu, v)), by_row = var_value(nn_softmax(&rows, v)),
           by_column = tensor_contiguous(&arena, var_value(nn_softmax(&columns, v)));
    for (int64_t i = 0; i < 12; i++) {
        double value = tensor_f32(x)[i], row = 0, column = 0;
        for (int64_t k = 0; k < 12; k++) {
            row += k / 4 == i / 4 ? exp((double)tensor_f32(x)[k]) : 0;
            column += k % 4 == i % 4 ? exp((double)tensor_f32(x)[k]) : 0;
        }
        ck_assert_double_eq_tol(tensor_f32(t)[i], tanh(value), 1e-6);
        ck_assert_double_eq_tol(tensor_f32(s)[i], 1 / (1 + exp(-value)), 1e-6);
        ck_assert_double_eq_tol(tensor_f32(r)[i], fmax(value, 0), 0.0 + 1e-12);
        ck_assert_double_eq_tol(tensor_f32(by_row)[i], exp(value) / row, 1e-6);
        ck_assert_double_eq_tol(tensor_f32(by_column)[i], exp(value) / column, 1e-6);
    }
}
END_TEST

/* ---- Dropout ---- */

START_TEST(dropout_drops_while_training_and_scales_what_is_left)
{
    NnDropout m;
    nn_dropout_init(&m, 0.3);
    Tensor x = noise(TENSOR_F32, 100, 100);
    tape_set_random(tape, tensor_random_new(1, 2));
    Var leaf = tape_leaf(tape, x), y = nn_dropout(&m, leaf);
    tape_backward(var_sum(y, TENSOR_AXES_ALL, false));
    Tensor value = var_value(y), g = var_grad(leaf);
    int zeros = 0;
    for (int64_t i = 0; i < 10000; i++) {
        float out = tensor_f32(value)[i], in = tensor_f32(x)[i];
        zeros += out == 0;
        ck_assert(out == 0 ? tensor_f32(g)[i] == 0
                           : fabs(out - in / 0.7) < 1e-6 && fabs(tensor_f32(g)[i] - 1 / 0.7) < 1e-6);
    }
    ck_assert_msg(zeros > 2800 && zeros < 3200, "%d of 10000 dropped", zeros);
    Tensor first = tensor_copy(&arena, value);
    for (int other = 0; other < 2; other++) { /* a second mask of the step, then the first one again */
        Tensor second = var_value(nn_dropout(&m, tape_constant(tape, x)));
        ck_assert(!tensor_equal(second, first));
        tape_begin(tape);
        tape_set_random(tape, tensor_random_new(1, 2));
        ck_assert(tensor_equal(var_value(nn_dropout(&m, tape_constant(tape, x))), first));
    }
    nn_module_train(&m.base, false);
    ck_assert(tensor_equal(var_value(nn_dropout(&m, tape_constant(tape, x))), x));
    nn_module_train(&m.base, true);
    nn_dropout_init(&m, 0);
    ck_assert(tensor_equal(var_value(nn_dropout(&m, tape_constant(tape, x))), x));
}
END_TEST

START_TEST(dropout_takes_probabilities_below_one)
{
    const double bad[] = {1, -0.01, 2, NAN, INFINITY};
    for (int i = 0; i < 5; i++) {
        NnDropout m;
        nn_dropout_init(&m, bad[i]);
        ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "[0, 1)");
    }
}
END_TEST

START_TEST(dropout_of_a_sequence_is_row_by_row)
{
    NnDropout m;
    nn_dropout_init(&m, 0.5);
    /* Rows that repeat get masks of their own. */
    float one_row[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    int32_t zeros[16] = {0};
    Var repeated = var_gather_rows(tape_constant(tape, tensor_from(one_row, TENSOR_F32, TENSOR_SHAPE(1, 8))),
                                   tape_constant(tape, tensor_from(zeros, TENSOR_I32, TENSOR_SHAPE(16))));
    NnSequence s = nn_pack_rows(repeated, (int32_t[]){10, 6}, 2);
    NnSequence dropped = nn_dropout_sequence(&m, s);
    ck_assert_ptr_eq(dropped.packing, s.packing);
    Tensor value = var_value(dropped.rows);
    int same = 0;
    for (int64_t i = 1; i < 16; i++)
        same += tensor_equal(tensor_select(value, 0, i), tensor_select(value, 0, i - 1));
    ck_assert_int_lt(same, 4);
}
END_TEST

START_TEST(locked_dropout_has_one_mask_a_text)
{
    enum { WIDTH = 16 };
    static const int32_t lengths[] = {4, 6};
    NnDropout m;
    nn_dropout_init(&m, 0.5);
    Tensor ones = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(10, WIDTH), 1);
    for (int training = 1; training >= 0; training--) {
        nn_module_train(&m.base, training);
        NnSequence x = nn_pack_rows(tape_constant(tape, ones), lengths, 2);
        Tensor y = var_value(nn_unpack(nn_dropout_locked(&m, x)));
        ck_assert_tape_ok(tape);
        for (int64_t i = 1; i < 10; i++)
            ck_assert(i == 4 || tensor_equal(tensor_select(y, 0, i), tensor_select(y, 0, i - 1)));
        ck_assert_int_eq(tensor_equal(tensor_select(y, 0, 4), tensor_select(y, 0, 3)), !training);
        for (int64_t j = 0; j < WIDTH; j++) {
            double value = tensor_get(&y, (int64_t[]){0, j});
            ck_assert(training ? value == 0 || value == 2 : value == 1);
        }
    }
}
END_TEST

/* ---- Sequential ---- */

typedef struct Stack {
    NnSequential all;
    NnLinear first, second;
    NnTanh tanh_;
    NnDropout dropout;
    NnLayerNorm norm;
} Stack;

static void stack_init(Stack *m)
{
    nn_sequential_init(&m->all);
    nn_linear_init(&m->first, 4, 5);
    nn_tanh_init(&m->tanh_);
    nn_layer_norm_init(&m->norm, 5);
    nn_dropout_init(&m->dropout, 0.5);
    nn_linear_init(&m->second, 5, 2);
    nn_sequential_add(&m->all, &m->first.base);
    nn_sequential_add(&m->all, &m->tanh_.base);
    nn_sequential_add(&m->all, &m->norm.base);
    nn_sequential_add(&m->all, &m->dropout.base);
    nn_sequential_add(&m->all, &m->second.base);
}

static Var run_stack(Tape *t, Var input, void *context)
{
    (void)t;
    return nn_sequential(context, input);
}

START_TEST(sequential_runs_its_parts_in_a_row)
{
    static const char *const names[] = {"0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"};
    Stack m;
    stack_init(&m);
    ck_assert_ok(nn_module_reset_f64(&m.all.base, 1));
    int i = 0;
    for (NnIterator it = nn_iterate(&m.all.base); nn_next(&it); i++)
        ck_assert_str_eq(it.named.name, names[i]);
    ck_assert_int_eq(i, 6);
    Tensor x = noise(TENSOR_F64, 3, 4);
    Var v = tape_constant(tape, x);
    nn_module_train(&m.all.base, false); /* reaches the dropout */
    Var by_hand = nn_linear(&m.second, nn_layer_norm(&m.norm, nn_tanh(&m.tanh_, nn_linear(&m.first, v))));
    ck_assert(tensor_equal(var_value(nn_sequential(&m.all, v)), var_value(by_hand)));
    check_module_gradients(&m.all.base, run_stack, &m.all, x);
    nn_module_train(&m.all.base, true);
    ck_assert(!tensor_equal(var_value(nn_sequential(&m.all, v)), var_value(by_hand)));
    tape_begin(tape);
    ck_assert(var_is_empty(nn_sequential(&m.all, tape_constant(tape, noise(TENSOR_F64, 3, 5)))));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "0");
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/layers.c:");
    nn_module_free(&m.all.base);
}
END_TEST

START_TEST(sequential_holds_parts_of_its_own)
{
    Stack m;
    NnSequential own;
    stack_init(&m);
    nn_sequential_init(&own);
    NN_APPEND(&own, NnLinear, nn_linear_init, 4, 5);
    NN_APPEND(&own, NnTanh, nn_tanh_init);
    NN_APPEND(&own, NnLayerNorm, nn_layer_norm_init, 5);
    NN_APPEND(&own, NnDropout, nn_dropout_init, 0.5);
    NN_APPEND(&own, NnLinear, nn_linear_init, 5, 2);
    ck_assert_ok(nn_module_reset(&m.all.base, 1));
    ck_assert_ok(nn_module_reset(&own.base, 1));
    nn_module_train(&m.all.base, false);
    nn_module_train(&own.base, false);
    Var x = tape_constant(tape, noise(TENSOR_F32, 3, 4));
    ck_assert(tensor_equal(var_value(nn_sequential(&own, x)), var_value(nn_sequential(&m.all, x))));
    nn_module_free(&m.all.base);
    nn_module_free(&own.base);
    nn_module_free(&own.base); /* once is enough */
    nn_sequential_init(&own);
    for (int i = 0; i <= NN_SEQUENTIAL_MAX; i++)
        NN_APPEND(&own, NnTanh, nn_tanh_init);
    ck_assert_failed(nn_module_reset(&own.base, 0), REEL_STATUS_FAILED, "at most 32 parts");
    nn_module_free(&own.base);
}
END_TEST

START_TEST(sequential_has_room_for_so_many_parts)
{
    NnSequential m;
    NnTanh parts[NN_SEQUENTIAL_MAX + 1];
    nn_sequential_init(&m);
    ck_assert_ok(nn_module_reset(&m.base, 0)); /* none at all */
    Var x = tape_constant(tape, noise(TENSOR_F32, 2, 2));
    ck_assert(tensor_equal(var_value(nn_sequential(&m, x)), var_value(x)));
    for (int i = 0; i <= NN_SEQUENTIAL_MAX; i++) {
        nn_tanh_init(&parts[i]);
        nn_sequential_add(&m, &parts[i].base);
    }
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "at most 32 parts");
    nn_module_free(&m.base);
    NnLstm lstm; /* a sequence goes in */
    nn_lstm_init(&lstm, 2, 2);
    nn_sequential_init(&m);
    nn_sequential_add(&m, &lstm.base);
    ck_assert(var_is_empty(nn_sequential(&m, x)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "part 0 has no function of one value");
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "part 0 has no function of one value");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(empty_values_pass_through)
{
    Stack m;
    stack_init(&m);
    ck_assert_ok(nn_module_reset(&m.all.base, 1));
    NnSoftmax softmax;
    nn_softmax_init(&softmax, 1);
    NnBce bce;
    nn_bce_init(&bce);
    Var failed = tape_fail(tape, "on purpose");
    const Var inputs[] = {failed, VAR_NONE};
    for (int i = 0; i < 2; i++) {
        Var x = inputs[i];
        ck_assert(var_is_empty(nn_sequential(&m.all, x)) && var_is_empty(nn_layer_norm(&m.norm, x)) &&
                  var_is_empty(nn_dropout(&m.dropout, x)) && var_is_empty(nn_tanh(&m.tanh_, x)) &&
                  var_is_empty(nn_softmax(&softmax, x)) && var_is_empty(nn_bce(&bce, x, x)) &&
                  var_is_empty(nn_bce_with_logits(&bce, x, x)));
    }
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "on purpose");
    nn_module_free(&m.all.base);
}
END_TEST

Suite *nn_layers_suite(void);
Suite *nn_layers_suite(void)
{
    Suite *suite = suite_create("nn/layers");
    TCase *c = tcase_create("layers");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, layer_norm_is_pytorchs);
    tcase_add_test(c, rms_norm_is_pytorchs);
    tcase_add_test(c, losses_are_pytorchs);
    tcase_add_test(c, a_loss_module_has_reduction_and_weights);
    tcase_add_test(c, activations_are_their_functions);
    tcase_add_test(c, any_function_of_one_value_is_an_activation);
    tcase_add_test(c, dropout_drops_while_training_and_scales_what_is_left);
    tcase_add_test(c, dropout_takes_probabilities_below_one);
    tcase_add_test(c, dropout_of_a_sequence_is_row_by_row);
    tcase_add_test(c, locked_dropout_has_one_mask_a_text);
    tcase_add_test(c, sequential_runs_its_parts_in_a_row);
    tcase_add_test(c, sequential_holds_parts_of_its_own);
    tcase_add_test(c, sequential_has_room_for_so_many_parts);
    tcase_add_test(c, empty_values_pass_through);
    suite_add_tcase(suite, c);
    return suite;
}

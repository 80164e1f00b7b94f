#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

START_TEST(values_and_gradients_at_special_points)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3), -2, 0, 3);
    expect(var_value(var_relu(a)), 0, 0, 0, 3);
    ck_assert(tape_backward(var_sum(var_relu(a), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 0, 1);
    Var b = LEAF(tape, TENSOR_SHAPE(3), -2, 0, 3);
    ck_assert(tape_backward(var_sum(var_abs(b), TENSOR_AXES_ALL, false)));
    expect(var_grad(b), 0, -1, 0, 1);
    expect(var_value(var_scale(a, -0.5, 1)), 0, 2, 1, -0.5);
    expect(var_value(var_scale(a, 2, -1)), 0, -5, -1, 5);
    Var far = LEAF(tape, TENSOR_SHAPE(2), 1000, -1000);
    expect(var_value(var_softplus(far)), 0, 1000, 0);
    expect(var_value(var_sigmoid(far)), 0, 1, 0);
    expect(var_value(var_tanh(far)), 0, 1, -1);
    Var loss =
        var_sum(var_add(var_add(var_softplus(far), var_sigmoid(far)), var_tanh(far)), TENSOR_AXES_ALL, false);
    ck_assert(tape_backward(loss));
    expect(var_grad(far), 0, 1, 0);
}
END_TEST

START_TEST(values_are_those_of_libm)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3), 0.25, 1, 4);
    expect(var_value(var_exp(a)), 1e-15, exp(0.25), exp(1), exp(4));
    expect(var_value(var_log(a)), 1e-15, log(0.25), 0, log(4));
    expect(var_value(var_sqrt(a)), 0, 0.5, 1, 2);
    expect(var_value(var_tanh(a)), 1e-15, tanh(0.25), tanh(1), tanh(4));
    expect(var_value(var_sigmoid(a)), 1e-15, 1 / (1 + exp(-0.25)), 1 / (1 + exp(-1)), 1 / (1 + exp(-4)));
    expect(var_value(var_softplus(a)), 1e-15, log(1 + exp(0.25)), log(1 + exp(1)), log(1 + exp(4)));
    expect(var_value(var_neg(a)), 0, -0.25, -1, -4);
}
END_TEST

START_TEST(integers_are_an_error_of_one_operand)
{
    ck_assert(var_is_empty(var_tanh(INDEX(tape, TENSOR_SHAPE(2), 1, 2))));
    assert_fails(tape, "tanh([2])", "i32");
}
END_TEST

START_TEST(operands_broadcast_both_ways)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 1), 1, 2), b = LEAF(tape, TENSOR_SHAPE(3), 10, 20, 30);
    Var sum = var_add(a, b);
    expect(var_value(sum), 0, 11, 21, 31, 12, 22, 32);
    expect(var_value(var_sub(a, b)), 0, -9, -19, -29, -8, -18, -28);
    expect(var_value(var_div(b, a)), 0, 10, 20, 30, 5, 10, 15);
    ck_assert(tape_backward(var_sum(var_mul(sum, b), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 60, 60);
    expect(var_grad(b), 0, 2 * 11 + 1 + 20, 2 * 21 + 1 + 40, 2 * 31 + 1 + 60);
}
END_TEST

START_TEST(powers_have_pytorchs_gradients_at_zero)
{
    Var a = LEAF(tape, TENSOR_SHAPE(4), 0, 2, 0, 3), b = LEAF(tape, TENSOR_SHAPE(4), 0, 3, 2, -1);
    ck_assert(tape_backward(var_sum(var_pow(a, b), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 1e-9, 0, 12, 0, -0.1111111111);
    expect(var_grad(b), 1e-9, 0, 5.545177444, 0, 0.3662040962);
    /* A constant exponent: negative bases are fine. */
    Var c = LEAF(tape, TENSOR_SHAPE(2), -2, -3), two = tape_scalar(c, 2);
    ck_assert(tape_backward(var_sum(var_pow(c, two), TENSOR_AXES_ALL, false)));
    expect(var_grad(c), 0, -4, -6);
}
END_TEST

START_TEST(ties_of_maximum_share_in_halves)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3), 1, 2, 3), b = LEAF(tape, TENSOR_SHAPE(3), 1, 3, 2),
        most = var_maximum(a, b);
    expect(var_value(most), 0, 1, 3, 3);
    ck_assert(tape_backward(var_sum(most, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0.5, 0, 1);
    expect(var_grad(b), 0, 0.5, 1, 0);
    Var nan = LEAF(tape, TENSOR_SHAPE(3), NAN, 1, NAN);
    expect(var_value(var_maximum(a, nan)), 0, NAN, 2, NAN);
}
END_TEST

START_TEST(integers_are_an_error_of_two)
{
    Var i = INDEX(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_add(i, i)));
    assert_fails(tape, "add([2], [2])", "i32");
}
END_TEST

/* The value, and the gradient of the sum. */
static void expect_gradient(Var (*function)(Var), double x, double value, double slope)
{
    Var a = tape_leaf(tape, tensor_full(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(1), x)), y = function(a);
    expect(var_value(y), 1e-15, value);
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 1e-15, slope);
}

static Var leaky(Var a)
{
    return var_leaky_relu(a, 0.25);
}

static Var elu(Var a)
{
    return var_elu(a, 0.5);
}

static Var clamp(Var a)
{
    return var_clamp(a, -1, 2);
}

START_TEST(edges_are_those_of_pytorch)
{
    const double inf = INFINITY, nan = NAN;
    const struct {
        Var (*function)(Var);
        double x, value, slope;
    } cases[] = {
        {var_sqrt, 0, 0, inf},
        {var_log, 0, -inf, inf},
        {var_log, -1, nan, -1},
        {var_rsqrt, 0, inf, -inf},
        {var_reciprocal, -0.0, -inf, -inf},
        {var_abs, -0.0, 0, 0},
        {var_relu, -0.0, 0, 0},
        {var_relu, inf, inf, 1},
        {var_relu, nan, nan, nan},
        {var_tanh, inf, 1, 0},
        {var_tanh, -inf, -1, 0},
        {var_tanh, nan, nan, nan},
        {var_sigmoid, -inf, 0, 0},
        {var_sigmoid, inf, 1, 0},
        {var_exp, -inf, 0, 0},
        {var_softplus, inf, inf, 1},
        {var_softplus, -inf, 0, 0},
        {var_softplus, nan, nan, nan},
        {var_logsigmoid, -inf, -inf, 1},
        {var_logsigmoid, inf, 0, 0},
        {var_log1p, -1, -inf, inf},
        {var_expm1, -inf, -1, 0},
        {var_erf, inf, 1, 0},
        {var_sin, inf, nan, nan},
        {leaky, 0, 0, 0.25},
        {leaky, -inf, -inf, 0.25},
        {leaky, inf, inf, 1},
        {elu, 0, 0, 0.5},
        {elu, -inf, -0.5, 0},
        {elu, inf, inf, 1},
        {clamp, -1, -1, 1},
        {clamp, 2, 2, 1},
        {clamp, inf, 2, 0},
        {var_asin, 1, asin(1), inf},
        {var_acosh, 1, 0, inf},
        {var_atanh, 2, nan, 1 / -3.0},
        {var_exp2, -inf, 0, 0},
        {var_log2, 0, -inf, inf},
        {var_log10, 1000, 3, 1 / (1000 * log(10))},
        {var_erfc, inf, 0, 0},
        {var_cosh, -inf, inf, -inf},
        {var_gelu, 0, 0, 0.5},
        {var_silu, 0, 0, 0.5},
        {var_expm1, 1e-10, 1e-10, 1 + 1e-10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_gradient(cases[i].function, cases[i].x, cases[i].value, cases[i].slope);
    Var a = LEAF(tape, TENSOR_SHAPE(4), 1, 2, NAN, -0.0), b = LEAF(tape, TENSOR_SHAPE(4), 1, 3, 1, 0);
    Var halves = LEAF(tape, TENSOR_SHAPE(5), 2.5, -2.5, -inf, nan, -0.5);
    expect(var_value(var_round(halves)), 0, 2, -2, -inf, nan, -0.0);
    expect(var_value(var_trunc(halves)), 0, 2, -2, -inf, nan, -0.0);
    expect(var_value(var_floor(halves)), 0, 2, -3, -inf, nan, -1);
    expect(var_value(var_ceil(halves)), 0, 3, -2, -inf, nan, -0.0);
    ck_assert(!var_wants_grad(var_floor(halves)));
    expect(var_value(var_clamp(halves, 3, 1)), 0, 1, 1, 1, nan, 1); /* as PyTorch, the upper bound */
    expect(var_value(var_atan2(a, LEAF(tape, SCALAR, -1))), 1e-15, atan2(1, -1), atan2(2, -1), nan,
           atan2(-0.0, -1));
    expect(var_value(var_hypot(a, LEAF(tape, SCALAR, 1e200))), 0, 1e200, 1e200, nan, 1e200);
    Var least = var_minimum(a, b);
    expect(var_value(least), 0, 1, 2, NAN, 0);
    ck_assert(tape_backward(var_sum(least, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0.5, 1, NAN, 0.5);
    expect(var_grad(b), 0, 0.5, 0, NAN, 0.5);
}
END_TEST

START_TEST(comparisons_choose)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3), 1, 2, NAN), b = LEAF(tape, TENSOR_SHAPE(2, 1), 2, 1);
    Var masks[] = {var_greater(a, b), var_less(a, b),       var_greater_equal(a, b),
                   var_equal(a, b),   var_less_equal(a, b), var_not_equal(a, b)};
    const int32_t expected[6][6] = {{0, 0, 0, 0, 1, 0}, {1, 0, 0, 0, 0, 0}, {0, 1, 0, 1, 1, 0},
                                    {0, 1, 0, 1, 0, 0}, {1, 1, 0, 1, 0, 0}, {1, 0, 1, 0, 1, 1}};
    for (int i = 0; i < 6; i++) {
        Tensor mask = var_value(masks[i]);
        ck_assert(mask.dtype == TENSOR_I32 && tensor_numel(&mask) == 6);
        ck_assert_mem_eq(mask.data, expected[i], sizeof expected[i]);
    }
    expect(var_value(var_sign(a)), 0, 1, 1, NAN);
    ck_assert(tape_backward(var_sum(var_where(masks[1], a, b), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 1, 0, 0);
    expect(var_grad(b), 0, 2, 3);
}
END_TEST

Suite *autograd_op_elementwise_suite(void);
Suite *autograd_op_elementwise_suite(void)
{
    Suite *suite = suite_create("autograd/op_elementwise");
    TCase *cases = tcase_create("op_elementwise");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, values_and_gradients_at_special_points);
    tcase_add_test(cases, values_are_those_of_libm);
    tcase_add_test(cases, integers_are_an_error_of_one_operand);
    tcase_add_test(cases, operands_broadcast_both_ways);
    tcase_add_test(cases, powers_have_pytorchs_gradients_at_zero);
    tcase_add_test(cases, ties_of_maximum_share_in_halves);
    tcase_add_test(cases, integers_are_an_error_of_two);
    tcase_add_test(cases, edges_are_those_of_pytorch);
    tcase_add_test(cases, comparisons_choose);
    suite_add_tcase(suite, cases);
    return suite;
}

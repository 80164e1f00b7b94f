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

START_TEST(integers_are_an_error)
{
    ck_assert(var_is_empty(var_tanh(INDEX(tape, TENSOR_SHAPE(2), 1, 2))));
    assert_fails(tape, "tanh([2])", "i32");
}
END_TEST

Suite *autograd_op_unary_suite(void);
Suite *autograd_op_unary_suite(void)
{
    Suite *suite = suite_create("autograd/op_unary");
    TCase *cases = tcase_create("op_unary");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, values_and_gradients_at_special_points);
    tcase_add_test(cases, values_are_those_of_libm);
    tcase_add_test(cases, integers_are_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

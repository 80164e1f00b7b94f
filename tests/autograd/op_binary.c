#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

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

START_TEST(integers_are_an_error)
{
    Var i = INDEX(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_add(i, i)));
    assert_fails(tape, "add([2], [2])", "i32");
}
END_TEST

Suite *autograd_op_binary_suite(void);
Suite *autograd_op_binary_suite(void)
{
    Suite *suite = suite_create("autograd/op_binary");
    TCase *cases = tcase_create("op_binary");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, operands_broadcast_both_ways);
    tcase_add_test(cases, powers_have_pytorchs_gradients_at_zero);
    tcase_add_test(cases, ties_of_maximum_share_in_halves);
    tcase_add_test(cases, integers_are_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

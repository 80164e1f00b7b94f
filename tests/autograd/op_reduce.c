#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Var cube(void)
{
    return tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 2, 3)));
}

START_TEST(any_axes_are_reduced)
{
    Var a = cube();
    expect(var_value(var_sum(a, TENSOR_AXES_ALL, false)), 0, 78);
    ck_assert_int_eq(var_ndim(var_sum(a, TENSOR_AXES_ALL, false)), 0);
    expect(var_value(var_sum(a, TENSOR_AXIS(0) | TENSOR_AXIS(2), false)), 0, 1 + 2 + 3 + 7 + 8 + 9,
           4 + 5 + 6 + 10 + 11 + 12);
    expect(var_value(var_mean(a, TENSOR_AXIS(1), false)), 0, 2.5, 3.5, 4.5, 8.5, 9.5, 10.5);
    expect(var_value(var_max(a, TENSOR_AXIS(2), false)), 0, 3, 6, 9, 12);
    Var kept = var_max(a, TENSOR_AXIS(0) | TENSOR_AXIS(1), true);
    ck_assert(var_ndim(kept) == 3 && var_size(kept, 0) == 1 && var_size(kept, 2) == 3);
    expect_same(var_value(var_sum(a, 0, false)), var_value(a), 0);
    Var scalar = LEAF(tape, SCALAR, 4);
    expect(var_value(var_mean(scalar, TENSOR_AXES_ALL, true)), 0, 4);
}
END_TEST

START_TEST(ties_of_max_share_equally)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 3), 1, 3, 3, 2, 2, 2), weights = LEAF(tape, TENSOR_SHAPE(2), 1, 6);
    ck_assert(
        tape_backward(var_sum(var_mul(var_max(a, TENSOR_AXIS(1), false), weights), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 0.5, 0.5, 2, 2, 2);
}
END_TEST

START_TEST(of_nothing_the_sum_is_0_the_mean_nan_and_the_maximum_an_error)
{
    Var none = LEAF(tape, TENSOR_SHAPE(2, 0), 0);
    expect(var_value(var_sum(none, TENSOR_AXIS(1), false)), 0, 0, 0);
    expect(var_value(var_mean(none, TENSOR_AXIS(1), false)), 0, NAN, NAN);
    Var kept = var_max(none, TENSOR_AXIS(0), false);
    ck_assert(var_ndim(kept) == 1 && var_size(kept, 0) == 0);
    ck_assert(var_is_empty(var_max(none, TENSOR_AXIS(1), false)));
    assert_fails(tape, "max([2, 0])", "no maximum of nothing");
}
END_TEST

START_TEST(axes_that_are_not_there_are_an_error)
{
    ck_assert(var_is_empty(var_sum(cube(), TENSOR_AXIS(3), false)));
    assert_fails(tape, "sum([2, 2, 3])", "out of range");
    tape_begin(tape);
    ck_assert(var_is_empty(var_mean(INDEX(tape, TENSOR_SHAPE(1), 1), TENSOR_AXIS(0), false)));
    assert_fails(tape, "mean([1])", "i32");
}
END_TEST

Suite *autograd_op_reduce_suite(void);
Suite *autograd_op_reduce_suite(void)
{
    Suite *suite = suite_create("autograd/op_reduce");
    TCase *cases = tcase_create("op_reduce");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, any_axes_are_reduced);
    tcase_add_test(cases, ties_of_max_share_equally);
    tcase_add_test(cases, of_nothing_the_sum_is_0_the_mean_nan_and_the_maximum_an_error);
    tcase_add_test(cases, axes_that_are_not_there_are_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

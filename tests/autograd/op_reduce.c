#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include "autograd/gradcheck.h"

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

START_TEST(logsumexp_is_right_at_the_ends)
{
    const double inf = INFINITY;
    Var a = LEAF(tape, TENSOR_SHAPE(4, 2), 1000, 1000, -inf, -inf, inf, 1, -inf, 3);
    Var out = var_logsumexp(a, TENSOR_AXIS(1), false);
    expect(var_value(out), 1e-12, 1000 + log(2), -inf, inf, 3);
    ck_assert(tape_backward(var_sum(out, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 1e-12, 0.5, 0.5, 0, 0, NAN, 0, 0, 1);
    expect(var_value(var_logsumexp(LEAF(tape, TENSOR_SHAPE(2, 0), 0), TENSOR_AXIS(1), true)), 0, -inf, -inf);
}
END_TEST

START_TEST(sums_run_along_an_axis)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    expect(var_value(var_cumsum(a, 0)), 0, 1, 2, 3, 5, 7, 9);
    Var out = var_cumsum(a, -1);
    expect(var_value(out), 0, 1, 3, 6, 4, 9, 15);
    ck_assert(tape_backward(var_sum(var_mul(out, a), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 1 + 6, 3 + 5, 6 + 3, 4 + 15, 9 + 11, 15 + 6);
    ck_assert(var_is_empty(var_cumsum(a, 2)));
    assert_fails(tape, "cumsum([2, 3])", "axis 2 is out of range");
}
END_TEST

START_TEST(deviations_and_norms_have_gradient_0_at_0)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 2), 3, 3, 0, 2);
    expect(var_value(var_var(a, TENSOR_AXIS(1), 1, false)), 0, 0, 2);
    Var deviation = var_std(a, TENSOR_AXIS(1), 0, false);
    expect(var_value(deviation), 0, 0, 1);
    ck_assert(tape_backward(var_sum(deviation, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 0, -0.5, 0.5);
    const double p[] = {2, 1, 0, 1.5, 3, 0.5, INFINITY, -INFINITY};
    for (int i = 0; i < 8; i++) {
        Var zeros = LEAF(tape, TENSOR_SHAPE(2), 0, 0), norm = var_norm(zeros, p[i], TENSOR_AXES_ALL, false);
        expect(var_value(norm), 0, 0);
        if (tape_backward(norm))
            expect(var_grad(zeros), 0, 0, 0);
        tape_begin(tape);
    }
    Var b = LEAF(tape, TENSOR_SHAPE(1, 3), 3, 0, -4);
    const double wanted[] = {5, 7, 2, pow(pow(3, 1.5) + 8, 2 / 3.0), cbrt(91), pow(sqrt(3) + 2, 2), 4, 0};
    for (int i = 0; i < 8; i++)
        expect(var_value(var_norm(b, p[i], TENSOR_AXIS(1), false)), 1e-12, wanted[i]);
    expect(var_value(var_var(LEAF(tape, TENSOR_SHAPE(1), 3), TENSOR_AXIS(0), 1, false)), 0, NAN);
    expect(var_value(var_normalize(b, 2, 1, 1e-12)), 1e-15, 0.6, 0, -0.8);
    expect(var_value(var_normalize(b, 2, 1, 10)), 1e-15, 0.3, 0, -0.4);
    Var c = LEAF(tape, TENSOR_SHAPE(2, 3), 4, 9, 3, 0, 0, 0);
    expect(var_value(var_cosine_similarity(b, c, 1, 1e-8)), 1e-15, 0, 0);
    Var column = LEAF(tape, TENSOR_SHAPE(2, 1), 3, 4); /* an axis that is broadcast has the other's size */
    expect(var_value(var_cosine_similarity(b, column, 0, 1e-8)), 1e-15, 7 / sqrt(50), 0, -7 / sqrt(50));
}
END_TEST

START_TEST(products_and_their_gradients_are_right_where_factors_are_0)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3, 3), 2, 3, 5, 0, 3, 4, 0, 0, 7),
        out = var_prod(a, TENSOR_AXIS(1), false);
    expect(var_value(out), 0, 30, 0, 0);
    ck_assert(tape_backward(var_sum(out, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 15, 10, 6, 12, 0, 0, 0, 0, 0);
    Var kept = var_prod(cube(), TENSOR_AXIS(0) | TENSOR_AXIS(2), true);
    ck_assert(var_ndim(kept) == 3 && var_size(kept, 1) == 2);
    expect(var_value(kept), 0, 1. * 2 * 3 * 7 * 8 * 9, 4. * 5 * 6 * 10 * 11 * 12);
    expect(var_value(var_prod(LEAF(tape, TENSOR_SHAPE(2, 0), 0), TENSOR_AXIS(1), false)), 0, 1, 1);
    expect(var_value(var_prod(LEAF(tape, SCALAR, 4), TENSOR_AXIS(0), false)), 0, 4);
    expect(var_value(var_min(a, TENSOR_AXIS(0), false)), 0, 0, 0, 4);
    ck_assert(var_is_empty(var_prod(a, TENSOR_AXIS(2), false)));
    assert_fails(tape, "prod", "out of range");
}
END_TEST

/* The gradients' squares, so that what is checked is differentiated twice. */
static Var twice(Tape *in, const Var *inputs, void *context)
{
    (void)in, (void)context;
    Var a = inputs[0],
        axis = var_index_select(a, 1, tape_constant(in, test_count_up(in, TENSOR_I32, TENSOR_SHAPE(2))));
    Var y = var_add(var_prod(a, TENSOR_AXIS(1), false), var_std(a, TENSOR_AXIS(1), 1, false));
    y = var_add(y, var_norm(axis, 2, TENSOR_AXIS(1), false));
    y = var_add(y, var_norm(a, 2.5, TENSOR_AXIS(1), false));
    y = var_add(y, var_cosine_similarity(a, var_exp(a), 1, 1e-8));
    y = var_add(y, var_sum(var_topk(var_square(a), 2, 1, NULL), TENSOR_AXIS(1), false));
    Var gradient, sum = var_sum(var_mul(y, y), TENSOR_AXES_ALL, false);
    tape_vjp(&sum, NULL, 1, &a, 1, true, &gradient);
    return var_add(sum, var_mul(gradient, gradient));
}

START_TEST(gradients_of_gradients_agree_with_differences)
{
    Tensor a = test_values(tape, TENSOR_F64, TENSOR_SHAPE(2, 3), NUMBERS(0.3, -1, 0.7, 1.2, 0.5, -0.4));
    TapeGradcheckResult result = tape_gradcheck("reductions", twice, NULL, &a, 1, 1);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
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
    tcase_add_test(cases, logsumexp_is_right_at_the_ends);
    tcase_add_test(cases, sums_run_along_an_axis);
    tcase_add_test(cases, deviations_and_norms_have_gradient_0_at_0);
    tcase_add_test(cases, products_and_their_gradients_are_right_where_factors_are_0);
    tcase_add_test(cases, gradients_of_gradients_agree_with_differences);
    suite_add_tcase(suite, cases);
    return suite;
}

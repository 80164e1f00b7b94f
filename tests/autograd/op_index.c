#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

START_TEST(the_largest_is_found_along_any_axis)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 3), 1, 5, 5, NAN, 7, NAN);
    Var last = var_argmax(a, -1, false), first = var_argmax(a, 0, true);
    ck_assert(var_ndim(last) == 1 && var_ndim(first) == 2 && var_value(last).dtype == TENSOR_I32);
    expect(var_value(last), 0, 1, 0);
    expect(var_value(first), 0, 1, 1, 1);
    Var scalar = LEAF(tape, SCALAR, 3);
    ck_assert_int_eq(var_ndim(var_argmax(scalar, 0, true)), 0);
    expect(var_value(var_argmax(scalar, -1, false)), 0, 0);
    ck_assert(var_is_empty(var_argmax(LEAF(tape, TENSOR_SHAPE(2, 0), 0), 1, false)));
    assert_fails(tape, "argmax([2, 0])", "no maximum of nothing");
}
END_TEST

START_TEST(the_largest_k_come_in_order)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 4), 3, 9, 3, 1, -INFINITY, NAN, 2, INFINITY), index;
    Var out = var_topk(a, 3, 1, &index);
    expect(var_value(out), 0, 9, 3, 3, NAN, INFINITY, 2);
    expect(var_value(index), 0, 1, 0, 2, 1, 3, 2);
    ck_assert(tape_backward(var_sum(var_slice(out, 0, 0, 1, 1), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 1, 1, 1, 0, 0, 0, 0, 0);
    Var cube = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3, 2)));
    expect(var_value(var_topk(cube, 2, 1, &index)), 0, 5, 6, 3, 4, 11, 12, 9, 10);
    expect(var_value(index), 0, 2, 2, 1, 1, 2, 2, 1, 1);
    expect(var_value(var_topk(LEAF(tape, SCALAR, 4), 1, 0, NULL)), 0, 4);
    ck_assert_int_eq(var_size(var_topk(a, 0, 1, NULL), 1), 0);
    ck_assert(var_is_empty(var_topk(a, 5, 1, NULL)));
    assert_fails(tape, "topk([2, 4])", "no 5 of size 4");
}
END_TEST

/* Against the order of a sort by hand, with many equals. */
START_TEST(of_equals_the_first_comes_first)
{
    enum { N = 300 };
    double values[N];
    for (int i = 0; i < N; i++)
        values[i] = (i * 7919) % 17;
    Var index, a = tape_constant(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(N), values));
    Tensor sorted = var_value(var_topk(a, N, 0, &index)), at = var_value(index);
    for (int i = 1; i < N; i++) {
        float before = tensor_f32(sorted)[i - 1], now = tensor_f32(sorted)[i];
        ck_assert(before > now || (before == now && tensor_i32(at)[i - 1] < tensor_i32(at)[i]));
    }
}
END_TEST

START_TEST(masks_are_of_any_dtype)
{
    Var a = LEAF(tape, TENSOR_SHAPE(4), 0, -0.0, NAN, 2), b = INDEX(tape, TENSOR_SHAPE(2, 1), 0, -3);
    expect(var_value(var_logical_not(a)), 0, 1, 1, 0, 0);
    expect(var_value(var_logical_and(a, b)), 0, 0, 0, 0, 0, 0, 0, 1, 1);
    expect(var_value(var_logical_or(a, b)), 0, 0, 0, 1, 1, 1, 1, 1, 1);
    expect(var_value(var_logical_xor(a, b)), 0, 0, 0, 1, 1, 1, 1, 0, 0);
    expect(var_value(var_equal(b, INDEX(tape, TENSOR_SHAPE(2), -3, 0))), 0, 0, 1, 1, 0);
    expect(var_value(var_less(b, INDEX(tape, SCALAR, 0))), 0, 0, 1);
    ck_assert(var_is_empty(var_logical_or(a, INDEX(tape, TENSOR_SHAPE(3), 0, 0, 0))));
    assert_fails(tape, "logical_or([4], [3])", "do not broadcast");
}
END_TEST

START_TEST(triangles_are_kept_or_masked)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    expect(var_value(tape_tril(tape, 2, 3, 0)), 0, 1, 0, 0, 1, 1, 0);
    expect(var_value(var_tril(a, 0)), 0, 1, 0, 0, 4, 5, 0);
    expect(var_value(var_tril(a, 1)), 0, 1, 2, 0, 4, 5, 6);
    Var upper = var_triu(a, 1);
    expect(var_value(upper), 0, 0, 2, 3, 0, 0, 6);
    expect(var_value(var_triu(a, -1)), 0, 1, 2, 3, 4, 5, 6);
    ck_assert(tape_backward(var_sum(upper, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 1, 1, 0, 0, 1);
    ck_assert(var_is_empty(var_tril(LEAF(tape, TENSOR_SHAPE(2), 1, 2), 0)));
    assert_fails(tape, "tril: the value must have two axes");
}
END_TEST

START_TEST(ids_are_rows_of_zeros_and_a_one)
{
    Var ids = INDEX(tape, TENSOR_SHAPE(2, 1), 2, 0), out = var_one_hot(ids, 3, TENSOR_F32);
    ck_assert(var_ndim(out) == 3 && var_value(out).dtype == TENSOR_F32);
    expect(var_value(out), 0, 0, 0, 1, 1, 0, 0);
    ck_assert(var_is_empty(var_one_hot(ids, 2, TENSOR_I32)));
    assert_fails(tape, "one_hot([2, 1])", "id 2 at place 0 is not below the 2 classes");
}
END_TEST

START_TEST(random_values_are_drawn_from_the_tape)
{
    tape_set_random(tape, tensor_random_new(5, 1));
    Var a = tape_normal(tape, TENSOR_F64, TENSOR_SHAPE(100, 50), 1, 2);
    Var b = tape_uniform(tape, TENSOR_F32, TENSOR_SHAPE(5000), -1, 3);
    ck_assert_double_eq_tol(var_item(var_mean(a, TENSOR_AXES_ALL, false)), 1, 0.1);
    ck_assert_double_eq_tol(var_item(var_std(a, TENSOR_AXES_ALL, 1, false)), 2, 0.1);
    ck_assert_double_eq_tol(var_item(var_mean(b, TENSOR_AXES_ALL, false)), 1, 0.1);
    ck_assert(var_item(var_min(b, TENSOR_AXES_ALL, false)) >= -1 &&
              var_item(var_max(b, TENSOR_AXES_ALL, false)) < 3);
    ck_assert(!var_wants_grad(a));
    tape_set_random(tape, tensor_random_new(5, 1));
    expect_same(var_value(tape_normal(tape, TENSOR_F64, TENSOR_SHAPE(100, 50), 1, 2)), var_value(a), 0);
    ck_assert(var_is_empty(tape_uniform(tape, TENSOR_I32, TENSOR_SHAPE(2), 0, 1)));
    assert_fails(tape, "no random numbers", "i32");
}
END_TEST

Suite *autograd_op_index_suite(void);
Suite *autograd_op_index_suite(void)
{
    Suite *suite = suite_create("autograd/op_index");
    TCase *cases = tcase_create("op_index");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, the_largest_is_found_along_any_axis);
    tcase_add_test(cases, the_largest_k_come_in_order);
    tcase_add_test(cases, of_equals_the_first_comes_first);
    tcase_add_test(cases, masks_are_of_any_dtype);
    tcase_add_test(cases, triangles_are_kept_or_masked);
    tcase_add_test(cases, ids_are_rows_of_zeros_and_a_one);
    tcase_add_test(cases, random_values_are_drawn_from_the_tape);
    suite_add_tcase(suite, cases);
    return suite;
}

#include "tests/autograd_support.h"
#include "tests/tape_support.h"

START_TEST(elements_are_taken_along_an_axis)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var out = var_gather(a, 1, INDEX(tape, TENSOR_SHAPE(2, 2), 2, 2, 0, 1));
    expect(var_value(out), 0, 3, 3, 4, 5);
    expect(var_value(var_gather(a, -2, INDEX(tape, TENSOR_SHAPE(1, 3), 1, 0, 1))), 0, 4, 2, 6);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 0, 12, 8, 10, 0);
}
END_TEST

START_TEST(negative_indices_count_from_the_end)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var out = var_gather(a, 1, INDEX(tape, TENSOR_SHAPE(2, 2), -1, 0, -3, 1));
    expect(var_value(out), 0, 3, 1, 4, 5);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 0, 6, 8, 10, 0);
    ck_assert(var_is_empty(var_gather(a, 1, INDEX(tape, TENSOR_SHAPE(1, 1), -4))));
    assert_fails(tape, "gather([2, 3]", "index -4 is out of range for size 3");
}
END_TEST

START_TEST(axis_0_of_a_value_without_axes_is_all_of_it)
{
    Var a = LEAF(tape, SCALAR, 3), zero = INDEX(tape, SCALAR, 0);
    Var results[] = {var_gather(a, 0, zero),           var_scatter_add(a, -1, zero, a), var_softmax(a, 0),
                     var_log_softmax(a, -1),           var_transpose(a, 0, -1),         var_cumsum(a, 0),
                     var_sum(a, TENSOR_AXIS(0), true), var_index_select(a, 0, zero)};
    const double wanted[] = {3, 6, 1, 0, 3, 3, 3, 3};
    for (int i = 0; i < 8; i++) {
        assert_ok(tape);
        ck_assert_int_eq(var_ndim(results[i]), 0);
        ck_assert_double_eq(var_item(results[i]), wanted[i]);
    }
    ck_assert(var_is_empty(var_softmax(a, 1)));
    assert_fails(tape, "softmax", "axis 1 is out of range");
}
END_TEST

START_TEST(elements_are_added_along_an_axis)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var source = LEAF(tape, TENSOR_SHAPE(3, 2), 10, 20, 30, 40, 50, 60);
    Var out = var_scatter_add(a, 0, INDEX(tape, TENSOR_SHAPE(2, 2), 1, 0, -1, 1), source);
    expect(var_value(out), 0, 1, 22, 3, 44, 45, 6);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 44, 6, 88, 90, 12);
    expect(var_grad(source), 0, 88, 44, 88, 90, 0, 0); /* a row is not read */
    ck_assert(var_is_empty(
        var_scatter_add(a, 0, INDEX(tape, TENSOR_SHAPE(3, 3), 1, 0, 0, 0, 0, 0, 0, 0, 0), source)));
    assert_fails(tape, "scatter_add", "the source must have the shape");
}
END_TEST

START_TEST(slices_are_selected_and_added_on_any_axis)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var index = INDEX(tape, TENSOR_SHAPE(4), 2, 0, 2, 2);
    Var out = var_index_select(a, -1, index);
    expect(var_value(out), 0, 3, 1, 3, 3, 6, 4, 6, 6);
    Var sum = var_index_add(a, 1, index, out);
    expect(var_value(sum), 0, 2, 2, 12, 8, 5, 24);
    ck_assert(tape_backward(var_sum(sum, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 1, 4, 2, 1, 4);
    expect(var_value(var_index_select(a, 0, INDEX(tape, TENSOR_SHAPE(1), 1))), 0, 4, 5, 6);
    ck_assert(var_is_empty(var_index_add(a, 1, index, a)));
    assert_fails(tape, "segment_sum");
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
        Var index = i == 0   ? INDEX(tape, TENSOR_SHAPE(1, 1), 3)
                    : i == 1 ? INDEX(tape, TENSOR_SHAPE(1), 0)
                    : i == 2 ? INDEX(tape, TENSOR_SHAPE(3, 1), 0, 0, 0)
                             : a;
        static const char *const says[] = {"index 3 is out of range for size 3", "dimensions", "larger",
                                           "i32"};
        ck_assert(var_is_empty(var_gather(a, 1, index)));
        assert_fails(tape, "gather([2, 3]", says[i]);
    }
}
END_TEST

Suite *autograd_op_gather_suite(void);
Suite *autograd_op_gather_suite(void)
{
    Suite *suite = suite_create("autograd/op_gather");
    TCase *cases = tcase_create("op_gather");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, elements_are_taken_along_an_axis);
    tcase_add_test(cases, negative_indices_count_from_the_end);
    tcase_add_test(cases, axis_0_of_a_value_without_axes_is_all_of_it);
    tcase_add_test(cases, elements_are_added_along_an_axis);
    tcase_add_test(cases, slices_are_selected_and_added_on_any_axis);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

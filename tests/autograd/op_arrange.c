#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include "autograd/gradcheck.h"

#include <math.h>

static Var cube(void)
{
    return tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3, 2)));
}

START_TEST(axes_are_put_into_any_order_without_a_copy)
{
    Var a = cube(), out = var_permute(a, (int[]){-1, 0, 1});
    ck_assert(var_size(out, 0) == 2 && var_size(out, 1) == 2 && var_size(out, 2) == 3);
    expect(var_value(out), 0, 1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12);
    ck_assert_ptr_eq(var_value(out).data, var_value(a).data);
    ck_assert_int_eq(var_ndim(var_permute(LEAF(tape, SCALAR, 1), NULL)), 0);
    ck_assert(var_is_empty(var_permute(a, (int[]){0, 1, -2})));
    assert_fails(tape, "permute([2, 3, 2])", "named once");
    tape_begin(tape);
    ck_assert(var_is_empty(var_permute(cube(), (int[]){0, 1, 3})));
    assert_fails(tape, "permute([2, 3, 2])", "named once");
}
END_TEST

START_TEST(axes_of_size_1_come_and_go_without_a_copy)
{
    Var a = var_transpose(var_flip(cube(), TENSOR_AXIS(1)), 0, 2), wider = var_unsqueeze(a, -2);
    ck_assert(var_ndim(wider) == 4 && var_size(wider, 2) == 1 && var_size(wider, 3) == 2);
    ck_assert_ptr_eq(var_value(wider).data, var_value(a).data);
    Var back = var_squeeze(wider, 2);
    ck_assert_ptr_eq(var_value(back).data, var_value(a).data);
    expect_same(var_value(back), var_value(a), 0);
    ck_assert_int_eq(var_ndim(var_squeeze(a, 1)), 3); /* of size 3, and so left as it is */
    Var scalar = LEAF(tape, SCALAR, 1);
    ck_assert(var_ndim(var_squeeze(scalar, -1)) == 0 && var_ndim(var_unsqueeze(scalar, 0)) == 1);
    ck_assert(var_is_empty(var_unsqueeze(a, 4)));
    assert_fails(tape, "unsqueeze: axis 4 is out of range for 4 dimensions");
    tape_begin(tape);
    ck_assert(var_is_empty(var_squeeze(cube(), -4)));
    assert_fails(tape, "squeeze: axis -4 is out of range for 3 dimensions");
}
END_TEST

START_TEST(axes_from_one_on_become_one)
{
    Var a = cube(), whole = var_flatten(a, 0), rows = var_flatten(a, 1), same = var_flatten(a, -1);
    ck_assert(var_ndim(whole) == 1 && var_size(whole, 0) == 12);
    ck_assert(var_ndim(rows) == 2 && var_size(rows, 0) == 2 && var_size(rows, 1) == 6);
    ck_assert(var_ndim(same) == 3 && var_size(same, 2) == 2);
    ck_assert_ptr_eq(var_value(rows).data, var_value(a).data);
    ck_assert(tape_backward(var_sum(var_mul(rows, rows), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24);
    ck_assert_int_eq(var_ndim(var_flatten(LEAF(tape, SCALAR, 1), 0)), 1);
    ck_assert_int_eq(var_size(var_flatten(LEAF(tape, TENSOR_SHAPE(2, 0, 3), 0), 1), 1), 0);
    ck_assert(var_is_empty(var_flatten(a, 3)));
    assert_fails(tape, "flatten: axis 3 is out of range for 3 dimensions");
}
END_TEST

START_TEST(flipping_is_a_view)
{
    Var a = cube(), out = var_flip(a, TENSOR_AXIS(0) | TENSOR_AXIS(-1));
    expect(var_value(out), 0, 8, 7, 10, 9, 12, 11, 2, 1, 4, 3, 6, 5);
    ck_assert(var_value(out).strides[0] < 0);
    ck_assert(tape_backward(var_sum(var_mul(out, var_flip(a, 0)), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 16, 14, 20, 18, 24, 22, 4, 2, 8, 6, 12, 10);
    ck_assert_int_eq(var_size(var_flip(LEAF(tape, TENSOR_SHAPE(2, 0), 0), TENSOR_AXES_ALL), 1), 0);
    ck_assert(var_is_empty(var_flip(a, TENSOR_AXIS(3))));
    assert_fails(tape, "flip", "out of range");
}
END_TEST

START_TEST(padding_adds_or_takes_away)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    Var out = var_pad(a, -1, 1, -1, 9);
    expect(var_value(out), 0, 9, 1, 2, 9, 4, 5);
    expect(var_value(var_pad(a, 0, -1, 1, NAN)), 0, 4, 5, 6, NAN, NAN, NAN);
    expect(var_value(var_pad(INDEX(tape, TENSOR_SHAPE(1), 4), 0, 1, 0, -1)), 0, -1, 4);
    ck_assert_int_eq(var_size(var_pad(a, 1, -3, 0, 0), 1), 0);
    expect(var_value(var_pad(a, 1, -4, 3, 8)), 0, 8, 8, 8,
           8); /* all of a and one of what is behind it are gone */
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 4, 0, 8, 10, 0);
    ck_assert(var_is_empty(var_pad(a, 1, -4, 0, 0)));
    assert_fails(tape, "pad([2, 3])", "-4 before and 0 after do not fit to size 3");
}
END_TEST

START_TEST(a_cast_goes_back_in_the_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3), 0.1, -2.7, 3e9), f = var_cast(a, TENSOR_F32);
    ck_assert_int_eq(var_value(f).dtype, TENSOR_F32);
    expect(var_value(var_cast(a, TENSOR_I32)), 0, 0, -2, INT32_MAX);
    ck_assert(!var_wants_grad(var_cast(a, TENSOR_I32)));
    expect(var_value(var_cast(INDEX(tape, TENSOR_SHAPE(2), 3, -4), TENSOR_F64)), 0, 3, -4);
    ck_assert(tape_backward(var_sum(var_mul(f, f), TENSOR_AXES_ALL, false)));
    ck_assert_int_eq(var_grad(a).dtype, TENSOR_F64);
    expect(var_grad(a), 0, 2 * (double)0.1f, 2 * (double)-2.7f, 6e9);
    ck_assert(var_is_empty(var_cast(a, (TensorDtype)9)));
    assert_fails(tape, "cast", "9 is no dtype");
}
END_TEST

START_TEST(parts_are_slices_of_the_axis)
{
    Var a = cube(), parts[3];
    ck_assert(var_split(a, 1, (int64_t[]){2, 0, 1}, 3, parts));
    expect(var_value(parts[0]), 0, 1, 2, 3, 4, 7, 8, 9, 10);
    expect(var_value(parts[2]), 0, 5, 6, 11, 12);
    ck_assert_int_eq(var_size(parts[1], 1), 0);
    ck_assert(var_unbind(a, -2, parts));
    expect(var_value(parts[1]), 0, 3, 4, 9, 10);
    ck_assert(!var_split(a, 1, (int64_t[]){2, 2}, 2, parts) && var_is_empty(parts[0]));
    assert_fails(tape, "split: the sizes do not sum to 3");
    tape_begin(tape);
    ck_assert(!var_unbind(LEAF(tape, SCALAR, 1), 0, parts));
    assert_fails(tape, "unbind: axis 0");
}
END_TEST

START_TEST(a_value_is_repeated_along_an_axis)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 2), 1, 2, 3, 4);
    expect(var_value(var_repeat(a, 0, 2)), 0, 1, 2, 3, 4, 1, 2, 3, 4);
    Var wide = var_repeat(a, -1, 3);
    expect(var_value(wide), 0, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4);
    ck_assert_int_eq(var_size(var_repeat(a, 1, 0), 1), 0);
    ck_assert(tape_backward(var_sum(wide, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 3, 3, 3, 3);
}
END_TEST

START_TEST(half_of_a_value_is_the_gate_of_the_other)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 2), 4, 0, 6, 0);
    expect(var_value(var_glu(a, 1)), 0, 2, 3);
    ck_assert(var_is_empty(var_glu(cube(), 1)));
    assert_fails(tape, "glu: size 3 of axis 1 is odd");
}
END_TEST

static Var all_of_them(Tape *in, const Var *inputs, void *context)
{
    (void)in, (void)context;
    Var a = inputs[0], parts[4];
    var_split(a, 1, (int64_t[]){1, 3}, 2, parts);
    Var y = var_mul(var_repeat(parts[0], 1, 3),
                    var_flip(var_squeeze(var_unsqueeze(parts[1], 0), 0), TENSOR_AXIS(1)));
    var_unbind(var_glu(a, 0), 1, parts);
    return var_add(y, var_unsqueeze(parts[1], 0));
}

START_TEST(gradients_agree_with_differences)
{
    Tensor a = test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 4));
    TapeGradcheckResult result = tape_gradcheck("arranged", all_of_them, NULL, &a, 1, 1);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
}
END_TEST

Suite *autograd_op_arrange_suite(void);
Suite *autograd_op_arrange_suite(void)
{
    Suite *suite = suite_create("autograd/op_arrange");
    TCase *cases = tcase_create("op_arrange");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, axes_are_put_into_any_order_without_a_copy);
    tcase_add_test(cases, axes_of_size_1_come_and_go_without_a_copy);
    tcase_add_test(cases, axes_from_one_on_become_one);
    tcase_add_test(cases, flipping_is_a_view);
    tcase_add_test(cases, padding_adds_or_takes_away);
    tcase_add_test(cases, a_cast_goes_back_in_the_gradient);
    tcase_add_test(cases, parts_are_slices_of_the_axis);
    tcase_add_test(cases, a_value_is_repeated_along_an_axis);
    tcase_add_test(cases, half_of_a_value_is_the_gate_of_the_other);
    tcase_add_test(cases, gradients_agree_with_differences);
    suite_add_tcase(suite, cases);
    return suite;
}

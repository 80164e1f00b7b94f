#include "tests/autograd_support.h"
#include "tests/tape_support.h"

START_TEST(a_window_has_rows_by_index_and_zeros)
{
    Var x = LEAF(tape, TENSOR_SHAPE(2, 1), 2, 3), weight = LEAF(tape, TENSOR_SHAPE(1, 2), 10, 100),
        bias = LEAF(tape, TENSOR_SHAPE(1), 1), index = INDEX(tape, TENSOR_SHAPE(3, 2), 0, 1, 1, 2, 2, 2);
    Var y = var_window_linear(x, index, weight, bias);
    expect(var_value(y), 0, 321, 31, 1);
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    expect(var_grad(x), 0, 10, 110);
    expect(var_grad(weight), 0, 5, 3);
    expect(var_grad(bias), 0, 3);
}
END_TEST

/* The index of windows of three of `rows` rows. */
static Var threes(int rows)
{
    Tensor index = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(rows, 3));
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < 3; j++)
            tensor_i32(index)[3 * i + j] = i + j < 1 || i + j > rows ? rows : i + j - 1;
    return tape_constant(tape, index);
}

/* More windows than are put together at a time; a parameter's weight and a leaf's; a gradient that is nearly
 * all zeros, as a maximum's, and one that is not. */
START_TEST(it_is_linear_of_gathered_rows)
{
    enum { ROWS = 500, IN = 11, OUT = 35 };
    TensorDtype dtype = _i & 1 ? TENSOR_F32 : TENSOR_F64;
    Var x = test_numbers(tape, dtype, TENSOR_SHAPE(ROWS, IN), 1),
        weight = test_numbers(tape, dtype, TENSOR_SHAPE(OUT, 3 * IN), 2),
        bias = test_numbers(tape, dtype, TENSOR_SHAPE(OUT), 3), index = threes(ROWS);
    TapeParameter parameter;
    tape_parameter_init(&parameter, var_value(weight));
    Var w = _i & 2 ? tape_parameter(tape, &parameter) : weight;
    Var x2 = test_numbers(tape, dtype, TENSOR_SHAPE(ROWS, IN), 1),
        bias2 = test_numbers(tape, dtype, TENSOR_SHAPE(OUT), 3),
        weight2 = test_numbers(tape, dtype, TENSOR_SHAPE(OUT, 3 * IN), 2);
    Var zeros = var_expand(tape_scalar(x2, 0), TENSOR_SHAPE(1, IN));
    Var rows =
        var_gather_rows(var_concat((Var[]){x2, zeros}, 2, 0), var_reshape(index, TENSOR_SHAPE(3 * ROWS)));
    Var y = var_window_linear(x, index, w, bias),
        y2 = var_linear(var_reshape(rows, TENSOR_SHAPE(ROWS, 3 * IN)), weight2, bias2);
    expect_same(var_value(y), var_value(y2), 1e-5);
    unsigned axes = _i & 4 ? TENSOR_AXIS(0) : 0;
    ck_assert(tape_backward(var_sum(var_square(axes ? var_max(y, axes, false) : y), TENSOR_AXES_ALL, false)));
    ck_assert(
        tape_backward(var_sum(var_square(axes ? var_max(y2, axes, false) : y2), TENSOR_AXES_ALL, false)));
    expect_same(var_grad(x), var_grad(x2), 1e-4);
    expect_same(var_grad(w), var_grad(weight2), 1e-3);
    expect_same(var_grad(bias), var_grad(bias2), 1e-3);
    tape_parameter_release(&parameter);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    static const char *const says[] = {
        "a window has 2 numbers, the weight 3 columns",
        "index 3 is out of range for 2 rows and the one of zeros", "the bias must be [out]",
        "x must be [N, in], the index [R, taps] and the weight [out, taps in]"};
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        Var x = LEAF(tape, TENSOR_SHAPE(2, 1), 2, 3), wide = LEAF(tape, TENSOR_SHAPE(1, 3), 1, 2, 3),
            weight = LEAF(tape, TENSOR_SHAPE(1, 2), 1, 2), bias = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
        Var index = INDEX(tape, TENSOR_SHAPE(1, 2), 0, i == 1 ? 3 : 2),
            flat = INDEX(tape, TENSOR_SHAPE(2), 0, 1);
        ck_assert(var_is_empty(
            var_window_linear(x, i == 3 ? flat : index, i == 0 ? wide : weight, i == 2 ? bias : VAR_NONE)));
        assert_fails(tape, "window_linear([2, 1]", says[i]);
    }
}
END_TEST

Suite *autograd_op_windows_suite(void);
Suite *autograd_op_windows_suite(void)
{
    Suite *suite = suite_create("autograd/op_windows");
    TCase *tcase = tcase_create("op_windows");
    tcase_add_checked_fixture(tcase, tape_set_up, tape_tear_down);
    tcase_add_test(tcase, a_window_has_rows_by_index_and_zeros);
    tcase_add_loop_test(tcase, it_is_linear_of_gathered_rows, 0, 8);
    tcase_add_test(tcase, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

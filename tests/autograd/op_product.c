#include "tests/autograd_support.h"
#include "tests/tape_support.h"

START_TEST(matmul_multiplies_batches_that_broadcast)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 1, 2, 2))),
        b = LEAF(tape, TENSOR_SHAPE(2, 1), 1, -1);
    Var out = var_matmul(a, b);
    ck_assert_int_eq(var_ndim(out), 4);
    expect(var_value(out), 0, -1, -1, -1, -1);
    ck_assert(tape_backward(var_sum(out, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 1, -1, 1, -1, 1, -1, 1, -1);
    expect(var_grad(b), 0, 1 + 3 + 5 + 7, 2 + 4 + 6 + 8);
}
END_TEST

/* A parameter runs on panels, a leaf through the general product. */
START_TEST(linear_of_a_parameter_is_linear_of_a_leaf)
{
    TapeParameter weight;
    Var values = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(33, 17), 1),
        x = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(9, 17), 2);
    Var x2 = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(9, 17), 2),
        bias = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(33), 3);
    tape_parameter_init(&weight, var_value(values));
    Var w = tape_parameter(tape, &weight), y = var_tanh(var_linear(x, w, bias));
    Var y2 = var_tanh(var_add(var_matmul(x2, var_transpose(values, 0, 1)), bias));
    expect_same(var_value(y), var_value(y2), 1e-6);
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    ck_assert(tape_backward(var_sum(y2, TENSOR_AXES_ALL, false)));
    expect_same(var_grad(x), var_grad(x2), 1e-5);
    expect_same(var_grad(w), var_grad(values), 1e-5);
    tape_parameter_release(&weight);
}
END_TEST

START_TEST(leading_axes_are_rows_of_one_product)
{
    Var x = test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(2, 3, 4), 1),
        w = test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(5, 4), 2),
        bias = test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(5), 3);
    Var y = var_linear(x, w, bias), flat = var_reshape(x, TENSOR_SHAPE(6, 4));
    ck_assert(var_ndim(y) == 3 && var_size(y, 1) == 3 && var_size(y, 2) == 5);
    expect_same(var_value(var_reshape(y, TENSOR_SHAPE(6, 5))), var_value(var_linear(flat, w, bias)), 0);
    expect_same(var_value(var_add(var_matmul(x, var_transpose(w, 0, 1)), bias)), var_value(y), 1e-14);
    Var row = var_select(flat, 0, 0);
    ck_assert_int_eq(var_ndim(var_linear(row, w, bias)), 1);
    expect_same(var_value(var_matmul(w, row)), var_value(var_linear(row, w, VAR_NONE)), 1e-14);
    ck_assert_int_eq(var_ndim(var_matmul(row, row)), 0);
    ck_assert_int_eq(var_ndim(var_matmul(row, var_transpose(x, 1, 2))), 2);
    ck_assert_int_eq(var_size(var_matmul(LEAF(tape, TENSOR_SHAPE(2, 0, 4), 0), var_transpose(w, 0, 1)), 1),
                     0);
    assert_ok(tape);
}
END_TEST

/* On panels, with the product of the gradient put off; of a leaf, neither. */
START_TEST(a_batch_times_a_parameter_is_one_product)
{
    TapeParameter weight;
    Var values = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(17, 33), 1),
        x = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(3, 4, 17), 2);
    Var x2 = test_numbers(tape, TENSOR_F32, TENSOR_SHAPE(3, 4, 17), 2);
    tape_parameter_init(&weight, var_value(values));
    Var w = tape_parameter(tape, &weight), y = var_tanh(var_matmul(x, w));
    Var batch = var_expand(values, TENSOR_SHAPE(3, 17, 33)), y2 = var_tanh(var_matmul(x2, batch));
    expect_same(var_value(y), var_value(y2), 1e-6);
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    ck_assert(tape_backward(var_sum(y2, TENSOR_AXES_ALL, false)));
    expect_same(var_grad(x), var_grad(x2), 1e-5);
    expect_same(var_grad(w), var_grad(values), 1e-5);
    tape_parameter_release(&weight);
}
END_TEST

START_TEST(a_changed_parameter_is_packed_anew)
{
    float memory[4] = {1, 2, 3, 4};
    TapeParameter weight;
    tape_parameter_init(&weight, tensor_from(memory, TENSOR_F32, TENSOR_SHAPE(2, 2)));
    for (int round = 0; round < 3; round++) {
        tape_begin(tape);
        Var x = tape_constant(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(1, 2), NUMBERS(1, 10)));
        Var y = var_linear(x, tape_parameter(tape, &weight), VAR_NONE);
        expect(var_value(y), 0, memory[0] + 10 * memory[1], memory[2] + 10 * memory[3]);
        memory[round] += 5;
        tape_parameter_changed(&weight);
    }
    tape_parameter_release(&weight);
}
END_TEST

START_TEST(addmm_adds_to_repeated_rows)
{
    Var base = LEAF(tape, TENSOR_SHAPE(2, 1), 10, 20), x = LEAF(tape, TENSOR_SHAPE(3, 2), 1, 2, 3, 4, 5, 6);
    Var w = LEAF(tape, TENSOR_SHAPE(1, 2), 1, -2),
        rows = var_gather_rows(base, INDEX(tape, TENSOR_SHAPE(3), 1, 0, 1));
    Var y = var_addmm(rows, x, w);
    expect(var_value(y), 0, 20 - 3, 10 - 5, 20 - 7);
    ck_assert(tape_backward(
        var_sum(var_mul(y, LEAF(tape, TENSOR_SHAPE(3, 1), 1, 10, 100)), TENSOR_AXES_ALL, false)));
    expect(var_grad(base), 0, 10, 101);
    expect(var_grad(w), 0, 1 + 30 + 500, 2 + 40 + 600);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_errors)
{
    Var a = test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(2, 3), 1);
    ck_assert(var_is_empty(var_matmul(a, a)));
    assert_fails(tape, "matmul([2, 3], [2, 3])", "inner sizes differ");
    tape_begin(tape);
    a = test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(2, 3), 1);
    ck_assert(var_is_empty(var_linear(a, test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(4, 2), 1), VAR_NONE)));
    assert_fails(tape, "linear([2, 3], [4, 2])", "3 columns");
    tape_begin(tape);
    a = test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(2, 3), 1);
    ck_assert(var_is_empty(var_linear(a, test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(4, 3), 1),
                                      test_numbers(tape, TENSOR_F64, TENSOR_SHAPE(3), 1))));
    assert_fails(tape, "linear([2, 3], [4, 3], [3])", "bias");
}
END_TEST

Suite *autograd_op_product_suite(void);
Suite *autograd_op_product_suite(void)
{
    Suite *suite = suite_create("autograd/op_product");
    TCase *cases = tcase_create("op_product");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, matmul_multiplies_batches_that_broadcast);
    tcase_add_test(cases, linear_of_a_parameter_is_linear_of_a_leaf);
    tcase_add_test(cases, leading_axes_are_rows_of_one_product);
    tcase_add_test(cases, a_batch_times_a_parameter_is_one_product);
    tcase_add_test(cases, a_changed_parameter_is_packed_anew);
    tcase_add_test(cases, addmm_adds_to_repeated_rows);
    tcase_add_test(cases, shapes_that_do_not_fit_are_errors);
    suite_add_tcase(suite, cases);
    return suite;
}

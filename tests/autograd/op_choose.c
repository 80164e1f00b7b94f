#include "tests/autograd_support.h"
#include "tests/tape_support.h"
#include "tensor/random.h"

#include <math.h>

START_TEST(where_and_masked_fill_choose)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), b = LEAF(tape, TENSOR_SHAPE(2, 2), 10, 20, 30, 40);
    Var mask = INDEX(tape, TENSOR_SHAPE(2, 1), 7, 0), out = var_where(mask, a, b);
    expect(var_value(out), 0, 1, 2, 30, 40);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 2, 4);
    expect(var_grad(b), 0, 0, 0, 60, 80);
    Var filled = var_masked_fill(b, mask, -INFINITY);
    expect(var_value(filled), 0, -INFINITY, -INFINITY, 30, 40);
}
END_TEST

START_TEST(a_masked_nan_gives_no_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 0, 4),
        filled = var_masked_fill(var_log(a), INDEX(tape, TENSOR_SHAPE(2), 1, 0), 0);
    var_retain_grad(filled);
    Var kept = LEAF(tape, TENSOR_SHAPE(2), NAN, 1),
        other = var_masked_fill(kept, INDEX(tape, TENSOR_SHAPE(2), 1, 0), 5);
    ck_assert(tape_backward(var_sum(other, TENSOR_AXES_ALL, false)));
    expect(var_grad(kept), 0, 0, 1);
    expect(var_value(filled), 1e-15, 0, log(4));
}
END_TEST

/* As in PyTorch: a derivative that is infinite where it is not taken makes NaN of the gradient 0, unless what
 * goes into the root is chosen as well. */
START_TEST(chosen_before_the_root_an_untaken_operand_gives_no_nan)
{
    Var x = LEAF(tape, TENSOR_SHAPE(2), -1, 4), taken = INDEX(tape, TENSOR_SHAPE(2), 0, 1);
    Var one = LEAF(tape, TENSOR_SHAPE(1), 1), safe = var_where(taken, x, one);
    ck_assert(tape_backward(var_sum(var_where(taken, var_sqrt(safe), x), TENSOR_AXES_ALL, false)));
    expect(var_grad(x), 0, 1, 0.25);
    Var y = LEAF(tape, TENSOR_SHAPE(2), -1, 4);
    ck_assert(tape_backward(var_sum(var_where(taken, var_sqrt(y), y), TENSOR_AXES_ALL, false)));
    expect(var_grad(y), 0, NAN, 0.25);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_where(a, a, a)));
    assert_fails(tape, "where", "input 2", "must be i32");
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_masked_fill(a, INDEX(tape, TENSOR_SHAPE(2, 2), 1, 0, 1, 0), 0)));
    assert_fails(tape, "masked_fill([2], [2, 2])", "does not broadcast");
    for (int i = 0; i < 3; i++) {
        tape_begin(tape);
        ck_assert(var_is_empty(var_dropout(LEAF(tape, TENSOR_SHAPE(1), 1), (double[]){1, -0.1, NAN}[i])));
        assert_fails(tape, "dropout", "probability");
    }
}
END_TEST

static Var ones(TensorDtype dtype, int64_t n)
{
    return tape_leaf(tape, tensor_full(tape_arena(tape), dtype, TENSOR_SHAPE(n), 1));
}

START_TEST(dropout_drops_the_share_it_says_and_scales_the_rest)
{
    tape_set_random(tape, tensor_random_new(5, 0));
    Var a = ones(TENSOR_F64, 20000), out = var_dropout(a, 0.3);
    int dropped = 0;
    for (int i = 0; i < 20000; i++) {
        double x = tensor_f64(var_value(out))[i];
        ck_assert(x == 0 || x == 1 / 0.7);
        dropped += x == 0;
    }
    ck_assert_int_gt(dropped, 6000 - 5 * 65); /* five standard deviations */
    ck_assert_int_lt(dropped, 6000 + 5 * 65);
    ck_assert(tape_backward(var_sum(out, TENSOR_AXES_ALL, false)));
    expect_same(var_grad(a), var_value(out), 0);
    Var all = var_dropout(a, 0); /* the same memory, but a value of its own */
    ck_assert_ptr_eq(var_value(all).data, var_value(a).data);
    ck_assert_uint_ne(all.index, a.index);
}
END_TEST

/* Who sets no generator at the start of a step has others from step to step. */
START_TEST(dropout_goes_on_from_step_to_step)
{
    Tensor first = tensor_invalid(), ones = tensor_full(&arena, TENSOR_F64, TENSOR_SHAPE(64), 1);
    for (int step = 0; step < 3; step++) {
        tape_begin(tape);
        Tensor mask = tensor_copy(&arena, var_value(var_dropout(tape_leaf(tape, ones), 0.5)));
        ck_assert(step == 0 || !tensor_equal(mask, first));
        first = step == 0 ? mask : first;
    }
}
END_TEST

START_TEST(dropout_repeats_with_its_generator_and_not_without)
{
    tape_set_random(tape, tensor_random_new(5, 0));
    Var one = var_dropout(ones(TENSOR_F64, 100), 0.5), two = var_dropout(ones(TENSOR_F64, 100), 0.5);
    ck_assert(!tensor_equal(var_value(one), var_value(two)));
    tape_set_random(tape, tensor_random_new(5, 0));
    Var again = var_dropout(ones(TENSOR_F64, 37), 0.5), rest = var_dropout(ones(TENSOR_F64, 63), 0.5);
    ck_assert(tensor_equal(var_value(var_concat((Var[]){again, rest}, 2, 0)), var_value(one)));
    tape_set_random(tape, tensor_random_new(5, 0));
    Var narrow = var_dropout(ones(TENSOR_F32, 100), 0.5);
    expect_same(var_value(narrow), var_value(one), 0);
}
END_TEST

Suite *autograd_op_choose_suite(void);
Suite *autograd_op_choose_suite(void)
{
    Suite *suite = suite_create("autograd/op_choose");
    TCase *cases = tcase_create("op_choose");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, where_and_masked_fill_choose);
    tcase_add_test(cases, a_masked_nan_gives_no_gradient);
    tcase_add_test(cases, chosen_before_the_root_an_untaken_operand_gives_no_nan);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    tcase_add_test(cases, dropout_drops_the_share_it_says_and_scales_the_rest);
    tcase_add_test(cases, dropout_goes_on_from_step_to_step);
    tcase_add_test(cases, dropout_repeats_with_its_generator_and_not_without);
    suite_add_tcase(suite, cases);
    return suite;
}

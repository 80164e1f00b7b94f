/* Losses against PyTorch 2's numbers (torch.nn.functional, float64). */
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Var logits(void)
{
    return LEAF(tape, TENSOR_SHAPE(2, 3), 0.5, -1.0, 2.0, 0.0, 3.0, -0.25);
}

static Var targets(void)
{
    return tape_constant(
        tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(2, 3), NUMBERS(1.0, 0.0, 0.25, 0.0, 1.0, 1.0)));
}

START_TEST(bce_with_logits_is_that_of_pytorch)
{
    Var x = logits();
    Var q = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(3), NUMBERS(2.0, 0.5, 3.0)));
    Var w = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(2, 1), NUMBERS(1.5, 0.25)));
    Var loss = var_bce_with_logits(x, targets(), q, w, VAR_REDUCTION_MEAN);
    ck_assert_int_eq(var_ndim(loss), 0);
    expect(var_value(loss), 1e-9, 0.8710877146);
    ck_assert(tape_backward(loss));
    expect(var_grad(x), 1e-9, -0.1887703344, 0.06723535534, 0.1427989042, 0.02083333333, -0.0009880390245,
           -0.07027206261);
    Var none = var_bce_with_logits(x, targets(), VAR_NONE, VAR_NONE, VAR_REDUCTION_NONE);
    expect(var_value(none), 1e-9, 0.4740769842, 0.3132616875, 1.626928011, 0.6931471806, 0.04858735157,
           0.8259394199);
    Var sum = var_bce_with_logits(x, targets(), VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM);
    expect(var_value(sum), 1e-8,
           0.4740769842 + 0.3132616875 + 1.626928011 + 0.6931471806 + 0.04858735157 + 0.8259394199);
}
END_TEST

START_TEST(bce_with_logits_is_finite_at_large_logits)
{
    Var x = LEAF(tape, TENSOR_SHAPE(4), 1000, -1000, 1000, -1000);
    Var t = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(4), NUMBERS(1, 1, 0, 0)));
    Var loss = var_bce_with_logits(x, t, VAR_NONE, VAR_NONE, VAR_REDUCTION_NONE);
    expect(var_value(loss), 0, 0, 1000, 1000, 0);
    ck_assert(tape_backward(var_sum(loss, TENSOR_AXES_ALL, false)));
    expect(var_grad(x), 0, 0, -1, 1, 0);
}
END_TEST

/* A logit that is masked out by -INFINITY is right about a negative. PyTorch has NaN here. */
START_TEST(bce_with_logits_of_an_infinite_logit_is_0_or_infinite)
{
    Var x = LEAF(tape, TENSOR_SHAPE(6), -INFINITY, INFINITY, -INFINITY, INFINITY, -INFINITY, 2);
    Var t = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(6), NUMBERS(0, 1, 1, 0, 0.5, 0)));
    Var q = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(6), NUMBERS(3, 3, 3, 3, 3, 3)));
    for (int weighted = 0; weighted < 2; weighted++) {
        Var loss = var_bce_with_logits(x, t, weighted ? q : VAR_NONE, VAR_NONE, VAR_REDUCTION_NONE);
        const double *values = var_value(loss).data;
        ck_assert(values[0] == 0 && values[1] == 0);
        ck_assert(isinf(values[2]) && isinf(values[3]) && isinf(values[4]) && values[2] > 0 && values[3] > 0);
        ck_assert_double_eq_tol(values[5], log1p(exp(2)), 1e-12);
    }
    ck_assert(tape_backward(
        var_sum(var_bce_with_logits(x, t, q, VAR_NONE, VAR_REDUCTION_NONE), TENSOR_AXES_ALL, false)));
    expect(var_grad(x), 1e-12, 0, 0, -3, 1, -1.5, 1 / (1 + exp(-2)));
}
END_TEST

START_TEST(bce_is_that_of_pytorch)
{
    Var p = LEAF(tape, TENSOR_SHAPE(4), 0.0, 0.25, 1.0, 0.9);
    Var t = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(4), NUMBERS(1.0, 0.0, 1.0, 0.5)));
    Var loss = var_bce(p, t, VAR_NONE, VAR_REDUCTION_MEAN);
    expect(var_value(loss), 1e-9, 25.37291372);
    ck_assert(tape_backward(loss));
    expect(var_grad(p), 1e-8, -250000001000.0, 0.3333333333, 0.0, 1.111111111);
    for (int below = 0; below < 2; below++) {
        tape_begin(tape);
        Var bad = LEAF(tape, TENSOR_SHAPE(4), 0.5, below ? -1e-9 : 1.5, 0, 0);
        t = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(4), NUMBERS(1.0, 0.0, 1.0, 0.5)));
        ck_assert(var_is_empty(var_bce(bad, t, VAR_NONE, VAR_REDUCTION_MEAN)));
        assert_fails(tape, "bce([4], [4])", "outside of [0, 1]");
    }
}
END_TEST

START_TEST(cross_entropy_is_that_of_pytorch)
{
    Var x = logits(), loss = var_cross_entropy(x, INDEX(tape, TENSOR_SHAPE(2), 2, 0), VAR_REDUCTION_MEAN);
    expect(var_value(loss), 1e-9, 1.663084095);
    ck_assert(tape_backward(loss));
    expect(var_grad(x), 1e-9, 0.08764519607, 0.01955628664, -0.1072014827, -0.4771317107, 0.4593218691,
           0.01780984161);
    Var large = LEAF(tape, TENSOR_SHAPE(1, 2), 1e6, -1e6);
    expect(var_value(var_cross_entropy(large, INDEX(tape, TENSOR_SHAPE(1), 1), VAR_REDUCTION_NONE)), 0, 2e6);
    ck_assert(var_is_empty(var_cross_entropy(x, INDEX(tape, TENSOR_SHAPE(2), 2, 3), VAR_REDUCTION_MEAN)));
    assert_fails(tape, "cross_entropy([2, 3], [2])", "class 3 of row 1");
}
END_TEST

START_TEST(mse_is_that_of_pytorch)
{
    Var x = logits(), t = targets(), loss = var_mse(x, t, VAR_REDUCTION_MEAN);
    expect(var_value(loss), 1e-9, 1.645833333);
    ck_assert(tape_backward(loss));
    expect(var_grad(x), 1e-9, -0.1666666667, -0.3333333333, 0.5833333333, 0.0, 0.6666666667, -0.4166666667);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    Var x = logits();
    Var short_target = tape_constant(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(3), NUMBERS(1, 0, 1)));
    ck_assert(var_is_empty(var_bce_with_logits(x, short_target, VAR_NONE, VAR_NONE, VAR_REDUCTION_MEAN)));
    assert_fails(tape, "bce_with_logits([2, 3], [3])", "shape");
    tape_begin(tape);
    x = logits();
    Var t = targets(), weight = LEAF(tape, TENSOR_SHAPE(3), 1, 1, 1);
    ck_assert(var_is_empty(var_bce_with_logits(x, t, weight, VAR_NONE, VAR_REDUCTION_MEAN)));
    assert_fails(tape, "pos_weight", "var_detach");
    tape_begin(tape);
    x = logits(), t = targets();
    weight = var_detach(LEAF(tape, TENSOR_SHAPE(2), 1, 1));
    ck_assert(var_is_empty(var_bce(x, t, weight, VAR_REDUCTION_MEAN)));
    assert_fails(tape, "weight does not broadcast");
    tape_begin(tape);
    ck_assert(var_is_empty(var_mse(logits(), targets(), (VarReduction)9)));
    assert_fails(tape, "9 is not a reduction");
}
END_TEST

START_TEST(the_mean_of_nothing_is_nan_and_the_sum_0)
{
    Var x = LEAF(tape, TENSOR_SHAPE(0, 3), 0), t = var_detach(x);
    expect(var_value(var_mse(x, t, VAR_REDUCTION_MEAN)), 0, NAN);
    expect(var_value(var_bce_with_logits(x, t, VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM)), 0, 0);
    assert_ok(tape);
}
END_TEST

Suite *autograd_op_loss_suite(void);
Suite *autograd_op_loss_suite(void)
{
    Suite *suite = suite_create("autograd/op_loss");
    TCase *cases = tcase_create("op_loss");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, bce_with_logits_is_that_of_pytorch);
    tcase_add_test(cases, bce_with_logits_is_finite_at_large_logits);
    tcase_add_test(cases, bce_with_logits_of_an_infinite_logit_is_0_or_infinite);
    tcase_add_test(cases, bce_is_that_of_pytorch);
    tcase_add_test(cases, cross_entropy_is_that_of_pytorch);
    tcase_add_test(cases, mse_is_that_of_pytorch);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    tcase_add_test(cases, the_mean_of_nothing_is_nan_and_the_sum_0);
    suite_add_tcase(suite, cases);
    return suite;
}

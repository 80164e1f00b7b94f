#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Var input(void)
{
    return LEAF(tape, TENSOR_SHAPE(2, 3), 0.5, -1.0, 2.0, 0.0, 3.0, -0.25);
}

/* The loss with weights that differ. Numbers are those of PyTorch 2 in float64. */
static bool run(Var out)
{
    Var weights = LEAF(tape, TENSOR_SHAPE(2, 3), 1, 2, 3, -1, 0.5, 2);
    return tape_backward(var_sum(var_mul(out, weights), TENSOR_AXES_ALL, false));
}

START_TEST(softmax_is_that_of_pytorch)
{
    Var x = input(), y = var_softmax(x, 1);
    expect(var_value(y), 1e-9, 0.1752903921, 0.03911257327, 0.7855970346, 0.0457365786, 0.9186437382,
           0.03561968323);
    ck_assert(run(y));
    expect(var_grad(x), 1e-9, -0.2822712828, -0.02387066327, 0.3061419461, -0.06791079963, 0.01394073387,
           0.05397006575);
}
END_TEST

START_TEST(log_softmax_along_axis_0_is_that_of_pytorch)
{
    Var x = input(), y = var_log_softmax(x, -2);
    expect(var_value(y), 1e-9, -0.4740769842, -4.018149928, -0.1002065589, -0.9740769842, -0.01814992792,
           -2.350206559);
    ck_assert(run(y));
    expect(var_grad(x), 1e-9, 1.0, 1.955034475, -1.523252676, -1.0, -1.955034475, 1.523252676);
}
END_TEST

START_TEST(softmax_does_not_overflow)
{
    Var x = LEAF(tape, TENSOR_SHAPE(2, 2), 1e5, 1e5 - 1, -INFINITY, 3);
    expect(var_value(var_softmax(x, 1)), 1e-12, 1 / (1 + exp(-1)), 1 / (1 + exp(1)), 0, 1);
    expect(var_value(var_log_softmax(x, 1)), 1e-9, -log(1 + exp(-1)), -log(1 + exp(1)), -INFINITY, 0);
    Var none = LEAF(tape, TENSOR_SHAPE(2, 0), 0);
    ck_assert(tape_backward(var_sum(var_softmax(none, 1), TENSOR_AXES_ALL, false)));
}
END_TEST

/* Far above 0 and far below, wherever in the row the largest stands. */
START_TEST(softmax_and_cross_entropy_do_not_depend_on_an_offset)
{
    static const double offsets[] = {-5000, 5000};
    for (int size = 1; size <= 19; size++)
        for (int most = 0; most < size; most++)
            for (int k = 0; k < 4; k++) {
                TensorDtype dtype = k % 2 ? TENSOR_F32 : TENSOR_F64;
                double plain[19], moved[19];
                tape_begin(tape);
                for (int i = 0; i < size; i++) {
                    plain[i] = i == most ? 3 : -0.125 * (i % 8);
                    moved[i] = i == most ? offsets[k / 2] + 3 : offsets[k / 2] - 0.125 * (i % 8) - 1000;
                    plain[i] -= i == most ? 0 : 1000;
                }
                Var x = tape_leaf(tape, test_values(tape, dtype, TENSOR_SHAPE(1, size), moved));
                Var y = tape_leaf(tape, test_values(tape, dtype, TENSOR_SHAPE(1, size), plain));
                expect_same(var_value(var_softmax(x, 1)), var_value(var_softmax(y, 1)), 1e-9);
                expect(var_value(var_select(var_softmax(x, 1), 1, most)), 1e-9, 1);
                expect(var_value(var_select(var_log_softmax(x, 1), 1, most)), 1e-9, 0);
                Var class = INDEX(tape, TENSOR_SHAPE(1), most);
                expect(var_value(var_cross_entropy(x, class, VAR_REDUCTION_MEAN)), 1e-9, 0);
            }
}
END_TEST

START_TEST(layer_norm_is_that_of_pytorch)
{
    Var x = input(), w = LEAF(tape, TENSOR_SHAPE(3), 0.5, 1, 2),
        b = LEAF(tape, TENSOR_SHAPE(3), 0.1, 0, -0.1);
    Var y = var_layer_norm(x, w, b, 1e-5);
    expect(var_value(y), 1e-9, 0.1, -1.224740789, 2.349481578, -0.2103822447, 1.410828385, -1.680127791);
    ck_assert(run(y));
    expect(var_grad(x), 1e-8, -1.905152338, 0.9525652827, 0.9525870557, -1.542025061, 0.1186142864,
           1.423410774);
    expect(var_grad(w), 1e-9, 0.6207644894, -1.744067385, 2.094094576);
    expect(var_grad(b), 1e-9, 0, 2.5, 5);
}
END_TEST

START_TEST(weight_and_bias_of_layer_norm_are_optional)
{
    Var x = input(), one = LEAF(tape, TENSOR_SHAPE(3), 1, 1, 1), zero = LEAF(tape, TENSOR_SHAPE(3), 0, 0, 0);
    Tensor plain = var_value(var_layer_norm(x, VAR_NONE, VAR_NONE, 1e-5));
    expect_same(var_value(var_layer_norm(x, one, VAR_NONE, 1e-5)), plain, 0);
    expect_same(var_value(var_layer_norm(x, VAR_NONE, zero, 1e-5)), plain, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    ck_assert(var_is_empty(var_softmax(input(), 2)));
    assert_fails(tape, "softmax([2, 3])", "axis 2 is out of range");
    tape_begin(tape);
    ck_assert(var_is_empty(var_layer_norm(input(), VAR_NONE, LEAF(tape, TENSOR_SHAPE(2), 1, 2), 1e-5)));
    assert_fails(tape, "layer_norm([2, 3], [2])", "size of the last axis");
    tape_begin(tape);
    ck_assert(var_is_empty(var_layer_norm(LEAF(tape, SCALAR, 1), VAR_NONE, VAR_NONE, 1e-5)));
    assert_fails(tape, "layer_norm([])", "no axis");
}
END_TEST

Suite *autograd_op_normalize_suite(void);
Suite *autograd_op_normalize_suite(void)
{
    Suite *suite = suite_create("autograd/op_normalize");
    TCase *cases = tcase_create("op_normalize");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, softmax_is_that_of_pytorch);
    tcase_add_test(cases, log_softmax_along_axis_0_is_that_of_pytorch);
    tcase_add_test(cases, softmax_does_not_overflow);
    tcase_add_test(cases, softmax_and_cross_entropy_do_not_depend_on_an_offset);
    tcase_add_test(cases, layer_norm_is_that_of_pytorch);
    tcase_add_test(cases, weight_and_bias_of_layer_norm_are_optional);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

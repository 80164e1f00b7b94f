#include "nn/losses.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Var given(Fixture *fixture, const char *name, TensorDtype dtype)
{
    return tape_constant(tape, tensor_cast(&arena, fixture_tensor(fixture, "%s", name), dtype));
}

static NnClassOptions class_options(Fixture *fixture, TensorDtype dtype, bool weighted, double smoothing)
{
    NnClassOptions options = nn_class_options();
    options.weight = weighted ? given(fixture, "per_class", dtype) : VAR_NONE;
    options.label_smoothing = smoothing;
    return options;
}

static const char *const names[] = {"weighted_cross_entropy",
                                    "smoothed_cross_entropy",
                                    "smoothed_weighted_cross_entropy",
                                    "nll",
                                    "gaussian_nll",
                                    "l1",
                                    "huber",
                                    "kl_divergence"};
enum { LOSSES = sizeof names / sizeof names[0] };

static Var loss_of(Fixture *fixture, int i, Var x, TensorDtype dtype)
{
    Var classes = tape_constant(tape, fixture_tensor(fixture, "some")),
        targets = given(fixture, "targets", dtype);
    switch (i) {
    case 0:
        return nn_cross_entropy(x, classes, class_options(fixture, dtype, true, 0));
    case 1:
        return nn_cross_entropy(x, classes, class_options(fixture, dtype, false, 0.2));
    case 2:
        return nn_cross_entropy(x, classes, class_options(fixture, dtype, true, 0.2));
    case 3:
        return nn_nll(x, classes, class_options(fixture, dtype, true, 0));
    case 4:
        return nn_gaussian_nll(x, targets, given(fixture, "variance", dtype), VAR_REDUCTION_MEAN);
    case 5:
        return nn_l1(x, targets, VAR_REDUCTION_MEAN);
    case 6:
        return nn_huber(x, targets, 1.5, VAR_REDUCTION_MEAN);
    default:
        return nn_kl_divergence(x, given(fixture, "soft", dtype), VAR_REDUCTION_MEAN);
    }
}

START_TEST(values_and_gradients_are_pytorchs)
{
    Fixture fixture = fixture_open("losses");
    for (int f64 = 0; f64 < 2; f64++) {
        TensorDtype dtype = f64 ? TENSOR_F64 : TENSOR_F32;
        bool of_log_p = _i == 3 || _i == 7;
        tape_begin(tape);
        Var x = tape_leaf(
            tape, tensor_cast(&arena, fixture_tensor(&fixture, of_log_p ? "log_p" : "logits"), dtype));
        Var loss = loss_of(&fixture, _i, x, dtype);
        ck_assert_tape_ok(tape);
        ck_assert(tape_backward(loss));
        Tensor value = fixture_tensor(&fixture, "%s/loss", names[_i]);
        ck_assert_msg(fabs(var_item(loss) / tensor_item(value) - 1) < 1e-6, "%s: %.9g, not %.9g", names[_i],
                      var_item(loss), tensor_item(value));
        ck_assert_norm_close(var_grad(x), fixture_tensor(&fixture, "%s/grad", names[_i]), f64 ? 1e-6 : 1e-5,
                             names[_i]);
    }
    fixture_close(&fixture);
}
END_TEST

/* ---- Gradients of what the fixture takes as given ---- */

static Var of_all(Tape *t, Var input, void *context)
{
    int form = *(int *)context;
    Var x = var_slice(input, 0, 0, 2, 1), target = var_softmax(var_slice(input, 0, 2, 4, 1), -1);
    (void)t;
    switch (form) {
    case 0:
        return nn_gaussian_nll(x, target, var_scale(target, 2, 0.1), VAR_REDUCTION_NONE);
    case 1:
        return nn_kl_divergence(x, target, VAR_REDUCTION_NONE);
    case 2:
        return nn_huber(x, target, 0.3, VAR_REDUCTION_SUM);
    default:
        return nn_l1(x, target, VAR_REDUCTION_NONE);
    }
}

START_TEST(backward_agrees_with_differences)
{
    for (int form = 0; form < 4; form++) {
        NnModule none;
        nn_module_init(&none);
        Tensor x = tensor_new(&arena, TENSOR_F64, TENSOR_SHAPE(4, 3));
        TensorRandom random = tensor_random_new(3, 0);
        tensor_random_fill_uniform(&random, x, -1, 1);
        check_module_gradients(&none, of_all, &form, x);
    }
}
END_TEST

/* ---- Edges ---- */

static const float values[] = {1, 2, 3, 4, 5, 7};

START_TEST(where_all_are_ignored_the_loss_is_zero_and_so_is_its_gradient)
{
    for (int i = 0; i < 2; i++) {
        NnClassOptions options = nn_class_options();
        options.ignored = 1;
        options.label_smoothing = i * 0.1;
        tape_begin(tape);
        Var x = tape_leaf(tape, tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(2, 3)));
        int32_t classes[] = {1, 1};
        Var loss = nn_cross_entropy(x, tape_constant(tape, tensor_from(classes, TENSOR_I32, TENSOR_SHAPE(2))),
                                    options);
        ck_assert(tape_backward(loss));
        ck_assert_double_eq(var_item(loss), 0);
        for (int64_t k = 0; k < 6; k++)
            ck_assert_double_eq(tensor_f32(var_grad(x))[k], 0);
    }
}
END_TEST

/* A share of 0 costs nothing; below 0 it is none, as PyTorch has it. */
START_TEST(the_divergence_from_no_share_is_no_number)
{
    float shares[] = {0, -1, 0.5f};
    Var x = tape_constant(tape, tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(3)));
    Var target = tape_leaf(tape, tensor_from(shares, TENSOR_F32, TENSOR_SHAPE(3)));
    Var each = nn_kl_divergence(x, target, VAR_REDUCTION_NONE);
    const float *loss = tensor_f32(var_value(each));
    ck_assert(loss[0] == 0 && isnan(loss[1]));
    ck_assert_double_eq_tol(loss[2], 0.5 * log(0.5) - 1.5, 1e-6);
    ck_assert(tape_backward(var_sum(each, TENSOR_AXES_ALL, false)));
    const float *gradient = tensor_f32(var_grad(target));
    ck_assert_double_eq(gradient[0], -1);
    ck_assert(isnan(gradient[1]));
    ck_assert_double_eq_tol(gradient[2], log(0.5) + 1 - 3, 1e-6);
}
END_TEST

START_TEST(reductions_are_of_the_same_losses)
{
    int32_t classes[] = {2, -100};
    Var x = tape_constant(tape, tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(2, 3)));
    Var c = tape_constant(tape, tensor_from(classes, TENSOR_I32, TENSOR_SHAPE(2)));
    NnClassOptions options = nn_class_options();
    double mean = var_item(nn_cross_entropy(x, c, options));
    options.reduction = VAR_REDUCTION_SUM;
    ck_assert_double_eq_tol(var_item(nn_cross_entropy(x, c, options)), mean, 1e-7);
    options.reduction = VAR_REDUCTION_NONE;
    Tensor each = var_value(nn_cross_entropy(x, c, options));
    ck_assert_int_eq(tensor_numel(&each), 2);
    ck_assert_double_eq_tol(tensor_f32(each)[0], mean, 1e-7);
    ck_assert_double_eq(tensor_f32(each)[1], 0);
}
END_TEST

START_TEST(classes_that_there_are_not_are_errors)
{
    static const int32_t wrong[] = {3, -1, 7};
    for (int i = 0; i < 3; i++) {
        int32_t classes[] = {0, wrong[i]};
        tape_begin(tape);
        Var x = tape_constant(tape, tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(2, 3)));
        Var c = tape_constant(tape, tensor_from(classes, TENSOR_I32, TENSOR_SHAPE(2)));
        ck_assert(var_is_empty(nn_cross_entropy(x, c, nn_class_options())));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "row 1 is of class");
    }
    tape_begin(tape);
    Var x = tape_constant(tape, tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(2, 3)));
    NnClassOptions options = nn_class_options();
    options.label_smoothing = 1.5;
    ck_assert(var_is_empty(nn_cross_entropy(x, x, options)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "label_smoothing must lie in [0, 1], not 1.5");
    tape_begin(tape);
    x = tape_constant(tape, tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(2, 3)));
    ck_assert(var_is_empty(nn_nll(x, x, nn_class_options())));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "i32 [N] of classes");
}
END_TEST

Suite *nn_losses_suite(void);
Suite *nn_losses_suite(void)
{
    Suite *suite = suite_create("nn/losses");
    TCase *c = tcase_create("losses");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_loop_test(c, values_and_gradients_are_pytorchs, 0, LOSSES);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, where_all_are_ignored_the_loss_is_zero_and_so_is_its_gradient);
    tcase_add_test(c, the_divergence_from_no_share_is_no_number);
    tcase_add_test(c, reductions_are_of_the_same_losses);
    tcase_add_test(c, classes_that_there_are_not_are_errors);
    suite_add_tcase(suite, c);
    return suite;
}

/* The adaptive softmax against PyTorch's, and against a full one where it is one. */
#include "nn/adaptive.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

enum { ROWS = 7, IN = 9, CLASSES = 11 };

static NnAdaptiveOptions cut(void)
{
    return (NnAdaptiveOptions){.cutoffs = {3, 6, 9}, .count = 3, .div_value = 2, .head_bias = true};
}

/* Minus the losses, and behind them all log probabilities. */
static Var both(Fixture *fixture, Var input, Var memory, void *context)
{
    (void)memory;
    NnAdaptiveSoftmax *m = context;
    Var target = tape_constant(tape, fixture_tensor(fixture, "reel/target"));
    Var of_target = var_neg(nn_adaptive_softmax_loss(m, input, target, VAR_REDUCTION_NONE));
    Var all = var_reshape(nn_adaptive_softmax_log_prob(m, input), TENSOR_SHAPE(ROWS * CLASSES));
    return var_concat((Var[]){of_target, all}, 2, 0);
}

START_TEST(values_and_gradients_are_pytorchs)
{
    NnAdaptiveSoftmax m;
    nn_adaptive_softmax_init(&m, IN, CLASSES, cut());
    check_module_with_pytorch("adaptive_softmax", &m.base, both, &m);
    nn_module_free(&m.base);
}
END_TEST

static Tensor noise(TensorDtype dtype)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(ROWS, IN));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

static Var targets(Tape *t)
{
    static int32_t classes[ROWS] = {0, 10, 2, 3, 8, 5, 2};
    return tape_constant(t, tensor_from(classes, TENSOR_I32, TENSOR_SHAPE(ROWS)));
}

typedef struct Checked {
    NnAdaptiveSoftmax m;
    VarReduction reduction;
} Checked;

static Var loss_of(Tape *t, Var input, void *context)
{
    Checked *c = context;
    return nn_adaptive_softmax_loss(&c->m, input, targets(t), c->reduction);
}

START_TEST(backward_agrees_with_differences)
{
    static const VarReduction all[] = {VAR_REDUCTION_NONE, VAR_REDUCTION_MEAN, VAR_REDUCTION_SUM};
    for (int i = 0; i < 3; i++) {
        Checked c = {.reduction = all[i]};
        nn_adaptive_softmax_init(&c.m, IN, CLASSES, cut());
        ck_assert_ok(nn_module_reset_f64(&c.m.base, 4));
        check_module_gradients(&c.m.base, loss_of, &c, noise(TENSOR_F64));
        nn_module_free(&c.m.base);
    }
}
END_TEST

START_TEST(probabilities_add_up_to_one_and_hold_the_loss)
{
    NnAdaptiveSoftmax m;
    nn_adaptive_softmax_init(&m, IN, CLASSES, cut());
    ck_assert_ok(nn_module_reset(&m.base, 1));
    Var x = tape_constant(tape, noise(TENSOR_F32)), target = targets(tape);
    Tensor all = var_value(nn_adaptive_softmax_log_prob(&m, x)),
           each = var_value(nn_adaptive_softmax_loss(&m, x, target, VAR_REDUCTION_NONE));
    double mean = var_item(nn_adaptive_softmax_loss(&m, x, target, VAR_REDUCTION_MEAN)), sum = 0;
    ck_assert_tape_ok(tape);
    for (int64_t i = 0; i < ROWS; i++) {
        double one = 0;
        for (int64_t k = 0; k < CLASSES; k++)
            one += exp(tensor_get(&all, (int64_t[]){i, k}));
        ck_assert_double_eq_tol(one, 1, 1e-6);
        int32_t class = tensor_i32(var_value(target))[i];
        ck_assert_double_eq_tol(tensor_get(&each, &i), -tensor_get(&all, (int64_t[]){i, class}), 1e-6);
        sum += tensor_get(&each, &i);
    }
    ck_assert_double_eq_tol(mean, sum / ROWS, 1e-6);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(without_cutoffs_it_is_a_full_softmax)
{
    NnAdaptiveSoftmax m;
    nn_adaptive_softmax_init(&m, IN, CLASSES, nn_adaptive_options());
    ck_assert_ok(nn_module_reset(&m.base, 1));
    Var x = tape_constant(tape, noise(TENSOR_F32)), target = targets(tape);
    Var logits = nn_linear(&m.head, x);
    ck_assert_close(var_value(nn_adaptive_softmax_loss(&m, x, target, VAR_REDUCTION_NONE)),
                    var_value(var_cross_entropy(logits, target, VAR_REDUCTION_NONE)), 0);
    ck_assert_close(var_value(nn_adaptive_softmax_log_prob(&m, x)), var_value(var_log_softmax(logits, 1)), 0);
    ck_assert_tape_ok(tape);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(what_cannot_be_is_an_error)
{
    static const struct {
        NnAdaptiveOptions options;
        const char *part;
    } wrong[] = {{{.cutoffs = {3, 3}, .count = 2, .div_value = 4}, "cutoff 1 is 3"},
                 {{.cutoffs = {11}, .count = 1, .div_value = 4}, "from 1 to 10 with 11 classes"},
                 {{.cutoffs = {0}, .count = 1, .div_value = 4}, "cutoff 0 is 0"},
                 {{.count = 9, .div_value = 4}, "9 cutoffs"},
                 {{.cutoffs = {3, 6}, .count = 2, .div_value = 4}, "cluster 1 would have a width below 1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        NnAdaptiveSoftmax m;
        nn_adaptive_softmax_init(&m, IN, CLASSES, wrong[i].options);
        ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, wrong[i].part);
        nn_module_free(&m.base);
    }
    NnAdaptiveSoftmax m;
    nn_adaptive_softmax_init(&m, IN, CLASSES, cut());
    ck_assert_ok(nn_module_reset(&m.base, 0));
    for (int i = 0; i < 3; i++) {
        tape_begin(tape);
        int32_t classes[ROWS] = {[3] = i == 0 ? CLASSES : -1};
        Tensor target = tensor_from(classes, TENSOR_I32, TENSOR_SHAPE(i == 2 ? ROWS - 1 : ROWS));
        Var x = tape_constant(tape, noise(TENSOR_F32));
        ck_assert(
            var_is_empty(nn_adaptive_softmax_loss(&m, x, tape_constant(tape, target), VAR_REDUCTION_MEAN)));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED,
                         i == 2 ? "x [N, in] and classes i32 [N]" : "of row 3 is out of range for 11");
    }
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_adaptive_suite(void);
Suite *nn_adaptive_suite(void)
{
    Suite *suite = suite_create("nn/adaptive");
    TCase *c = tcase_create("adaptive");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, values_and_gradients_are_pytorchs);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, probabilities_add_up_to_one_and_hold_the_loss);
    tcase_add_test(c, without_cutoffs_it_is_a_full_softmax);
    tcase_add_test(c, what_cannot_be_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

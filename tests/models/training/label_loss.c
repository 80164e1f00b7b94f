/* What a label's weights and frequency make of its loss. */
#include "models/training/label_loss.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"

#include <math.h>

enum { TEXTS = 10000 };

static ModelLabelLoss loss_of(ModelLossForm form, int64_t *counts, int32_t labels, double power)
{
    ModelDatasetPart part = {.count = TEXTS, .label_counts = counts, .num_classes = labels};
    ModelLabelLoss loss;
    ck_assert_ok(model_label_loss_init(&loss, MODEL_LOSS_SIGMOID, form, &part, power));
    return loss;
}

static double softplus(double x)
{
    return x > 30 ? x : log1p(exp(x));
}

/* The mean loss of a label of frequency p where all logits are z. */
static double mean_loss(double p, double w, double u, double z)
{
    return u * (w * p * softplus(-z) + (1 - p) * softplus(z));
}

static int64_t frequencies[] = {1, 17, 300, 2500, 5000, 8400, 9999};
enum { FREQUENCIES = sizeof frequencies / sizeof frequencies[0] };

START_TEST(weights_leave_the_curvature_as_it_is)
{
    static const double powers[] = {0.25, 0.5, 1};
    double power = powers[_i];
    ModelLabelLoss loss = loss_of(MODEL_LOSS_SUM, frequencies, FREQUENCIES, power);
    double base = 0;
    for (int k = 0; k < FREQUENCIES; k++) {
        double p = (double)frequencies[k] / TEXTS, w = loss.pos_weight[k], u = loss.weight[k];
        double z = log(w * p / (1 - p)), h = 1e-3;
        ck_assert_double_eq_tol(w, pow((1 - p) / p, power), 1e-5 * w);
        double low = mean_loss(p, w, u, z - h), middle = mean_loss(p, w, u, z),
               high = mean_loss(p, w, u, z + h);
        ck_assert(low > middle && high > middle); /* z is the best constant */
        ck_assert_double_eq_tol((low - 2 * middle + high) / (h * h), p * (1 - p), 1e-3 * p * (1 - p) + 1e-8);
        ck_assert(u <= 2.0001 && u * w <= 2.0001); /* no single example counts for much more */
        base += middle / FREQUENCIES;
    }
    ck_assert_double_eq_tol(loss.base, base, 1e-6);
    model_label_loss_free(&loss);
}
END_TEST

START_TEST(no_power_lets_an_example_count_more_than_twice)
{
    ModelLabelLoss loss = loss_of(MODEL_LOSS_SUM, frequencies, FREQUENCIES, 3);
    for (int k = 0; k < FREQUENCIES; k++)
        ck_assert(loss.weight[k] <= 2.0001f && loss.weight[k] * loss.pos_weight[k] <= 2.0001f);
    model_label_loss_free(&loss);
}
END_TEST

START_TEST(labels_add_up_until_they_are_too_steep)
{
    static int64_t counts[5000];
    ModelLabelLoss loss;
    for (int32_t labels = 2; labels <= 5000; labels += labels < 100 ? 1 : 490) {
        for (int32_t k = 0; k < labels; k++)
            counts[k] = 2 * TEXTS / labels;
        loss = loss_of(MODEL_LOSS_SUM, counts, labels, 0);
        ck_assert(loss.labels == 57);
        ck_assert_ptr_null(loss.pos_weight);
        model_label_loss_free(&loss);
        loss = loss_of(MODEL_LOSS_MEAN, counts, labels, 0);
        ck_assert(loss.labels == 0);
        model_label_loss_free(&loss);
    }
    for (int32_t k = 0; k < 64; k++)
        counts[k] = TEXTS / 2;
    loss = loss_of(MODEL_LOSS_SUM, counts, 64, 0); /* 64 / 4 is four times 4 */
    ck_assert_double_eq_tol(loss.labels, 4 * 57, 1e-9);
    ck_assert_double_eq_tol(loss.base, log(2), 1e-12);
    model_label_loss_free(&loss);
}
END_TEST

START_TEST(labels_that_none_or_all_texts_have_weigh_one)
{
    int64_t counts[] = {0, TEXTS, 2500};
    ModelLabelLoss loss = loss_of(MODEL_LOSS_SUM, counts, 3, 1);
    for (int k = 0; k < 2; k++)
        ck_assert(loss.pos_weight[k] == 1 && loss.weight[k] == 1);
    ck_assert(loss.pos_weight[2] == 3 && isfinite(loss.base));
    model_label_loss_free(&loss);
}
END_TEST

START_TEST(the_bias_starts_at_the_best_constant_logits)
{
    Model *model;
    ModelConfig config = {.vocabulary = 8, .labels = FREQUENCIES, .embed_dropout = -1, .dropout = -1};
    ck_assert_ok(model_new(&model, model_zoo_find("bag"), config, 0));
    for (int form = MODEL_LOSS_MEAN; form <= MODEL_LOSS_SUM; form++) {
        ModelLabelLoss loss = loss_of((ModelLossForm)form, frequencies, FREQUENCIES, 0.5);
        model_set_output_bias(model, frequencies, TEXTS);
        model_label_loss_shift_bias(&loss, (ModelLossForm)form, model);
        for (int64_t k = 0; k < FREQUENCIES; k++) {
            double p = (double)frequencies[k] / TEXTS, z = log(p / (1 - p));
            ck_assert_double_eq_tol(tensor_get(&model->output->bias.core.value, &k),
                                    form == MODEL_LOSS_SUM ? z / 2 : z, 1e-5);
        }
        model_label_loss_free(&loss);
    }
    model_free(model);
}
END_TEST

/* The loss of the best constant logits of softmax is that which is told, and the bias starts there. */
START_TEST(softmax_weighs_texts_and_starts_at_the_best_constant_logits)
{
    static int64_t counts[] = {10, 490, 2500, 7000};
    static const double powers[] = {0, 0.5, 1, 3};
    ModelDatasetPart part = {.count = TEXTS, .label_counts = counts, .num_classes = 4};
    ModelConfig config = {.vocabulary = 8, .labels = 4, .embed_dropout = -1, .dropout = -1};
    ModelLabelLoss loss;
    Model *model;
    part.task = MODEL_TASK_SINGLE;
    ck_assert_ok(model_new(&model, model_zoo_find("bag"), config, 0));
    ck_assert_ok(model_label_loss_init(&loss, MODEL_LOSS_SOFTMAX, MODEL_LOSS_SUM, &part, powers[_i]));
    model_set_output_bias(model, counts, TEXTS);
    model_label_loss_shift_bias(&loss, MODEL_LOSS_SUM, model);
    double z[4], sum = 0, value = 0, mean = 0;
    for (int64_t k = 0; k < 4; k++)
        sum += exp(z[k] = tensor_get(&model->output->bias.core.value, &k));
    for (int k = 0; k < 4; k++) {
        double p = (double)counts[k] / TEXTS, w = loss.pos_weight ? (double)loss.pos_weight[k] : 1;
        mean += p * w;
        value -= p * w * (z[k] - log(sum));
        ck_assert(w <= 2.0001);
    }
    ck_assert_double_eq_tol(loss.base, value, 1e-5);
    for (int k = 0; k < 4; k++) { /* the gradient of the mean loss is 0 there */
        double p = (double)counts[k] / TEXTS, w = loss.pos_weight ? (double)loss.pos_weight[k] : 1;
        ck_assert_double_eq_tol(exp(z[k]) / sum, p * w / mean, 1e-5);
    }
    ck_assert(mean <= 1.0001);
    ck_assert_ptr_null(loss.weight);
    ck_assert(loss.decisions == 1);
    model_label_loss_free(&loss);
    model_free(model);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    ModelDatasetPart part = {.count = TEXTS, .label_counts = frequencies, .num_classes = FREQUENCIES};
    ModelLabelLoss loss;
    for (int n = 0; n < 2; n++) {
        int64_t live = reel_mem_stats().live_blocks;
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_label_loss_init(&loss, MODEL_LOSS_SIGMOID, MODEL_LOSS_SUM, &part, 1);
        reel_mem_fail_at(-1, 0);
        ck_assert_failed(status, REEL_STATUS_FAILED, "memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
}
END_TEST

Suite *models_label_loss_suite(void);
Suite *models_label_loss_suite(void)
{
    Suite *suite = suite_create("models/label_loss");
    TCase *c = tcase_create("label_loss");
    tcase_add_loop_test(c, weights_leave_the_curvature_as_it_is, 0, 3);
    tcase_add_test(c, no_power_lets_an_example_count_more_than_twice);
    tcase_add_test(c, labels_add_up_until_they_are_too_steep);
    tcase_add_test(c, labels_that_none_or_all_texts_have_weigh_one);
    tcase_add_test(c, the_bias_starts_at_the_best_constant_logits);
    tcase_add_loop_test(c, softmax_weighs_texts_and_starts_at_the_best_constant_logits, 0, 4);
    tcase_add_test(c, no_memory_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

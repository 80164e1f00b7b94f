#include "models/training/threshold.h"
#include "models/training/metrics.h"
#include "tensor/mem.h"
#include "tensor/random.h"
#include "tests/text_support.h"

#include <math.h>

enum { N = 5, K = 2 };

/* Label 0 is best cut between 0.4 and 0.6 (F1 1), label 1 below 0.1 (F1 0.75, three of five true). */
static const float SCORES[N][K] = {{0.9f, 0.5f}, {0.6f, 0.1f}, {0.4f, 0.7f}, {0.2f, 0.3f}, {0.1f, 0.2f}};
static const float TRUTH[N][K] = {{1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 1}};

static Tensor matrix(const float (*values)[K])
{
    return tensor_from((void *)(uintptr_t)values, TENSOR_F32, TENSOR_SHAPE(N, K));
}

static const NnIds *truth_of(const float (*values)[K])
{
    return text_support_labels(matrix(values));
}

/* Against every cut there is, counted by models/training/metrics.h. */
START_TEST(test_global_is_the_best_cut)
{
    double threshold, f1, best = 0;
    ck_assert_ok(
        model_threshold_global(matrix(SCORES), truth_of(TRUTH), MODEL_METRIC_MACRO_F1, &threshold, &f1));
    ModelMetrics metrics;
    ck_assert_ok(model_metrics_init(&metrics, K));
    for (int i = -1; i < 20; i++) {
        double cut = 0.05 * i;
        model_metrics_reset(&metrics);
        ck_assert(model_metrics_add(&metrics, matrix(SCORES), truth_of(TRUTH), cut));
        best = fmax(best, model_metrics_macro(&metrics).f1);
    }
    model_metrics_reset(&metrics);
    ck_assert(model_metrics_add(&metrics, matrix(SCORES), truth_of(TRUTH), threshold));
    ck_assert_double_eq_tol(model_metrics_macro(&metrics).f1, best, 1e-12);
    ck_assert_double_eq_tol(f1, best, 1e-12);
    model_metrics_free(&metrics);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Many labels, of which a cut changes one a little: the best of all cuts by counting each anew. */
START_TEST(test_global_is_the_best_cut_of_many_labels)
{
    enum { ROWS = 30, LABELS = 40 };
    static float scores[ROWS * LABELS], truth[ROWS * LABELS];
    TensorRandom random = tensor_random_new(3, 0);
    ModelMetrics metrics;
    ck_assert_ok(model_metrics_init(&metrics, LABELS));
    for (int round = 0; round < 5; round++) {
        double best = 0, threshold, f1;
        for (int i = 0; i < ROWS * LABELS; i++) {
            truth[i] = tensor_random_below(&random, 4) == 0;
            scores[i] = (float)tensor_random_normal(&random) + truth[i];
        }
        Tensor s = tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(ROWS, LABELS));
        const NnIds *t = text_support_labels(tensor_from(truth, TENSOR_F32, TENSOR_SHAPE(ROWS, LABELS)));
        ck_assert_ok(model_threshold_global(s, t, MODEL_METRIC_MACRO_F1, &threshold, &f1));
        for (int i = -1; i < ROWS * LABELS; i++) {
            model_metrics_reset(&metrics);
            ck_assert(model_metrics_add(&metrics, s, t, i < 0 ? threshold : (double)scores[i]));
            if (i < 0)
                ck_assert_double_eq_tol(model_metrics_macro(&metrics).f1, f1, 1e-9);
            else
                best = fmax(best, model_metrics_macro(&metrics).f1);
        }
        ck_assert_double_eq_tol(f1, best, 1e-9);
    }
    model_metrics_free(&metrics);
}
END_TEST

START_TEST(test_per_label_shrinks_towards_global)
{
    double own[K], half[K], all[K];
    ck_assert_ok(
        model_threshold_per_label(matrix(SCORES), truth_of(TRUTH), MODEL_METRIC_MACRO_F1, 0, 0.3, 0, own));
    ck_assert_double_eq_tol(own[0], 0.5, 1e-6);
    ck_assert_double_lt(own[1], 0.1);
    ck_assert_ok(model_threshold_per_label(matrix(SCORES), truth_of(TRUTH), MODEL_METRIC_MACRO_F1, 0, 0.3, 2,
                                           half)); /* n_0 is 2 */
    ck_assert_double_eq_tol(half[0], 0.4, 1e-6);
    ck_assert_double_eq_tol(half[1], (3 * own[1] + 2 * 0.3) / 5, 1e-9);
    ck_assert_ok(
        model_threshold_per_label(matrix(SCORES), truth_of(TRUTH), MODEL_METRIC_MACRO_F1, 0, 0.3, 1e12, all));
    ck_assert_double_eq_tol(all[0], 0.3, 1e-6);
}
END_TEST

START_TEST(test_nan_ties_and_absent_labels)
{
    static const float scores[N][K] = {{NAN, 0}, {0.5f, 0}, {0.5f, 0}, {0.5f, 0}, {0.2f, 0}};
    static const float truth[N][K] = {{1, 0}, {1, 0}, {0, 0}, {1, 0}, {0, 0}};
    double thresholds[K], threshold, f1;
    ck_assert_ok(model_threshold_per_label(matrix(scores), truth_of(truth), MODEL_METRIC_MACRO_F1, 0, 7, 0,
                                           thresholds));
    ck_assert_double_eq_tol(thresholds[0], 0.35, 1e-6); /* equal scores are never parted */
    ck_assert_double_eq(thresholds[1], 7);              /* never true: the global one */
    ck_assert_ok(
        model_threshold_global(matrix(scores), truth_of(truth), MODEL_METRIC_MACRO_F1, &threshold, &f1));
    ck_assert_double_eq_tol(f1, 0.5 * 2 * 2 / (3 + 3.0), 1e-12);
    ck_assert_failed(
        model_threshold_global((Tensor){0}, truth_of(truth), MODEL_METRIC_MACRO_F1, &threshold, &f1),
        REEL_STATUS_FAILED, "[N, K]");
}
END_TEST

/* All cuts are tried: none is better than the one that is found. */
START_TEST(each_metric_finds_its_best_cut)
{
    static const ModelMetric metrics[] = {MODEL_METRIC_MACRO_F1, MODEL_METRIC_MICRO_F1,
                                          MODEL_METRIC_ACCURACY};
    enum { TEXTS = 60, LABELS = 3 };
    TensorRandom random = tensor_random_new(tensor_random_stream("cuts"), (uint64_t)_i);
    float scores[TEXTS][LABELS];
    int32_t ids[TEXTS * LABELS];
    NnIds truth[TEXTS];
    int used = 0;
    for (int i = 0; i < TEXTS; i++) {
        truth[i] = (NnIds){ids + used, 0};
        for (int k = 0; k < LABELS; k++) {
            scores[i][k] = (float)tensor_random_uniform_f64(&random);
            if (tensor_random_uniform_f64(&random) < 0.2 + 0.6 * (double)scores[i][k]) {
                ids[used++] = k;
                truth[i].count++;
            }
        }
    }
    Tensor matrix_ = tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(TEXTS, LABELS));
    double threshold, reached, most = 0;
    ck_assert_ok(model_threshold_global(matrix_, truth, metrics[_i % 3], &threshold, &reached));
    ModelMetrics counted;
    ck_assert_ok(model_metrics_init(&counted, LABELS));
    for (int cut = -1; cut <= TEXTS * LABELS; cut++) {
        double at = cut < 0 ? threshold : cut == TEXTS * LABELS ? -1 : (double)(&scores[0][0])[cut];
        model_metrics_reset(&counted);
        ck_assert(model_metrics_add(&counted, matrix_, truth, at));
        double value = _i % 3 == 0   ? model_metrics_macro(&counted).f1
                       : _i % 3 == 1 ? model_metrics_micro(&counted).f1
                                     : model_metrics_accuracy(&counted);
        if (cut < 0)
            ck_assert_double_eq_tol(value, reached, 1e-9);
        most = fmax(most, value);
    }
    ck_assert_double_eq_tol(most, reached, 1e-9);
    double own[LABELS], before = reached;
    ck_assert_ok(model_threshold_per_label(matrix_, truth, metrics[_i % 3], reached, threshold, 0, own));
    model_metrics_reset(&counted);
    ck_assert(model_metrics_add_each(&counted, matrix_, truth, own));
    if (_i % 3 < 2) /* the fewest wrong decisions need not be the most texts without one */
        ck_assert((_i % 3 == 0 ? model_metrics_macro(&counted).f1 : model_metrics_micro(&counted).f1) >=
                  before - 1e-9);
    model_metrics_free(&counted);
}
END_TEST

Suite *models_threshold_suite(void);
Suite *models_threshold_suite(void)
{
    Suite *suite = suite_create("models/threshold");
    TCase *tcase = tcase_create("threshold");
    tcase_add_test(tcase, test_global_is_the_best_cut);
    tcase_add_test(tcase, test_global_is_the_best_cut_of_many_labels);
    tcase_add_test(tcase, test_per_label_shrinks_towards_global);
    tcase_add_test(tcase, test_nan_ties_and_absent_labels);
    tcase_add_loop_test(tcase, each_metric_finds_its_best_cut, 0, 12);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "models/training/metrics.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <math.h>

enum { N = 12, K = 5 };

static const float TRUTH[N][K] = {{1, 0, 1, 0, 0}, {0, 1, 1, 0, 0}, {1, 0, 0, 0, 0}, {1, 1, 0, 0, 0},
                                  {1, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 1}, {1, 0, 0, 0, 1},
                                  {1, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {1, 1, 0, 0, 0}, {1, 0, 0, 0, 0}};
static const float SCORES[N][K] = {
    {0.46f, 0.47f, 0.1f, 0.40f, 0.2f}, {0.31f, 0.24f, 0.1f, 0.68f, 0.2f}, {0.68f, 0.46f, 0.1f, 0.33f, 0.2f},
    {0.50f, 0.25f, 0.1f, 0.11f, 0.2f}, {0.29f, 0.39f, 0.1f, 0.90f, 0.2f}, {0.38f, 0.50f, 0.1f, 0.65f, 0.2f},
    {0.51f, 0.34f, 0.1f, 0.52f, 0.8f}, {0.84f, 0.44f, 0.1f, 0.39f, 0.8f}, {0.33f, 0.51f, 0.1f, 0.68f, 0.2f},
    {0.38f, 0.06f, 0.1f, 0.65f, 0.2f}, {0.54f, 0.52f, 0.1f, 0.12f, 0.2f}, {0.82f, 0.45f, 0.1f, 0.29f, 0.2f}};

/* scikit-learn 1.9.1, precision_recall_fscore_support(TRUTH, SCORES > 0.5, zero_division=0). Label 2 is
 * never predicted, label 3 never true. */
static const ModelScores LABELS[K] = {{0.8, 0.5, 0.6153846153846154, 8},
                                      {0.5, 0.3333333333333333, 0.4, 3},
                                      {0.0, 0.0, 0.0, 2},
                                      {0.0, 0.0, 0.0, 0},
                                      {1.0, 1.0, 1.0, 2}};
static const ModelScores MICRO = {0.4666666666666667, 0.4666666666666667, 0.4666666666666667, 15};
static const ModelScores MACRO = {0.45999999999999996, 0.36666666666666664, 0.40307692307692305, 15};

static ModelMetrics metrics;

static void setup(void)
{
    ck_assert_ok(model_metrics_init(&metrics, K));
}

static void teardown(void)
{
    model_metrics_free(&metrics);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static Tensor rows(const float (*matrix)[K], int64_t from, int64_t count)
{
    return tensor_from((void *)(uintptr_t)matrix[from], TENSOR_F32, TENSOR_SHAPE(count, K));
}

static const NnIds *truth(int64_t from, int64_t count)
{
    return text_support_labels(rows(TRUTH, from, count));
}

static void check_scores(ModelScores found, ModelScores expected)
{
    ck_assert_double_eq_tol(found.precision, expected.precision, 1e-15);
    ck_assert_double_eq_tol(found.recall, expected.recall, 1e-15);
    ck_assert_double_eq_tol(found.f1, expected.f1, 1e-15);
    ck_assert_int_eq(found.support, expected.support);
}

static void check_all(void)
{
    ck_assert_int_eq(metrics.examples, N);
    for (int k = 0; k < K; k++)
        check_scores(model_metrics_label(&metrics, k), LABELS[k]);
    check_scores(model_metrics_micro(&metrics), MICRO);
    check_scores(model_metrics_macro(&metrics), MACRO);
}

START_TEST(scores_are_scikit_learns)
{
    ck_assert(model_metrics_add(&metrics, rows(SCORES, 0, N), truth(0, N), 0.5));
    check_all();
}
END_TEST

START_TEST(batches_add_up)
{
    for (int round = 0; round < 2; round++) {
        model_metrics_reset(&metrics);
        for (int64_t from = 0; from < N; from += 5)
            ck_assert(model_metrics_add(&metrics, rows(SCORES, from, N - from < 5 ? N - from : 5),
                                        truth(from, N - from < 5 ? N - from : 5), 0.5));
        check_all();
    }
}
END_TEST

START_TEST(strides_do_not_matter)
{
    float turned[K][N];
    for (int i = 0; i < N; i++)
        for (int k = 0; k < K; k++)
            turned[k][i] = SCORES[i][k];
    Tensor scores = tensor_transpose(tensor_from(turned, TENSOR_F32, TENSOR_SHAPE(K, N)), 0, 1);
    ck_assert(model_metrics_add(&metrics, scores, truth(0, N), 0.5));
    check_all();
}
END_TEST

START_TEST(logits_are_compared_with_zero)
{
    float logits[N][K];
    for (int i = 0; i < N; i++)
        for (int k = 0; k < K; k++)
            logits[i][k] = SCORES[i][k] == 0.5f ? 0.0f : (float)log(SCORES[i][k] / (1.0 - SCORES[i][k]));
    ck_assert(
        model_metrics_add(&metrics, tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(N, K)), truth(0, N), 0.0));
    check_all();
}
END_TEST

START_TEST(nothing_counted_is_zero)
{
    check_scores(model_metrics_micro(&metrics), (ModelScores){0});
    check_scores(model_metrics_macro(&metrics), (ModelScores){0});
    float scores[1][K] = {{NAN, NAN, INFINITY, -INFINITY, NAN}};
    ck_assert(
        model_metrics_add(&metrics, tensor_from(scores, TENSOR_F32, TENSOR_SHAPE(1, K)), truth(0, 1), 0.5));
    check_scores(model_metrics_micro(&metrics), (ModelScores){1.0, 0.5, 2.0 / 3.0, 2});
}
END_TEST

START_TEST(other_shapes_are_refused)
{
    double wide[K] = {0};
    ck_assert(
        !model_metrics_add(&metrics, tensor_from(wide, TENSOR_F64, TENSOR_SHAPE(1, K)), truth(0, 1), 0.5));
    ck_assert(!model_metrics_add(&metrics, tensor_invalid(), truth(0, 1), 0.5));
    Tensor narrow = tensor_slice(rows(SCORES, 0, 3), 1, 0, 2, 1);
    ck_assert(!model_metrics_add(&metrics, narrow, truth(0, 3), 0.5));
    ck_assert_int_eq(metrics.examples, 0);
    ModelMetrics none;
    reel_mem_fail_at(0, 0);
    ck_assert_failed(model_metrics_init(&none, K), REEL_STATUS_FAILED, "out of memory");
    reel_mem_fail_at(-1, 0);
}
END_TEST

START_TEST(a_threshold_for_each_label)
{
    /* The same as moving the scores: label 1 at 0.465 is predicted for rows 0, 5, 8 and 10. */
    const double thresholds[K] = {0.5, 0.465, 0.5, 0.5, 0.9};
    ck_assert(model_metrics_add_each(&metrics, rows(SCORES, 0, N), truth(0, N), thresholds));
    check_scores(model_metrics_label(&metrics, 0), LABELS[0]);
    ck_assert_int_eq(metrics.labels[1].predicted, 4);
    ck_assert_int_eq(metrics.labels[1].hits, 1);
    ck_assert_int_eq(metrics.labels[4].predicted, 0);
}
END_TEST

Suite *models_metrics_suite(void);
Suite *models_metrics_suite(void)
{
    Suite *suite = suite_create("models/metrics");
    TCase *tcase = tcase_create("metrics");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, scores_are_scikit_learns);
    tcase_add_test(tcase, batches_add_up);
    tcase_add_test(tcase, strides_do_not_matter);
    tcase_add_test(tcase, logits_are_compared_with_zero);
    tcase_add_test(tcase, nothing_counted_is_zero);
    tcase_add_test(tcase, other_shapes_are_refused);
    tcase_add_test(tcase, a_threshold_for_each_label);
    suite_add_tcase(suite, tcase);
    return suite;
}

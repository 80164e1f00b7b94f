/* Calibration: what was made with a known line is found again; what says nothing is left alone. */
#include "models/training/calibration.h"
#include "tensor/mem_internal.h"
#include "tensor/random.h"
#include "tests/nn_support.h"

#include <math.h>
#include <string.h>

enum { N = 4000, K = 3 };

static float logits[N * K];
static int32_t labels[N * K];
static int64_t label_offsets[N + 1];
static ModelDatasetPart part;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double uniform(TensorRandom *random)
{
    return tensor_random_uniform_f64(random);
}

/* Label k is true with probability sigmoid(slopes[k] z + shifts[k]). */
static void draw(const double *slopes, const double *shifts)
{
    TensorRandom random = tensor_random_new(tensor_random_stream("calibration"), 0);
    int64_t used = 0;
    for (int64_t i = 0; i < N; i++) {
        label_offsets[i] = used;
        for (int32_t k = 0; k < K; k++) {
            double z = 8 * uniform(&random) - 4;
            logits[i * K + k] = (float)z;
            if (uniform(&random) < sigmoid(slopes[k] * z + shifts[k]))
                labels[used++] = k;
        }
    }
    label_offsets[N] = used;
    part = (ModelDatasetPart){.count = N, .num_classes = K, .labels = labels, .label_offsets = label_offsets};
}

START_TEST(a_line_is_found_again)
{
    static const double slopes[K] = {0.6, 0.6, 0.6}, shifts[K] = {0.5, 0.5, 0.5};
    double calibration[MODEL_CALIBRATION_ROWS * K];
    ModelCalibrationLine common;
    draw(slopes, shifts);
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, INFINITY));
    ck_assert_double_eq_tol(common.slope, 0.6, 0.03);
    ck_assert_double_eq_tol(common.shift, 0.5, 0.06);
    for (int k = 0; k < K; k++)
        ck_assert(calibration[k] == common.slope && calibration[K + k] == common.shift);
    ModelReliability before = {0}, after = {0};
    ck_assert_ok(model_reliability_add(&before, NULL, logits, &part));
    ck_assert_ok(model_reliability_add(&after, calibration, logits, &part));
    ck_assert(model_reliability_error(before.bins) > 0.1);
    ck_assert(model_reliability_error(after.bins) < 0.02);
}
END_TEST

/* A label has its own line where nothing draws it to the common one, and something between with some
 * strength. */
START_TEST(labels_are_drawn_to_the_common_line)
{
    static const double slopes[K] = {0.3, 1, 2}, shifts[K] = {1, 0, -1};
    double own[MODEL_CALIBRATION_ROWS * K], drawn[MODEL_CALIBRATION_ROWS * K];
    ModelCalibrationLine common, same;
    draw(slopes, shifts);
    ck_assert_ok(model_calibration_fit(own, &common, logits, &part, 0));
    ck_assert_ok(model_calibration_fit(drawn, &same, logits, &part, 1000));
    ck_assert(common.slope == same.slope && common.shift == same.shift);
    for (int k = 0; k < K; k++) {
        double n = 0;
        for (int64_t at = 0; at < label_offsets[N]; at++)
            n += labels[at] == k;
        ck_assert_double_eq_tol(own[k], slopes[k], 0.15);
        ck_assert_double_eq_tol(own[K + k], shifts[k], 0.15);
        ck_assert_double_eq_tol(drawn[k], (n * own[k] + 1000 * common.slope) / (n + 1000), 1e-9);
        ck_assert_double_eq_tol(drawn[K + k], (n * own[K + k] + 1000 * common.shift) / (n + 1000), 1e-9);
    }
}
END_TEST

/* What is said too low below 0, and too high above it, which no line mends. */
START_TEST(a_curve_is_found_again)
{
    double calibration[MODEL_CALIBRATION_ROWS * K];
    TensorRandom random = tensor_random_new(tensor_random_stream("curve"), 0);
    ModelCalibrationLine common;
    int64_t used = 0;
    for (int64_t i = 0; i < N; i++) {
        label_offsets[i] = used;
        for (int32_t k = 0; k < K; k++) {
            double z = 10 * uniform(&random) - 6;
            logits[i * K + k] = (float)z;
            if (uniform(&random) < sigmoid(0.4 * log1p(exp(z)) - 1.5 * log1p(exp(-z)) + 0.8))
                labels[used++] = k;
        }
    }
    label_offsets[N] = used;
    part = (ModelDatasetPart){.count = N, .num_classes = K, .labels = labels, .label_offsets = label_offsets};
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, INFINITY));
    ck_assert(model_calibration_is_sound(calibration, K));
    for (int i = -10; i < 8; i++) {
        double z = 0.5 * i;
        double is = 0.4 * log1p(exp(z)) - 1.5 * log1p(exp(-z)) + 0.8;
        double said = model_calibration_log_odds(calibration, K, 1, z);
        ck_assert_double_eq_tol(sigmoid(said), sigmoid(is), 0.03);
        ck_assert_double_eq_tol(said, model_calibration_common(&common, z), 1e-12);
        ck_assert_double_eq_tol(model_calibration_logit(calibration, K, 1, said), z, 1e-9);
    }
    ModelReliability lines = {0}, after = {0};
    ck_assert_ok(model_reliability_add(&after, calibration, logits, &part));
    model_calibration_straighten(calibration, K);
    ck_assert_ok(model_reliability_add(&lines, calibration, logits, &part));
    ck_assert(model_reliability_error(after.bins) < 0.5 * model_reliability_error(lines.bins));
}
END_TEST

START_TEST(what_says_nothing_or_the_opposite_is_left_alone)
{
    static const double opposite[K] = {-1, -1, -1}, one[K] = {-1, 1, 1}, none[K] = {0};
    double calibration[MODEL_CALIBRATION_ROWS * K];
    ModelCalibrationLine common;
    draw(opposite, none);
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, 10));
    ck_assert(common.slope == 1 && common.shift == 0);
    for (int k = 0; k < K; k++)
        ck_assert(calibration[k] == 1 && calibration[K + k] == 0);
    draw(one, none);
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, 0));
    ck_assert(common.slope > 0);
    ck_assert(calibration[0] == common.slope && calibration[K] == common.shift);
}
END_TEST

/* A threshold divides what is true from the rest: the line stays finite. A label that no text bears has the
 * common one. */
START_TEST(what_is_divided_stays_finite)
{
    static const double slopes[K] = {100, 1, 0}, shifts[K] = {0, 0, -1000};
    double calibration[MODEL_CALIBRATION_ROWS * K];
    ModelCalibrationLine common;
    draw(slopes, shifts);
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, 0));
    ck_assert(isfinite(calibration[0]) && calibration[0] > 10);
    ck_assert(calibration[2] == common.slope && calibration[K + 2] == common.shift);
}
END_TEST

/* One label a text, drawn by softmax(a z). */
START_TEST(a_temperature_is_found_again)
{
    static const double slopes[] = {0.4, 1, 2.5};
    TensorRandom random = tensor_random_new(tensor_random_stream("temperature"), 0);
    double calibration[MODEL_CALIBRATION_ROWS * K], p[K];
    ModelCalibrationLine common;
    for (int64_t i = 0; i < N; i++) {
        float scaled[K];
        double u = uniform(&random);
        for (int k = 0; k < K; k++) {
            logits[i * K + k] = (float)(6 * uniform(&random) - 3);
            scaled[k] = (float)slopes[_i] * logits[i * K + k];
        }
        model_task_probabilities(MODEL_TASK_SINGLE, scaled, K, p);
        label_offsets[i] = i;
        labels[i] = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
    }
    label_offsets[N] = N;
    part = (ModelDatasetPart){.count = N,
                              .num_classes = K,
                              .labels = labels,
                              .label_offsets = label_offsets,
                              .task = MODEL_TASK_SINGLE};
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, 5));
    ck_assert_double_eq_tol(common.slope, slopes[_i], 0.06 * slopes[_i]);
    for (int k = 0; k < K; k++)
        ck_assert(calibration[k] == common.slope && calibration[K + k] == 0);
    ModelReliability after = {0};
    ck_assert_ok(model_reliability_add(&after, calibration, logits, &part));
    ck_assert(model_reliability_error(after.bins) < 0.03);
    int64_t texts = 0;
    for (int b = 0; b < MODEL_RELIABILITY_BINS; b++)
        texts += after.bins[b].count;
    ck_assert_int_eq(texts, N);
    for (int64_t i = 0; i < N; i++) /* the opposite of what is true */
        labels[i] = logits[i * K] < logits[i * K + 1] ? 0 : 1;
    ck_assert_ok(model_calibration_fit(calibration, &common, logits, &part, 5));
    ck_assert(common.slope == 1);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    static const double slopes[K] = {1, 1, 1}, shifts[K] = {0};
    double calibration[MODEL_CALIBRATION_ROWS * K];
    ModelCalibrationLine common;
    ModelReliability reliability = {0};
    draw(slopes, shifts);
    for (int n = 0; n < 2; n++) {
        int64_t live = reel_mem_stats().live_blocks;
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_calibration_fit(calibration, &common, logits, &part, 1);
        reel_mem_fail_at(-1, 0);
        ck_assert_failed(status, REEL_STATUS_FAILED, "memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    reel_mem_fail_at(0, 0);
    ReelStatus status = model_reliability_add(&reliability, NULL, logits, &part);
    reel_mem_fail_at(-1, 0);
    ck_assert_failed(status, REEL_STATUS_FAILED, "memory");
}
END_TEST

Suite *models_calibration_suite(void);
Suite *models_calibration_suite(void)
{
    Suite *suite = suite_create("models/calibration");
    TCase *c = tcase_create("calibration");
    tcase_add_test(c, a_line_is_found_again);
    tcase_add_test(c, labels_are_drawn_to_the_common_line);
    tcase_add_test(c, a_curve_is_found_again);
    tcase_add_test(c, what_says_nothing_or_the_opposite_is_left_alone);
    tcase_add_test(c, what_is_divided_stays_finite);
    tcase_add_loop_test(c, a_temperature_is_found_again, 0, 3);
    tcase_add_test(c, no_memory_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

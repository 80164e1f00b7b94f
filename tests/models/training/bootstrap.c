/* Intervals of macro F1: against the normal approximation, and where they must be points. */
#include "models/training/bootstrap.h"
#include "tensor/mem.h"
#include "tensor/random.h"
#include "tests/text_support.h"

#include <math.h>
#include <string.h>

enum { N = 400, K = 2 };
static float scores[N][K], truth[N][K];

static Tensor matrix(float (*values)[K], int64_t n)
{
    return tensor_from(values, DTYPE_F32, SHAPE(n, K));
}

static void setup(void)
{
    memset(scores, 0, sizeof scores);
    memset(truth, 0, sizeof truth);
}

static Interval interval_of(int64_t n, const double *thresholds, uint64_t seed)
{
    Bootstrap b;
    Interval interval;
    bootstrap_init(&b, K);
    ck_assert_ok(bootstrap_add(&b, matrix(scores, n / 2), matrix(truth, n / 2), thresholds));
    ck_assert_ok(
        bootstrap_add(&b, matrix(scores + n / 2, n - n / 2), matrix(truth + n / 2, n - n / 2), thresholds));
    ck_assert_ok(bootstrap_macro_f1(&b, BOOTSTRAP_ROUNDS, seed, &interval));
    bootstrap_free(&b);
    ck_assert_int_eq(mem_stats().live_blocks, 0);
    return interval;
}

START_TEST(what_is_always_right_has_no_spread)
{
    for (int i = 0; i < N; i++)
        for (int k = 0; k < K; k++)
            scores[i][k] = truth[i][k] = (i + k) % 2;
    Interval whole = interval_of(N, (double[]){0.5, 0.5}, 1);
    ck_assert_double_eq(whole.low, 1);
    ck_assert_double_eq(whole.high, 1);
    /* The second label is never predicted, and then absent as well: F1 0 either way. */
    Interval half = interval_of(N, (double[]){0.5, 2}, 1);
    ck_assert_double_eq(half.low, 0.5);
    ck_assert_double_eq(half.high, 0.5);
}
END_TEST

/* All texts are true and a share p of them is predicted: F1 = 2p / (1 + p), of which the delta method gives
 * the deviation 2 / (1 + p)^2 sqrt(p (1 - p) / N). The second label is always right. */
START_TEST(the_width_is_that_of_the_normal_approximation)
{
    const double p = 0.6;
    for (int i = 0; i < N; i++) {
        truth[i][0] = truth[i][1] = scores[i][1] = 1;
        scores[i][0] = i < p * N ? 1 : -1;
    }
    Interval interval = interval_of(N, NULL, 3), again = interval_of(N, NULL, 3),
             other = interval_of(N, NULL, 4);
    double middle = (2 * p / (1 + p) + 1) / 2,
           deviation = 2 / ((1 + p) * (1 + p)) * sqrt(p * (1 - p) / N) / 2;
    ck_assert_double_eq_tol(interval.low, middle - 1.96 * deviation, 0.3 * deviation);
    ck_assert_double_eq_tol(interval.high, middle + 1.96 * deviation, 0.3 * deviation);
    ck_assert(interval.low == again.low && interval.high == again.high);
    ck_assert(interval.low != other.low || interval.high != other.high);
}
END_TEST

START_TEST(what_cannot_be_is_an_error)
{
    Bootstrap b;
    Interval interval;
    bootstrap_init(&b, K + 1);
    ck_assert_failed(bootstrap_add(&b, matrix(scores, 2), matrix(truth, 2), NULL), STATUS_FAILED, "[N, 3]");
    ck_assert_failed(bootstrap_macro_f1(&b, 10, 0, &interval), STATUS_FAILED, "needs texts");
    bootstrap_free(&b);
    bootstrap_init(&b, K);
    mem_fail_at(0, 1);
    ck_assert_failed(bootstrap_add(&b, matrix(scores, 2), matrix(truth, 2), NULL), STATUS_FAILED, "memory");
    mem_fail_at(-1, 0);
    bootstrap_free(&b);
    ck_assert_int_eq(mem_stats().live_blocks, 0);
}
END_TEST

Suite *models_bootstrap_suite(void);
Suite *models_bootstrap_suite(void)
{
    Suite *suite = suite_create("models/bootstrap");
    TCase *tcase = tcase_create("bootstrap");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, what_is_always_right_has_no_spread);
    tcase_add_test(tcase, the_width_is_that_of_the_normal_approximation);
    tcase_add_test(tcase, what_cannot_be_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

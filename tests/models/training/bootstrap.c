/* Intervals of macro F1: against the binomial distribution and the normal approximation, and on texts that
 * are drawn from a known population. */
#include "models/training/bootstrap.h"
#include "models/training/metrics.h"
#include "tensor/mem_internal.h"
#include "tensor/random.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 400, K = 2 };
static float scores[N][K], truth[N][K];

static Tensor matrix(float (*values)[K], int64_t n)
{
    return tensor_from(values, TENSOR_F32, TENSOR_SHAPE(n, K));
}

static void setup(void)
{
    memset(scores, 0, sizeof scores);
    memset(truth, 0, sizeof truth);
}

static ModelInterval interval_of(int64_t n, const double *thresholds, uint64_t seed)
{
    ModelBootstrap b;
    ModelInterval interval;
    model_bootstrap_init(&b, K);
    ck_assert_ok(model_bootstrap_add(&b, matrix(scores, n / 2), text_support_labels(matrix(truth, n / 2)),
                                     thresholds));
    ck_assert_ok(model_bootstrap_add(&b, matrix(scores + n / 2, n - n / 2),
                                     text_support_labels(matrix(truth + n / 2, n - n / 2)), thresholds));
    ck_assert_ok(model_bootstrap_macro_f1(&b, MODEL_BOOTSTRAP_ROUNDS, seed, &interval));
    model_bootstrap_free(&b);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    return interval;
}

START_TEST(what_is_always_right_has_no_spread)
{
    for (int i = 0; i < N; i++)
        for (int k = 0; k < K; k++)
            scores[i][k] = truth[i][k] = (i + k) % 2;
    ModelInterval whole = interval_of(N, (double[]){0.5, 0.5}, 1);
    ck_assert_double_eq(whole.low, 1);
    ck_assert_double_eq(whole.high, 1);
    /* The second label is never predicted, and then absent as well: F1 0 either way. */
    ModelInterval half = interval_of(N, (double[]){0.5, 2}, 1);
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
    ModelInterval interval = interval_of(N, NULL, 3), again = interval_of(N, NULL, 3),
                  other = interval_of(N, NULL, 4);
    double middle = (2 * p / (1 + p) + 1) / 2,
           deviation = 2 / ((1 + p) * (1 + p)) * sqrt(p * (1 - p) / N) / 2;
    ck_assert_double_eq_tol(interval.low, middle - 1.96 * deviation, 0.3 * deviation);
    ck_assert_double_eq_tol(interval.high, middle + 1.96 * deviation, 0.3 * deviation);
    ck_assert(interval.low == again.low && interval.high == again.high);
    ck_assert(interval.low != other.low || interval.high != other.high);
}
END_TEST

/* All texts are true, each is predicted or not: F1 of a draw is 2m / (N + m), m of a binomial distribution,
 * whose quantiles can be counted. With few texts it is lopsided, with many fine enough to tell quantiles
 * apart. */
static void check_quantiles(int texts, int hits)
{
    enum { MOST_TEXTS = 300, ROUNDS = 40000 };
    double below = 0, mean = 0, quantiles[2] = {-1, -1}, estimate = 2.0 * hits / (texts + hits);
    for (int m = 0; m <= texts; m++) {
        double p = (double)hits / texts, f1 = 2.0 * m / (texts + m),
               chance = exp(lgamma(texts + 1) - lgamma(m + 1) - lgamma(texts - m + 1) + m * log(p) +
                            (texts - m) * log(1 - p));
        below += chance;
        mean += chance * f1;
        for (int q = 0; q < 2; q++)
            if (quantiles[q] < 0 && below >= (q ? 0.975 : 0.025))
                quantiles[q] = f1;
    }
    ModelBootstrap b;
    ModelInterval interval;
    float ones[MOST_TEXTS], guess[MOST_TEXTS];
    for (int i = 0; i < texts; i++) {
        ones[i] = 1;
        guess[i] = i < hits ? 1 : -1;
    }
    model_bootstrap_init(&b, 1);
    ck_assert_ok(model_bootstrap_add(
        &b, tensor_from(guess, TENSOR_F32, TENSOR_SHAPE(texts, 1)),
        text_support_labels(tensor_from(ones, TENSOR_F32, TENSOR_SHAPE(texts, 1))), NULL));
    ck_assert_ok(model_bootstrap_macro_f1(&b, ROUNDS, 1, &interval));
    model_bootstrap_free(&b);
    ck_assert_double_eq_tol(interval.low, estimate - (quantiles[1] - mean), 3e-3);
    ck_assert_double_eq_tol(interval.high, fmin(1, estimate + mean - quantiles[0]), 3e-3);
}

START_TEST(the_ends_are_the_quantiles_of_the_deviation)
{
    check_quantiles(12, 10);
    check_quantiles(300, 210);
}
END_TEST

/* Texts of a population: label k is true with the chance often[k], then predicted with the chance found[k],
 * and otherwise with the chance wrong[k]. */
enum { MOST = 200 };
typedef struct {
    int texts, labels;
    double often[MOST], found[MOST], wrong[MOST];
} Population;

/* Labels from `rare` to `frequent`. */
static Population population(int texts, int labels, double rare, double frequent, TensorRandom *random)
{
    Population p = {.texts = texts, .labels = labels};
    for (int k = 0; k < labels; k++) {
        p.often[k] = rare * pow(frequent / rare, k / (labels - 1.0));
        p.found[k] = 0.2 + 0.7 * tensor_random_uniform(random);
        p.wrong[k] = p.often[k] * (0.1 + 0.5 * tensor_random_uniform(random));
    }
    return p;
}

/* Draws texts; macro F1 of them, and where interval is not NULL the bootstrap's of that. */
static double draw(const Population *p, TensorRandom *random, int rounds, ModelInterval *interval)
{
    size_t size = (size_t)p->texts * (size_t)p->labels;
    float *guess = malloc(size * sizeof *guess), *is_true = malloc(size * sizeof *is_true);
    for (size_t i = 0; i < size; i++) {
        size_t k = i % (size_t)p->labels;
        is_true[i] = tensor_random_uniform(random) < p->often[k];
        guess[i] = tensor_random_uniform(random) < (is_true[i] ? p->found[k] : p->wrong[k]) ? 1 : -1;
    }
    Tensor scores_ = tensor_from(guess, TENSOR_F32, TENSOR_SHAPE(p->texts, p->labels));
    const NnIds *truth_ =
        text_support_labels(tensor_from(is_true, TENSOR_F32, TENSOR_SHAPE(p->texts, p->labels)));
    ModelMetrics metrics;
    ck_assert_ok(model_metrics_init(&metrics, p->labels));
    ck_assert(model_metrics_add(&metrics, scores_, truth_, 0));
    double f1 = model_metrics_macro(&metrics).f1;
    model_metrics_free(&metrics);
    if (interval) {
        ModelBootstrap b;
        model_bootstrap_init(&b, p->labels);
        ck_assert_ok(model_bootstrap_add(&b, scores_, truth_, NULL));
        ck_assert_ok(model_bootstrap_macro_f1(&b, rounds, 0, interval));
        model_bootstrap_free(&b);
    }
    free(guess);
    free(is_true);
    return f1;
}

/* Also where most labels have one text or none, so that all draws lie below. */
START_TEST(an_interval_contains_its_estimate)
{
    TensorRandom random = tensor_random_new(7, 0);
    for (int i = 0; i < 300; i++) {
        Population p =
            population(2 + (int)tensor_random_below(&random, 150), 2 + (int)tensor_random_below(&random, 100),
                       0.002, 0.02 + 0.5 * tensor_random_uniform(&random), &random);
        ModelInterval interval;
        double f1 = draw(&p, &random, 100, &interval);
        ck_assert_msg(interval.low <= f1 && f1 <= interval.high, "%d texts, %d labels: %g to %g around %g",
                      p.texts, p.labels, interval.low, interval.high, f1);
        ck_assert(interval.low >= 0 && interval.high <= 1);
    }
}
END_TEST

/* The expectation is taken from many draws of the same population. */
START_TEST(so_many_intervals_contain_the_expectation)
{
    static const struct {
        int texts, labels;
        double rare, frequent;
        int least, most; /* of 200 */
    } cases[] = {{300, 8, 0.1, 0.5, 178, 197},
                 {400, 29, 0.01, 0.15, 174, 197}, /* 4 texts of the rarest */
                 {150, 60, 0.005, 0.05, 156, 190} /* 0.75 */};
    enum { INTERVALS = 200, DRAWS = 700 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        TensorRandom random = tensor_random_new(c, 1);
        Population p = population(cases[c].texts, cases[c].labels, cases[c].rare, cases[c].frequent, &random);
        double expectation = 0;
        int covered = 0;
        for (int i = 0; i < DRAWS; i++)
            expectation += draw(&p, &random, 0, NULL) / DRAWS;
        for (int i = 0; i < INTERVALS; i++) {
            ModelInterval interval;
            draw(&p, &random, 200, &interval);
            covered += interval.low <= expectation && expectation <= interval.high;
        }
        ck_assert_msg(covered >= cases[c].least && covered <= cases[c].most, "case %zu: %d of %d", c, covered,
                      INTERVALS);
    }
}
END_TEST

START_TEST(what_cannot_be_is_an_error)
{
    ModelBootstrap b;
    ModelInterval interval;
    model_bootstrap_init(&b, K + 1);
    ck_assert_failed(model_bootstrap_add(&b, matrix(scores, 2), text_support_labels(matrix(truth, 2)), NULL),
                     REEL_STATUS_FAILED, "[N, 3]");
    ck_assert_failed(model_bootstrap_macro_f1(&b, 10, 0, &interval), REEL_STATUS_FAILED, "needs texts");
    model_bootstrap_free(&b);
    model_bootstrap_init(&b, K);
    reel_mem_fail_at(0, 1);
    ck_assert_failed(model_bootstrap_add(&b, matrix(scores, 2), text_support_labels(matrix(truth, 2)), NULL),
                     REEL_STATUS_FAILED, "memory");
    reel_mem_fail_at(-1, 0);
    model_bootstrap_free(&b);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

Suite *models_bootstrap_suite(void);
Suite *models_bootstrap_suite(void)
{
    Suite *suite = suite_create("models/bootstrap");
    TCase *tcase = tcase_create("bootstrap");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, what_is_always_right_has_no_spread);
    tcase_add_test(tcase, the_width_is_that_of_the_normal_approximation);
    tcase_add_test(tcase, the_ends_are_the_quantiles_of_the_deviation);
    tcase_add_test(tcase, an_interval_contains_its_estimate);
    tcase_add_test(tcase, so_many_intervals_contain_the_expectation);
    tcase_add_test(tcase, what_cannot_be_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

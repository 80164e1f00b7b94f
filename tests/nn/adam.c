/* Adam's loops: against the formula, and the same bits in every version. */
#include "nn/optimizer_internal.h"
#include "tensor/vmath_internal.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { N = 133, STEPS = 40 };

typedef struct AdamState {
    float w[N], m[N], v[N];
} AdamState;

static NnOptimizerOptions options;
static TensorVmathLevel level;

static void setup(void)
{
    level = tensor_vmath_level();
    options = nn_optimizer_options(NN_ADAM);
}

static void teardown(void)
{
    tensor_vmath_set_level(level);
}

static void fill(float *x, uint64_t stream, double scale)
{
    TensorRandom random = tensor_random_new(7, stream);
    for (int i = 0; i < N; i++)
        x[i] = (float)(scale * tensor_random_normal(&random));
}

static AdamState start(void)
{
    AdamState s;
    fill(s.w, 1, 1);
    fill(s.m, 2, 0.1);
    fill(s.v, 3, 1);
    for (int i = 0; i < N; i++)
        s.v[i] *= s.v[i];
    s.m[0] = -0.0f;
    return s;
}

START_TEST(an_update_is_that_of_the_formula)
{
    float g[N];
    fill(g, 4, 1);
    const AdamStep step = {1e-3f * 0.0547f / 0.271f, 1e-8f * 0.0547f, 0.99f};
    AdamState before = start(), first = before;
    tensor_vmath_set_level(TENSOR_VMATH_PORTABLE);
    nn_adam_update(first.w, first.m, first.v, g, &options, step, N);
    for (int i = 0; i < N; i++) {
        double m = 0.9 * before.m[i] + 0.1 * g[i];
        double v = 0.999 * before.v[i] + 0.001 * g[i] * (double)g[i];
        double w = before.w[i] * 0.99 - 1e-3 / 0.271 * m / (sqrt(v) / 0.0547 + 1e-8);
        ck_assert_double_eq_tol(first.m[i], m, 2e-7 * fabs(m) + 1e-8);
        ck_assert_double_eq_tol(first.v[i], v, 2e-7 * v);
        ck_assert_double_eq_tol(first.w[i], w, 2e-7 * fabs(w) + 1e-8);
    }
    for (int other = 1; other < TENSOR_VMATH_LEVELS; other++)
        if (tensor_vmath_set_level((TensorVmathLevel)other)) {
            AdamState s = before;
            nn_adam_update(s.w, s.m, s.v, g, &options, step, N);
            ck_assert_mem_eq(&s, &first, sizeof s);
        }
}
END_TEST

/* v of an element that has gradients of one value only tends to that value's square: 1 - beta2 must not
 * be off, as 1 - 0.999f in single precision is by 2e-5. */
START_TEST(one_minus_beta_is_taken_in_double)
{
    float w = 0, m = 0, v = 0, g = 1;
    nn_adam_update(&w, &m, &v, &g, &options, (AdamStep){1e-3f, 1e-8f, 1.0f}, 1);
    ck_assert_float_eq(m, 0.1f);
    ck_assert_float_eq(v, 0.001f);
}
END_TEST

/* Rows that are late count on that. */
START_TEST(idle_updates_are_updates_with_gradients_of_zero)
{
    for (int kind = NN_ADAM; kind <= NN_ADAMW; kind++)
        for (int other = 0; other < TENSOR_VMATH_LEVELS; other++) {
            if (!tensor_vmath_set_level((TensorVmathLevel)other))
                continue;
            options = nn_optimizer_options((NnOptimizerKind)kind);
            OptimizerGroup group = {.options = options, .memory = nn_adam_memory(&options)};
            AdamStep schedule[STEPS];
            OptimizerState state = {.group = &group, .width = N, .schedule = schedule};
            AdamState updated = start(), idle = updated;
            for (int k = 0; k < STEPS; k++) {
                float zeros[N] = {0};
                nn_adam_schedule(&state, k + 1, nn_adam_step(&options, 0.01 / (k + 1), k + 1));
                nn_adam_update(updated.w, updated.m, updated.v, zeros, &options, schedule[k], N);
            }
            nn_adam_rule.idle(&state, idle.w, idle.m, idle.v, 0, STEPS);
            ck_assert_mem_eq(idle.w, updated.w, sizeof idle.w);
        }
}
END_TEST

Suite *nn_adam_suite(void);
Suite *nn_adam_suite(void)
{
    Suite *suite = suite_create("nn/adam");
    TCase *c = tcase_create("adam");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, an_update_is_that_of_the_formula);
    tcase_add_test(c, one_minus_beta_is_taken_in_double);
    tcase_add_test(c, idle_updates_are_updates_with_gradients_of_zero);
    suite_add_tcase(suite, c);
    return suite;
}

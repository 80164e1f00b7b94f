#include "nn/optimizer.h"
#include "tests/nn_support.h"

#include <math.h>

static Fixture fixture;

static void setup(void)
{
    fixture = fixture_open("schedules");
}

static void teardown(void)
{
    fixture_close(&fixture);
}

static void compare(const char *name, NnSchedule schedule, int64_t from)
{
    Tensor expected = fixture_tensor(&fixture, "%s", name);
    ck_assert_int_eq(expected.shape[0], 40);
    for (int64_t s = from; s < 40; s++)
        ck_assert_double_eq_tol(nn_schedule_lr(&schedule, s), tensor_get(&expected, &s), 1e-12);
}

START_TEST(rates_are_pytorchs)
{
    compare("constant", (NnSchedule){.kind = NN_CONSTANT, .lr = 0.1}, 0);
    compare("step", (NnSchedule){.kind = NN_STEP, .lr = 0.1, .period = 7, .factor = 0.5}, 0);
    compare("cosine", (NnSchedule){.kind = NN_COSINE, .lr = 0.1, .total = 40, .floor = 0.001}, 0);
    /* PyTorch's LinearLR starts at a factor of its own; behind it all is the same. */
    compare("warm_up", (NnSchedule){.kind = NN_CONSTANT, .lr = 0.1, .warmup = 8}, 8);
    compare("warm_up_cosine", (NnSchedule){.kind = NN_COSINE, .lr = 0.1, .total = 40, .warmup = 8}, 8);
}
END_TEST

START_TEST(warm_up_is_linear)
{
    const NnScheduleKind kinds[] = {NN_CONSTANT, NN_STEP, NN_COSINE};
    for (int k = 0; k < 3; k++) {
        NnSchedule schedule = {
            .kind = kinds[k], .lr = 0.4, .warmup = 4, .total = 20, .period = 1000, .factor = 0.5};
        ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 0), 0.1, 1e-15);
        ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 1), 0.2, 1e-15);
        ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 2), 0.3, 1e-15);
        ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 3), 0.4, 1e-15);
        ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 4), 0.4, 1e-15);
    }
}
END_TEST

START_TEST(cosine_stays_at_its_floor)
{
    NnSchedule schedule = {.kind = NN_COSINE, .lr = 0.4, .total = 20, .floor = 0.01};
    ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 20), 0.01, 1e-15);
    ck_assert_double_eq_tol(nn_schedule_lr(&schedule, 2000000000000), 0.01, 1e-15);
    double before = 1;
    for (int64_t s = 0; s < 20; s++) {
        double lr = nn_schedule_lr(&schedule, s);
        ck_assert(lr < before && lr >= 0.01);
        before = lr;
    }
}
END_TEST

START_TEST(settings_without_sense_give_a_finite_rate)
{
    const NnSchedule odd[] = {{.kind = NN_COSINE, .lr = 0.4},
                              {.kind = NN_COSINE, .lr = 0.4, .total = 3, .warmup = 7},
                              {.kind = NN_STEP, .lr = 0.4, .factor = 0.5},
                              {.kind = NN_STEP, .lr = 0.4, .period = -3, .factor = 0.5},
                              {.kind = NN_CONSTANT, .lr = 0.4, .warmup = -5}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        for (int64_t s = 0; s < 10; s++) {
            double lr = nn_schedule_lr(&odd[i], s);
            ck_assert(isfinite(lr) && lr >= 0 && lr <= 0.4);
        }
}
END_TEST

Suite *nn_schedule_suite(void);
Suite *nn_schedule_suite(void)
{
    Suite *suite = suite_create("nn/schedule");
    TCase *c = tcase_create("schedule");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, rates_are_pytorchs);
    tcase_add_test(c, warm_up_is_linear);
    tcase_add_test(c, cosine_stays_at_its_floor);
    tcase_add_test(c, settings_without_sense_give_a_finite_rate);
    suite_add_tcase(suite, c);
    return suite;
}

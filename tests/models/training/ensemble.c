/* Several models as one: the mean of their logits, counted again. */
#include "models/training/ensemble.h"
#include "models/training/threshold.h"
#include "tensor/mem_internal.h"
#include "tensor/random.h"
#include "tests/nn_support.h"

#include <math.h>

enum { RUNS = 3 };

static ModelDataset *dataset;
static ModelRunResult runs[RUNS];
static TensorArena arena;

/* Logits that know something of the truth. */
static float *logits_of(const ModelDatasetPart *part, uint64_t seed)
{
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    int64_t n = part->count * part->num_classes;
    TensorRandom random = tensor_random_new(seed, 1);
    float *logits = reel_mem_alloc((size_t)n * sizeof *logits);
    for (int64_t i = 0; i < n; i++) {
        int32_t seen = 0;
        bool is_true = model_metrics_bears(truth[i / part->num_classes], i % part->num_classes, &seen);
        logits[i] = (is_true ? 1.5f : 0) + (float)tensor_random_normal(&random);
    }
    return logits;
}

static void setup(void)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.valid_size = 0.25;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
    for (int i = 0; i < RUNS; i++) {
        runs[i] = (ModelRunResult){0};
        runs[i].selected.valid_logits = logits_of(&dataset->valid, 2 * (uint64_t)i);
        runs[i].selected.test_logits = logits_of(&dataset->test, 2 * (uint64_t)i + 1);
    }
}

static void teardown(void)
{
    for (int i = 0; i < RUNS; i++)
        model_selection_free(&runs[i].selected);
    model_dataset_free(dataset);
    tensor_arena_free(&arena);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

/* The mean over the first `count` runs. */
static Tensor mean_of(const ModelDatasetPart *part, int count, bool valid)
{
    Tensor mean = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
    for (int i = 0; i < count; i++)
        for (int64_t j = 0; j < part->count * part->num_classes; j++)
            tensor_f32(mean)[j] +=
                (valid ? runs[i].selected.valid_logits : runs[i].selected.test_logits)[j] / (float)count;
    return mean;
}

/* One threshold for all labels, or one for each. */
START_TEST(it_is_the_mean_of_the_logits)
{
    const double strength = _i ? 3 : INFINITY;
    ModelEnsemble ensemble;
    ModelMetrics metrics;
    double threshold, valid_f1, thresholds[256];
    ck_assert_ok(
        model_ensemble_find(&ensemble, runs, RUNS, dataset, &(ModelSelectionOptions){.strength = strength}));
    ck_assert_int_eq(ensemble.members, RUNS);
    Tensor valid = mean_of(&dataset->valid, RUNS, true), tested = mean_of(&dataset->test, RUNS, false);
    const NnIds *truth = model_dataset_part_labels(&arena, &dataset->valid);
    ck_assert_ok(model_threshold_global(valid, truth, MODEL_METRIC_MACRO_F1, &threshold, &valid_f1));
    ck_assert_double_eq_tol(ensemble.tuned.threshold, threshold, 1e-5);
    ck_assert_double_eq_tol(ensemble.tuned.valid_f1, valid_f1, 1e-9);
    ck_assert_ok(
        model_threshold_per_label(valid, truth, MODEL_METRIC_MACRO_F1, 0, threshold, strength, thresholds));
    ck_assert_ok(model_metrics_init(&metrics, model_dataset_num_classes(dataset)));
    ck_assert(model_metrics_add_each(&metrics, tested, model_dataset_part_labels(&arena, &dataset->test),
                                     thresholds));
    ck_assert_double_eq_tol(ensemble.tuned.macro_f1, model_metrics_macro(&metrics).f1, 1e-9);
    ck_assert_double_eq_tol(ensemble.tuned.micro_f1, model_metrics_micro(&metrics).f1, 1e-9);
    ck_assert(ensemble.tuned.interval.low <= ensemble.tuned.macro_f1 &&
              ensemble.tuned.interval.high > ensemble.tuned.interval.low);
    model_metrics_free(&metrics);
}
END_TEST

START_TEST(runs_without_logits_are_left_out)
{
    ModelEnsemble all, two;
    ck_assert_ok(model_ensemble_find(&two, runs, 2, dataset, &(ModelSelectionOptions){.strength = INFINITY}));
    reel_mem_free(runs[2].selected.test_logits);
    runs[2].selected.test_logits = NULL;
    ck_assert_ok(
        model_ensemble_find(&all, runs, RUNS, dataset, &(ModelSelectionOptions){.strength = INFINITY}));
    ck_assert_int_eq(all.members, 2);
    ck_assert_double_eq(all.tuned.macro_f1, two.tuned.macro_f1);
    ck_assert_ok(
        model_ensemble_find(&all, runs + 2, 1, dataset, &(ModelSelectionOptions){.strength = INFINITY}));
    ck_assert_int_eq(all.members, 0);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    bool fails = true;
    for (int n = 0; fails; n++) {
        ModelEnsemble ensemble;
        reel_mem_fail_at(n, 0);
        ReelStatus status =
            model_ensemble_find(&ensemble, runs, RUNS, dataset, &(ModelSelectionOptions){.strength = 3});
        reel_mem_fail_at(-1, 0);
        fails = !reel_status_is_ok(&status);
        ck_assert_int_lt(n, 100);
        ck_assert(!fails || n > 0 || strstr(status.message, "memory"));
    }
}
END_TEST

Suite *models_ensemble_suite(void);
Suite *models_ensemble_suite(void)
{
    Suite *suite = suite_create("models/ensemble");
    TCase *tcase = tcase_create("ensemble");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, it_is_the_mean_of_the_logits, 0, 2);
    tcase_add_test(tcase, runs_without_logits_are_left_out);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}

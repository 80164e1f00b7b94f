/* What a validation part chooses, counted again from the logits; and that the test part has no say in it. */
#include "models/training/selection.h"
#include "models/training/run.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"

#include <math.h>

static ModelDataset *dataset;

static void setup(void)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.max_len = 12;
    options.valid_size = 0.25;
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
}

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static ModelRunOptions small_run(int epochs)
{
    ModelRunOptions options = model_run_defaults();
    options.epochs = epochs;
    options.batch = 20;
    options.config.embed = 8;
    options.config.hidden = 6;
    options.trainer.shards = 1;
    options.trainer.threads = 1;
    options.trainer.schedule.lr = 0.02;
    return options;
}

static double f1_of(const ModelDatasetPart *part, float *logits, const double *thresholds, double threshold)
{
    ModelMetrics metrics;
    TensorArena arena = {0};
    Tensor scores = tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    ck_assert_ok(model_metrics_init(&metrics, part->num_classes));
    ck_assert(thresholds ? model_metrics_add_each(&metrics, scores, truth, thresholds)
                         : model_metrics_add(&metrics, scores, truth, threshold));
    double f1 = model_metrics_macro(&metrics).f1;
    model_metrics_free(&metrics);
    tensor_arena_free(&arena);
    return f1;
}

/* One threshold for all labels, or one for each. */
START_TEST(figures_are_those_of_the_logits)
{
    ModelRunOptions options = small_run(6);
    ModelRunResult result;
    options.selection.strength = _i ? 3 : INFINITY;
    ck_assert_ok(model_run_model(&result, NULL, model_zoo_find("lstm"), dataset, &options, NULL));
    ModelSelection *chosen = &result.selected;
    ck_assert(chosen->epoch >= 1 && chosen->epoch <= 6);
    ck_assert_ptr_nonnull(chosen->valid_logits);
    ck_assert_ptr_nonnull(chosen->test_logits);
    ck_assert_double_gt(chosen->tuned.valid_f1, 0);
    double again = f1_of(&dataset->valid, chosen->valid_logits, NULL, chosen->tuned.threshold);
    ck_assert_double_eq_tol(chosen->tuned.valid_f1, again, 1e-9);
    again = f1_of(&dataset->test, chosen->test_logits, chosen->thresholds, 0);
    ck_assert_double_eq_tol(chosen->tuned.macro_f1, again, 1e-12);
    int others = 0;
    for (int k = 0; k < model_dataset_num_classes(dataset); k++)
        others += chosen->thresholds[k] != chosen->tuned.threshold;
    ck_assert(_i ? others > 0 : others == 0);
    model_run_result_free(&result);
}
END_TEST

static int64_t asked; /* texts that the model was asked about, and not trained on */

static ModelOutput counting_forward(Model *model, ModelInput input)
{
    asked += model->base.training ? 0 : input.text.packing->texts;
    return model_zoo_find("rnn")->forward(model, input);
}

/* Whoever counts, chooses or draws reads what was said. */
START_TEST(each_part_is_predicted_once_an_epoch)
{
    ModelRunOptions options = small_run(3);
    ModelRunResult result;
    ModelKind kind = *model_zoo_find("rnn");
    kind.forward = counting_forward;
    asked = 0;
    ck_assert_ok(model_run_model(&result, NULL, &kind, dataset, &options, NULL));
    ck_assert_int_eq(asked, 3 * (dataset->valid.count + dataset->test.count));
    ck_assert_ptr_nonnull(result.test.logits);
    model_run_result_free(&result);
}
END_TEST

/* With no learning no epoch is better than the first. */
START_TEST(patience_ends_a_run)
{
    ModelRunOptions options = small_run(9);
    ModelRunResult result;
    options.trainer.schedule.lr = 1e-12;
    options.selection.patience = 2;
    ck_assert_ok(model_run_model(&result, NULL, model_zoo_find("rnn"), dataset, &options, NULL));
    ck_assert_int_eq(result.selected.epoch, 1);
    ck_assert_int_eq(result.count, 3);
    model_run_result_free(&result);
}
END_TEST

/* The labels of the test part are taken away: nothing but its own figures changes. */
START_TEST(the_test_part_has_no_say)
{
    ModelRunOptions options = small_run(5);
    ModelRunResult with, without;
    ck_assert_ok(model_run_model(&with, NULL, model_zoo_find("lstm"), dataset, &options, NULL));
    int64_t count = dataset->test.count;
    dataset->test.count = 1;
    ck_assert_ok(model_run_model(&without, NULL, model_zoo_find("lstm"), dataset, &options, NULL));
    dataset->test.count = count;
    ck_assert_int_eq(with.selected.epoch, without.selected.epoch);
    ck_assert(with.selected.tuned.valid_f1 == without.selected.tuned.valid_f1);
    ck_assert(with.selected.tuned.threshold == without.selected.tuned.threshold);
    model_run_result_free(&with);
    model_run_result_free(&without);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    ModelRunOptions options = small_run(1);
    bool ended = false;
    for (int64_t n = 0; !ended && n < 100000; n += 1 + n / 30) {
        ModelRunResult result;
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_run_model(&result, NULL, model_zoo_find("rnn"), dataset, &options, NULL);
        reel_mem_fail_at(-1, 0);
        ended = reel_status_is_ok(&status);
        if (ended)
            model_run_result_free(&result);
    }
    ck_assert(ended);
}
END_TEST

Suite *models_selection_suite(void);
Suite *models_selection_suite(void)
{
    Suite *suite = suite_create("models/selection");
    TCase *tcase = tcase_create("selection");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, figures_are_those_of_the_logits, 0, 2);
    tcase_add_test(tcase, each_part_is_predicted_once_an_epoch);
    tcase_add_test(tcase, patience_ends_a_run);
    tcase_add_test(tcase, the_test_part_has_no_say);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "models/training/selection.h"
#include "models/training/task.h"
#include "models/training/threshold.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

void model_selection_free(ModelSelection *selection)
{
    reel_mem_free(selection->thresholds);
    reel_mem_free(selection->calibration);
    reel_mem_free(selection->valid_logits);
    reel_mem_free(selection->test_logits);
    *selection = (ModelSelection){0};
}

ReelStatus model_selection_reserve(ModelSelection *selection, int32_t num_labels)
{
    size_t bytes = (size_t)num_labels * sizeof(double);
    if (selection->thresholds)
        return reel_status_ok();
    double *thresholds = reel_mem_calloc(1, bytes);
    double *calibration = reel_mem_calloc(MODEL_CALIBRATION_ROWS, bytes);
    if (!thresholds || !calibration) {
        reel_mem_free(thresholds);
        reel_mem_free(calibration);
        return reel_status_no_memory((1 + MODEL_CALIBRATION_ROWS) * bytes, "the thresholds");
    }
    for (int32_t k = 0; k < num_labels; k++)
        calibration[k] = 1;
    model_calibration_straighten(calibration, num_labels);
    selection->thresholds = thresholds;
    selection->calibration = calibration;
    return reel_status_ok();
}

/* ---- Thresholds for a part ---- */

enum { WINDOW = 1024 }; /* texts whose scores are made at one time */

/* Counts what thresholds [K] come to on a part's logits; `bootstrap` (may be NULL) gets the decisions. */
static ReelStatus count(ModelMetrics *metrics, ModelBootstrap *bootstrap, const double *thresholds,
                        const float *logits, const ModelDatasetPart *part)
{
    int32_t labels = part->num_classes;
    int64_t window = part->count < WINDOW ? part->count : WINDOW;
    TensorArena arena = {0};
    Tensor room = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(window, labels));
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    ReelStatus status =
        tensor_is_valid(room) && truth ? reel_status_ok() : reel_status_no_memory(0, "the scores");
    for (int64_t at = 0; at < part->count && reel_status_is_ok(&status); at += window) {
        int64_t n = part->count - at < window ? part->count - at : window;
        Tensor scores = tensor_slice(room, 0, 0, n, 1);
        memcpy(tensor_f32(scores), logits + at * labels, (size_t)(n * labels) * sizeof *logits);
        model_task_scores(part->task, tensor_f32(scores), n, labels);
        model_metrics_add_each(metrics, scores, truth + at, thresholds);
        if (bootstrap)
            status = model_bootstrap_add(bootstrap, scores, truth + at, thresholds);
    }
    tensor_arena_free(&arena);
    return status;
}

/* The metric by what was counted. */
static double metric_of(ModelMetric metric, const ModelMetrics *counted)
{
    return metric == MODEL_METRIC_MICRO_F1   ? model_metrics_micro(counted).f1
           : metric == MODEL_METRIC_ACCURACY ? model_metrics_accuracy(counted)
                                             : model_metrics_macro(counted).f1;
}

/* The mean of -ln p, of all decisions, or of the true label where a text has one. */
static ReelStatus mean_log_loss(double *loss, const float *logits, const ModelDatasetPart *part)
{
    int32_t labels = part->num_classes;
    TensorArena arena = {0};
    double sum = 0, decisions = (double)part->count * (part->task == MODEL_TASK_SINGLE ? 1 : labels);
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    double *p = tensor_arena_alloc(&arena, (size_t)labels * sizeof *p);
    bool fine = truth && p;
    for (int64_t i = 0; fine && i < part->count; i++) {
        int32_t seen = 0;
        model_task_probabilities(part->task, logits + i * labels, labels, p);
        for (int32_t k = 0; k < labels; k++)
            if (model_metrics_bears(truth[i], k, &seen))
                sum -= log(fmax(p[k], 1e-15));
            else if (part->task != MODEL_TASK_SINGLE)
                sum -= log(fmax(1 - p[k], 1e-15));
    }
    *loss = sum / decisions;
    tensor_arena_free(&arena);
    return fine ? reel_status_ok() : reel_status_no_memory((size_t)labels * sizeof *p, "the probabilities");
}

/* The one best threshold. A text that has one label has none, and neither asks the log loss for one: it is 0.
 */
static ReelStatus find_threshold(double *threshold, double *reached, ModelMetric metric, const float *logits,
                                 const ModelDatasetPart *part)
{
    TensorArena arena = {0};
    *threshold = *reached = 0;
    if (part->task == MODEL_TASK_SINGLE || metric == MODEL_METRIC_LOG_LOSS)
        return reel_status_ok();
    Tensor scores =
        tensor_from((void *)(uintptr_t)logits, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    ReelStatus status = truth ? model_threshold_global(scores, truth, metric, threshold, reached)
                              : reel_status_no_memory(0, "the labels of a part");
    tensor_arena_free(&arena);
    return status;
}

/* Each label's, where there are any. */
static ReelStatus find_thresholds(double *thresholds, double reached, double threshold,
                                  const ModelSelectionOptions *options, const float *logits,
                                  const ModelDatasetPart *part)
{
    TensorArena arena = {0};
    for (int32_t k = 0; k < part->num_classes; k++)
        thresholds[k] = threshold;
    if (part->task == MODEL_TASK_SINGLE || options->metric == MODEL_METRIC_LOG_LOSS)
        return reel_status_ok();
    Tensor scores =
        tensor_from((void *)(uintptr_t)logits, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
    const NnIds *truth = model_dataset_part_labels(&arena, part);
    ReelStatus status = truth ? model_threshold_per_label(scores, truth, options->metric, reached, threshold,
                                                          options->strength, thresholds)
                              : reel_status_no_memory(0, "the labels of a part");
    tensor_arena_free(&arena);
    return status;
}

/* What the one threshold comes to. `room` is for K. */
static ReelStatus look(ModelTuned *tuned, ModelMetric metric, double *room, const float *logits,
                       const ModelDatasetPart *part)
{
    ModelMetrics counted = {0};
    double loss = 0;
    for (int32_t k = 0; k < part->num_classes; k++)
        room[k] = tuned->threshold;
    ReelStatus status = model_metrics_init(&counted, part->num_classes);
    if (reel_status_is_ok(&status))
        status = count(&counted, NULL, room, logits, part);
    if (reel_status_is_ok(&status) && metric == MODEL_METRIC_LOG_LOSS)
        status = mean_log_loss(&loss, logits, part);
    if (reel_status_is_ok(&status)) {
        tuned->valid_f1 = model_metrics_macro(&counted).f1;
        tuned->valid_score = metric == MODEL_METRIC_LOG_LOSS ? -loss : metric_of(metric, &counted);
    }
    model_metrics_free(&counted);
    return status;
}

ReelStatus model_thresholds_tune(ModelTuned *tuned, double *thresholds, const float *logits,
                                 const ModelDatasetPart *part, const ModelSelectionOptions *options)
{
    ModelTuned found = *tuned;
    double reached, *room = reel_mem_alloc((size_t)part->num_classes * sizeof *room);
    if (!room)
        return reel_status_no_memory((size_t)part->num_classes * sizeof *room, "the thresholds");
    ReelStatus status = find_threshold(&found.threshold, &reached, options->metric, logits, part);
    if (reel_status_is_ok(&status))
        status = look(&found, options->metric, room, logits, part);
    reel_mem_free(room);
    if (!reel_status_is_ok(&status) || !(found.valid_score > tuned->valid_score))
        return status;
    *tuned = found;
    return find_thresholds(thresholds, reached, found.threshold, options, logits, part);
}

ReelStatus model_thresholds_test(ModelTuned *tuned, const double *thresholds, const float *logits,
                                 const ModelDatasetPart *part)
{
    ModelMetrics metrics = {0};
    ModelBootstrap bootstrap;
    if (part->count == 0) {
        tuned->macro_f1 = tuned->micro_f1 = tuned->accuracy = NAN;
        tuned->interval = (ModelInterval){NAN, NAN};
        return reel_status_ok();
    }
    model_bootstrap_init(&bootstrap, part->num_classes);
    ReelStatus status = model_metrics_init(&metrics, part->num_classes);
    metrics.missed = part->missed;
    metrics.missed_labels = part->missed_labels;
    if (reel_status_is_ok(&status))
        status = count(&metrics, &bootstrap, thresholds, logits, part);
    if (reel_status_is_ok(&status)) {
        tuned->macro_f1 = model_metrics_macro(&metrics).f1;
        tuned->micro_f1 = model_metrics_micro(&metrics).f1;
        tuned->accuracy = model_metrics_accuracy(&metrics);
        status = model_bootstrap_macro_f1(&bootstrap, MODEL_BOOTSTRAP_ROUNDS, 0, &tuned->interval);
    }
    model_bootstrap_free(&bootstrap);
    model_metrics_free(&metrics);
    return status;
}

/* ---- Choosing an epoch ---- */

static bool keep(float **copy, const float *logits, const ModelDatasetPart *part)
{
    size_t bytes = (size_t)part->count * (size_t)part->num_classes * sizeof **copy;
    if (!*copy && !(*copy = reel_mem_alloc(bytes)))
        return false;
    memcpy(*copy, logits, bytes);
    return true;
}

/* Tries the thresholds and the calibration that are there. */
static ReelStatus test(ModelSelection *selection, const ModelDataset *dataset, const float *logits)
{
    const ModelDatasetPart *part = &dataset->test;
    ModelReliability before = {0}, after = {0};
    ReelStatus status = keep(&selection->test_logits, logits, part)
                            ? model_thresholds_test(&selection->tuned, selection->thresholds, logits, part)
                            : reel_status_no_memory(0, "the logits of the test part");
    if (reel_status_is_ok(&status))
        status = model_reliability_add(&before, NULL, logits, part);
    if (reel_status_is_ok(&status))
        status = model_reliability_add(&after, selection->calibration, logits, part);
    selection->tuned.error_before = part->count ? model_reliability_error(before.bins) : NAN;
    selection->tuned.error = part->count ? model_reliability_error(after.bins) : NAN;
    return status;
}

/* Thresholds where a calibrated probability is 0.5. */
static void cut_at_half(ModelSelection *selection, int32_t labels)
{
    for (int32_t k = 0; k < labels; k++)
        selection->thresholds[k] = model_calibration_logit(selection->calibration, labels, k, 0);
    selection->tuned.threshold = -selection->tuned.line.shift / selection->tuned.line.slope;
}

ReelStatus model_selection_consider(ModelSelection *selection, const ModelSelectionOptions *options,
                                    const ModelDataset *dataset, const float *valid, const float *tested,
                                    int epoch)
{
    ModelTuned tuned = {.valid_score = selection->epoch ? selection->tuned.valid_score : -INFINITY};
    double before = tuned.valid_score;
    ReelStatus status = model_selection_reserve(selection, model_dataset_num_classes(dataset));
    if (reel_status_is_ok(&status))
        status = model_thresholds_tune(&tuned, selection->thresholds, valid, &dataset->valid, options);
    if (!reel_status_is_ok(&status) || !(tuned.valid_score > before))
        return status;
    selection->epoch = epoch;
    selection->tuned = tuned;
    if (!keep(&selection->valid_logits, valid, &dataset->valid))
        return reel_status_no_memory(0, "the logits of the validation part");
    status = model_calibration_fit(selection->calibration, &selection->tuned.line, valid, &dataset->valid,
                                   options->strength);
    if (!reel_status_is_ok(&status))
        return status;
    if (options->metric == MODEL_METRIC_LOG_LOSS)
        cut_at_half(selection, model_dataset_num_classes(dataset));
    return test(selection, dataset, tested);
}

ReelStatus model_selection_take(ModelSelection *selection, const ModelSelection *chosen,
                                const ModelDataset *dataset, const float *tested)
{
    int32_t labels = model_dataset_num_classes(dataset);
    ReelStatus status = model_selection_reserve(selection, labels);
    if (!reel_status_is_ok(&status))
        return status;
    memcpy(selection->thresholds, chosen->thresholds, (size_t)labels * sizeof *chosen->thresholds);
    memcpy(selection->calibration, chosen->calibration,
           MODEL_CALIBRATION_ROWS * (size_t)labels * sizeof *chosen->calibration);
    selection->epoch = chosen->epoch;
    selection->tuned = chosen->tuned;
    return test(selection, dataset, tested);
}

#include "models/training/selection.h"
#include "models/training/threshold.h"
#include "tensor/mem.h"

#include <string.h>

void model_selection_free(ModelSelection *selection)
{
    reel_mem_free(selection->thresholds);
    reel_mem_free(selection->valid_logits);
    reel_mem_free(selection->test_logits);
    *selection = (ModelSelection){0};
}

ReelStatus model_selection_reserve(ModelSelection *selection, int32_t num_labels)
{
    if (!selection->thresholds)
        selection->thresholds = reel_mem_calloc((size_t)num_labels, sizeof *selection->thresholds);
    return selection->thresholds
               ? reel_status_ok()
               : reel_status_no_memory((size_t)num_labels * sizeof(double), "the thresholds");
}

/* ---- Thresholds for a part ---- */

/* Its logits and labels as matrices [count, K]. */
static ReelStatus as_matrices(TensorArena *arena, const float *logits, const ModelDatasetPart *part,
                              Tensor *scores, Tensor *truth)
{
    *scores =
        tensor_from((void *)(uintptr_t)logits, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
    *truth = model_dataset_part_label_matrix(arena, part);
    return tensor_is_valid(*truth) ? reel_status_ok() : reel_status_no_memory(0, "the labels of a part");
}

ReelStatus model_thresholds_tune(ModelTuned *tuned, double *thresholds, const float *logits,
                                 const ModelDatasetPart *part, double strength)
{
    TensorArena arena = {0};
    Tensor scores, truth;
    double threshold, f1;
    ReelStatus status = as_matrices(&arena, logits, part, &scores, &truth);
    if (reel_status_is_ok(&status))
        status = model_threshold_global(scores, truth, &threshold, &f1);
    if (reel_status_is_ok(&status) && f1 > tuned->valid_f1) {
        status = model_threshold_per_label(scores, truth, threshold, strength, thresholds);
        tuned->valid_f1 = f1;
        tuned->threshold = threshold;
    }
    tensor_arena_free(&arena);
    return status;
}

ReelStatus model_thresholds_test(ModelTuned *tuned, const double *thresholds, const float *logits,
                                 const ModelDatasetPart *part)
{
    TensorArena arena = {0};
    ModelMetrics metrics = {0};
    ModelBootstrap bootstrap;
    Tensor scores, truth;
    if (part->count == 0)
        return reel_status_ok();
    model_bootstrap_init(&bootstrap, part->num_classes);
    ReelStatus status = as_matrices(&arena, logits, part, &scores, &truth);
    if (reel_status_is_ok(&status))
        status = model_metrics_init(&metrics, part->num_classes);
    metrics.missed = part->missed;
    metrics.missed_labels = part->missed_labels;
    if (reel_status_is_ok(&status)) {
        model_metrics_add_each(&metrics, scores, truth, thresholds);
        tuned->macro_f1 = model_metrics_macro(&metrics).f1;
        tuned->micro_f1 = model_metrics_micro(&metrics).f1;
        status = model_bootstrap_add(&bootstrap, scores, truth, thresholds);
    }
    if (reel_status_is_ok(&status))
        status = model_bootstrap_macro_f1(&bootstrap, MODEL_BOOTSTRAP_ROUNDS, 0, &tuned->interval);
    model_bootstrap_free(&bootstrap);
    model_metrics_free(&metrics);
    tensor_arena_free(&arena);
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

/* Tries the thresholds that are there. */
static ReelStatus test(ModelSelection *selection, const ModelDataset *dataset, const float *logits)
{
    return keep(&selection->test_logits, logits, &dataset->test)
               ? model_thresholds_test(&selection->tuned, selection->thresholds, logits, &dataset->test)
               : reel_status_no_memory(0, "the logits of the test part");
}

ReelStatus model_selection_consider(ModelSelection *selection, const ModelSelectionOptions *options,
                                    const ModelDataset *dataset, const float *valid, const float *tested,
                                    int epoch)
{
    ModelTuned tuned = {.valid_f1 = selection->epoch ? selection->tuned.valid_f1 : -1};
    double before = tuned.valid_f1;
    ReelStatus status = model_selection_reserve(selection, model_dataset_num_classes(dataset));
    if (reel_status_is_ok(&status))
        status =
            model_thresholds_tune(&tuned, selection->thresholds, valid, &dataset->valid, options->strength);
    if (!reel_status_is_ok(&status) || tuned.valid_f1 <= before)
        return status;
    selection->epoch = epoch;
    selection->tuned = tuned;
    if (!keep(&selection->valid_logits, valid, &dataset->valid))
        return reel_status_no_memory(0, "the logits of the validation part");
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
    selection->epoch = chosen->epoch;
    selection->tuned = chosen->tuned;
    return test(selection, dataset, tested);
}

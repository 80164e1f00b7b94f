#include "models/training/selection.h"
#include "models/training/threshold.h"
#include "tensor/mem.h"

#include <math.h>

void selection_free(Selection *selection)
{
    reel_mem_free(selection->thresholds);
    reel_mem_free(selection->valid_logits);
    reel_mem_free(selection->test_logits);
    *selection = (Selection){0};
}

ReelStatus selection_reserve(Selection *selection, int32_t num_labels)
{
    if (!selection->thresholds)
        selection->thresholds = reel_mem_calloc((size_t)num_labels, sizeof *selection->thresholds);
    return selection->thresholds
               ? reel_status_ok()
               : reel_status_no_memory((size_t)num_labels * sizeof(double), "the thresholds");
}

ReelStatus predict_part(Trainer *trainer, const DatasetPart *part, int batch, bool pad, float *logits)
{
    Loader loader;
    LoaderOptions options = {.batch = batch, .shuffle = false, .pad = pad};
    ReelStatus status = loader_init(&loader, part, &options);
    Batch at;
    while (reel_status_is_ok(&status) && loader_next(&loader, &at)) {
        status = trainer_predict(trainer, &at,
                                 tensor_from(logits, TENSOR_F32, at.labels.ndim, at.labels.shape), NULL);
        logits += (int64_t)at.size * part->num_classes;
    }
    loader_free(&loader);
    return status;
}

/* The logits of a part in memory of their own. */
static ReelStatus predict_new(Trainer *trainer, const DatasetPart *part, int batch, bool pad, float **logits)
{
    size_t bytes = (size_t)part->count * (size_t)part->num_classes * sizeof **logits;
    *logits = reel_mem_alloc(bytes);
    ReelStatus status = *logits ? predict_part(trainer, part, batch, pad, *logits)
                                : reel_status_no_memory(bytes, "the predictions of a part");
    if (!reel_status_is_ok(&status)) {
        reel_mem_free(*logits);
        *logits = NULL;
    }
    return status;
}

static Tensor as_matrix(float *logits, const DatasetPart *part)
{
    return tensor_from(logits, TENSOR_F32, TENSOR_SHAPE(part->count, part->num_classes));
}

ReelStatus thresholds_test(Tensor scores, Tensor truth, const double *thresholds, double *macro_f1,
                           double *micro_f1, Interval *interval)
{
    Metrics metrics;
    Bootstrap bootstrap;
    int32_t labels = (int32_t)scores.shape[1];
    if (!tensor_is_valid(truth))
        return reel_status_no_memory(0, "the labels of the test part");
    ReelStatus status = metrics_init(&metrics, labels);
    if (!reel_status_is_ok(&status))
        return status;
    if (!metrics_add_each(&metrics, scores, truth, thresholds))
        status = reel_status_failed("thresholds need f32 scores and truth of one shape [N, K]");
    *macro_f1 = metrics_macro(&metrics).f1;
    *micro_f1 = metrics_micro(&metrics).f1;
    metrics_free(&metrics);
    bootstrap_init(&bootstrap, labels);
    if (reel_status_is_ok(&status))
        status = bootstrap_add(&bootstrap, scores, truth, thresholds);
    if (reel_status_is_ok(&status))
        status = bootstrap_macro_f1(&bootstrap, BOOTSTRAP_ROUNDS, 0, interval);
    bootstrap_free(&bootstrap);
    return status;
}

ReelStatus selection_test(Selection *selection, Trainer *trainer, const Dataset *dataset, int batch, bool pad)
{
    const DatasetPart *part = &dataset->test;
    TensorArena arena = {0};
    reel_mem_free(selection->test_logits);
    ReelStatus status = predict_new(trainer, part, batch, pad, &selection->test_logits);
    if (reel_status_is_ok(&status))
        status =
            thresholds_test(as_matrix(selection->test_logits, part), dataset_part_label_matrix(&arena, part),
                            selection->thresholds, &selection->tuned_f1, &selection->tuned_micro_f1,
                            &selection->tuned_interval);
    tensor_arena_free(&arena);
    return status;
}

ReelStatus selection_consider(Selection *selection, const SelectionOptions *options, Trainer *trainer,
                              const Dataset *dataset, int batch, bool pad, int epoch)
{
    const DatasetPart *part = &dataset->valid;
    float *logits;
    ReelStatus status = predict_new(trainer, part, batch, pad, &logits);
    if (!reel_status_is_ok(&status))
        return status;
    TensorArena arena = {0};
    Tensor scores = as_matrix(logits, part), truth = dataset_part_label_matrix(&arena, part);
    double threshold, f1 = 0;
    status = threshold_global(scores, truth, &threshold, &f1);
    if (reel_status_is_ok(&status) && (selection->epoch == 0 || f1 > selection->valid_f1)) {
        reel_mem_free(selection->valid_logits);
        selection->valid_logits = logits;
        logits = NULL;
        selection->epoch = epoch;
        selection->valid_f1 = f1;
        selection->threshold = threshold;
        status = selection_reserve(selection, part->num_classes);
        if (reel_status_is_ok(&status))
            status = threshold_per_label(scores, truth, threshold, options->strength, selection->thresholds);
        if (reel_status_is_ok(&status))
            status = selection_test(selection, trainer, dataset, batch, pad);
    }
    reel_mem_free(logits);
    tensor_arena_free(&arena);
    return status;
}

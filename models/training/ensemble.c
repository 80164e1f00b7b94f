#include "models/training/ensemble.h"
#include "models/training/threshold.h"
#include "tensor/mem.h"

/* Adds logits, times `share`. */
static void add_logits(float *sum, const float *logits, int64_t count, double share)
{
    for (int64_t i = 0; i < count; i++)
        sum[i] += (float)share * logits[i];
}

static bool is_member(const RunResult *run)
{
    return run->selected.valid_logits && run->selected.test_logits;
}

ReelStatus ensemble_find(Ensemble *ensemble, const RunResult *runs, int count, const Dataset *dataset,
                         double strength)
{
    int members = 0;
    *ensemble = (Ensemble){0};
    for (int i = 0; i < count; i++)
        members += is_member(&runs[i]);
    if (members == 0)
        return reel_status_ok();
    const DatasetPart *valid = &dataset->valid, *tested = &dataset->test;
    int64_t labels = valid->num_classes, nv = valid->count * labels, nt = tested->count * labels;
    float *sums = reel_mem_calloc((size_t)(nv + nt), sizeof *sums);
    double *thresholds = reel_mem_alloc((size_t)labels * sizeof *thresholds);
    if (!sums || !thresholds) {
        reel_mem_free(sums);
        reel_mem_free(thresholds);
        return reel_status_no_memory((size_t)(nv + nt) * sizeof *sums, "the ensemble");
    }
    for (int i = 0; i < count; i++)
        if (is_member(&runs[i])) {
            add_logits(sums, runs[i].selected.valid_logits, nv, 1.0 / members);
            add_logits(sums + nv, runs[i].selected.test_logits, nt, 1.0 / members);
        }
    TensorArena arena = {0};
    Tensor scores = tensor_from(sums, TENSOR_F32, TENSOR_SHAPE(valid->count, labels)),
           truth = dataset_part_label_matrix(&arena, valid);
    Ensemble found = {.members = members};
    ReelStatus status = tensor_is_valid(truth)
                            ? threshold_global(scores, truth, &found.threshold, &found.valid_f1)
                            : reel_status_no_memory(0, "the labels of the validation part");
    if (reel_status_is_ok(&status))
        status = threshold_per_label(scores, truth, found.threshold, strength, thresholds);
    if (reel_status_is_ok(&status))
        status = thresholds_test(tensor_from(sums + nv, TENSOR_F32, TENSOR_SHAPE(tested->count, labels)),
                                 dataset_part_label_matrix(&arena, tested), thresholds, &found.tuned_f1,
                                 &found.tuned_micro_f1, &found.interval);
    if (reel_status_is_ok(&status))
        *ensemble = found;
    tensor_arena_free(&arena);
    reel_mem_free(thresholds);
    reel_mem_free(sums);
    return status;
}

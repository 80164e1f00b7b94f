#include "models/training/ensemble.h"
#include "tensor/mem.h"

#include <math.h>

/* Adds logits, times `share`. */
static void add_logits(float *sum, const float *logits, int64_t count, double share)
{
    for (int64_t i = 0; i < count; i++)
        sum[i] += (float)share * logits[i];
}

static bool is_member(const ModelRunResult *run)
{
    return run->selected.valid_logits && run->selected.test_logits;
}

ReelStatus model_ensemble_find(ModelEnsemble *ensemble, const ModelRunResult *runs, int count,
                               const ModelDataset *dataset, const ModelSelectionOptions *options)
{
    int members = 0;
    *ensemble = (ModelEnsemble){0};
    for (int i = 0; i < count; i++)
        members += is_member(&runs[i]);
    if (members == 0)
        return reel_status_ok();
    const ModelDatasetPart *valid = &dataset->valid, *tested = &dataset->test;
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
    ModelEnsemble found = {.members = members, .tuned.valid_score = -INFINITY};
    ReelStatus status = model_thresholds_tune(&found.tuned, thresholds, sums, valid, options);
    if (reel_status_is_ok(&status))
        status = model_thresholds_test(&found.tuned, thresholds, sums + nv, tested);
    if (reel_status_is_ok(&status))
        *ensemble = found;
    reel_mem_free(thresholds);
    reel_mem_free(sums);
    return status;
}

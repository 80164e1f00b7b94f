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

static Status test(Ensemble *ensemble, Tensor scores, Tensor truth)
{
    int32_t labels = (int32_t)scores.shape[1];
    Bootstrap bootstrap;
    Metrics metrics;
    double *thresholds = mem_alloc((size_t)labels * sizeof *thresholds);
    Status status = metrics_init(&metrics, labels);
    bootstrap_init(&bootstrap, labels);
    if (status_is_ok(&status) && !thresholds)
        status = status_no_memory((size_t)labels * sizeof *thresholds, "the thresholds");
    for (int32_t k = 0; thresholds && k < labels; k++)
        thresholds[k] = ensemble->threshold;
    if (status_is_ok(&status) && !metrics_add_each(&metrics, scores, truth, thresholds))
        status = status_no_memory(0, "the labels of the test part");
    if (status_is_ok(&status))
        status = bootstrap_add(&bootstrap, scores, truth, thresholds);
    if (status_is_ok(&status))
        status = bootstrap_macro_f1(&bootstrap, BOOTSTRAP_ROUNDS, 0, &ensemble->interval);
    ensemble->tuned_f1 = metrics_macro(&metrics).f1;
    ensemble->tuned_micro_f1 = metrics_micro(&metrics).f1;
    bootstrap_free(&bootstrap);
    metrics_free(&metrics);
    mem_free(thresholds);
    return status;
}

Status ensemble_find(Ensemble *ensemble, const RunResult *runs, int count, const Dataset *dataset)
{
    *ensemble = (Ensemble){0};
    for (int i = 0; i < count; i++)
        ensemble->members += is_member(&runs[i]);
    if (ensemble->members == 0)
        return status_ok();
    const DatasetPart *valid = &dataset->valid, *tested = &dataset->test;
    int64_t labels = valid->num_classes, nv = valid->count * labels, nt = tested->count * labels;
    float *sums = mem_calloc((size_t)(nv + nt), sizeof *sums);
    if (!sums)
        return status_no_memory((size_t)(nv + nt) * sizeof *sums, "the ensemble");
    for (int i = 0; i < count; i++)
        if (is_member(&runs[i])) {
            add_logits(sums, runs[i].selected.valid_logits, nv, 1.0 / ensemble->members);
            add_logits(sums + nv, runs[i].selected.test_logits, nt, 1.0 / ensemble->members);
        }
    Arena arena = {0};
    Status status =
        threshold_global(tensor_from(sums, DTYPE_F32, SHAPE(valid->count, labels)),
                         dataset_part_label_matrix(&arena, valid), &ensemble->threshold, &ensemble->valid_f1);
    if (status_is_ok(&status))
        status = test(ensemble, tensor_from(sums + nv, DTYPE_F32, SHAPE(tested->count, labels)),
                      dataset_part_label_matrix(&arena, tested));
    arena_free(&arena);
    mem_free(sums);
    return status;
}

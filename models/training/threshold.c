#include "models/training/threshold.h"
#include "models/training/metrics.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One score; all of them are walked from the highest down, each making one more prediction. */
typedef struct Decision {
    float score;
    int32_t label;
    bool is_true;
} Decision;

static int highest_first(const void *a, const void *b)
{
    float x = ((const Decision *)a)->score, y = ((const Decision *)b)->score;
    return (x < y) - (x > y);
}

static bool fits(Tensor scores)
{
    return scores.dtype == TENSOR_F32 && scores.ndim == 2;
}

/* The decisions of labels first to stop - 1, sorted, NaN left out; counts[k] gets their support. Returns how
 * many there are. */
static int64_t sort_decisions(Tensor scores, const NnIds *truth, int64_t first, int64_t stop,
                              Decision *decisions, ModelLabelCounts *counts)
{
    int64_t used = 0;
    memset(counts, 0, (size_t)(stop - first) * sizeof *counts);
    for (int64_t i = 0; i < scores.shape[0]; i++) {
        int32_t seen = 0;
        for (int64_t k = first; k < stop; k++) {
            float score = tensor_f32(scores)[i * scores.strides[0] + k * scores.strides[1]];
            bool is_true = model_metrics_bears(truth[i], k, &seen);
            counts[k - first].support += is_true;
            if (!isnan(score))
                decisions[used++] = (Decision){score, (int32_t)(k - first), is_true};
        }
    }
    qsort(decisions, (size_t)used, sizeof *decisions, highest_first);
    return used;
}

/* The best threshold for the mean F1 of the labels whose counts are given. */
static double best_threshold(const Decision *decisions, int64_t count, ModelLabelCounts *counts,
                             int64_t labels, double *best_f1)
{
    double sum = 0, best = 0;
    double threshold = count ? (double)decisions[0].score + 1.0 : 0.0; /* predicts nothing */
    for (int64_t i = 0; i < count; i++) {
        ModelLabelCounts *c = &counts[decisions[i].label];
        sum -= model_metrics_f1(*c);
        c->predicted++;
        c->hits += decisions[i].is_true;
        sum += model_metrics_f1(*c);
        bool last = i + 1 == count;
        if (!last && decisions[i + 1].score == decisions[i].score)
            continue; /* no threshold comes between them */
        /* The sum is carried along: what is better by less than its rounding is not better. */
        if (sum > best + 1e-9) {
            best = sum;
            threshold = last ? (double)decisions[i].score - 1.0
                             : 0.5 * ((double)decisions[i].score + (double)decisions[i + 1].score);
        }
    }
    *best_f1 = labels > 0 ? best / (double)labels : 0.0;
    return threshold;
}

static ReelStatus new_buffers(Tensor scores, Decision **decisions, ModelLabelCounts **counts)
{
    size_t bytes = (size_t)tensor_numel(&scores) * sizeof **decisions;
    *decisions = reel_mem_alloc(bytes);
    *counts = reel_mem_alloc((size_t)scores.shape[1] * sizeof **counts);
    return *decisions && *counts ? reel_status_ok() : reel_status_no_memory(bytes, "the scores to be sorted");
}

ReelStatus model_threshold_global(Tensor scores, const NnIds *truth, double *threshold, double *macro_f1)
{
    if (!fits(scores))
        return reel_status_failed("thresholds need f32 scores [N, K]");
    Decision *decisions;
    ModelLabelCounts *counts;
    ReelStatus status = new_buffers(scores, &decisions, &counts);
    if (reel_status_is_ok(&status)) {
        int64_t count = sort_decisions(scores, truth, 0, scores.shape[1], decisions, counts);
        double best;
        *threshold = best_threshold(decisions, count, counts, scores.shape[1], &best);
        if (macro_f1)
            *macro_f1 = best;
    }
    reel_mem_free(decisions);
    reel_mem_free(counts);
    return status;
}

ReelStatus model_threshold_per_label(Tensor scores, const NnIds *truth, double global, double strength,
                                     double *thresholds)
{
    if (!fits(scores) || !(strength >= 0))
        return reel_status_failed("thresholds need f32 scores [N, K], and no negative strength");
    Decision *decisions;
    ModelLabelCounts *counts;
    ReelStatus status = new_buffers(scores, &decisions, &counts);
    for (int64_t k = 0; reel_status_is_ok(&status) && k < scores.shape[1]; k++) {
        int64_t count = sort_decisions(scores, truth, k, k + 1, decisions, counts);
        double best, own = best_threshold(decisions, count, counts, 1, &best), n = (double)counts->support;
        thresholds[k] = n > 0 && isfinite(strength) ? (n * own + strength * global) / (n + strength) : global;
    }
    reel_mem_free(decisions);
    reel_mem_free(counts);
    return status;
}

#include "models/training/threshold.h"
#include "models/training/metrics.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One score; all of them are walked from the highest down, each making one more prediction. */
typedef struct Decision {
    float score;
    int32_t label, text;
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
                decisions[used++] = (Decision){score, (int32_t)(k - first), (int32_t)i, is_true};
        }
    }
    qsort(decisions, (size_t)used, sizeof *decisions, highest_first);
    return used;
}

/* What is to be as much as possible. */
typedef enum Aim {
    AIM_MACRO, /* the sum of the labels' F1 */
    AIM_MICRO, /* F1 of all decisions */
    AIM_EXACT, /* texts without a wrong decision */
    AIM_HITS   /* hits less a price for each prediction */
} Aim;

/* What the decisions so far come to. */
typedef struct Walk {
    Aim aim;
    double price;
    ModelLabelCounts *counts; /* of each label */
    ModelLabelCounts all;
    double sum;     /* of F1 */
    int32_t *wrong; /* of each text, for AIM_EXACT */
    int64_t exact;
} Walk;

static double value_of(const Walk *w)
{
    return w->aim == AIM_MACRO   ? w->sum
           : w->aim == AIM_MICRO ? model_metrics_f1(w->all)
           : w->aim == AIM_EXACT ? (double)w->exact
                                 : (double)w->all.hits - w->price * (double)w->all.predicted;
}

/* One more prediction. */
static void predict(Walk *w, const Decision *d)
{
    ModelLabelCounts *c = &w->counts[d->label];
    w->sum -= model_metrics_f1(*c);
    c->predicted++;
    c->hits += d->is_true;
    w->sum += model_metrics_f1(*c);
    w->all.predicted++;
    w->all.hits += d->is_true;
    if (w->aim != AIM_EXACT)
        return;
    w->exact -= w->wrong[d->text] == 0;
    w->wrong[d->text] += d->is_true ? -1 : 1;
    w->exact += w->wrong[d->text] == 0;
}

/* The threshold with the greatest value, which is *best. */
static double best_threshold(const Decision *decisions, int64_t count, Walk *walk, double *best)
{
    double threshold = count ? (double)decisions[0].score + 1.0 : 0.0; /* predicts nothing */
    *best = value_of(walk);
    for (int64_t i = 0; i < count; i++) {
        predict(walk, &decisions[i]);
        bool last = i + 1 == count;
        if (!last && decisions[i + 1].score == decisions[i].score)
            continue; /* no threshold comes between them */
        /* The sum is carried along: what is better by less than its rounding is not better. */
        if (value_of(walk) > *best + 1e-9) {
            *best = value_of(walk);
            threshold = last ? (double)decisions[i].score - 1.0
                             : 0.5 * ((double)decisions[i].score + (double)decisions[i + 1].score);
        }
    }
    return threshold;
}

static ReelStatus new_buffers(Tensor scores, Decision **decisions, ModelLabelCounts **counts)
{
    size_t bytes = (size_t)tensor_numel(&scores) * sizeof **decisions;
    *decisions = reel_mem_alloc(bytes);
    *counts = reel_mem_alloc((size_t)scores.shape[1] * sizeof **counts);
    return *decisions && *counts ? reel_status_ok() : reel_status_no_memory(bytes, "the scores to be sorted");
}

/* Begins with no prediction. False: no memory. */
static bool begin_walk(Walk *w, Aim aim, ModelLabelCounts *counts, int64_t labels, const NnIds *truth,
                       int64_t texts)
{
    *w = (Walk){.aim = aim, .counts = counts};
    for (int64_t k = 0; k < labels; k++)
        w->all.support += counts[k].support;
    if (aim != AIM_EXACT)
        return true;
    w->wrong = reel_mem_alloc((size_t)texts * sizeof *w->wrong);
    for (int64_t i = 0; w->wrong && i < texts; i++) {
        w->wrong[i] = truth[i].count;
        w->exact += truth[i].count == 0;
    }
    return w->wrong != NULL;
}

ReelStatus model_threshold_global(Tensor scores, const NnIds *truth, ModelMetric metric, double *threshold,
                                  double *reached)
{
    if (!fits(scores))
        return reel_status_failed("thresholds need f32 scores [N, K]");
    Decision *decisions;
    ModelLabelCounts *counts;
    int64_t texts = scores.shape[0], labels = scores.shape[1];
    Aim aim = metric == MODEL_METRIC_MICRO_F1   ? AIM_MICRO
              : metric == MODEL_METRIC_ACCURACY ? AIM_EXACT
                                                : AIM_MACRO;
    Walk walk = {0};
    double best = 0, whole = aim == AIM_MACRO ? (double)labels : aim == AIM_EXACT ? (double)texts : 1;
    ReelStatus status = new_buffers(scores, &decisions, &counts);
    if (reel_status_is_ok(&status)) {
        int64_t count = sort_decisions(scores, truth, 0, labels, decisions, counts);
        if (begin_walk(&walk, aim, counts, labels, truth, texts))
            *threshold = best_threshold(decisions, count, &walk, &best);
        else
            status = reel_status_no_memory((size_t)texts * sizeof *walk.wrong, "the scores to be sorted");
    }
    if (reached)
        *reached = whole > 0 ? best / whole : 0;
    reel_mem_free(walk.wrong);
    reel_mem_free(decisions);
    reel_mem_free(counts);
    return status;
}

ReelStatus model_threshold_per_label(Tensor scores, const NnIds *truth, ModelMetric metric, double reached,
                                     double global, double strength, double *thresholds)
{
    if (!fits(scores) || !(strength >= 0))
        return reel_status_failed("thresholds need f32 scores [N, K], and no negative strength");
    Decision *decisions;
    ModelLabelCounts *counts;
    Aim aim = metric == MODEL_METRIC_MICRO_F1 || metric == MODEL_METRIC_ACCURACY ? AIM_HITS : AIM_MACRO;
    ReelStatus status = new_buffers(scores, &decisions, &counts);
    for (int64_t k = 0; reel_status_is_ok(&status) && k < scores.shape[1]; k++) {
        Walk walk;
        int64_t count = sort_decisions(scores, truth, k, k + 1, decisions, counts);
        begin_walk(&walk, aim, counts, 1, truth, scores.shape[0]);
        walk.price = metric == MODEL_METRIC_MICRO_F1 ? reached / 2 : 0.5;
        double best, own = best_threshold(decisions, count, &walk, &best), n = (double)counts->support;
        thresholds[k] = n > 0 && isfinite(strength) ? (n * own + strength * global) / (n + strength) : global;
    }
    reel_mem_free(decisions);
    reel_mem_free(counts);
    return status;
}

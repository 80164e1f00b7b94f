#include "models/training/threshold.h"
#include "models/training/metrics.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One score; all of them are walked from the highest down, each making one more prediction. There are as many
 * as texts times labels, and qsort() takes as much memory again, so that what can be found again is left out.
 */
typedef struct Decision {
    float score;
    uint32_t number; /* labels text + label, of the labels that are sorted */
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
    int64_t used = 0, labels = stop - first;
    memset(counts, 0, (size_t)labels * sizeof *counts);
    for (int64_t i = 0; i < scores.shape[0]; i++) {
        int32_t seen = 0;
        for (int64_t k = first; k < stop; k++) {
            float score = tensor_f32(scores)[i * scores.strides[0] + k * scores.strides[1]];
            bool is_true = model_metrics_bears(truth[i], k, &seen);
            counts[k - first].support += is_true;
            if (!isnan(score))
                decisions[used++] = (Decision){score, (uint32_t)(labels * i + k - first)};
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
    const NnIds *truth;       /* of each text */
    int64_t first, labels;    /* labels that are walked: the first, and how many */
    ModelLabelCounts *counts; /* of each of them */
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
    int64_t text = d->number / w->labels, label = d->number % w->labels;
    int32_t seen = 0;
    bool is_true = model_metrics_bears(w->truth[text], w->first + label, &seen);
    ModelLabelCounts *c = &w->counts[label];
    w->sum -= model_metrics_f1(*c);
    c->predicted++;
    c->hits += is_true;
    w->sum += model_metrics_f1(*c);
    w->all.predicted++;
    w->all.hits += is_true;
    if (w->aim != AIM_EXACT)
        return;
    w->exact -= w->wrong[text] == 0;
    w->wrong[text] += is_true ? -1 : 1;
    w->exact += w->wrong[text] == 0;
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

/* For the decisions of so many labels. */
static ReelStatus new_buffers(Tensor scores, int64_t labels, Decision **decisions, ModelLabelCounts **counts)
{
    int64_t most = scores.shape[0] * labels;
    size_t bytes = (size_t)most * sizeof **decisions;
    *decisions = NULL;
    *counts = NULL;
    if (most > UINT32_MAX)
        return reel_status_failed("%lld texts times %lld labels are too many for thresholds; validate on "
                                  "fewer texts",
                                  (long long)scores.shape[0], (long long)labels);
    *decisions = reel_mem_alloc(bytes);
    *counts = reel_mem_alloc((size_t)labels * sizeof **counts);
    return *decisions && *counts ? reel_status_ok() : reel_status_no_memory(bytes, "the scores to be sorted");
}

/* Begins with no prediction. False: no memory. */
static bool begin_walk(Walk *w, Aim aim, ModelLabelCounts *counts, int64_t first, int64_t labels,
                       const NnIds *truth, int64_t texts)
{
    *w = (Walk){.aim = aim, .truth = truth, .first = first, .labels = labels, .counts = counts};
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
    ReelStatus status = new_buffers(scores, labels, &decisions, &counts);
    if (reel_status_is_ok(&status)) {
        int64_t count = sort_decisions(scores, truth, 0, labels, decisions, counts);
        if (begin_walk(&walk, aim, counts, 0, labels, truth, texts))
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
    ReelStatus status = new_buffers(scores, 1, &decisions, &counts);
    for (int64_t k = 0; reel_status_is_ok(&status) && k < scores.shape[1]; k++) {
        Walk walk;
        int64_t count = sort_decisions(scores, truth, k, k + 1, decisions, counts);
        begin_walk(&walk, aim, counts, k, 1, truth, scores.shape[0]);
        walk.price = metric == MODEL_METRIC_MICRO_F1 ? reached / 2 : 0.5;
        double best, own = best_threshold(decisions, count, &walk, &best), n = (double)counts->support;
        thresholds[k] = n > 0 && isfinite(strength) ? (n * own + strength * global) / (n + strength) : global;
    }
    reel_mem_free(decisions);
    reel_mem_free(counts);
    return status;
}

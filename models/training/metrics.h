/* Precision, recall, F1 and accuracy of predicted labels, as scikit-learn counts them. */
#ifndef REEL_MODELS_METRICS_H
#define REEL_MODELS_METRICS_H

#include "nn/sequence.h"

REEL_BEGIN_DECLS

/* By what epoch and thresholds are chosen. */
typedef enum ModelMetric {
    MODEL_METRIC_MACRO_F1,
    MODEL_METRIC_MICRO_F1,
    MODEL_METRIC_ACCURACY, /* model_metrics_accuracy() */
    MODEL_METRIC_LOG_LOSS  /* the less, the better: the mean over decisions, or over texts that have one label
                            */
} ModelMetric;

typedef struct ModelLabelCounts {
    int64_t hits;      /* predicted and true */
    int64_t predicted; /* predicted */
    int64_t support;   /* true */
} ModelLabelCounts;

/* 2 hits / (predicted + support); 0 where that divides by zero. */
static inline double model_metrics_f1(ModelLabelCounts counts)
{
    int64_t whole = counts.predicted + counts.support;
    return whole > 0 ? 2.0 * (double)counts.hits / (double)whole : 0.0;
}

/* Counts over batches, so that nothing of the size of the data is kept. */
typedef struct ModelMetrics {
    int32_t num_labels; /* K */
    int64_t examples;
    int64_t exact;            /* of them: those whose predicted labels are the true ones among the K */
    ModelLabelCounts *labels; /* [K] */
    int64_t missed;           /* true labels that are none of the K: never predicted, they count as missed */
    int32_t missed_labels;    /* how many labels these are: each has an F1 of 0 */
} ModelMetrics;

/* With zero_division=0: what would divide by zero is 0.
 *   precision = hits / predicted, recall = hits / support */
typedef struct ModelScores {
    double precision, recall, f1;
    int64_t support;
} ModelScores;

/* Errors: no memory. */
ReelStatus model_metrics_init(ModelMetrics *metrics, int32_t num_labels);
void model_metrics_free(ModelMetrics *metrics);
void model_metrics_reset(ModelMetrics *metrics);
/* Adds n examples, f32 [n, K] in any strides, and the labels that each of them bears, [n], ascending. A label
 * is predicted where its score is greater than the threshold (0.5 for probabilities, 0 for their logits;
 * never where it is NaN). False, and nothing added, where dtype or shape are others. */
bool model_metrics_add(ModelMetrics *metrics, Tensor scores, const NnIds *truth, double threshold);
/* The same with a threshold for each label, [K]. */
bool model_metrics_add_each(ModelMetrics *metrics, Tensor scores, const NnIds *truth,
                            const double *thresholds);
/* Whether a text bears label k, asked in ascending order: *seen, 0 at first, is how many of its labels come
 * before. */
static inline bool model_metrics_bears(NnIds labels, int64_t k, int32_t *seen)
{
    while (*seen < labels.count && labels.ids[*seen] < k)
        ++*seen;
    return *seen < labels.count && labels.ids[*seen] == k;
}

/* The part of examples that are exact: accuracy_score(), of single labels and of sets of labels. */
double model_metrics_accuracy(const ModelMetrics *metrics);
/* Of one label. */
ModelScores model_metrics_of(ModelLabelCounts counts);
/* Of label k. */
ModelScores model_metrics_label(const ModelMetrics *metrics, int32_t k);
/* Over all decisions together: f1_score(average='micro', zero_division=0). */
ModelScores model_metrics_micro(const ModelMetrics *metrics);
/* The mean over the labels, also those that no example bears: f1_score(average='macro',
 * zero_division=0). */
ModelScores model_metrics_macro(const ModelMetrics *metrics);

REEL_END_DECLS

#endif

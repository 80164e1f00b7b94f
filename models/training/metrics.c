#include "models/training/metrics.h"
#include "tensor/mem.h"

#include <string.h>

ReelStatus model_metrics_init(ModelMetrics *metrics, int32_t num_labels)
{
    *metrics = (ModelMetrics){.num_labels = num_labels};
    metrics->labels = reel_mem_calloc((size_t)num_labels, sizeof *metrics->labels);
    return metrics->labels
               ? reel_status_ok()
               : reel_status_no_memory((size_t)num_labels * sizeof(ModelLabelCounts), "the metrics");
}

void model_metrics_free(ModelMetrics *metrics)
{
    reel_mem_free(metrics->labels);
    *metrics = (ModelMetrics){0};
}

void model_metrics_reset(ModelMetrics *metrics)
{
    metrics->examples = metrics->exact = 0;
    memset(metrics->labels, 0, (size_t)metrics->num_labels * sizeof *metrics->labels);
}

/* stride 0: one threshold for all labels. */
static bool add(ModelMetrics *metrics, Tensor scores, const NnIds *truth, const double *thresholds,
                int stride)
{
    if (scores.dtype != TENSOR_F32 || scores.ndim != 2 || scores.shape[1] != metrics->num_labels)
        return false;
    for (int64_t i = 0; i < scores.shape[0]; i++) {
        const float *score = tensor_f32(scores) + i * scores.strides[0];
        int32_t seen = 0;
        bool exact = true;
        for (int32_t k = 0; k < metrics->num_labels; k++) {
            ModelLabelCounts *label = &metrics->labels[k];
            bool predicted = (double)score[k * scores.strides[1]] > thresholds[k * stride];
            bool borne = model_metrics_bears(truth[i], k, &seen);
            label->hits += predicted && borne;
            label->predicted += predicted;
            label->support += borne;
            exact = exact && predicted == borne;
        }
        metrics->exact += exact;
    }
    metrics->examples += scores.shape[0];
    return true;
}

bool model_metrics_add(ModelMetrics *metrics, Tensor scores, const NnIds *truth, double threshold)
{
    return add(metrics, scores, truth, &threshold, 0);
}

bool model_metrics_add_each(ModelMetrics *metrics, Tensor scores, const NnIds *truth,
                            const double *thresholds)
{
    return add(metrics, scores, truth, thresholds, 1);
}

static double ratio(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0.0;
}

double model_metrics_accuracy(const ModelMetrics *metrics)
{
    return ratio(metrics->exact, metrics->examples);
}

ModelScores model_metrics_of(ModelLabelCounts counts)
{
    return (ModelScores){.precision = ratio(counts.hits, counts.predicted),
                         .recall = ratio(counts.hits, counts.support),
                         .f1 = model_metrics_f1(counts),
                         .support = counts.support};
}

ModelScores model_metrics_label(const ModelMetrics *metrics, int32_t k)
{
    return model_metrics_of(metrics->labels[k]);
}

ModelScores model_metrics_micro(const ModelMetrics *metrics)
{
    ModelLabelCounts sum = {0};
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        sum.hits += metrics->labels[k].hits;
        sum.predicted += metrics->labels[k].predicted;
        sum.support += metrics->labels[k].support;
    }
    sum.support += metrics->missed;
    return model_metrics_of(sum);
}

ModelScores model_metrics_macro(const ModelMetrics *metrics)
{
    ModelScores mean = {.support = metrics->missed};
    int32_t labels = metrics->num_labels + metrics->missed_labels;
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        ModelScores label = model_metrics_label(metrics, k);
        mean.precision += label.precision / labels;
        mean.recall += label.recall / labels;
        mean.f1 += label.f1 / labels;
        mean.support += label.support;
    }
    return mean;
}

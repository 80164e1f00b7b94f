#include "models/training/metrics.h"
#include "tensor/mem.h"

#include <string.h>

ReelStatus metrics_init(Metrics *metrics, int32_t num_labels)
{
    *metrics = (Metrics){.num_labels = num_labels};
    metrics->labels = reel_mem_calloc((size_t)num_labels, sizeof *metrics->labels);
    return metrics->labels ? reel_status_ok()
                           : reel_status_no_memory((size_t)num_labels * sizeof(LabelCounts), "the metrics");
}

void metrics_free(Metrics *metrics)
{
    reel_mem_free(metrics->labels);
    *metrics = (Metrics){0};
}

void metrics_reset(Metrics *metrics)
{
    metrics->examples = 0;
    memset(metrics->labels, 0, (size_t)metrics->num_labels * sizeof *metrics->labels);
}

/* stride 0: one threshold for all labels. */
static bool add(Metrics *metrics, Tensor scores, Tensor truth, const double *thresholds, int stride)
{
    if (scores.dtype != TENSOR_F32 || truth.dtype != TENSOR_F32 || scores.ndim != 2 ||
        scores.shape[1] != metrics->num_labels || !tensor_same_shape(&scores, &truth))
        return false;
    for (int64_t i = 0; i < scores.shape[0]; i++) {
        const float *score = tensor_f32(scores) + i * scores.strides[0];
        const float *is_true = tensor_f32(truth) + i * truth.strides[0];
        for (int32_t k = 0; k < metrics->num_labels; k++) {
            LabelCounts *label = &metrics->labels[k];
            bool predicted = (double)score[k * scores.strides[1]] > thresholds[k * stride];
            bool borne = is_true[k * truth.strides[1]] != 0.0f;
            label->hits += predicted && borne;
            label->predicted += predicted;
            label->support += borne;
        }
    }
    metrics->examples += scores.shape[0];
    return true;
}

bool metrics_add(Metrics *metrics, Tensor scores, Tensor truth, double threshold)
{
    return add(metrics, scores, truth, &threshold, 0);
}

bool metrics_add_each(Metrics *metrics, Tensor scores, Tensor truth, const double *thresholds)
{
    return add(metrics, scores, truth, thresholds, 1);
}

static double ratio(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0.0;
}

Scores metrics_of(LabelCounts counts)
{
    return (Scores){.precision = ratio(counts.hits, counts.predicted),
                    .recall = ratio(counts.hits, counts.support),
                    .f1 = metrics_f1(counts),
                    .support = counts.support};
}

Scores metrics_label(const Metrics *metrics, int32_t k)
{
    return metrics_of(metrics->labels[k]);
}

Scores metrics_micro(const Metrics *metrics)
{
    LabelCounts sum = {0};
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        sum.hits += metrics->labels[k].hits;
        sum.predicted += metrics->labels[k].predicted;
        sum.support += metrics->labels[k].support;
    }
    sum.support += metrics->missed;
    return metrics_of(sum);
}

Scores metrics_macro(const Metrics *metrics)
{
    Scores mean = {.support = metrics->missed};
    int32_t labels = metrics->num_labels + metrics->missed_labels;
    for (int32_t k = 0; k < metrics->num_labels; k++) {
        Scores label = metrics_label(metrics, k);
        mean.precision += label.precision / labels;
        mean.recall += label.recall / labels;
        mean.f1 += label.f1 / labels;
        mean.support += label.support;
    }
    return mean;
}

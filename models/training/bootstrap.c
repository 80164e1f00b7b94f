#include "models/training/bootstrap.h"
#include "models/training/metrics.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A decision: its label, and in the last two bits what it is. */
enum { IS_TRUE = 1, IS_PREDICTED = 2, FLAG_BITS = 2 };

void model_bootstrap_init(ModelBootstrap *b, int32_t labels)
{
    *b = (ModelBootstrap){.labels = labels};
}

void model_bootstrap_free(ModelBootstrap *b)
{
    reel_mem_free(b->ends);
    reel_mem_free(b->decisions);
    *b = (ModelBootstrap){0};
}

/* Room for more texts, with all labels each. */
static bool reserve(ModelBootstrap *b, int64_t texts)
{
    int64_t wanted = b->texts + texts;
    size_t decisions = b->used + (size_t)b->labels;
    if (wanted > b->text_capacity) {
        int64_t capacity = wanted > 2 * b->text_capacity ? wanted : 2 * b->text_capacity;
        size_t *ends = reel_mem_realloc(b->ends, (size_t)capacity * sizeof *ends);
        if (!ends)
            return false;
        b->ends = ends;
        b->text_capacity = capacity;
    }
    if (decisions > b->capacity) {
        size_t capacity = 2 * decisions + 1024;
        uint32_t *larger = reel_mem_realloc(b->decisions, capacity * sizeof *larger);
        if (!larger)
            return false;
        b->decisions = larger;
        b->capacity = capacity;
    }
    return true;
}

ReelStatus model_bootstrap_add(ModelBootstrap *b, Tensor scores, const NnIds *truth, const double *thresholds)
{
    if (scores.dtype != TENSOR_F32 || scores.ndim != 2 || scores.shape[1] != b->labels)
        return reel_status_failed("a bootstrap needs f32 scores [N, %d]", b->labels);
    for (int64_t i = 0; i < scores.shape[0]; i++) {
        if (!reserve(b, 1))
            return reel_status_no_memory((b->used + (size_t)b->labels) * sizeof *b->decisions,
                                         "the bootstrap");
        const float *score = tensor_f32(scores) + i * scores.strides[0];
        int32_t seen = 0;
        for (int32_t k = 0; k < b->labels; k++) {
            uint32_t flags = model_metrics_bears(truth[i], k, &seen) ? IS_TRUE : 0;
            if ((double)score[k * scores.strides[1]] > (thresholds ? thresholds[k] : 0.0))
                flags |= IS_PREDICTED;
            if (flags)
                b->decisions[b->used++] = (uint32_t)k << FLAG_BITS | flags;
        }
        b->ends[b->texts++] = b->used;
    }
    return reel_status_ok();
}

/* Macro F1 on the texts as they are, or (random is not NULL) on as many, drawn with replacement.
 */
static double macro_f1(const ModelBootstrap *b, TensorRandom *random, ModelLabelCounts *counts)
{
    double sum = 0;
    memset(counts, 0, (size_t)b->labels * sizeof *counts);
    for (int64_t i = 0; i < b->texts; i++) {
        int64_t text = random ? (int64_t)tensor_random_below(random, (uint32_t)b->texts) : i;
        for (size_t at = text ? b->ends[text - 1] : 0; at < b->ends[text]; at++) {
            ModelLabelCounts *count = &counts[b->decisions[at] >> FLAG_BITS];
            uint32_t is_true = b->decisions[at] & IS_TRUE, predicted = (b->decisions[at] & IS_PREDICTED) / 2;
            count->hits += is_true & predicted;
            count->predicted += predicted;
            count->support += is_true;
        }
    }
    for (int32_t k = 0; k < b->labels; k++)
        sum += model_metrics_f1(counts[k]);
    return sum / b->labels;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The deviations of the draws from their mean, taken for those of the estimate from its expectation. What
 * rounding and a lopsided distribution could do is kept out: an interval contains its estimate, and F1 lies
 * within 0 and 1. */
static ModelInterval centred(double estimate, double *found, int rounds)
{
    double mean = 0;
    for (int i = 0; i < rounds; i++)
        mean += found[i];
    mean /= rounds;
    qsort(found, (size_t)rounds, sizeof *found, ascending);
    double below = found[(int)(0.025 * (rounds - 1) + 0.5)], above = found[(int)(0.975 * (rounds - 1) + 0.5)];
    return (ModelInterval){.low = fmax(0, fmin(estimate, estimate - (above - mean))),
                           .high = fmin(1, fmax(estimate, estimate + (mean - below)))};
}

ReelStatus model_bootstrap_macro_f1(const ModelBootstrap *b, int rounds, uint64_t seed,
                                    ModelInterval *interval)
{
    *interval = (ModelInterval){0};
    if (b->texts < 1 || b->texts > INT32_MAX || rounds < 1)
        return reel_status_failed("a bootstrap needs texts and rounds, not %lld and %d", (long long)b->texts,
                                  rounds);
    size_t bytes = (size_t)rounds * sizeof(double) + (size_t)b->labels * sizeof(ModelLabelCounts);
    double *found = reel_mem_alloc(bytes);
    if (!found)
        return reel_status_no_memory(bytes, "the bootstrap");
    ModelLabelCounts *counts = (ModelLabelCounts *)(found + rounds);
    TensorRandom random = tensor_random_new(seed, tensor_random_stream("bootstrap"));
    for (int i = 0; i < rounds; i++)
        found[i] = macro_f1(b, &random, counts);
    *interval = centred(macro_f1(b, NULL, counts), found, rounds);
    reel_mem_free(found);
    return reel_status_ok();
}

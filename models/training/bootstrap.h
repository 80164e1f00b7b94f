/* How sure macro F1 is: its percentile interval by the bootstrap (Efron 1979, "Bootstrap Methods: Another
 * Look at the Jackknife"). The texts are drawn anew with replacement, so the interval tells how the figure
 * would change with other test texts; it says nothing about other seeds of the training. */
#ifndef REEL_MODELS_TRAINING_BOOTSTRAP_H
#define REEL_MODELS_TRAINING_BOOTSTRAP_H

#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum { BOOTSTRAP_ROUNDS = 1000 };

/* From the 2.5th to the 97.5th percentile. */
typedef struct Interval {
    double low, high;
} Interval;

/* The decisions on texts, of which only those that are predicted or true are kept. */
typedef struct Bootstrap {
    int32_t labels; /* K */
    int64_t texts, text_capacity;
    size_t *ends; /* [texts]: where each text's decisions end */
    uint32_t *decisions;
    size_t used, capacity;
} Bootstrap;

/* An empty one; makes no memory. */
void bootstrap_init(Bootstrap *bootstrap, int32_t labels);
/* Frees what was added. */
void bootstrap_free(Bootstrap *bootstrap);
/* Adds texts: scores and truth f32 [n, K] in any strides; a label is predicted where its score is greater
 * than thresholds[k] (NULL: 0). Errors: other shapes or dtypes, no memory. */
Status bootstrap_add(Bootstrap *bootstrap, Tensor scores, Tensor truth, const double *thresholds);
/* The interval of macro F1 over all K labels (F1 0 for one that is neither predicted nor true in a resample,
 * as metrics_macro() counts it). The same seed gives the same interval. Errors: no texts, no memory. */
Status bootstrap_macro_f1(const Bootstrap *bootstrap, int rounds, uint64_t seed, Interval *interval);

REEL_END_DECLS

#endif

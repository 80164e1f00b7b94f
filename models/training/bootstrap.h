/* How sure macro F1 is: a 95 % interval by the bootstrap (Efron 1979, "Bootstrap Methods: Another Look at the
 * Jackknife"). The texts are drawn anew with replacement, so it tells how the figure would change with other
 * test texts; it says nothing about other seeds of the training.
 *
 * What is estimated is the *expected* macro F1 of the same model on a test part of the same size from the
 * same source, counted as model_metrics_macro() counts it: over all K labels, F1 0 for one that is neither
 * predicted nor true. In a draw the rare labels are missing oftener than among the texts themselves, so the
 * draws lie below the estimate, all of them where most labels are rare, and their percentiles are no interval
 * for it. The interval is therefore the basic one (Davison & Hinkley 1997, "Bootstrap Methods and Their
 * Application", section 5.2) of the estimate's deviation from its expectation, which the deviations of the
 * draws from *their* mean stand for:
 *
 *   estimate - (q(0.975) - mean)   to   estimate + (mean - q(0.025))
 *
 * It contains the estimate. On generated texts it contains the expectation in 92 to 95 of 100 cases where
 * labels have four or more texts on average, and in 85 to 89 where most have one or two. It is not one for
 * the macro F1 of infinitely many texts, which is higher, since no label is missing from them. */
#ifndef REEL_MODELS_TRAINING_BOOTSTRAP_H
#define REEL_MODELS_TRAINING_BOOTSTRAP_H

#include "nn/sequence.h"

REEL_BEGIN_DECLS

enum { MODEL_BOOTSTRAP_ROUNDS = 1000 };

/* 95 %, as above. */
typedef struct ModelInterval {
    double low, high;
} ModelInterval;

/* The decisions on texts, of which only those that are predicted or true are kept. */
typedef struct ModelBootstrap {
    int32_t labels; /* K */
    int64_t texts, text_capacity;
    size_t *ends; /* [texts]: where each text's decisions end */
    uint32_t *decisions;
    size_t used, capacity;
} ModelBootstrap;

/* An empty one; makes no memory. */
void model_bootstrap_init(ModelBootstrap *bootstrap, int32_t labels);
/* Frees what was added. */
void model_bootstrap_free(ModelBootstrap *bootstrap);
/* Adds texts: scores f32 [n, K] in any strides, and the labels that each bears, [n], ascending; a label is
 * predicted where its score is greater than thresholds[k] (NULL: 0). Errors: another shape or dtype, no
 * memory. */
ReelStatus model_bootstrap_add(ModelBootstrap *bootstrap, Tensor scores, const NnIds *truth,
                               const double *thresholds);
/* The interval of macro F1 over all K labels. The same seed gives the same interval. Errors: no texts, no
 * memory. */
ReelStatus model_bootstrap_macro_f1(const ModelBootstrap *bootstrap, int rounds, uint64_t seed,
                                    ModelInterval *interval);

REEL_END_DECLS

#endif

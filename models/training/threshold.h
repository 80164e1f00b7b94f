/* Decision thresholds, tuned for macro F1 on validation predictions. */
#ifndef REEL_MODELS_THRESHOLD_H
#define REEL_MODELS_THRESHOLD_H

#include "nn/sequence.h"

#include <math.h>

REEL_BEGIN_DECLS

/* A label is predicted where its score is greater than the threshold, as in models/training/metrics.h. Scores
 * are f32 [N, K], in any strides, and NaN ones are never predicted; truth is the labels of each text, [N],
 * ascending. */

/* A threshold, or any log-odds, as the probability that is shown. */
static inline double model_threshold_probability(double log_odds)
{
    return 1 / (1 + exp(-log_odds));
}

/* The other way. Outside of (0, 1) it is no number, or infinite. */
static inline double model_threshold_log_odds(double probability)
{
    return log(probability / (1 - probability));
}

/* The one threshold with the best macro F1: of all that tell different predictions apart, the middle between
 * the two scores beside it; of equally good ones the highest. *macro_f1 (may be NULL) is what it reaches on
 * these scores, which flatters: it was chosen on them.
 * Errors: another shape or dtype, no memory. */
ReelStatus model_threshold_global(Tensor scores, const NnIds *truth, double *threshold, double *macro_f1);

/* One threshold for each label: t_k = (n_k own_k + strength global) / (n_k + strength), where own_k is the
 * label's best by itself and n_k its number of true examples. A label with few of them has an own_k that is
 * mostly chance, and so stays near the global one; strength 0 takes own_k as it is (the global one where
 * n_k = 0), INFINITY the global one everywhere. thresholds has room for K. */
ReelStatus model_threshold_per_label(Tensor scores, const NnIds *truth, double global, double strength,
                                     double *thresholds);

REEL_END_DECLS

#endif

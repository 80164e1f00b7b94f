/* Decision thresholds, tuned for macro F1 on validation predictions. */
#ifndef REEL_MODELS_THRESHOLD_H
#define REEL_MODELS_THRESHOLD_H

#include "models/training/metrics.h"
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

/* The one threshold with the best value of the metric, which is not the log loss: of all that tell different
 * predictions apart, the middle between the two scores beside it; of equally good ones the highest. *best
 * (may be NULL) is what it reaches on these scores, which flatters: it was chosen on them. Errors: another
 * shape or dtype, no memory. */
ReelStatus model_threshold_global(Tensor scores, const NnIds *truth, ModelMetric metric, double *threshold,
                                  double *best);

/* One threshold for each label: t_k = (n_k own_k + strength global) / (n_k + strength), where own_k is the
 * label's best by itself and n_k its number of true examples. A label with few of them has an own_k that is
 * mostly chance, and so stays near the global one; strength 0 takes own_k as it is (the global one where
 * n_k = 0), INFINITY the global one everywhere. thresholds has room for K.
 *
 * A label's best is that of its F1; for micro F1, of which `reached` is the global threshold's value F, that
 * of hits less F / 2 of what is predicted, to which the metric's maximum leads (Dinkelbach 1967, "On
 * Nonlinear Fractional Programming"); for accuracy that of the fewest wrong decisions, hits less half of what
 * is predicted. */
ReelStatus model_threshold_per_label(Tensor scores, const NnIds *truth, ModelMetric metric, double reached,
                                     double global, double strength, double *thresholds);

REEL_END_DECLS

#endif

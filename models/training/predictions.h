/* What a model says of a part of a data set, all of it: asked once after an epoch, and read by whoever
 * counts, chooses thresholds or draws. */
#ifndef REEL_MODELS_PREDICTIONS_H
#define REEL_MODELS_PREDICTIONS_H

#include "tensor/status.h"

REEL_BEGIN_DECLS

/* All zeros: nothing has been asked. */
typedef struct ModelPredictions {
    float *logits;    /* [count, K] in the order of the part */
    float *attention; /* a weight for each of the part's ids; NULL: not asked for */
} ModelPredictions;

/* What is all zeros is as good as free. */
void model_predictions_free(ModelPredictions *predictions);

REEL_END_DECLS

#endif

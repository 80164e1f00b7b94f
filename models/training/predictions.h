/* What a model says of a part of a data set, all of it: asked once after an epoch, and read by whoever
 * counts, chooses thresholds or draws. */
#ifndef REEL_MODELS_PREDICTIONS_H
#define REEL_MODELS_PREDICTIONS_H

#include "models/training/metrics.h"
#include "models/training/trainer.h"

REEL_BEGIN_DECLS

/* All zeros: nothing has been asked. */
typedef struct ModelPredictions {
    float *logits;    /* [count, K] in the order of the part */
    float *attention; /* a weight for each of the part's ids; NULL: not asked for */
} ModelPredictions;

/* The batches to ask in: as many ids at a time as training takes, of texts of like lengths; or, where
 * `padded` is above 0, so many texts, padded as the notebook does. */
ModelLoaderOptions model_prediction_batches(const ModelDatasetPart *part, int padded);
/* Asks; memory is made the first time. What is said depends on `options` only where they pad. `attends`: the
 * model has attention, and it is asked for. `metrics` (may be NULL) gets the counts at probability 0.5, or of
 * the most probable label where a text has one. Errors: no memory, those of the model. */
ReelStatus model_predict_part(ModelPredictions *predictions, ModelTrainer *trainer,
                              const ModelDatasetPart *part, const ModelLoaderOptions *options, bool attends,
                              ModelMetrics *metrics);
void model_predictions_free(ModelPredictions *predictions);

REEL_END_DECLS

#endif

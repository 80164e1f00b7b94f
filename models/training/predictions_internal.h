/* Asking a model about a part of a data set. */
#ifndef REEL_MODELS_PREDICTIONS_INTERNAL_H
#define REEL_MODELS_PREDICTIONS_INTERNAL_H

#include "models/training/metrics.h"
#include "models/training/predictions.h"
#include "models/training/shares_internal.h"

/* The batches to ask in: as many ids at a time as training takes, of texts of like lengths; or, where
 * `padded` is above 0, so many texts, padded as the notebook does. */
ModelLoaderOptions model_prediction_batches(const ModelDatasetPart *part, int padded);
/* Asks the model whose shares they are, which is not training afterwards; memory is made the first time. What
 * is said depends on `options` only where they pad. `attends`: the model has attention, and it is asked for.
 * `metrics` (may be NULL) gets the counts at probability 0.5, or of the most probable label where a text has
 * one. Errors: no memory, those of the model. */
ReelStatus model_predict_part(ModelPredictions *predictions, ModelShares *shares,
                              const ModelDatasetPart *part, const ModelLoaderOptions *options, bool attends,
                              ModelMetrics *metrics);

#endif

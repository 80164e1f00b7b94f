/* Several trained models as one: the mean of their logits, with thresholds of its own.
 *
 * Of probabilities the mean is worse (docs/results.md): a model that is less sure than the others then has
 * less of a say. */
#ifndef REEL_MODELS_TRAINING_ENSEMBLE_H
#define REEL_MODELS_TRAINING_ENSEMBLE_H

#include "models/training/run.h"

REEL_BEGIN_DECLS

/* What an ensemble came to. All zeros: there is none. */
typedef struct ModelEnsemble {
    int members;
    ModelTuned tuned;
} ModelEnsemble;

/* The ensemble of those runs whose logits are at hand. `dataset` is the one with the validation part;
 * `options` say how its thresholds are chosen. Errors: no memory. */
ReelStatus model_ensemble_find(ModelEnsemble *ensemble, const ModelRunResult *runs, int count,
                               const ModelDataset *dataset, const ModelSelectionOptions *options);

REEL_END_DECLS

#endif

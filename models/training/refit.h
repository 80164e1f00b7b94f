/* A run that is done twice: once with a validation part, which chooses epoch and thresholds, and then on all
 * training texts, up to that epoch and with those thresholds. */
#ifndef REEL_MODELS_TRAINING_REFIT_H
#define REEL_MODELS_TRAINING_REFIT_H

#include "models/training/run.h"

REEL_BEGIN_DECLS

/* The first of the two. */
typedef struct ModelRefit {
    const ModelDataset *choice;     /* the same data with a validation part; NULL: there is one run only */
    const ModelPretrained *vectors; /* of its words, or NULL */
    const ModelPretraining *pretraining; /* of its words, or NULL */
    const char *folder;                  /* of its checkpoints, or NULL */
} ModelRefit;

/* As model_run_model(), after the choice where there is one; the schedule is as long as each run. Where the
 * choice was stopped, the result is the choice's, `interrupted`. The result has the validation part's logits
 * of the choice. */
ReelStatus model_run_refit(ModelRunResult *result, const ModelKind *kind, const ModelDataset *dataset,
                           const ModelRefit *refit, const ModelRunOptions *options,
                           const ModelRunWatcher *watcher);

REEL_END_DECLS

#endif

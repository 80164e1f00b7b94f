/* A checkpoint: one .npz file with all that a model needs to read texts and to name labels.
 *
 * Weights have their state_dict names, all else is named "reel/..." (docs/checkpoints.md lists the members).
 * What training needs to go on is added by models/training/training_state.h. */
#ifndef REEL_MODELS_CHECKPOINT_H
#define REEL_MODELS_CHECKPOINT_H

#include "models/model.h"
#include "models/text/pipeline.h"
#include "nn/state_dict.h"

REEL_BEGIN_DECLS

typedef struct ModelCheckpoint {
    Model *model;
    ModelPipeline text;
    bool notebook;       /* texts are padded, and the state after the padding is read */
    double *thresholds;  /* [K] logits; NULL: 0 for all */
    double *calibration; /* [2, K] slopes and shifts that make log-odds of logits; NULL: they are that */
    NnSnapshot told;     /* how good it is, and its settings, where the file says so */
    NnSnapshot unknown;  /* members that Reel does not know */
} ModelCheckpoint;

/* Reads a checkpoint; *checkpoint is NULL on failure. Errors: those of tensor_npz_open() and nn_load(), a
 * member is missing or says what cannot be, vocabulary or labels do not fit the weights. */
ReelStatus model_checkpoint_load(ModelCheckpoint **checkpoint, const char *path);
/* The same from an open file. `options` are those for its weights. */
ReelStatus model_checkpoint_load_from(ModelCheckpoint **checkpoint, const TensorNpz *npz,
                                      NnLoadOptions options);
void model_checkpoint_free(ModelCheckpoint *checkpoint);

/* The log-odds, calibrated where logits are, above which label k is predicted. */
double model_checkpoint_threshold(const ModelCheckpoint *checkpoint, int32_t k);

/* Adds a model with its text to a file to be; thresholds [K] and calibration [2, K], or NULL. */
void model_checkpoint_snapshot(NnSnapshot *snapshot, Model *model, const ModelPipeline *text, bool notebook,
                               const double *thresholds, const double *calibration);
/* Adds the members of a file that are named "reel/..." and that Reel does not know. */
void model_checkpoint_keep_unknown(NnSnapshot *snapshot, const TensorNpz *npz);
/* Writes all of a checkpoint at once. */
ReelStatus model_checkpoint_save(const char *path, const ModelCheckpoint *checkpoint,
                                 TensorNpzOptions options);
/* The same into memory, which is empty at first. */
ReelStatus model_checkpoint_save_memory(ReelBytes *bytes, const ModelCheckpoint *checkpoint,
                                        TensorNpzOptions options);

REEL_END_DECLS

#endif

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
    bool quantized;      /* matrices are of 8 bits in the file that it was read from */
    bool notebook;       /* texts are padded, and the state after the padding is read */
    double *thresholds;  /* [K] logits; NULL: 0 for all */
    double *calibration; /* [5, K] makes log-odds of logits (models/training/calibration.h); NULL: they are
                            that */
    NnSnapshot told;     /* how good it is, and its settings, where the file says so */
    NnSnapshot unknown;  /* members that Reel does not know */
    TensorNpz *file;     /* where weights are that are read in place; NULL: none are */
} ModelCheckpoint;

/* Reads a checkpoint; *checkpoint is NULL on failure. Errors: those of tensor_npz_open() and nn_load(), a
 * member is missing or says what cannot be, vocabulary or labels do not fit the weights. Weights that lie in
 * the file as they are in memory (model_checkpoint_export()) are mapped: the file must not be shortened
 * while the checkpoint is in use. */
ReelStatus model_checkpoint_load(ModelCheckpoint **checkpoint, const char *path);
/* The same from an open file. `options` are those for its weights. */
ReelStatus model_checkpoint_load_from(ModelCheckpoint **checkpoint, const TensorNpz *npz,
                                      NnLoadOptions options);
void model_checkpoint_free(ModelCheckpoint *checkpoint);
/* Whether weights are read where a file has them. */
bool model_checkpoint_is_in_place(const ModelCheckpoint *checkpoint);

/* The log-odds, calibrated where logits are, above which label k is predicted. */
double model_checkpoint_threshold(const ModelCheckpoint *checkpoint, int32_t k);

/* Adds a model with its text to a file to be; thresholds [K] and calibration [5, K], or NULL. */
void model_checkpoint_snapshot(NnSnapshot *snapshot, Model *model, const ModelPipeline *text, bool notebook,
                               const double *thresholds, const double *calibration);
/* Adds the members of a file that are named "reel/..." and that Reel does not know. */
void model_checkpoint_keep_unknown(NnSnapshot *snapshot, const TensorNpz *npz);
/* Writes all of a checkpoint at once. */
ReelStatus model_checkpoint_save(const char *path, const ModelCheckpoint *checkpoint,
                                 TensorNpzOptions options);
/* The same for prediction: weights are stored as they are in memory, so that they need not be copied.
 * `quantized`: matrices are of 8 bits (nn_snapshot_quantized()). */
ReelStatus model_checkpoint_export(const char *path, const ModelCheckpoint *checkpoint, bool quantized);
/* The same as model_checkpoint_save() into memory, which is empty at first. */
ReelStatus model_checkpoint_save_memory(ReelBytes *bytes, const ModelCheckpoint *checkpoint,
                                        TensorNpzOptions options);

REEL_END_DECLS

#endif

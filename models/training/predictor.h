/* Predictions of a saved model for texts.
 *
 * Any number of predictors may ask one checkpoint at the same time, each on a thread of its own: they share
 * its weights, which nobody writes, and what a call needs beside them is the predictor's. Once a predictor
 * has seen its longest text, a call allocates nothing. docs/serving.md has a program. */
#ifndef REEL_MODELS_PREDICTOR_H
#define REEL_MODELS_PREDICTOR_H

#include "models/training/checkpoint.h"
#include "models/strings/text.h"

REEL_BEGIN_DECLS

/* A model loaded for predicting. */
typedef struct ModelPredictor ModelPredictor;

/* The checkpoint must outlive it, and not be trained meanwhile. `threads` work for one call; a server that
 * has threads of its own makes a predictor for each, of one thread. Errors: no memory. */
ReelStatus model_predictor_new(ModelPredictor **predictor, const ModelCheckpoint *checkpoint, int threads);
/* NULL is allowed. */
void model_predictor_free(ModelPredictor *predictor);

/* The logits of texts as they stand in a file, calibrated where the model is (models/training/calibration.h),
 * as model_checkpoint_threshold() is: f32 [count, K] into memory of the caller. Texts are batched by
 * length; a text's logits do not depend on the others, bit for bit. A model that reads after the padding, as
 * the notebook does, gets every text padded to max_len. */
ReelStatus model_predictor_run(ModelPredictor *predictor, const ModelTextSpan *texts, int64_t count,
                               bool attention, float *logits);

/* The vectors that the last layer reads, f32 [count, W], W = model_width() of the model. */
ReelStatus model_predictor_vectors(ModelPredictor *predictor, const ModelTextSpan *texts, int64_t count,
                                   float *vectors);

/* Of text i of the last run: its ids, and where attention was asked for their weights, which add up to 1.
 * Good until the next run. */
typedef struct ModelPredictorText {
    int32_t count;
    const int32_t *ids;
    const float *weights; /* or NULL */
} ModelPredictorText;
/* Text number i of the last call. */
ModelPredictorText model_predictor_text(const ModelPredictor *predictor, int64_t i);
/* Whether nothing was left of text i that the model knows. */
bool model_predictor_text_is_empty(const ModelPredictor *predictor, int64_t i);
/* The word or piece of an id. */
const char *model_predictor_word(const ModelPredictor *predictor, int32_t id);

REEL_END_DECLS

#endif

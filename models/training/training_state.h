/* What a training run needs to go on exactly where it was: the optimizer's state, the place in the data, and
 * what has come of it so far. Written into the model's checkpoint as reel/training.json and
 * reel/optimizer/... */
#ifndef REEL_MODELS_TRAINING_STATE_H
#define REEL_MODELS_TRAINING_STATE_H

#include "models/training/run.h"
#include "nn/optimizer.h"

REEL_BEGIN_DECLS

typedef struct ModelTrainingState {
    char run[MODEL_RUN_ID_SIZE]; /* of the settings: a state is only good for the run that it is from */
    int epoch;                   /* the one at hand, from 1; one more than there are: finished */
    int64_t batch;               /* batches done in it */
    int64_t updates;             /* of the optimizer in all */
    double loss_sum;             /* over the epoch's examples so far */
    int64_t seen, tokens;        /* of them */
} ModelTrainingState;

/* Adds the state, the result so far (epochs, best, metrics) and the optimizer's state to a file to be. */
void model_training_state_snapshot(NnSnapshot *snapshot, const ModelTrainingState *state,
                                   const ModelRunResult *result, NnOptimizer *optimizer);

/* Reads the state and the result; `result->epochs` has room for `most_epochs`, the metrics are initialised.
 * Errors: it is not there, or says what cannot be. */
ReelStatus model_training_state_read(const TensorNpz *npz, ModelTrainingState *state, ModelRunResult *result,
                                     int most_epochs);
/* The id of the run that the state is of, or "" where it has none. */
void model_training_state_run(const TensorNpz *npz, char run[MODEL_RUN_ID_SIZE]);
/* Reads the optimizer's state. Errors: it is not there, or does not go with the training state. */
ReelStatus model_training_state_restore(const TensorNpz *npz, const ModelTrainingState *state,
                                        NnOptimizer *optimizer);

REEL_END_DECLS

#endif

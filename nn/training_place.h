/* How far a training has come, in the file from which it goes on, beside the weights: with all that its bytes
 * depend on, so that it goes on to the same bytes or not at all. */
#ifndef REEL_NN_TRAINING_PLACE_H
#define REEL_NN_TRAINING_PLACE_H

#include "nn/state_dict.h"

REEL_BEGIN_DECLS

/* A place in a training. */
typedef struct NnTrainingPlace {
    char *settings; /* all that the bytes depend on, in words */
    int epoch;      /* the one at hand, from 1 */
    int64_t done;   /* of that epoch: batches, or words */
    int64_t seen;   /* what `loss` is a sum over; 0 where it is a mean */
    double loss;
} NnTrainingPlace;

/* Adds a place to a file to be, as a member of this name. */
void nn_snapshot_training_place(NnSnapshot *snapshot, const char *name, const NnTrainingPlace *place);
/* Reads it; place->settings is then NULL. `what` is the training in words ("word vectors"), `settings` those
 * of the one that is to go on, of so many epochs of at most `most` steps. Errors: no such member, other
 * settings, a place that is not in the training; no memory. */
ReelStatus nn_load_training_place(const TensorNpz *npz, const char *name, const char *what,
                                  const char *settings, int epochs, int64_t most, NnTrainingPlace *place);

REEL_END_DECLS

#endif

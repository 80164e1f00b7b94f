/* The division of a corpus into a training and a test part. */
#ifndef REEL_MODELS_SPLIT_H
#define REEL_MODELS_SPLIT_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct ModelSplit {
    int64_t num_train, num_test;
    int32_t *train; /* [num_train] row numbers */
    int32_t *test;  /* [num_test] */
} ModelSplit;

/* As scikit-learn's train_test_split(range(rows), test_size=test_size, random_state=random_state), index
 * for index: with RandomState(random_state).permutation(rows), the first ceil(test_size * rows) are the
 * test part and the rest, in that order, is the training part.
 * Errors: test_size not within (0, 1), a part that would be empty, no memory. */
ReelStatus model_split_new(ModelSplit *split, int64_t rows, double test_size, uint32_t random_state);
void model_split_free(ModelSplit *split);

REEL_END_DECLS

#endif

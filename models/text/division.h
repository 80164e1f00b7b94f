/* Which rows of a corpus are for training, for validation and for testing. */
#ifndef REEL_MODELS_DIVISION_H
#define REEL_MODELS_DIVISION_H

#include "models/text/corpus.h"

REEL_BEGIN_DECLS

typedef struct ModelDivisionOptions {
    double test_size;  /* part of the rows, in [0, 1), drawn as models/text/split.h says; 0: none */
    double valid_size; /* part of the rest, in [0, 1), stratified by label (models/text/stratify.h) */
    uint32_t seed;
    bool join_valid; /* rows that are for validation by themselves are trained on, behind the others */
} ModelDivisionOptions;

/* Numbers of rows. All zeros may be freed. */
typedef struct ModelDivision {
    int64_t num_train, num_valid, num_test;
    int32_t *train, *valid, *test;
} ModelDivision;

/* What the corpus says of a row's part counts. Where it says nothing of any row's being for testing (for
 * validation), these are drawn from the others; with groups whole groups are, so that none stands on two
 * sides. Errors: sizes that cannot be, a part that would be empty, no memory. */
ReelStatus model_division_new(ModelDivision *division, const ModelCorpus *corpus,
                              const ModelDivisionOptions *options);
void model_division_free(ModelDivision *division);

REEL_END_DECLS

#endif

/* BPE dropout while training (Provilkov, Emelianenko & Voita 2020, arXiv 1910.13267): the training part,
 * whose texts are cut into other subwords in each epoch. */
#ifndef REEL_MODELS_SUBWORD_DROPOUT_H
#define REEL_MODELS_SUBWORD_DROPOUT_H

#include "models/bpe/bpe.h"
#include "models/text/dataset.h"

REEL_BEGIN_DECLS

/* A training part that changes from epoch to epoch. */
typedef struct ModelSubwordDropout {
    ModelDatasetPart part; /* as it is in the epoch drawn last; rows and labels are the data set's */
    const ModelDataset *dataset;
    double probability;
    uint64_t seed;
    ModelBpeEncoder *encoder;
    ModelBpeIds scratch;
    ModelIdList list;
} ModelSubwordDropout;

/* The data set must outlive the struct, be of byte pairs and have kept its texts
 * (ModelDatasetOptions.keep_texts). Before each merge every candidate is left out with `probability`, in [0,
 * 1]. */
ReelStatus model_subword_dropout_init(ModelSubwordDropout *dropout, const ModelDataset *dataset,
                                      double probability, uint64_t seed);
/* Cuts all texts for an epoch: each is a function of (seed, epoch, its row, the text), so any epoch can be
 * drawn again or out of turn. */
ReelStatus model_subword_dropout_draw(ModelSubwordDropout *dropout, int64_t epoch);
/* Also of a struct that is all zero. */
void model_subword_dropout_free(ModelSubwordDropout *dropout);

REEL_END_DECLS

#endif

/* A batch dealt out to shards, each of which has its texts longest first, and what a model says of them: what
 * training (trainer.c) and prediction (predictor.c) have in common. */
#ifndef REEL_MODELS_SHARES_INTERNAL_H
#define REEL_MODELS_SHARES_INTERNAL_H

#include "models/model.h"
#include "models/text/loader.h"
#include "models/training/trainer.h"

/* The texts of a batch that one shard has, longest first. */
typedef struct ModelShare {
    NnIds *texts, *labels; /* [count]; the labels only where they are dealt */
    int32_t *places;       /* [count]: where each stands in the batch */
    int32_t count, text_capacity;
    int32_t *ids; /* of texts that are read in another way than the batch has them */
    int64_t id_capacity;
} ModelShare;

/* All shares of a model that is asked; memory grows to the largest batch and stays. All zeros may be freed.
 */
typedef struct ModelShares {
    Model *model;
    NnParallel *parallel;
    int count;          /* shards */
    ModelShare *shares; /* [count] */
    int32_t *order;     /* the batch's texts, longest first */
    int32_t *first;     /* [length_capacity + 2]: of sorting them */
    int32_t text_capacity, length_capacity;
    const ModelBatch *batch; /* at hand */
    bool says_vectors;       /* and not logits */
    Tensor said;             /* where predictions go */
    float *const *attention;
} ModelShares;

/* The model must outlive it. Errors: those of nn_parallel_new(). */
ReelStatus model_shares_init(ModelShares *shares, Model *model, const NnParallelOptions *options);
void model_shares_free(ModelShares *shares);

/* Sorts `count` texts, the longest of `longest` ids, by their lengths, equal ones in their order: order
 * [count] gets their numbers; `first` has room for longest + 2. */
void model_order_by_length(const NnIds *texts, int32_t count, int32_t longest, int32_t *first,
                           int32_t *order);

/* Gives each shard its texts, with labels or without. `copied`: their ids stand in the share's memory, for
 * the caller to change; those of a padded batch always do. */
ReelStatus model_shares_deal(ModelShares *shares, const ModelBatch *batch, bool with_labels, bool copied);
/* What the model reads of a share. */
ModelInput model_share_input(const ModelShares *shares, const ModelShare *share, Tape *tape);

/* Those that a trainer trains with. */
ModelShares *model_trainer_shares(ModelTrainer *trainer);

/* What model_trainer_predict() does, on a model that is not training. */
ReelStatus model_shares_predict(ModelShares *shares, const ModelBatch *batch, Tensor said,
                                float *const *attention);

#endif

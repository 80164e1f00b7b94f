/* Batches of examples, in an order that only the seed and the epoch decide. */
#ifndef REEL_MODELS_LOADER_H
#define REEL_MODELS_LOADER_H

#include "models/text/dataset.h"
#include "nn/sequence.h"

REEL_BEGIN_DECLS

typedef struct ModelLoaderOptions {
    int32_t batch;    /* examples a batch, 1 or more; the last batch of an epoch may have fewer */
    int32_t most_ids; /* a batch of several texts has no more ids than these; 0: any number */
    bool shuffle;     /* otherwise in the order of the part, or: */
    bool by_length;   /* longest first, equal ones in their order: the fewest steps */
    bool pad;         /* every text counts as long as the longest of its batch, as in the notebook */
    uint64_t seed;
    /* Of a shuffled part: so many texts that lie side by side stay together, and only MODEL_LOADER_MIXED such
     * blocks at a time are mixed; 0: all are. For ids on a disk that seeks slowly: the system is asked for
     * whole blocks, in time. */
    int32_t block;
} ModelLoaderOptions;

enum { MODEL_LOADER_MIXED = 16 };

/* Which texts are read together. Labels, and ids that are in memory as i32, are where the part has them; the
 * rest is the loader's memory, and good until the next batch is asked for. */
typedef struct ModelBatch {
    int32_t size;            /* B */
    int32_t padded;          /* T: each text is to be filled up to so many ids with <pad>; 0: it is not */
    int32_t num_ids;         /* of all texts, padding included */
    const int32_t *examples; /* [B] indices into the part */
    const NnIds *texts;      /* [B] */
    const NnIds *labels;     /* [B] ascending; NULL: the part has none */
} ModelBatch;

/* What goes through a part, batch by batch. */
typedef struct ModelLoader {
    const ModelDatasetPart *part;
    ModelLoaderOptions options;
    int64_t next;          /* place in `order` of the next batch's first example */
    int32_t *order;        /* [part->count] */
    int32_t *blocks;       /* their order; NULL: options.block is 0 */
    int32_t asked;         /* how many of them the system has been asked for, */
    int64_t asked_end;     /* which end at this place in `order` */
    NnIds *texts, *labels; /* [batch] */
    int32_t *ids;          /* of a batch, where the part has them in another form */
    ReelStatus status;     /* what has gone wrong, where the part's ids are in a file */
} ModelLoader;

/* 64 examples, shuffled by seed 0, without padding. */
ModelLoaderOptions model_loader_defaults(void);
/* The part must outlive the loader, which begins with epoch 0 and allocates nothing afterwards.
 * Errors: a batch size below 1 or too large to count its ids, a block below 0, no memory. */
ReelStatus model_loader_init(ModelLoader *loader, const ModelDatasetPart *part,
                             const ModelLoaderOptions *options);
void model_loader_free(ModelLoader *loader);

/* Batches an epoch, where options.most_ids is 0. */
int64_t model_loader_num_batches(const ModelLoader *loader);
/* The order of an epoch is a function of (seed, epoch): any can be started, again or out of turn. */
void model_loader_start_epoch(ModelLoader *loader, int64_t epoch);
/* Goes to batch number `batch` of the epoch, from 0: where an interrupted run left off. Where
 * options.most_ids is 0. */
void model_loader_seek(ModelLoader *loader, int64_t batch);
/* The next batch of the epoch; false when there are no more, or loader->status is an error. */
bool model_loader_next(ModelLoader *loader, ModelBatch *batch);

/* The labels of `count` texts as a loss takes them: zeros and ones, f32 [count, classes], in memory of the
 * step. */
Var model_label_rows(Tape *tape, const NnIds *labels, int32_t count, int64_t classes);

REEL_END_DECLS

#endif

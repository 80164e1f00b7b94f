/* Batches of examples, in an order that only the seed and the epoch decide. */
#ifndef REEL_MODELS_LOADER_H
#define REEL_MODELS_LOADER_H

#include "models/text/dataset.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct ModelLoaderOptions {
    int32_t batch;  /* examples a batch, 1 or more; the last batch of an epoch may have fewer */
    bool shuffle;   /* otherwise in the order of the part, or: */
    bool by_length; /* longest first, equal ones in their order: the fewest steps */
    bool pad;       /* fill every text up to the longest of its batch with <pad>, as the notebook does */
    uint64_t seed;
} ModelLoaderOptions;

/* All memory is the loader's, and good until the next batch is asked for. */
typedef struct ModelBatch {
    int32_t size;            /* B */
    int32_t num_ids;         /* N, with padding B * T */
    const int32_t *examples; /* [B] indices into the part */
    const int32_t *ids;      /* [N] one text behind the other; with padding [B, T] */
    const int32_t *offsets;  /* [B + 1] text i is ids[offsets[i]] up to ids[offsets[i + 1]] */
    Tensor labels;           /* f32 [B, K], zeros and ones; invalid where the part has none */
} ModelBatch;

/* What goes through a part, batch by batch. */
typedef struct ModelLoader {
    const ModelDatasetPart *part;
    ModelLoaderOptions options;
    int64_t next;      /* place in `order` of the next batch's first example */
    int32_t *order;    /* [part->count] */
    int32_t *ids;      /* [batch * longest] */
    int32_t *offsets;  /* [batch + 1] */
    float *labels;     /* [batch, K] */
    ReelStatus status; /* what has gone wrong, where the part's ids are in a file */
} ModelLoader;

/* 64 examples, shuffled by seed 0, without padding. */
ModelLoaderOptions model_loader_defaults(void);
/* The part must outlive the loader, which begins with epoch 0 and allocates nothing afterwards.
 * Errors: a batch size below 1 or too large to count its ids, no memory. */
ReelStatus model_loader_init(ModelLoader *loader, const ModelDatasetPart *part,
                             const ModelLoaderOptions *options);
void model_loader_free(ModelLoader *loader);

/* The most ids that a batch can have. */
size_t model_loader_most_ids(const ModelLoader *loader);
/* Batches an epoch. */
int64_t model_loader_num_batches(const ModelLoader *loader);
/* The order of an epoch is a function of (seed, epoch): any can be started, again or out of turn. */
void model_loader_start_epoch(ModelLoader *loader, int64_t epoch);
/* Goes to batch number `batch` of the epoch, from 0: where an interrupted run left off. */
void model_loader_seek(ModelLoader *loader, int64_t batch);
/* The next batch of the epoch; false when there are no more, or loader->status is an error. */
bool model_loader_next(ModelLoader *loader, ModelBatch *batch);

REEL_END_DECLS

#endif

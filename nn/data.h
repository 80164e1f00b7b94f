/* Data for a loop of one's own: examples that are rows of arrays, texts, or both, in an order that seed and
 * epoch decide, batch by batch.
 *
 *     nn_loader_new(&loader, (NnLoaderOptions){.batch = 32, .shuffle = true});
 *     nn_loader_add_npy(loader, "images.npy"); // column 0
 *     nn_loader_add_npy(loader, "classes.npy"); // column 1
 *     for (int epoch = 0; epoch < 10; epoch++)
 *         for (nn_loader_start_epoch(loader, epoch); nn_loader_next(loader, &batch);) {
 *             tape_begin(tape);
 *             Var x = nn_batch_rows(batch, tape, 0);
 *             ... */
#ifndef REEL_NN_DATA_H
#define REEL_NN_DATA_H

#include "nn/sequence.h"

REEL_BEGIN_DECLS

typedef struct NnLoaderOptions {
    int64_t batch;    /* examples, 1 or more; the last batch of an epoch may have fewer */
    int64_t most_ids; /* a batch of several examples has no more ids in its texts than these; 0: any number */
    bool shuffle;     /* otherwise in the order in which they lie */
    bool drop_last;   /* leave out a last batch of fewer examples (without most_ids) */
    uint64_t seed;
} NnLoaderOptions;

/* Columns of as many examples each, and a place among them. */
typedef struct NnLoader NnLoader;

/* Errors, here and of the columns: an option out of range, no memory, a file that cannot be read, columns of
 * different lengths or of none. They stick: of columns, nn_loader_status() tells the first one, and there is
 * no batch. */
ReelStatus nn_loader_new(NnLoader **loader, NnLoaderOptions options);
void nn_loader_free(NnLoader *loader);
/* Adds a column: rows[i] of an array [N, ...], which stays in the caller's memory. */
void nn_loader_add(NnLoader *loader, Tensor rows);
/* The same of a .npy file's array, which is read into memory: floats as f32 or f64, integers as i32. */
void nn_loader_add_npy(NnLoader *loader, const char *path);
/* Adds a column of texts [count], which stay in the caller's memory. */
void nn_loader_add_texts(NnLoader *loader, const NnIds *texts, int64_t count);
ReelStatus nn_loader_status(const NnLoader *loader);
/* Examples in all; batches of the epoch. */
int64_t nn_loader_count(const NnLoader *loader);
int64_t nn_loader_num_batches(const NnLoader *loader);

/* The order of an epoch is a function of (seed, epoch); a loader begins with epoch 0. */
void nn_loader_start_epoch(NnLoader *loader, int64_t epoch);
/* Goes to batch number `batch` of the epoch, from 0: where an interrupted loop left off. */
void nn_loader_seek(NnLoader *loader, int64_t batch);

/* Examples that are looked at together; good until the next batch is asked for. Threads may read it. */
typedef struct NnBatch {
    const NnLoader *loader;
    const int32_t *examples; /* [size]: their numbers */
    int64_t size;
    int64_t ids; /* in all their texts */
} NnBatch;

/* The next batch of the epoch; false where there is none. */
bool nn_loader_next(NnLoader *loader, NnBatch *batch);
/* The examples of one shard of several (nn_parallel_backward()), as even as can be; perhaps none. */
NnBatch nn_batch_shard(NnBatch batch, int shard, int shards);
/* The rows of a column, [size, ...], in the step's memory. */
Var nn_batch_rows(NnBatch batch, Tape *tape, int column);
/* The texts of a column, packed. */
NnSequence nn_batch_texts(NnBatch batch, Tape *tape, int column);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_batch_rows(...)  TAPE_TRACE(Var, nn_batch_rows(__VA_ARGS__))
#define nn_batch_texts(...) TAPE_TRACE(NnSequence, nn_batch_texts(__VA_ARGS__))
#endif

#endif

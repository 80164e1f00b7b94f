/* Deflates what is written, block by block, on several threads.
 *
 * A member is cut into blocks of a fixed size. Each is deflated by itself, with an empty window, up to a
 * byte boundary (Z_SYNC_FLUSH), so that any thread can take any block and the blocks joined are one
 * deflate stream; the last one carries the end mark. A block this long loses next to nothing (measured on
 * weights: under 0.01 %) by starting afresh.
 *
 * Blocks go round in a ring: begun, filled, submitted, taken by a thread, done, retired, in the order in
 * which they were submitted. One thread begins, fills, submits, waits and retires. */
#ifndef REEL_TENSOR_NPZ_DEFLATE_INTERNAL_H
#define REEL_TENSOR_NPZ_DEFLATE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

enum {
    NPZ_BLOCK_BYTES = 1 << 20,
    NPZ_BLOCK_OUT_BYTES = NPZ_BLOCK_BYTES + NPZ_BLOCK_BYTES / 64 + 1024,
    NPZ_BLOCKS_PER_THREAD = 2,
    NPZ_DEFLATER_BYTES = NPZ_BLOCKS_PER_THREAD * (NPZ_BLOCK_BYTES + NPZ_BLOCK_OUT_BYTES) /* of a thread */
};

typedef struct NpzBlock {
    uint8_t *in, *out;
    size_t in_size;
    size_t entry; /* the caller's number of the member */
    int strategy; /* zlib's */
    bool first, last, done;
    bool failed;           /* from here on: where it is done */
    uint32_t crc;          /* of what went in */
    const uint8_t *result; /* what is to be written */
    size_t result_size;
} NpzBlock;

typedef struct NpzDeflater {
    int level; /* 0: blocks come out as they went in */
    NpzBlock *blocks;
    size_t block_count;
    uint64_t submitted, taken, retired; /* `taken`, `submitted`, `stop` and a block's `done` are shared */
    z_stream *streams;                  /* one for each thread */
    int stream_count;

    pthread_mutex_t lock;
    pthread_cond_t submitted_one, done_one;
    pthread_t *threads;
    int thread_count;
    bool stop;
} NpzDeflater;

/* Makes one. Threads that cannot be had are done without; the bytes are the same. False: no memory; it must
 * be closed all the same. */
bool npz_deflater_open(NpzDeflater *deflater, int level, int threads);
void npz_deflater_close(NpzDeflater *deflater);

/* Whether no block can be begun before one is retired. */
bool npz_deflater_is_full(const NpzDeflater *deflater);
/* Begins the next block. */
void npz_deflater_begin(NpzDeflater *deflater, size_t entry, int strategy, bool first);
/* Adds to it as many of the bytes as there is room for, and says how many. */
size_t npz_deflater_fill(NpzDeflater *deflater, const void *data, size_t size);
/* Gives it to the threads. `last`: the member ends with it. */
void npz_deflater_submit(NpzDeflater *deflater, bool last);

/* Whether a block was submitted that is not retired. */
bool npz_deflater_is_busy(const NpzDeflater *deflater);
/* The oldest of them, as soon as it is done. */
const NpzBlock *npz_deflater_wait(NpzDeflater *deflater);
/* Makes room where it was. */
void npz_deflater_retire(NpzDeflater *deflater);

#endif

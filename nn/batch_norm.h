/* Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167), with PyTorch's names. While training, each
 * channel is normalised by the mean and variance over the rest of x, and running ones follow them; otherwise
 * the running ones are taken.
 *
 * Under nn_parallel_backward() each shard normalises by its own rows, and what the shards saw is put together
 * in their order when all have run: the running statistics become those of the whole batch, the same bytes on
 * any number of threads and ranks. On a tape of one's own they change as forward runs. */
#ifndef REEL_NN_BATCH_NORM_H
#define REEL_NN_BATCH_NORM_H

#include "nn/module.h"

REEL_BEGIN_DECLS

/* Parameters: weight [C] (1 at first), bias [C] (0). Buffers: running_mean [C] (0), running_var [C] (1; of
 * squares over n - 1), num_batches_tracked (i32). */
typedef struct NnBatchNorm {
    NnModule base;
    NnParameter weight, bias;
    NnParameter running_mean, running_var, num_batches_tracked;
    double eps;      /* 1e-5 */
    double momentum; /* 0.1: running = (1 - momentum) running + momentum batch's */
} NnBatchNorm;

/* Channels are axis 1 of x. */
void nn_batch_norm_init(NnBatchNorm *m, int64_t channels);
/* x is [N, C] or [N, C, ...]: rows of features, signals, images. Errors: another number of channels; while
 * training, less than two values a channel. */
Var nn_batch_norm(NnBatchNorm *m, Var x);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_batch_norm(...) TAPE_TRACE(Var, nn_batch_norm(__VA_ARGS__))
#endif

#endif

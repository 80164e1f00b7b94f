/* What the parts of nn/parallel.h share. */
#ifndef REEL_NN_PARALLEL_INTERNAL_H
#define REEL_NN_PARALLEL_INTERNAL_H

#include "nn/parallel.h"
#include "nn/running_internal.h"
#include "nn/sum_internal.h"

/* A gradient that has outlived its tape: it is waiting for more to be added. */
typedef struct KeptGradient {
    Tensor dense;             /* invalid: not needed yet */
    bool has_dense, has_rows; /* at most one of them */
    int32_t *ids;             /* [count] */
    char *rows;               /* [count] rows as the parameter's */
    int64_t count;
    size_t id_capacity, row_capacity;
    int32_t *slots; /* by id: its place among `ids`, if that points back */
} KeptGradient;

/* Adds a gradient (contiguous) of a parameter with this value. False: no memory. */
bool nn_kept_add(KeptGradient *kept, const TapeGradient *gradient, Tensor value);
/* Whether anything has been added. */
static inline bool kept_any(const KeptGradient *kept)
{
    return kept->has_dense || kept->has_rows;
}
/* What has been added. */
TapeGradient nn_kept_view(const KeptGradient *kept, Tensor value);
/* Forgets it; the memory stays. */
void nn_kept_clear(KeptGradient *kept);
void nn_kept_free(KeptGradient *kept);

typedef struct Shard {
    int number; /* in the step */
    Tape *tape;
    TapeGradient *fresh; /* [parameters]: of the last step, in its memory */
    KeptGradient *kept;  /* [parameters]: of those before that no update has read */
    double value;        /* what the loss's function has come to */
    double forward, backward;
    SeenList seen; /* the owner of the tape */
    ReelStatus status;
} Shard;

struct NnParallel {
    NnModule *module;
    NnParallelOptions options;
    int first, count; /* this rank's shards */
    TensorPool *pool;
    Shard *shards;            /* [count] */
    NnParameter **parameters; /* [parameter_count], by address */
    int parameter_count;
    int64_t step;
    TapeGradient *whole; /* [parameter_count]: of all shards, where there are several ranks */
    TensorArena arena;   /* of the update */
    NnBytes *messages;   /* [ranks] */
    NnParallelTimes times;

    /* Of the call at hand. */
    NnShardLoss *loss;
    NnShardTask *task;
    void *context;
    Tensor *results; /* [count] */
    int first_task;
};

/* ---- shards.c ---- */

/* Lists the module's parameters by address. False: no memory. */
bool nn_parallel_list(NnParallel *p);
/* The number of a parameter in that list, or -1: it is none of the module's. */
int nn_parallel_number(const NnParallel *p, const NnParameter *parameter);
/* Whether there is any gradient, dense or by rows. */
bool nn_gradient_is_present(const TapeGradient *gradient);
/* The first shard of a rank, in the step. */
int nn_parallel_first_shard(const NnParallel *p, int rank);
/* What a shard of this rank, from 0, has for a parameter. */
TapeGradient nn_parallel_gradient(const NnParallel *p, int shard, const NnParameter *parameter);
/* What all shards have. */
void nn_parallel_set_whole(NnParallel *p, const NnParameter *parameter, TapeGradient gradient);
/* Sends a message, which begins with room for an int64_t, to all ranks, unless one of them has an error: then
 * that of the first one, everywhere. messages[r] is what rank r has behind that room. */
ReelStatus nn_parallel_tell(NnParallel *p, const ReelStatus *mine, char *message, size_t size);

/* ---- Those who ask them ---- */

/* Lets running statistics follow what all shards saw (running.c). */
ReelStatus nn_parallel_follow(NnParallel *p);
/* Adds up the gradients of some parameters over all ranks (exchange.c). */
ReelStatus nn_parallel_exchange(NnParallel *p, NnParameter *const *parameters, int count);

#endif

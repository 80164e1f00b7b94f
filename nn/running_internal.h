/* What forward saw of a batch, for statistics that run along (running.c). */
#ifndef REEL_NN_RUNNING_INTERNAL_H
#define REEL_NN_RUNNING_INTERNAL_H

#include "nn/batch_norm.h"

/* The statistics of one use of a module in one shard. */
typedef struct Seen {
    NnBatchNorm *norm;
    double count;           /* values of a channel */
    double *mean, *squares; /* [C]: their mean, and the sum of their squares about it */
    struct Seen *next;
} Seen;

/* Those of one shard, in the order of its forward: the owner of its tape. */
typedef struct SeenList {
    TensorArena arena;
    Seen *first, *last;
} SeenList;

void nn_seen_init(SeenList *list);
void nn_seen_free(SeenList *list);
void nn_seen_clear(SeenList *list);
/* Notes a batch's mean and variance [C]. False: no memory. */
bool nn_seen_add(SeenList *list, NnBatchNorm *norm, double count, Tensor mean, Tensor variance);
/* Lets the running statistics of a module follow. */
void nn_seen_follow(const Seen *seen);

#endif

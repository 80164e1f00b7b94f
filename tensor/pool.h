/* A thread pool. A task's number decides what is done, never which thread does
 * it, so results do not depend on how many there are. */
#ifndef REEL_TENSOR_POOL_H
#define REEL_TENSOR_POOL_H

#include "tensor/decls.h"

REEL_BEGIN_DECLS

/* A pool, and the function its threads run, called with the number of the task. */
typedef struct TensorPool TensorPool;
typedef void TensorPoolTask(void *context, int task);

/* A pool of `threads` threads, the caller's among them (1: no others are started). NULL where there is
 * no memory or a thread cannot be started. */
TensorPool *tensor_pool_new(int threads);
void tensor_pool_free(TensorPool *pool);
/* Runs tasks 0 .. count - 1 and returns when all are done. NULL as pool: one after another, here.
 * Denormals are flushed to zero inside tasks. Not from inside a task. */
void tensor_pool_run(TensorPool *pool, TensorPoolTask *task, void *context, int count);
/* The number of processors available to this process. */
int tensor_pool_processors(void);

REEL_END_DECLS

#endif

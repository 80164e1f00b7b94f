/* Steps and evaluation on all cores, of any module and any loop.
 *
 * A step is made of shards: parts of a batch, each with a tape of its own and no synchronisation inside. How
 * many there are is a setting of the run, since it decides in which order gradients are added up (pieces.h);
 * threads, and ranks (comm.h), only execute them. So the bytes depend on the shards alone. All ranks make the
 * same calls; each has an interval of the shards.
 *
 *     nn_parallel_new(&parallel, &model.base, &(NnParallelOptions){.shards = 2, .threads = 2});
 *     ...
 *     status = nn_parallel_backward(parallel, loss_of_shard, &batch, &loss);
 *     status = nn_optimizer_step(optimizer, nn_parallel_pieces(parallel)); */
#ifndef REEL_NN_PARALLEL_H
#define REEL_NN_PARALLEL_H

#include "nn/comm.h"
#include "nn/pieces.h"

REEL_BEGIN_DECLS

/* How a step is cut and who executes it. */
typedef struct NnParallelOptions {
    int shards;        /* in all: 1 to NN_MOST_SHARDS, and at least as many as there are ranks */
    int threads;       /* of this rank: 1 or more */
    NnComm *comm;      /* the ranks, which must outlive it; NULL: this process alone */
    uint64_t seed;     /* of dropout */
    bool check_finite; /* debug: stop at the first NaN or infinity and name its op and module */
} NnParallelOptions;

/* A module whose steps are made of shards. */
typedef struct NnParallel NnParallel;

/* The loss of one shard of `shards`, on its tape: the shards' losses add up to the loss of the batch (a mean
 * over a batch of B is, in each, its own sum divided by B). VAR_NONE: the shard has nothing to do. An error:
 * tape_fail(). Called from several threads, each with another shard. */
typedef Var NnShardLoss(void *context, Tape *tape, int shard, int shards);

/* The module must outlive it. With several ranks its values become those of rank 0. Errors: an option out of
 * range, an error of building the module, no memory; the ranks have different modules or shards. */
ReelStatus nn_parallel_new(NnParallel **parallel, NnModule *module, const NnParallelOptions *options);
void nn_parallel_free(NnParallel *parallel);

/* An error where the values of the parameters are not the same bytes on all ranks; `what` is "the weights
 * after epoch 3". */
ReelStatus nn_parallel_check(NnParallel *parallel, const char *what);

/* Runs the loss of each shard forward and backward, by tape_backward_last(). Several calls before an update
 * accumulate, each parameter until it is updated (an update reads the parameters of its own optimizer alone).
 * *sum (may be NULL): what the losses come to, added up in the order of the shards. An error is that of the
 * first shard that has one, on all ranks; what accumulated before stays. */
ReelStatus nn_parallel_backward(NnParallel *parallel, NnShardLoss *loss, void *context, double *sum);
/* The same of one shard without a function: the tape on which the loss is made, on the caller's thread, and
 * what nn_parallel_backward() does with it. So gradients of several losses add up before an update in the
 * memory of one tape. More shards than one are an error. */
Tape *nn_parallel_begin(NnParallel *parallel);
ReelStatus nn_parallel_end(NnParallel *parallel, Var loss);
/* Whether this rank executes a shard. */
bool nn_parallel_has(const NnParallel *parallel, int shard);
/* From the loss's function: what *sum gets for this shard instead of the loss. */
void nn_parallel_report(NnParallel *parallel, int shard, double value);
/* The gradients, for nn_optimizer_step(). */
NnPieces nn_parallel_pieces(NnParallel *parallel);
/* Forgets the gradients that no update has read: after an error of nn_optimizer_step(), to go on. */
void nn_parallel_clear(NnParallel *parallel);
/* The number of the next nn_parallel_backward(), from 0, on which its dropout depends: to go on where a run
 * was left, and to draw the same once more. */
void nn_parallel_set_step(NnParallel *parallel, int64_t step);

/* Computes the result of a task on a tape without gradients: a contiguous tensor in the step's memory or
 * memory of the caller, or an invalid one. Called from several threads, each with another task. */
typedef Tensor NnShardTask(void *context, Tape *tape, int task);
/* Takes the results in the order of the tasks, on the caller's thread; `result` lives until it returns. */
typedef void NnTakeResult(void *context, int task, Tensor result);
/* Runs tasks 0 .. count - 1; before an evaluation say nn_module_train(module, false). Gradients that wait for
 * an update stay. An error is that of the first task that has one; results before it may have been taken. */
ReelStatus nn_parallel_each(NnParallel *parallel, NnShardTask *task, NnTakeResult *take, void *context,
                            int count);

/* Where the time of the last nn_parallel_backward() went, in seconds; of the slowest shard. */
typedef struct NnParallelTimes {
    double prepare, forward, backward;
} NnParallelTimes;
/* Of the last call. */
NnParallelTimes nn_parallel_times(const NnParallel *parallel);
/* The bytes that the tapes' arenas hold at most. */
size_t nn_parallel_tape_bytes(const NnParallel *parallel);

REEL_END_DECLS

#endif

/* Several processes that train one model: its ranks. All of them run the same program and make the same calls
 * in the same order; in each call every rank waits for what it needs of the others.
 *
 * Ranks are processes that nn_comm_open() forks, where the command line has `--ranks N`; or those of MPI,
 * where Reel was built with it (make MPI=1) and the program was started by mpirun or srun. Otherwise there is
 * one rank. NULL is one rank too, everywhere. */
#ifndef REEL_NN_COMM_H
#define REEL_NN_COMM_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* The ranks as one of them sees them. */
typedef struct NnComm NnComm;

enum { NN_MOST_RANKS = 1024 };

/* Bytes of somebody else. */
typedef struct NnBytes {
    const void *data;
    size_t size;
} NnBytes;

/* To be called first in main(), before any thread is started or a product computed: it may fork, and takes
 * `--ranks N` from the arguments. The process that forks does not return from it: it waits for its ranks,
 * forwards signals to them, and exits as the first that fails, whereupon it ends the others. Errors: --ranks
 * is no number, or too large; no memory, no processes. */
ReelStatus nn_comm_open(NnComm **comm, int *argc, char ***argv);
/* Waits for the others, unless this rank has told of an error of its own (nn_comm_report()), which ends them.
 */
void nn_comm_close(NnComm *comm);
int nn_comm_rank(const NnComm *comm);
int nn_comm_size(const NnComm *comm);
/* How long a call waits while nothing arrives, in seconds; then it is an error, which names who is missing.
 * 60 at first; 0: for ever. */
void nn_comm_set_timeout(NnComm *comm, double seconds);

/* ---- What all ranks call together ---- */

/* The status of the first rank that has an error, everywhere. */
ReelStatus nn_comm_agree(NnComm *comm, const ReelStatus *mine);
/* The bytes of rank `root`, everywhere. */
ReelStatus nn_comm_broadcast(NnComm *comm, void *data, size_t size, int root);
/* all[r] = the bytes of rank r, in memory that lives until the next call. They may differ in number. */
ReelStatus nn_comm_gather_all(NnComm *comm, NnBytes mine, NnBytes *all);
/* from[r] = what rank r has in its to[this rank]; in memory that lives until the next call. */
ReelStatus nn_comm_exchange(NnComm *comm, const NnBytes *to, NnBytes *from);
/* Each value becomes its sum over the ranks. */
ReelStatus nn_comm_sum_i64(NnComm *comm, int64_t *values, int count);
/* An error that names the first rank whose value is not that of rank 0. `what` is "the weights after epoch
 * 3". */
ReelStatus nn_comm_same(NnComm *comm, uint32_t value, const char *what);

/* ---- What a rank tells by itself ---- */

/* Sends a number other than 0 along with the next nn_comm_gather_all(); safe in a signal handler. */
void nn_comm_raise(NnComm *comm, int number);
/* What the first rank that raised something raised, as of the last nn_comm_gather_all(): the same number on
 * all ranks at the same place of the program. 0: nothing yet. */
int nn_comm_raised(const NnComm *comm);
/* The bytes that this rank has sent to others, without what the network adds. */
int64_t nn_comm_bytes(const NnComm *comm);
/* Says how the program ends. True: this rank is to print it: rank 0, where all know of it. An error that only
 * this rank has gets the rank's name in front. */
bool nn_comm_report(NnComm *comm, ReelStatus *status);

REEL_END_DECLS

#endif

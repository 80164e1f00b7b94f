/* What the ways to connect ranks share: comm_fork.c, comm_mpi.c. */
#ifndef REEL_NN_COMM_INTERNAL_H
#define REEL_NN_COMM_INTERNAL_H

#include "nn/comm.h"

#include <signal.h>

/* What stands before each message. */
typedef struct CommHeader {
    int64_t size;
    int64_t raised;
} CommHeader;

/* A way to connect. Messages of this rank to itself are not its business. */
typedef struct CommKind {
    /* As nn_comm_exchange(); headers[r] is that of rank r's message. */
    ReelStatus (*exchange)(NnComm *comm, const NnBytes *to, NnBytes *from, CommHeader *headers);
    /* As nn_comm_gather_all(). */
    ReelStatus (*gather)(NnComm *comm, NnBytes mine, NnBytes *all, CommHeader *headers);
    void (*name)(const NnComm *comm, char *name, size_t size); /* "rank 3 on node7" */
    /* Frees what it has. Where a rank ends by itself, ends the others. */
    void (*close)(NnComm *comm, bool alone);
} CommKind;

/* What a rank knows of an error. */
typedef enum { COMM_FINE, COMM_AGREED, COMM_BROKEN } CommFate;

struct NnComm {
    const CommKind *kind; /* NULL: one rank */
    int rank, size;
    double timeout;
    int64_t bytes; /* sent to others */
    volatile sig_atomic_t raising;
    int raised;
    CommFate fate;
    bool is_silent; /* COMM_BROKEN: another rank tells of it */
    bool ends_alone;
    CommHeader *headers; /* [size] */
    NnBytes *to;         /* [size] */
    void *own;           /* of the kind */
};

/* A communicator of `size` ranks, or NULL. */
NnComm *nn_comm_new(const CommKind *kind, int rank, int size, void *own);
void nn_comm_free(NnComm *comm);
/* The error of ranks that do not answer, of which missing[r] says whether it is one. */
ReelStatus nn_comm_missing(NnComm *comm, const bool *missing);
/* The error of a rank that has ended. */
ReelStatus nn_comm_ended(NnComm *comm, int rank);

/* Forks `ranks` ranks; returns in them. */
ReelStatus nn_comm_fork(NnComm **comm, int ranks, const char *program);
#ifdef REEL_MPI
/* Whether a launcher has started this process as one of several. */
bool comm_mpi_is_launched(void);
ReelStatus comm_mpi(NnComm **comm, int *argc, char ***argv);
#endif

#endif

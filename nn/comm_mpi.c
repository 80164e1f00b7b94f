/* Ranks of MPI (make MPI=1). Collectives do not block, so that a deadline holds where a rank has stopped or a
 * link is cut, for which Open MPI would wait for ever. */
#define _GNU_SOURCE
#include "nn/comm_internal.h"
#include "tensor/clock.h"
#include "tensor/mem.h"

#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Mpi {
    int *out_sizes, *out_starts, *in_sizes, *in_starts; /* [size] */
    CommHeader *out_headers;                            /* [size] */
    char *out, *in;
    size_t out_capacity, in_capacity;
} Mpi;

bool comm_mpi_is_launched(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "SLURM_MPI_TYPE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            return true;
    return false;
}

/* ---- Waiting, with a deadline ---- */

enum { PING = 1, GRACE_SECONDS = 3 };

/* Without pause for a moment, as messages take microseconds; then the processor is left to others. */
static void pause_after(double waited)
{
    const struct timespec pause = {.tv_nsec = 50000};
    if (waited > 2e-4)
        sched_yield();
    if (waited > 2e-2)
        nanosleep(&pause, NULL);
}

static bool wait_until(MPI_Request *requests, int count, double deadline)
{
    double started = reel_clock_seconds(), now = started;
    int done = 0;
    while (MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE), !done) {
        now = reel_clock_seconds();
        if (deadline > 0 && now > deadline)
            return false;
        pause_after(now - started);
    }
    return true;
}

/* Who does not answer within a few seconds: the others have waited as long as this one, and ask too. */
static ReelStatus find_missing(NnComm *comm)
{
    size_t count = (size_t)comm->size;
    bool *missing = reel_mem_calloc(count, sizeof *missing);
    MPI_Request *requests = reel_mem_calloc(2 * count, sizeof *requests);
    char *pings = reel_mem_calloc(2 * count, 1);
    if (!missing || !requests || !pings)
        return reel_status_no_memory(count, "the ranks");
    for (int r = 0; r < comm->size; r++) {
        requests[r] = requests[comm->size + r] = MPI_REQUEST_NULL;
        if (r == comm->rank)
            continue;
        MPI_Irecv(&pings[r], 1, MPI_BYTE, r, PING, MPI_COMM_WORLD, &requests[r]);
        MPI_Isend(&pings[comm->size + r], 1, MPI_BYTE, r, PING, MPI_COMM_WORLD, &requests[comm->size + r]);
    }
    wait_until(requests, comm->size, reel_clock_seconds() + GRACE_SECONDS);
    for (int r = 0; r < comm->size; r++) {
        int done = 1;
        if (r != comm->rank && requests[r] != MPI_REQUEST_NULL)
            MPI_Test(&requests[r], &done, MPI_STATUS_IGNORE);
        missing[r] = !done;
    }
    ReelStatus status = nn_comm_missing(comm, missing);
    reel_mem_free(missing); /* the requests are still open, and their memory with them: the program ends */
    return status;
}

static ReelStatus wait_for(NnComm *comm, MPI_Request *request)
{
    double deadline = comm->timeout > 0 ? reel_clock_seconds() + comm->timeout : 0;
    return wait_until(request, 1, deadline) ? reel_status_ok() : find_missing(comm);
}

/* ---- Messages ---- */

static bool make_room(char **buffer, size_t *capacity, size_t size)
{
    if (size <= *capacity)
        return true;
    char *larger = reel_mem_alloc(size + size / 4);
    if (!larger)
        return false;
    reel_mem_free(*buffer);
    *buffer = larger;
    *capacity = size + size / 4;
    return true;
}

/* Where each rank's message goes in one buffer; false: it would be too large for MPI's counts. */
static bool lay_out(const CommHeader *headers, int count, int *sizes, int *starts, size_t *total)
{
    *total = 0;
    for (int r = 0; r < count; r++) {
        sizes[r] = (int)headers[r].size;
        starts[r] = (int)*total;
        *total += (size_t)headers[r].size;
        if (*total > INT_MAX)
            return false;
    }
    return true;
}

static ReelStatus too_large(size_t size)
{
    return reel_status_failed(
        "a message of %zu bytes is too large for MPI; use more ranks or a smaller model", size);
}

/* Room for what the headers say is to come. */
static ReelStatus prepare_in(NnComm *comm, const CommHeader *headers)
{
    Mpi *mpi = comm->own;
    size_t total;
    if (!lay_out(headers, comm->size, mpi->in_sizes, mpi->in_starts, &total))
        return too_large(total);
    return make_room(&mpi->in, &mpi->in_capacity, total) ? reel_status_ok()
                                                         : reel_status_no_memory(total, "messages");
}

static void hand_over(const NnComm *comm, NnBytes *from)
{
    const Mpi *mpi = comm->own;
    for (int r = 0; r < comm->size; r++)
        if (r != comm->rank)
            from[r] = (NnBytes){mpi->in + mpi->in_starts[r], (size_t)mpi->in_sizes[r]};
}

/* The messages to all ranks one after another; none to this one. */
static ReelStatus prepare_out(NnComm *comm, const NnBytes *to)
{
    Mpi *mpi = comm->own;
    size_t total;
    for (int r = 0; r < comm->size; r++)
        mpi->out_headers[r] = (CommHeader){.size = r == comm->rank ? 0 : (int64_t)to[r].size};
    if (!lay_out(mpi->out_headers, comm->size, mpi->out_sizes, mpi->out_starts, &total))
        return too_large(total);
    if (!make_room(&mpi->out, &mpi->out_capacity, total))
        return reel_status_no_memory(total, "messages");
    for (int r = 0; r < comm->size; r++)
        if (mpi->out_sizes[r])
            memcpy(mpi->out + mpi->out_starts[r], to[r].data, to[r].size);
    return reel_status_ok();
}

static ReelStatus exchange(NnComm *comm, const NnBytes *to, NnBytes *from, CommHeader *headers)
{
    enum { HEADER = sizeof(CommHeader) };
    Mpi *mpi = comm->own;
    MPI_Request request;
    ReelStatus status = prepare_out(comm, to);
    if (!reel_status_is_ok(&status))
        return status;
    MPI_Ialltoall(mpi->out_headers, HEADER, MPI_BYTE, headers, HEADER, MPI_BYTE, MPI_COMM_WORLD, &request);
    status = wait_for(comm, &request);
    if (reel_status_is_ok(&status))
        status = prepare_in(comm, headers);
    if (!reel_status_is_ok(&status))
        return status;
    MPI_Ialltoallv(mpi->out, mpi->out_sizes, mpi->out_starts, MPI_BYTE, mpi->in, mpi->in_sizes,
                   mpi->in_starts, MPI_BYTE, MPI_COMM_WORLD, &request);
    status = wait_for(comm, &request);
    hand_over(comm, from);
    return status;
}

static ReelStatus gather(NnComm *comm, NnBytes mine, NnBytes *all, CommHeader *headers)
{
    enum { HEADER = sizeof(CommHeader) };
    Mpi *mpi = comm->own;
    MPI_Request request;
    CommHeader header = headers[comm->rank];
    if (mine.size > INT_MAX)
        return too_large(mine.size);
    MPI_Iallgather(&header, HEADER, MPI_BYTE, headers, HEADER, MPI_BYTE, MPI_COMM_WORLD, &request);
    ReelStatus status = wait_for(comm, &request);
    if (reel_status_is_ok(&status))
        status = prepare_in(comm, headers);
    if (!reel_status_is_ok(&status))
        return status;
    int64_t total = 0;
    for (int r = 0; r < comm->size; r++)
        total += headers[r].size;
    if (total > 0) {
        MPI_Iallgatherv(mine.data ? mine.data : mpi->in, (int)mine.size, MPI_BYTE, mpi->in, mpi->in_sizes,
                        mpi->in_starts, MPI_BYTE, MPI_COMM_WORLD, &request);
        status = wait_for(comm, &request);
    }
    hand_over(comm, all);
    return status;
}

static void name(const NnComm *comm, char *name, size_t size)
{
    char host[MPI_MAX_PROCESSOR_NAME];
    int length;
    MPI_Get_processor_name(host, &length);
    snprintf(name, size, "rank %d on %.64s", comm->rank, host);
}

static void free_mpi(Mpi *mpi)
{
    reel_mem_free(mpi->out_sizes);
    reel_mem_free(mpi->out_starts);
    reel_mem_free(mpi->in_sizes);
    reel_mem_free(mpi->in_starts);
    reel_mem_free(mpi->out_headers);
    reel_mem_free(mpi->out);
    reel_mem_free(mpi->in);
    reel_mem_free(mpi);
}

static void close_comm(NnComm *comm, bool alone)
{
    fflush(NULL);
    if (alone)
        MPI_Abort(MPI_COMM_WORLD, 1);
    free_mpi(comm->own);
    MPI_Finalize();
}

static const CommKind mpi_kind = {.exchange = exchange, .gather = gather, .name = name, .close = close_comm};

ReelStatus comm_mpi(NnComm **comm, int *argc, char ***argv)
{
    int level, rank, size;
    if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        level < MPI_THREAD_FUNNELED)
        return reel_status_failed("MPI cannot be started with threads");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    size_t count = (size_t)size;
    Mpi *mpi = reel_mem_calloc(1, sizeof *mpi);
    if (!mpi)
        return reel_status_no_memory(sizeof *mpi, "the ranks");
    *mpi = (Mpi){.out_sizes = reel_mem_calloc(count, sizeof(int)),
                 .out_starts = reel_mem_calloc(count, sizeof(int)),
                 .in_sizes = reel_mem_calloc(count, sizeof(int)),
                 .in_starts = reel_mem_calloc(count, sizeof(int)),
                 .out_headers = reel_mem_calloc(count, sizeof(CommHeader))};
    bool ok = mpi->out_sizes && mpi->out_starts && mpi->in_sizes && mpi->in_starts && mpi->out_headers;
    *comm = ok ? nn_comm_new(&mpi_kind, rank, size, mpi) : NULL;
    if (*comm)
        return reel_status_ok();
    free_mpi(mpi);
    return reel_status_no_memory(count * sizeof(CommHeader), "the ranks");
}

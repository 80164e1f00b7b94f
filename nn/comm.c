#include "nn/comm_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

NnComm *nn_comm_new(const CommKind *kind, int rank, int size, void *own)
{
    NnComm *comm = reel_mem_calloc(1, sizeof *comm);
    if (!comm)
        return NULL;
    *comm = (NnComm){.kind = kind,
                     .rank = rank,
                     .size = size,
                     .timeout = 60,
                     .headers = reel_mem_calloc((size_t)size, sizeof(CommHeader)),
                     .to = reel_mem_calloc((size_t)size, sizeof(NnBytes)),
                     .own = own};
    if (comm->headers && comm->to)
        return comm;
    nn_comm_free(comm);
    return NULL;
}

void nn_comm_free(NnComm *comm)
{
    reel_mem_free(comm->headers);
    reel_mem_free(comm->to);
    reel_mem_free(comm);
}

int nn_comm_rank(const NnComm *comm)
{
    return comm ? comm->rank : 0;
}

int nn_comm_size(const NnComm *comm)
{
    return comm ? comm->size : 1;
}

void nn_comm_set_timeout(NnComm *comm, double seconds)
{
    if (comm)
        comm->timeout = seconds;
}

/* ---- Errors of the connection ---- */

ReelStatus nn_comm_missing(NnComm *comm, const bool *missing)
{
    char list[128] = "";
    int first_there = -1;
    comm->fate = COMM_BROKEN;
    for (int r = 0; r < comm->size; r++) {
        size_t length = strlen(list);
        if (missing[r] && length < sizeof list - 8)
            snprintf(list + length, sizeof list - length, "%s%d", length ? ", " : "", r);
        if (!missing[r] && first_there < 0)
            first_there = r;
    }
    comm->is_silent = first_there != comm->rank;
    return reel_status_failed(
        "rank %s has not answered for %g s: it was stopped, or its machine or network is "
        "gone; start again, or give it more time",
        list, comm->timeout);
}

ReelStatus nn_comm_ended(NnComm *comm, int rank)
{
    comm->fate = COMM_BROKEN;
    return reel_status_failed("rank %d has ended", rank);
}

/* ---- Calls of all ranks ---- */

/* What the first rank raised. */
static void note_raised(NnComm *comm)
{
    for (int r = 0; r < comm->size && comm->raised == 0; r++)
        comm->raised = (int)comm->headers[r].raised;
}

ReelStatus nn_comm_gather_all(NnComm *comm, NnBytes mine, NnBytes *all)
{
    ReelStatus status = reel_status_ok();
    if (comm) {
        comm->headers[comm->rank] = (CommHeader){(int64_t)mine.size, comm->raising};
        comm->bytes += (comm->size - 1) * (int64_t)(sizeof(CommHeader) + mine.size);
        if (comm->kind)
            status = comm->kind->gather(comm, mine, all, comm->headers);
        if (reel_status_is_ok(&status))
            note_raised(comm);
    }
    all[nn_comm_rank(comm)] = mine;
    return status;
}

ReelStatus nn_comm_exchange(NnComm *comm, const NnBytes *to, NnBytes *from)
{
    ReelStatus status =
        comm && comm->kind ? comm->kind->exchange(comm, to, from, comm->headers) : reel_status_ok();
    for (int r = 0; comm && r < comm->size; r++)
        if (r != comm->rank)
            comm->bytes += (int64_t)(sizeof(CommHeader) + to[r].size);
    from[nn_comm_rank(comm)] = to[nn_comm_rank(comm)];
    return status;
}

/* all[r] for a while, or NULL. */
static NnBytes *new_all(const NnComm *comm)
{
    return reel_mem_calloc((size_t)nn_comm_size(comm), sizeof(NnBytes));
}

/* The status of rank r, which sent it where it is an error. */
static ReelStatus status_from(NnBytes bytes)
{
    ReelStatus status = reel_status_ok();
    if (bytes.size == sizeof status)
        memcpy(&status, bytes.data, sizeof status);
    return status;
}

ReelStatus nn_comm_agree(NnComm *comm, const ReelStatus *mine)
{
    NnBytes *all = new_all(comm), bytes = {mine, reel_status_is_ok(mine) ? 0 : sizeof *mine};
    if (!all)
        return reel_status_no_memory(sizeof *all, "the ranks");
    ReelStatus status = nn_comm_gather_all(comm, bytes, all), first = reel_status_ok();
    int failed = 0, size = nn_comm_size(comm), who = 0;
    for (int r = size; r-- > 0 && reel_status_is_ok(&status);)
        if (all[r].size > 0) {
            first = status_from(all[r]);
            who = r;
            failed++;
        }
    reel_mem_free(all);
    if (!reel_status_is_ok(&status) || failed == 0)
        return status;
    if (comm)
        comm->fate = COMM_AGREED;
    if (failed == size)
        return first;
    ReelStatus named = reel_status_failed("rank %d: %.480s", who, first.message);
    named.code = first.code;
    return named;
}

ReelStatus nn_comm_broadcast(NnComm *comm, void *data, size_t size, int root)
{
    NnBytes *all = new_all(comm);
    if (!all)
        return reel_status_no_memory(sizeof *all, "the ranks");
    ReelStatus status =
        nn_comm_gather_all(comm, nn_comm_rank(comm) == root ? (NnBytes){data, size} : (NnBytes){0}, all);
    if (reel_status_is_ok(&status) && all[root].size != size)
        status = reel_status_failed(
            "rank %d sent %zu bytes where %zu were expected; the ranks do different things", root,
            all[root].size, size);
    else if (reel_status_is_ok(&status) && nn_comm_rank(comm) != root)
        memcpy(data, all[root].data, size);
    reel_mem_free(all);
    return status;
}

ReelStatus nn_comm_sum_i64(NnComm *comm, int64_t *values, int count)
{
    size_t size = (size_t)count * sizeof *values;
    NnBytes *all = new_all(comm);
    int64_t *mine = reel_mem_alloc(size);
    ReelStatus status = reel_status_no_memory(size, "the ranks");
    if (all && mine) {
        memcpy(mine, values, size);
        memset(values, 0, size);
        status = nn_comm_gather_all(comm, (NnBytes){mine, size}, all);
        for (int r = 0; r < nn_comm_size(comm) && reel_status_is_ok(&status); r++) {
            if (all[r].size != size)
                status = reel_status_failed(
                    "rank %d has %zu bytes to sum and not %zu; the ranks do different things", r, all[r].size,
                    size);
            for (int i = 0; i < count && all[r].size == size; i++) {
                int64_t value;
                memcpy(&value, (const char *)all[r].data + (size_t)i * sizeof value, sizeof value);
                values[i] += value;
            }
        }
    }
    reel_mem_free(all);
    reel_mem_free(mine);
    return status;
}

enum { NAME_SIZE = 96 };

/* The name of another rank; all call it together. */
static ReelStatus name_of(NnComm *comm, int rank, char name[NAME_SIZE])
{
    memset(name, 0, NAME_SIZE);
    if (comm->kind)
        comm->kind->name(comm, name, NAME_SIZE);
    return nn_comm_broadcast(comm, name, NAME_SIZE, rank);
}

ReelStatus nn_comm_same(NnComm *comm, uint32_t value, const char *what)
{
    if (nn_comm_size(comm) == 1)
        return reel_status_ok();
    NnBytes *all = new_all(comm);
    if (!all)
        return reel_status_no_memory(sizeof *all, "the ranks");
    ReelStatus status = nn_comm_gather_all(comm, (NnBytes){&value, sizeof value}, all);
    int other = 0;
    for (int r = comm->size; r-- > 1 && reel_status_is_ok(&status);)
        if (all[r].size != sizeof value || memcmp(all[r].data, all[0].data, sizeof value) != 0)
            other = r;
    reel_mem_free(all);
    if (!reel_status_is_ok(&status) || other == 0)
        return status;
    char name[NAME_SIZE];
    status = name_of(comm, other, name);
    if (!reel_status_is_ok(&status))
        return status;
    comm->fate = COMM_AGREED;
    return reel_status_failed(
        "%s: %s differ from those of rank 0; all ranks must have the same files, the same "
        "build of Reel and BLIS, and processors of one kind",
        name, what);
}

/* ---- Calls of one rank ---- */

void nn_comm_raise(NnComm *comm, int number)
{
    if (comm)
        comm->raising = number;
}

int nn_comm_raised(const NnComm *comm)
{
    return comm ? comm->raised : 0;
}

int64_t nn_comm_bytes(const NnComm *comm)
{
    return comm ? comm->bytes : 0;
}

bool nn_comm_report(NnComm *comm, ReelStatus *status)
{
    if (!comm || !comm->kind)
        return true;
    if (reel_status_is_ok(status) || comm->fate == COMM_AGREED)
        return comm->rank == 0;
    if (comm->fate == COMM_FINE) {
        ReelStatus mine = *status;
        *status = reel_status_failed("rank %d: %.480s", comm->rank, mine.message);
        status->code = mine.code;
        comm->ends_alone = true;
    }
    return !comm->is_silent;
}

/* Which ranks there are: those of a launcher, those that are forked, or this process alone. */
#include "nn/comm_internal.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

/* Takes `--ranks N` or `--ranks=N` from the arguments; *ranks is 0 where there is none. */
static ReelStatus take_ranks(int *argc, char **argv, int *ranks)
{
    static const char name[] = "--ranks";
    const size_t length = sizeof name - 1;
    *ranks = 0;
    for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        bool joined = strncmp(argv[i], name, length) == 0 && argv[i][length] == '=';
        if (!joined && strcmp(argv[i], name) != 0)
            continue;
        const char *value = joined ? argv[i] + length + 1 : i + 1 < *argc ? argv[i + 1] : "";
        int taken = joined || i + 1 == *argc ? 1 : 2;
        char *end;
        long number = strtol(value, &end, 10);
        if (end == value || *end || number < 1 || number > NN_MOST_RANKS)
            return reel_status_usage("--ranks %s: must be a whole number from 1 to %d", value, NN_MOST_RANKS);
        *ranks = (int)number;
        memmove(argv + i, argv + i + taken, (size_t)(*argc - i - taken + 1) * sizeof *argv);
        *argc -= taken;
        i--;
    }
    return reel_status_ok();
}

ReelStatus nn_comm_open(NnComm **comm, int *argc, char ***argv)
{
    int ranks;
    *comm = NULL;
    ReelStatus status = take_ranks(argc, *argv, &ranks);
    if (!reel_status_is_ok(&status))
        return status;
#ifdef REEL_MPI
    if (comm_mpi_is_launched())
        return ranks ? reel_status_usage(
                           "--ranks %d: the program was started with ranks of MPI; leave it out", ranks)
                     : comm_mpi(comm, argc, argv);
#endif
    if (ranks > 1)
        return nn_comm_fork(comm, ranks, (*argv)[0]);
    *comm = nn_comm_new(NULL, 0, 1, NULL);
    return *comm ? reel_status_ok() : reel_status_no_memory(sizeof **comm, "the ranks");
}

void nn_comm_close(NnComm *comm)
{
    if (!comm)
        return;
    bool alone = comm->ends_alone || comm->fate == COMM_BROKEN;
    if (comm->kind && !alone) {
        NnBytes *all = reel_mem_calloc((size_t)comm->size, sizeof *all);
        ReelStatus status = all ? nn_comm_gather_all(comm, (NnBytes){0}, all) : reel_status_ok();
        (void)status; /* the program ends in any case */
        reel_mem_free(all);
    }
    if (comm->kind)
        comm->kind->close(comm, alone);
    nn_comm_free(comm);
}

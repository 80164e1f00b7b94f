/* What ranks send each other: the time of a message, the bandwidth, and the bytes of a step, as counted by
 * the communicator and by the network. Under a launcher, or with --ranks. */
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tools/bench.h"

#include <stdio.h>
#include <string.h>

enum { WARM_UP = 3, MESSAGES = 1000, EXCHANGES = 20, BLOCK = 4 << 20, IDS = 400, ROW = 64, SIDE = 300 };

/* As the one of tests/nn/comm.c: how many rows a step has is known. */
typedef struct Wide {
    NnModule base;
    NnEmbedding words;
    NnLinear fc;
} Wide;

/* No id is in two shards. */
static Var loss_of_shard(void *context, Tape *tape, int shard, int shards)
{
    Wide *m = context;
    (void)shards;
    Tensor ids = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(IDS));
    for (int i = 0; i < IDS; i++)
        tensor_i32(ids)[i] = IDS * shard + i;
    Var rows = var_sum(nn_embedding(&m->words, tape_constant(tape, ids)), TENSOR_AXES_ALL, false);
    Tensor x = tensor_full(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(1, SIDE), 1.0);
    return var_add(rows, var_sum(nn_linear(&m->fc, tape_constant(tape, x)), TENSOR_AXES_ALL, false));
}

/* Bytes that have left this machine (or network namespace) so far, over all links but the one to itself. */
static int64_t network_bytes(void)
{
    char line[400], name[64];
    long long sent, sum = 0;
    FILE *file = fopen("/proc/net/dev", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, " %63[^:]: %*s %*s %*s %*s %*s %*s %*s %*s %lld", name, &sent) == 2 &&
            strcmp(name, "lo") != 0)
            sum += sent;
    if (file)
        fclose(file);
    return sum;
}

/* Bytes of all ranks together in a step; the formula of docs/parallel.md. */
static double formula(int ranks, int shards)
{
    double dense = 4.0 * (SIDE * SIDE + SIDE), row = 4 + 4.0 * ROW, distinct = (double)shards * IDS;
    return (ranks - 1) * (2 * dense + (distinct / ranks + distinct) * row);
}

static ReelStatus count_bytes(const BenchOptions *options, NnComm *comm, double *sent, double *on_network)
{
    Wide m;
    NnParallel *parallel = NULL;
    NnOptimizer *optimizer = NULL;
    int64_t bytes[2] = {0};
    ReelStatus status = options->shape.vocab < options->shards * IDS
                            ? reel_status_usage("--exchange --vocab %d: %d shards have %d ids",
                                                options->shape.vocab, options->shards, options->shards * IDS)
                            : reel_status_ok();
    status = nn_comm_agree(comm, &status);
    if (!reel_status_is_ok(&status))
        return status;
    nn_module_init(&m.base);
    NN_ADD(&m, words, nn_embedding_init, options->shape.vocab, ROW);
    NN_ADD(&m, fc, nn_linear_init, SIDE, SIDE);
    status = nn_module_reset(&m.base, options->seed);
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(&parallel, &m.base,
                                 &(NnParallelOptions){.shards = options->shards, .threads = 1, .comm = comm});
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&optimizer, &m.base, nn_optimizer_options(NN_ADAM));
    for (int i = -WARM_UP; i < options->steps && reel_status_is_ok(&status); i++) {
        if (i == 0) {
            bytes[0] = -nn_comm_bytes(comm);
            bytes[1] = -network_bytes();
        }
        status = nn_parallel_backward(parallel, loss_of_shard, &m, NULL);
        if (reel_status_is_ok(&status))
            status = nn_optimizer_step(optimizer, nn_parallel_pieces(parallel));
    }
    bytes[0] += nn_comm_bytes(comm);
    bytes[1] += network_bytes();
    if (reel_status_is_ok(&status))
        status = nn_comm_sum_i64(comm, bytes, 2);
    *sent = (double)bytes[0] / options->steps;
    *on_network = (double)bytes[1] / options->steps;
    nn_optimizer_free(optimizer);
    nn_parallel_free(parallel);
    nn_module_free(&m.base);
    return status;
}

/* Seconds. On a machine that does something else as well the least is closer to the truth. */
typedef struct Message {
    double median, least;
} Message;

/* Seconds in which all ranks have gathered a number: a message to each other rank, and its arrival. */
static ReelStatus time_message(NnComm *comm, NnBytes *all, Message *message)
{
    static double seconds[MESSAGES];
    int64_t number = 0;
    ReelStatus status = reel_status_ok();
    for (int i = -WARM_UP; i < MESSAGES && reel_status_is_ok(&status); i++) {
        double started = reel_clock_seconds();
        status = nn_comm_gather_all(comm, (NnBytes){&number, sizeof number}, all);
        if (i >= 0)
            seconds[i] = reel_clock_seconds() - started;
    }
    message->median = model_spread_median(seconds, MESSAGES); /* which sorts them */
    message->least = seconds[0];
    return status;
}

/* Bytes a second that a rank sends, while it gets as many. */
static ReelStatus time_block(NnComm *comm, NnBytes *all, double *bandwidth)
{
    double seconds[EXCHANGES];
    char *block = reel_mem_calloc(BLOCK, 1);
    ReelStatus status = block ? reel_status_ok() : reel_status_no_memory(BLOCK, "what is sent");
    for (int i = -WARM_UP; i < EXCHANGES && reel_status_is_ok(&status); i++) {
        double started = reel_clock_seconds();
        status = nn_comm_gather_all(comm, (NnBytes){block, BLOCK}, all);
        if (i >= 0)
            seconds[i] = reel_clock_seconds() - started;
    }
    reel_mem_free(block);
    *bandwidth = (nn_comm_size(comm) - 1) * (double)BLOCK / model_spread_median(seconds, EXCHANGES);
    return status;
}

static ReelStatus save(const BenchOptions *options, int ranks, Message message, double bandwidth, double sent,
                       double on_network)
{
    double expected = formula(ranks, options->shards);
    ReelJsonWriter json = {0};
    bench_begin(&json);
    printf("%d ranks: a message in %.1f us (at best %.1f), %.2f GB/s each way\n", ranks, 1e6 * message.median,
           1e6 * message.least, 1e-9 * bandwidth);
    printf("a step, %d ids: %.0f bytes sent, %.0f on the network, %.0f by the formula\n",
           options->shape.vocab, sent, on_network, expected);
    reel_json_begin_object(&json, "exchange");
    reel_json_integer(&json, "ranks", ranks);
    reel_json_number(&json, "message_seconds", message.median);
    reel_json_number(&json, "least_message_seconds", message.least);
    reel_json_number(&json, "bytes_a_second", bandwidth);
    reel_json_number(&json, "sent", sent);
    reel_json_number(&json, "network", on_network);
    reel_json_number(&json, "formula", expected);
    reel_json_end_object(&json);
    return bench_end(&json, options, reel_status_ok());
}

ReelStatus bench_exchange(const BenchOptions *asked, NnComm *comm)
{
    BenchOptions options = *asked;
    int ranks = nn_comm_size(comm);
    Message message = {0};
    double bandwidth = 0, sent = 0, on_network = 0;
    options.shards = options.shards ? options.shards : ranks;
    NnBytes *all = reel_mem_alloc((size_t)ranks * sizeof *all);
    ReelStatus status = all ? reel_status_ok() : reel_status_no_memory(0, "what ranks send");
    if (reel_status_is_ok(&status))
        status = time_message(comm, all, &message);
    if (reel_status_is_ok(&status))
        status = time_block(comm, all, &bandwidth);
    if (reel_status_is_ok(&status))
        status = count_bytes(&options, comm, &sent, &on_network);
    if (reel_status_is_ok(&status) && nn_comm_rank(comm) == 0)
        status = save(&options, ranks, message, bandwidth, sent, on_network);
    reel_mem_free(all);
    return status;
}

/* A training loop of one's own, through nn_parallel: on threads and on ranks, in turns. */
#define _GNU_SOURCE
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tools/bench_draw.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WARM_UP = 3, LSTM_WIDTH = 256 };

/* The classifier of the README. */
typedef struct Classifier {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear fc;
    ModelBatch batch; /* of the step at hand */
} Classifier;

static void classifier_init(Classifier *m, const BenchShape *shape)
{
    int embed = shape->embed ? shape->embed : LSTM_WIDTH, hidden = shape->hidden ? shape->hidden : LSTM_WIDTH;
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, shape->vocab, embed);
    NN_ADD(m, lstm, nn_lstm_init, embed, hidden);
    NN_ADD(m, fc, nn_linear_init, hidden, shape->labels);
}

static Var loss_of_shard(void *context, Tape *tape, int shard, int shards)
{
    Classifier *m = context;
    const ModelBatch *batch = &m->batch;
    int32_t first = batch->size * shard / shards, last = batch->size * (shard + 1) / shards;
    if (first == last)
        return VAR_NONE;
    NnSequence text = nn_pack_texts(tape, batch->texts + first, last - first);
    Var logits = nn_linear(&m->fc, nn_lstm(&m->lstm, nn_embedding_sequence(&m->embedding, text)).last);
    Var target = model_label_rows(tape, batch->labels + first, last - first, var_size(logits, 1));
    Var sum = var_bce_with_logits(logits, target, VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM);
    return var_scale(sum, 1.0 / (double)(batch->size * var_size(logits, 1)), 0.0);
}

/* Who executes the shards. */
typedef struct Workers {
    int threads, ranks;
} Workers;

static ReelStatus take_steps(Classifier *m, BenchDraw *draw, NnParallel *parallel, NnOptimizer *optimizer,
                             int steps, double *seconds)
{
    ReelStatus status = reel_status_ok();
    for (int i = -WARM_UP; i < steps && reel_status_is_ok(&status); i++) {
        m->batch = bench_draw_next(draw);
        double started = reel_clock_seconds();
        status = nn_parallel_backward(parallel, loss_of_shard, m, NULL);
        if (reel_status_is_ok(&status))
            status = nn_optimizer_step(optimizer, nn_parallel_pieces(parallel));
        if (i >= 0)
            seconds[i] = reel_clock_seconds() - started;
    }
    return status;
}

/* The median of some steps. */
static ReelStatus measure(const BenchOptions *options, Workers workers, NnComm *comm, double *median)
{
    Classifier m;
    BenchDraw draw;
    NnParallel *parallel = NULL;
    NnOptimizer *optimizer = NULL;
    double *seconds = reel_mem_alloc((size_t)options->steps * sizeof *seconds);
    NnParallelOptions how = {
        .shards = options->shards ? options->shards : 2, .threads = workers.threads, .comm = comm};
    classifier_init(&m, &options->shape);
    bool drawn = bench_draw_init(&draw, &options->shape, options->seed);
    ReelStatus status =
        drawn && seconds ? nn_module_reset(&m.base, options->seed) : reel_status_no_memory(0, "the batches");
    if (reel_status_is_ok(&status))
        status = nn_parallel_new(&parallel, &m.base, &how);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&optimizer, &m.base, nn_optimizer_options(NN_ADAM));
    if (reel_status_is_ok(&status))
        status = take_steps(&m, &draw, parallel, optimizer, options->steps, seconds);
    *median = model_spread_median(seconds, options->steps);
    nn_optimizer_free(optimizer);
    nn_parallel_free(parallel);
    nn_module_free(&m.base);
    bench_draw_free(&draw);
    reel_mem_free(seconds);
    return status;
}

/* In a process of its own, which has no threads yet and may fork ranks. Writes the median to `fd`. */
static _Noreturn void run_apart(const BenchOptions *options, Workers workers, int fd)
{
    char program[] = "bench", option[] = "--ranks", number[16];
    char *arguments[] = {program, option, number, NULL}, **argv = arguments;
    int argc = 3;
    NnComm *comm;
    double median = NAN;
    snprintf(number, sizeof number, "%d", workers.ranks);
    ReelStatus status = nn_comm_open(&comm, &argc, &argv);
    if (reel_status_is_ok(&status))
        status = measure(options, workers, comm, &median);
    if (!reel_status_is_ok(&status) && nn_comm_report(comm, &status))
        fprintf(stderr, "bench: %s\n", status.message);
    if (reel_status_is_ok(&status) && nn_comm_rank(comm) == 0 && write(fd, &median, sizeof median) < 0)
        status = reel_status_failed("cannot tell the time");
    nn_comm_close(comm);
    _exit((int)status.code);
}

static ReelStatus run(const BenchOptions *options, Workers workers, double *median)
{
    int pipes[2], status = 1;
    *median = NAN;
    if (pipe(pipes) != 0)
        return reel_status_failed("cannot make a pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_apart(options, workers, pipes[1]);
    close(pipes[1]);
    bool told = read(pipes[0], median, sizeof *median) == sizeof *median;
    close(pipes[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || !told)
        return reel_status_failed("steps on %d threads and %d ranks failed", workers.threads, workers.ranks);
    return reel_status_ok();
}

ReelStatus bench_parallel(const BenchOptions *options)
{
    static const Workers all[] = {{1, 1}, {2, 1}, {1, 2}};
    enum { COUNT = sizeof all / sizeof all[0] };
    double *seconds = reel_mem_alloc(COUNT * (size_t)options->rounds * sizeof *seconds), medians[COUNT];
    ReelStatus status = seconds ? reel_status_ok() : reel_status_no_memory(0, "the times");
    ReelJsonWriter json = {0};
    for (int round = 0; round < options->rounds; round++)
        for (int k = 0; k < COUNT && reel_status_is_ok(&status); k++)
            status = run(options, all[k], &seconds[k * options->rounds + round]);
    if (reel_status_is_ok(&status)) {
        bench_begin(&json);
        printf("an LSTM's own loop, %d shards, medians of %d rounds of %d steps\n",
               options->shards ? options->shards : 2, options->rounds, options->steps);
        reel_json_begin_array(&json, "parallel");
        for (int k = 0; k < COUNT; k++) {
            medians[k] = model_spread_median(&seconds[k * options->rounds], options->rounds);
            printf("%d thread%s, %d rank%s: %7.2f ms a step, %.2f times as fast as one\n", all[k].threads,
                   all[k].threads == 1 ? "" : "s", all[k].ranks, all[k].ranks == 1 ? "" : "s",
                   1e3 * medians[k], medians[0] / medians[k]);
            reel_json_begin_object(&json, NULL);
            reel_json_integer(&json, "threads", all[k].threads);
            reel_json_integer(&json, "ranks", all[k].ranks);
            reel_json_number(&json, "seconds", medians[k]);
            reel_json_end_object(&json);
        }
        reel_json_end_array(&json);
        status = bench_end(&json, options, status);
    }
    reel_mem_free(seconds);
    return status;
}

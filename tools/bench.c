/* Measures Reel: training steps of the zoo's models, its ops, how cost grows, and what else a run takes. */
#include "tools/bench.h"
#include "tensor/pool.h"
#include "tools/bench_peers.h"
#include "tools/program.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Counting calls of malloc by anybody, BLIS and the C library among them ---- */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static atomic_uint_fast64_t malloc_count;

/* glibc's own functions under their second names; the program's take the place of the first. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void count_call(void)
{
    atomic_fetch_add_explicit(&malloc_count, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count_call();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_call();
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    count_call();
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count_call();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    count_call();
    void *made = __libc_memalign(alignment, size);
    if (made)
        *block = made;
    return made ? 0 : 12; /* ENOMEM */
}

static uint64_t malloc_calls(void)
{
    return atomic_load_explicit(&malloc_count, memory_order_relaxed);
}
#define MALLOC_CALLS malloc_calls
#else
#define MALLOC_CALLS NULL
#endif

/* ---- The command line ---- */

typedef struct Settings {
    BenchOptions bench;
    const char *pipeline, *serving, *bpe, *peer;
    bool scaling, parallel, exchange, ops, growth;
} Settings;

static Settings defaults(void)
{
    return (Settings){.bench = {.models = "all",
                                .shape = {.batch = 64, .len = 64, .vocab = 21163, .labels = 29},
                                .threads = tensor_pool_processors(),
                                .steps = 20,
                                .rounds = 5,
                                .drawing = "build/growth.svg",
                                .malloc_calls = MALLOC_CALLS}};
}

/* Whether a file can be written there later: a measurement takes minutes, and it would be a pity. */
static ReelStatus check_path(const char *path)
{
    char folder[PATH_MAX];
    struct stat info;
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder)
        return reel_status_failed("%.200s: the path is too long; choose a shorter one", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return reel_status_failed("%s: is a folder; name a file in it", path);
    if (access(slash ? folder : ".", W_OK | X_OK) != 0)
        return reel_status_failed("%s: cannot be written there: %s; choose another path", path,
                                  strerror(errno));
    return reel_status_ok();
}

static ReelStatus check(const Settings *s, const NnComm *comm)
{
    const BenchShape *shape = &s->bench.shape;
    const int most = INT32_MAX / 2;
    if (shape->distinct > shape->vocab)
        return reel_status_usage("--distinct %d: there are only %d ids", shape->distinct, shape->vocab);
    if ((int64_t)shape->batch * shape->len > most)
        return reel_status_usage("--batch %d --len %d: too many tokens", shape->batch, shape->len);
    if ((int64_t)shape->batch * shape->labels > most)
        return reel_status_usage("--batch %d --labels %d: too many decisions", shape->batch, shape->labels);
    if (s->bench.seed > INT64_MAX) /* JSON has it as a signed integer */
        return reel_status_usage("--seed %llu: must be below 2^63", (unsigned long long)s->bench.seed);
    if (s->scaling && s->bench.threads > BENCH_MAX_RUNS)
        return reel_status_usage("--scaling --threads %d: at most %d", s->bench.threads, BENCH_MAX_RUNS);
    if (s->exchange != (nn_comm_size(comm) > 1))
        return reel_status_usage(s->exchange ? "--exchange: needs --ranks 2 or more, or mpirun"
                                             : "ranks are for --exchange");
    ReelStatus status = s->bench.json ? check_path(s->bench.json) : reel_status_ok();
    if (reel_status_is_ok(&status) && s->growth)
        status = check_path(s->bench.drawing);
    return status;
}

static ReelStatus run(Settings *s, NnComm *comm)
{
    BenchShape *shape = &s->bench.shape;
    if (shape->distinct == 0)
        shape->distinct = shape->vocab < 21163 ? shape->vocab : 21163;
    ReelStatus status = check(s, comm);
    status = nn_comm_agree(comm, &status);
    if (!reel_status_is_ok(&status))
        return status;
    if (s->exchange)
        return bench_exchange(&s->bench, comm);
    if (s->ops || s->bench.op)
        return bench_ops(&s->bench);
    if (s->growth)
        return bench_growth(&s->bench);
    if (s->pipeline)
        return bench_pipeline(&s->bench, s->pipeline);
    if (s->serving)
        return bench_serving(&s->bench, s->serving);
    if (s->bpe)
        return bench_bpe(&s->bench, s->bpe);
    if (s->peer)
        return bench_peer(s->peer, s->bench.threads, s->bench.seed);
    if (s->parallel)
        return bench_parallel(&s->bench);
    if (s->scaling)
        return bench_scaling(&s->bench);
    return bench_models(&s->bench);
}

int main(int argc, char **argv)
{
    Settings settings = defaults();
    BenchOptions *b = &settings.bench;
    BenchShape *shape = &b->shape;
    const ModelOption options[] = {
        {"models", "LIST", MODEL_OPTION_TEXT, &b->models, 0, 0, "names separated by commas, or all"},
        {"batch", "N", MODEL_OPTION_INTEGER, &shape->batch, 1, 1e5, "texts a batch (64)"},
        {"len", "N", MODEL_OPTION_INTEGER, &shape->len, 1, 1e5, "tokens a text (64)"},
        {"vocab", "N", MODEL_OPTION_INTEGER, &shape->vocab, 5, 1e8, "ids (21163)"},
        {"distinct", "N", MODEL_OPTION_INTEGER, &shape->distinct, 1, 1e8, "words in use (min(vocab, 21163))"},
        {"embed", "N", MODEL_OPTION_INTEGER, &shape->embed, 1, 1 << 20,
         "width of the embedding (the model's own)"},
        {"hidden", "N", MODEL_OPTION_INTEGER, &shape->hidden, 1, 1 << 20,
         "width of the state (the model's own)"},
        {"layers", "N", MODEL_OPTION_INTEGER, &shape->layers, 1, 1000,
         "layers of attention and stacked (the model's own)"},
        {"labels", "N", MODEL_OPTION_INTEGER, &shape->labels, 1, 1e5, "labels (29)"},
        {"threads", "N", MODEL_OPTION_INTEGER, &b->threads, 1, 256, "threads (all processors)"},
        {"shards", "N", MODEL_OPTION_INTEGER, &b->shards, 1, 1024, "parts of a batch (threads)"},
        {"steps", "N", MODEL_OPTION_INTEGER, &b->steps, 1, 4096, "steps measured, after 3 that are not (20)"},
        {"rounds", "N", MODEL_OPTION_INTEGER, &b->rounds, 1, 256, "turns in which the models take them (5)"},
        {"seed", "N", MODEL_OPTION_SEED, &b->seed, 0, 0, "of weights, ids and labels (0)"},
        {"scaling", NULL, MODEL_OPTION_FLAG, &settings.scaling, 0, 0,
         "instead: each model on 1 to --threads threads"},
        {"parallel", NULL, MODEL_OPTION_FLAG, &settings.parallel, 0, 0,
         "instead: an LSTM's own loop on 1 and 2 threads and on 2 ranks"},
        {"exchange", NULL, MODEL_OPTION_FLAG, &settings.exchange, 0, 0,
         "instead: messages and bytes of a step between ranks, of --ranks N or of mpirun"},
        {"ops", NULL, MODEL_OPTION_FLAG, &settings.ops, 0, 0, "instead: each op alone"},
        {"op", "NAME", MODEL_OPTION_TEXT, &b->op, 0, 0, "instead: this op alone"},
        {"growth", NULL, MODEL_OPTION_FLAG, &settings.growth, 0, 0,
         "instead: how cost grows with length, batch, width, vocabulary"},
        {"drawing", "FILE", MODEL_OPTION_TEXT, &b->drawing, 0, 0, "of --growth, SVG (build/growth.svg)"},
        {"pipeline", "FILE", MODEL_OPTION_TEXT, &settings.pipeline, 0, 0,
         "instead: from this TSV to the first batch"},
        {"serving", "FILE", MODEL_OPTION_TEXT, &settings.serving, 0, 0,
         "instead: the texts of this TSV one by one, from characters to logits"},
        {"bpe", "FILE", MODEL_OPTION_TEXT, &settings.bpe, 0, 0,
         "instead: byte pairs learned from this text, and encoding and decoding it"},
        {"peer", "NAME", MODEL_OPTION_TEXT, &settings.peer, 0, 0,
         "instead: answer each line of stdin with a step of this model of tools/pytorch_peers.py"},
        {"json", "FILE", MODEL_OPTION_TEXT, &b->json, 0, 0, "where to write the results"},
    };
    const Program program = {
        .name = "reel-bench",
        .summary = "measure training steps, ops, and what else a run takes",
        .synopsis = "[options]",
        .description =
            "Measures training steps (forward, backward, Adam) of the zoo's models on drawn ids, each model "
            "in a process of its own, in turns, and gives medians. The peak is what one-thread products of "
            "1024^3 reach on all threads together, measured in the same process. With --threads 1 `alone` "
            "says which share of it the step's products reach when they are multiplied again with nothing "
            "between "
            "them.",
        .options = options,
        .count = OPTION_COUNT(options),
    };
    NnComm *comm = NULL;
    ReelStatus status = nn_comm_open(&comm, &argc, &argv);
    if (reel_status_is_ok(&status) && program_reads(&program, argc, argv, NULL, NULL, &status))
        status = run(&settings, comm);
    int code = nn_comm_report(comm, &status) ? program_report(&status) : (int)status.code;
    nn_comm_close(comm);
    return code;
}

/* One model that is trained in a process of its own, a step whenever it is told to.
 *
 * So several can take turns, which lets whatever else the machine does fall on all of them alike, while
 * each has its peak memory and its counts of allocations for itself. */
#ifndef REEL_TOOLS_BENCH_RUN_H
#define REEL_TOOLS_BENCH_RUN_H

#include "tools/bench.h"

#include <sys/types.h>

typedef struct BenchSetting {
    const ModelKind *kind;
    BenchShape shape; /* as asked for */
    int threads, shards;
    uint64_t seed;
    uint64_t (*malloc_calls)(void);
} BenchSetting;

enum { BENCH_MAX_SAMPLES = 4096 };

/* Times in seconds. */
typedef struct BenchSample {
    double step, forward, backward, optimizer, cpu;
    double loss;
    uint64_t flops;          /* in products */
    uint64_t mallocs, other; /* calls of Reel's allocator, and of the C library's by anybody else */
    double peak_rss_mb;      /* during training so far */
} BenchSample;

typedef struct BenchRun {
    BenchSetting setting;
    BenchShape shape; /* with the model's own sizes filled in */
    int64_t parameters;
    pid_t process;
    int line; /* to the process: a socket */
    int count;
    BenchSample *samples; /* [BENCH_MAX_SAMPLES] */
    int peak_count;
    double peaks[256]; /* GFLOP/s, see bench_run_peak() */
    double alone;      /* see bench_run_alone(); 0: not measured */
} BenchRun;

/* Starts the process, which builds the model. On success the caller ends it with bench_run_end(). */
ReelStatus bench_run_start(BenchRun *run, const BenchSetting *setting);
void bench_run_end(BenchRun *run);
/* Trains so many steps, each on a batch of its own, and keeps their samples where `keep`. */
ReelStatus bench_run_steps(BenchRun *run, int count, bool keep);
/* Measures the peak of products there (limits_sgemm()) and keeps it. */
ReelStatus bench_run_peak(BenchRun *run);
/* Measures, with one thread, which share of the peak the products of a step reach by themselves
 * (bench_products_gflops()): behind the last step, since it takes memory that the process then has. */
ReelStatus bench_run_alone(BenchRun *run);

/* The medians of the samples; flops are the mean, mallocs and other the sum over all of them. */
BenchSample bench_run_median(const BenchRun *run);
double bench_run_least_step(const BenchRun *run);
double bench_run_median_peak(const BenchRun *run);
/* Operations of the mathematics as the notebook writes it, for one step; 0 where it has no such model. */
double bench_notebook_flops(const char *model, const BenchShape *shape);

#endif

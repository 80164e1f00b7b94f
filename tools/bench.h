/* What the parts of tools/bench share. */
#ifndef REEL_TOOLS_BENCH_H
#define REEL_TOOLS_BENCH_H

#include "tensor/storage/json_writer.h"
#include "models/model.h"
#include "models/training/spread.h"
#include "nn/comm.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Runs that may take turns. */
enum { BENCH_MAX_RUNS = 64 };

/* What a training step works on. embed, hidden and layers 0: the model's own. */
typedef struct BenchShape {
    int batch, len, vocab, distinct, embed, hidden, layers, labels;
} BenchShape;

typedef struct BenchOptions {
    const char *models; /* names separated by commas, or all */
    BenchShape shape;
    int threads, shards; /* shards 0: as many as threads */
    int steps, rounds;   /* steps a model that are measured, in so many turns */
    uint64_t seed;
    const char *json;               /* where results go, or NULL */
    const char *drawing;            /* of --growth */
    const char *op;                 /* measured alone, or NULL: all */
    uint64_t (*malloc_calls)(void); /* calls of malloc and its kin, whoever made them; NULL: not counted */
} BenchOptions;

/* What --models names: models of the zoo, and those that only the bench knows. */
ReelStatus bench_choose_models(const char *list, const ModelKind **kinds, int most, int *count);

/* The parts of the program. Each prints a table and writes options->json where it is given. */
ReelStatus bench_models(const BenchOptions *options);
ReelStatus bench_scaling(const BenchOptions *options);
ReelStatus bench_parallel(const BenchOptions *options);
/* Between the ranks of `comm`, of which there must be two or more. */
ReelStatus bench_exchange(const BenchOptions *options, NnComm *comm);
ReelStatus bench_ops(const BenchOptions *options);
ReelStatus bench_growth(const BenchOptions *options);
ReelStatus bench_pipeline(const BenchOptions *options, const char *path);
ReelStatus bench_serving(const BenchOptions *options, const char *path);
/* Medians of options->rounds turns, at least 3. */
ReelStatus bench_bpe(const BenchOptions *options, const char *path);

/* ---- For all of them ---- */

/* What was measured where: processor, number of processors, load, vector instructions. Into the object at
 * hand, and in one line on stdout. */
void bench_describe_machine(ReelJsonWriter *json);
/* Begins results as an object with the machine in it. */
void bench_begin(ReelJsonWriter *json);
/* Ends them and writes them to options->json, where it is given; of an error only the error comes back. */
ReelStatus bench_end(ReelJsonWriter *json, const BenchOptions *options, ReelStatus status);

#endif

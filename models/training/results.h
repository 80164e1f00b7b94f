/* results.json: what a run of the zoo came to. The names in it are a contract. */
#ifndef REEL_MODELS_RESULTS_H
#define REEL_MODELS_RESULTS_H

#include "models/training/ensemble.h"
#include "models/training/run.h"

REEL_BEGIN_DECLS

typedef struct Results {
    const char *data; /* the path that was given */
    const Dataset *dataset;
    uint64_t seed; /* the first */
    int threads, shards, batch;
    double lr;
    bool notebook;
    const RunResult *models; /* [count]: the seeds of one model one after another */
    int count;
    const Ensemble *ensemble; /* of all of them, or NULL */
} Results;

enum { RESULTS_MAX_SEEDS = 64 };

/* How many of the runs, from the first on, are seeds of one model: the same name, and rising seeds. */
int results_seeds(const RunResult *runs, int count);
/* Writes `path` atomically. */
ReelStatus results_write(const Results *results, const char *path);

REEL_END_DECLS

#endif

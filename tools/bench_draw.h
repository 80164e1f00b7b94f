/* Batches of drawn ids, as tools/bench_pytorch.py draws them: word i of `distinct` comes with probability
 * proportional to 1/(i+1) and has the id 4 + floor(i (V - 4) / distinct), which spreads the words in use over
 * the vocabulary and leaves the four special ids alone. Every text has the same length. */
#ifndef REEL_TOOLS_BENCH_DRAW_H
#define REEL_TOOLS_BENCH_DRAW_H

#include "models/text/loader.h"
#include "tensor/random.h"
#include "tools/bench.h"

typedef struct BenchDraw {
    BenchShape shape;
    TensorRandom random;
    double *cumulated;        /* [distinct] */
    int32_t *ids, *label_ids; /* [batch * len], [batch * labels] */
    NnIds *texts, *labels;    /* [batch] */
} BenchDraw;

bool bench_draw_init(BenchDraw *draw, const BenchShape *shape, uint64_t seed);
void bench_draw_free(BenchDraw *draw);
/* The next batch, in memory of `draw` that the one after it takes over. */
ModelBatch bench_draw_next(BenchDraw *draw);

#endif

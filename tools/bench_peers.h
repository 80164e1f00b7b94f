/* Small models of many kinds, as tools/pytorch_peers.py has them in PyTorch: what the bench compares with it.
 */
#ifndef REEL_TOOLS_BENCH_PEERS_H
#define REEL_TOOLS_BENCH_PEERS_H

#include "nn/nn.h"

/* A model and its loss on drawn data; both sides have the same sizes. */
typedef struct BenchPeer {
    const char *name;
    size_t size; /* of its struct, which begins with an NnModule */
    int examples, most_shards;
    NnOptimizerKind optimizer;
    void (*init)(NnModule *module);
    /* The mean loss of `count` drawn examples. */
    Var (*loss)(NnModule *module, Tape *tape, int count);
} BenchPeer;

/* Draws what the examples are made of; before any loss. */
void bench_peers_draw(uint64_t seed);

extern const BenchPeer bench_peers[];
extern const int bench_peer_count;

/* Answers each line of stdin with a step's milliseconds, and a line "peak" with the products' GFLOP/s; the
 * first line of its own says what it is. */
ReelStatus bench_peer(const char *name, int threads, uint64_t seed);

#endif

/* Small models of many kinds, as tools/pytorch_peers.py has them in PyTorch: what the bench compares with it.
 */
#ifndef REEL_TOOLS_BENCH_PEERS_H
#define REEL_TOOLS_BENCH_PEERS_H

#include "nn/nn.h"
#include "tensor/storage/npz_writer.h"

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

/* Draws what the examples are made of, before any loss: numbers in [0, 1). */
Tensor bench_peers_draw(uint64_t seed);
/* Whether a model's own noise is drawn (as it is at first), or is those numbers. */
void bench_peers_draw_noise(bool drawn);

extern const BenchPeer bench_peers[];
extern const int bench_peer_count;

/* A program that is more than a model: runs it on drawn data, and adds what it was made of and what comes of
 * it to a file. */
typedef struct BenchProgram {
    const char *name;
    ReelStatus (*check)(uint64_t seed, TensorNpzWriter *out);
} BenchProgram;

extern const BenchProgram bench_programs[];
extern const int bench_program_count;

/* Adds all weights of a module, each under its name behind the prefix. */
void bench_peers_add_weights(TensorNpzWriter *out, NnModule *module, const char *prefix);

/* Weights, texts as numbers / 100, and of each text the beam: ids [16, 4, 10], counts and log_p [16, 4]. */
ReelStatus bench_check_beam_search(uint64_t seed, TensorNpzWriter *out);
/* Weights as they were, and after training last/, their average mean/, its best best/; the epoch of that,
 * from 1. Texts and vectors are of the numbers; what fails ends the program. */
ReelStatus bench_check_loop(uint64_t seed, TensorNpzWriter *out);

/* Answers each line of stdin with a step's milliseconds, a line "peak" with the products' GFLOP/s, and "check
 * PATH" with the loss, without noise, and an .npz file of what it was made of: parameters NAME, their
 * gradients grad/NAME, and the drawn numbers. The first line of its own says what it is. A
 * program answers "check PATH" alone. */
ReelStatus bench_peer(const char *name, int threads, uint64_t seed);

#endif

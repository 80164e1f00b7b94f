/* The tokenizer's part of tools/bench. */
#ifndef REEL_TOOLS_BENCH_BPE_H
#define REEL_TOOLS_BENCH_BPE_H

#include "tools/bench.h"

/* Trains on the text at `path` (8,000 and 32,000 tokens), encodes and decodes it; prints a table and writes
 * options->json where it is given. Medians of options->rounds turns (at least 3). */
ReelStatus bench_bpe(const BenchOptions *options, const char *path);

#endif

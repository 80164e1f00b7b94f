/* Counter-based random numbers: Philox-4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy
 * as 1, 2, 3"). A number is a pure function of (seed, stream, counter), so what is drawn for one
 * purpose never shifts what is drawn for another, and any position can be returned to. */
#ifndef REEL_TENSOR_RANDOM_H
#define REEL_TENSOR_RANDOM_H

#include "tensor/decls.h"
#include "tensor/view.h"

#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct TensorRandom {
    uint64_t seed;    /* the key */
    uint64_t stream;  /* which sequence of this seed */
    uint64_t counter; /* how many 32-bit numbers have been drawn */
} TensorRandom;

/* A stream from its beginning. */
TensorRandom tensor_random_new(uint64_t seed, uint64_t stream);
/* The four 32-bit numbers of block `block` of a stream. */
void tensor_random_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]);
/* A stream number made from a name: FNV-1a, 64 bits. */
uint64_t tensor_random_stream(const char *name);

/* The next number, 32 bits. */
uint32_t tensor_random_u32(TensorRandom *random);
/* The next n numbers, faster than one by one. */
void tensor_random_fill_u32(TensorRandom *random, uint32_t *out, int64_t n);
/* In [0, 1) with 24 bits. */
float tensor_random_uniform(TensorRandom *random);
/* In [0, 1) with 53 bits (two draws). */
double tensor_random_uniform_f64(TensorRandom *random);
/* In [0, bound) without bias; bound > 0. */
uint32_t tensor_random_below(TensorRandom *random, uint32_t bound);
/* Standard normal (Box-Muller; four draws). */
double tensor_random_normal(TensorRandom *random);
/* Puts n values in random order (Fisher-Yates). */
void tensor_random_shuffle(TensorRandom *random, int32_t *values, int32_t n);
/* 0 .. n-1 in random order. */
void tensor_random_permutation(TensorRandom *random, int32_t *out, int32_t n);
/* Fills a tensor of f32 or f64 in C order with low + (high - low) tensor_random_uniform_f64(), below `high`
 * also after rounding, or with mean + deviation tensor_random_normal(). f32 and f64 draw the same numbers.
 * Leaves tensors of another dtype, and invalid ones, as they are. */
void tensor_random_fill_uniform(TensorRandom *random, Tensor t, double low, double high);
void tensor_random_fill_normal(TensorRandom *random, Tensor t, double mean, double deviation);

REEL_END_DECLS

#endif

/* The products of a step by themselves: their shapes are noted while the step runs, and then they are
 * multiplied again, in the same order and by the same functions, with nothing between them. */
#ifndef REEL_TOOLS_BENCH_PRODUCTS_H
#define REEL_TOOLS_BENCH_PRODUCTS_H

#include "tensor/flops.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct BenchProduct {
    TensorProductKind kind;
    int64_t m, n, k;
} BenchProduct;

/* Set to zero before the first use. */
typedef struct BenchProducts {
    BenchProduct *list;
    size_t count, capacity;
    bool failed; /* no memory */
} BenchProducts;

/* Notes all products but sparse ones from now on, or no more. Of one thread. */
void bench_products_note(BenchProducts *products);
void bench_products_stop(void);
/* Multiplies them, packed matrices being there already and all others in memory that the last product used
 * too; what they reach, in GFLOP/s. 0 where there is no memory. Empties the list. */
double bench_products_gflops(BenchProducts *products);
void bench_products_free(BenchProducts *products);

#endif

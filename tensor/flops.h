/* Counts the arithmetic of matrix products, for measurements: 2 M N K for each product that is executed. */
#ifndef REEL_TENSOR_FLOPS_H
#define REEL_TENSOR_FLOPS_H

#include "tensor/decls.h"

#include <stdint.h>

REEL_BEGIN_DECLS

/* Notes products of [m, k] by [k, n], from any thread. Elementwise work does not count. */
void tensor_flops_add_product(int64_t m, int64_t n, int64_t k);
/* Floating-point operations in products since the start of the process. */
uint64_t tensor_flops_count(void);
/* The same of products that this thread has begun. */
uint64_t tensor_flops_count_here(void);

REEL_END_DECLS

#endif

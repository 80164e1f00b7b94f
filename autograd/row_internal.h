/* What autograd/row_kernels_internal.h takes for either dtype. */
#ifndef REEL_AUTOGRAD_ROW_INTERNAL_H
#define REEL_AUTOGRAD_ROW_INTERNAL_H

#include "tensor/elementwise.h"
#include "tensor/levels.h"

TENSOR_INLINE double row_first(double x, double y, double mean)
{
    (void)y, (void)mean;
    return x;
}

TENSOR_INLINE double row_product(double x, double y, double mean)
{
    (void)mean;
    return x * y;
}

TENSOR_INLINE double row_square(double x, double y, double mean)
{
    (void)y;
    return (x - mean) * (x - mean);
}

/* TENSOR_LEVELS() of names that are macros. The kernels have no fused operations: all levels give the same
 * bits. */
#define AT_LEVELS(name, loop, parameters, ...) TENSOR_LEVELS(name, loop, parameters, __VA_ARGS__)

/* How many short rows are processed together: enough for an exp to pay, few enough to stay in the cache. */
static inline int64_t row_block(int64_t size)
{
    return size < 1024 ? 1024 / (size ? size : 1) : 1;
}

#endif

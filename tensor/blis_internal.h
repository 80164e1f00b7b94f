/* BLIS's products, and which of its kernels make them. */
#ifndef REEL_TENSOR_BLIS_INTERNAL_H
#define REEL_TENSOR_BLIS_INTERNAL_H

#include "tensor/tensor.h"

/* c[m, n] = alpha a[m, k] b[k, n] + beta c on this thread. dtype is f32 or f64, strides are in elements and
 * none is 0. BLIS's path for small matrices is off: with it the bits of a row depend on how many rows there
 * are. */
void tensor_blis_multiply(TensorDtype dtype, int64_t m, int64_t n, int64_t k, double alpha, const void *a,
                          int64_t a_row, int64_t a_column, const void *b, int64_t b_row, int64_t b_column,
                          double beta, void *c, int64_t c_row, int64_t c_column);

#endif

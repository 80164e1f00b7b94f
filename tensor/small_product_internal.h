/* Products of small matrices, of which a batch has many. */
#ifndef REEL_TENSOR_SMALL_PRODUCT_INTERNAL_H
#define REEL_TENSOR_SMALL_PRODUCT_INTERNAL_H

#include "tensor/tensor.h"

/* A matrix of f32 where its elements lie, strides in elements. */
typedef struct TensorSmallMatrix {
    const float *data;
    int64_t row, column;
} TensorSmallMatrix;

/* c[m, n] = a[m, k] b[k, n], added to c where `add`, with the bits that tensor_blis_multiply() gives. False,
 * and nothing is done: BLIS does it as fast, or with other bits on this processor. */
bool tensor_small_product(int64_t m, int64_t n, int64_t k, TensorSmallMatrix a, TensorSmallMatrix b, bool add,
                          float *c, int64_t c_row, int64_t c_column);

#endif

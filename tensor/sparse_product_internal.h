/* Products of which the left operand is nearly all zeros, such as the gradient of a maximum over the rows of
 * a text: what is not zero is multiplied alone, with the bits of all. */
#ifndef REEL_TENSOR_SPARSE_PRODUCT_INTERNAL_H
#define REEL_TENSOR_SPARSE_PRODUCT_INTERNAL_H

#include "tensor/panels.h"

typedef struct TensorSparseNumber {
    int32_t at; /* its place along the inner axis */
    float value;
} TensorSparseNumber;

/* The numbers of a matrix that are not 0, row by row, each row's in the order of the inner axis. */
typedef struct TensorSparse {
    int64_t rows, count;
    TensorSparseNumber *numbers;
    int32_t *next, *end; /* [rows]: which of them are a row's and were not multiplied yet */
} TensorSparse;

/* Tiles have at most that many numbers. */
enum { TENSOR_SPARSE_TILE = 32 };

/* Rows of the right operand: row `at` lies at data + at * row or, where there are `each`, at each[at], in
 * tiles of `width` numbers that are `tile` apart. */
typedef struct TensorSparseRight {
    const float *data, *const *each;
    int64_t row, tile, width;
} TensorSparseRight;

/* Finds the numbers of a [M, K]; `transposed`: of the transpose of all `count` matrices, one below the other,
 * which have the same columns. False, and `arena` is as it was: not so few of them are other than 0 that it
 * pays, or there is no memory. */
bool tensor_sparse_find(TensorSparse *sparse, const Tensor *a, int64_t count, bool transposed,
                        TensorArena *arena);

/* out[i, 0 .. columns) = the sum of row i's numbers whose places are below `end`, and were not multiplied
 * yet, times the rows of `right`; added to out where `add`. Each element is one chain of fused products and
 * sums. */
void tensor_sparse_multiply(TensorSparse *sparse, int64_t end, TensorSparseRight right, bool add, float *out,
                            int64_t row_stride, int64_t columns);

#endif

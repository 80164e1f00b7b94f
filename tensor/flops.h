/* Counts the arithmetic of matrix products, for measurements: 2 M N K for each product that is executed. */
#ifndef REEL_TENSOR_FLOPS_H
#define REEL_TENSOR_FLOPS_H

#include "tensor/decls.h"

#include <stdint.h>

REEL_BEGIN_DECLS

/* How: by itself, with a matrix that was packed before, as a sum over pairs of rows (tensor/panels.h), or of
 * m elements that are not zero by a row each (k is 1). */
typedef enum {
    TENSOR_PRODUCT_PLAIN,
    TENSOR_PRODUCT_PANELS,
    TENSOR_PRODUCT_PAIRS,
    TENSOR_PRODUCT_SPARSE
} TensorProductKind;

/* Notes products of [m, k] by [k, n], from any thread. Elementwise work does not count. */
void tensor_flops_add_product(TensorProductKind kind, int64_t m, int64_t n, int64_t k);
/* Is told of each of them, on its thread; NULL: nobody is. To be set while no product is computed. */
typedef void TensorFlopsWatch(void *context, TensorProductKind kind, int64_t m, int64_t n, int64_t k);
void tensor_flops_watch(TensorFlopsWatch *watch, void *context);
/* Floating-point operations in products since the start of the process. */
uint64_t tensor_flops_count(void);
/* The same of products that this thread has begun. */
uint64_t tensor_flops_count_here(void);

REEL_END_DECLS

#endif

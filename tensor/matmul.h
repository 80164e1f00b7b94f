/* Matrix products through BLIS, with the operands' own strides: a transposed operand is never copied. */
#ifndef REEL_TENSOR_MATMUL_H
#define REEL_TENSOR_MATMUL_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

/* out = alpha * a b + beta * out.  a [..., M, K], b [..., K, N], out [..., M, N]; leading axes are
 * batches; those of a and b are broadcast to those of out. With beta 0, out is not read. f32 and f64.
 * False where shapes or dtypes do not fit, or `out` is a broadcast view. `out` must not overlap a or b.
 * Runs on the calling thread alone; the bits of a row of `out` do not depend on the rows beside it (where
 * alpha is neither 1 nor -1: on x86-64 alone; BLIS's other kernels round alpha otherwise at edges). */
bool tensor_matmul(Tensor out, double alpha, Tensor a, Tensor b, double beta);

REEL_END_DECLS

#endif

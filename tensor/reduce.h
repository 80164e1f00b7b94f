/* Reductions over any set of axes, f32 and f64. Sums of f32 are taken in a fixed order that does not
 * depend on what is beside the reduced elements, with several partial sums, so that they are accurate
 * and the same on every run. */
#ifndef REEL_TENSOR_REDUCE_H
#define REEL_TENSOR_REDUCE_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

typedef enum { TENSOR_REDUCE_SUM, TENSOR_REDUCE_MAX } TensorReduceOp;

/* A set of axes: TENSOR_AXIS(0) | TENSOR_AXIS(-1), a negative axis counting from the end, or all of them. An
 * axis that no tensor has stands for one that is out of range. */
#define TENSOR_AXIS(i)                                                                                       \
    (1u << ((i) < -TENSOR_MAX_DIMS || (i) >= TENSOR_MAX_DIMS ? TENSOR_MAX_DIMS : (unsigned)(i)&31u))
#define TENSOR_AXES_ALL (~0u)

/* The set for a tensor of `ndim` axes, with bit i for axis i. A scalar has axis 0 (and -1), which is none.
 * False: an axis is out of range. */
bool tensor_axes(unsigned axes, int ndim, unsigned *found);

/* Reduces a set of axes, which stay in `out` with size 1 (keepdim). An empty sum is 0; an empty max is an
 * error (false). */
bool tensor_reduce(TensorReduceOp op, Tensor out, Tensor a, unsigned axes);
/* The transpose of a broadcast: sums `a` over the axes on which `out` was broadcast to the shape of `a`
 * (missing in front, or of size 1), and adds the result to `out` if `accumulate`, else overwrites. */
bool tensor_sum_to(Tensor out, Tensor a, bool accumulate);
/* Index of the first largest element along the last axis: out is i32 and has the shape of `a` without
 * that axis. NaN counts as the largest. */
bool tensor_argmax(Tensor out, Tensor a);
/* The sum of the squares of all elements, in double; NaN for another dtype than f32 and f64. */
double tensor_sum_of_squares(Tensor a);
/* Whether every element is finite; false for an invalid tensor. */
bool tensor_is_finite(Tensor a);

REEL_END_DECLS

#endif

/* Walking through several strided tensors of one shape at once.
 *
 * The axes are put into the order in which the first operand (the output) lies in memory, its reversed
 * axes are flipped, and neighbours that form one axis in every operand are merged. What remains is an inner
 * axis for a kernel, as long as possible, and outer axes that tensor_loop_next() steps through:
 *
 *     while (tensor_loop_next(&loop))
 *         kernel(loop.data, loop.stride, loop.n);
 *
 * Elements are therefore not visited in index order: only for kernels that do not depend on the order. */
#ifndef REEL_TENSOR_LOOP_INTERNAL_H
#define REEL_TENSOR_LOOP_INTERNAL_H

#include "tensor/view.h"

enum { LOOP_MAX_OPERANDS = 5 };

typedef struct TensorLoop {
    int operands;
    int64_t n;                         /* length of the inner axis */
    int64_t stride[LOOP_MAX_OPERANDS]; /* of the inner axis, in elements */
    char *data[LOOP_MAX_OPERANDS];     /* where this run of the inner axis starts */

    int ndim;                                         /* outer axes */
    int64_t shape[TENSOR_MAX_DIMS];                   /* of the outer axes, the slowest first */
    int64_t step[LOOP_MAX_OPERANDS][TENSOR_MAX_DIMS]; /* their strides, in bytes */
    int64_t index[TENSOR_MAX_DIMS];
    bool started;
} TensorLoop;

/* The first tensor gives the shape and the others are broadcast to it; false where they do not fit or one
 * is invalid. Dtypes may differ. */
bool tensor_loop_init(TensorLoop *loop, int operands, const Tensor *const *tensors);
/* The same of one tensor with its axes as they are: elements come in the C order of their indices. */
bool tensor_loop_init_in_order(TensorLoop *loop, const Tensor *tensor);
/* Moves to the first run, then to the next; false when there is none (left). */
bool tensor_loop_next(TensorLoop *loop);

/* In front of a loop whose iterations are independent: operands are the output itself or apart from it. */
#if defined(__clang__)
#define LOOP_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LOOP_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* A kernel over one run: n elements of each operand, strides in elements. */
typedef void TensorLoopKernel(char *const *data, const int64_t *stride, int64_t n);

#endif

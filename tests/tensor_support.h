/* What the suites of tensor/ share: random tensors in random layouts, and walking over indices. */
#ifndef REEL_TESTS_TENSOR_SUPPORT_H
#define REEL_TESTS_TENSOR_SUPPORT_H

#include "tensor/view.h"

typedef struct TestRandom {
    uint64_t state;
} TestRandom;

/* 0 to n - 1. */
int64_t test_below(TestRandom *random, int64_t n);
/* From -1 to 1. */
double test_uniform(TestRandom *random);

typedef enum {
    OP_LAYOUT_CONTIGUOUS,
    LAYOUT_STRIDED,     /* permuted, sliced with steps, reversed, with gaps */
    OP_LAYOUT_BROADCAST /* the same, and some axes with stride 0 */
} TestLayout;

/* A tensor with values from -1 to 1 (i32: -9 to 9), alone in its memory or part of a larger block. */
Tensor test_tensor(TensorArena *arena, TestRandom *random, TestLayout layout, TensorDtype dtype, int ndim,
                   const int64_t *shape);
/* 1 to most_axes axes (0: a scalar is possible with least_axes 0) of 0 or 1 to `most` elements. */
int test_shape(TestRandom *random, int least_axes, int most_axes, int64_t most, int64_t *shape);
/* A shape that can be broadcast to the given one. */
int test_narrower_shape(TestRandom *random, int ndim, const int64_t *shape, int64_t *narrower);
/* Whether the shape has elements; then `index` is the first one. Then the next one in C order. */
bool test_first(int ndim, const int64_t *shape, int64_t *index);
bool test_next(int ndim, const int64_t *shape, int64_t *index);

/* The block in which test_tensor() put its last tensor, before and now: whether all that lies outside of
 * `t` is unchanged. */
typedef struct TestBlock {
    char *now, *before;
    size_t bytes;
} TestBlock;
TestBlock test_last_block(TensorArena *arena);
bool test_outside_is_unchanged(const TestBlock *block, Tensor t);

#endif

/* Sums over the pieces of a gradient in the order that nn/pieces.h tells. */
#ifndef REEL_NN_SUM_INTERNAL_H
#define REEL_NN_SUM_INTERNAL_H

#include "nn/pieces.h"

enum {
    SUM_CHUNK = 2048, /* elements that are summed at a time */
    SUM_DEPTH = 13    /* right turns on the way to a leaf, for NN_MOST_SHARDS */
};

/* Something to add: the piece at `place`, or that of an interval that begins there and is a node of the tree.
 */
typedef struct Addend {
    int place;
    const void *data;
} Addend;

/* Memory for a sum, in the gradient's type. */
typedef union SumBuffer {
    float f32[SUM_CHUNK];
    double f64[SUM_CHUNK];
} SumBuffer;

/* The largest power of two below n, which is 2 or more: where the tree is cut. */
int nn_sum_cut(int n);
/* Elements at .. at + n of the sum of `count` (1 or more) addends in the order of their places, which lie in
 * [first, first + leaves), a node of the tree. n is at most SUM_CHUNK; there are SUM_DEPTH buffers. Returns
 * buffers[0], or what an addend points to where there is one alone. */
const float *nn_sum_addends_f32(const Addend *addends, int count, int first, int leaves, int64_t at,
                                int64_t n, SumBuffer *buffers);
const double *nn_sum_addends_f64(const Addend *addends, int count, int first, int leaves, int64_t at,
                                 int64_t n, SumBuffer *buffers);
/* The same for any n and either type, into `out`, which may be where an addend is. */
void nn_sum_into(void *out, TensorDtype dtype, const Addend *addends, int count, int first, int leaves,
                 int64_t at, int64_t n);

/* Some pieces' gradients by rows, turned: by id, what there is to add. */
typedef struct SumRows {
    int64_t count;
    int32_t *ids;    /* [count], ascending */
    int64_t *first;  /* [count + 1]: of its addends */
    Addend *addends; /* a row each */
} SumRows;

/* Turns `count` gradients (contiguous; those without rows are skipped) of the pieces at `places` (ascending;
 * NULL: 0, 1, ...). False: no memory. */
bool nn_sum_rows_find(SumRows *rows, const TapeGradient *gradients, const int *places, int count,
                      TensorArena *arena);

/* A gradient as a contiguous tensor of the shape of `like`. Invalid: no memory. */
Tensor nn_sum_densify(const TapeGradient *gradient, Tensor like, TensorArena *arena);

#endif

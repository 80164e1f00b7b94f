/* A matrix packed once into the panels that a micro-kernel reads, to be multiplied many times.
 *
 * The recurrent product of a step, [32, 256] x [256, 1024], runs half as fast again on panels that are
 * packed once per weight version as through bli_sgemm, which packs (or takes its small-matrix path) each
 * time. A row of the result has the same bits whatever other rows are beside it. f32. The micro-kernel is
 * Reel's own on x86-64 (AVX-512 or AVX2: the same bits), BLIS's elsewhere; without one the products go
 * through bli_sgemm. The environment variable REEL_PANELS (avx512, avx2, blis, none) chooses at start. */
#ifndef REEL_TENSOR_PANELS_H
#define REEL_TENSOR_PANELS_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

/* B [K, N] in panels. Owns its memory. */
typedef struct TensorPanels {
    int64_t k, n;
    float *data; /* NULL: nothing packed yet */
    size_t capacity;
    const struct TensorPanelsKernel *kernel; /* the micro-kernel that it is packed for; NULL: a plain copy */
} TensorPanels;

/* Packs b [K, N] (f32, any strides), growing the memory if need be. False where there is none. */
bool tensor_panels_pack(TensorPanels *panels, Tensor b);
/* The same into memory of the arena: for one use, and not to be freed. */
bool tensor_panels_pack_into(TensorPanels *panels, Tensor b, TensorArena *arena);
void tensor_panels_free(TensorPanels *panels);

/* out = a B + beta * out, a [M, K] f32 with any strides, out [M, N] with any strides but 0.
 * `scratch` lends memory that is given back before the return. False where shapes do not fit or there
 * is no memory. */
bool tensor_panels_matmul(Tensor out, Tensor a, const TensorPanels *panels, double beta,
                          TensorArena *scratch);

/* One summand of a deferred product: x [rows, K] and dy [rows, N] share their rows. */
typedef struct TensorPanelsPair {
    Tensor dy, x;
} TensorPanelsPair;

/* out = beta * out + sum over the pairs of dy^T x: out [N, K]. One product over all rows; they are
 * gathered while they are packed, so nothing need be contiguous. */
bool tensor_panels_accumulate(Tensor out, const TensorPanelsPair *pairs, int64_t count, double beta,
                              TensorArena *scratch);

REEL_END_DECLS

#endif

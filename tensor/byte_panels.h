/* A matrix of 8 bits in panels, for products that read a quarter of the bytes: what a product of a single row
 * takes is reading the matrix. f32.
 *
 * W [N, K] is scale[n] times whole numbers from -127 to 127. A row of x becomes whole numbers of 16 bits,
 * 32767 for its largest magnitude, so that an element of x W^T is a sum of products of whole numbers, exact
 * in 32 bits over 512 of them, and has the same bits on every processor and whatever other rows are beside
 * it. It differs from the product of floats by at most 2^-16 of the row's largest magnitude times the sum of
 * |W[n]|. */
#ifndef REEL_TENSOR_BYTE_PANELS_H
#define REEL_TENSOR_BYTE_PANELS_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

/* Owns its memory. */
typedef struct TensorBytePanels {
    int64_t k, n;
    int8_t *data; /* NULL: nothing packed yet */
    float *scales;
} TensorBytePanels;

/* Packs w [N, K] (f32, any strides). Nothing is packed, data is NULL, where it is no such matrix or a row is
 * not whole numbers times a scale with 127 for the largest (as nn_snapshot_quantized() writes them). False
 * where there is no memory. */
bool tensor_byte_panels_pack(TensorBytePanels *panels, Tensor w);
void tensor_byte_panels_free(TensorBytePanels *panels);

/* out = x W^T + beta * out, x [M, K] f32 with any strides, out [M, N] with any strides but 0. Where a row of
 * x has a number that is not finite, that of out is NaN. `scratch` lends memory that is given back before the
 * return. False where shapes do not fit or there is no memory. */
bool tensor_byte_panels_matmul(Tensor out, Tensor x, const TensorBytePanels *panels, double beta,
                               TensorArena *scratch);

REEL_END_DECLS

#endif

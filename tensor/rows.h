/* Rows by index: what embeddings, repeated rows and packed sequences are made of. f32 and f64.
 * `index` is i32 [N], contiguous or strided; every value must lie in [0, rows of the table), which is
 * checked before anything is written: false then, as for shapes that do not fit. */
#ifndef REEL_TENSOR_ROWS_H
#define REEL_TENSOR_ROWS_H

#include "tensor/view.h"

REEL_BEGIN_DECLS

/* out[n, ...] = table[index[n], ...] */
bool tensor_gather_rows(Tensor out, Tensor table, Tensor index);
/* table[index[n], ...] += rows[n, ...], in the order of n. */
bool tensor_scatter_add_rows(Tensor table, Tensor rows, Tensor index);
/* The first n for which index[n] lies outside of [0, limit), or -1. */
int64_t tensor_index_out_of_range(Tensor index, int64_t limit);

REEL_END_DECLS

#endif

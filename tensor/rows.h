/* Gathering and scattering rows by index, for embeddings, repeated rows and packed sequences. f32 and f64.
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

/* ---- Sparse sets (Briggs & Torczon 1993) ----
 *
 * Ids that are not negative are numbered in the order in which they first appear: distinct[number] is the id.
 * `slots` has a place for each id there can be, with any contents that were initialised: a slot counts only
 * if the entry that it points to points back, so that it need never be cleared. */

/* The number of an id; *count grows where it is new. */
static inline int32_t tensor_number_id(int32_t *slots, int32_t id, int32_t *distinct, int32_t *count)
{
    int32_t slot = slots[id];
    if (slot < 0 || slot >= *count || distinct[slot] != id) {
        slot = slots[id] = (*count)++;
        distinct[slot] = id;
    }
    return slot;
}

/* Numbers the ids (i32 [N]), continuing after the `count` already numbered: place[i] is the number of ids[i]
 * (`place` may be NULL). Returns how many there are then. */
int32_t tensor_number_ids(int32_t *slots, Tensor ids, int32_t *place, int32_t *distinct, int32_t count);

REEL_END_DECLS

#endif

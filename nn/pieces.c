#include "nn/pieces.h"
#include "nn/sum_internal.h"
#include "tensor/rows.h"

#include <string.h>

/* ---- Pieces that are tapes ---- */

/* What rows a tape has is found out while they are read, which may fail. */
static ReelStatus begin_tapes(const NnPieces *pieces, NnParameter *const *parameters, int count)
{
    Tape *const *tapes = pieces->context;
    for (int i = 0; i < pieces->count; i++) {
        for (int k = 0; k < count; k++)
            (void)tape_gradient(tapes[i], &parameters[k]->core);
        if (!tape_ok(tapes[i]))
            return *tape_status(tapes[i]);
    }
    return reel_status_ok();
}

static TapeGradient gradient_of_tape(void *context, int piece, const NnParameter *parameter)
{
    Tape *const *tapes = context;
    return tape_gradient(tapes[piece], &parameter->core);
}

NnPieces nn_tape_pieces(Tape *const *tapes, int count)
{
    return (NnPieces){.context = (void *)(uintptr_t)tapes,
                      .count = count,
                      .begin = begin_tapes,
                      .gradient = gradient_of_tape,
                      .arena = count > 0 ? tape_arena(tapes[0]) : NULL};
}

/* ---- Sums ---- */

int nn_sum_cut(int n)
{
    int cut = 1;
    while (2 * cut < n)
        cut *= 2;
    return cut;
}

#define KERNELS "nn/pieces_kernels_internal.h"
#include "tensor/each_real.h"

void nn_sum_into(void *out, TensorDtype dtype, const Addend *addends, int count, int first, int leaves,
                 int64_t at, int64_t n)
{
    SumBuffer buffers[SUM_DEPTH];
    size_t size = tensor_dtype_size(dtype);
    for (int64_t done = 0; done < n; done += SUM_CHUNK) {
        int64_t part = n - done < SUM_CHUNK ? n - done : SUM_CHUNK;
        const void *sum =
            dtype == TENSOR_F64
                ? (const void *)nn_sum_addends_f64(addends, count, first, leaves, at + done, part, buffers)
                : (const void *)nn_sum_addends_f32(addends, count, first, leaves, at + done, part, buffers);
        memcpy((char *)out + (size_t)done * size, sum, (size_t)part * size);
    }
}

/* ---- Rows by id ---- */

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* Sorts keys by their upper 32 bits, none of which is above `most`; equal ones stay in their order. Returns
 * where the sorted ones are. */
static uint64_t *sort_by_id(uint64_t *keys, uint64_t *spare, int64_t count, uint32_t most)
{
    int64_t next[DIGITS];
    for (int shift = 0; shift < 32 && most >> shift; shift += DIGIT_BITS) {
        memset(next, 0, sizeof next);
        for (int64_t i = 0; i < count; i++)
            next[keys[i] >> (32 + shift) & (DIGITS - 1)]++;
        int64_t sum = 0;
        for (int d = 0; d < DIGITS; d++) {
            int64_t here = next[d];
            next[d] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < count; i++)
            spare[next[keys[i] >> (32 + shift) & (DIGITS - 1)]++] = keys[i];
        uint64_t *sorted = spare;
        spare = keys;
        keys = sorted;
    }
    return keys;
}

bool nn_sum_rows_find(SumRows *rows, const TapeGradient *gradients, const int *places, int count,
                      TensorArena *arena)
{
    int64_t total = 0;
    for (int i = 0; i < count; i++)
        if (tensor_is_valid(gradients[i].rows))
            total += gradients[i].ids.shape[0];
    *rows = (SumRows){.ids = tensor_arena_alloc(arena, (size_t)total * sizeof *rows->ids),
                      .first = tensor_arena_alloc(arena, (size_t)(total + 1) * sizeof *rows->first),
                      .addends = tensor_arena_alloc(arena, (size_t)total * sizeof *rows->addends)};
    TensorArenaMark mark = tensor_arena_mark(arena);
    uint64_t *keys = tensor_arena_alloc(arena, (size_t)total * sizeof *keys);
    uint64_t *spare = tensor_arena_alloc(arena, (size_t)total * sizeof *keys);
    Addend *unsorted = tensor_arena_alloc(arena, (size_t)total * sizeof *unsorted);
    if (total > UINT32_MAX || !rows->ids || !rows->first || !rows->addends || !keys || !spare || !unsorted)
        return false;
    int64_t at = 0;
    uint32_t most = 0;
    for (int i = 0; i < count; i++) {
        Tensor ids = gradients[i].ids, data = gradients[i].rows;
        if (!tensor_is_valid(data))
            continue;
        size_t stride = (size_t)data.strides[0] * tensor_dtype_size(data.dtype);
        for (int64_t k = 0; k < ids.shape[0]; k++, at++) {
            uint32_t id = (uint32_t)tensor_i32(ids)[k * ids.strides[0]];
            most = id > most ? id : most;
            keys[at] = (uint64_t)id << 32 | (uint64_t)at;
            unsorted[at] = (Addend){places ? places[i] : i, (const char *)data.data + (size_t)k * stride};
        }
    }
    keys = sort_by_id(keys, spare, total, most);
    for (int64_t i = 0; i < total; i++) {
        int32_t id = (int32_t)(keys[i] >> 32);
        rows->addends[i] = unsorted[keys[i] & UINT32_MAX];
        if (i == 0 || rows->ids[rows->count - 1] != id) {
            rows->ids[rows->count] = id;
            rows->first[rows->count++] = i;
        }
    }
    rows->first[rows->count] = total;
    tensor_arena_rewind(arena, mark);
    return true;
}

Tensor nn_sum_densify(const TapeGradient *gradient, Tensor like, TensorArena *arena)
{
    if (!tensor_is_valid(gradient->rows))
        return tensor_contiguous(arena, gradient->dense);
    Tensor dense = tensor_zeros(arena, like.dtype, like.ndim, like.shape);
    if (tensor_is_valid(dense) && !tensor_scatter_add_rows(dense, gradient->rows, gradient->ids))
        return tensor_invalid();
    return dense;
}

/* Gradients of some rows as one. */
#include "autograd/tape_internal.h"
#include "tensor/mem.h"
#include "tensor/rows.h"

#include <string.h>

int32_t *tape_slots(Tape *tape, int64_t size)
{
    if (size > tape->slot_count || !tape->slots) {
        int32_t *slots = reel_mem_calloc(size > 0 ? (size_t)size : 1, sizeof *slots);
        if (!slots) {
            tape->arena.failed = true;
            return NULL;
        }
        reel_mem_free(tape->slots);
        tape->slots = slots;
        tape->slot_count = size;
    }
    return tape->slots;
}

bool tape_coalesce_rows(Tape *tape, Record *record, const Tensor *like)
{
    RowGradient *list = record->rows;
    if (!list || (!list->next && list->distinct))
        return true;
    int64_t total = 0;
    for (RowGradient *part = list; part; part = part->next)
        total += part->ids.shape[0];
    Tensor ids = tensor_new(&tape->arena, TENSOR_I32, TENSOR_SHAPE(total));
    Tensor place = tensor_new(&tape->arena, TENSOR_I32, TENSOR_SHAPE(total));
    int32_t *slots = tape_slots(tape, like->shape[0]), distinct = 0;
    if (!tensor_is_valid(ids) || !tensor_is_valid(place) || !slots)
        return false;
    int64_t at = 0;
    for (RowGradient *part = list; part; at += part->ids.shape[0], part = part->next)
        distinct = tensor_number_ids(slots, part->ids, tensor_i32(place) + at, tensor_i32(ids), distinct);
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, like->shape, sizeof shape);
    shape[0] = distinct;
    Tensor rows = tensor_zeros(&tape->arena, like->dtype, like->ndim, shape);
    if (!tensor_is_valid(rows))
        return false;
    at = 0;
    for (RowGradient *part = list; part; part = part->next) {
        int64_t n = part->ids.shape[0];
        if (!tensor_scatter_add_rows(rows, part->rows, tensor_slice(place, 0, at, at + n, 1)))
            return false;
        at += n;
    }
    *list = (RowGradient){.rows = rows, .ids = tensor_slice(ids, 0, 0, distinct, 1), .distinct = true};
    return true;
}

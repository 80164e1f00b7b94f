/* Rows by index. What comes out is held as distinct rows and an index, so that a batch with repeated
 * tokens is multiplied once for each different token. */
#include "autograd/op_list.h"
#include "autograd/ops.h"
#include "tensor/rows.h"

#include <string.h>

/* ---- embedding: out[n] = table[ids[n]] ---- */

typedef struct EmbeddingSaved {
    Tensor distinct; /* i32 [U]: the ids that occur, in order of first appearance */
    Tensor index;    /* i32 [N]: where each of the ids stands in `distinct` */
} EmbeddingSaved;

/* Finds the distinct ids with a sparse set (Briggs & Torczon 1993): a slot counts only if the entry it
 * points to points back, so the map need never be cleared. */
static bool find_distinct(OpContext *c, Tensor ids, int64_t vocabulary, EmbeddingSaved *saved)
{
    int64_t n = ids.shape[0];
    Arena *arena = op_arena(c);
    Tensor distinct = tensor_new(arena, DTYPE_I32, SHAPE(n));
    Tensor index = tensor_new(arena, DTYPE_I32, SHAPE(n));
    int32_t *slots = op_slots(c, vocabulary);
    if (!tensor_is_valid(distinct) || !tensor_is_valid(index) || !slots)
        return op_error(c, "out of memory");
    const int32_t *id = tensor_i32(ids);
    int32_t *seen = tensor_i32(distinct), count = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t slot = slots[id[i]];
        if (slot < 0 || slot >= count || seen[slot] != id[i]) {
            slot = slots[id[i]] = count;
            seen[count++] = id[i];
        }
        tensor_i32(index)[i] = slot;
    }
    saved->distinct = tensor_slice(distinct, 0, 0, count, 1);
    saved->index = index;
    return true;
}

static bool embedding_forward(OpContext *c)
{
    Tensor table = c->inputs[0], ids = c->inputs[1];
    if (table.ndim != 2 || table.dtype == DTYPE_I32)
        return op_error(c, "the table must be [V, E] of f32 or f64");
    if (ids.dtype != DTYPE_I32 || ids.ndim >= TENSOR_MAX_DIMS)
        return op_error(c, "the ids must be i32");
    Tensor dense = tensor_contiguous(op_arena(c), ids);
    Tensor flat = tensor_view_as(dense, SHAPE(tensor_numel(&ids)));
    EmbeddingSaved *saved = op_alloc(c, sizeof *saved);
    if (!saved || !tensor_is_valid(flat))
        return op_error(c, "out of memory");
    int64_t wrong = tensor_index_out_of_range(flat, table.shape[0]);
    if (wrong >= 0)
        return op_error(c, "id %d at place %lld is outside of the table's rows", tensor_i32(flat)[wrong],
                        (long long)wrong);
    if (!find_distinct(c, flat, table.shape[0], saved))
        return false;
    c->saved = saved;
    Tensor rows = op_new(c, SHAPE(saved->distinct.shape[0], table.shape[1]));
    if (!tensor_is_valid(rows))
        return false;
    Parameter *parameter = op_parameter(c, 0);
    if (parameter)
        parameter_read_rows(parameter, saved->distinct, rows);
    else
        tensor_gather_rows(rows, table, saved->distinct);
    if (ids.ndim == 1) {
        c->output = rows;
        c->output_index = saved->index;
        return true;
    }
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, ids.shape, sizeof shape);
    shape[ids.ndim] = table.shape[1];
    if (!op_output(c, ids.ndim + 1, shape))
        return false;
    return tensor_gather_rows(tensor_view_as(c->output, SHAPE(saved->index.shape[0], table.shape[1])), rows,
                              saved->index);
}

static void embedding_backward(OpContext *c)
{
    const EmbeddingSaved *saved = c->saved;
    int64_t padding = *(const int64_t *)c->attributes, width = c->inputs[0].shape[1];
    Tensor rows = c->grad; /* [U, E] where the output is repeated rows */
    if (!tensor_is_valid(c->output_index)) {
        rows = tensor_zeros(op_arena(c), c->grad.dtype, SHAPE(saved->distinct.shape[0], width));
        Tensor flat = tensor_reshape(op_arena(c), c->grad, SHAPE(saved->index.shape[0], width));
        if (!tensor_is_valid(rows) || !tensor_is_valid(flat) ||
            !tensor_scatter_add_rows(rows, flat, saved->index)) {
            op_error(c, "backward: out of memory");
            return;
        }
    }
    for (int64_t i = 0; padding >= 0 && i < saved->distinct.shape[0]; i++)
        if (tensor_i32(saved->distinct)[i] == padding) {
            rows = tensor_copy(op_arena(c), rows);
            tensor_fill(tensor_select(rows, 0, i), 0.0);
        }
    op_add_grad_rows(c, 0, rows, saved->distinct);
}

static Var embedding_sample(OpSample *s)
{
    int64_t vocabulary = 2 + op_sample_size(s, 1), n = op_sample_size(s, 0), m = op_sample_size(s, 3);
    Var table = op_sample(s, SHAPE(vocabulary, op_sample_size(s, 2)), -1, 1);
    Var ids = op_sample_choice(s, 2) ? op_sample_index(s, SHAPE(n, m), vocabulary)
                                     : op_sample_index(s, SHAPE(n), vocabulary);
    return var_embedding(table, ids, -1);
}

Var var_embedding(Var table, Var ids, int64_t padding_id)
{
    return op_apply(&op_embedding, (Var[]){table, ids}, 2, &padding_id, sizeof padding_id);
}

Op op_embedding = {.name = "embedding",
                   .forward = embedding_forward,
                   .backward = embedding_backward,
                   .sample = embedding_sample,
                   .flags = OP_READS_LATE};

/* ---- gather_rows: out[n] = a[index[n]] ---- */

static bool gather_rows_forward(OpContext *c)
{
    Tensor a = c->inputs[0], index = c->inputs[1], inner = c->index[0];
    if (a.ndim < 1 || a.dtype == DTYPE_I32 || index.dtype != DTYPE_I32 || index.ndim != 1)
        return op_error(c, "a must have rows of f32 or f64, and the index be i32 [N]");
    int64_t rows = tensor_is_valid(inner) ? inner.shape[0] : a.shape[0];
    int64_t wrong = tensor_index_out_of_range(index, rows);
    if (wrong >= 0)
        return op_error(c, "the index at place %lld is outside of the %lld rows", (long long)wrong,
                        (long long)rows);
    c->output = a;
    c->output_index = index;
    if (!tensor_is_valid(inner))
        return true;
    /* Rows of repeated rows: the same distinct rows under another index. */
    Tensor composed = tensor_new(op_arena(c), DTYPE_I32, SHAPE(index.shape[0]));
    if (!tensor_is_valid(composed))
        return op_error(c, "out of memory");
    for (int64_t i = 0; i < index.shape[0]; i++)
        tensor_i32(composed)[i] =
            tensor_i32(inner)[inner.strides[0] * tensor_i32(index)[i * index.strides[0]]];
    c->output_index = composed;
    c->same_rows = true;
    return true;
}

static void gather_rows_backward(OpContext *c)
{
    op_add_grad(c, 0, c->grad);
}

static Var gather_rows_sample(OpSample *s)
{
    int64_t rows = 1 + op_sample_size(s, 1);
    Var a = op_sample(s, SHAPE(rows, op_sample_size(s, 2)), -1, 1);
    return var_gather_rows(a, op_sample_index(s, SHAPE(op_sample_size(s, 0)), rows));
}

Var var_gather_rows(Var a, Var index)
{
    return op_apply(&op_gather_rows, (Var[]){a, index}, 2, NULL, 0);
}

Op op_gather_rows = {.name = "gather_rows",
                     .forward = gather_rows_forward,
                     .backward = gather_rows_backward,
                     .sample = gather_rows_sample,
                     .flags = OP_GETS_ROWS};

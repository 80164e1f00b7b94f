/* Rows by index. What comes out is held as distinct rows and an index, so that a batch with repeated
 * tokens is multiplied once for each different token. */
#include "autograd/held_internal.h"
#include "autograd/ops.h"
#include "tensor/rows.h"

#include <string.h>

/* ---- embedding: out[n] = table[ids[n]] ---- */

typedef struct EmbeddingSaved {
    Tensor distinct; /* i32 [U]: the ids that occur, in order of first appearance */
    Tensor index;    /* i32 [N]: where each of the ids stands in `distinct` */
} EmbeddingSaved;

static bool find_distinct(OpContext *c, Tensor ids, int64_t vocabulary, EmbeddingSaved *saved)
{
    Tensor distinct = tensor_new(op_arena(c), TENSOR_I32, TENSOR_SHAPE(ids.shape[0]));
    saved->index = tensor_new(op_arena(c), TENSOR_I32, TENSOR_SHAPE(ids.shape[0]));
    int32_t *slots = tape_slots(c->tape, vocabulary);
    if (!tensor_is_valid(distinct) || !tensor_is_valid(saved->index) || !slots)
        return false;
    int32_t count = tensor_number_ids(slots, ids, tensor_i32(saved->index), tensor_i32(distinct), 0);
    saved->distinct = tensor_slice(distinct, 0, 0, count, 1);
    return true;
}

/* The table's row of each id that occurs. */
static Tensor read_distinct(OpContext *c, const EmbeddingSaved *saved)
{
    Tensor rows = op_new(c, TENSOR_SHAPE(saved->distinct.shape[0], c->in[0]->shape[1]));
    return tensor_is_valid(rows) && op_read_rows(c, 0, saved->distinct, rows) ? rows : tensor_invalid();
}

static bool embedding_forward(OpContext *c)
{
    Tensor table = *c->in[0], ids = *c->in[1];
    if (table.ndim != 2 || table.dtype == TENSOR_I32)
        return op_error(c, "the table must be [V, E] of f32 or f64");
    if (ids.dtype != TENSOR_I32 || ids.ndim >= TENSOR_MAX_DIMS)
        return op_error(c, "the ids must be i32");
    Tensor dense = tensor_contiguous(op_arena(c), ids);
    Tensor flat = tensor_view_as(dense, TENSOR_SHAPE(tensor_numel(&ids)));
    EmbeddingSaved *saved = op_alloc(c, sizeof *saved);
    if (!saved || !tensor_is_valid(flat))
        return false;
    int64_t wrong = tensor_index_out_of_range(flat, table.shape[0]);
    if (wrong >= 0)
        return op_error(c, "id %d at place %lld is outside of the table's rows", tensor_i32(flat)[wrong],
                        (long long)wrong);
    if (!find_distinct(c, flat, table.shape[0], saved))
        return false;
    c->saved = saved;
    if (ids.ndim == 1) {
        Tensor rows = read_distinct(c, saved);
        return tensor_is_valid(rows) && tape_repeated_hold(c, rows, saved->index);
    }
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, ids.shape, sizeof shape);
    shape[ids.ndim] = table.shape[1];
    if (!op_output(c, ids.ndim + 1, shape))
        return false;
    Tensor all = tensor_view_as(*c->out[0], TENSOR_SHAPE(flat.shape[0], table.shape[1]));
    if (table.data)
        return op_read_rows(c, 0, flat, all);
    Tensor rows = read_distinct(c, saved); /* each is made, once */
    return tensor_is_valid(rows) && tensor_gather_rows(all, rows, saved->index);
}

static void embedding_backward(OpContext *c, OpTerm *terms)
{
    const EmbeddingSaved *saved = c->saved;
    int64_t padding = *(const int64_t *)c->attributes, width = c->in[0]->shape[1];
    Tensor rows = *c->grad[0]; /* [U, E] where the output is held as repeated rows */
    if (!tape_repeated_is_distinct(c)) {
        rows = tensor_zeros(op_arena(c), rows.dtype, TENSOR_SHAPE(saved->distinct.shape[0], width));
        Tensor flat = tensor_reshape(op_arena(c), *c->grad[0], TENSOR_SHAPE(saved->index.shape[0], width));
        if (!tensor_is_valid(rows) || !tensor_is_valid(flat) ||
            !tensor_scatter_add_rows(rows, flat, saved->index))
            return;
    }
    for (int64_t i = 0; padding >= 0 && i < saved->distinct.shape[0]; i++)
        if (tensor_i32(saved->distinct)[i] == padding) {
            rows = tensor_copy(op_arena(c), rows);
            tensor_fill(tensor_select(rows, 0, i), 0.0);
        }
    op_give_rows(&terms[0], rows, saved->distinct, true);
}

static Var embedding_sample(OpSample *s)
{
    int64_t vocabulary = 2 + op_sample_size(s, 1), n = op_sample_size(s, 0), m = op_sample_size(s, 3);
    Var table = op_sample(s, TENSOR_SHAPE(vocabulary, op_sample_size(s, 2)), -1, 1);
    Var ids = op_sample_choice(s, 2) ? op_sample_index(s, TENSOR_SHAPE(n, m), vocabulary)
                                     : op_sample_index(s, TENSOR_SHAPE(n), vocabulary);
    return var_embedding(table, ids, -1);
}

Var var_embedding(Var table, Var ids, int64_t padding_id)
{
    return op_apply(&op_embedding, (Var[]){table, ids}, 2, &padding_id, sizeof padding_id);
}

static void embedding_formula(const OpUse *use, OpVarTerm *terms)
{
    int64_t padding = *(const int64_t *)use->attributes;
    const EmbeddingSaved *saved = use->saved;
    int64_t n = saved->index.shape[0], width = var_size(use->in[0], 1);
    Var ids = var_reshape(use->in[1], TENSOR_SHAPE(n)),
        rows = var_reshape(use->grad[0], TENSOR_SHAPE(n, width));
    if (padding >= 0) {
        Tensor id = var_value(ids), mask = tensor_new(tape_arena(use->tape), TENSOR_I32, TENSOR_SHAPE(n, 1));
        if (!tensor_is_valid(mask))
            return;
        for (int64_t i = 0; i < n; i++)
            tensor_i32(mask)[i] = tensor_i32(id)[i * id.strides[0]] == padding;
        rows = var_masked_fill(rows, tape_constant(use->tape, mask), 0);
    }
    op_give_var_rows(&terms[0], rows, ids);
}

OpKind op_embedding = {.name = "embedding",
                       .forward = embedding_forward,
                       .backward = embedding_backward,
                       .formula = embedding_formula,
                       .sample = embedding_sample,
                       .lazy_forward = OP_IN(0),
                       .backward_reads = OP_READS_NOTHING};

/* ---- gather_rows: out[n] = a[index[n]] ---- */

static bool gather_rows_forward(OpContext *c)
{
    Tensor a = *c->in[0], index = *c->in[1];
    if (a.ndim < 1 || a.dtype == TENSOR_I32 || index.dtype != TENSOR_I32 || index.ndim != 1)
        return op_error(c, "a must have rows of f32 or f64, and the index be i32 [N]");
    int64_t wrong = tensor_index_out_of_range(index, a.shape[0]);
    if (wrong >= 0)
        return op_error(c, "the index at place %lld is outside of the %lld rows", (long long)wrong,
                        (long long)a.shape[0]);
    /* Rows of repeated rows are the same distinct rows by another index. */
    if (tape_repeated_gather(c, index))
        return true;
    if (a.data && tape_repeated_worth(c, &a, index))
        return tape_repeated_hold(c, a, index);
    a.shape[0] = index.shape[0];
    return op_output_like(c, a) && op_read_rows(c, 0, index, *c->out[0]);
}

static void gather_rows_backward(OpContext *c, OpTerm *terms)
{
    if (tape_repeated_is_distinct(c))
        op_give(&terms[0], *c->grad[0]);
    else
        op_give_rows(&terms[0], *c->grad[0], *c->in[1], false);
}

static Var gather_rows_sample(OpSample *s)
{
    int64_t rows = 1 + op_sample_size(s, 1);
    Var a = op_sample(s, TENSOR_SHAPE(rows, op_sample_size(s, 2)), -1, 1);
    return var_gather_rows(a, op_sample_index(s, TENSOR_SHAPE(op_sample_size(s, 0)), rows));
}

Var var_gather_rows(Var a, Var index)
{
    return op_apply(&op_gather_rows, (Var[]){a, index}, 2, NULL, 0);
}

static void gather_rows_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var_rows(&terms[0], use->grad[0], use->in[1]);
}

OpKind op_gather_rows = {.name = "gather_rows",
                         .forward = gather_rows_forward,
                         .backward = gather_rows_backward,
                         .formula = gather_rows_formula,
                         .sample = gather_rows_sample,
                         .lazy_forward = OP_IN(0),
                         .backward_reads = OP_IN(1)};

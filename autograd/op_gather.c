/* Elements by index along one axis. */
#include "autograd/op_support_internal.h"
#include "tensor/rows.h"

/* Where the elements of an index of `rank` dimensions, in C order, lie in a tensor: offsets to add to the
 * place along `axis`, which the index itself gives. */
static void next_place(const Tensor *index, const Tensor *t, int axis, int64_t *at, int64_t *offset)
{
    for (int d = index->ndim; d-- > 0;) {
        int64_t stride = d == axis ? 0 : t->strides[d];
        *offset += stride;
        if (++at[d] < index->shape[d])
            return;
        *offset -= stride * at[d];
        at[d] = 0;
    }
}

#define KERNELS "autograd/op_gather_kernels_internal.h"
#include "tensor/each_real.h"

static bool check_gather(OpContext *c, int *axis)
{
    Tensor a = *c->in[0], index = *c->in[1];
    if (!op_wants_real(c, 0) || !op_wants_i32(c, 1) || !op_axis(c, *(const int *)c->attributes, a.ndim, axis))
        return false;
    if (index.ndim != a.ndim)
        return op_error(c, "the index has %d dimensions, the value %d", index.ndim, a.ndim);
    for (int d = 0; d < a.ndim; d++)
        if (d != *axis && index.shape[d] > a.shape[d])
            return op_error(c, "the index is larger than the value along axis %d", d);
    return true;
}

/* f(a)[.., i, ..] = a[.., index[.., i, ..], ..] */
static bool gather_forward(OpContext *c)
{
    int axis;
    if (!check_gather(c, &axis))
        return false;
    Tensor a = *c->in[0], index = op_dense(c, *c->in[1]);
    int64_t n = tensor_numel(&index);
    Tensor flat = tensor_view_as(index, 1, &n);
    int64_t bad = tensor_is_valid(index) ? tensor_index_out_of_range(flat, a.shape[axis]) : -1;
    if (bad >= 0)
        return op_error(c, "index %d is out of range for size %lld of axis %d", (int)tensor_i32(flat)[bad],
                        (long long)a.shape[axis], axis);
    if (!tensor_is_valid(index) || !op_output(c, index.ndim, index.shape))
        return false;
    TENSOR_BY_DTYPE(a.dtype, gather)(*c->out[0], a, index, axis);
    return true;
}
static void gather_backward(OpContext *c, OpTerm *terms)
{
    int axis = *(const int *)c->attributes;
    axis = axis < 0 ? axis + c->in[0]->ndim : axis;
    Tensor index = op_dense(c, *c->in[1]), g = op_dense(c, *c->grad[0]), da = op_new_like(c, *c->in[0]);
    if (!tensor_is_valid(index) || !tensor_is_valid(g) || !tensor_is_valid(da) || !tensor_fill(da, 0))
        return;
    TENSOR_BY_DTYPE(da.dtype, scatter_add)(da, g, index, axis);
    op_give(&terms[0], da);
}
static Var gather_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    Var a = op_sample(s, TENSOR_SHAPE(n, m, k), -2, 2);
    if (op_sample_choice(s, 2))
        return var_gather(a, 1, op_sample_index(s, TENSOR_SHAPE(n, 7, k), m));
    return var_gather(a, -1, op_sample_index(s, TENSOR_SHAPE(n, m, 7), k));
}
static void gather_composition(const OpUse *use, Var *out)
{
    Tape *tape = use->tape;
    Tensor index = tensor_contiguous(tape_arena(tape), var_value(use->in[1])), a = var_value(use->in[0]);
    int64_t n = tensor_numel(&index), size = tensor_numel(&a);
    int axis = *(const int *)use->attributes, at_axis = axis < 0 ? axis + a.ndim : axis;
    Tensor places = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(n));
    Tensor like = tensor_from(NULL, TENSOR_I32, TENSOR_SHAPE(0));
    if (!tensor_is_valid(index) || !tensor_is_valid(places))
        return;
    like = a; /* with the strides of a value without gaps */
    for (int64_t d = a.ndim, stride = 1; d-- > 0; stride *= a.shape[d])
        like.strides[d] = stride;
    int64_t at[TENSOR_MAX_DIMS] = {0}, offset = 0;
    for (int64_t i = 0; i < n; i++) {
        tensor_i32(places)[i] = (int32_t)(offset + tensor_i32(index)[i] * like.strides[at_axis]);
        next_place(&index, &like, at_axis, at, &offset);
    }
    Var flat = var_gather_rows(var_reshape(use->in[0], TENSOR_SHAPE(size)), tape_constant(tape, places));
    *out = var_reshape(flat, index.ndim, index.shape);
}
OpKind op_gather = {.name = "gather",
                    .forward = gather_forward,
                    .backward = gather_backward,
                    .composition = gather_composition,
                    .sample = gather_sample,
                    .backward_reads = OP_IN(1)};
Var var_gather(Var a, int axis, Var index)
{
    return op_apply(&op_gather, (Var[]){a, index}, 2, &axis, sizeof axis);
}

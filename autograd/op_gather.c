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

/* Counts negative indices from the end, in a copy. */
static Tensor from_the_front(OpContext *c, Tensor index, int64_t size)
{
    bool negative = false;
    for (int64_t i = 0, n = tensor_numel(&index); i < n; i++)
        negative |= tensor_i32(index)[i] < 0;
    if (!negative)
        return index;
    Tensor counted = tensor_copy(op_arena(c), index);
    for (int64_t i = 0, n = tensor_numel(&counted); i < n; i++)
        if (tensor_i32(counted)[i] < 0)
            tensor_i32(counted)[i] += (int32_t)(size < INT32_MAX ? size : 0);
    return counted;
}

/* The index, input `input`, without gaps and from the front; invalid, with an error, where it does not fit.
 * It is saved. */
static Tensor read_index(OpContext *c, int input, int *axis)
{
    Tensor a = *c->in[0], *saved = c->saved = op_alloc(c, sizeof *saved);
    if (!saved || !op_wants_real(c, 0) || !op_wants_i32(c, input) ||
        !op_axis(c, *(const int *)c->attributes, a.ndim, axis))
        return tensor_invalid();
    Tensor index = op_dense(c, *c->in[input]);
    bool fits = tensor_is_valid(index);
    if (fits && index.ndim != a.ndim)
        fits = op_error(c, "the index has %d dimensions, the value %d", index.ndim, a.ndim);
    for (int d = 0; fits && d < a.ndim; d++)
        if (d != *axis && index.shape[d] > a.shape[d])
            fits = op_error(c, "the index is larger than the value along axis %d", d);
    if (!fits)
        return tensor_invalid();
    *saved = from_the_front(c, index, a.shape[*axis]);
    int64_t n = tensor_numel(saved);
    int64_t bad = tensor_is_valid(*saved)
                      ? tensor_index_out_of_range(tensor_view_as(*saved, 1, &n), a.shape[*axis])
                      : -1;
    if (bad < 0)
        return *saved;
    op_error(c, "index %d is out of range for size %lld of axis %d", (int)tensor_i32(index)[bad],
             (long long)a.shape[*axis], *axis);
    return tensor_invalid();
}

/* f(a)[.., i, ..] = a[.., index[.., i, ..], ..] */
static bool gather_forward(OpContext *c)
{
    int axis;
    Tensor index = read_index(c, 1, &axis);
    if (!tensor_is_valid(index) || !op_output(c, index.ndim, index.shape))
        return false;
    TENSOR_BY_DTYPE(c->in[0]->dtype, gather)(*c->out[0], *c->in[0], index, axis);
    return true;
}
static void gather_backward(OpContext *c, OpTerm *terms)
{
    int axis = *(const int *)c->attributes;
    axis = axis < 0 ? axis + c->in[0]->ndim : axis;
    Tensor g = op_dense(c, *c->grad[0]), da = op_new_like(c, *c->in[0]);
    if (!tensor_is_valid(g) || !tensor_is_valid(da) || !tensor_fill(da, 0))
        return;
    TENSOR_BY_DTYPE(da.dtype, scatter_add)(da, g, *(const Tensor *)c->saved, axis);
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
static void gather_formula(const OpUse *use, OpVarTerm *terms)
{
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim = var_ndim(use->in[0]);
    for (int d = 0; d < ndim; d++)
        shape[d] = var_size(use->in[0], d);
    Var zeros = var_expand(tape_scalar(use->grad[0], 0), ndim, shape);
    Var index = tape_constant(use->tape, *(const Tensor *)use->saved);
    op_give_var(&terms[0], var_scatter_add(zeros, *(const int *)use->attributes, index, use->grad[0]));
}
OpKind op_gather = {.name = "gather",
                    .forward = gather_forward,
                    .backward = gather_backward,
                    .formula = gather_formula,
                    .sample = gather_sample,
                    .backward_reads = OP_READS_NOTHING};
Var var_gather(Var a, int axis, Var index)
{
    Var vector = op_vector(a), at = op_vector(index);
    return op_as_before(index, op_apply(&op_gather, (Var[]){vector, at}, 2, &axis, sizeof axis));
}

/* f(a, s) = a, and s[.., i, ..] added at [.., index[.., i, ..], ..];  da = g, ds = gather(g, index) */
static bool scatter_add_forward(OpContext *c)
{
    int axis;
    Tensor index = read_index(c, 2, &axis), source = op_dense(c, *c->in[1]);
    if (!tensor_is_valid(index) || !tensor_is_valid(source))
        return false;
    if (!tensor_same_shape(&source, &index))
        return op_error(c, "the source must have the shape of the index, or be larger");
    if (!op_wants_real(c, 1) || !op_output_like(c, *c->in[0]) || !tensor_copy_into(*c->out[0], *c->in[0]))
        return false;
    TENSOR_BY_DTYPE(source.dtype, scatter_add)(*c->out[0], source, index, axis);
    return true;
}
static void scatter_add_backward(OpContext *c, OpTerm *terms)
{
    int axis = *(const int *)c->attributes;
    Tensor index = *(const Tensor *)c->saved;
    op_give(&terms[0], *c->grad[0]);
    Tensor ds = op_needs_grad(c, 1) ? op_new_like(c, index) : tensor_invalid();
    if (!tensor_is_valid(ds))
        return;
    TENSOR_BY_DTYPE(ds.dtype, gather)(ds, *c->grad[0], index, axis < 0 ? axis + index.ndim : axis);
    op_give(&terms[1], ds);
}
static Var scatter_add_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    Var a = op_sample(s, TENSOR_SHAPE(n, m, k), -2, 2), source = op_sample(s, TENSOR_SHAPE(n, 7, k), -2, 2);
    return var_scatter_add(a, 1, op_sample_index(s, TENSOR_SHAPE(n, 6, k), m), source);
}
static void scatter_add_formula(const OpUse *use, OpVarTerm *terms)
{
    Var index = tape_constant(use->tape, *(const Tensor *)use->saved);
    op_give_var(&terms[0], use->grad[0]);
    op_give_var(&terms[1], var_gather(use->grad[0], *(const int *)use->attributes, index));
}
OpKind op_scatter_add = {.name = "scatter_add",
                         .forward = scatter_add_forward,
                         .backward = scatter_add_backward,
                         .formula = scatter_add_formula,
                         .sample = scatter_add_sample,
                         .backward_reads = OP_READS_NOTHING};
Var var_scatter_add(Var a, int axis, Var index, Var source)
{
    Var vector = op_vector(a), at = op_vector(index), added = op_vector(source);
    for (int d = 0; d < var_ndim(added) && d < var_ndim(at); d++)
        if (var_size(at, d) < var_size(added, d))
            added = var_slice(added, d, 0, var_size(at, d), 1);
    return op_as_before(a, op_apply(&op_scatter_add, (Var[]){vector, added, at}, 3, &axis, sizeof axis));
}

/* ---- Whole slices by index: rows, with the axis in front ---- */

static Var in_front(Var a, int axis)
{
    return axis == 0 ? a : var_transpose(a, 0, axis);
}

Var var_index_select(Var a, int axis, Var index)
{
    return op_as_before(a, in_front(var_gather_rows(in_front(op_vector(a), axis), op_vector(index)), axis));
}

Var var_index_add(Var a, int axis, Var index, Var source)
{
    Var vector = op_vector(a), rows = in_front(op_vector(source), axis);
    Var sums = var_segment_sum(rows, op_vector(index), var_size(vector, axis));
    return op_as_before(a, var_add(vector, in_front(sums, axis)));
}

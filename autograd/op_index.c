/* Indices and masks: results without a gradient. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"
#include "tensor/rows.h"

#include <string.h>

/* `t` with an axis moved to the back. */
static Tensor with_axis_last(Tensor t, int axis)
{
    int axes[TENSOR_MAX_DIMS], n = 0;
    for (int i = 0; i < t.ndim; i++)
        if (i != axis)
            axes[n++] = i;
    axes[n] = axis;
    return tensor_permute(t, axes);
}

/* ---- argmax ---- */

typedef struct Along {
    int axis;
    bool keepdim;
    int64_t k;
} Along;

static bool argmax_forward(OpContext *c)
{
    const Along *along = c->attributes;
    int axis;
    if (!op_wants_real(c, 0) || !op_axis(c, along->axis, c->in[0]->ndim, &axis))
        return false;
    Tensor rows = with_axis_last(*c->in[0], axis);
    Tensor out = tensor_new(op_arena(c), TENSOR_I32, rows.ndim - 1, rows.shape);
    if (!tensor_is_valid(out))
        return op_error(c, "out of memory");
    if (c->in[0]->shape[axis] == 0)
        return op_error(c, "there is no maximum of nothing");
    *c->out[0] = along->keepdim ? tensor_unsqueeze(out, axis) : out;
    return tensor_argmax(out, rows);
}

Var var_argmax(Var a, int axis, bool keepdim)
{
    static const OpKind op = {.name = "argmax", .forward = argmax_forward};
    Var vector = op_vector(a);
    Var index = op_apply(&op, &vector, 1, &(Along){.axis = axis, .keepdim = keepdim}, sizeof(Along));
    return keepdim ? op_as_before(a, index) : index;
}

/* ---- topk: a heap of all places of a row, the largest of which is taken k times ---- */

/* Whether place i comes before place j: NaN is the largest, and of equals the first comes first. */
static bool comes_before(const double *row, int32_t i, int32_t j)
{
    bool i_nan = row[i] != row[i], j_nan = row[j] != row[j];
    if (i_nan != j_nan)
        return i_nan;
    return row[i] > row[j] || (!(row[i] < row[j]) && i < j);
}

static void sift_down(const double *row, int32_t *heap, int64_t n, int64_t at)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_before(row, heap[child + 1], heap[child]))
            child++;
        if (comes_before(row, heap[at], heap[child]))
            return;
        int32_t place = heap[at];
        heap[at] = heap[child];
        heap[child] = place;
    }
}

static void largest_places(int32_t *out, int64_t k, const double *row, int32_t *heap, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        heap[i] = (int32_t)i;
    for (int64_t i = n / 2; i-- > 0;)
        sift_down(row, heap, n, i);
    for (int64_t i = 0; i < k; i++) {
        out[i] = heap[0];
        heap[0] = heap[--n];
        sift_down(row, heap, n, 0);
    }
}

static bool topk_forward(OpContext *c)
{
    const Along *along = c->attributes;
    int axis;
    if (!op_wants_real(c, 0) || !op_axis(c, along->axis, c->in[0]->ndim, &axis))
        return false;
    int64_t n = c->in[0]->shape[axis], k = along->k;
    if (k < 0 || k > n || n > INT32_MAX)
        return op_error(c, "there are no %lld of size %lld of axis %d", (long long)k, (long long)n, axis);
    Tensor rows = tensor_cast(op_arena(c), with_axis_last(*c->in[0], axis), TENSOR_F64), like = rows;
    like.shape[rows.ndim - 1] = k;
    Tensor places = tensor_new(op_arena(c), TENSOR_I32, like.ndim, like.shape);
    int32_t *heap = op_alloc(c, (size_t)n * sizeof *heap);
    if (!tensor_is_valid(rows) || !tensor_is_valid(places) || !heap)
        return op_error(c, "out of memory");
    for (int64_t r = n && k ? tensor_numel(&rows) / n : 0; r-- > 0;)
        largest_places(tensor_i32(places) + r * k, k, tensor_f64(rows) + r * n, heap, n);
    int back[TENSOR_MAX_DIMS];
    for (int i = 0; i < rows.ndim; i++)
        back[i] = i < axis ? i : i == axis ? rows.ndim - 1 : i - 1;
    *c->out[0] = tensor_permute(places, back);
    return true;
}

Var var_topk(Var a, int64_t k, int axis, Var *index)
{
    static const OpKind op = {.name = "topk", .forward = topk_forward};
    Var vector = op_vector(a);
    Var places = op_apply(&op, &vector, 1, &(Along){.axis = axis, .k = k}, sizeof(Along));
    Var values = var_gather(vector, axis, places);
    if (k == 1) {
        places = op_as_before(a, places);
        values = op_as_before(a, values);
    }
    if (index)
        *index = places;
    return values;
}

/* ---- Masks ---- */

/* 1 where an element of input i is not 0, else 0, in f64. */
static Tensor truth(OpContext *c, int i)
{
    Tensor a = *c->in[i], zero = tensor_zeros(op_arena(c), TENSOR_F64, 0, NULL);
    Tensor out = tensor_new(op_arena(c), TENSOR_F64, a.ndim, a.shape);
    Tensor wide = a.dtype == TENSOR_F64 ? a : tensor_cast(op_arena(c), a, TENSOR_F64);
    if (tensor_is_valid(out) && tensor_is_valid(wide) && tensor_is_valid(zero) &&
        tensor_binary(TENSOR_BINARY_NOT_EQUAL, out, wide, zero))
        return out;
    op_error(c, "out of memory");
    return tensor_invalid();
}

static bool logical_forward(OpContext *c)
{
    Tensor a = truth(c, 0), b = c->count > 1 ? truth(c, 1) : tensor_zeros(op_arena(c), TENSOR_F64, 0, NULL);
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    if (!tensor_is_valid(a) || !tensor_is_valid(b))
        return false;
    if (!tensor_broadcast_shape(&a, &b, &ndim, shape))
        return op_error(c, "the shapes do not broadcast");
    Tensor both = tensor_new(op_arena(c), TENSOR_F64, ndim, shape);
    *c->out[0] = tensor_new(op_arena(c), TENSOR_I32, ndim, shape);
    if (!tensor_is_valid(both) || !tensor_is_valid(*c->out[0]))
        return op_error(c, "out of memory");
    return tensor_binary(*(const TensorBinaryOp *)c->attributes, both, a, b) &&
           tensor_copy_into(*c->out[0], both);
}

static Var logical(const OpKind *op, TensorBinaryOp function, Var a, Var b)
{
    return op_apply(op, (Var[]){a, b}, b.tape ? 2 : 1, &function, sizeof function);
}

Var var_logical_and(Var a, Var b)
{
    static const OpKind op = {.name = "logical_and", .forward = logical_forward};
    return logical(&op, TENSOR_BINARY_MUL, a, b);
}

Var var_logical_or(Var a, Var b)
{
    static const OpKind op = {.name = "logical_or", .forward = logical_forward};
    return logical(&op, TENSOR_BINARY_MAXIMUM, a, b);
}

Var var_logical_xor(Var a, Var b)
{
    static const OpKind op = {.name = "logical_xor", .forward = logical_forward};
    return logical(&op, TENSOR_BINARY_NOT_EQUAL, a, b);
}

Var var_logical_not(Var a)
{
    static const OpKind op = {.name = "logical_not", .forward = logical_forward};
    return logical(&op, TENSOR_BINARY_EQUAL, a, VAR_NONE);
}

Var tape_tril(Tape *tape, int64_t rows, int64_t columns, int64_t diagonal)
{
    Tensor mask = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(rows, columns));
    if (!tensor_is_valid(mask))
        return tape_fail(tape, "tril: there is no memory for [%lld, %lld]", (long long)rows,
                         (long long)columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            tensor_i32(mask)[i * columns + j] = j - i <= diagonal;
    return tape_constant(tape, mask);
}

/* The mask for the last two axes. */
static Var tril_of(Var a, const char *name, int64_t diagonal)
{
    if (!var_is_empty(a) && var_ndim(a) < 2)
        return tape_fail(a.tape, "%s: the value must have two axes or more", name);
    return var_is_empty(a) ? a : tape_tril(a.tape, var_size(a, -2), var_size(a, -1), diagonal);
}

Var var_tril(Var a, int64_t diagonal)
{
    return var_masked_fill(a, var_logical_not(tril_of(a, "tril", diagonal)), 0);
}

Var var_triu(Var a, int64_t diagonal)
{
    return var_masked_fill(a, tril_of(a, "triu", diagonal > INT64_MIN ? diagonal - 1 : diagonal), 0);
}

/* ---- one_hot ---- */

typedef struct OneHot {
    int64_t classes;
    TensorDtype dtype;
} OneHot;

static bool one_hot_forward(OpContext *c)
{
    const OneHot *one_hot = c->attributes;
    if (!op_wants_i32(c, 0))
        return false;
    Tensor ids = op_dense(c, *c->in[0]), like = ids;
    int64_t n = tensor_numel(&ids);
    if (!tensor_is_valid(ids))
        return false;
    if (ids.ndim == TENSOR_MAX_DIMS || tensor_dtype_size(one_hot->dtype) == 0)
        return op_error(c, "there may be at most %d dimensions, and %d is %s dtype", TENSOR_MAX_DIMS - 1,
                        (int)one_hot->dtype, tensor_dtype_size(one_hot->dtype) ? "a" : "no");
    int64_t wrong = tensor_index_out_of_range(tensor_view_as(ids, 1, &n), one_hot->classes);
    if (wrong >= 0)
        return op_error(c, "id %d at place %lld is not below the %lld classes", tensor_i32(ids)[wrong],
                        (long long)wrong, (long long)one_hot->classes);
    like.shape[like.ndim++] = one_hot->classes;
    *c->out[0] = tensor_zeros(op_arena(c), one_hot->dtype, like.ndim, like.shape);
    Tensor rows = tensor_view_as(*c->out[0], TENSOR_SHAPE(n, one_hot->classes));
    if (!tensor_is_valid(rows))
        return op_error(c, "there is no memory for a result of that size");
    for (int64_t i = 0; i < n; i++)
        tensor_set(&rows, (int64_t[]){i, tensor_i32(ids)[i]}, 1);
    return true;
}

Var var_one_hot(Var ids, int64_t classes, TensorDtype dtype)
{
    static const OpKind op = {.name = "one_hot", .forward = one_hot_forward};
    return op_apply(&op, &ids, 1, &(OneHot){classes, dtype}, sizeof(OneHot));
}

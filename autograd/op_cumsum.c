/* Sums from the beginning of an axis. */
#include "autograd/op_support_internal.h"

#define KERNELS "autograd/op_cumsum_kernels_internal.h"
#include "tensor/each_real.h"

/* In memory in which the axis is the last; seen with the axes of `a`. */
static Tensor sums_along(OpContext *c, Tensor a, int axis)
{
    Tensor rows = tensor_transpose(a, axis, -1), y = op_new_like(c, rows);
    if (!tensor_is_valid(y) || !tensor_copy_into(y, rows))
        return tensor_invalid();
    TENSOR_BY_DTYPE(y.dtype, cumsum_rows)(y, y.shape[y.ndim - 1]);
    return tensor_transpose(y, axis, -1);
}

/* f(a)_i = sum of a_j over j <= i;  da_j = sum of g_i over i >= j */
static bool cumsum_forward(OpContext *c)
{
    int axis;
    if (!op_wants_real(c, 0) || !op_axis(c, *(const int *)c->attributes, c->in[0]->ndim, &axis))
        return false;
    *c->out[0] = sums_along(c, *c->in[0], axis);
    return tensor_is_valid(*c->out[0]);
}
static void cumsum_backward(OpContext *c, OpTerm *terms)
{
    int axis = *(const int *)c->attributes;
    Tensor sums = sums_along(c, tensor_slice(*c->grad[0], axis, -1, TENSOR_END, -1), axis);
    op_give(&terms[0], tensor_slice(sums, axis, -1, TENSOR_END, -1));
}
static Var cumsum_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    Var a = op_sample(s, TENSOR_SHAPE(n, m, k), -2, 2);
    return var_cumsum(a, (int)op_sample_choice(s, 3) - 1);
}
static void cumsum_formula(const OpUse *use, OpVarTerm *terms)
{
    int axis = *(const int *)use->attributes;
    op_give_var(&terms[0],
                var_flip(var_cumsum(var_flip(use->grad[0], TENSOR_AXIS(axis)), axis), TENSOR_AXIS(axis)));
}
OpKind op_cumsum = {.name = "cumsum",
                    .forward = cumsum_forward,
                    .backward = cumsum_backward,
                    .formula = cumsum_formula,
                    .sample = cumsum_sample,
                    .backward_reads = OP_READS_NOTHING};
Var var_cumsum(Var a, int axis)
{
    Var vector = op_vector(a);
    return op_as_before(a, op_apply(&op_cumsum, &vector, 1, &axis, sizeof axis));
}

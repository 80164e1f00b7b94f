/* What the files of ops share: checks of inputs, and tensors in the form that kernels want. */
#ifndef REEL_AUTOGRAD_OP_SUPPORT_INTERNAL_H
#define REEL_AUTOGRAD_OP_SUPPORT_INTERNAL_H

#include "autograd/ops.h"

/* Of numbers of 32 bits those below it are dropped, the part p of all. */
static inline uint32_t op_drop_threshold(double p)
{
    return (uint32_t)(p * 4294967296.0);
}

static inline bool op_wants_real(OpContext *c, int input)
{
    if (c->in[input]->dtype != TENSOR_I32)
        return true;
    return op_error(c, "input %d is i32, but must be f32 or f64", input);
}

/* The same of all inputs but one (-1: of all). */
static inline bool op_wants_all_real(OpContext *c, int but)
{
    for (int i = 0; i < c->count; i++)
        if (i != but && !op_wants_real(c, i))
            return false;
    return true;
}

static inline bool op_wants_i32(OpContext *c, int input)
{
    if (c->in[input]->dtype == TENSOR_I32)
        return true;
    return op_error(c, "input %d is %s, but must be i32", input, tensor_dtype_name(c->in[input]->dtype));
}

/* The axis counted from the front where it is negative; one that is out of range is an error. */
static inline bool op_axis(OpContext *c, int axis, int ndim, int *found)
{
    *found = axis < 0 ? axis + ndim : axis;
    if (*found >= 0 && *found < ndim)
        return true;
    return op_error(c, "axis %d is out of range for %d dimensions", axis, ndim);
}

/* As in PyTorch, axis 0 of a value without axes is all of it: a vector of one, and what was made of it
 * without the axis again. */
static inline Var op_vector(Var a)
{
    return var_is_empty(a) || var_ndim(a) > 0 ? a : var_reshape(a, TENSOR_SHAPE(1));
}

static inline Var op_as_before(Var a, Var out)
{
    return var_is_empty(a) || var_ndim(a) > 0 ? out : var_reshape(out, 0, NULL);
}

/* `t` without gaps, and `t` broadcast to the shape of `like` without gaps. Invalid, with an error recorded,
 * where there is no memory. */
static inline Tensor op_dense(OpContext *c, Tensor t)
{
    if (!tensor_is_valid(t) || tensor_is_contiguous(&t))
        return t;
    Tensor copy = tensor_copy(op_arena(c), t);
    if (!tensor_is_valid(copy))
        op_error(c, "out of memory");
    return copy;
}

static inline Tensor op_spread(OpContext *c, Tensor t, Tensor like)
{
    return op_dense(c, tensor_expand(t, like.ndim, like.shape));
}

/* A scalar of the dtype of input 0. */
static inline Tensor op_number(OpContext *c, double value)
{
    Tensor t = op_new(c, 0, NULL);
    if (tensor_is_valid(t))
        tensor_fill(t, value);
    return t;
}

/* Row r of a matrix as a pointer to its elements; NULL for an invalid one. The last axis must be contiguous.
 */
static inline void *op_row(Tensor t, int64_t r)
{
    if (!tensor_is_valid(t))
        return NULL;
    return (char *)t.data + r * t.strides[0] * (int64_t)tensor_dtype_size(t.dtype);
}

/* The matrix itself, or a copy, with its last axis contiguous. */
static inline Tensor op_with_contiguous_rows(OpContext *c, Tensor t)
{
    if (!tensor_is_valid(t) || t.shape[1] <= 1 || t.strides[1] == 1)
        return t;
    return tensor_contiguous(op_arena(c), t);
}

#endif

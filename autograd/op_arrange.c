/* More ways to look at a value, beside op_shape.c's: axes in another order, and values around it; and what is
 * made of these, of slices and of reshaping. */
#include "autograd/op_support_internal.h"

#include <string.h>

static Var sample_cube(OpSample *s)
{
    return op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), op_sample_size(s, 2)), -2,
                     2);
}

/* f(a)[i, j, ...] = a's axes in the order axes[0], axes[1], ... */
typedef struct Order {
    int axes[TENSOR_MAX_DIMS]; /* from the front */
} Order;
static bool permute_forward(OpContext *c)
{
    const Order *order = c->attributes;
    unsigned seen = 0;
    for (int i = 0; i < c->in[0]->ndim; i++)
        seen |= order->axes[i] < 0 ? 0 : 1u << order->axes[i];
    if (seen != (1u << c->in[0]->ndim) - 1)
        return op_error(c, "each of the %d axes must be named once", c->in[0]->ndim);
    *c->out[0] = tensor_permute(*c->in[0], order->axes);
    return true;
}
static Order inverse_of(const Order *order, int ndim)
{
    Order inverse = {{0}};
    for (int i = 0; i < ndim; i++)
        inverse.axes[order->axes[i]] = i;
    return inverse;
}
static void permute_backward(OpContext *c, OpTerm *terms)
{
    Order inverse = inverse_of(c->attributes, c->in[0]->ndim);
    op_give(&terms[0], tensor_permute(*c->grad[0], inverse.axes));
}
static Var permute_sample(OpSample *s)
{
    static const int orders[3][3] = {{2, 0, 1}, {1, -1, 0}, {0, 2, 1}};
    Var a = sample_cube(s);
    return var_permute(a, orders[op_sample_choice(s, 3)]);
}
static void permute_formula(const OpUse *use, OpVarTerm *terms)
{
    Order inverse = inverse_of(use->attributes, var_ndim(use->in[0]));
    op_give_var(&terms[0], var_permute(use->grad[0], inverse.axes));
}
OpKind op_permute = {.name = "permute",
                     .forward = permute_forward,
                     .backward = permute_backward,
                     .formula = permute_formula,
                     .sample = permute_sample,
                     .backward_reads = OP_READS_NOTHING};
Var var_permute(Var a, const int *axes)
{
    Order order = {{0}};
    int ndim = var_ndim(a);
    for (int i = 0; i < ndim; i++)
        order.axes[i] = axes[i] >= -ndim && axes[i] < ndim ? (axes[i] + ndim) % ndim : -1;
    return op_apply(&op_permute, &a, 1, &order, sizeof order);
}

/* f(a) = `value` before and after a along an axis; where one of them is negative, so much less of a */
typedef struct Pad {
    int axis;
    int64_t before, after;
    double value;
} Pad;
static int64_t part_above_0(int64_t x)
{
    return x > 0 ? x : 0;
}
/* The part of the output that is a's. */
static Tensor padded_part(Tensor t, const Pad *pad, int axis)
{
    int64_t start = part_above_0(pad->before), stop = t.shape[axis] - part_above_0(pad->after);
    return tensor_slice(t, axis, start, stop > start ? stop : start, 1);
}
static bool pad_forward(OpContext *c)
{
    const Pad *pad = c->attributes;
    Tensor a = *c->in[0], like = a;
    int axis;
    if (!op_axis(c, pad->axis, a.ndim, &axis))
        return false;
    if (pad->before == INT64_MIN || pad->after == INT64_MIN ||
        __builtin_add_overflow(a.shape[axis], pad->before, &like.shape[axis]) ||
        __builtin_add_overflow(like.shape[axis], pad->after, &like.shape[axis]) || like.shape[axis] < 0)
        return op_error(c, "%lld before and %lld after do not fit to size %lld of axis %d",
                        (long long)pad->before, (long long)pad->after, (long long)a.shape[axis], axis);
    int64_t start = part_above_0(-pad->before), stop = a.shape[axis] - part_above_0(-pad->after);
    Tensor kept = tensor_slice(a, axis, start, stop > start ? stop : start, 1);
    return op_output_like(c, like) && tensor_fill(*c->out[0], pad->value) &&
           tensor_copy_into(padded_part(*c->out[0], pad, axis), kept);
}
static void pad_backward(OpContext *c, OpTerm *terms)
{
    const Pad *pad = c->attributes;
    int axis = pad->axis < 0 ? pad->axis + c->in[0]->ndim : pad->axis;
    Tensor part = padded_part(*c->grad[0], pad, axis);
    if (pad->before >= 0 && pad->after >= 0)
        op_give(&terms[0], part);
    else if (tensor_numel(&part) > 0)
        op_give_part(&terms[0], part, axis, part_above_0(-pad->before), 1);
}
static Var pad_sample(OpSample *s)
{
    Var a = sample_cube(s);
    switch (op_sample_choice(s, 3)) {
    case 0:
        return var_pad(a, 0, 1, 2, 0.5);
    case 1:
        return var_pad(a, -1, -1, 2, 0);
    default:
        return var_pad(a, 1, 2, -1, 0);
    }
}
static void pad_formula(const OpUse *use, OpVarTerm *terms)
{
    const Pad *pad = use->attributes;
    Var g = use->grad[0];
    int axis = pad->axis < 0 ? pad->axis + var_ndim(g) : pad->axis;
    int64_t start = part_above_0(pad->before), stop = var_size(g, axis) - part_above_0(pad->after);
    if (stop > start)
        op_give_var_part(&terms[0], var_slice(g, axis, start, stop, 1), axis, part_above_0(-pad->before), 1);
}
OpKind op_pad = {.name = "pad",
                 .forward = pad_forward,
                 .backward = pad_backward,
                 .formula = pad_formula,
                 .sample = pad_sample,
                 .backward_reads = OP_READS_NOTHING};
Var var_pad(Var a, int axis, int64_t before, int64_t after, double value)
{
    return op_apply(&op_pad, &a, 1, &(Pad){axis, before, after, value}, sizeof(Pad));
}

/* f(a) = a in another dtype; df/da = 1, in a's */
static bool cast_forward(OpContext *c)
{
    TensorDtype dtype = *(const TensorDtype *)c->attributes;
    if (tensor_dtype_size(dtype) == 0)
        return op_error(c, "%d is no dtype", (int)dtype);
    *c->out[0] = c->in[0]->dtype == dtype ? *c->in[0] : tensor_cast(op_arena(c), *c->in[0], dtype);
    return tensor_is_valid(*c->out[0]) || op_error(c, "there is no memory for a result of that size");
}
static void cast_backward(OpContext *c, OpTerm *terms)
{
    Tensor g = *c->grad[0];
    op_give(&terms[0], g.dtype == c->in[0]->dtype ? g : tensor_cast(op_arena(c), g, c->in[0]->dtype));
}
static Var cast_sample(OpSample *s)
{
    Var a = sample_cube(s);
    return var_cast(a, var_value(a).dtype);
}
static void cast_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_cast(use->grad[0], var_value(use->in[0]).dtype));
}
OpKind op_cast = {.name = "cast",
                  .forward = cast_forward,
                  .backward = cast_backward,
                  .formula = cast_formula,
                  .sample = cast_sample,
                  .backward_reads = OP_READS_NOTHING};
Var var_cast(Var a, TensorDtype dtype)
{
    return op_apply(&op_cast, &a, 1, &dtype, sizeof dtype);
}

/* ---- Made of these ---- */

/* The sizes, and the axis from the front among `ndim`; false, with an error for the op `name`, where there is
 * none. */
static bool sizes_at(Var a, const char *name, int *axis, int ndim, int64_t *sizes)
{
    for (int i = 0; i < var_ndim(a); i++)
        sizes[i] = var_size(a, i);
    int given = *axis;
    *axis = given < 0 ? given + ndim : given;
    if (var_is_empty(a) || (*axis >= 0 && *axis < ndim))
        return !var_is_empty(a);
    tape_fail(a.tape, "%s: axis %d is out of range for %d dimensions", name, given, ndim);
    return false;
}

Var var_unsqueeze(Var a, int axis)
{
    int64_t sizes[TENSOR_MAX_DIMS + 1];
    int ndim = var_ndim(a);
    if (!sizes_at(a, "unsqueeze", &axis, ndim + 1, sizes))
        return (Var){.tape = a.tape};
    memmove(sizes + axis + 1, sizes + axis, (size_t)(ndim - axis) * sizeof *sizes);
    sizes[axis] = 1;
    return var_reshape(a, ndim + 1, sizes);
}

Var var_squeeze(Var a, int axis)
{
    int64_t sizes[TENSOR_MAX_DIMS];
    int ndim = var_ndim(a);
    if (ndim == 0 && (axis == 0 || axis == -1))
        return a;
    if (!sizes_at(a, "squeeze", &axis, ndim, sizes))
        return (Var){.tape = a.tape};
    if (sizes[axis] != 1)
        return a;
    memmove(sizes + axis, sizes + axis + 1, (size_t)(ndim - axis - 1) * sizeof *sizes);
    return var_reshape(a, ndim - 1, sizes);
}

Var var_flatten(Var a, int first)
{
    int64_t sizes[TENSOR_MAX_DIMS];
    int ndim = var_ndim(a);
    if (ndim == 0 && (first == 0 || first == -1))
        return var_reshape(a, TENSOR_SHAPE(1));
    if (!sizes_at(a, "flatten", &first, ndim, sizes))
        return (Var){.tape = a.tape};
    for (int i = first + 1; i < ndim; i++)
        sizes[first] *= sizes[i];
    return var_reshape(a, first + 1, sizes);
}

Var var_flip(Var a, unsigned axes)
{
    unsigned found;
    if (!var_is_empty(a) && !tensor_axes(axes, var_ndim(a), &found))
        return tape_fail(a.tape, "flip: the axes (bits %#x) are out of range for %d dimensions", axes,
                         var_ndim(a));
    for (int i = 0; i < var_ndim(a); i++)
        if (found & TENSOR_AXIS(i))
            a = var_slice(a, i, -1, TENSOR_END, -1);
    return a;
}

bool var_split(Var a, int axis, const int64_t *sizes, int count, Var *parts)
{
    int64_t of_a[TENSOR_MAX_DIMS], at = 0;
    bool ok = sizes_at(a, "split", &axis, var_ndim(a), of_a);
    for (int i = 0; ok && i < count; i++)
        ok = sizes[i] >= 0 && !__builtin_add_overflow(at, sizes[i], &at);
    if (ok && at != of_a[axis])
        ok = false;
    if (!ok && !var_is_empty(a))
        tape_fail(a.tape, "split: the sizes do not sum to %lld, that of axis %d",
                  (long long)var_size(a, axis), axis);
    at = 0;
    for (int i = 0; i < count; i++) {
        parts[i] = ok ? var_slice(a, axis, at, at + sizes[i], 1) : (Var){.tape = a.tape};
        at += ok ? sizes[i] : 0;
    }
    return ok && tape_ok(a.tape);
}

bool var_unbind(Var a, int axis, Var *parts)
{
    int64_t sizes[TENSOR_MAX_DIMS];
    if (!sizes_at(a, "unbind", &axis, var_ndim(a), sizes))
        return false;
    for (int64_t i = 0; i < sizes[axis]; i++)
        parts[i] = var_select(a, axis, i);
    return tape_ok(a.tape);
}

Var var_repeat(Var a, int axis, int64_t times)
{
    int64_t sizes[TENSOR_MAX_DIMS], before = 1, after = 1;
    int ndim = var_ndim(a);
    if (!sizes_at(a, "repeat", &axis, ndim, sizes))
        return (Var){.tape = a.tape};
    for (int i = 0; i < ndim; i++)
        *(i < axis ? &before : &after) *= sizes[i];
    if (times < 0 || __builtin_mul_overflow(sizes[axis], times, &sizes[axis]))
        return tape_fail(a.tape, "repeat: %lld times is not possible", (long long)times);
    Var rows = var_reshape(a, TENSOR_SHAPE(before, 1, after));
    return var_reshape(var_expand(rows, TENSOR_SHAPE(before, times, after)), ndim, sizes);
}

Var var_glu(Var a, int axis)
{
    int64_t sizes[TENSOR_MAX_DIMS];
    if (!sizes_at(a, "glu", &axis, var_ndim(a), sizes))
        return (Var){.tape = a.tape};
    if (sizes[axis] % 2)
        return tape_fail(a.tape, "glu: size %lld of axis %d is odd", (long long)sizes[axis], axis);
    int64_t half = sizes[axis] / 2;
    return var_mul(var_slice(a, axis, 0, half, 1), var_sigmoid(var_slice(a, axis, half, TENSOR_END, 1)));
}

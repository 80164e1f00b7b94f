#include "tensor/view.h"
#include "tensor/loop_internal.h"

#include <math.h>
#include <string.h>

/* Whether this is a shape whose elements can be counted and addressed. Axes of size 0 are counted as 1, so
 * that strides cannot overflow either. */
static bool shape_is_possible(TensorDtype dtype, int ndim, const int64_t *shape)
{
    int64_t bytes = (int64_t)tensor_dtype_size(dtype);
    if (bytes == 0 || ndim < 0 || ndim > TENSOR_MAX_DIMS)
        return false;
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(bytes, shape[i] ? shape[i] : 1, &bytes))
            return false;
    return true;
}

/* A negative axis counts from the end; -1 where there is no such axis. */
static int normal_axis(int axis, int ndim)
{
    if (axis < 0)
        axis += ndim;
    return axis >= 0 && axis < ndim ? axis : -1;
}

static void *address(const Tensor *t, int64_t offset)
{
    return t->data ? (char *)t->data + offset * (int64_t)tensor_dtype_size(t->dtype) : NULL;
}

/* ---- Memory that is there already, or new in an arena ---- */

static void set_contiguous(Tensor *t, int ndim, const int64_t *shape)
{
    int64_t stride = 1;
    t->ndim = ndim;
    for (int i = ndim - 1; i >= 0; i--) {
        t->shape[i] = shape[i];
        t->strides[i] = stride;
        stride *= shape[i] ? shape[i] : 1;
    }
}

Tensor tensor_from(void *data, TensorDtype dtype, int ndim, const int64_t *shape)
{
    if (!shape_is_possible(dtype, ndim, shape))
        return tensor_invalid();
    Tensor t = {.data = data, .dtype = dtype};
    set_contiguous(&t, ndim, shape);
    return data || tensor_numel(&t) == 0 ? t : tensor_invalid();
}

static size_t tensor_bytes(const Tensor *t)
{
    return (size_t)tensor_numel(t) * tensor_dtype_size(t->dtype);
}

Tensor tensor_new(TensorArena *arena, TensorDtype dtype, int ndim, const int64_t *shape)
{
    if (!shape_is_possible(dtype, ndim, shape))
        return tensor_invalid();
    Tensor t = {.dtype = dtype};
    set_contiguous(&t, ndim, shape);
    t.data = tensor_arena_alloc(arena, tensor_bytes(&t));
    return t.data ? t : tensor_invalid();
}

Tensor tensor_zeros(TensorArena *arena, TensorDtype dtype, int ndim, const int64_t *shape)
{
    Tensor t = tensor_new(arena, dtype, ndim, shape);
    if (tensor_is_valid(t))
        memset(t.data, 0, tensor_bytes(&t));
    return t;
}

Tensor tensor_full(TensorArena *arena, TensorDtype dtype, int ndim, const int64_t *shape, double value)
{
    Tensor t = tensor_new(arena, dtype, ndim, shape);
    if (tensor_is_valid(t))
        tensor_fill(t, value);
    return t;
}

Tensor tensor_cast(TensorArena *arena, Tensor t, TensorDtype dtype)
{
    if (!tensor_is_valid(t))
        return t;
    Tensor copy = tensor_new(arena, dtype, t.ndim, t.shape);
    if (tensor_is_valid(copy))
        tensor_copy_into(copy, t);
    return copy;
}

Tensor tensor_copy(TensorArena *arena, Tensor t)
{
    return tensor_cast(arena, t, t.dtype);
}

Tensor tensor_contiguous(TensorArena *arena, Tensor t)
{
    return tensor_is_contiguous(&t) ? t : tensor_copy(arena, t);
}

/* ---- Views ---- */

/* NumPy's clipping of start and stop: into [0, size] for a forward step, [-1, size - 1] for a backward one.
 */
static int64_t clip_index(int64_t index, int64_t size, bool backward)
{
    if (index < 0)
        index += size;
    int64_t least = backward ? -1 : 0, most = backward ? size - 1 : size;
    return index < least ? least : index > most ? most : index;
}

Tensor tensor_slice(Tensor t, int axis, int64_t start, int64_t stop, int64_t step)
{
    axis = tensor_is_valid(t) ? normal_axis(axis, t.ndim) : -1;
    if (axis < 0 || step == 0)
        return tensor_invalid();
    if (step == INT64_MIN)
        step = -INT64_MAX;
    int64_t size = t.shape[axis], count = 0;
    bool backward = step < 0;
    start = clip_index(start, size, backward);
    stop = stop == TENSOR_END ? (backward ? -1 : size) : clip_index(stop, size, backward);
    if (backward ? stop < start : start < stop)
        count = backward ? (start - stop - 1) / -step + 1 : (stop - start - 1) / step + 1;
    if (count > 0)
        t.data = address(&t, start * t.strides[axis]);
    if (count > 1) /* otherwise the product is not needed, and might overflow */
        t.strides[axis] *= step;
    t.shape[axis] = count;
    return t;
}

/* t without one axis, whose data pointer is at the wanted element already. */
static Tensor drop_axis(Tensor t, int axis)
{
    for (int i = axis; i + 1 < t.ndim; i++) {
        t.shape[i] = t.shape[i + 1];
        t.strides[i] = t.strides[i + 1];
    }
    t.ndim--;
    t.shape[t.ndim] = t.strides[t.ndim] = 0;
    return t;
}

Tensor tensor_select(Tensor t, int axis, int64_t index)
{
    axis = tensor_is_valid(t) ? normal_axis(axis, t.ndim) : -1;
    if (axis < 0)
        return tensor_invalid();
    if (index < 0)
        index += t.shape[axis];
    if (index < 0 || index >= t.shape[axis])
        return tensor_invalid();
    t.data = address(&t, index * t.strides[axis]);
    return drop_axis(t, axis);
}

Tensor tensor_transpose(Tensor t, int axis_a, int axis_b)
{
    if (!tensor_is_valid(t))
        return t;
    axis_a = normal_axis(axis_a, t.ndim);
    axis_b = normal_axis(axis_b, t.ndim);
    if (axis_a < 0 || axis_b < 0)
        return tensor_invalid();
    int64_t size = t.shape[axis_a], stride = t.strides[axis_a];
    t.shape[axis_a] = t.shape[axis_b];
    t.strides[axis_a] = t.strides[axis_b];
    t.shape[axis_b] = size;
    t.strides[axis_b] = stride;
    return t;
}

Tensor tensor_permute(Tensor t, const int *axes)
{
    if (!tensor_is_valid(t))
        return t;
    Tensor permuted = t;
    unsigned seen = 0;
    for (int i = 0; i < t.ndim; i++) {
        int axis = normal_axis(axes[i], t.ndim);
        if (axis < 0 || seen & 1u << axis)
            return tensor_invalid();
        seen |= 1u << axis;
        permuted.shape[i] = t.shape[axis];
        permuted.strides[i] = t.strides[axis];
    }
    return permuted;
}

Tensor tensor_unsqueeze(Tensor t, int axis)
{
    axis = tensor_is_valid(t) && t.ndim < TENSOR_MAX_DIMS ? normal_axis(axis, t.ndim + 1) : -1;
    if (axis < 0)
        return tensor_invalid();
    int64_t stride = axis < t.ndim ? t.shape[axis] * t.strides[axis] : 1;
    for (int i = t.ndim; i > axis; i--) {
        t.shape[i] = t.shape[i - 1];
        t.strides[i] = t.strides[i - 1];
    }
    t.shape[axis] = 1;
    t.strides[axis] = stride;
    t.ndim++;
    return t;
}

Tensor tensor_squeeze(Tensor t, int axis)
{
    axis = tensor_is_valid(t) ? normal_axis(axis, t.ndim) : -1;
    if (axis < 0 || t.shape[axis] != 1)
        return tensor_invalid();
    return drop_axis(t, axis);
}

/* Puts the size that a -1 stands for; false where the shape cannot hold `count` elements. */
static bool resolve_shape(int64_t count, int ndim, const int64_t *shape, int64_t *resolved)
{
    int unknown = -1;
    int64_t known = 1;
    if (ndim < 0 || ndim > TENSOR_MAX_DIMS)
        return false;
    for (int i = 0; i < ndim; i++) {
        resolved[i] = shape[i];
        if (shape[i] == -1 && unknown < 0)
            unknown = i;
        else if (shape[i] < 0 || __builtin_mul_overflow(known, shape[i], &known))
            return false;
    }
    if (unknown < 0)
        return known == count;
    if (known == 0 || count % known)
        return false;
    resolved[unknown] = count / known;
    return true;
}

/* Gives the elements of `t` the new shape (of as many elements, not 0). Goes through both shapes in step:
 * the shortest group of old axes that holds as many elements as a group of new ones must lie in memory as
 * one axis. False where one does not. */
static bool split_axes(const Tensor *t, int ndim, const int64_t *shape, int64_t *strides)
{
    int64_t size[TENSOR_MAX_DIMS], stride[TENSOR_MAX_DIMS]; /* the old axes, without those of size 1 */
    int old_count = 0, old = 0, made = 0;
    for (int i = 0; i < t->ndim; i++)
        if (t->shape[i] != 1) {
            size[old_count] = t->shape[i];
            stride[old_count++] = t->strides[i];
        }
    while (old < old_count) {
        int old_end = old + 1, new_end = made + 1;
        int64_t old_product = size[old], new_product = shape[made];
        while (old_product != new_product) {
            if (old_product < new_product)
                old_product *= size[old_end++];
            else
                new_product *= shape[new_end++];
        }
        for (int i = old; i + 1 < old_end; i++)
            if (stride[i] != size[i + 1] * stride[i + 1])
                return false;
        int64_t next = stride[old_end - 1];
        for (int i = new_end - 1; i >= made; i--) {
            strides[i] = next;
            next *= shape[i];
        }
        old = old_end;
        made = new_end;
    }
    for (; made < ndim; made++)
        strides[made] = 1;
    return true;
}

Tensor tensor_view_as(Tensor t, int ndim, const int64_t *shape)
{
    int64_t resolved[TENSOR_MAX_DIMS];
    int64_t count = tensor_numel(&t);
    if (!tensor_is_valid(t) || !resolve_shape(count, ndim, shape, resolved) ||
        !shape_is_possible(t.dtype, ndim, resolved))
        return tensor_invalid();
    Tensor view = {.data = t.data, .dtype = t.dtype};
    set_contiguous(&view, ndim, resolved);
    if (count > 0 && !split_axes(&t, ndim, resolved, view.strides))
        return tensor_invalid();
    return view;
}

Tensor tensor_reshape(TensorArena *arena, Tensor t, int ndim, const int64_t *shape)
{
    Tensor view = tensor_view_as(t, ndim, shape);
    int64_t resolved[TENSOR_MAX_DIMS];
    if (tensor_is_valid(view) || !tensor_is_valid(t) ||
        !resolve_shape(tensor_numel(&t), ndim, shape, resolved))
        return view;
    return tensor_view_as(tensor_copy(arena, t), ndim, resolved);
}

Tensor tensor_expand(Tensor t, int ndim, const int64_t *shape)
{
    if (!tensor_is_valid(t) || ndim < t.ndim || !shape_is_possible(t.dtype, ndim, shape))
        return tensor_invalid();
    Tensor expanded = {.data = t.data, .dtype = t.dtype, .ndim = ndim};
    for (int i = 0; i < ndim; i++) {
        int own = i - (ndim - t.ndim);
        bool grows = own < 0 || t.shape[own] != shape[i];
        if (own >= 0 && grows && t.shape[own] != 1)
            return tensor_invalid();
        expanded.shape[i] = shape[i];
        expanded.strides[i] = grows ? 0 : t.strides[own];
    }
    return expanded;
}

bool tensor_broadcast_shape(const Tensor *a, const Tensor *b, int *ndim, int64_t *shape)
{
    if (!tensor_is_valid(*a) || !tensor_is_valid(*b))
        return false;
    int count = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int i = 0; i < count; i++) {
        int in_a = i - (count - a->ndim), in_b = i - (count - b->ndim);
        int64_t size_a = in_a < 0 ? 1 : a->shape[in_a], size_b = in_b < 0 ? 1 : b->shape[in_b];
        if (size_a != size_b && size_a != 1 && size_b != 1)
            return false;
        shape[i] = size_a == 1 ? size_b : size_a;
    }
    *ndim = count;
    return true;
}

/* ---- Copies into memory that is there ---- */

/* To i32 a value is cut towards zero and clipped to the range; NaN becomes 0 (a plain cast is undefined). */
static int32_t to_i32(double x)
{
    return x >= 2147483647.0 ? INT32_MAX : x <= -2147483648.0 ? INT32_MIN : x != x ? 0 : (int32_t)x;
}

#define CONVERT_KERNEL(name, Target, Source, EXPRESSION)                                                     \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        Target *restrict out = (Target *)(void *)data[0];                                                    \
        const Source *restrict in = (const Source *)(void *)data[1];                                         \
        const int64_t to = stride[0], from = stride[1];                                                      \
        if (to == 1 && from == 1) {                                                                          \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const Source x = in[i];                                                                      \
                out[i] = EXPRESSION;                                                                         \
            }                                                                                                \
        } else {                                                                                             \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const Source x = in[i * from];                                                               \
                out[i * to] = EXPRESSION;                                                                    \
            }                                                                                                \
        }                                                                                                    \
    }

CONVERT_KERNEL(copy_f32, float, float, x)
CONVERT_KERNEL(copy_f64, double, double, x)
CONVERT_KERNEL(copy_i32, int32_t, int32_t, x)
CONVERT_KERNEL(f32_from_f64, float, double, (float)x)
CONVERT_KERNEL(f32_from_i32, float, int32_t, (float)x)
CONVERT_KERNEL(f64_from_f32, double, float, (double)x)
CONVERT_KERNEL(f64_from_i32, double, int32_t, (double)x)
CONVERT_KERNEL(i32_from_f32, int32_t, float, to_i32((double)x))
CONVERT_KERNEL(i32_from_f64, int32_t, double, to_i32(x))

static TensorLoopKernel *const convert_kernels[4][4] = {
    [TENSOR_F32] = {[TENSOR_F32] = copy_f32, [TENSOR_F64] = f32_from_f64, [TENSOR_I32] = f32_from_i32},
    [TENSOR_F64] = {[TENSOR_F32] = f64_from_f32, [TENSOR_F64] = copy_f64, [TENSOR_I32] = f64_from_i32},
    [TENSOR_I32] = {[TENSOR_F32] = i32_from_f32, [TENSOR_F64] = i32_from_f64, [TENSOR_I32] = copy_i32}};

bool tensor_copy_into(Tensor target, Tensor source)
{
    TensorLoop loop;
    if (tensor_is_broadcast(&target) || !tensor_loop_init(&loop, 2, (const Tensor *[]){&target, &source}))
        return false;
    bool plain = target.dtype == source.dtype && loop.stride[0] == 1 && loop.stride[1] == 1;
    TensorLoopKernel *kernel = convert_kernels[target.dtype][source.dtype];
    size_t size = tensor_dtype_size(target.dtype);
    while (tensor_loop_next(&loop)) {
        if (plain)
            memcpy(loop.data[0], loop.data[1], (size_t)loop.n * size);
        else
            kernel(loop.data, loop.stride, loop.n);
    }
    return true;
}

bool tensor_fill(Tensor target, double value)
{
    float f32 = (float)value;
    int32_t i32 = to_i32(value);
    Tensor source = {.dtype = target.dtype};
    source.data = target.dtype == TENSOR_F32   ? (void *)&f32
                  : target.dtype == TENSOR_I32 ? (void *)&i32
                                               : &value;
    return tensor_copy_into(target, source);
}

/* Whether `b` can be joined to `a` along `axis` (-1: they must agree in every axis). */
static bool agree_but_for(const Tensor *a, const Tensor *b, int axis)
{
    if (a->dtype != b->dtype || a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (i != axis && a->shape[i] != b->shape[i])
            return false;
    return true;
}

Tensor tensor_concat(TensorArena *arena, const Tensor *tensors, int count, int axis)
{
    axis = count > 0 && tensor_is_valid(tensors[0]) ? normal_axis(axis, tensors[0].ndim) : -1;
    if (axis < 0)
        return tensor_invalid();
    Tensor whole = tensors[0];
    for (int i = 1; i < count; i++)
        if (!agree_but_for(&tensors[0], &tensors[i], axis) ||
            __builtin_add_overflow(whole.shape[axis], tensors[i].shape[axis], &whole.shape[axis]))
            return tensor_invalid();
    whole = tensor_new(arena, whole.dtype, whole.ndim, whole.shape);
    int64_t start = 0;
    for (int i = 0; i < count && tensor_is_valid(whole); i++) {
        int64_t stop = start + tensors[i].shape[axis];
        tensor_copy_into(tensor_slice(whole, axis, start, stop, 1), tensors[i]);
        start = stop;
    }
    return whole;
}

Tensor tensor_stack(TensorArena *arena, const Tensor *tensors, int count, int axis)
{
    Tensor whole = count > 0 ? tensor_unsqueeze(tensors[0], axis) : tensor_invalid();
    if (!tensor_is_valid(whole))
        return whole;
    axis = normal_axis(axis, whole.ndim);
    for (int i = 1; i < count; i++)
        if (!agree_but_for(&tensors[0], &tensors[i], -1))
            return tensor_invalid();
    whole.shape[axis] = count;
    whole = tensor_new(arena, whole.dtype, whole.ndim, whole.shape);
    for (int i = 0; i < count && tensor_is_valid(whole); i++)
        tensor_copy_into(tensor_select(whole, axis, i), tensors[i]);
    return whole;
}

/* ---- Single elements ---- */

static void *element(const Tensor *t, const int64_t *index)
{
    int64_t offset = 0;
    for (int i = 0; i < t->ndim; i++)
        offset += index[i] * t->strides[i];
    return address(t, offset);
}

double tensor_get(const Tensor *t, const int64_t *index)
{
    const void *place = element(t, index);
    switch (t->dtype) {
    case TENSOR_F32:
        return *(const float *)place;
    case TENSOR_F64:
        return *(const double *)place;
    case TENSOR_I32:
        return *(const int32_t *)place;
    case TENSOR_DTYPE_NONE:
        break;
    }
    return NAN;
}

void tensor_set(const Tensor *t, const int64_t *index, double value)
{
    void *place = element(t, index);
    if (t->dtype == TENSOR_F32)
        *(float *)place = (float)value;
    else if (t->dtype == TENSOR_F64)
        *(double *)place = value;
    else if (t->dtype == TENSOR_I32)
        *(int32_t *)place = to_i32(value);
}

double tensor_item(Tensor t)
{
    return tensor_numel(&t) == 1 ? tensor_get(&t, (const int64_t[TENSOR_MAX_DIMS]){0}) : NAN;
}

bool tensor_equal(Tensor a, Tensor b)
{
    TensorLoop loop;
    if (a.dtype != b.dtype || !tensor_same_shape(&a, &b) ||
        !tensor_loop_init(&loop, 2, (const Tensor *[]){&a, &b}))
        return false;
    size_t size = tensor_dtype_size(a.dtype);
    bool plain = loop.stride[0] == 1 && loop.stride[1] == 1;
    while (tensor_loop_next(&loop)) {
        if (plain && memcmp(loop.data[0], loop.data[1], (size_t)loop.n * size) != 0)
            return false;
        for (int64_t i = 0; !plain && i < loop.n; i++)
            if (memcmp(loop.data[0] + i * loop.stride[0] * (int64_t)size,
                       loop.data[1] + i * loop.stride[1] * (int64_t)size, size) != 0)
                return false;
    }
    return true;
}

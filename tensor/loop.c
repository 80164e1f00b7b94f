#include "tensor/loop_internal.h"

#include <string.h>

typedef struct Axis {
    int64_t size;
    int64_t stride[LOOP_MAX_OPERANDS]; /* in elements */
} Axis;

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

/* Whether `a` belongs outside of `b`: by the first operand's strides, then by the next one's. */
static bool is_outer(const Axis *a, const Axis *b, int operands)
{
    for (int i = 0; i < operands; i++)
        if (magnitude(a->stride[i]) != magnitude(b->stride[i]))
            return magnitude(a->stride[i]) > magnitude(b->stride[i]);
    return false;
}

static bool can_join(const Axis *outer, const Axis *inner, int operands)
{
    for (int i = 0; i < operands; i++)
        if (outer->stride[i] != inner->size * inner->stride[i])
            return false;
    return true;
}

/* The stride of t on the axis `axis` of a shape with ndim axes and `size` there; false: does not fit. */
static bool broadcast_stride(const Tensor *t, int axis, int ndim, int64_t size, int64_t *stride)
{
    int own = axis - (ndim - t->ndim);
    *stride = own >= 0 && t->shape[own] != 1 ? t->strides[own] : 0;
    return own < 0 || t->shape[own] == size || t->shape[own] == 1;
}

/* The axes of size > 1 in C order, all operands broadcast to the first; -1 where they do not fit. */
static int collect_axes(TensorLoop *loop, const Tensor *const *tensors, bool in_order, Axis *axes)
{
    const Tensor *first = tensors[0];
    int count = 0;
    for (int d = 0; d < first->ndim; d++) {
        Axis axis = {.size = first->shape[d]};
        for (int i = 0; i < loop->operands; i++)
            if (!broadcast_stride(tensors[i], d, first->ndim, axis.size, &axis.stride[i]))
                return -1;
        if (axis.size == 1)
            continue;
        bool turns = axis.stride[0] < 0 && !in_order;
        for (int i = 0; turns && i < loop->operands; i++) {
            if (loop->data[i] && axis.size)
                loop->data[i] +=
                    (axis.size - 1) * axis.stride[i] * (int64_t)tensor_dtype_size(tensors[i]->dtype);
            axis.stride[i] = -axis.stride[i];
        }
        axes[count++] = axis;
    }
    return count;
}

static int sort_and_join(Axis *axes, int count, int operands, bool in_order)
{
    for (int i = 1; i < count && !in_order; i++) {
        Axis moving = axes[i];
        int j = i;
        for (; j > 0 && is_outer(&moving, &axes[j - 1], operands); j--)
            axes[j] = axes[j - 1];
        axes[j] = moving;
    }
    int kept = 0;
    for (int i = 1; i < count; i++) {
        if (can_join(&axes[kept], &axes[i], operands)) {
            axes[i].size *= axes[kept].size;
            axes[kept] = axes[i];
        } else {
            axes[++kept] = axes[i];
        }
    }
    return count ? kept + 1 : 0;
}

static bool init(TensorLoop *loop, int operands, const Tensor *const *tensors, bool in_order)
{
    memset(loop, 0, sizeof *loop);
    loop->operands = operands;
    for (int i = 0; i < operands; i++) {
        if (tensors[i]->dtype == TENSOR_DTYPE_NONE || tensors[i]->ndim > tensors[0]->ndim)
            return false;
        loop->data[i] = tensors[i]->data;
    }
    Axis axes[TENSOR_MAX_DIMS];
    int count = collect_axes(loop, tensors, in_order, axes);
    if (count < 0)
        return false;
    loop->n = 1;
    if (tensor_numel(tensors[0]) == 0) {
        loop->n = 0;
        return true;
    }
    count = sort_and_join(axes, count, operands, in_order);
    if (count == 0)
        return true;
    loop->ndim = count - 1;
    loop->n = axes[count - 1].size;
    for (int i = 0; i < operands; i++) {
        loop->stride[i] = axes[count - 1].stride[i];
        for (int d = 0; d < loop->ndim; d++) {
            loop->shape[d] = axes[d].size;
            loop->step[i][d] = axes[d].stride[i] * (int64_t)tensor_dtype_size(tensors[i]->dtype);
        }
    }
    return true;
}

bool tensor_loop_init(TensorLoop *loop, int operands, const Tensor *const *tensors)
{
    return init(loop, operands, tensors, false);
}

bool tensor_loop_init_in_order(TensorLoop *loop, const Tensor *tensor)
{
    return init(loop, 1, &tensor, true);
}

bool tensor_loop_next(TensorLoop *loop)
{
    if (!loop->started) {
        loop->started = true;
        return loop->n > 0;
    }
    for (int d = loop->ndim - 1; d >= 0; d--) {
        bool more = ++loop->index[d] < loop->shape[d];
#pragma GCC unroll 5 /* LOOP_MAX_OPERANDS; rows are short */
        for (int i = 0; i < loop->operands; i++)
            loop->data[i] += more ? loop->step[i][d] : -(loop->shape[d] - 1) * loop->step[i][d];
        if (more)
            return true;
        loop->index[d] = 0;
    }
    return false;
}

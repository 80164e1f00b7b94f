/* Dtypes and shapes: what is asked of a tensor without looking at its elements. */
#include "tensor/view.h"

#include <stdio.h>
#include <string.h>

size_t tensor_dtype_size(TensorDtype dtype)
{
    switch (dtype) {
    case TENSOR_F32:
        return sizeof(float);
    case TENSOR_F64:
        return sizeof(double);
    case TENSOR_I32:
        return sizeof(int32_t);
    case TENSOR_DTYPE_NONE:
        break;
    }
    return 0;
}

const char *tensor_dtype_name(TensorDtype dtype)
{
    switch (dtype) {
    case TENSOR_F32:
        return "f32";
    case TENSOR_F64:
        return "f64";
    case TENSOR_I32:
        return "i32";
    case TENSOR_DTYPE_NONE:
        break;
    }
    return "none";
}

Tensor tensor_invalid(void)
{
    return (Tensor){.dtype = TENSOR_DTYPE_NONE};
}

int64_t tensor_numel(const Tensor *t)
{
    if (t->dtype == TENSOR_DTYPE_NONE)
        return 0;
    int64_t count = 1;
    for (int i = 0; i < t->ndim; i++)
        count *= t->shape[i];
    return count;
}

bool tensor_is_contiguous(const Tensor *t)
{
    if (t->dtype == TENSOR_DTYPE_NONE)
        return false;
    if (tensor_numel(t) == 0)
        return true;
    int64_t expected = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides[i] != expected)
            return false;
        expected *= t->shape[i];
    }
    return true;
}

bool tensor_same_shape(const Tensor *a, const Tensor *b)
{
    if (a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

bool tensor_is_broadcast(const Tensor *t)
{
    if (tensor_numel(t) == 0)
        return false;
    for (int i = 0; i < t->ndim; i++)
        if (t->shape[i] > 1 && t->strides[i] == 0)
            return true;
    return false;
}

char *tensor_dims_text(int ndim, const int64_t *shape, char *text)
{
    size_t used = 0;
    text[used++] = '[';
    for (int i = 0; i < ndim && i < TENSOR_MAX_DIMS; i++)
        used += (size_t)snprintf(text + used, TENSOR_SHAPE_TEXT_SIZE - used, i ? ", %lld" : "%lld",
                                 (long long)shape[i]);
    text[used++] = ']';
    text[used] = '\0';
    return text;
}

char *tensor_shape_text(const Tensor *t, char *text)
{
    if (t->dtype == TENSOR_DTYPE_NONE)
        return strcpy(text, "[invalid]");
    return tensor_dims_text(t->ndim, t->shape, text);
}

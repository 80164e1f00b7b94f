/* A tensor is a view: dtype, shape, strides, and a pointer to memory that somebody else owns.
 *
 * Views are passed by value and never freed. Strides count elements, may be negative (a reversed axis)
 * and are 0 on a broadcast axis. On failure (a bad axis, shapes that do not match, no memory)
 * a function returns an invalid tensor, for which tensor_is_valid() is false; every function here accepts an
 * invalid tensor and passes it on. */
#ifndef REEL_TENSOR_VIEW_H
#define REEL_TENSOR_VIEW_H

#include "tensor/arena.h"
#include "tensor/decls.h"

#include <stdbool.h>
#include <stdint.h>
#ifdef __cplusplus
#include <initializer_list>
#endif

REEL_BEGIN_DECLS

/* Types of elements. */
typedef enum { TENSOR_DTYPE_NONE = 0, TENSOR_F32, TENSOR_F64, TENSOR_I32 } TensorDtype;

enum { TENSOR_MAX_DIMS = 6, TENSOR_SHAPE_TEXT_SIZE = 160 };

/* A view of memory; see the head of this file. */
typedef struct Tensor {
    void *data;
    TensorDtype dtype; /* TENSOR_DTYPE_NONE: invalid */
    int ndim;          /* 0 (a scalar) to TENSOR_MAX_DIMS */
    int64_t shape[TENSOR_MAX_DIMS];
    int64_t strides[TENSOR_MAX_DIMS]; /* in elements */
} Tensor;

/* The two arguments `ndim, shape` of the functions below: TENSOR_SHAPE(2, 3). A scalar is `0, NULL`. */
#ifdef __cplusplus
#define TENSOR_SHAPE(...)                                                                                    \
    ((int)std::initializer_list<int64_t>{__VA_ARGS__}.size()),                                               \
        (std::initializer_list<int64_t>{__VA_ARGS__}.begin())
#else
#define TENSOR_SHAPE(...)                                                                                    \
    ((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))), ((const int64_t[]){__VA_ARGS__})
#endif

/* Stands for "up to the end" in tensor_slice(). */
#define TENSOR_END INT64_MAX

/* Size in bytes of one element: 4, 8, 4; 0 for TENSOR_DTYPE_NONE. */
size_t tensor_dtype_size(TensorDtype dtype);
/* "f32", "f64", "i32", "none". */
const char *tensor_dtype_name(TensorDtype dtype);

/* Whether there is a tensor at all. */
static inline bool tensor_is_valid(Tensor t)
{
    return t.dtype != TENSOR_DTYPE_NONE;
}
/* The invalid tensor, which functions return on failure. */
Tensor tensor_invalid(void);
/* The number of elements; 0 where an axis has size 0 and for an invalid tensor. */
int64_t tensor_numel(const Tensor *t);
/* Whether elements lie in C order without gaps. */
bool tensor_is_contiguous(const Tensor *t);
bool tensor_same_shape(const Tensor *a, const Tensor *b);
/* Whether two indices of the view can name the same element: a broadcast axis. Outputs must not have one. */
bool tensor_is_broadcast(const Tensor *t);
/* "[3, 4]" written to `text`, which has room for TENSOR_SHAPE_TEXT_SIZE bytes; returns `text`. */
char *tensor_shape_text(const Tensor *t, char *text);
char *tensor_dims_text(int ndim, const int64_t *shape, char *text);

/* ---- Memory that is there already, or new in an arena ---- */

/* A contiguous view of `data`. */
Tensor tensor_from(void *data, TensorDtype dtype, int ndim, const int64_t *shape);
/* Contiguous memory from the arena: not initialised, zeros, one value, or a contiguous copy of `t`. */
Tensor tensor_new(TensorArena *arena, TensorDtype dtype, int ndim, const int64_t *shape);
Tensor tensor_zeros(TensorArena *arena, TensorDtype dtype, int ndim, const int64_t *shape);
Tensor tensor_full(TensorArena *arena, TensorDtype dtype, int ndim, const int64_t *shape, double value);
Tensor tensor_copy(TensorArena *arena, Tensor t);
/* `t` itself where it is contiguous, a copy otherwise. */
Tensor tensor_contiguous(TensorArena *arena, Tensor t);
/* A contiguous copy in another dtype. */
Tensor tensor_cast(TensorArena *arena, Tensor t, TensorDtype dtype);

/* ---- Views. A negative axis counts from the end. ---- */

/* start, start+step, ... before stop, along one axis; step may be negative. start and stop count from
 * the end where they are negative and are clipped as NumPy clips them; TENSOR_END as stop means all
 * that is left in the direction of the step. */
Tensor tensor_slice(Tensor t, int axis, int64_t start, int64_t stop, int64_t step);
/* One index of an axis; the axis goes. */
Tensor tensor_select(Tensor t, int axis, int64_t index);
Tensor tensor_transpose(Tensor t, int axis_a, int axis_b);
/* axes[i] is the old axis that becomes axis i. */
Tensor tensor_permute(Tensor t, const int *axes);
/* Inserts an axis of size 1 in front of `axis` (ndim: at the end), or removes one. */
Tensor tensor_unsqueeze(Tensor t, int axis);
Tensor tensor_squeeze(Tensor t, int axis);
/* The same elements in another shape; one size may be -1. Invalid where that needs a copy. */
Tensor tensor_view_as(Tensor t, int ndim, const int64_t *shape);
/* The same, copying into the arena where a view cannot do it. */
Tensor tensor_reshape(TensorArena *arena, Tensor t, int ndim, const int64_t *shape);
/* Broadcasts to a larger shape: new axes in front, and axes of size 1, get stride 0. */
Tensor tensor_expand(Tensor t, int ndim, const int64_t *shape);
/* NumPy's rule for two operands; false where the shapes do not fit. `shape` has TENSOR_MAX_DIMS places. */
bool tensor_broadcast_shape(const Tensor *a, const Tensor *b, int *ndim, int64_t *shape);

/* ---- Copies into memory that is there ---- */

/* Copies (and converts) `source`, broadcast to the shape of `target`. False where the shapes do not fit
 * or the target is itself a broadcast view. The two must not overlap. */
bool tensor_copy_into(Tensor target, Tensor source);
bool tensor_fill(Tensor target, double value);
/* Joins along an existing axis, or along a new one. All must agree in dtype and in the other axes. */
Tensor tensor_concat(TensorArena *arena, const Tensor *tensors, int count, int axis);
Tensor tensor_stack(TensorArena *arena, const Tensor *tensors, int count, int axis);

/* One element as a double, and back; the index has ndim places. For tests and printing, not for loops. */
double tensor_get(const Tensor *t, const int64_t *index);
void tensor_set(const Tensor *t, const int64_t *index, double value);
/* The value of a tensor with one element. NaN where it has not exactly one. */
double tensor_item(Tensor t);
/* Whether shapes, dtypes and all bytes agree. */
bool tensor_equal(Tensor a, Tensor b);

/* ---- Typed access in hot code ---- */

static inline float *tensor_f32(Tensor t)
{
    return (float *)t.data;
}
static inline double *tensor_f64(Tensor t)
{
    return (double *)t.data;
}
static inline int32_t *tensor_i32(Tensor t)
{
    return (int32_t *)t.data;
}

REEL_END_DECLS

#endif

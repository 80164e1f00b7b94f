#include "tensor/elementwise.h"
#include "tensor/loop_internal.h"
#include "tensor/levels.h"

#include <string.h>
#include <tgmath.h>

/* A kernel over one run, with the two parameters of a function or the factors of a sum. */
typedef void Kernel(char *const *data, const int64_t *stride, int64_t n, const double *parameters);

#if defined(__clang__) /* it says so where libm's functions keep it from vectorising */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

/* How many elements go through buffers together. */
enum { BLOCK = 256 };

#define KERNELS "tensor/elementwise_kernels_internal.h"
#include "tensor/each_real.h"

/* ---- Vectorised functions ---- */

/* Elements that are not side by side go through a buffer to the same function, so that the bits of a result
 * do not depend on the layout. */
static void through_buffer(void (*function)(float *out, const float *x, size_t n), char *const *data,
                           const int64_t *stride, int64_t n)
{
    float *out = (float *)(void *)data[0];
    const float *a = (const float *)(void *)data[1];
    if (stride[0] == 1 && stride[1] == 1) {
        function(out, a, (size_t)n);
        return;
    }
    float buffer[BLOCK];
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t count = n - start < BLOCK ? n - start : BLOCK;
        for (int64_t i = 0; i < count; i++)
            buffer[i] = a[(start + i) * stride[1]];
        function(buffer, buffer, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            out[(start + i) * stride[0]] = buffer[i];
    }
}

#define TENSOR_VECTOR(NAME, function)                                                                        \
    static void function##_kernel(char *const *data, const int64_t *stride, int64_t n, const double *p)      \
    {                                                                                                        \
        (void)p;                                                                                             \
        through_buffer(function, data, stride, n);                                                           \
    }
#include "tensor/elementwise_table.h"

/* ---- The functions by name ---- */

typedef struct Kernels {
    Kernel *f32, *f64;
} Kernels;

static const Kernels unary[] = {
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)                                          \
    [TENSOR_UNARY_##NAME] = {name##_f32, name##_f64},
#define TENSOR_UNARY_FLAT(NAME, name, f) [TENSOR_UNARY_##NAME] = {name##_f32, name##_f64},
#include "tensor/elementwise_table.h"
};

static Kernel *const vectorised[TENSOR_UNARY_COUNT] = {
#define TENSOR_VECTOR(NAME, function) [TENSOR_UNARY_##NAME] = function##_kernel,
#include "tensor/elementwise_table.h"
};

static const Kernels binary[] = {
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)                                   \
    [TENSOR_BINARY_##NAME] = {name##_f32, name##_f64},
#define TENSOR_BINARY_FLAT(NAME, name, f) [TENSOR_BINARY_##NAME] = {name##_f32, name##_f64},
#include "tensor/elementwise_table.h"
};

static const Kernels unary_slopes[TENSOR_UNARY_COUNT] = {
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)                                          \
    [TENSOR_UNARY_##NAME] = {name##_slope_f32, name##_slope_f64},
#include "tensor/elementwise_table.h"
};

static const Kernels binary_slopes[TENSOR_BINARY_COUNT][2] = {
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)                                   \
    [TENSOR_BINARY_##                                                                                        \
        NAME] = {{name##_slope_a_f32, name##_slope_a_f64}, {name##_slope_b_f32, name##_slope_b_f64}},
#include "tensor/elementwise_table.h"
};

static Kernel *unary_kernel(TensorUnaryOp op, TensorDtype dtype)
{
    return dtype == TENSOR_F64 ? unary[op].f64 : vectorised[op] ? vectorised[op] : unary[op].f32;
}

static const double no_parameters[2];
static const int64_t side_by_side[LOOP_MAX_OPERANDS] = {1, 1, 1, 1, 1};

void tensor_map(TensorUnaryOp op, TensorDtype dtype, void *out, const void *x, int64_t n)
{
    unary_kernel(op, dtype)((char *[]){out, (char *)(uintptr_t)x, out}, side_by_side, n, no_parameters);
}

/* ---- Running a kernel ---- */

static bool is_real(TensorDtype dtype)
{
    return dtype == TENSOR_F32 || dtype == TENSOR_F64;
}

/* Whether all have one shape and no gaps: most do, and then there is nothing to walk through. */
static bool are_plain(int operands, const Tensor *const *tensors)
{
    for (int i = 0; i < operands; i++)
        if ((i == 0 || tensors[i] != tensors[0]) &&
            (!tensor_is_contiguous(tensors[i]) || !tensor_same_shape(tensors[0], tensors[i])))
            return false;
    return true;
}

/* The first is the output. Those that a kernel does not read are the output once more. */
static bool run(Kernel *kernel, int operands, const Tensor *const *tensors, const double *parameters)
{
    if (are_plain(operands, tensors)) {
        char *data[LOOP_MAX_OPERANDS];
        for (int i = 0; i < operands; i++)
            data[i] = tensors[i]->data;
        kernel(data, side_by_side, tensor_numel(tensors[0]), parameters);
        return true;
    }
    TensorLoop loop;
    if (!tensor_loop_init(&loop, operands, tensors))
        return false;
    while (tensor_loop_next(&loop))
        kernel(loop.data, loop.stride, loop.n, parameters);
    return true;
}

/* Whether `out` can be written and all operands have its dtype. */
static bool fit(int operands, const Tensor *const *tensors)
{
    const Tensor *out = tensors[0];
    for (int i = 1; i < operands; i++)
        if (tensors[i]->dtype != out->dtype)
            return false;
    return is_real(out->dtype) && !tensor_is_broadcast(out);
}

/* ---- What the header declares ---- */

bool tensor_unary_with(TensorUnaryOp op, Tensor out, Tensor a, const double *parameters)
{
    const Tensor *tensors[] = {&out, &a, &out};
    return (unsigned)op < TENSOR_UNARY_COUNT && fit(2, tensors) &&
           run(unary_kernel(op, out.dtype), 3, tensors, parameters);
}

bool tensor_unary(TensorUnaryOp op, Tensor out, Tensor a)
{
    return tensor_unary_with(op, out, a, no_parameters);
}

bool tensor_binary(TensorBinaryOp op, Tensor out, Tensor a, Tensor b)
{
    const Tensor *tensors[] = {&out, &a, &b};
    return (unsigned)op < TENSOR_BINARY_COUNT && fit(3, tensors) &&
           run(out.dtype == TENSOR_F32 ? binary[op].f32 : binary[op].f64, 3, tensors, no_parameters);
}

static bool run_slope(Kernels kernels, const Tensor **tensors, const double *parameters)
{
    for (int i = 1; i < 5; i++)
        if (!tensors[i])
            tensors[i] = tensors[0];
    Kernel *kernel = tensors[0]->dtype == TENSOR_F32 ? kernels.f32 : kernels.f64;
    return kernel && fit(5, tensors) && run(kernel, 5, tensors, parameters);
}

bool tensor_unary_slope(TensorUnaryOp op, Tensor out, const Tensor *g, const Tensor *x, const Tensor *y,
                        const double *parameters)
{
    return (unsigned)op < TENSOR_UNARY_COUNT &&
           run_slope(unary_slopes[op], (const Tensor *[]){&out, g, x, NULL, y},
                     parameters ? parameters : no_parameters);
}

bool tensor_binary_slope(TensorBinaryOp op, int operand, Tensor out, const Tensor *g, const Tensor *a,
                         const Tensor *b, const Tensor *y)
{
    return (unsigned)op < TENSOR_BINARY_COUNT && (unsigned)operand < 2 &&
           run_slope(binary_slopes[op][operand], (const Tensor *[]){&out, g, a, b, y}, no_parameters);
}

bool tensor_axpby(Tensor out, double alpha, Tensor a, double beta)
{
    if (alpha == 1 && beta == 1) /* the addition of a gradient; the same bits, without the products */
        return tensor_binary(TENSOR_BINARY_ADD, out, a, out);
    const Tensor *tensors[] = {&out, &a};
    return fit(2, tensors) && run(TENSOR_BY_DTYPE(out.dtype, axpby), 2, tensors, (double[]){alpha, beta});
}

bool tensor_addcmul(Tensor out, double alpha, Tensor a, Tensor b)
{
    const Tensor *tensors[] = {&out, &a, &b};
    return fit(3, tensors) && run(TENSOR_BY_DTYPE(out.dtype, addcmul), 3, tensors, &alpha);
}

bool tensor_where(Tensor out, Tensor condition, Tensor a, Tensor b)
{
    const Tensor *real[] = {&out, &a, &b}, *tensors[] = {&out, &condition, &a, &b};
    return fit(3, real) && condition.dtype == TENSOR_I32 &&
           run(TENSOR_BY_DTYPE(out.dtype, where), 4, tensors, no_parameters);
}

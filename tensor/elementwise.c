#include "tensor/elementwise.h"
#include "tensor/loop_internal.h"
#include "tensor/vmath.h"

#include <math.h>

static bool is_real(TensorDtype dtype)
{
    return dtype == TENSOR_F32 || dtype == TENSOR_F64;
}

/* Whether all have one shape and no gaps: most do, and then there is nothing to walk through. */
static bool are_plain(int operands, const Tensor *const *tensors)
{
    for (int i = 0; i < operands; i++)
        if (!tensor_is_contiguous(tensors[i]) || (i > 0 && !tensor_same_shape(tensors[0], tensors[i])))
            return false;
    return true;
}

static bool run(TensorLoopKernel *kernel, int operands, const Tensor *const *tensors)
{
    if (are_plain(operands, tensors)) {
        char *data[LOOP_MAX_OPERANDS];
        static const int64_t stride[LOOP_MAX_OPERANDS] = {1, 1, 1, 1};
        for (int i = 0; i < operands; i++)
            data[i] = tensors[i]->data;
        kernel(data, stride, tensor_numel(tensors[0]));
        return true;
    }
    TensorLoop loop;
    if (!tensor_loop_init(&loop, operands, tensors))
        return false;
    while (tensor_loop_next(&loop))
        kernel(loop.data, loop.stride, loop.n);
    return true;
}

/* ---- One operand ---- */

#define UNARY_KERNEL(name, T, EXPRESSION)                                                                    \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        T *out = (T *)(void *)data[0];                                                                       \
        const T *a = (const T *)(void *)data[1];                                                             \
        const int64_t to = stride[0], from = stride[1];                                                      \
        if (to == 1 && from == 1) {                                                                          \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const T x = a[i];                                                                            \
                out[i] = EXPRESSION;                                                                         \
            }                                                                                                \
        } else {                                                                                             \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const T x = a[i * from];                                                                     \
                out[i * to] = EXPRESSION;                                                                    \
            }                                                                                                \
        }                                                                                                    \
    }

UNARY_KERNEL(neg_f32, float, -x)
UNARY_KERNEL(neg_f64, double, -x)
UNARY_KERNEL(sqrt_f32, float, sqrtf(x))
UNARY_KERNEL(sqrt_f64, double, sqrt(x))
UNARY_KERNEL(abs_f32, float, fabsf(x))
UNARY_KERNEL(abs_f64, double, fabs(x))
UNARY_KERNEL(sign_f32, float, x != x ? x : (float)((x > 0) - (x < 0)))
UNARY_KERNEL(sign_f64, double, x != x ? x : (double)((x > 0) - (x < 0)))
/* Written so that NaN stays NaN. */
UNARY_KERNEL(relu_f32, float, x <= 0 ? 0 : x)
UNARY_KERNEL(relu_f64, double, x <= 0 ? 0 : x)
UNARY_KERNEL(square_f32, float, x *x)
UNARY_KERNEL(square_f64, double, x *x)
UNARY_KERNEL(reciprocal_f32, float, 1 / x)
UNARY_KERNEL(reciprocal_f64, double, 1 / x)

/* The exponent is never positive, so that nothing overflows. */
static double sigmoid(double x)
{
    double e = exp(-fabs(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

static double softplus(double x)
{
    return (x <= 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

/* A function of libm (or made of some) for each element. */
#define CALL_KERNEL(name, function)                                                                          \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        double *out = (double *)(void *)data[0];                                                             \
        const double *a = (const double *)(void *)data[1];                                                   \
        for (int64_t i = 0; i < n; i++)                                                                      \
            out[i * stride[0]] = function(a[i * stride[1]]);                                                 \
    }

CALL_KERNEL(exp_f64, exp)
CALL_KERNEL(log_f64, log)
CALL_KERNEL(tanh_f64, tanh)
CALL_KERNEL(sigmoid_f64, sigmoid)
CALL_KERNEL(softplus_f64, softplus)

/* Elements that are not side by side go through a buffer to the same function, so that the bits of a result
 * do not depend on the layout. */
enum { BUFFER_SIZE = 256 };

typedef void VectorFunction(float *out, const float *x, size_t n);

static void through_buffer(VectorFunction *function, char *const *data, const int64_t *stride, int64_t n)
{
    float *out = (float *)(void *)data[0];
    const float *a = (const float *)(void *)data[1];
    if (stride[0] == 1 && stride[1] == 1) {
        function(out, a, (size_t)n);
        return;
    }
    float buffer[BUFFER_SIZE];
    for (int64_t start = 0; start < n; start += BUFFER_SIZE) {
        int64_t count = n - start < BUFFER_SIZE ? n - start : BUFFER_SIZE;
        for (int64_t i = 0; i < count; i++)
            buffer[i] = a[(start + i) * stride[1]];
        function(buffer, buffer, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            out[(start + i) * stride[0]] = buffer[i];
    }
}

#define VECTOR_KERNEL(name, function)                                                                        \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        through_buffer(function, data, stride, n);                                                           \
    }

VECTOR_KERNEL(exp_f32, tensor_vmath_exp)
VECTOR_KERNEL(log_f32, tensor_vmath_log)
VECTOR_KERNEL(tanh_f32, tensor_vmath_tanh)
VECTOR_KERNEL(sigmoid_f32, tensor_vmath_sigmoid)
VECTOR_KERNEL(softplus_f32, tensor_vmath_softplus)

typedef struct KernelPair {
    TensorLoopKernel *f32, *f64;
} KernelPair;

static const KernelPair unary_kernels[] = {
    [TENSOR_UNARY_NEG] = {neg_f32, neg_f64},
    [TENSOR_UNARY_EXP] = {exp_f32, exp_f64},
    [TENSOR_UNARY_LOG] = {log_f32, log_f64},
    [TENSOR_UNARY_SQRT] = {sqrt_f32, sqrt_f64},
    [TENSOR_UNARY_ABS] = {abs_f32, abs_f64},
    [TENSOR_UNARY_SIGN] = {sign_f32, sign_f64},
    [TENSOR_UNARY_RELU] = {relu_f32, relu_f64},
    [TENSOR_UNARY_TANH] = {tanh_f32, tanh_f64},
    [TENSOR_UNARY_SIGMOID] = {sigmoid_f32, sigmoid_f64},
    [TENSOR_UNARY_SOFTPLUS] = {softplus_f32, softplus_f64},
    [TENSOR_UNARY_SQUARE] = {square_f32, square_f64},
    [TENSOR_UNARY_RECIPROCAL] = {reciprocal_f32, reciprocal_f64},
};

bool tensor_unary(TensorUnaryOp op, Tensor out, Tensor a)
{
    if ((unsigned)op >= sizeof unary_kernels / sizeof unary_kernels[0] || !is_real(out.dtype) ||
        a.dtype != out.dtype || tensor_is_broadcast(&out))
        return false;
    KernelPair pair = unary_kernels[op];
    return run(out.dtype == TENSOR_F32 ? pair.f32 : pair.f64, 2, (const Tensor *[]){&out, &a});
}

/* ---- Two operands ---- */

/* The layouts that matter have a loop of their own: side by side, and one operand the same throughout. */
#define BINARY_KERNEL(name, T, EXPRESSION)                                                                   \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        T *out = (T *)(void *)data[0];                                                                       \
        const T *a = (const T *)(void *)data[1], *b = (const T *)(void *)data[2];                            \
        const int64_t to = stride[0], from_a = stride[1], from_b = stride[2];                                \
        if (to == 1 && from_a == 1 && from_b == 1) {                                                         \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const T x = a[i], y = b[i];                                                                  \
                out[i] = EXPRESSION;                                                                         \
            }                                                                                                \
        } else if (to == 1 && from_a == 1 && from_b == 0) {                                                  \
            const T y = *b;                                                                                  \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const T x = a[i];                                                                            \
                out[i] = EXPRESSION;                                                                         \
            }                                                                                                \
        } else if (to == 1 && from_a == 0 && from_b == 1) {                                                  \
            const T x = *a;                                                                                  \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const T y = b[i];                                                                            \
                out[i] = EXPRESSION;                                                                         \
            }                                                                                                \
        } else {                                                                                             \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++) {                                                                \
                const T x = a[i * from_a], y = b[i * from_b];                                                \
                out[i * to] = EXPRESSION;                                                                    \
            }                                                                                                \
        }                                                                                                    \
    }

BINARY_KERNEL(add_f32, float, x + y)
BINARY_KERNEL(add_f64, double, x + y)
BINARY_KERNEL(sub_f32, float, x - y)
BINARY_KERNEL(sub_f64, double, x - y)
BINARY_KERNEL(mul_f32, float, x *y)
BINARY_KERNEL(mul_f64, double, x *y)
BINARY_KERNEL(div_f32, float, x / y)
BINARY_KERNEL(div_f64, double, x / y)
/* A NaN in x is taken by the second test, one in y because x > NaN is false. */
BINARY_KERNEL(maximum_f32, float, ((x > y) | (x != x)) ? x : y)
BINARY_KERNEL(maximum_f64, double, ((x > y) | (x != x)) ? x : y)
BINARY_KERNEL(greater_f32, float, (float)(x > y))
BINARY_KERNEL(greater_f64, double, (double)(x > y))
BINARY_KERNEL(equal_f32, float, (float)(x == y))
BINARY_KERNEL(equal_f64, double, (double)(x == y))

#define POWER_KERNEL(name, T, function)                                                                      \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        T *out = (T *)(void *)data[0];                                                                       \
        const T *a = (const T *)(void *)data[1], *b = (const T *)(void *)data[2];                            \
        for (int64_t i = 0; i < n; i++)                                                                      \
            out[i * stride[0]] = function(a[i * stride[1]], b[i * stride[2]]);                               \
    }

POWER_KERNEL(pow_f32, float, powf)
POWER_KERNEL(pow_f64, double, pow)

static const KernelPair binary_kernels[] = {
    [TENSOR_BINARY_ADD] = {add_f32, add_f64},
    [TENSOR_BINARY_SUB] = {sub_f32, sub_f64},
    [TENSOR_BINARY_MUL] = {mul_f32, mul_f64},
    [TENSOR_BINARY_DIV] = {div_f32, div_f64},
    [TENSOR_BINARY_POW] = {pow_f32, pow_f64},
    [TENSOR_BINARY_MAXIMUM] = {maximum_f32, maximum_f64},
    [TENSOR_BINARY_GREATER] = {greater_f32, greater_f64},
    [TENSOR_BINARY_EQUAL] = {equal_f32, equal_f64},
};

bool tensor_binary(TensorBinaryOp op, Tensor out, Tensor a, Tensor b)
{
    if ((unsigned)op >= sizeof binary_kernels / sizeof binary_kernels[0] || !is_real(out.dtype) ||
        a.dtype != out.dtype || b.dtype != out.dtype || tensor_is_broadcast(&out))
        return false;
    KernelPair pair = binary_kernels[op];
    return run(out.dtype == TENSOR_F32 ? pair.f32 : pair.f64, 3, (const Tensor *[]){&out, &a, &b});
}

/* ---- Accumulation ---- */

/* What the scalars do is decided once per run: beta 0 must not read, and 1 need not multiply. */
#define AXPBY_KERNEL(name, T)                                                                                \
    static void name(char *const *data, const int64_t *stride, int64_t n, T alpha, T beta)                   \
    {                                                                                                        \
        T *out = (T *)(void *)data[0];                                                                       \
        const T *a = (const T *)(void *)data[1];                                                             \
        const int64_t to = stride[0], from = stride[1];                                                      \
        if (beta == 0) {                                                                                     \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i * to] = alpha * a[i * from];                                                           \
        } else if (to == 1 && from == 1) {                                                                   \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i] = alpha * a[i] + beta * out[i];                                                       \
        } else if (to == 1 && from == 0) {                                                                   \
            const T x = alpha * *a;                                                                          \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i] = x + beta * out[i];                                                                  \
        } else {                                                                                             \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i * to] = alpha * a[i * from] + beta * out[i * to];                                      \
        }                                                                                                    \
    }

AXPBY_KERNEL(axpby_f32, float)
AXPBY_KERNEL(axpby_f64, double)

/* Shared by the two below: whether they may write to `out` and read `a` as it is. */
static bool fits(const Tensor *out, const Tensor *a)
{
    return is_real(out->dtype) && a->dtype == out->dtype && !tensor_is_broadcast(out);
}

bool tensor_axpby(Tensor out, double alpha, Tensor a, double beta)
{
    TensorLoop loop;
    if (!fits(&out, &a))
        return false;
    if (alpha == 1 && beta == 1) /* the addition of a gradient; the same bits, without the products */
        return tensor_binary(TENSOR_BINARY_ADD, out, a, out);
    if (!tensor_loop_init(&loop, 2, (const Tensor *[]){&out, &a}))
        return false;
    while (tensor_loop_next(&loop)) {
        if (out.dtype == TENSOR_F32)
            axpby_f32(loop.data, loop.stride, loop.n, (float)alpha, (float)beta);
        else
            axpby_f64(loop.data, loop.stride, loop.n, alpha, beta);
    }
    return true;
}

#define ADDCMUL_KERNEL(name, T)                                                                              \
    static void name(char *const *data, const int64_t *stride, int64_t n, T alpha)                           \
    {                                                                                                        \
        T *out = (T *)(void *)data[0];                                                                       \
        const T *a = (const T *)(void *)data[1], *b = (const T *)(void *)data[2];                            \
        const int64_t to = stride[0], from_a = stride[1], from_b = stride[2];                                \
        if (to == 1 && from_a == 1 && from_b == 1) {                                                         \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i] += alpha * a[i] * b[i];                                                               \
        } else if (to == 1 && from_a == 1 && from_b == 0) {                                                  \
            const T y = *b;                                                                                  \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i] += alpha * a[i] * y;                                                                  \
        } else {                                                                                             \
            LOOP_INDEPENDENT                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i * to] += alpha * a[i * from_a] * b[i * from_b];                                        \
        }                                                                                                    \
    }

ADDCMUL_KERNEL(addcmul_f32, float)
ADDCMUL_KERNEL(addcmul_f64, double)

bool tensor_addcmul(Tensor out, double alpha, Tensor a, Tensor b)
{
    TensorLoop loop;
    if (!fits(&out, &a) || !fits(&out, &b) || !tensor_loop_init(&loop, 3, (const Tensor *[]){&out, &a, &b}))
        return false;
    while (tensor_loop_next(&loop)) {
        if (out.dtype == TENSOR_F32)
            addcmul_f32(loop.data, loop.stride, loop.n, (float)alpha);
        else
            addcmul_f64(loop.data, loop.stride, loop.n, alpha);
    }
    return true;
}

/* ---- Selection ---- */

#define WHERE_KERNEL(name, T)                                                                                \
    static void name(char *const *data, const int64_t *stride, int64_t n)                                    \
    {                                                                                                        \
        T *out = (T *)(void *)data[0];                                                                       \
        const int32_t *condition = (const int32_t *)(void *)data[1];                                         \
        const T *a = (const T *)(void *)data[2], *b = (const T *)(void *)data[3];                            \
        LOOP_INDEPENDENT                                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const T x = a[i * stride[2]], y = b[i * stride[3]];                                              \
            out[i * stride[0]] = condition[i * stride[1]] ? x : y;                                           \
        }                                                                                                    \
    }

WHERE_KERNEL(where_f32, float)
WHERE_KERNEL(where_f64, double)

bool tensor_where(Tensor out, Tensor condition, Tensor a, Tensor b)
{
    if (!fits(&out, &a) || !fits(&out, &b) || condition.dtype != TENSOR_I32)
        return false;
    return run(out.dtype == TENSOR_F32 ? where_f32 : where_f64, 4,
               (const Tensor *[]){&out, &condition, &a, &b});
}

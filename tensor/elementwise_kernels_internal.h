/* The kernels of tensor/elementwise.c, for each floating dtype: see tensor/each_real.h. A loop is inlined
 * into the kernel of each function, and the function into the loop. */

/* ---- The functions, of one element ---- */

/* f(a, b), or f(a); a gradient from g, the operands and y = f. p and q are parameters. */
typedef REAL FN(Function)(REAL a, REAL b, REAL p, REAL q);
typedef REAL FN(Slope)(REAL g, REAL a, REAL b, REAL y, REAL p, REAL q);

#define FUNCTION(name, f)                                                                                    \
    static inline REAL FN(name##_of)(REAL a, REAL b, REAL p, REAL q)                                         \
    {                                                                                                        \
        const REAL x = a;                                                                                    \
        (void)x, (void)b, (void)p, (void)q;                                                                  \
        return f;                                                                                            \
    }
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)        FUNCTION(name, f)
#define TENSOR_UNARY_FLAT(NAME, name, f)                                   FUNCTION(name, f)
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b) FUNCTION(name, f)
#define TENSOR_BINARY_FLAT(NAME, name, f)                                  FUNCTION(name, f)
#include "tensor/elementwise_table.h"
#undef FUNCTION

#define TENSOR_TERMS
#define G               g
#define DA              g
#define X               a
#define A               a
#define B               b
#define Y               y
#define P               p
#define Q               q
#define NUM(value)      ((REAL)(value))
#define ADD(u, v)       ((u) + (v))
#define SUB(u, v)       ((u) - (v))
#define MUL(u, v)       ((u) * (v))
#define DIV(u, v)       ((u) / (v))
#define NEG(u)          (-(u))
#define OF(name, u)     FN(name##_of)(u, 0, 0, 0)
#define OF2(name, u, v) FN(name##_of)(u, v, 0, 0)
#define SIGN(u)         OF(sign, u)
#define GREATER(u, v)   OF2(greater, u, v)
#define EQUAL(u, v)     OF2(equal, u, v)
#define IF(u, v, s, t)  ((u) > (v) ? (s) : (t))
#define SLOPE(name, slope)                                                                                   \
    static inline REAL FN(name)(REAL g, REAL a, REAL b, REAL y, REAL p, REAL q)                              \
    {                                                                                                        \
        (void)g, (void)a, (void)b, (void)y, (void)p, (void)q;                                                \
        return slope;                                                                                        \
    }
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain) SLOPE(name##_slope_of, slope)
#define TENSOR_UNARY_OWN(NAME, name, f, slope, domain, reads)
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)                                   \
    SLOPE(name##_slope_a_of, slope_a) SLOPE(name##_slope_b_of, slope_b)
#include "tensor/elementwise_table.h"
#undef SLOPE

/* ---- Loops ---- */

TENSOR_INLINE void FN(run_map)(FN(Function) * f, REAL *out, const REAL *a, const REAL *b, int64_t to,
                               int64_t from_a, int64_t from_b, int64_t n, REAL p, REAL q)
{
    LOOP_INDEPENDENT
    for (int64_t i = 0; i < n; i++)
        out[i * to] = f(a[i * from_a], b[i * from_b], p, q);
}

/* The layouts that matter have a loop of their own: side by side, and one operand the same throughout. */
TENSOR_INLINE void FN(map)(FN(Function) * f, int operands, char *const *data, const int64_t *stride,
                           int64_t n, const double *parameters)
{
    REAL *out = (REAL *)(void *)data[0];
    const REAL *a = (REAL *)(void *)data[1], *b = (REAL *)(void *)data[2];
    const REAL p = (REAL)parameters[0], q = (REAL)parameters[1];
    if (stride[0] == 1 && stride[1] == 1 && stride[2] == 1)
        FN(run_map)(f, out, a, b, 1, 1, 1, n, p, q);
    else if (operands == 2 && stride[0] == 1 && stride[1] == 1 && stride[2] == 0)
        FN(run_map)(f, out, a, &(const REAL){*b}, 1, 1, 0, n, p, q);
    else if (operands == 2 && stride[0] == 1 && stride[1] == 0 && stride[2] == 1)
        FN(run_map)(f, out, &(const REAL){*a}, b, 1, 0, 1, n, p, q);
    else
        FN(run_map)(f, out, a, b, stride[0], stride[1], stride[2], n, p, q);
}

TENSOR_INLINE void FN(run_slope)(FN(Slope) * f, char *const *data, int64_t to, int64_t from_g, int64_t from_a,
                                 int64_t from_b, int64_t from_y, int64_t n, REAL p, REAL q)
{
    REAL *out = (REAL *)(void *)data[0];
    const REAL *g = (REAL *)(void *)data[1], *a = (REAL *)(void *)data[2];
    const REAL *b = (REAL *)(void *)data[3], *y = (REAL *)(void *)data[4];
    LOOP_INDEPENDENT
    for (int64_t i = 0; i < n; i++)
        out[i * to] = f(g[i * from_g], a[i * from_a], b[i * from_b], y[i * from_y], p, q);
}

TENSOR_INLINE void FN(map_slope)(FN(Slope) * f, int operands, char *const *data, const int64_t *stride,
                                 int64_t n, const double *parameters)
{
    const REAL p = (REAL)parameters[0], q = (REAL)parameters[1];
    bool plain = stride[0] == 1 && stride[4] == 1;
    if (n == 0)
        return;
    int64_t g = stride[1], a = stride[2], b = stride[3];
    REAL same_g = *(REAL *)(void *)data[1];
    REAL same_b = *(REAL *)(void *)data[3];
    char *const with_same_g[] = {data[0], (char *)&same_g, data[2], data[3], data[4]};
    char *const with_same_b[] = {data[0], data[1], data[2], (char *)&same_b, data[4]};
    if (plain && g == 1 && a == 1 && b == 1)
        FN(run_slope)(f, data, 1, 1, 1, 1, 1, n, p, q);
    else if (plain && g == 0 && a == 1 && b == 1)
        FN(run_slope)(f, with_same_g, 1, 0, 1, 1, 1, n, p, q);
    else if (operands == 2 && plain && g == 1 && a == 0 && b == 1)
        FN(run_slope)(f, data, 1, 1, 0, 1, 1, n, p, q);
    else if (operands == 2 && plain && g == 1 && a == 1 && b == 0)
        FN(run_slope)(f, with_same_b, 1, 1, 1, 0, 1, n, p, q);
    else
        FN(run_slope)(f, data, stride[0], g, a, b, stride[4], n, p, q);
}

#define KERNEL(kind, operands, name)                                                                         \
    static void FN(name)(char *const *data, const int64_t *stride, int64_t n, const double *parameters)      \
    {                                                                                                        \
        FN(kind)(FN(name##_of), operands, data, stride, n, parameters);                                      \
    }
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)                                          \
    KERNEL(map, 1, name) KERNEL(map_slope, 1, name##_slope)
#define TENSOR_UNARY_OWN(NAME, name, f, slope, domain, reads) KERNEL(map, 1, name)
#define TENSOR_UNARY_FLAT(NAME, name, f)                      KERNEL(map, 1, name)
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)                                   \
    KERNEL(map, 2, name) KERNEL(map_slope, 2, name##_slope_a) KERNEL(map_slope, 2, name##_slope_b)
#define TENSOR_BINARY_FLAT(NAME, name, f) KERNEL(map, 2, name)
#include "tensor/elementwise_table.h"
#undef KERNEL

/* ---- Gradients with kernels of their own: operands side by side ---- */

/* Where 1 - y^2 cancels it is 1 / cosh^2 x = 4 u / (1 + u)^2, u = e^(-2 |x|): of some elements together. */
static void FN(mend_tanh_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    int64_t at[BLOCK], count = 0;
    REAL u[BLOCK] = {0};
    for (int64_t i = 0; i < n; i++)
        if (1 - y[i] * y[i] < (REAL)0x1p-10) {
            at[count] = i;
            u[count++] = -2 * fabs(x[i]);
        }
    tensor_map(TENSOR_UNARY_EXP, REAL_DTYPE, u, u, count);
    for (int64_t k = 0; k < count; k++)
        out[at[k]] = g[at[k]] * (4 * u[k] / ((1 + u[k]) * (1 + u[k])));
}

static void FN(tanh_own_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    for (int64_t from = 0; from < n; from += BLOCK) {
        int64_t end = n - from < BLOCK ? n : from + BLOCK;
        int cancels = 0;
        for (int64_t i = from; i < end; i++) {
            REAL slope = 1 - y[i] * y[i];
            out[i] = g[i] * slope;
            cancels |= slope < (REAL)0x1p-10;
        }
        if (cancels) /* in few blocks */
            FN(mend_tanh_slope)(out + from, g + from, x + from, y + from, end - from);
    }
}

static void FN(softplus_own_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    (void)y;
    tensor_map(TENSOR_UNARY_SIGMOID, REAL_DTYPE, out, x, n);
    for (int64_t i = 0; i < n; i++)
        out[i] *= g[i];
}

static void FN(logsigmoid_own_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    (void)y;
    for (int64_t i = 0; i < n; i++)
        out[i] = -x[i];
    tensor_map(TENSOR_UNARY_SIGMOID, REAL_DTYPE, out, out, n);
    for (int64_t i = 0; i < n; i++)
        out[i] *= g[i];
}

static void FN(silu_own_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    tensor_map(TENSOR_UNARY_SIGMOID, REAL_DTYPE, out, x, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = g[i] * (out[i] + y[i] * (1 - out[i]));
}

static void FN(erf_own_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    (void)y;
    for (int64_t i = 0; i < n; i++)
        out[i] = -(x[i] * x[i]);
    tensor_map(TENSOR_UNARY_EXP, REAL_DTYPE, out, out, n);
    for (int64_t i = 0; i < n; i++)
        out[i] *= (REAL)1.1283791670955126 * g[i];
}

static void FN(gelu_own_slope)(REAL *out, const REAL *g, const REAL *x, const REAL *y, int64_t n)
{
    REAL of_erf[BLOCK];
    (void)y;
    if (REAL_DTYPE == TENSOR_F32) {
        tensor_vmath_gelu_gradient((void *)out, (const void *)g, (const void *)x, (size_t)n);
        return;
    }
    for (int64_t count; n > 0; n -= count, out += count, g += count, x += count) {
        count = n < BLOCK ? n : BLOCK;
        for (int64_t i = 0; i < count; i++) {
            of_erf[i] = (REAL)0.70710678118654752 * x[i];
            out[i] = (REAL)-0.5 * (x[i] * x[i]);
        }
        tensor_map(TENSOR_UNARY_ERF, REAL_DTYPE, of_erf, of_erf, count);
        tensor_map(TENSOR_UNARY_EXP, REAL_DTYPE, out, out, count);
        for (int64_t i = 0; i < count; i++)
            out[i] = g[i] * ((REAL)0.5 * (1 + of_erf[i]) + (REAL)0.3989422804014327 * x[i] * out[i]);
    }
}

/* Operands that are not side by side are copied there, a block at a time; one that is the same throughout,
 * such as the gradient of a sum, once. */
TENSOR_INLINE void FN(own_slope)(void (*f)(REAL *, const REAL *, const REAL *, const REAL *, int64_t),
                                 char *const *data, const int64_t *stride, int64_t n)
{
    REAL *at[5], buffer[5][BLOCK];
    bool plain = true;
    for (int k = 0; k < 5; k++) {
        at[k] = (REAL *)(void *)data[k];
        plain = plain && stride[k] == 1;
        for (int64_t i = 0; stride[k] == 0 && i < BLOCK; i++)
            buffer[k][i] = *at[k];
    }
    if (plain) {
        f(at[0], at[1], at[2], at[4], n);
        return;
    }
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t count = n - start < BLOCK ? n - start : BLOCK;
        REAL *block[5];
        for (int k = 0; k < 5; k++) {
            block[k] = stride[k] == 1 ? at[k] + start : buffer[k];
            for (int64_t i = 0; k > 0 && stride[k] != 1 && stride[k] != 0 && i < count; i++)
                buffer[k][i] = at[k][(start + i) * stride[k]];
        }
        f(block[0], block[1], block[2], block[4], count);
        for (int64_t i = 0; stride[0] != 1 && i < count; i++)
            at[0][(start + i) * stride[0]] = buffer[0][i];
    }
}

#define TENSOR_UNARY_OWN(NAME, name, f, slope, domain, reads)                                                \
    static void FN(name##_slope)(char *const *data, const int64_t *stride, int64_t n,                        \
                                 const double *parameters)                                                   \
    {                                                                                                        \
        (void)parameters;                                                                                    \
        FN(own_slope)(FN(name##_own_slope), data, stride, n);                                                \
    }
#include "tensor/elementwise_table.h"

/* ---- Accumulation ---- */

/* What the scalars do is decided once per run: beta 0 must not read, and 1 need not multiply. */
static void FN(axpby)(char *const *data, const int64_t *stride, int64_t n, const double *parameters)
{
    REAL *out = (REAL *)(void *)data[0];
    const REAL *a = (const REAL *)(void *)data[1];
    const REAL alpha = (REAL)parameters[0], beta = (REAL)parameters[1];
    const int64_t to = stride[0], from = stride[1];
    if (beta == 0) {
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i * to] = alpha * a[i * from];
    } else if (to == 1 && from == 1) {
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i] = alpha * a[i] + beta * out[i];
    } else if (to == 1 && from == 0) {
        const REAL x = alpha * *a;
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i] = x + beta * out[i];
    } else {
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i * to] = alpha * a[i * from] + beta * out[i * to];
    }
}

static void FN(addcmul)(char *const *data, const int64_t *stride, int64_t n, const double *parameters)
{
    REAL *out = (REAL *)(void *)data[0];
    const REAL *a = (const REAL *)(void *)data[1], *b = (const REAL *)(void *)data[2];
    const REAL alpha = (REAL)parameters[0];
    const int64_t to = stride[0], from_a = stride[1], from_b = stride[2];
    if (to == 1 && from_a == 1 && from_b == 1) {
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i] += alpha * a[i] * b[i];
    } else if (to == 1 && from_a == 1 && from_b == 0) {
        const REAL y = *b;
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i] += alpha * a[i] * y;
    } else {
        LOOP_INDEPENDENT
        for (int64_t i = 0; i < n; i++)
            out[i * to] += alpha * a[i * from_a] * b[i * from_b];
    }
}

/* ---- Selection ---- */

TENSOR_INLINE void FN(run_where)(char *const *data, int64_t to, int64_t from_condition, int64_t from_a,
                                 int64_t from_b, int64_t n)
{
    REAL *out = (REAL *)(void *)data[0];
    const int32_t *condition = (const int32_t *)(void *)data[1];
    const REAL *a = (const REAL *)(void *)data[2], *b = (const REAL *)(void *)data[3];
    LOOP_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        const REAL x = a[i * from_a], y = b[i * from_b];
        out[i * to] = condition[i * from_condition] ? x : y;
    }
}

/* Without branches in the layouts that matter: side by side, and one choice the same throughout. */
static void FN(where)(char *const *data, const int64_t *stride, int64_t n, const double *parameters)
{
    (void)parameters;
    if (n == 0)
        return;
    bool plain = stride[0] == 1 && stride[1] == 1;
    REAL a = *(REAL *)(void *)data[2], b = *(REAL *)(void *)data[3];
    if (plain && stride[2] == 1 && stride[3] == 1)
        FN(run_where)(data, 1, 1, 1, 1, n);
    else if (plain && stride[2] == 0 && stride[3] == 1)
        FN(run_where)((char *[]){data[0], data[1], (char *)&a, data[3]}, 1, 1, 0, 1, n);
    else if (plain && stride[2] == 1 && stride[3] == 0)
        FN(run_where)((char *[]){data[0], data[1], data[2], (char *)&b}, 1, 1, 1, 0, n);
    else
        FN(run_where)(data, stride[0], stride[1], stride[2], stride[3], n);
}

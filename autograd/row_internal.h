/* Loops over a row of contiguous elements, float or double, for ops that reduce rows (softmax, losses,
 * normalisation). Sums are kept in eight lanes of double: compilers vectorise those, where they may not
 * reorder a plain sum; the order depends on n alone. */
#ifndef REEL_AUTOGRAD_ROW_INTERNAL_H
#define REEL_AUTOGRAD_ROW_INTERNAL_H

#include "tensor/vmath.h"

#include <math.h>

/* The sum over k < n of `TERM`. */
#define DEFINE_ROW_SUM(NAME, ARGUMENTS, TERM)                                                                \
    static inline double NAME ARGUMENTS                                                                      \
    {                                                                                                        \
        double lane[8] = {0};                                                                                \
        int64_t k = 0;                                                                                       \
        while (k + 8 <= n)                                                                                   \
            for (int j = 0; j < 8; j++, k++)                                                                 \
                lane[j] += TERM;                                                                             \
        for (; k < n; k++)                                                                                   \
            lane[k & 7] += TERM;                                                                             \
        return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));    \
    }

#define DEFINE_ROW(T, SUFFIX)                                                                                \
    DEFINE_ROW_SUM(row_sum_##SUFFIX, (const T *x, int64_t n), (double)x[k])                                  \
    DEFINE_ROW_SUM(row_dot_##SUFFIX, (const T *x, const T *y, int64_t n), (double)x[k] * (double)y[k])       \
    /* sum_k (x_k - mean)^2 */                                                                               \
    DEFINE_ROW_SUM(row_squares_##SUFFIX, (const T *x, double mean, int64_t n),                               \
                   ((double)x[k] - mean) * ((double)x[k] - mean))                                            \
    /* The largest of n > 0 elements; with a NaN among them, any of them. */                                 \
    static inline T row_max_##SUFFIX(const T *x, int64_t n)                                                  \
    {                                                                                                        \
        T lane[8];                                                                                           \
        int64_t i = 0;                                                                                       \
        for (int j = 0; j < 8; j++)                                                                          \
            lane[j] = x[0];                                                                                  \
        for (; i + 8 <= n; i += 8)                                                                           \
            for (int j = 0; j < 8; j++)                                                                      \
                lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];                                           \
        for (; i < n; i++)                                                                                   \
            lane[0] = x[i] > lane[0] ? x[i] : lane[0];                                                       \
        for (int j = 1; j < 8; j++)                                                                          \
            lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];                                                 \
        return lane[0];                                                                                      \
    }                                                                                                        \
    /* Subtracts the largest element from all, so that their exp does not overflow. */                       \
    static inline void row_less_max_##SUFFIX(T *x, int64_t n)                                                \
    {                                                                                                        \
        T most = row_max_##SUFFIX(x, n);                                                                     \
        for (int64_t i = 0; i < n; i++)                                                                      \
            x[i] -= most;                                                                                    \
    }
DEFINE_ROW(float, f32)
DEFINE_ROW(double, f64)
#undef DEFINE_ROW
#undef DEFINE_ROW_SUM

static inline void row_exp_f32(float *out, const float *x, int64_t n)
{
    tensor_vmath_exp(out, x, (size_t)n);
}

static inline void row_exp_f64(double *out, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = exp(x[i]);
}

/* By the type of the elements that x points to. */
#define ROW_CALL(NAME, x)       _Generic(*(x), float : NAME##_f32, double : NAME##_f64)
#define row_sum(x, n)           ROW_CALL(row_sum, x)(x, n)
#define row_dot(x, y, n)        ROW_CALL(row_dot, x)(x, y, n)
#define row_squares(x, mean, n) ROW_CALL(row_squares, x)(x, mean, n)
#define row_max(x, n)           ROW_CALL(row_max, x)(x, n)
#define row_less_max(x, n)      ROW_CALL(row_less_max, x)(x, n)
#define row_exp(out, x, n)      ROW_CALL(row_exp, x)(out, x, n)

/* How many short rows are processed together: enough for row_exp() to pay, few enough to stay in the cache.
 */
static inline int64_t row_block(int64_t size)
{
    return size < 1024 ? 1024 / (size ? size : 1) : 1;
}

#endif

/* Loops that are compiled once for each version of tensor/vmath.h and run as the one in use: for an op or an
 * optimizer of one's own. The loop is an inline function whose last parameter says whether the processor has
 * a fused product and sum, which tensor_fused() takes; all versions then give the same bits:
 *
 *     TENSOR_INLINE void scaled_sum_loop(float *restrict out, const float *x, float a, size_t n, bool fma)
 *     {
 *         for (size_t i = 0; i < n; i++)
 *             out[i] = tensor_fused(a, x[i], out[i], fma);
 *     }
 *     TENSOR_LEVELS(scaled_sum, scaled_sum_loop, (float *out, const float *x, float a, size_t n), out, x, a,
 * n)
 *
 * defines scaled_sum(out, x, a, n). */
#ifndef REEL_TENSOR_LEVELS_H
#define REEL_TENSOR_LEVELS_H

#include "tensor/vmath.h"

#include <math.h>
#include <string.h>

REEL_BEGIN_DECLS

/* Before a loop and the functions that it calls. */
#define TENSOR_INLINE static inline __attribute__((always_inline))

/* a b + c, rounded once. The product is exact in double, so rounding the double sum to float is right unless
 * the sum lies in the middle between two floats, perhaps only by its own rounding. libm's fmaf, which
 * switches rounding modes, is left for that and for denormals, whose middles lie elsewhere. */
TENSOR_INLINE float tensor_fused(float a, float b, float c, bool by_processor)
{
    if (by_processor)
        return __builtin_fmaf(a, b, c);
    double sum = (double)a * b + c;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    bool is_middle = (bits & 0x1fffffff) == 0x10000000, is_tiny = fabs(sum) < 0x1p-126;
    return __builtin_expect(is_middle | is_tiny, 0) ? fmaf(a, b, c) : (float)sum;
}

#if defined(__x86_64__)
#define TENSOR_LEVEL_AVX2 __attribute__((target("avx2,fma")))
#ifdef __clang__
#define TENSOR_LEVEL_AVX512 __attribute__((target("avx512f,avx2,fma")))
#else
#define TENSOR_LEVEL_AVX512 __attribute__((target("avx512f,avx2,fma,prefer-vector-width=512")))
#endif
/* Defines `static void name parameters`, which calls loop(arguments, fma). */
#define TENSOR_LEVELS(name, loop, parameters, ...)                                                           \
    static void name##_portable parameters                                                                   \
    {                                                                                                        \
        loop(__VA_ARGS__, false);                                                                            \
    }                                                                                                        \
    TENSOR_LEVEL_AVX2 static void name##_avx2 parameters                                                     \
    {                                                                                                        \
        loop(__VA_ARGS__, true);                                                                             \
    }                                                                                                        \
    TENSOR_LEVEL_AVX512 static void name##_avx512 parameters                                                 \
    {                                                                                                        \
        loop(__VA_ARGS__, true);                                                                             \
    }                                                                                                        \
    static void name parameters                                                                              \
    {                                                                                                        \
        TensorVmathLevel level = tensor_vmath_level();                                                       \
        (level == TENSOR_VMATH_PORTABLE ? name##_portable                                                    \
         : level == TENSOR_VMATH_AVX2   ? name##_avx2                                                        \
                                        : name##_avx512)(__VA_ARGS__);                                         \
    }
#else
#if defined(__FP_FAST_FMAF) || defined(__aarch64__)
#define TENSOR_HAS_FMA true
#else
#define TENSOR_HAS_FMA false
#endif
#define TENSOR_LEVELS(name, loop, parameters, ...)                                                           \
    static void name parameters                                                                              \
    {                                                                                                        \
        loop(__VA_ARGS__, true);                                                                             \
    }
#endif

REEL_END_DECLS

#endif

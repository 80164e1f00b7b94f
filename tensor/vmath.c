#include "tensor/vmath_internal.h"
#include "tensor/functions.h"
#include "tensor/loop_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* ---- The version in use ---- */

/* TENSOR_VMATH_LEVELS until the first use. Two threads may both choose; they choose the same. */
static _Atomic(TensorVmathLevel) level_in_use = TENSOR_VMATH_LEVELS;

static bool has(TensorVmathLevel level)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return level == TENSOR_VMATH_PORTABLE || (level == TENSOR_VMATH_AVX2 && has_avx2) ||
           (level == TENSOR_VMATH_AVX512 && has_avx2 && __builtin_cpu_supports("avx512f"));
#else
    return level == TENSOR_VMATH_PORTABLE;
#endif
}

static TensorVmathLevel choose(void)
{
    const char *wish = getenv("REEL_VMATH");
    TensorVmathLevel level = TENSOR_VMATH_PORTABLE;
    for (int i = TENSOR_VMATH_PORTABLE; i < TENSOR_VMATH_LEVELS; i++) {
        if (!has((TensorVmathLevel)i))
            continue;
        level = (TensorVmathLevel)i;
        if (wish && strcmp(wish, tensor_vmath_level_name(level)) == 0)
            break;
    }
    return level;
}

TensorVmathLevel tensor_vmath_level(void)
{
    TensorVmathLevel level = atomic_load_explicit(&level_in_use, memory_order_relaxed);
    if (level == TENSOR_VMATH_LEVELS) {
        level = choose();
        atomic_store_explicit(&level_in_use, level, memory_order_relaxed);
    }
    return level;
}

const char *tensor_vmath_level_name(TensorVmathLevel level)
{
    static const char *const names[TENSOR_VMATH_LEVELS] = {"portable", "avx2", "avx512"};
    return (unsigned)level < TENSOR_VMATH_LEVELS ? names[level] : "none";
}

bool tensor_vmath_set_level(TensorVmathLevel level)
{
    if (!has(level))
        return false;
    atomic_store_explicit(&level_in_use, level, memory_order_relaxed);
    return true;
}

/* ---- Functions ---- */

#define UNARY(name)                                                                                          \
    TENSOR_INLINE void name##_loop(float *out, const float *x, size_t n, bool fma)                           \
    {                                                                                                        \
        LOOP_INDEPENDENT                                                                                     \
        for (size_t i = 0; i < n; i++)                                                                       \
            out[i] = tensor_##name##_f32(x[i], fma);                                                         \
    }                                                                                                        \
    TENSOR_LEVELS(name##_f32, name##_loop, (float *out, const float *x, size_t n), out, x, n)                \
    void tensor_vmath_##name(float *out, const float *x, size_t n)                                           \
    {                                                                                                        \
        name##_f32(out, x, n);                                                                               \
    }
UNARY(exp)
UNARY(log)
UNARY(tanh)
UNARY(sigmoid)
UNARY(softplus)
UNARY(logsigmoid)
UNARY(silu)
UNARY(expm1)
UNARY(log1p)
UNARY(erf)
UNARY(gelu)

TENSOR_INLINE void gelu_gradient_loop(float *out, const float *g, const float *x, size_t n, bool fma)
{
    LOOP_INDEPENDENT
    for (size_t i = 0; i < n; i++)
        out[i] = g[i] * tensor_gelu_slope_f32(x[i], fma);
}
TENSOR_LEVELS(gelu_gradient, gelu_gradient_loop, (float *out, const float *g, const float *x, size_t n), out,
              g, x, n)
void tensor_vmath_gelu_gradient(float *out, const float *g, const float *x, size_t n)
{
    gelu_gradient(out, g, x, n);
}

/* ---- Simple loops ---- */

TENSOR_INLINE void add_loop(float *out, const float *a, const float *b, size_t n, bool fma)
{
    (void)fma;
    LOOP_INDEPENDENT
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] + b[i];
}
TENSOR_LEVELS(add, add_loop, (float *out, const float *a, const float *b, size_t n), out, a, b, n)
void tensor_vmath_add(float *out, const float *a, const float *b, size_t n)
{
    add(out, a, b, n);
}

TENSOR_INLINE void axpy_loop(float *out, float alpha, const float *x, size_t n, bool fma)
{
    LOOP_INDEPENDENT
    for (size_t i = 0; i < n; i++)
        out[i] = tensor_fused(alpha, x[i], out[i], fma);
}
TENSOR_LEVELS(axpy, axpy_loop, (float *out, float alpha, const float *x, size_t n), out, alpha, x, n)
void tensor_vmath_axpy(float *out, float alpha, const float *x, size_t n)
{
    axpy(out, alpha, x, n);
}

/* ---- Denormals ---- */

#if defined(__x86_64__)

enum { MXCSR_DENORMALS_ARE_ZERO = 0x0040, MXCSR_FLUSH_TO_ZERO = 0x8000 };

unsigned tensor_vmath_flush_denormals(void)
{
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | MXCSR_DENORMALS_ARE_ZERO | MXCSR_FLUSH_TO_ZERO);
    return mode;
}

void tensor_vmath_restore(unsigned mode)
{
    _mm_setcsr(mode);
}

#elif defined(__aarch64__)

enum { FPCR_FLUSH_TO_ZERO = 1 << 24 };

unsigned tensor_vmath_flush_denormals(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | FPCR_FLUSH_TO_ZERO));
    return (unsigned)mode;
}

void tensor_vmath_restore(unsigned mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
}

#else

unsigned tensor_vmath_flush_denormals(void)
{
    return 0;
}

void tensor_vmath_restore(unsigned mode)
{
    (void)mode;
}

#endif

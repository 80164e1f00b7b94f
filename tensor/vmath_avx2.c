/* The version for AVX2 and FMA. */
#include "tensor/vmath_table_internal.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define VF_INLINE static inline __attribute__((always_inline))

enum { VF_LANES = 8, VD_LANES = 4 };
typedef __m256 Vf;
typedef uint32_t Vi __attribute__((vector_size(32)));
typedef __m256 Vm; /* all bits of a lane */
typedef __m256d Vd;

VF_INLINE Vf vf_splat(float x)
{
    return _mm256_set1_ps(x);
}
VF_INLINE Vi vi_splat(uint32_t x)
{
    return (Vi)_mm256_set1_epi32((int)x);
}
/* The first `count` lanes; the others are 0. */
VF_INLINE __m256i lanes_below(size_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VF_INLINE Vf vf_load(const float *p, size_t count)
{
    return count == VF_LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lanes_below(count));
}
VF_INLINE void vf_store(float *p, Vf x, size_t count)
{
    if (count == VF_LANES)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, lanes_below(count), x);
}
VF_INLINE Vf vf_fma(Vf a, Vf b, Vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
VF_INLINE Vf vf_min(Vf a, Vf b)
{
    return _mm256_min_ps(a, b);
}
VF_INLINE Vf vf_max(Vf a, Vf b)
{
    return _mm256_max_ps(a, b);
}
VF_INLINE Vi vf_bits(Vf x)
{
    return (Vi)_mm256_castps_si256(x);
}
VF_INLINE Vf vf_from_bits(Vi bits)
{
    return _mm256_castsi256_ps((__m256i)bits);
}
VF_INLINE Vm vf_less(Vf a, Vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
VF_INLINE Vf vf_select(Vm condition, Vf yes, Vf no)
{
    return _mm256_blendv_ps(no, yes, condition);
}
VF_INLINE Vd vd_load(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
VF_INLINE Vd vd_zero(void)
{
    return _mm256_setzero_pd();
}
VF_INLINE void vd_store(double *p, Vd x)
{
    _mm256_storeu_pd(p, x);
}

#define VMATH_TABLE       vmath_avx2_table
#define VMATH_TABLE_LEVEL VMATH_AVX2
#include "tensor/vmath_kernels_internal.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

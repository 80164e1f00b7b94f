/* The version for AVX-512 (the subset F and what AVX2 and FMA have). */
#include "tensor/vmath_table_internal.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#endif

#define VF_INLINE static inline __attribute__((always_inline))

enum { VF_LANES = 16, VD_LANES = 8 };
typedef __m512 Vf;
typedef uint32_t Vi __attribute__((vector_size(64)));
typedef __mmask16 Vm;
typedef __m512d Vd;

VF_INLINE Vf vf_splat(float x)
{
    return _mm512_set1_ps(x);
}
VF_INLINE Vi vi_splat(uint32_t x)
{
    return (Vi)_mm512_set1_epi32((int)x);
}
/* The first `count` lanes; the others are 0. */
VF_INLINE Vf vf_load(const float *p, size_t count)
{
    return count == VF_LANES ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps((Vm)((1u << count) - 1), p);
}
VF_INLINE void vf_store(float *p, Vf x, size_t count)
{
    if (count == VF_LANES)
        _mm512_storeu_ps(p, x);
    else
        _mm512_mask_storeu_ps(p, (Vm)((1u << count) - 1), x);
}
VF_INLINE Vf vf_fma(Vf a, Vf b, Vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
VF_INLINE Vf vf_min(Vf a, Vf b)
{
    return _mm512_min_ps(a, b);
}
VF_INLINE Vf vf_max(Vf a, Vf b)
{
    return _mm512_max_ps(a, b);
}
VF_INLINE Vi vf_bits(Vf x)
{
    return (Vi)_mm512_castps_si512(x);
}
VF_INLINE Vf vf_from_bits(Vi bits)
{
    return _mm512_castsi512_ps((__m512i)bits);
}
VF_INLINE Vm vf_less(Vf a, Vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
VF_INLINE Vf vf_select(Vm condition, Vf yes, Vf no)
{
    return _mm512_mask_blend_ps(condition, no, yes);
}
VF_INLINE Vd vd_load(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
VF_INLINE Vd vd_zero(void)
{
    return _mm512_setzero_pd();
}
VF_INLINE void vd_store(double *p, Vd x)
{
    _mm512_storeu_pd(p, x);
}

#define VMATH_TABLE       vmath_avx512_table
#define VMATH_TABLE_LEVEL VMATH_AVX512
#include "tensor/vmath_kernels_internal.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

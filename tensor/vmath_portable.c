/* The portable version: vectors of one element. */
#include "tensor/vmath_table_internal.h"

#include <math.h>
#include <string.h>

#define VF_INLINE static inline __attribute__((always_inline))

enum { VF_LANES = 1, VD_LANES = 1 };
typedef float Vf;
typedef uint32_t Vi;
typedef bool Vm;
typedef double Vd;

VF_INLINE Vf vf_splat(float x)
{
    return x;
}
VF_INLINE Vi vi_splat(uint32_t x)
{
    return x;
}
VF_INLINE Vf vf_load(const float *p, size_t count)
{
    (void)count;
    return *p;
}
VF_INLINE void vf_store(float *p, Vf x, size_t count)
{
    (void)count;
    *p = x;
}
#if defined(__FP_FAST_FMAF) || defined(__aarch64__)
VF_INLINE Vf vf_fma(Vf a, Vf b, Vf c)
{
    return __builtin_fmaf(a, b, c);
}
#else
/* a b + c, rounded once, where the processor may have no instruction for it. The product is exact in
 * double, so rounding the double sum to float is right unless the sum lies in the middle between two
 * floats, perhaps only by its own rounding. libm's fmaf, which switches rounding modes, is left for that
 * and for denormals, whose middles lie elsewhere. */
VF_INLINE Vf vf_fma(Vf a, Vf b, Vf c)
{
    double sum = (double)a * b + c;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    bool is_middle = (bits & 0x1fffffff) == 0x10000000, is_tiny = fabs(sum) < 0x1p-126;
    return __builtin_expect(is_middle | is_tiny, 0) ? fmaf(a, b, c) : (float)sum;
}
#endif
VF_INLINE Vf vf_min(Vf a, Vf b)
{
    return a < b ? a : b;
}
VF_INLINE Vf vf_max(Vf a, Vf b)
{
    return a > b ? a : b;
}
VF_INLINE Vi vf_bits(Vf x)
{
    Vi bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
VF_INLINE Vf vf_from_bits(Vi bits)
{
    Vf x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
VF_INLINE Vm vf_less(Vf a, Vf b)
{
    return a < b;
}
VF_INLINE Vf vf_select(Vm condition, Vf yes, Vf no)
{
    return condition ? yes : no;
}
VF_INLINE Vd vd_load(const float *p)
{
    return (double)*p;
}
VF_INLINE Vd vd_zero(void)
{
    return 0;
}
VF_INLINE void vd_store(double *p, Vd x)
{
    *p = x;
}

#define VMATH_TABLE       vmath_portable_table
#define VMATH_TABLE_LEVEL VMATH_PORTABLE
#include "tensor/vmath_kernels_internal.h"

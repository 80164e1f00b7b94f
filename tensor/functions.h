/* Elementary functions of one f32, for loops that tensor/levels.h compiles: they have no branches, so that
 * the compiler makes vectors of them. At most 2 ULP from the correctly rounded value (silu 3, gelu 4); NaN,
 * infinities and signed zeros as in libm, overflow and gradual underflow too.
 *
 * The bits must not depend on the version: one order of operations, fused exactly where tensor_fused() says
 * so (compile with -ffp-contract=off, which keeps the compiler from fusing more). Values that may be NaN are
 * not negated, since some compilers would fold that into a fused operation, which keeps the NaN's sign.
 *
 * Polynomials: minimax fits (Remez) of Reel's own. */
#ifndef REEL_TENSOR_FUNCTIONS_H
#define REEL_TENSOR_FUNCTIONS_H

#include "tensor/levels.h"

REEL_BEGIN_DECLS

/* The bits of a float. */
TENSOR_INLINE uint32_t tensor_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
/* The float with these bits. */
TENSOR_INLINE float tensor_f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- exp and what is made from it ---- */

/* ln 2 in two parts; the upper one has 15 significant bits, so that its multiples here are exact. */
#define TENSOR_LN2_HIGH 0x1.62e4p-1f
#define TENSOR_LN2_LOW  0x1.7f7d1cp-20f
/* 1.5 * 2^23: a sum with it is rounded to an integer, which stands in the low bits. */
#define TENSOR_ROUNDER 0x1.8p23f

/* x = k ln 2 + r with |r| <= ln(2) / 2; gives exp(r) - 1, and k as a signed integer. |x| < 2^21. */
TENSOR_INLINE float tensor_expm1_reduced_f32(float x, uint32_t *k, bool fma)
{
    float rounded = tensor_fused(x, 0x1.715476p+0f, TENSOR_ROUNDER, fma);
    *k = tensor_f32_bits(rounded) - tensor_f32_bits(TENSOR_ROUNDER);
    float kf = rounded - TENSOR_ROUNDER;
    float r = tensor_fused(kf, -TENSOR_LN2_HIGH, x, fma);
    r = tensor_fused(kf, -TENSOR_LN2_LOW, r, fma);
    float p = 0x1.6db426p-10f;
    p = tensor_fused(p, r, 0x1.123b54p-7f, fma);
    p = tensor_fused(p, r, 0x1.55545ep-5f, fma);
    p = tensor_fused(p, r, 0x1.55548ep-3f, fma);
    p = tensor_fused(p, r, 0.5f, fma);
    return tensor_fused(r * r, p, r, fma);
}

/* exp(x) for -105 <= x <= 89 as a product, the latter of which overflows or makes a denormal with a single
 * rounding: what is to be multiplied by exp(x) is multiplied by the former first. */
TENSOR_INLINE float tensor_exp_parts_f32(float x, float *last, bool fma)
{
    uint32_t k;
    float expm1 = tensor_expm1_reduced_f32(x, &k, fma);
    uint32_t biased = k + 2 * 127, half = biased >> 1;
    float scale = tensor_f32_from_bits(half << 23);
    *last = tensor_f32_from_bits((biased - half) << 23);
    return tensor_fused(expm1, scale, scale, fma);
}

TENSOR_INLINE float tensor_exp_in_range_f32(float x, bool fma)
{
    float last, first = tensor_exp_parts_f32(x, &last, fma);
    return first * last;
}

/* Comparisons are written so that NaN is kept. */
TENSOR_INLINE float tensor_exp_f32(float x, bool fma)
{
    float low = 89.0f < x ? 89.0f : x;
    return tensor_exp_in_range_f32(-105.0f > low ? -105.0f : low, fma);
}

/* exp(-|x|) */
TENSOR_INLINE float tensor_exp_minus_abs_f32(float x, bool fma)
{
    float minus = tensor_f32_from_bits(tensor_f32_bits(x) | 0x80000000u);
    return tensor_exp_in_range_f32(-105.0f > minus ? -105.0f : minus, fma);
}

/* e / (1 + e) or 1 / (1 + e), e = exp(-|x|): 1 / (1 + exp(-x)) would be 0 where exp(-x) overflows but
 * the result is still a denormal. */
TENSOR_INLINE float tensor_sigmoid_f32(float x, bool fma)
{
    float e = tensor_exp_minus_abs_f32(x, fma);
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* x / (1 + e), or x e / (1 + e), e = exp(-|x|); below -125 it is 0 or, of -infinity, no number. */
TENSOR_INLINE float tensor_silu_f32(float x, bool fma)
{
    float minus = tensor_f32_from_bits(tensor_f32_bits(x) | 0x80000000u), last;
    float first = tensor_exp_parts_f32(-125.0f > minus ? -125.0f : minus, &last, fma);
    float below = x < -125.0f ? x * 0.0f : x * first * last;
    return (x < 0 ? below : x) / (1.0f + first * last);
}

/* exp(x) - 1 = 2 (2^(k-1) (exp(r) - 1) + (2^(k-1) - 1/2)), which overflows where it should. Below -20 the
 * result is -1. */
TENSOR_INLINE float tensor_expm1_f32(float x, bool fma)
{
    uint32_t k;
    float low = 89.0f < x ? 89.0f : x;
    float expm1 = tensor_expm1_reduced_f32(-20.0f > low ? -20.0f : low, &k, fma);
    float scale = tensor_f32_from_bits((k + 126) << 23);
    float half = tensor_fused(expm1, scale, scale - 0.5f, fma);
    return x == 0 ? x : half + half; /* -0 stays */
}

/* e / (1 + e), e = (exp(2|x|) - 1) / 2 = 2^(k-1) (exp(r) - 1) + (2^(k-1) - 1/2). Where e is small, the two
 * roundings of the quotient are kept small as a part of the equal e - e (e / (1 + e)). Beyond |x| = 10
 * the result is 1. */
TENSOR_INLINE float tensor_tanh_f32(float x, bool fma)
{
    uint32_t sign = tensor_f32_bits(x) & 0x80000000u, k;
    float abs = tensor_f32_from_bits(tensor_f32_bits(x) ^ sign), twice = abs + abs;
    float expm1 = tensor_expm1_reduced_f32(20.0f < twice ? 20.0f : twice, &k, fma);
    float scale = tensor_f32_from_bits((k + 126) << 23);
    float e = tensor_fused(expm1, scale, scale - 0.5f, fma);
    float minus_ratio = e / (-1.0f - e);
    float y_or_minus_y = e < 0.375f ? tensor_fused(e, minus_ratio, e, fma) : minus_ratio;
    return tensor_f32_from_bits((tensor_f32_bits(y_or_minus_y) & 0x7fffffffu) | sign);
}

/* ---- log and what is made from it ---- */

/* f - log(1 + f) for sqrt(1/2) <= 1 + f <= 2. With s = f / (2 + f), log(1 + f) = 2 atanh(s)
 * = f - f^2/2 + s (f^2/2 + R(s^2)), R(z) = 2z/3 + 2z^2/5 + ... (as fdlibm arranges it). */
TENSOR_INLINE float tensor_log1p_rest_f32(float f, bool fma)
{
    float s = f / (f + 2.0f), z = s * s, half_square = 0.5f * f * f;
    float p = 0x1.f19812p-3f;
    p = tensor_fused(p, z, 0x1.b6dd3cp-3f, fma);
    p = tensor_fused(p, z, 0x1.25091cp-2f, fma);
    p = tensor_fused(p, z, 0x1.9996acp-2f, fma);
    p = tensor_fused(p, z, 0x1.555558p-1f, fma);
    return half_square - s * tensor_fused(p, z, half_square, fma);
}

TENSOR_INLINE float tensor_log_f32(float x, bool fma)
{
    /* x = 2^k (1 + f), 1 + f from sqrt(1/2), whose bits are 0x3f3504f3, to sqrt(2). */
    bool is_denormal = x < 0x1p-126f;
    uint32_t bits = tensor_f32_bits(is_denormal ? x * 0x1p23f : x) + (0x3f800000u - 0x3f3504f3u);
    float k = tensor_f32_from_bits((bits >> 23) + tensor_f32_bits(TENSOR_ROUNDER));
    k -= is_denormal ? TENSOR_ROUNDER + 127 + 23 : TENSOR_ROUNDER + 127;
    float f = tensor_f32_from_bits((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    float rest = f - tensor_fused(k, -TENSOR_LN2_LOW, tensor_log1p_rest_f32(f, fma), fma);
    float y = tensor_fused(k, TENSOR_LN2_HIGH, rest, fma);
    y = 0 < x ? y : -INFINITY;
    y = x < 0 ? NAN : y;
    return x < INFINITY ? y : x + x; /* infinity and NaN */
}

/* max(x, 0) + log(1 + exp(-|x|)). A NaN goes through the maximum alone: of two, the compilers differ in
 * which one a sum passes on. */
TENSOR_INLINE float tensor_softplus_f32(float x, bool fma)
{
    float minus = tensor_f32_from_bits(tensor_f32_bits(x) | 0x80000000u);
    float e = tensor_exp_in_range_f32(minus > -105.0f ? minus : -105.0f, fma);
    return (0 > x ? 0 : x) + (e - tensor_log1p_rest_f32(e, fma));
}

/* ln sigmoid(x) = min(x, 0) - log(1 + exp(-|x|)) */
TENSOR_INLINE float tensor_logsigmoid_f32(float x, bool fma)
{
    float minus = tensor_f32_from_bits(tensor_f32_bits(x) | 0x80000000u);
    float e = tensor_exp_in_range_f32(minus > -105.0f ? minus : -105.0f, fma);
    return (x > 0 ? -0.0f : x) - (e - tensor_log1p_rest_f32(e, fma));
}

/* As log, of u = 1 + x as far as it is rounded: what is missing is c = log((1 + x) / u). Where u is close to
 * 1, f is x itself. */
TENSOR_INLINE float tensor_log1p_f32(float x, bool fma)
{
    float u = 1.0f + x;
    uint32_t bits = tensor_f32_bits(u) + (0x3f800000u - 0x3f3504f3u);
    float k = tensor_f32_from_bits((bits >> 23) + tensor_f32_bits(TENSOR_ROUNDER)) - (TENSOR_ROUNDER + 127);
    float f = k == 0 ? x : tensor_f32_from_bits((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    float missing = x < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x), c = k == 0 ? 0 : missing / u;
    float rest = tensor_log1p_rest_f32(f, fma) - c;
    float far = tensor_fused(k, TENSOR_LN2_HIGH, f - tensor_fused(k, -TENSOR_LN2_LOW, rest, fma), fma);
    float y = k == 0 ? f - rest : far; /* -0 stays */
    y = -1 < x ? y : -INFINITY;
    y = x < -1 ? NAN : y;
    return x < INFINITY ? y : x + x; /* infinity and NaN */
}

/* ---- The normal distribution ---- */

/* exp(a^2 / 2) erfc(a / sqrt(2)) for 0 <= a <= 14.5: (1 + p(q)) / (1 + a), q = (a - 2.5) / (a + 2.5). */
TENSOR_INLINE float tensor_erfc_scaled_f32(float a, bool fma)
{
    float q = (a - 2.5f) / (a + 2.5f);
    float p = -0x1.07c4b4p-13f;
    p = tensor_fused(p, q, -0x1.dc1d56p-12f, fma);
    p = tensor_fused(p, q, -0x1.30d8b8p-24f, fma);
    p = tensor_fused(p, q, 0x1.4b496cp-9f, fma);
    p = tensor_fused(p, q, 0x1.50ba3p-9f, fma);
    p = tensor_fused(p, q, -0x1.8c540ap-7f, fma);
    p = tensor_fused(p, q, -0x1.1d1494p-6f, fma);
    p = tensor_fused(p, q, 0x1.7958dcp-4f, fma);
    p = tensor_fused(p, q, -0x1.34f98ap-4f, fma);
    p = tensor_fused(p, q, -0x1.77246ep-3f, fma);
    p = tensor_fused(p, q, -0x1.5dfc06p-7f, fma);
    return (1.0f + p) / (1.0f + a);
}

/* 1 - erfc |x|, and where that cancels a polynomial. */
TENSOR_INLINE float tensor_erf_f32(float x, bool fma)
{
    uint32_t sign = tensor_f32_bits(x) & 0x80000000u;
    float abs = tensor_f32_from_bits(tensor_f32_bits(x) ^ sign), a = 4.5f < abs ? 4.5f : abs, z = a * a;
    float p = 0x1.4969dcp-14f;
    p = tensor_fused(p, z, -0x1.a3f6ep-11f, fma);
    p = tensor_fused(p, z, 0x1.5405aep-8f, fma);
    p = tensor_fused(p, z, -0x1.b7f90cp-6f, fma);
    p = tensor_fused(p, z, 0x1.ce2cf8p-4f, fma);
    p = tensor_fused(p, z, -0x1.81273ep-2f, fma);
    p = tensor_fused(p, z, 0x1.06eba8p-3f, fma);
    float scaled = tensor_erfc_scaled_f32(a * 1.41421356f, fma);
    float far = 1.0f - scaled * tensor_exp_in_range_f32(-z, fma), near = tensor_fused(a, p, a, fma);
    return tensor_f32_from_bits((tensor_f32_bits(a < 1.0f ? near : far) & 0x7fffffffu) | sign);
}

/* x Phi(x), Phi the normal distribution's function: Phi(-a) = exp(-a^2 / 2) erfc_scaled(a) / 2. a^2 / 2 in
 * two parts, so that the error of the larger does not grow with it; below -14.4 it is 0 or, of -infinity, no
 * number. */
TENSOR_INLINE float tensor_gelu_f32(float x, bool fma)
{
    float abs = tensor_f32_from_bits(tensor_f32_bits(x) & 0x7fffffffu), a = abs < 14.4f ? abs : 14.4f;
    float square = a * a, missing = tensor_fused(a, a, -square, fma), last;
    float first = tensor_exp_parts_f32(-0.5f * square, &last, fma);
    first = tensor_fused(first, -0.5f * missing, first, fma);
    float tail = 0.5f * first * tensor_erfc_scaled_f32(a, fma);
    float below = x < -14.4f ? x * 0.0f : x * tail * last, above = x * (1.0f - tail * last);
    return x < 0 ? below : above;
}

/* Its derivative Phi(x) + x phi(x): of -a the difference s = exp(-a^2 / 2) (erfc_scaled(a) / 2 - a / sqrt(2
 * pi)), of a 1 - s. */
TENSOR_INLINE float tensor_gelu_slope_f32(float x, bool fma)
{
    float abs = tensor_f32_from_bits(tensor_f32_bits(x) & 0x7fffffffu), a = 14.4f < abs ? 14.4f : abs;
    float last, first = tensor_exp_parts_f32(-0.5f * (a * a), &last, fma);
    float s = first * tensor_fused(a, -0.39894228f, 0.5f * tensor_erfc_scaled_f32(a, fma), fma) * last;
    return x < 0 ? s : 1.0f - s;
}

REEL_END_DECLS

#endif

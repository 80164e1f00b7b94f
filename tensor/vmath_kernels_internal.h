/* The loops of tensor/vmath.h, written once. Each version's file defines its vectors and includes this:
 *
 *   Vf, Vi, Vm, Vd     VF_LANES floats, as many 32-bit words, a mask of as many lanes, VD_LANES doubles
 *   vf_load, vf_store  the first `count` lanes; a constant count of VF_LANES makes a plain move
 *   vf_min, vf_max     a < b ? a : b and a > b ? a : b, which give b where either is NaN
 *   VMATH_TABLE, VMATH_TABLE_LEVEL
 *
 * The bits must not depend on the version: one order of operations, fused exactly where vf_fma says so
 * (the build's -ffp-contract=off keeps the compiler from fusing more), tails computed as whole vectors.
 * Values that may be NaN are not negated, since some versions would fold that into a fused operation,
 * which keeps the NaN's sign.
 *
 * Polynomials: minimax fits (Remez) of Reel's own. */
#ifndef VMATH_TABLE
#error "vmath_kernels_internal.h is included by the vmath_*.c files only"
#endif

/* The statement for each vector of n elements: `count` of them from `at`. */
#define EACH_VECTOR(n, ...)                                                                                  \
    do {                                                                                                     \
        size_t at = 0;                                                                                       \
        for (; at + VF_LANES <= (n); at += VF_LANES) {                                                       \
            const size_t count = VF_LANES;                                                                   \
            __VA_ARGS__;                                                                                     \
        }                                                                                                    \
        if (at < (n)) {                                                                                      \
            const size_t count = (n)-at;                                                                     \
            __VA_ARGS__;                                                                                     \
        }                                                                                                    \
    } while (0)

/* ---- exp and what is made from it ---- */

/* ln 2 in two parts; the upper one has 15 significant bits, so that its multiples here are exact. */
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW  0x1.7f7d1cp-20f
/* 1.5 * 2^23: a sum with it is rounded to an integer, which stands in the low bits. */
#define ROUNDER 0x1.8p23f

/* x = k ln 2 + r with |r| <= ln(2) / 2; gives exp(r) - 1, and k as a signed integer. |x| < 2^21. */
VF_INLINE Vf vf_expm1_reduced(Vf x, Vi *k)
{
    Vf rounded = vf_fma(x, vf_splat(0x1.715476p+0f), vf_splat(ROUNDER));
    *k = vf_bits(rounded) - vf_bits(vf_splat(ROUNDER));
    Vf kf = rounded - vf_splat(ROUNDER);
    Vf r = vf_fma(kf, vf_splat(-LN2_HIGH), x);
    r = vf_fma(kf, vf_splat(-LN2_LOW), r);
    Vf p = vf_splat(0x1.6db426p-10f);
    p = vf_fma(p, r, vf_splat(0x1.123b54p-7f));
    p = vf_fma(p, r, vf_splat(0x1.55545ep-5f));
    p = vf_fma(p, r, vf_splat(0x1.55548ep-3f));
    p = vf_fma(p, r, vf_splat(0.5f));
    return vf_fma(r * r, p, r);
}

/* exp(x) for -105 <= x <= 89. 2^k in two factors, the latter of which overflows or makes a denormal with
 * a single rounding. */
VF_INLINE Vf vf_exp_in_range(Vf x)
{
    Vi k;
    Vf expm1 = vf_expm1_reduced(x, &k);
    Vi biased = k + vi_splat(2 * 127), half = biased >> 1;
    Vf scale = vf_from_bits(half << 23);
    return vf_fma(expm1, scale, scale) * vf_from_bits((biased - half) << 23);
}

VF_INLINE Vf vf_exp(Vf x)
{
    return vf_exp_in_range(vf_max(vf_splat(-105.0f), vf_min(vf_splat(89.0f), x)));
}

VF_INLINE Vf vf_minus_abs(Vf x)
{
    return vf_from_bits(vf_bits(x) | vi_splat(0x80000000u));
}

/* e / (1 + e) or 1 / (1 + e), e = exp(-|x|): 1 / (1 + exp(-x)) would be 0 where exp(-x) overflows but
 * the result is still a denormal. */
VF_INLINE Vf vf_sigmoid(Vf x)
{
    Vf e = vf_exp_in_range(vf_max(vf_splat(-105.0f), vf_minus_abs(x))), one = vf_splat(1.0f);
    return vf_select(vf_less(x, vf_splat(0.0f)), e, one) / (one + e);
}

/* e / (1 + e), e = (exp(2|x|) - 1) / 2 = 2^(k-1) (exp(r) - 1) + (2^(k-1) - 1/2). Where e is small, the two
 * roundings of the quotient are kept small as a part of the equal e - e (e / (1 + e)). Beyond |x| = 10
 * the result is 1. */
VF_INLINE Vf vf_tanh(Vf x)
{
    Vi sign = vf_bits(x) & vi_splat(0x80000000u), k;
    Vf abs = vf_from_bits(vf_bits(x) ^ sign);
    Vf expm1 = vf_expm1_reduced(vf_min(vf_splat(20.0f), abs + abs), &k);
    Vf scale = vf_from_bits((k + vi_splat(126)) << 23);
    Vf e = vf_fma(expm1, scale, scale - vf_splat(0.5f));
    Vf minus_ratio = e / (vf_splat(-1.0f) - e);
    Vf y_or_minus_y = vf_select(vf_less(e, vf_splat(0.375f)), vf_fma(e, minus_ratio, e), minus_ratio);
    return vf_from_bits((vf_bits(y_or_minus_y) & vi_splat(0x7fffffffu)) | sign);
}

/* ---- log and what is made from it ---- */

/* f - log(1 + f) for sqrt(1/2) <= 1 + f <= 2. With s = f / (2 + f), log(1 + f) = 2 atanh(s)
 * = f - f^2/2 + s (f^2/2 + R(s^2)), R(z) = 2z/3 + 2z^2/5 + ... (as fdlibm arranges it). */
VF_INLINE Vf vf_log1p_rest(Vf f)
{
    Vf s = f / (f + vf_splat(2.0f)), z = s * s, half_square = vf_splat(0.5f) * f * f;
    Vf p = vf_splat(0x1.f19812p-3f);
    p = vf_fma(p, z, vf_splat(0x1.b6dd3cp-3f));
    p = vf_fma(p, z, vf_splat(0x1.25091cp-2f));
    p = vf_fma(p, z, vf_splat(0x1.9996acp-2f));
    p = vf_fma(p, z, vf_splat(0x1.555558p-1f));
    return half_square - s * vf_fma(p, z, half_square);
}

VF_INLINE Vf vf_log(Vf x)
{
    /* x = 2^k (1 + f), 1 + f from sqrt(1/2), whose bits are 0x3f3504f3, to sqrt(2). */
    Vm is_denormal = vf_less(x, vf_splat(0x1p-126f));
    Vi bits = vf_bits(vf_select(is_denormal, x * vf_splat(0x1p23f), x)) + vi_splat(0x3f800000u - 0x3f3504f3u);
    Vf k = vf_from_bits((bits >> 23) + vf_bits(vf_splat(ROUNDER)));
    k -= vf_select(is_denormal, vf_splat(ROUNDER + 127 + 23), vf_splat(ROUNDER + 127));
    Vf f = vf_from_bits((bits & vi_splat(0x7fffffu)) + vi_splat(0x3f3504f3u)) - vf_splat(1.0f);
    Vf y = vf_fma(k, vf_splat(LN2_HIGH), f - vf_fma(k, vf_splat(-LN2_LOW), vf_log1p_rest(f)));
    y = vf_select(vf_less(vf_splat(0.0f), x), y, vf_splat(-INFINITY));
    y = vf_select(vf_less(x, vf_splat(0.0f)), vf_splat(NAN), y);
    return vf_select(vf_less(x, vf_splat(INFINITY)), y, x + x); /* infinity and NaN */
}

/* max(x, 0) + log(1 + exp(-|x|)). A NaN goes through the maximum alone: of two, the compilers differ in
 * which one a sum passes on. */
VF_INLINE Vf vf_softplus(Vf x)
{
    Vf e = vf_exp_in_range(vf_max(vf_minus_abs(x), vf_splat(-105.0f)));
    return vf_max(vf_splat(0.0f), x) + (e - vf_log1p_rest(e));
}

#define UNARY_LOOP(name)                                                                                     \
    static void name##_loop(float *out, const float *x, size_t n)                                            \
    {                                                                                                        \
        EACH_VECTOR(n, vf_store(out + at, vf_##name(vf_load(x + at, count)), count));                        \
    }
UNARY_LOOP(exp)
UNARY_LOOP(log)
UNARY_LOOP(tanh)
UNARY_LOOP(sigmoid)
UNARY_LOOP(softplus)

/* ---- Fused loops ---- */

/* NULL stands for zeros. */
VF_INLINE Vf vf_load_or_zero(const float *p, size_t at, size_t count)
{
    return p ? vf_load(p + at, count) : vf_splat(0.0f);
}

VF_INLINE void gates_step(float *i, float *f, float *g, float *o, const float *c_prev, float *c, size_t at,
                          size_t count)
{
    Vf input = vf_sigmoid(vf_load(i + at, count)), forget = vf_sigmoid(vf_load(f + at, count));
    Vf candidate = vf_tanh(vf_load(g + at, count)), output = vf_sigmoid(vf_load(o + at, count));
    Vf cell = vf_fma(forget, vf_load_or_zero(c_prev, at, count), input * candidate);
    vf_store(i + at, input, count);
    vf_store(f + at, forget, count);
    vf_store(g + at, candidate, count);
    vf_store(o + at, output, count);
    vf_store(c + at, cell, count);
}

VF_INLINE void hidden_step(const float *o, const float *c, float *tanh_c, float *h, size_t at, size_t count)
{
    Vf squashed = vf_tanh(vf_load(c + at, count));
    vf_store(tanh_c + at, squashed, count);
    vf_store(h + at, vf_load(o + at, count) * squashed, count);
}

/* Two passes over what fits the first cache: in one, the chain of dependent operations from a gate to
 * tanh(c) is so long that the processor waits for it (1.5 times the time). */
enum { GATED_MEMORY_BLOCK = 256 };

static void gated_memory_loop(float *i, float *f, float *g, float *o, const float *c_prev, float *c,
                              float *tanh_c, float *h, size_t n)
{
    for (size_t from = 0; from < n; from += GATED_MEMORY_BLOCK) {
        size_t m = n - from < GATED_MEMORY_BLOCK ? n - from : GATED_MEMORY_BLOCK;
        const float *before = c_prev ? c_prev + from : NULL;
        EACH_VECTOR(m, gates_step(i + from, f + from, g + from, o + from, before, c + from, at, count));
        EACH_VECTOR(m, hidden_step(o + from, c + from, tanh_c + from, h + from, at, count));
    }
}

/* With a = sigmoid(x), da/dx = a (1 - a); with a = tanh(x), (1 - a) (1 + a). */
VF_INLINE void gated_memory_backward_step(const float *i, const float *f, const float *g, const float *o,
                                          const float *c_prev, const float *tanh_c, const float *dh,
                                          const float *dc, float *di, float *df, float *dg, float *do_,
                                          float *dc_prev, size_t at, size_t count)
{
    Vf one = vf_splat(1.0f), squashed = vf_load(tanh_c + at, count);
    Vf input = vf_load(i + at, count), forget = vf_load(f + at, count);
    Vf candidate = vf_load(g + at, count), output = vf_load(o + at, count);
    Vf hidden_grad = vf_load_or_zero(dh, at, count), before = vf_load_or_zero(c_prev, at, count);
    Vf cell_grad =
        vf_fma(hidden_grad * output, (one - squashed) * (one + squashed), vf_load_or_zero(dc, at, count));
    vf_store(di + at, cell_grad * candidate * (input * (one - input)), count);
    vf_store(df + at, cell_grad * before * (forget * (one - forget)), count);
    vf_store(dg + at, cell_grad * input * ((one - candidate) * (one + candidate)), count);
    vf_store(do_ + at, hidden_grad * squashed * (output * (one - output)), count);
    vf_store(dc_prev + at, cell_grad * forget, count);
}

static void gated_memory_backward_loop(const float *i, const float *f, const float *g, const float *o,
                                       const float *c_prev, const float *tanh_c, const float *dh,
                                       const float *dc, float *di, float *df, float *dg, float *do_,
                                       float *dc_prev, size_t n)
{
    EACH_VECTOR(n, gated_memory_backward_step(i, f, g, o, c_prev, tanh_c, dh, dc, di, df, dg, do_, dc_prev,
                                              at, count));
}

/* ---- Simple loops ---- */

static void add_loop(float *out, const float *a, const float *b, size_t n)
{
    EACH_VECTOR(n, vf_store(out + at, vf_load(a + at, count) + vf_load(b + at, count), count));
}

static void axpy_loop(float *out, float alpha, const float *x, size_t n)
{
    Vf factor = vf_splat(alpha);
    EACH_VECTOR(n,
                vf_store(out + at, vf_fma(factor, vf_load(x + at, count), vf_load(out + at, count)), count));
}

/* Sums in double of many sequences at once, an element of each at a time. */
static void accumulate_loop(double *sums, const float *x, size_t n)
{
    size_t at = 0;
    for (; at + VD_LANES <= n; at += VD_LANES) {
        Vd sum;
        memcpy(&sum, sums + at, sizeof sum);
        vd_store(sums + at, sum + vd_load(x + at));
    }
    for (; at < n; at++)
        sums[at] += (double)x[at];
}

/* Element j is summed into partial sum j mod 16; these are then added in halves. */
enum { SUM_LANES = 16, SUM_VECTORS = SUM_LANES / VD_LANES };

VF_INLINE void sum_block(Vd *partial, const float *x, bool square)
{
    for (int j = 0; j < SUM_VECTORS; j++) {
        Vd value = vd_load(x + j * VD_LANES);
        if (square)
            value *= value; /* exact for what was a float */
        partial[j] += value;
    }
}

VF_INLINE double sum_all(const float *x, size_t n, bool square)
{
    Vd partial[SUM_VECTORS];
    for (int j = 0; j < SUM_VECTORS; j++)
        partial[j] = vd_zero();
    size_t at = 0;
    for (; at + SUM_LANES <= n; at += SUM_LANES)
        sum_block(partial, x + at, square);
    if (at < n) {
        float padded[SUM_LANES] = {0};
        memcpy(padded, x + at, (n - at) * sizeof *x);
        sum_block(partial, padded, square);
    }
    double sums[SUM_LANES];
    for (int j = 0; j < SUM_VECTORS; j++)
        vd_store(sums + j * VD_LANES, partial[j]);
    for (int half = SUM_LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            sums[j] += sums[j + half];
    return sums[0];
}

static double sum_loop(const float *x, size_t n)
{
    return sum_all(x, n, false);
}

static double sum_of_squares_loop(const float *x, size_t n)
{
    return sum_all(x, n, true);
}

const VmathTable VMATH_TABLE = {
    .level = VMATH_TABLE_LEVEL,
    .exp = exp_loop,
    .log = log_loop,
    .tanh = tanh_loop,
    .sigmoid = sigmoid_loop,
    .softplus = softplus_loop,
    .gated_memory = gated_memory_loop,
    .gated_memory_backward = gated_memory_backward_loop,
    .add = add_loop,
    .axpy = axpy_loop,
    .accumulate = accumulate_loop,
    .sum = sum_loop,
    .sum_of_squares = sum_of_squares_loop,
};

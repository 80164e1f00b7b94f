#include "tensor/vmath_internal.h"
#include "tests/skip_support.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096 };

typedef void Unary(float *out, const float *x, size_t n);

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double logsigmoid(double x)
{
    return -softplus(-x);
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

static const struct {
    const char *name;
    Unary *function;
    double (*exact)(double);
    int max_ulp;
} functions[] = {
    {"exp", tensor_vmath_exp, exp, 2},
    {"log", tensor_vmath_log, log, 2},
    {"tanh", tensor_vmath_tanh, tanh, 2},
    {"sigmoid", tensor_vmath_sigmoid, sigmoid, 2},
    {"softplus", tensor_vmath_softplus, softplus, 2},
    {"logsigmoid", tensor_vmath_logsigmoid, logsigmoid, 2},
    {"silu", tensor_vmath_silu, silu, 3},
    {"expm1", tensor_vmath_expm1, expm1, 2},
    {"log1p", tensor_vmath_log1p, log1p, 2},
    {"erf", tensor_vmath_erf, erf, 2},
    {"gelu", tensor_vmath_gelu, gelu, 4},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Floats numbered in their order, both zeros 0. */
static int64_t rank_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t magnitude = bits & 0x7fffffffu;
    return bits >> 31 ? -magnitude : magnitude;
}

static int64_t ulps(float got, float want)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want) ? 0 : INT64_MAX;
    if (want == 0 && got == 0 && signbit(got) != signbit(want))
        return INT64_MAX;
    return llabs(rank_of(got) - rank_of(want));
}

/* A deterministic filling, without any other part of the library. */
static void fill(float *x, size_t n, uint32_t seed, float scale)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = ((float)(seed >> 8) * 0x1p-23f - 1.0f) * scale;
    }
}

static bool all_are(const float *x, size_t n, float value)
{
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
        same += x[i] == value;
    return same == n;
}

/* ---- Accuracy ---- */

static void check_chunk(int f, const float *x, size_t n)
{
    float first[CHUNK], out[CHUNK];
    tensor_vmath_set_level(TENSOR_VMATH_PORTABLE);
    functions[f].function(first, x, n);
    for (size_t i = 0; i < n; i++) {
        float want = (float)functions[f].exact(x[i]);
        if (ulps(first[i], want) > functions[f].max_ulp) /* a passing ck_assert_msg is a system call */
            ck_abort_msg("%s(%a) = %a, not %a", functions[f].name, x[i], first[i], want);
    }
    for (int level = TENSOR_VMATH_PORTABLE + 1; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        functions[f].function(out, x, n);
        for (size_t i = 0; i < n; i++)
            if (memcmp(out + i, first + i, sizeof *out) != 0)
                ck_abort_msg("%s(%a): %s gives %a, not %a", functions[f].name, x[i],
                             tensor_vmath_level_name((TensorVmathLevel)level), out[i], first[i]);
    }
}

/* Every 4099th float; with REEL_EXHAUSTIVE=1, every one (some 20 minutes). */
START_TEST(all_floats_are_as_exact_as_documented_and_the_same_in_every_version)
{
    uint64_t step = getenv("REEL_EXHAUSTIVE") ? 1 : 4099, bits = 0;
    float x[CHUNK];
    while (bits < UINT64_C(1) << 32) {
        size_t n = 0;
        for (; n < CHUNK && bits < UINT64_C(1) << 32; n++, bits += step)
            x[n] = from_bits((uint32_t)bits);
        check_chunk(_i, x, n);
    }
}
END_TEST

/* Where a formula changes or the result saturates, and 500 floats on both sides of it, and negated. */
START_TEST(neighbourhoods_of_thresholds)
{
    static const float at[] = {
        0,
        0x1p-149f,
        0x1p-126f,
        0x1p-24f,
        0x1p-12f,
        0.03125f,
        0.125f,
        0.17328679f,
        0.245f,
        0.2798f,
        0.34657359f,
        0.375f,
        0.5f,
        0.70710678f,
        1,
        1.0397208f,
        1.4142135f,
        2,
        9.0109f,
        10,
        16.6355f,
        20,
        87.336f,
        88.722839f,
        88.8f,
        89,
        103.2789f,
        103.972f,
        104.5f,
        105,
        0x1p20f,
        0x1p127f,
        0x1.fffffep127f,
        1 - 0x1p-24f,
        0.29289323f,
        0.41421354f,
        4.5f,
        13.2f,
        14.4f,
        125,
    };
    for (size_t t = 0; t < sizeof at / sizeof *at; t++)
        for (int sign = 0; sign < 2; sign++) {
            float x[1001];
            for (int i = 0; i < 1001; i++) {
                int64_t rank = rank_of(at[t]) + i - 500;
                rank = rank < 0 ? 0 : rank;
                x[i] = from_bits((uint32_t)rank | (uint32_t)sign << 31);
            }
            check_chunk(_i, x, 1001);
        }
}
END_TEST

/* Where it goes through 0 the error does not shrink with it. */
START_TEST(slope_of_gelu)
{
    float g[1001], x[1001], first[1001], out[1001];
    for (int i = 0; i < 1001; i++) {
        x[i] = (float)(i - 500) / 25;
        g[i] = i % 2 ? 1 : -2;
    }
    tensor_vmath_set_level(TENSOR_VMATH_PORTABLE);
    tensor_vmath_gelu_gradient(first, g, x, 1001);
    for (int i = 0; i < 1001; i++) {
        double a = x[i], slope = 0.5 * erfc(-a * 0.70710678118654752440) +
                                 a * 0.39894228040143267794 * exp(-0.5 * a * a);
        double most = fmax(0x1p-22, 4 * 0x1p-24 * fabs(slope));
        ck_assert_double_le(fabs((double)first[i] / (double)g[i] - slope), most);
    }
    for (int level = TENSOR_VMATH_PORTABLE + 1; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        tensor_vmath_gelu_gradient(out, g, x, 1001);
        ck_assert_mem_eq(out, first, sizeof out);
    }
    float ends[] = {INFINITY, -INFINITY, NAN}, ones[] = {1, 1, 1};
    tensor_vmath_gelu_gradient(ends, ones, ends, 3);
    ck_assert_float_eq(ends[0], 1);
    ck_assert_float_le(fabsf(ends[1]), 0x1p-126f);
    ck_assert(isnan(ends[2]));
}
END_TEST

START_TEST(special_values)
{
    const float x[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, -1.0f};
    float want[][7] = {
        {NAN, NAN, INFINITY, 0, 1, 1, 0x1.78b564p-2f},
        {NAN, NAN, INFINITY, NAN, -INFINITY, -INFINITY, NAN},
        {NAN, NAN, 1, -1, 0.0f, -0.0f, -0x1.85efacp-1f},
        {NAN, NAN, 1, 0, 0.5f, 0.5f, 0x1.136562p-2f},
        {NAN, NAN, INFINITY, 0, 0x1.62e430p-1f, 0x1.62e430p-1f, 0x1.40c7acp-2f},
        {NAN, NAN, -0.0f, -INFINITY, -0x1.62e430p-1f, -0x1.62e430p-1f, -0x1.5031ea0000000p+0f},
        {NAN, NAN, INFINITY, NAN, 0.0f, -0.0f, -0x1.1365620000000p-2f},
        {NAN, NAN, INFINITY, -1, 0.0f, -0.0f, -0x1.43a54e0000000p-1f},
        {NAN, NAN, INFINITY, NAN, 0.0f, -0.0f, -INFINITY},
        {NAN, NAN, 1, -1, 0.0f, -0.0f, -0x1.af767a0000000p-1f},
        {NAN, NAN, INFINITY, NAN, 0.0f, -0.0f, -0x1.44ed0c0000000p-3f},
    };
    for (int level = 0; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        for (int f = 0; f < FUNCTIONS; f++) {
            float out[7];
            functions[f].function(out, x, 7);
            for (int i = 0; i < 7; i++)
                ck_assert_msg(ulps(out[i], want[f][i]) <= (i == 6 ? functions[f].max_ulp : 0),
                              "%s(%a) = %a, not %a", functions[f].name, x[i], out[i], want[f][i]);
        }
    }
}
END_TEST

/* ---- Lengths: nothing is written behind the end, and where an element stands changes no bit ---- */

START_TEST(every_length_gives_the_same_and_stays_inside)
{
    float x[70], whole[70], out[71];
    fill(x, 70, 1, 4.0f);
    for (int f = 0; f < FUNCTIONS; f++)
        for (int level = 0; level < TENSOR_VMATH_LEVELS; level++) {
            if (!tensor_vmath_set_level((TensorVmathLevel)level))
                continue;
            functions[f].function(whole, x, 70);
            for (size_t n = 0; n <= 67; n++) {
                size_t from = n % 4;
                for (int i = 0; i < 71; i++)
                    out[i] = 77.0f;
                functions[f].function(out, x + from, n);
                ck_assert_mem_eq(out, whole + from, n * sizeof *out);
                ck_assert(all_are(out + n, 71 - n, 77.0f));
                memcpy(out, x + from, n * sizeof *out);
                functions[f].function(out, out, n); /* in place */
                ck_assert_mem_eq(out, whole + from, n * sizeof *out);
            }
        }
}
END_TEST

enum { N = 309 }; /* more than a block of the loops that work in blocks, and a tail */

/* ---- Simple loops ---- */

START_TEST(add_and_axpy)
{
    float a[N], b[N], out[N + 1];
    fill(a, N, 1, 5);
    fill(b, N, 2, 5);
    for (int level = 0; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        for (size_t n = 0; n <= N; n++) {
            out[n] = 77;
            tensor_vmath_add(out, a, b, n);
            for (size_t i = 0; i < n; i++)
                ck_assert_float_eq(out[i], a[i] + b[i]);
            tensor_vmath_axpy(out, 0.3f, a, n);
            for (size_t i = 0; i < n; i++)
                ck_assert_float_eq(out[i], fmaf(0.3f, a[i], a[i] + b[i]));
            ck_assert_float_eq(out[n], 77);
        }
    }
}
END_TEST

/* ---- The version in use ---- */

START_TEST(the_environment_chooses_the_version)
{
    if (getenv("CK_FORK") && strcmp(getenv("CK_FORK"), "no") == 0) {
        test_skip("REEL_VMATH is read once in a process, and this test has none of its own");
        return;
    }
    setenv("REEL_VMATH", _i == 0 ? "portable" : "no such version", 1);
    if (_i == 0) {
        ck_assert_int_eq(tensor_vmath_level(), TENSOR_VMATH_PORTABLE);
        return;
    }
    TensorVmathLevel widest = tensor_vmath_level();
    for (int level = widest + 1; level < TENSOR_VMATH_LEVELS; level++)
        ck_assert(!tensor_vmath_set_level((TensorVmathLevel)level));
    ck_assert_int_eq(tensor_vmath_level(), widest);
}
END_TEST

START_TEST(levels_have_names)
{
    ck_assert_str_eq(tensor_vmath_level_name(TENSOR_VMATH_PORTABLE), "portable");
    ck_assert_str_eq(tensor_vmath_level_name(TENSOR_VMATH_AVX2), "avx2");
    ck_assert_str_eq(tensor_vmath_level_name(TENSOR_VMATH_AVX512), "avx512");
    ck_assert(!tensor_vmath_set_level(TENSOR_VMATH_LEVELS));
}
END_TEST

START_TEST(denormals_are_flushed_and_come_back)
{
    if (getenv("REEL_VALGRIND")) {
        test_skip("Valgrind does not flush denormals");
        return;
    }
    volatile float tiny = 0x1p-126f, half = 0.5f;
    unsigned mode = tensor_vmath_flush_denormals();
    float flushed = tiny * half;
    unsigned nested = tensor_vmath_flush_denormals();
    tensor_vmath_restore(nested);
    float still_flushed = tiny * half;
    tensor_vmath_restore(mode);
    float kept = tiny * half;
    ck_assert_float_eq(flushed, 0.0f);
    ck_assert_float_eq(still_flushed, 0.0f);
    ck_assert_float_eq(kept, 0x1p-127f);
}
END_TEST

Suite *tensor_vmath_suite(void);
Suite *tensor_vmath_suite(void)
{
    Suite *suite = suite_create("tensor/vmath");
    TCase *tcase = tcase_create("vmath");
    tcase_set_timeout(tcase, getenv("REEL_EXHAUSTIVE") ? 36000 : 60);
    tcase_add_loop_test(tcase, all_floats_are_as_exact_as_documented_and_the_same_in_every_version, 0,
                        FUNCTIONS);
    tcase_add_loop_test(tcase, neighbourhoods_of_thresholds, 0, FUNCTIONS);
    tcase_add_test(tcase, slope_of_gelu);
    tcase_add_test(tcase, special_values);
    tcase_add_test(tcase, every_length_gives_the_same_and_stays_inside);
    tcase_add_test(tcase, add_and_axpy);
    tcase_add_loop_test(tcase, the_environment_chooses_the_version, 0, 2);
    tcase_add_test(tcase, levels_have_names);
    tcase_add_test(tcase, denormals_are_flushed_and_come_back);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "tensor/random.h"
#include "tensor/vmath.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PHILOX_ROUNDS = 10 };

/* Its multipliers, and what is added to the keys in each round: of the golden ratio and of sqrt(3) - 1. */
static const uint32_t PHILOX_LEFT = 0xD2511F53, PHILOX_RIGHT = 0xCD9E8D57;
static const uint32_t PHILOX_KEY0 = 0x9E3779B9, PHILOX_KEY1 = 0xBB67AE85;

TensorRandom tensor_random_new(uint64_t seed, uint64_t stream)
{
    return (TensorRandom){.seed = seed, .stream = stream};
}

void tensor_random_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t left = (uint64_t)PHILOX_LEFT * c0, right = (uint64_t)PHILOX_RIGHT * c2;
        c0 = (uint32_t)(right >> 32) ^ c1 ^ key0;
        c1 = (uint32_t)right;
        c2 = (uint32_t)(left >> 32) ^ c3 ^ key1;
        c3 = (uint32_t)left;
        key0 += PHILOX_KEY0;
        key1 += PHILOX_KEY1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

#if defined(__x86_64__)

/* Of four blocks: a word of each in the lower half of 64 bits. What is above it is of no account. */
typedef __m256i Words;
enum { VECTORS = 4, TOGETHER = 4 * VECTORS };

/* TOGETHER blocks, the same as one by one. */
__attribute__((target("avx2"))) static void draw_together(uint64_t seed, uint64_t stream, uint64_t block,
                                                          uint32_t *out)
{
    const Words left = _mm256_set1_epi64x(PHILOX_LEFT), right = _mm256_set1_epi64x(PHILOX_RIGHT);
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    Words c0[VECTORS], c1[VECTORS], c2[VECTORS], c3[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        c0[v] = _mm256_add_epi64(_mm256_set1_epi64x((long long)(block + 4 * (uint64_t)v)),
                                 _mm256_set_epi64x(3, 2, 1, 0));
        c1[v] = _mm256_srli_epi64(c0[v], 32);
        c2[v] = _mm256_set1_epi64x((long long)stream);
        c3[v] = _mm256_srli_epi64(c2[v], 32);
    }
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const Words k0 = _mm256_set1_epi64x(key0), k1 = _mm256_set1_epi64x(key1);
        for (int v = 0; v < VECTORS; v++) {
            Words of_left = _mm256_mul_epu32(left, c0[v]), of_right = _mm256_mul_epu32(right, c2[v]);
            c0[v] = _mm256_srli_epi64(of_right, 32) ^ c1[v] ^ k0;
            c1[v] = of_right;
            c2[v] = _mm256_srli_epi64(of_left, 32) ^ c3[v] ^ k1;
            c3[v] = of_left;
        }
        key0 += PHILOX_KEY0;
        key1 += PHILOX_KEY1;
    }
    for (int v = 0; v < VECTORS; v++, out += 16) {
        Words first = _mm256_blend_epi32(c0[v], _mm256_slli_epi64(c1[v], 32), 0xAA);
        Words last = _mm256_blend_epi32(c2[v], _mm256_slli_epi64(c3[v], 32), 0xAA);
        Words even = _mm256_unpacklo_epi64(first, last), odd = _mm256_unpackhi_epi64(first, last);
        _mm256_storeu_si256((Words *)(void *)out, _mm256_permute2x128_si256(even, odd, 0x20));
        _mm256_storeu_si256((Words *)(void *)(out + 8), _mm256_permute2x128_si256(even, odd, 0x31));
    }
}

/* The same with eight blocks to a vector. */
__attribute__((target("avx512f"))) static void draw_together_512(uint64_t seed, uint64_t stream,
                                                                 uint64_t block, uint32_t *out)
{
    const __m512i left = _mm512_set1_epi64(PHILOX_LEFT), right = _mm512_set1_epi64(PHILOX_RIGHT);
    const __m512i front = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0),
                  back = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    __m512i c0[VECTORS / 2], c1[VECTORS / 2], c2[VECTORS / 2], c3[VECTORS / 2];
    for (int v = 0; v < VECTORS / 2; v++) {
        c0[v] = _mm512_add_epi64(_mm512_set1_epi64((long long)(block + 8 * (uint64_t)v)),
                                 _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
        c1[v] = _mm512_srli_epi64(c0[v], 32);
        c2[v] = _mm512_set1_epi64((long long)stream);
        c3[v] = _mm512_srli_epi64(c2[v], 32);
    }
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const __m512i k0 = _mm512_set1_epi64(key0), k1 = _mm512_set1_epi64(key1);
        for (int v = 0; v < VECTORS / 2; v++) {
            __m512i of_left = _mm512_mul_epu32(left, c0[v]), of_right = _mm512_mul_epu32(right, c2[v]);
            c0[v] = _mm512_srli_epi64(of_right, 32) ^ c1[v] ^ k0;
            c1[v] = of_right;
            c2[v] = _mm512_srli_epi64(of_left, 32) ^ c3[v] ^ k1;
            c3[v] = of_left;
        }
        key0 += PHILOX_KEY0;
        key1 += PHILOX_KEY1;
    }
    for (int v = 0; v < VECTORS / 2; v++, out += 32) {
        __m512i first = _mm512_mask_blend_epi32(0xAAAA, c0[v], _mm512_slli_epi64(c1[v], 32));
        __m512i last = _mm512_mask_blend_epi32(0xAAAA, c2[v], _mm512_slli_epi64(c3[v], 32));
        _mm512_storeu_si512(out, _mm512_permutex2var_epi64(first, front, last));
        _mm512_storeu_si512(out + 16, _mm512_permutex2var_epi64(first, back, last));
    }
}

typedef void DrawTogether(uint64_t seed, uint64_t stream, uint64_t block, uint32_t *out);

/* NULL: this processor draws one by one. */
static DrawTogether *draws_together(void)
{
    TensorVmathLevel level = tensor_vmath_level();
    return level == TENSOR_VMATH_AVX512 ? draw_together_512
           : level == TENSOR_VMATH_AVX2 ? draw_together
                                        : NULL;
}

#else

enum { TOGETHER = 1 };

static void draw_together(uint64_t seed, uint64_t stream, uint64_t block, uint32_t *out)
{
    tensor_random_block(seed, stream, block, out);
}

typedef void DrawTogether(uint64_t seed, uint64_t stream, uint64_t block, uint32_t *out);

static DrawTogether *draws_together(void)
{
    return draw_together;
}

#endif

uint64_t tensor_random_stream(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        hash = (hash ^ *c) * 0x100000001b3u;
    return hash;
}

/* The next numbers. Number `counter` lies in block counter / 4, which is made anew in every call: a
 * TensorRandom is only a position. */
static void draw(TensorRandom *random, uint32_t *out, int64_t count)
{
    uint32_t block[4];
    for (int64_t i = 0; i < count; i++) {
        uint64_t at = random->counter++;
        if (i == 0 || at % 4 == 0)
            tensor_random_block(random->seed, random->stream, at / 4, block);
        out[i] = block[at % 4];
    }
}

void tensor_random_fill_u32(TensorRandom *random, uint32_t *out, int64_t n)
{
    for (; n > 0 && random->counter % 4; n--)
        *out++ = tensor_random_u32(random);
    for (DrawTogether *together = draws_together(); together && n >= 4 * TOGETHER; n -= 4 * TOGETHER) {
        together(random->seed, random->stream, random->counter / 4, out);
        random->counter += 4 * TOGETHER;
        out += 4 * TOGETHER;
    }
    draw(random, out, n);
}

static double uniform_from(const uint32_t high_low[2])
{
    return (double)((uint64_t)high_low[0] << 21 | high_low[1] >> 11) * 0x1p-53;
}

uint32_t tensor_random_u32(TensorRandom *random)
{
    uint32_t number;
    draw(random, &number, 1);
    return number;
}

float tensor_random_uniform(TensorRandom *random)
{
    return (float)(tensor_random_u32(random) >> 8) * 0x1p-24f;
}

double tensor_random_uniform_f64(TensorRandom *random)
{
    uint32_t numbers[2];
    draw(random, numbers, 2);
    return uniform_from(numbers);
}

/* Lemire 2019, "Fast random integer generation in an interval": the high word of a product is uniform
 * once the 2^32 mod bound lowest values of the low word are rejected. */
uint32_t tensor_random_below(TensorRandom *random, uint32_t bound)
{
    uint64_t product = (uint64_t)tensor_random_u32(random) * bound;
    if ((uint32_t)product < bound) {
        uint32_t rejected = -bound % bound;
        while ((uint32_t)product < rejected)
            product = (uint64_t)tensor_random_u32(random) * bound;
    }
    return (uint32_t)(product >> 32);
}

/* Of the pair that Box-Muller gives only the cosine is used: a TensorRandom has nowhere to keep the other. */
double tensor_random_normal(TensorRandom *random)
{
    const double two_pi = 6.283185307179586476925;
    uint32_t numbers[4];
    draw(random, numbers, 4);
    double radius = sqrt(-2.0 * log(1.0 - uniform_from(numbers))); /* 1 - u is never 0 */
    return radius * cos(two_pi * uniform_from(numbers + 2));
}

void tensor_random_shuffle(TensorRandom *random, int32_t *values, int32_t n)
{
    for (int32_t i = n - 1; i > 0; i--) {
        uint32_t j = tensor_random_below(random, (uint32_t)i + 1);
        int32_t swapped = values[i];
        values[i] = values[j];
        values[j] = swapped;
    }
}

void tensor_random_permutation(TensorRandom *random, int32_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = i;
    tensor_random_shuffle(random, out, n);
}

/* ---- Tensors ---- */

typedef struct Filling {
    TensorRandom *random;
    bool normal;
    double offset, scale; /* low, high - low; or mean, deviation */
    double below;         /* uniform: what rounding must not reach */
} Filling;

static double fill_value(const Filling *filling)
{
    if (filling->normal)
        return filling->offset + filling->scale * tensor_random_normal(filling->random);
    return filling->offset + filling->scale * tensor_random_uniform_f64(filling->random);
}

static void fill_element(const Filling *filling, Tensor t, int64_t at)
{
    double value = fill_value(filling);
    if (t.dtype == TENSOR_F64) {
        bool reached = !filling->normal && value >= filling->below;
        ((double *)t.data)[at] = reached ? nextafter(filling->below, filling->offset) : value;
    } else {
        bool reached = !filling->normal && (float)value >= (float)filling->below;
        ((float *)t.data)[at] =
            reached ? nextafterf((float)filling->below, (float)filling->offset) : (float)value;
    }
}

static void fill_axis(const Filling *filling, Tensor t, int axis, int64_t at)
{
    if (axis >= t.ndim || axis >= TENSOR_MAX_DIMS) {
        fill_element(filling, t, at);
        return;
    }
    for (int64_t i = 0; i < t.shape[axis]; i++)
        fill_axis(filling, t, axis + 1, at + i * t.strides[axis]);
}

static void fill(const Filling *filling, Tensor t)
{
    if (t.dtype != TENSOR_F32 && t.dtype != TENSOR_F64)
        return;
    fill_axis(filling, t, 0, 0);
}

void tensor_random_fill_uniform(TensorRandom *random, Tensor t, double low, double high)
{
    fill(&(Filling){.random = random, .offset = low, .scale = high - low, .below = high}, t);
}

void tensor_random_fill_normal(TensorRandom *random, Tensor t, double mean, double deviation)
{
    fill(&(Filling){.random = random, .normal = true, .offset = mean, .scale = deviation}, t);
}

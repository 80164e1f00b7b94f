#include "tensor/byte_panels.h"
#include "tensor/flops.h"
#include "tensor/levels.h"
#include "tensor/mem.h"
#include "tensor/panels_internal.h"

#include <math.h>

/* 512 products of 127 and 32767 are less than 2^31. */
enum { WIDTH = 16, BLOCK = 512, ROWS = 4, MOST = 127, MOST_OF_X = 32767 };

/* ---- Packing ----
 *
 * Panels of WIDTH rows of W follow one another, block of K after block: [pairs of k][WIDTH][2] bytes each.
 * What is missing at the ends is 0. */

static int64_t panel_size(int64_t depth)
{
    return round_up(depth, 2) * WIDTH;
}

static int8_t *panel_at(const TensorBytePanels *panels, int64_t k, int64_t panel)
{
    int64_t count = round_up(panels->n, WIDTH) / WIDTH;
    return panels->data + k * count * WIDTH + panel * panel_size(min_i64(BLOCK, panels->k - k));
}

/* Packs row n; false where it is not whole numbers. */
static bool pack_row(TensorBytePanels *panels, int64_t n, const float *row, int64_t stride)
{
    float most = 0;
    for (int64_t k = 0; k < panels->k; k++) {
        if (!isfinite(row[k * stride]))
            return false;
        most = fmaxf(most, fabsf(row[k * stride]));
    }
    panels->scales[n] = most / MOST;
    for (int64_t k = 0; k < panels->k; k++) {
        float exact = most > 0 ? row[k * stride] / most * MOST : 0, whole = rintf(exact);
        if (fabsf(exact - whole) > 1e-4F)
            return false;
        int64_t in_block = k % BLOCK;
        panel_at(panels, k - in_block, n / WIDTH)[(in_block / 2 * WIDTH + n % WIDTH) * 2 + in_block % 2] =
            (int8_t)whole;
    }
    return true;
}

bool tensor_byte_panels_pack(TensorBytePanels *panels, Tensor w)
{
    tensor_byte_panels_free(panels);
    if (w.dtype != TENSOR_F32 || w.ndim != 2)
        return true;
    panels->n = w.shape[0];
    panels->k = w.shape[1];
    size_t rows = (size_t)round_up(panels->n, WIDTH), bytes = rows * (size_t)round_up(panels->k, 2);
    panels->data = reel_mem_calloc(bytes + 1, 1);
    panels->scales = reel_mem_calloc(rows + 1, sizeof *panels->scales);
    bool ok = panels->data && panels->scales, whole = ok;
    for (int64_t n = 0; whole && n < panels->n; n++)
        whole = pack_row(panels, n, tensor_f32(w) + n * w.strides[0], w.strides[1]);
    if (!whole)
        tensor_byte_panels_free(panels);
    return ok;
}

void tensor_byte_panels_free(TensorBytePanels *panels)
{
    reel_mem_free(panels->data);
    reel_mem_free(panels->scales);
    *panels = (TensorBytePanels){0};
}

/* ---- A tile: rows of x, each [2 pairs] of 16 bits, by panels side by side ---- */

/* sums[i][j] = sum over k of x[i][k] W[j][k]; rows of x and of sums, and panels, lie that far apart. */
typedef struct Tile {
    int64_t pairs;
    const int16_t *x;
    int64_t x_stride;
    const int8_t *panels;
    int64_t panel_stride;
    int32_t *sums;
    int64_t sums_stride;
} Tile;

typedef int64_t TileLoop(const Tile *tile, int64_t rows, int64_t panels);

/* Each takes `rows` <= ROWS and as many of the panels as are whole groups of its own, at least one, and
 * returns how many those were. */
static int64_t run_portable(const Tile *t, int64_t rows, int64_t panels)
{
    (void)panels;
    for (int64_t i = 0; i < rows; i++) {
        int32_t sum[WIDTH] = {0};
        const int8_t *w = t->panels;
        for (int64_t p = 0; p < t->pairs; p++, w += 2 * WIDTH) {
            int32_t first = t->x[i * t->x_stride + 2 * p], second = t->x[i * t->x_stride + 2 * p + 1];
            for (int j = 0; j < WIDTH; j++)
                sum[j] += first * w[2 * j] + second * w[2 * j + 1];
        }
        memcpy(t->sums + i * t->sums_stride, sum, sizeof sum);
    }
    return 1;
}

#ifdef __x86_64__

#include <immintrin.h>

#define INLINE(isa) static inline __attribute__((always_inline, target(isa)))
#define ISA_512     "avx512f,avx512bw,avx512vnni"

INLINE(ISA_512) void tile_avx512(const Tile *t, int rows, int panels)
{
    __m512i sum[ROWS][8];
    const int8_t *w = t->panels;
    const int16_t *x = t->x;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < panels; j++)
            sum[i][j] = _mm512_setzero_si512();
    for (int64_t p = 0; p < t->pairs; p++, w += 2 * WIDTH, x += 2) {
        __m512i pair[ROWS];
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            int32_t both;
            memcpy(&both, x + i * t->x_stride, sizeof both);
            pair[i] = _mm512_set1_epi32(both);
        }
#pragma GCC unroll 8
        for (int j = 0; j < panels; j++) {
            __m512i wide =
                _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(w + j * t->panel_stride)));
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++)
                sum[i][j] = _mm512_dpwssd_epi32(sum[i][j], pair[i], wide);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < panels; j++)
            _mm512_storeu_si512(t->sums + i * t->sums_stride + j * WIDTH, sum[i][j]);
}

INLINE("avx2") void tile_avx2(const Tile *t, int rows, int panels)
{
    __m256i sum[ROWS][8];
    const int8_t *w = t->panels;
    const int16_t *x = t->x;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < 2 * panels; j++)
            sum[i][j] = _mm256_setzero_si256();
    for (int64_t p = 0; p < t->pairs; p++, w += 2 * WIDTH, x += 2) {
#pragma GCC unroll 8
        for (int j = 0; j < 2 * panels; j++) {
            __m256i wide = _mm256_cvtepi8_epi16(
                _mm_loadu_si128((const __m128i *)(w + j / 2 * t->panel_stride + j % 2 * WIDTH)));
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++) {
                int32_t both;
                memcpy(&both, x + i * t->x_stride, sizeof both);
                sum[i][j] = _mm256_add_epi32(sum[i][j], _mm256_madd_epi16(_mm256_set1_epi32(both), wide));
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < 2 * panels; j++)
            _mm256_storeu_si256((__m256i *)(t->sums + i * t->sums_stride + j * WIDTH / 2), sum[i][j]);
}

/* As many panels side by side as the registers hold sums for. */
#define TILE(loop, rows, panels)                                                                             \
    case rows:                                                                                               \
        if (count >= panels) {                                                                               \
            loop(t, rows, panels);                                                                           \
            return panels;                                                                                   \
        }                                                                                                    \
        loop(t, rows, 1);                                                                                    \
        return 1

__attribute__((target(ISA_512))) static int64_t run_avx512(const Tile *t, int64_t rows, int64_t count)
{
    switch (rows) {
        TILE(tile_avx512, 1, 8);
        TILE(tile_avx512, 2, 8);
        TILE(tile_avx512, 3, 4);
        TILE(tile_avx512, 4, 4);
    }
    return count;
}

__attribute__((target("avx2"))) static int64_t run_avx2(const Tile *t, int64_t rows, int64_t count)
{
    switch (rows) {
        TILE(tile_avx2, 1, 4);
        TILE(tile_avx2, 2, 2);
        TILE(tile_avx2, 3, 1);
        TILE(tile_avx2, 4, 1);
    }
    return count;
}

static TileLoop *tile_loop(void)
{
    TensorVmathLevel level = tensor_vmath_level();
    if (level == TENSOR_VMATH_AVX512 && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512bw"))
        return run_avx512;
    return level == TENSOR_VMATH_PORTABLE ? run_portable : run_avx2;
}

#else

static TileLoop *tile_loop(void)
{
    return run_portable;
}

#endif

/* ---- The product ---- */

/* The largest magnitude, as bits: they are in the order of magnitudes, NaN above infinity above numbers. */
TENSOR_INLINE void most_loop(const float *x, size_t n, uint32_t *most, bool fma)
{
    (void)fma;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffff;
        *most = bits > *most ? bits : *most;
    }
}
TENSOR_LEVELS(most_of, most_loop, (const float *x, size_t n, uint32_t *most), x, n, most)

/* out = x / most * 32767, rounded to whole numbers: those are the last bits of the sum with 1.5 * 2^23. */
TENSOR_INLINE void whole_loop(int16_t *restrict out, const float *restrict x, float most, size_t n, bool fma)
{
    (void)fma;
    for (size_t i = 0; i < n; i++) {
        float sum = x[i] / most * (float)MOST_OF_X + 0x1.8p23F;
        uint32_t bits;
        memcpy(&bits, &sum, sizeof bits);
        out[i] = (int16_t)(int32_t)(bits - 0x4b400000);
    }
}
TENSOR_LEVELS(make_whole, whole_loop, (int16_t * out, const float *x, float most, size_t n), out, x, most, n)

TENSOR_INLINE void add_loop(float *restrict out, const int32_t *restrict sums, const float *restrict scales,
                            float scale, bool add, size_t n, bool fma)
{
    (void)fma;
    if (add)
        for (size_t i = 0; i < n; i++)
            out[i] += (float)sums[i] * (scale * scales[i]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (float)sums[i] * (scale * scales[i]);
}
TENSOR_LEVELS(add_scaled, add_loop,
              (float *out, const int32_t *sums, const float *scales, float scale, bool add, size_t n), out,
              sums, scales, scale, add, n)

/* Memory for ROWS rows. */
typedef struct Rows {
    float *row, *out; /* one of x and one of out, contiguous */
    int16_t *x;
    int32_t *sums;
    int64_t x_stride, sums_stride;
    float scales[ROWS]; /* NAN: not finite */
} Rows;

static bool make_rows(Rows *r, const TensorBytePanels *panels, TensorArena *scratch)
{
    r->x_stride = round_up(panels->k, 2);
    r->sums_stride = round_up(panels->n, WIDTH);
    r->row = tensor_arena_alloc(scratch, (size_t)(panels->k + 1) * sizeof *r->row);
    r->out = tensor_arena_alloc(scratch, (size_t)(panels->n + 1) * sizeof *r->out);
    r->x = tensor_arena_calloc(scratch, (size_t)(ROWS * r->x_stride + 1) * sizeof *r->x);
    r->sums = tensor_arena_alloc(scratch, (size_t)(ROWS * r->sums_stride + 1) * sizeof *r->sums);
    return r->row && r->out && r->x && r->sums;
}

static void read_x(Rows *r, int64_t i, const float *row, int64_t stride, int64_t k)
{
    if (stride != 1) {
        for (int64_t p = 0; p < k; p++)
            r->row[p] = row[p * stride];
        row = r->row;
    }
    uint32_t bits = 0;
    float most;
    most_of(row, (size_t)k, &bits);
    memcpy(&most, &bits, sizeof most);
    r->scales[i] = isfinite(most) ? most / MOST_OF_X : NAN;
    if (isfinite(most) && most > 0)
        make_whole(r->x + i * r->x_stride, row, most, (size_t)k);
    else
        memset(r->x + i * r->x_stride, 0, (size_t)k * sizeof *r->x);
}

/* Row i of out, beta times what is there, is given the sums; `first`: of the first block. */
static void write_out(Rows *r, int64_t i, float *out, int64_t stride, const TensorBytePanels *panels,
                      float beta, bool first)
{
    float *to = stride == 1 ? out : r->out;
    bool add = !first || beta != 0;
    for (int64_t j = 0; add && stride != 1 && j < panels->n; j++)
        to[j] = out[j * stride];
    for (int64_t j = 0; first && add && beta != 1 && j < panels->n; j++)
        to[j] *= beta;
    add_scaled(to, r->sums + i * r->sums_stride, panels->scales, r->scales[i], add, (size_t)panels->n);
    for (int64_t j = 0; stride != 1 && j < panels->n; j++)
        out[j * stride] = to[j];
}

bool tensor_byte_panels_matmul(Tensor out, Tensor x, const TensorBytePanels *panels, double beta,
                               TensorArena *scratch)
{
    if (!panels->data || out.dtype != TENSOR_F32 || x.dtype != TENSOR_F32 || out.ndim != 2 || x.ndim != 2 ||
        x.shape[0] != out.shape[0] || x.shape[1] != panels->k || out.shape[1] != panels->n || panels->k == 0)
        return false;
    TileLoop *loop = tile_loop();
    TensorArenaMark mark = tensor_arena_mark(scratch);
    Rows r;
    if (!make_rows(&r, panels, scratch)) {
        tensor_arena_rewind(scratch, mark);
        return false;
    }
    tensor_flops_add_product(TENSOR_PRODUCT_PLAIN, x.shape[0], panels->n, panels->k);
    int64_t count = r.sums_stride / WIDTH;
    for (int64_t m = 0; m < x.shape[0]; m += ROWS) {
        int64_t rows = min_i64(ROWS, x.shape[0] - m);
        for (int64_t i = 0; i < rows; i++)
            read_x(&r, i, tensor_f32(x) + (m + i) * x.strides[0], x.strides[1], panels->k);
        for (int64_t k = 0; k < panels->k; k += BLOCK) {
            int64_t depth = min_i64(BLOCK, panels->k - k);
            for (int64_t j = 0; j < count;) {
                Tile tile = {.pairs = (depth + 1) / 2,
                             .x = r.x + k,
                             .x_stride = r.x_stride,
                             .panels = panel_at(panels, k, j),
                             .panel_stride = panel_size(depth),
                             .sums = r.sums + j * WIDTH,
                             .sums_stride = r.sums_stride};
                j += loop(&tile, rows, count - j);
            }
            for (int64_t i = 0; i < rows; i++)
                write_out(&r, i, tensor_f32(out) + (m + i) * out.strides[0], out.strides[1], panels,
                          (float)beta, k == 0);
        }
    }
    tensor_arena_rewind(scratch, mark);
    return true;
}

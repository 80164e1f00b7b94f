#include "tensor/panels_internal.h"

#if __has_include(<blis/blis.h>)
#include <blis/blis.h>
#else
#include <blis.h>
#endif

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- x86-64: outer products in vector registers ----
 *
 * Written for these shapes rather than taken from BLIS because BLIS's kernels compute whole tiles only
 * (32 rows cost as much as 36 with its 6 x 16) and BLIS 0.9 has none for AVX-512 on AMD. Both versions
 * make an element by the same chain of fused multiply-adds, so they give the same bits. */
#ifdef __x86_64__

#include <immintrin.h>

#define INLINE(isa) static inline __attribute__((always_inline, target(isa)))

/* 12 x 32: 24 accumulators, 2 vectors of the wide panel and 1 of the narrow one out of 32 registers. */
enum { ROWS_512 = 12, LANES_512 = 16 };

INLINE("avx512f")
void tile_avx512(int rows, int vectors, int64_t depth, const float *narrow, const float *wide, bool add,
                 float *out, int64_t row_stride)
{
    __m512 sum[ROWS_512][2];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            sum[i][v] = _mm512_setzero_ps();
            __builtin_prefetch(out + i * row_stride + v * LANES_512);
        }
    for (int64_t k = 0; k < depth; k++, narrow += ROWS_512, wide += 2 * LANES_512) {
        __m512 w[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            w[v] = _mm512_load_ps(wide + v * LANES_512);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            __m512 a = _mm512_set1_ps(narrow[i]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[i][v] = _mm512_fmadd_ps(a, w[v], sum[i][v]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *to = out + i * row_stride + v * LANES_512;
            _mm512_storeu_ps(to, add ? _mm512_add_ps(sum[i][v], _mm512_loadu_ps(to)) : sum[i][v]);
        }
}

/* 6 x 16: 12 accumulators, 2 and 1 out of 16 registers. */
enum { ROWS_256 = 6, LANES_256 = 8 };

INLINE("avx2,fma")
void tile_avx2(int rows, int vectors, int64_t depth, const float *narrow, const float *wide, bool add,
               float *out, int64_t row_stride)
{
    __m256 sum[ROWS_256][2];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            sum[i][v] = _mm256_setzero_ps();
            __builtin_prefetch(out + i * row_stride + v * LANES_256);
        }
    for (int64_t k = 0; k < depth; k++, narrow += ROWS_256, wide += 2 * LANES_256) {
        __m256 w[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            w[v] = _mm256_load_ps(wide + v * LANES_256);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            __m256 a = _mm256_set1_ps(narrow[i]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[i][v] = _mm256_fmadd_ps(a, w[v], sum[i][v]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *to = out + i * row_stride + v * LANES_256;
            _mm256_storeu_ps(to, add ? _mm256_add_ps(sum[i][v], _mm256_loadu_ps(to)) : sum[i][v]);
        }
}

/* Of few rows one panel makes two chains of additions a row, which wait for each other: several panels side
 * by side keep the processor as busy as reading them allows. */
enum { FEW_ROWS = 3 };

INLINE("avx512f")
void few_avx512(int rows, int panels, int64_t depth, const float *narrow, const float *wide,
                int64_t panel_stride, bool add, float *out, int64_t row_stride)
{
    __m512 sum[FEW_ROWS][8];
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < 2 * panels; v++)
            sum[i][v] = _mm512_setzero_ps();
    for (int64_t k = 0; k < depth; k++, narrow += ROWS_512, wide += 2 * LANES_512) {
#pragma GCC unroll 8
        for (int v = 0; v < 2 * panels; v++) {
            __m512 w = _mm512_load_ps(wide + v / 2 * panel_stride + v % 2 * LANES_512);
#pragma GCC unroll 3
            for (int i = 0; i < rows; i++)
                sum[i][v] = _mm512_fmadd_ps(_mm512_set1_ps(narrow[i]), w, sum[i][v]);
        }
    }
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < 2 * panels; v++) {
            float *to = out + i * row_stride + v * LANES_512;
            _mm512_storeu_ps(to, add ? _mm512_add_ps(sum[i][v], _mm512_loadu_ps(to)) : sum[i][v]);
        }
}

INLINE("avx2,fma")
void few_avx2(int rows, int panels, int64_t depth, const float *narrow, const float *wide,
              int64_t panel_stride, bool add, float *out, int64_t row_stride)
{
    __m256 sum[FEW_ROWS][8];
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < 2 * panels; v++)
            sum[i][v] = _mm256_setzero_ps();
    for (int64_t k = 0; k < depth; k++, narrow += ROWS_256, wide += 2 * LANES_256) {
#pragma GCC unroll 8
        for (int v = 0; v < 2 * panels; v++) {
            __m256 w = _mm256_load_ps(wide + v / 2 * panel_stride + v % 2 * LANES_256);
#pragma GCC unroll 3
            for (int i = 0; i < rows; i++)
                sum[i][v] = _mm256_fmadd_ps(_mm256_set1_ps(narrow[i]), w, sum[i][v]);
        }
    }
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int v = 0; v < 2 * panels; v++) {
            float *to = out + i * row_stride + v * LANES_256;
            _mm256_storeu_ps(to, add ? _mm256_add_ps(sum[i][v], _mm256_loadu_ps(to)) : sum[i][v]);
        }
}

#define FEW(tile, lanes, count, side_by_side)                                                                \
    case count:                                                                                              \
        for (; done + side_by_side <= panels; done += side_by_side)                                          \
            tile(count, side_by_side, depth, narrow, wide + done * panel_stride, panel_stride, add,          \
                 out + done * 2 * lanes, row_stride);                                                        \
        break

__attribute__((target("avx512f"))) static int64_t run_few_avx512(int64_t depth, int64_t rows, int64_t panels,
                                                                 const float *narrow, const float *wide,
                                                                 int64_t panel_stride, bool add, float *out,
                                                                 int64_t row_stride)
{
    int64_t done = 0;
    switch (rows) {
        FEW(few_avx512, LANES_512, 1, 4);
        FEW(few_avx512, LANES_512, 2, 2);
        FEW(few_avx512, LANES_512, 3, 2);
    }
    return done;
}

__attribute__((target("avx2,fma"))) static int64_t run_few_avx2(int64_t depth, int64_t rows, int64_t panels,
                                                                const float *narrow, const float *wide,
                                                                int64_t panel_stride, bool add, float *out,
                                                                int64_t row_stride)
{
    int64_t done = 0;
    switch (rows) {
        FEW(few_avx2, LANES_256, 1, 4);
        FEW(few_avx2, LANES_256, 2, 2);
        FEW(few_avx2, LANES_256, 3, 2);
    }
    return done;
}

/* A size that the compiler knows becomes a loop of its own, all sums in registers. */
#define ROWS(tile, count)                                                                                    \
    case 2 * count - 1:                                                                                      \
        tile(count, 1, depth, narrow, wide, add, out, row_stride);                                           \
        break;                                                                                               \
    case 2 * count:                                                                                          \
        tile(count, 2, depth, narrow, wide, add, out, row_stride);                                           \
        break

__attribute__((target("avx512f"))) static void run_avx512(int64_t depth, int64_t rows, int64_t columns,
                                                          const float *narrow, const float *wide, bool add,
                                                          float *out, int64_t row_stride,
                                                          const float *next_narrow, const float *next_wide)
{
    (void)next_narrow, (void)next_wide; /* the processor's own prefetching is enough here */
    switch (2 * rows - (columns <= LANES_512)) {
        ROWS(tile_avx512, 1);
        ROWS(tile_avx512, 2);
        ROWS(tile_avx512, 3);
        ROWS(tile_avx512, 4);
        ROWS(tile_avx512, 5);
        ROWS(tile_avx512, 6);
        ROWS(tile_avx512, 7);
        ROWS(tile_avx512, 8);
        ROWS(tile_avx512, 9);
        ROWS(tile_avx512, 10);
        ROWS(tile_avx512, 11);
        ROWS(tile_avx512, 12);
    }
}

__attribute__((target("avx2,fma"))) static void run_avx2(int64_t depth, int64_t rows, int64_t columns,
                                                         const float *narrow, const float *wide, bool add,
                                                         float *out, int64_t row_stride,
                                                         const float *next_narrow, const float *next_wide)
{
    (void)next_narrow, (void)next_wide;
    switch (2 * rows - (columns <= LANES_256)) {
        ROWS(tile_avx2, 1);
        ROWS(tile_avx2, 2);
        ROWS(tile_avx2, 3);
        ROWS(tile_avx2, 4);
        ROWS(tile_avx2, 5);
        ROWS(tile_avx2, 6);
    }
}

static const TensorPanelsKernel kernel_avx512 = {.name = "avx512",
                                                 .narrow = {ROWS_512, ROWS_512, 1},
                                                 .wide = {2 * LANES_512, 2 * LANES_512, LANES_512},
                                                 .k_block = 384,
                                                 .narrow_block = 192,
                                                 .run = run_avx512,
                                                 .run_few = run_few_avx512};
/* The same k_block: it decides the order of additions. */
static const TensorPanelsKernel kernel_avx2 = {.name = "avx2",
                                               .narrow = {ROWS_256, ROWS_256, 1},
                                               .wide = {2 * LANES_256, 2 * LANES_256, LANES_256},
                                               .k_block = 384,
                                               .narrow_block = 192,
                                               .run = run_avx2,
                                               .run_few = run_few_avx2};

static const TensorPanelsKernel *native_kernel(const char *name)
{
    if ((!name || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512f"))
        return &kernel_avx512;
    if ((!name || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma"))
        return &kernel_avx2;
    return NULL;
}

#else

static const TensorPanelsKernel *native_kernel(const char *name)
{
    (void)name;
    return NULL;
}

#endif

/* ---- Other processors: BLIS's own micro-kernel ----
 *
 * It multiplies A [k][mr] by B [k][nr]. Where it prefers tiles stored by rows, the wide panels are B; where
 * it prefers columns (most of ARM), all is transposed, out^T = weights^T a^T, and the wide panels are A. */

#if defined GEMM_UKR_SETUP_CT && defined INSERT_GENTFUNC_BASIC0 && !defined REEL_NO_BLIS_KERNEL
/* The interface of BLIS 0.9, which those two macros together tell: before, kernels took no sizes; after,
 * contexts are asked by other names. */

static TensorPanelsKernel kernel_blis;
static sgemm_ukr_ft blis_run;
static cntx_t *blis_context;

/* Operands are not declared const in every release; the kernel only reads them. Whole tiles only: what
 * kernels do at edges differs between releases. */
static void run_blis(int64_t depth, int64_t rows, int64_t columns, const float *narrow, const float *wide,
                     bool add, float *out, int64_t row_stride, const float *next_narrow,
                     const float *next_wide)
{
    float one = 1, beta = add ? 1 : 0;
    auxinfo_t next;
    memset(&next, 0, sizeof next);
    bli_auxinfo_set_next_a((void *)next_narrow, &next);
    bli_auxinfo_set_next_b((void *)next_wide, &next);
    blis_run(rows, columns, depth, &one, (float *)narrow, (float *)wide, &beta, out, row_stride, 1, &next,
             blis_context);
}

static void run_blis_transposed(int64_t depth, int64_t rows, int64_t columns, const float *narrow,
                                const float *wide, bool add, float *out, int64_t row_stride,
                                const float *next_narrow, const float *next_wide)
{
    float one = 1, beta = add ? 1 : 0;
    auxinfo_t next;
    memset(&next, 0, sizeof next);
    bli_auxinfo_set_next_a((void *)next_wide, &next);
    bli_auxinfo_set_next_b((void *)next_narrow, &next);
    blis_run(columns, rows, depth, &one, (float *)wide, (float *)narrow, &beta, out, 1, row_stride, &next,
             blis_context);
}

static TensorPanelsSide blis_side(bszid_t id)
{
    int64_t width = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, id, blis_context);
    return (TensorPanelsSide){width, bli_cntx_get_blksz_max_dt(BLIS_FLOAT, id, blis_context), width};
}

static const TensorPanelsKernel *find_blis_kernel(void)
{
    bli_init();
    blis_context = bli_gks_query_cntx();
    TensorPanelsSide a = blis_side(BLIS_MR), b = blis_side(BLIS_NR);
    void_fp run = bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, blis_context);
    if (!run || a.width * b.width > PANELS_MAX_TILE)
        return NULL;
    memcpy(&blis_run, &run, sizeof run); /* void_fp is void *, which ISO C cannot cast to a function */
    bool by_rows = bli_cntx_get_l3_nat_ukr_prefs_dt(BLIS_FLOAT, BLIS_GEMM_UKR, blis_context);
    kernel_blis =
        (TensorPanelsKernel){.name = "blis",
                             .narrow = by_rows ? a : b,
                             .wide = by_rows ? b : a,
                             .k_block = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_KC, blis_context),
                             .run = by_rows ? run_blis : run_blis_transposed};
    int64_t width = kernel_blis.narrow.width;
    kernel_blis.narrow_block = (144 + width - 1) / width * width;
    return &kernel_blis;
}

#else

static const TensorPanelsKernel *find_blis_kernel(void)
{
    return NULL;
}

#endif

/* ---- The choice ---- */

static const TensorPanelsKernel *chosen, *found_blis;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const TensorPanelsKernel *kernel_named(const char *name)
{
    if (strcmp(name, "blis") == 0)
        return found_blis;
    return native_kernel(name);
}

static void choose(void)
{
    found_blis = find_blis_kernel();
    chosen = native_kernel(NULL);
    if (!chosen)
        chosen = found_blis;
    const char *name = getenv("REEL_PANELS");
    if (name && strcmp(name, "none") == 0)
        chosen = NULL;
    else if (name && kernel_named(name))
        chosen = kernel_named(name);
}

const TensorPanelsKernel *tensor_panels_kernel(void)
{
    pthread_once(&once, choose);
    return chosen;
}

bool tensor_panels_set_kernel(const char *name)
{
    pthread_once(&once, choose);
    const TensorPanelsKernel *kernel = kernel_named(name);
    if (!kernel && strcmp(name, "none") != 0)
        return false;
    chosen = kernel;
    return true;
}

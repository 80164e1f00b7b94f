#include "tensor/panels.h"
#include "tensor/mem.h"

#if __has_include(<blis/blis.h>)
#include <blis/blis.h>
#else
#include <blis.h>
#endif

#include <pthread.h>
#include <string.h>

/* The micro-kernel computes a small tile C = A B + beta C from two packed panels: A [k][mr], B [k][nr].
 * A weight's panels are the wide ones, which are read once per product while the few rows of the other
 * operand stay in the caches. They are B where the kernel prefers tiles stored by rows (zen, haswell:
 * 6 x 16). Where it prefers columns (skx: 32 x 12) all is transposed: out^T = weights^T a^T, and the
 * weights are A. Below, "wide" is the weights' side and "narrow" the other, whichever they are. */
typedef struct Kernel {
    sgemm_ukr_ft run; /* NULL: this BLIS has another interface, only the fallback works */
    cntx_t *context;
    bool by_rows;
    int64_t narrow, narrow_packed; /* rows of out in a tile; floats from one k to the next in a panel */
    int64_t wide, wide_packed;     /* columns of out */
    int64_t k_block;               /* of the inner axis: a wide panel of this length fits the L1 cache */
    int64_t narrow_block;          /* rows of out whose panels fit the L2 cache */
} Kernel;

enum { FLOATS_PER_LINE = 16, SLACK = 256, MAX_TILE = 1024 };

static Kernel kernel;
static pthread_once_t kernel_once = PTHREAD_ONCE_INIT;
static bool fallback_forced;

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void kernel_choose(void)
{
    bli_init();
    cntx_t *context = bli_gks_query_cntx();
    int64_t mr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, context);
    int64_t nr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, context);
    int64_t packed_mr = bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_MR, context);
    int64_t packed_nr = bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_NR, context);
    bool by_rows = bli_cntx_get_l3_nat_ukr_prefs_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
    kernel = (Kernel){
        .context = context,
        .by_rows = by_rows,
        .narrow = by_rows ? mr : nr,
        .narrow_packed = by_rows ? packed_mr : packed_nr,
        .wide = by_rows ? nr : mr,
        .wide_packed = by_rows ? packed_nr : packed_mr,
        .k_block = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_KC, context),
    };
    kernel.narrow_block = round_up(144, kernel.narrow);
    void_fp run = bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
    if (mr * nr <= MAX_TILE) /* void_fp is void *: ISO C has no cast from it to a function */
        memcpy(&kernel.run, &run, sizeof run);
}

static const Kernel *the_kernel(void)
{
    pthread_once(&kernel_once, kernel_choose);
    return &kernel;
}

static bool use_fallback(const Kernel *k)
{
    return fallback_forced || !k->run;
}

void panels_force_fallback(bool force)
{
    fallback_forced = force;
}

/* ---- Packing ---- */

/* A panel is [depth][packed] floats, of which the first `width` of each row are used; panels follow one
 * another at `panel_stride` floats, whole cache lines. */
typedef struct Side {
    int64_t width, packed;
} Side;

static Side narrow_side(const Kernel *k)
{
    return (Side){k->narrow, k->narrow_packed};
}

static Side wide_side(const Kernel *k)
{
    return (Side){k->wide, k->wide_packed};
}

static int64_t panel_stride(Side side, int64_t depth)
{
    return round_up(depth * side.packed, FLOATS_PER_LINE);
}

static int64_t panels_size(Side side, int64_t depth, int64_t count)
{
    return (count + side.width - 1) / side.width * panel_stride(side, depth);
}

/* One row, source[0 .. count), spread over the panels: width elements to each. `to` is the row's place
 * in the first panel. */
static inline __attribute__((always_inline)) void spread_row(float *to, const float *source, int64_t count,
                                                             int64_t stride, int64_t width, int64_t to_stride)
{
    int64_t i = 0;
    if (stride == 1)
        for (; i + width <= count; i += width, to += to_stride)
            for (int64_t j = 0; j < width; j++)
                to[j] = source[i + j];
    for (; i < count; i += width, to += to_stride)
        for (int64_t j = 0; j < width; j++)
            to[j] = i + j < count ? source[(i + j) * stride] : 0;
}

/* Packs the rows `first` .. `first + depth` of the panels from the matrix source [depth, count]. */
static void pack_rows(float *panels, Side side, int64_t panel_depth, int64_t first, const float *source,
                      int64_t depth, int64_t count, int64_t stride_depth, int64_t stride_count)
{
    int64_t stride = panel_stride(side, panel_depth);
    for (int64_t p = 0; p < depth; p++) {
        float *to = panels + (first + p) * side.packed;
        const float *row = source + p * stride_depth;
        switch (side.width) { /* widths known to the compiler become vector moves */
        case 6:
            spread_row(to, row, count, stride_count, 6, stride);
            break;
        case 16:
            spread_row(to, row, count, stride_count, 16, stride);
            break;
        case 32:
            spread_row(to, row, count, stride_count, 32, stride);
            break;
        default:
            spread_row(to, row, count, stride_count, side.width, stride);
        }
    }
}

static inline __attribute__((always_inline)) void
transpose_panel(float *to, const float *source, int64_t depth, int64_t stride, int64_t width, int64_t packed)
{
    for (int64_t p = 0; p < depth; p++)
        for (int64_t j = 0; j < width; j++)
            to[p * packed + j] = source[j * stride + p];
}

/* The same from a source whose elements are adjacent along the depth. */
static void pack_columns(float *panels, Side side, const float *source, int64_t depth, int64_t count,
                         int64_t stride_count)
{
    int64_t stride = panel_stride(side, depth);
    for (int64_t i = 0; i < count; i += side.width, panels += stride, source += side.width * stride_count) {
        if (count - i < side.width)
            pack_rows(panels, side, depth, 0, source, depth, count - i, 1, stride_count);
        else if (side.width == 6 && side.packed == 6)
            transpose_panel(panels, source, depth, stride_count, 6, 6);
        else if (side.width == 16 && side.packed == 16)
            transpose_panel(panels, source, depth, stride_count, 16, 16);
        else
            transpose_panel(panels, source, depth, stride_count, side.width, side.packed);
    }
}

static void pack(float *panels, Side side, const float *source, int64_t depth, int64_t count,
                 int64_t stride_depth, int64_t stride_count)
{
    if (stride_depth == 1)
        pack_columns(panels, side, source, depth, count, stride_count);
    else
        pack_rows(panels, side, depth, 0, source, depth, count, stride_depth, stride_count);
}

/* ---- The product of two packed blocks ---- */

/* A matrix that is written to. */
typedef struct Target {
    float *data;
    int64_t rows, columns, row_stride, column_stride;
} Target;

/* One tile of at most narrow x wide elements. A tile that is not whole, or not stored as the kernel
 * prefers, passes through a small one that is: so every element comes from the same instructions,
 * wherever it lies. */
static void run_tile(const Kernel *k, int64_t depth, const float *narrow, const float *wide, float beta,
                     float *out, const Target *shape, auxinfo_t *next)
{
    float tile[MAX_TILE] __attribute__((aligned(64)));
    float one = 1.0f;
    int64_t rows = min_i64(shape->rows, k->narrow), columns = min_i64(shape->columns, k->wide);
    bool direct = rows == k->narrow && columns == k->wide && shape->column_stride == 1;
    float *c = direct ? out : tile;
    int64_t row_stride = direct ? shape->row_stride : k->wide;
    if (!direct && beta != 0) {
        memset(tile, 0, sizeof(float) * (size_t)(k->narrow * k->wide));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                tile[i * k->wide + j] = out[i * shape->row_stride + j * shape->column_stride];
    }
    /* The kernel's operands are declared writable in some releases; it only reads them. */
    float *a = (float *)(k->by_rows ? narrow : wide), *b = (float *)(k->by_rows ? wide : narrow);
    if (k->by_rows)
        k->run(k->narrow, k->wide, depth, &one, a, b, &beta, c, row_stride, 1, next, k->context);
    else
        k->run(k->wide, k->narrow, depth, &one, a, b, &beta, c, 1, row_stride, next, k->context);
    if (!direct)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                out[i * shape->row_stride + j * shape->column_stride] = tile[i * k->wide + j];
}

/* out = narrow wide + beta * out. The wide panels pass by once, each against all narrow ones. */
static void run_block(const Kernel *k, int64_t depth, const float *narrow, const float *wide, float beta,
                      const Target *out)
{
    int64_t narrow_stride = panel_stride(narrow_side(k), depth),
            wide_stride = panel_stride(wide_side(k), depth);
    auxinfo_t next;
    memset(&next, 0, sizeof next);
    for (int64_t j = 0; j < out->columns; j += k->wide, wide += wide_stride) {
        const float *a = narrow;
        for (int64_t i = 0; i < out->rows; i += k->narrow, a += narrow_stride) {
            bool last = i + k->narrow >= out->rows;
            const float *next_narrow = last ? narrow : a + narrow_stride;
            const float *next_wide = last ? wide + wide_stride : wide;
            bli_auxinfo_set_next_a((void *)(k->by_rows ? next_narrow : next_wide), &next);
            bli_auxinfo_set_next_b((void *)(k->by_rows ? next_wide : next_narrow), &next);
            Target tile = {NULL, out->rows - i, out->columns - j, out->row_stride, out->column_stride};
            run_tile(k, depth, a, wide, beta, out->data + i * out->row_stride + j * out->column_stride, &tile,
                     &next);
        }
    }
}

static void scale(const Target *out, float beta)
{
    for (int64_t i = 0; i < out->rows; i++)
        for (int64_t j = 0; j < out->columns; j++) {
            float *element = &out->data[i * out->row_stride + j * out->column_stride];
            *element = beta == 0 ? 0 : *element * beta;
        }
}

static void multiply_plain(const Target *out, int64_t depth, const float *a, int64_t a_row, int64_t a_column,
                           const float *b, int64_t b_row, int64_t b_column, float beta)
{
    rntm_t runtime = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &runtime);
    bli_rntm_disable_l3_sup(&runtime); /* its bits depend on the number of rows */
    float one = 1.0f;
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, out->rows, out->columns, depth, &one, (float *)a,
                 a_row, a_column, (float *)b, b_row, b_column, &beta, out->data, out->row_stride,
                 out->column_stride, NULL, &runtime);
}

/* ---- The public functions ---- */

static bool is_matrix(const Tensor *t)
{
    return t->dtype == DTYPE_F32 && t->ndim == 2 && t->shape[0] >= 0 && t->shape[1] >= 0;
}

static bool is_target(const Tensor *t)
{
    return is_matrix(t) && (t->shape[0] <= 1 || t->strides[0] != 0) &&
           (t->shape[1] <= 1 || t->strides[1] != 0);
}

static Target target_of(Tensor t)
{
    return (Target){tensor_f32(t), t.shape[0], t.shape[1], t.strides[0], t.strides[1]};
}

static Target target_rows(const Target *t, int64_t first, int64_t count)
{
    Target rows = *t;
    rows.data += first * t->row_stride;
    rows.rows = count;
    return rows;
}

bool panels_pack(Panels *panels, Tensor b)
{
    if (!is_matrix(&b))
        return false;
    const Kernel *k = the_kernel();
    Side side = wide_side(k);
    int64_t depth = b.shape[0], count = b.shape[1], size = SLACK;
    for (int64_t p = 0; p < depth; p += k->k_block)
        size += panels_size(side, min_i64(k->k_block, depth - p), count);
    if ((size_t)size > panels->capacity) {
        float *data = mem_alloc((size_t)size * sizeof *data);
        if (!data)
            return false;
        mem_free(panels->data);
        panels->data = data;
        panels->capacity = (size_t)size;
    }
    panels->k = depth;
    panels->n = count;
    float *to = panels->data;
    for (int64_t p = 0; p < depth; p += k->k_block) {
        int64_t block = min_i64(k->k_block, depth - p);
        pack(to, side, tensor_f32(b) + p * b.strides[0], block, count, b.strides[0], b.strides[1]);
        to += panels_size(side, block, count);
    }
    return true;
}

void panels_free(Panels *panels)
{
    mem_free(panels->data);
    *panels = (Panels){0};
}

/* Each panel is a small matrix of its own to bli_sgemm. */
static void matmul_fallback(const Kernel *k, const Target *out, const float *a, int64_t a_row,
                            int64_t a_column, const float *wide, int64_t depth, float beta)
{
    for (int64_t j = 0; j < out->columns; j += k->wide, wide += panel_stride(wide_side(k), depth)) {
        Target columns = *out;
        columns.data += j * out->column_stride;
        columns.columns = min_i64(k->wide, out->columns - j);
        multiply_plain(&columns, depth, a, a_row, a_column, wide, k->wide_packed, 1, beta);
    }
}

bool panels_matmul(Tensor out, Tensor a, const Panels *panels, double beta, Arena *scratch)
{
    if (!panels->data || !is_target(&out) || !is_matrix(&a) || a.shape[0] != out.shape[0] ||
        a.shape[1] != panels->k || out.shape[1] != panels->n)
        return false;
    const Kernel *k = the_kernel();
    Target c = target_of(out);
    int64_t rows_at_once = min_i64(k->narrow_block, round_up(c.rows, k->narrow));
    ArenaMark mark = arena_mark(scratch);
    float *narrow = NULL;
    if (!use_fallback(k)) {
        int64_t size = panels_size(narrow_side(k), min_i64(k->k_block, panels->k), rows_at_once) + SLACK;
        narrow = arena_alloc(scratch, (size_t)size * sizeof(float));
        if (!narrow)
            return false;
    }
    if (c.rows > 0 && c.columns > 0 && (panels->k == 0 || (beta != 0 && beta != 1))) {
        scale(&c, (float)beta);
        beta = 1;
    }
    const float *wide = panels->data;
    for (int64_t p = 0; p < panels->k; p += k->k_block, beta = 1) {
        int64_t depth = min_i64(k->k_block, panels->k - p);
        for (int64_t i = 0; i < c.rows; i += rows_at_once) {
            Target block = target_rows(&c, i, min_i64(rows_at_once, c.rows - i));
            const float *from = tensor_f32(a) + i * a.strides[0] + p * a.strides[1];
            if (!narrow) {
                matmul_fallback(k, &block, from, a.strides[0], a.strides[1], wide, depth, (float)beta);
                continue;
            }
            pack(narrow, narrow_side(k), from, depth, block.rows, a.strides[1], a.strides[0]);
            run_block(k, depth, narrow, wide, (float)beta, &block);
        }
        wide += panels_size(wide_side(k), depth, panels->n);
    }
    arena_rewind(scratch, mark);
    return true;
}

/* A place among the rows of all pairs. */
typedef struct Cursor {
    const PanelsPair *pairs;
    int64_t count, pair, row;
} Cursor;

/* Packs `depth` rows of dy (columns first .. first + columns) or of x, from the cursor's place on. */
static void gather(Cursor cursor, bool of_x, float *panels, Side side, int64_t depth, int64_t first,
                   int64_t columns)
{
    for (int64_t done = 0; done < depth; cursor.pair++, cursor.row = 0) {
        const Tensor *t = of_x ? &cursor.pairs[cursor.pair].x : &cursor.pairs[cursor.pair].dy;
        int64_t rows = min_i64(t->shape[0] - cursor.row, depth - done);
        const float *from = (const float *)t->data + cursor.row * t->strides[0] + first * t->strides[1];
        pack_rows(panels, side, depth, done, from, rows, columns, t->strides[0], t->strides[1]);
        done += rows;
    }
}

static Cursor advance(Cursor cursor, int64_t rows)
{
    while (rows > 0) {
        int64_t left = cursor.pairs[cursor.pair].x.shape[0] - cursor.row;
        if (rows < left) {
            cursor.row += rows;
            break;
        }
        rows -= left;
        cursor.pair++;
        cursor.row = 0;
    }
    return cursor;
}

static void accumulate_fallback(const Target *out, const PanelsPair *pairs, int64_t count, float beta)
{
    for (int64_t i = 0; i < count; i++) {
        const Tensor *dy = &pairs[i].dy, *x = &pairs[i].x;
        if (x->shape[0] == 0)
            continue;
        multiply_plain(out, x->shape[0], dy->data, dy->strides[1], dy->strides[0], x->data, x->strides[0],
                       x->strides[1], beta);
        beta = 1;
    }
}

static bool pairs_fit(const Tensor *out, const PanelsPair *pairs, int64_t count, int64_t *rows)
{
    *rows = 0;
    for (int64_t i = 0; i < count; i++) {
        const Tensor *dy = &pairs[i].dy, *x = &pairs[i].x;
        if (!is_matrix(dy) || !is_matrix(x) || dy->shape[0] != x->shape[0] || dy->shape[1] != out->shape[0] ||
            x->shape[1] != out->shape[1])
            return false;
        *rows += x->shape[0];
    }
    return true;
}

bool panels_accumulate(Tensor out, const PanelsPair *pairs, int64_t count, double beta, Arena *scratch)
{
    int64_t total;
    if (!is_target(&out) || count < 0 || !pairs_fit(&out, pairs, count, &total))
        return false;
    const Kernel *k = the_kernel();
    Target c = target_of(out);
    if (c.rows == 0 || c.columns == 0)
        return true;
    Side narrow_is = narrow_side(k), wide_is = wide_side(k);
    int64_t rows_at_once = min_i64(k->narrow_block, round_up(c.rows, k->narrow));
    int64_t most = min_i64(k->k_block, total);
    ArenaMark mark = arena_mark(scratch);
    float *narrow = NULL, *wide = NULL;
    if (!use_fallback(k)) {
        narrow = arena_alloc(scratch, (size_t)(panels_size(narrow_is, most, rows_at_once) + SLACK) * 4);
        wide = arena_alloc(scratch, (size_t)(panels_size(wide_is, most, c.columns) + SLACK) * 4);
        if (!narrow || !wide) {
            arena_rewind(scratch, mark);
            return false;
        }
    }
    if (total == 0 || (beta != 0 && beta != 1)) {
        scale(&c, (float)beta);
        beta = 1;
    }
    if (!narrow)
        accumulate_fallback(&c, pairs, count, (float)beta);
    Cursor cursor = {pairs, count, 0, 0};
    for (int64_t p = 0; narrow && p < total; p += k->k_block, beta = 1) {
        int64_t depth = min_i64(k->k_block, total - p);
        gather(cursor, true, wide, wide_is, depth, 0, c.columns);
        for (int64_t i = 0; i < c.rows; i += rows_at_once) {
            Target block = target_rows(&c, i, min_i64(rows_at_once, c.rows - i));
            gather(cursor, false, narrow, narrow_is, depth, i, block.rows);
            run_block(k, depth, narrow, wide, (float)beta, &block);
        }
        cursor = advance(cursor, depth);
    }
    arena_rewind(scratch, mark);
    return true;
}

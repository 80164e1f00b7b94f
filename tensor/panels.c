#include "tensor/panels.h"
#include "tensor/blis_internal.h"
#include "tensor/flops.h"
#include "tensor/mem.h"
#include "tensor/panels_internal.h"
#include "tensor/sparse_product_internal.h"

#include <string.h>

enum {
    FLOATS_PER_LINE = 16,
    ROWS_AHEAD = 8,
    LINES_AHEAD = 2,
    SLACK = 256 /* kernels may read some floats past the last panel */
};

static bool fallback_forced;

void tensor_panels_force_fallback(bool force)
{
    fallback_forced = force;
}

static bool use_fallback(const TensorPanelsKernel *kernel)
{
    return fallback_forced || !kernel;
}

/* ---- Packing ---- */

/* A panel is [depth][packed] floats, of which the first `width` at each place are used; panels follow one
 * another at whole cache lines, one line apart so that they do not fall into the same sets of a cache. */
static int64_t panel_stride(TensorPanelsSide side, int64_t depth)
{
    return round_up(depth * side.packed, FLOATS_PER_LINE) + FLOATS_PER_LINE;
}

static int64_t panels_size(TensorPanelsSide side, int64_t depth, int64_t count)
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
            memcpy(to, source + i, (size_t)width * sizeof *to);
    for (; i < count; i += width, to += to_stride)
        for (int64_t j = 0; j < width; j++)
            to[j] = i + j < count ? source[(i + j) * stride] : 0;
}

/* Packs the rows `first` .. `first + depth` of the panels from the matrix source [depth, count]. */
static void pack_rows(float *panels, TensorPanelsSide side, int64_t panel_depth, int64_t first,
                      const float *source, int64_t depth, int64_t count, int64_t stride_depth,
                      int64_t stride_count)
{
    int64_t stride = panel_stride(side, panel_depth);
    for (int64_t p = 0; p < depth; p++) {
        float *to = panels + (first + p) * side.packed;
        const float *row = source + p * stride_depth;
        /* Rows lie pages apart, where the processor's own prefetching does not follow. */
        if (stride_count == 1 && p + ROWS_AHEAD < depth)
            for (int64_t i = 0; i < count; i += FLOATS_PER_LINE)
                __builtin_prefetch(row + ROWS_AHEAD * stride_depth + i);
        switch (side.width) { /* widths that the compiler knows become vector moves */
        case 6:
            spread_row(to, row, count, stride_count, 6, stride);
            break;
        case 12:
            spread_row(to, row, count, stride_count, 12, stride);
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

typedef float Vec4 __attribute__((vector_size(16)));

/* to[i * to_stride + j] = from[j * from_stride + i] for i, j in 0 .. 3 */
static inline void transpose_4x4(float *to, int64_t to_stride, const float *from, int64_t from_stride)
{
    Vec4 r[4], t[4];
    for (int i = 0; i < 4; i++)
        memcpy(&r[i], from + i * from_stride, sizeof r[i]);
    t[0] = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    t[1] = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    t[2] = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    t[3] = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(t[0], t[1], 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(t[0], t[1], 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(t[2], t[3], 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(t[2], t[3], 2, 3, 6, 7);
    for (int i = 0; i < 4; i++)
        memcpy(to + i * to_stride, &r[i], sizeof r[i]);
}

/* One panel of `count` <= width elements from a source that is contiguous along the depth. */
static void transpose_panel(float *to, TensorPanelsSide side, const float *source, int64_t depth,
                            int64_t count, int64_t stride_count)
{
    int64_t p = 0;
    if (count >= 4)
        for (; p + FLOATS_PER_LINE <= depth; p += FLOATS_PER_LINE)
            for (int64_t j = 0; j < count; j += 4) {
                int64_t first = min_i64(j, count - 4); /* the last block may overlap the one before */
                const float *from = source + first * stride_count + p;
                for (int i = 0; i < 4; i++) /* more rows than the processor's own prefetching follows */
                    __builtin_prefetch(from + i * stride_count + LINES_AHEAD * FLOATS_PER_LINE);
                for (int i = 0; i < FLOATS_PER_LINE; i += 4)
                    transpose_4x4(to + (p + i) * side.packed + first, side.packed, from + i, stride_count);
            }
    for (; p < depth; p++)
        for (int64_t j = 0; j < count; j++)
            to[p * side.packed + j] = source[j * stride_count + p];
    int64_t read = round_up(count, side.unit);
    for (p = 0; count < read && p < depth; p++)
        for (int64_t j = count; j < read; j++)
            to[p * side.packed + j] = 0;
}

static void pack(float *panels, TensorPanelsSide side, const float *source, int64_t depth, int64_t count,
                 int64_t stride_depth, int64_t stride_count)
{
    if (stride_depth != 1) {
        pack_rows(panels, side, depth, 0, source, depth, count, stride_depth, stride_count);
        return;
    }
    int64_t stride = panel_stride(side, depth);
    for (int64_t i = 0; i < count; i += side.width, panels += stride)
        transpose_panel(panels, side, source + i * stride_count, depth, min_i64(side.width, count - i),
                        stride_count);
}

/* ---- The product of two packed blocks ---- */

/* A matrix that is written to. */
typedef struct Target {
    float *data;
    int64_t rows, columns, row_stride, column_stride;
} Target;

/* One tile, out [rows, columns]. A tile that is not whole, or whose rows are not contiguous, passes through
 * a small one: so every element comes from the same instructions, wherever it lies. */
static void run_tile(const TensorPanelsKernel *kernel, int64_t depth, const float *narrow, const float *wide,
                     bool add, const Target *out, const float *next_narrow, const float *next_wide)
{
    int64_t rows = round_up(out->rows, kernel->narrow.unit),
            columns = round_up(out->columns, kernel->wide.unit);
    if (rows == out->rows && columns == out->columns && out->column_stride == 1) {
        kernel->run(depth, rows, columns, narrow, wide, add, out->data, out->row_stride, next_narrow,
                    next_wide);
        return;
    }
    float tile[PANELS_MAX_TILE] __attribute__((aligned(64)));
    int64_t stride = kernel->wide.width;
    if (add) {
        memset(tile, 0, (size_t)(kernel->narrow.width * stride) * sizeof *tile);
        for (int64_t i = 0; i < out->rows; i++)
            for (int64_t j = 0; j < out->columns; j++)
                tile[i * stride + j] = out->data[i * out->row_stride + j * out->column_stride];
    }
    kernel->run(depth, rows, columns, narrow, wide, add, tile, stride, next_narrow, next_wide);
    for (int64_t i = 0; i < out->rows; i++)
        for (int64_t j = 0; j < out->columns; j++)
            out->data[i * out->row_stride + j * out->column_stride] = tile[i * stride + j];
}

static Target target_part(const Target *t, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    return (Target){t->data + row * t->row_stride + column * t->column_stride, min_i64(rows, t->rows - row),
                    min_i64(columns, t->columns - column), t->row_stride, t->column_stride};
}

/* out = narrow wide, added to out where `add`. The wide panels pass by once, each against all narrow ones. */
static void run_block(const TensorPanelsKernel *kernel, int64_t depth, const float *narrow, const float *wide,
                      bool add, const Target *out)
{
    int64_t narrow_stride = panel_stride(kernel->narrow, depth),
            wide_stride = panel_stride(kernel->wide, depth);
    int64_t rows = kernel->narrow.width, columns = kernel->wide.width, done = 0;
    if (kernel->run_few && out->column_stride == 1)
        done = kernel->run_few(depth, out->rows, out->columns / columns, narrow, wide, wide_stride, add,
                               out->data, out->row_stride);
    wide += done * wide_stride;
    for (int64_t j = done * columns; j < out->columns; j += columns, wide += wide_stride) {
        const float *a = narrow;
        for (int64_t i = 0; i < out->rows; i += rows, a += narrow_stride) {
            bool last = i + rows >= out->rows;
            Target tile = target_part(out, i, rows, j, columns);
            run_tile(kernel, depth, a, wide, add, &tile, last ? narrow : a + narrow_stride,
                     last ? wide + wide_stride : wide);
        }
    }
}

/* Leaves beta * out, to which products are added (true), or leaves it to the first product to overwrite out
 * (false). Scaling apart keeps the kernels to adding, which rounds alike everywhere. */
static bool scale(const Target *out, float beta)
{
    if (beta == 0 || beta == 1)
        return beta == 1;
    for (int64_t i = 0; i < out->rows; i++)
        for (int64_t j = 0; j < out->columns; j++) {
            float *element = &out->data[i * out->row_stride + j * out->column_stride];
            *element *= beta;
        }
    return true;
}

static void set_zero(const Target *out)
{
    for (int64_t i = 0; i < out->rows; i++)
        for (int64_t j = 0; j < out->columns; j++)
            out->data[i * out->row_stride + j * out->column_stride] = 0;
}

static void multiply_plain(const Target *out, int64_t depth, const float *a, int64_t a_row, int64_t a_column,
                           const float *b, int64_t b_row, int64_t b_column, bool add)
{
    tensor_blis_multiply(TENSOR_F32, out->rows, out->columns, depth, 1, a, a_row, a_column, b, b_row,
                         b_column, add ? 1 : 0, out->data, out->row_stride, out->column_stride);
}

/* ---- The public functions ---- */

static bool is_matrix(const Tensor *t)
{
    return t->dtype == TENSOR_F32 && t->ndim == 2 && t->shape[0] >= 0 && t->shape[1] >= 0;
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

/* Without a kernel the "panels" are one panel, a plain copy. */
static TensorPanelsSide wide_side(const TensorPanelsKernel *kernel, int64_t n)
{
    return kernel ? kernel->wide : (TensorPanelsSide){n + (n == 0), n + (n == 0), 1};
}

static int64_t k_block(const TensorPanelsKernel *kernel, int64_t k)
{
    return kernel ? min_i64(kernel->k_block, k) : k;
}

/* How many floats b [depth, count] takes. */
static int64_t packed_size(const TensorPanelsKernel *kernel, int64_t depth, int64_t count)
{
    int64_t size = SLACK, step = k_block(kernel, depth);
    for (int64_t p = 0; p < depth; p += step)
        size += panels_size(wide_side(kernel, count), min_i64(step, depth - p), count);
    return size;
}

/* Packs b into the panels' memory, which is large enough. */
static void fill_panels(TensorPanels *panels, Tensor b, const TensorPanelsKernel *kernel)
{
    int64_t depth = b.shape[0], count = b.shape[1], step = k_block(kernel, depth);
    TensorPanelsSide side = wide_side(kernel, count);
    panels->k = depth;
    panels->n = count;
    panels->kernel = kernel;
    float *to = panels->data;
    for (int64_t p = 0; p < depth; p += step) {
        int64_t block = min_i64(step, depth - p);
        pack(to, side, tensor_f32(b) + p * b.strides[0], block, count, b.strides[0], b.strides[1]);
        to += panels_size(side, block, count);
    }
}

bool tensor_panels_pack(TensorPanels *panels, Tensor b)
{
    if (!is_matrix(&b))
        return false;
    const TensorPanelsKernel *kernel = tensor_panels_kernel();
    size_t size = (size_t)packed_size(kernel, b.shape[0], b.shape[1]);
    if (size > panels->capacity) {
        float *data = reel_mem_alloc(size * sizeof *data);
        if (!data)
            return false;
        reel_mem_free(panels->data);
        panels->data = data;
        panels->capacity = size;
    }
    fill_panels(panels, b, kernel);
    return true;
}

bool tensor_panels_pack_into(TensorPanels *panels, Tensor b, TensorArena *arena)
{
    if (!is_matrix(&b))
        return false;
    const TensorPanelsKernel *kernel = tensor_panels_kernel();
    size_t size = (size_t)packed_size(kernel, b.shape[0], b.shape[1]);
    panels->data = tensor_arena_alloc(arena, size * sizeof *panels->data);
    panels->capacity = 0;
    if (panels->data)
        fill_panels(panels, b, kernel);
    return panels->data;
}

void tensor_panels_free(TensorPanels *panels)
{
    reel_mem_free(panels->data);
    *panels = (TensorPanels){0};
}

/* Each panel is a small matrix of its own to bli_sgemm. */
static void matmul_fallback(TensorPanelsSide side, const Target *out, const float *a, int64_t a_row,
                            int64_t a_column, const float *wide, int64_t depth, bool add)
{
    for (int64_t j = 0; j < out->columns; j += side.width, wide += panel_stride(side, depth)) {
        Target part = target_part(out, 0, out->rows, j, side.width);
        multiply_plain(&part, depth, a, a_row, a_column, wide, side.packed, 1, add);
    }
}

/* The same of the numbers of `a` that are not 0, where they are few; false: they are not. */
static bool matmul_sparse(const Target *out, Tensor a, const TensorPanels *panels, bool add,
                          TensorArena *scratch)
{
    const TensorPanelsKernel *kernel = panels->kernel;
    TensorPanelsSide side = kernel->wide;
    TensorSparse sparse;
    if (out->column_stride != 1 || side.width > TENSOR_SPARSE_TILE ||
        !tensor_sparse_find(&sparse, &a, 1, false, scratch))
        return false;
    tensor_flops_add_product(TENSOR_PRODUCT_SPARSE, sparse.count, out->columns, 1);
    const float *wide = panels->data;
    for (int64_t p = 0; p < panels->k; p += kernel->k_block, add = true) {
        int64_t depth = min_i64(kernel->k_block, panels->k - p);
        TensorSparseRight right = {.data = wide - p * side.packed,
                                   .row = side.packed,
                                   .tile = panel_stride(side, depth),
                                   .width = side.width};
        tensor_sparse_multiply(&sparse, p + depth, right, add, out->data, out->row_stride, out->columns);
        wide += panels_size(side, depth, out->columns);
    }
    return true;
}

bool tensor_panels_matmul(Tensor out, Tensor a, const TensorPanels *panels, double beta, TensorArena *scratch)
{
    if (!panels->data || !is_target(&out) || !is_matrix(&a) || a.shape[0] != out.shape[0] ||
        a.shape[1] != panels->k || out.shape[1] != panels->n)
        return false;
    const TensorPanelsKernel *kernel = panels->kernel;
    bool fallback = use_fallback(kernel);
    Target c = target_of(out);
    int64_t k_step = k_block(kernel, panels->k), row_step = fallback ? c.rows : kernel->narrow_block;
    TensorArenaMark mark = tensor_arena_mark(scratch);
    float *narrow = NULL;
    if (!fallback) {
        int64_t size = panels_size(kernel->narrow, k_step, min_i64(row_step, c.rows)) + SLACK;
        narrow = tensor_arena_alloc(scratch, (size_t)size * sizeof *narrow);
        if (!narrow)
            return false;
    }
    bool add = scale(&c, (float)beta);
    if (!fallback && matmul_sparse(&c, a, panels, add, scratch)) {
        tensor_arena_rewind(scratch, mark);
        return true;
    }
    tensor_flops_add_product(TENSOR_PRODUCT_PANELS, c.rows, c.columns, panels->k);
    if (panels->k == 0 && !add)
        set_zero(&c);
    const float *wide = panels->data;
    TensorPanelsSide side = wide_side(kernel, c.columns);
    for (int64_t p = 0; p < panels->k; p += k_step, add = true) {
        int64_t depth = min_i64(k_step, panels->k - p);
        for (int64_t i = 0; i < c.rows; i += row_step) {
            Target block = target_part(&c, i, row_step, 0, c.columns);
            const float *from = tensor_f32(a) + i * a.strides[0] + p * a.strides[1];
            if (fallback) {
                matmul_fallback(side, &block, from, a.strides[0], a.strides[1], wide, depth, add);
                continue;
            }
            pack(narrow, kernel->narrow, from, depth, block.rows, a.strides[1], a.strides[0]);
            run_block(kernel, depth, narrow, wide, add, &block);
        }
        wide += panels_size(side, depth, c.columns);
    }
    tensor_arena_rewind(scratch, mark);
    return true;
}

/* A place among the rows of all pairs. */
typedef struct Cursor {
    const TensorPanelsPair *pairs;
    int64_t pair, row;
} Cursor;

/* Packs `depth` rows of dy (columns first .. first + columns) or of x, from the cursor's place on. */
static void gather(Cursor cursor, bool of_x, float *panels, TensorPanelsSide side, int64_t depth,
                   int64_t first, int64_t columns)
{
    for (int64_t done = 0; done < depth; cursor.pair++, cursor.row = 0) {
        const Tensor *t = of_x ? &cursor.pairs[cursor.pair].x : &cursor.pairs[cursor.pair].dy;
        int64_t rows = min_i64(t->shape[0] - cursor.row, depth - done);
        const float *from = (const float *)t->data + cursor.row * t->strides[0] + first * t->strides[1];
        if (rows == depth) { /* in the order in which it lies in memory */
            pack(panels, side, from, depth, columns, t->strides[0], t->strides[1]);
            return;
        }
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

static void accumulate_fallback(const Target *out, const TensorPanelsPair *pairs, int64_t count, bool add)
{
    for (int64_t i = 0; i < count; i++) {
        const Tensor *dy = &pairs[i].dy, *x = &pairs[i].x;
        if (x->shape[0] == 0)
            continue;
        multiply_plain(out, x->shape[0], dy->data, dy->strides[1], dy->strides[0], x->data, x->strides[0],
                       x->strides[1], add);
        add = true;
    }
}

static void accumulate_packed(const TensorPanelsKernel *kernel, const Target *out,
                              const TensorPanelsPair *pairs, int64_t total, bool add, float *narrow,
                              float *wide)
{
    Cursor cursor = {pairs, 0, 0};
    for (int64_t p = 0; p < total; p += kernel->k_block, add = true) {
        int64_t depth = min_i64(kernel->k_block, total - p);
        gather(cursor, true, wide, kernel->wide, depth, 0, out->columns);
        for (int64_t i = 0; i < out->rows; i += kernel->narrow_block) {
            Target block = target_part(out, i, kernel->narrow_block, 0, out->columns);
            gather(cursor, false, narrow, kernel->narrow, depth, i, block.rows);
            run_block(kernel, depth, narrow, wide, add, &block);
        }
        cursor = advance(cursor, depth);
    }
}

/* The same where few numbers of the dy are not 0; false: they are not few. */
static bool accumulate_sparse(const TensorPanelsKernel *kernel, const Target *out,
                              const TensorPanelsPair *pairs, int64_t count, int64_t total, bool add,
                              TensorArena *scratch)
{
    TensorSparse sparse;
    Tensor *dy = tensor_arena_alloc(scratch, (size_t)count * sizeof *dy);
    const float **rows = tensor_arena_alloc(scratch, (size_t)total * sizeof *rows), **row = rows;
    if (!dy || !rows || out->column_stride != 1)
        return false;
    for (int64_t i = 0; i < count; i++) {
        const Tensor *x = &pairs[i].x;
        if (x->strides[1] != 1 && x->shape[1] > 1)
            return false;
        dy[i] = pairs[i].dy;
    }
    if (!tensor_sparse_find(&sparse, dy, count, true, scratch))
        return false;
    for (int64_t i = 0; i < count; i++)
        for (int64_t r = 0; r < pairs[i].x.shape[0]; r++)
            *row++ = (const float *)pairs[i].x.data + r * pairs[i].x.strides[0];
    tensor_flops_add_product(TENSOR_PRODUCT_SPARSE, sparse.count, out->columns, 1);
    for (int64_t p = 0; p < total; p += kernel->k_block, add = true)
        tensor_sparse_multiply(
            &sparse, p + kernel->k_block,
            (TensorSparseRight){.each = rows, .tile = TENSOR_SPARSE_TILE, .width = TENSOR_SPARSE_TILE}, add,
            out->data, out->row_stride, out->columns);
    return true;
}

static bool pairs_fit(const Tensor *out, const TensorPanelsPair *pairs, int64_t count, int64_t *rows)
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

bool tensor_panels_accumulate(Tensor out, const TensorPanelsPair *pairs, int64_t count, double beta,
                              TensorArena *scratch)
{
    int64_t total;
    if (!is_target(&out) || count < 0 || !pairs_fit(&out, pairs, count, &total))
        return false;
    const TensorPanelsKernel *kernel = tensor_panels_kernel();
    Target c = target_of(out);
    if (c.rows == 0 || c.columns == 0)
        return true;
    TensorArenaMark mark = tensor_arena_mark(scratch);
    float *narrow = NULL, *wide = NULL;
    if (!use_fallback(kernel)) {
        int64_t depth = k_block(kernel, total), rows = min_i64(kernel->narrow_block, c.rows);
        narrow = tensor_arena_alloc(scratch, (size_t)(panels_size(kernel->narrow, depth, rows) + SLACK) *
                                                 sizeof *narrow);
        wide = tensor_arena_alloc(scratch, (size_t)(panels_size(kernel->wide, depth, c.columns) + SLACK) *
                                               sizeof *wide);
        if (!narrow || !wide) {
            tensor_arena_rewind(scratch, mark);
            return false;
        }
    }
    bool add = scale(&c, (float)beta);
    if (narrow && accumulate_sparse(kernel, &c, pairs, count, total, add, scratch)) {
        tensor_arena_rewind(scratch, mark);
        return true;
    }
    tensor_flops_add_product(TENSOR_PRODUCT_PAIRS, c.rows, c.columns, total);
    if (total == 0 && !add)
        set_zero(&c);
    if (narrow)
        accumulate_packed(kernel, &c, pairs, total, add, narrow, wide);
    else
        accumulate_fallback(&c, pairs, count, add);
    tensor_arena_rewind(scratch, mark);
    return true;
}

/* BLIS takes three microseconds before it multiplies: it looks up its tree of loops and packs both operands.
 * Below some hundreds of thousands of multiplications a plain loop is done by then. An element is made as in
 * BLIS's micro-kernels for x86-64, by one chain of fused multiply-adds in the order of k from 0, to which the
 * old element is added last: the same bits as long as k is within one of BLIS's blocks. */
#include "tensor/small_product_internal.h"
#include "tensor/blis_internal.h"
#include "tensor/levels.h"

#include <stdatomic.h>
#include <string.h>

enum {
    LANES = 16,
    ROWS = 4,
    FEW = 2,
    MOST_DEPTH = 128,                   /* less than the shortest block of BLIS */
    MOST_MULTIPLICATIONS = 64 * 64 * 64 /* measured: a few times more, and BLIS is as fast */
};

/* c[rows, columns <= LANES] of a tile. b is [k][LANES] at `b_row` floats. One array for each row, not one of
 * two axes: the compiler keeps these in registers. */
TENSOR_INLINE void multiply_tile(int rows, int64_t columns, int64_t k, TensorSmallMatrix a, const float *b,
                                 int64_t b_row, bool add, float *c, int64_t c_row, int64_t c_column, bool fma)
{
    float sum0[LANES] = {0}, sum1[LANES] = {0}, sum2[LANES] = {0}, sum3[LANES] = {0};
    for (int64_t p = 0; p < k; p++) {
        const float *x = a.data + p * a.column, *y = b + p * b_row;
        for (int j = 0; j < LANES; j++) {
            sum0[j] = tensor_fused(x[0], y[j], sum0[j], fma);
            if (rows == ROWS) {
                sum1[j] = tensor_fused(x[a.row], y[j], sum1[j], fma);
                sum2[j] = tensor_fused(x[2 * a.row], y[j], sum2[j], fma);
                sum3[j] = tensor_fused(x[3 * a.row], y[j], sum3[j], fma);
            }
        }
    }
    const float *const sums[ROWS] = {sum0, sum1, sum2, sum3};
    for (int i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            float *to = &c[i * c_row + j * c_column];
            *to = add ? sums[i][j] + *to : sums[i][j];
        }
}

/* A row times columns that lie one after another: the elements of so many columns are made side by side, each
 * by its own chain, which is faster than to bring them into order first. */
enum { CHAINS = 8 };

TENSOR_INLINE void put(float *to, float sum, bool add)
{
    *to = add ? sum + *to : sum;
}

TENSOR_INLINE void multiply_row(int64_t n, int64_t k, TensorSmallMatrix a, TensorSmallMatrix b, bool add,
                                float *c, int64_t c_column, bool fma)
{
    for (int64_t j = 0; j < n; j += CHAINS) {
        int64_t columns = n - j < CHAINS ? n - j : CHAINS;
        const float *y[CHAINS];
        for (int i = 0; i < CHAINS; i++) /* the last ones over again where there are fewer */
            y[i] = b.data + (j + (i < columns ? i : columns - 1)) * b.column;
        float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0, sum4 = 0, sum5 = 0, sum6 = 0, sum7 = 0;
        for (int64_t p = 0; p < k; p++) {
            float x = a.data[p * a.column];
            sum0 = tensor_fused(x, y[0][p], sum0, fma);
            sum1 = tensor_fused(x, y[1][p], sum1, fma);
            sum2 = tensor_fused(x, y[2][p], sum2, fma);
            sum3 = tensor_fused(x, y[3][p], sum3, fma);
            sum4 = tensor_fused(x, y[4][p], sum4, fma);
            sum5 = tensor_fused(x, y[5][p], sum5, fma);
            sum6 = tensor_fused(x, y[6][p], sum6, fma);
            sum7 = tensor_fused(x, y[7][p], sum7, fma);
        }
        float *to = c + j * c_column;
        switch (columns) { /* apart: stored side by side they would be made side by side, of single loads */
        default:
            put(to + 7 * c_column, sum7, add);
            __attribute__((fallthrough));
        case 7:
            put(to + 6 * c_column, sum6, add);
            __attribute__((fallthrough));
        case 6:
            put(to + 5 * c_column, sum5, add);
            __attribute__((fallthrough));
        case 5:
            put(to + 4 * c_column, sum4, add);
            __attribute__((fallthrough));
        case 4:
            put(to + 3 * c_column, sum3, add);
            __attribute__((fallthrough));
        case 3:
            put(to + 2 * c_column, sum2, add);
            __attribute__((fallthrough));
        case 2:
            put(to + c_column, sum1, add);
            __attribute__((fallthrough));
        case 1:
            put(to, sum0, add);
        }
    }
}

/* c[m, n] = a b, rows of both b and c without gaps: each row of c is made in its place. For few k, or one
 * row. */
TENSOR_INLINE void multiply_in_place(int64_t m, int64_t n, int64_t k, TensorSmallMatrix a,
                                     TensorSmallMatrix b, float *c, int64_t c_row, bool fma)
{
    for (int64_t i = 0; i < m; i++) {
        float *restrict to = c + i * c_row;
        float first = a.data[i * a.row];
        for (int64_t j = 0; j < n; j++)
            to[j] = tensor_fused(first, b.data[j], 0, fma);
        for (int64_t p = 1; p < k; p++) {
            float x = a.data[i * a.row + p * a.column];
            const float *y = b.data + p * b.row;
            for (int64_t j = 0; j < n; j++)
                to[j] = tensor_fused(x, y[j], to[j], fma);
        }
    }
}

TENSOR_INLINE void multiply_loop(int64_t m, int64_t n, int64_t k, TensorSmallMatrix a, TensorSmallMatrix b,
                                 bool add, float *c, int64_t c_row, int64_t c_column, bool fma)
{
    float packed[MOST_DEPTH * LANES];
    if (m == 1 && b.row == 1 && b.column != 1) {
        multiply_row(n, k, a, b, add, c, c_column, fma);
        return;
    }
    if ((m == 1 || k <= FEW) && b.column == 1 && c_column == 1 && !add && k > 0) {
        multiply_in_place(m, n, k, a, b, c, c_row, fma);
        return;
    }
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t columns = n - j < LANES ? n - j : LANES, b_row = b.row;
        const float *from = b.data + j * b.column;
        if (columns < LANES || b.column != 1) {
            for (int64_t p = 0; p < k; p++)
                for (int64_t i = 0; i < LANES; i++)
                    packed[p * LANES + i] = i < columns ? from[p * b.row + i * b.column] : 0;
            from = packed;
            b_row = LANES;
        }
        for (int64_t i = 0; i < m;) {
            TensorSmallMatrix rest = {a.data + i * a.row, a.row, a.column};
            float *to = c + i * c_row + j * c_column;
            bool whole = m - i >= ROWS;
            if (whole && columns == LANES && c_column == 1)
                multiply_tile(ROWS, LANES, k, rest, from, b_row, add, to, c_row, 1, fma);
            else if (whole)
                multiply_tile(ROWS, columns, k, rest, from, b_row, add, to, c_row, c_column, fma);
            else
                multiply_tile(1, columns, k, rest, from, b_row, add, to, c_row, c_column, fma);
            i += whole ? ROWS : 1;
        }
    }
}

TENSOR_LEVELS(multiply, multiply_loop,
              (int64_t m, int64_t n, int64_t k, TensorSmallMatrix a, TensorSmallMatrix b, bool add, float *c,
               int64_t c_row, int64_t c_column),
              m, n, k, a, b, add, c, c_row, c_column)

/* The lanes go along the longer side: c^T = b^T a^T has the same products in the same order. */
static void multiply_either_way(int64_t m, int64_t n, int64_t k, TensorSmallMatrix a, TensorSmallMatrix b,
                                bool add, float *c, int64_t c_row, int64_t c_column)
{
    if (n >= m)
        multiply(m, n, k, a, b, add, c, c_row, c_column);
    else
        multiply(n, m, k, (TensorSmallMatrix){b.data, b.column, b.row},
                 (TensorSmallMatrix){a.data, a.column, a.row}, add, c, c_column, c_row);
}

/* Tries a product of more rows and columns than a tile of BLIS has, so that whole tiles and edges are seen.
 */
static bool has_bits_of_blis(void)
{
    enum { SIDE = 50, DEPTH = 13 };
    float a[SIDE * DEPTH], b[DEPTH * SIDE], mine[SIDE * SIDE], others[SIDE * SIDE];
    for (int i = 0; i < SIDE * DEPTH; i++) {
        a[i] = (float)(i * 7919 % 1009) / 503 - 1;
        b[i] = (float)(i * 6607 % 1013) / 509 - 1;
    }
    bool same = true;
    for (int add = 0; add < 2; add++) {
        for (int i = 0; i < SIDE * SIDE; i++)
            mine[i] = others[i] = (float)i / 3;
        multiply_either_way(SIDE, SIDE, DEPTH, (TensorSmallMatrix){a, DEPTH, 1},
                            (TensorSmallMatrix){b, SIDE, 1}, add, mine, SIDE, 1);
        tensor_blis_multiply(TENSOR_F32, SIDE, SIDE, DEPTH, 1, a, DEPTH, 1, b, SIDE, 1, add, others, SIDE, 1);
        same &= memcmp(mine, others, sizeof mine) == 0;
    }
    return same;
}

static bool has_fma(void)
{
#if defined __x86_64__
    return tensor_vmath_level() != TENSOR_VMATH_PORTABLE;
#else
    return TENSOR_HAS_FMA;
#endif
}

/* Two threads may both try; they find the same. */
static bool is_to_be_used(void)
{
    static _Atomic(int) answer; /* 0: not known yet */
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == 0) {
        known = has_bits_of_blis() ? 1 : -1;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known > 0;
}

bool tensor_small_product(int64_t m, int64_t n, int64_t k, TensorSmallMatrix a, TensorSmallMatrix b, bool add,
                          float *c, int64_t c_row, int64_t c_column)
{
    if (k > MOST_DEPTH || m > MOST_MULTIPLICATIONS || n > MOST_MULTIPLICATIONS / m ||
        k > MOST_MULTIPLICATIONS / (m * n) || !has_fma() || !is_to_be_used())
        return false;
    multiply_either_way(m, n, k, a, b, add, c, c_row, c_column);
    return true;
}

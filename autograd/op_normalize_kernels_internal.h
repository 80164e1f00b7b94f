/* The kernels of op_normalize.c: see tensor/each_real.h. */
#include "autograd/row_kernels_internal.h"

TENSOR_INLINE void FN(softmax_rows_loop)(Tensor y, Rows rows, bool fma)
{
    (void)fma;
    int64_t block = row_block(rows.size);
    for (int64_t first = 0; first < rows.count; first += block) {
        int64_t end = first + block < rows.count ? first + block : rows.count;
        REAL *begin = (REAL *)y.data + first * rows.size, *stop = (REAL *)y.data + end * rows.size;
        for (REAL *row = begin; row < stop; row += rows.size)
            FN(row_less_max)(row, rows.size);
        FN(row_exp)(begin, begin, stop - begin);
        for (REAL *row = begin; row < stop; row += rows.size) {
            REAL factor = (REAL)(1 / FN(row_sum)(row, rows.size));
            for (int64_t i = 0; i < rows.size; i++)
                row[i] *= factor;
        }
    }
}
AT_LEVELS(FN(softmax_rows), FN(softmax_rows_loop), (Tensor y, Rows rows), y, rows)

TENSOR_INLINE void FN(softmax_gradient_loop)(Tensor da, Tensor y, Tensor g, Rows rows, bool fma)
{
    (void)fma;
    for (int64_t r = 0; r < rows.count; r++) {
        const REAL *py = (REAL *)y.data + r * rows.size, *pg = (REAL *)g.data + r * rows.size;
        REAL *pda = (REAL *)da.data + r * rows.size;
        REAL dot = (REAL)FN(row_dot)(pg, py, rows.size);
        for (int64_t i = 0; i < rows.size; i++)
            pda[i] = py[i] * (pg[i] - dot);
    }
}
AT_LEVELS(FN(softmax_gradient), FN(softmax_gradient_loop), (Tensor da, Tensor y, Tensor g, Rows rows), da, y,
          g, rows)

/* e: room for a block of rows. */
TENSOR_INLINE void FN(log_softmax_rows_loop)(Tensor y, Tensor e, Rows rows, bool fma)
{
    (void)fma;
    int64_t block = row_block(rows.size);
    for (int64_t first = 0; first < rows.count; first += block) {
        int64_t end = first + block < rows.count ? first + block : rows.count;
        REAL *begin = (REAL *)y.data + first * rows.size, *stop = (REAL *)y.data + end * rows.size;
        const REAL *pe = e.data;
        for (REAL *row = begin; row < stop; row += rows.size)
            FN(row_less_max)(row, rows.size);
        FN(row_exp)((REAL *)e.data, begin, stop - begin);
        for (REAL *row = begin; row < stop; row += rows.size, pe += rows.size) {
            REAL shift = (REAL)log(FN(row_sum)(pe, rows.size));
            for (int64_t i = 0; i < rows.size; i++)
                row[i] -= shift;
        }
    }
}
AT_LEVELS(FN(log_softmax_rows), FN(log_softmax_rows_loop), (Tensor y, Tensor e, Rows rows), y, e, rows)

/* da: e^y before, the gradient after. */
TENSOR_INLINE void FN(log_softmax_gradient_loop)(Tensor da, Tensor g, Rows rows, bool fma)
{
    (void)fma;
    for (int64_t r = 0; r < rows.count; r++) {
        const REAL *pg = (REAL *)g.data + r * rows.size;
        REAL *pda = (REAL *)da.data + r * rows.size;
        REAL sum = (REAL)FN(row_sum)(pg, rows.size);
        for (int64_t i = 0; i < rows.size; i++)
            pda[i] = pg[i] - pda[i] * sum;
    }
}
AT_LEVELS(FN(log_softmax_gradient), FN(log_softmax_gradient_loop), (Tensor da, Tensor g, Rows rows), da, g,
          rows)

/* out: n w + b; the data of what is not given is NULL. */
TENSOR_INLINE void FN(layer_norm_rows_loop)(Tensor out, Tensor a, Tensor w, Tensor b, RowMoments *moments,
                                            double eps, Rows rows, bool fma)
{
    (void)fma;
    const REAL *pw = w.data, *pb = b.data;
    for (int64_t r = 0; r < rows.count; r++) {
        const REAL *pa = (REAL *)a.data + r * rows.size;
        REAL *restrict po = (REAL *)out.data + r * rows.size;
        double mean = FN(row_sum)(pa, rows.size) / (double)rows.size;
        double variance = FN(row_squares)(pa, mean, rows.size) / (double)rows.size;
        double factor = 1 / sqrt(variance + eps);
        moments[r] = (RowMoments){mean, factor};
        for (int64_t i = 0; i < rows.size; i++) {
            REAL n = (REAL)(((double)pa[i] - mean) * factor), scaled = pw ? n * pw[i] : n;
            po[i] = pb ? scaled + pb[i] : scaled;
        }
    }
}
AT_LEVELS(FN(layer_norm_rows), FN(layer_norm_rows_loop),
          (Tensor out, Tensor a, Tensor w, Tensor b, RowMoments *moments, double eps, Rows rows), out, a, w,
          b, moments, eps, rows)

/* With h = g w (g where w is NULL): sum_k h_k and sum_k h_k n_k in one pass, each in the order of row_fold().
 */
TENSOR_INLINE void FN(row_sum_and_dot)(const REAL *g, const REAL *w, const REAL *n, int64_t size, double *sum,
                                       double *dot)
{
    double sums[8] = {0}, dots[8] = {0};
    int64_t k = 0;
    for (; k + 8 <= size; k += 8) {
        REAL h[8];
        for (int j = 0; j < 8; j++)
            h[j] = w ? g[k + j] * w[k + j] : g[k + j];
        for (int j = 0; j < 8; j++)
            sums[j] += (double)h[j];
        for (int j = 0; j < 8; j++)
            dots[j] += (double)h[j] * (double)n[k + j];
    }
    for (int j = 0; k + j < size; j++) {
        REAL h = w ? g[k + j] * w[k + j] : g[k + j];
        sums[j] += (double)h;
        dots[j] += (double)h * (double)n[k + j];
    }
    *sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    *dot = ((dots[0] + dots[1]) + (dots[2] + dots[3])) + ((dots[4] + dots[5]) + (dots[6] + dots[7]));
}

/* da: the gradient, n before; dw: what w's is the sum of. */
TENSOR_INLINE void FN(layer_norm_gradient_loop)(Tensor da, Tensor dw, Tensor g, Tensor a, Tensor w,
                                                const RowMoments *moments, Rows rows, bool fma)
{
    (void)fma;
    const REAL *pw = w.data;
    for (int64_t r = 0; r < rows.count; r++) {
        const REAL *pa = (REAL *)a.data + r * rows.size, *pg = (REAL *)g.data + r * rows.size;
        REAL *restrict pda = (REAL *)da.data + r * rows.size;
        REAL *restrict pdw = pw ? (REAL *)dw.data + r * rows.size : NULL;
        double mean = moments[r].mean, factor = moments[r].r;
        for (int64_t i = 0; i < rows.size; i++) {
            pda[i] = (REAL)(((double)pa[i] - mean) * factor);
            if (pw)
                pdw[i] = pg[i] * pda[i];
        }
        double mean_h, mean_hn;
        FN(row_sum_and_dot)(pg, pw, pda, rows.size, &mean_h, &mean_hn);
        mean_h /= (double)rows.size;
        mean_hn /= (double)rows.size;
        for (int64_t i = 0; i < rows.size; i++) {
            REAL h = pw ? pg[i] * pw[i] : pg[i];
            pda[i] = (REAL)(factor * ((double)h - mean_h - (double)pda[i] * mean_hn));
        }
    }
}
AT_LEVELS(FN(layer_norm_gradient), FN(layer_norm_gradient_loop),
          (Tensor da, Tensor dw, Tensor g, Tensor a, Tensor w, const RowMoments *moments, Rows rows), da, dw,
          g, a, w, moments, rows)

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

/* da: the gradient; dw: what w's is the sum of. Before that n and h = g w stand there. */
TENSOR_INLINE void FN(layer_norm_gradient_loop)(Tensor da, Tensor dw, Tensor g, Tensor a, Tensor w,
                                                const RowMoments *moments, Rows rows, bool fma)
{
    (void)fma;
    const REAL *pw = w.data;
    for (int64_t r = 0; r < rows.count; r++) {
        const REAL *pa = (REAL *)a.data + r * rows.size, *pg = (REAL *)g.data + r * rows.size, *ph = pg;
        REAL *restrict pda = (REAL *)da.data + r * rows.size;
        REAL *restrict pdw = pw ? (REAL *)dw.data + r * rows.size : NULL;
        double mean = moments[r].mean, factor = moments[r].r;
        for (int64_t i = 0; i < rows.size; i++)
            pda[i] = (REAL)(((double)pa[i] - mean) * factor);
        for (int64_t i = 0; pw && i < rows.size; i++)
            pdw[i] = pg[i] * pw[i];
        if (pw)
            ph = pdw;
        double mean_h = FN(row_sum)(ph, rows.size) / (double)rows.size;
        double mean_hn = FN(row_dot)(ph, pda, rows.size) / (double)rows.size;
        if (!pw) {
            for (int64_t i = 0; i < rows.size; i++)
                pda[i] = (REAL)(factor * ((double)pg[i] - mean_h - (double)pda[i] * mean_hn));
            continue;
        }
        for (int64_t i = 0; i < rows.size; i++) {
            REAL n = pda[i];
            pda[i] = (REAL)(factor * ((double)pdw[i] - mean_h - (double)n * mean_hn));
            pdw[i] = pg[i] * n;
        }
    }
}
AT_LEVELS(FN(layer_norm_gradient), FN(layer_norm_gradient_loop),
          (Tensor da, Tensor dw, Tensor g, Tensor a, Tensor w, const RowMoments *moments, Rows rows), da, dw,
          g, a, w, moments, rows)

/* The kernels of op_loss.c: see tensor/each_real.h. Tensors without gaps; of weights (w, q) that are not
 * given the data is NULL. */
#include "autograd/row_kernels_internal.h"

static double FN(sum_of)(Tensor losses)
{
    return FN(row_sum)(losses.data, tensor_numel(&losses));
}

/* ln p and ln(1 - p), at least LOG_FLOOR. */
static void FN(bounded_logs)(REAL *log_p, REAL *log_rest, const REAL *p, int64_t n)
{
    const REAL least = (REAL)LOG_FLOOR;
    for (int64_t i = 0; i < n; i++)
        log_rest[i] = -p[i];
    tensor_map(TENSOR_UNARY_LOG, REAL_DTYPE, log_p, p, n);
    tensor_map(TENSOR_UNARY_LOG1P, REAL_DTYPE, log_rest, log_rest, n);
    for (int64_t i = 0; i < n; i++) {
        log_p[i] = log_p[i] > least ? log_p[i] : least;
        log_rest[i] = log_rest[i] > least ? log_rest[i] : least;
    }
}

/* False where a probability lies outside of [0, 1]. */
static bool FN(bce_losses)(Tensor losses, Tensor p, Tensor t, Tensor w)
{
    const REAL *pp = p.data, *pt = t.data, *pw = w.data;
    REAL *loss = losses.data, log_p[BLOCK], log_rest[BLOCK];
    int outside = 0;
    for (int64_t at = 0, n = tensor_numel(&p); at < n; at += BLOCK) {
        int64_t count = n - at < BLOCK ? n - at : BLOCK;
        FN(bounded_logs)(log_p, log_rest, pp + at, count);
        for (int64_t i = 0; i < count; i++) {
            double x = (double)pp[at + i], y = (double)pt[at + i];
            double value = -y * (double)log_p[i] - (1 - y) * (double)log_rest[i];
            outside |= (x < 0) | (x > 1);
            loss[at + i] = (REAL)(x != x ? x : value);
        }
        for (int64_t i = at; pw && i < at + count; i++)
            loss[i] *= pw[i];
    }
    return !outside;
}

static void FN(bce_gradient)(Tensor dp, Tensor g, Tensor p, Tensor t, Tensor w)
{
    const REAL *pp = p.data, *pt = t.data, *pw = w.data, *pg = g.data;
    REAL *pdp = dp.data;
    for (int64_t i = 0, n = tensor_numel(&p); i < n; i++) {
        double x = (double)pp[i], y = (double)pt[i], h = (double)pg[i] * (pw ? (double)pw[i] : 1);
        double product = x * (1 - x);
        pdp[i] = (REAL)(h * (x - y) / (product < 1e-12 ? 1e-12 : product));
    }
}

static void FN(bce_target_gradient)(Tensor dt, Tensor g, Tensor p, Tensor w)
{
    const REAL *pp = p.data, *pw = w.data, *pg = g.data;
    REAL *pdt = dt.data, log_p[BLOCK], log_rest[BLOCK];
    for (int64_t at = 0, n = tensor_numel(&p); at < n; at += BLOCK) {
        int64_t count = n - at < BLOCK ? n - at : BLOCK;
        FN(bounded_logs)(log_p, log_rest, pp + at, count);
        for (int64_t i = 0; i < count; i++)
            pdt[at + i] = pg[at + i] * (pw ? pw[at + i] : 1) * (log_rest[i] - log_p[i]);
    }
}

/* losses: softplus(-|x|) before. */
TENSOR_INLINE void FN(logits_losses_loop)(Tensor losses, Tensor x, Tensor t, Tensor w, Tensor q, bool fma)
{
    (void)fma;
    const REAL *px = x.data, *pt = t.data, *pw = w.data, *pq = q.data;
    REAL *loss = losses.data;
    for (int64_t i = 0, n = tensor_numel(&x); i < n; i++) {
        REAL of_softplus = pq ? 1 + (pq[i] - 1) * pt[i] : 1;
        REAL of_x = px[i] >= 0 ? 1 - pt[i] : pq ? -pq[i] * pt[i] : -pt[i];
        REAL value = (of_x != 0 ? of_x * px[i] : 0) + of_softplus * loss[i]; /* x may be infinite */
        loss[i] = pw ? pw[i] * value : value;
    }
}
AT_LEVELS(FN(logits_losses), FN(logits_losses_loop), (Tensor losses, Tensor x, Tensor t, Tensor w, Tensor q),
          losses, x, t, w, q)

/* dx: sigmoid(-|x|) before. */
TENSOR_INLINE void FN(logits_gradient_loop)(Tensor dx, Tensor g, Tensor x, Tensor t, Tensor w, Tensor q,
                                            bool fma)
{
    (void)fma;
    const REAL *px = x.data, *pt = t.data, *pw = w.data, *pq = q.data, *pg = g.data;
    REAL *pdx = dx.data;
    for (int64_t i = 0, n = tensor_numel(&x); i < n; i++) {
        REAL small = pdx[i], large = 1 - small, positive = px[i] >= 0 ? large : small;
        REAL negative = px[i] >= 0 ? small : large;
        REAL value = (1 - pt[i]) * positive - (pq ? pq[i] * pt[i] : pt[i]) * negative;
        pdx[i] = pg[i] * (pw ? pw[i] * value : value);
    }
}
AT_LEVELS(FN(logits_gradient), FN(logits_gradient_loop),
          (Tensor dx, Tensor g, Tensor x, Tensor t, Tensor w, Tensor q), dx, g, x, t, w, q)

/* dt: softplus(-|x|) before. */
TENSOR_INLINE void FN(logits_target_gradient_loop)(Tensor dt, Tensor g, Tensor x, Tensor w, Tensor q,
                                                   bool fma)
{
    (void)fma;
    const REAL *px = x.data, *pw = w.data, *pq = q.data, *pg = g.data;
    REAL *pdt = dt.data;
    for (int64_t i = 0, n = tensor_numel(&x); i < n; i++) {
        REAL softplus = px[i] >= 0 ? pdt[i] : pdt[i] - px[i];
        REAL value = -px[i] + (pq ? (pq[i] - 1) * softplus : 0);
        pdt[i] = pg[i] * (pw ? pw[i] * value : value);
    }
}
AT_LEVELS(FN(logits_target_gradient), FN(logits_target_gradient_loop),
          (Tensor dt, Tensor g, Tensor x, Tensor w, Tensor q), dt, g, x, w, q)

/* e: room for a row. */
TENSOR_INLINE void FN(class_losses_loop)(Tensor losses, ClassRow *row, Tensor e, Tensor x, Tensor classes,
                                         bool fma)
{
    (void)fma;
    int64_t size = x.shape[1];
    REAL *pe = e.data;
    for (int64_t n = 0; n < x.shape[0]; n++) {
        const REAL *px = (REAL *)x.data + n * size;
        REAL most = FN(row_max)(px, size);
        for (int64_t j = 0; j < size; j++)
            pe[j] = px[j] - most;
        double of_class = (double)pe[tensor_i32(classes)[n * classes.strides[0]]];
        FN(row_exp)(pe, pe, size);
        double sum = FN(row_sum)(pe, size);
        row[n] = (ClassRow){(double)most, 1 / sum};
        ((REAL *)losses.data)[n] = (REAL)(log(sum) - of_class);
    }
}
AT_LEVELS(FN(class_losses), FN(class_losses_loop),
          (Tensor losses, ClassRow *row, Tensor e, Tensor x, Tensor classes), losses, row, e, x, classes)

TENSOR_INLINE void FN(class_gradient_loop)(Tensor dx, Tensor g, const ClassRow *row, Tensor x, Tensor classes,
                                           bool fma)
{
    (void)fma;
    int64_t size = x.shape[1];
    for (int64_t n = 0; n < x.shape[0]; n++) {
        const REAL *px = (REAL *)x.data + n * size, most = (REAL)row[n].most, factor = (REAL)row[n].factor;
        REAL *pdx = (REAL *)dx.data + n * size, h = ((REAL *)g.data)[n];
        int32_t class = tensor_i32(classes)[n * classes.strides[0]];
        for (int64_t j = 0; j < size; j++)
            pdx[j] = px[j] - most;
        FN(row_exp)(pdx, pdx, size);
        for (int64_t j = 0; j < size; j++)
            pdx[j] *= factor;
        /* 1 less the probability of the class, which may have rounded to 1 */
        double others = FN(row_sum)(pdx, class) + FN(row_sum)(pdx + class + 1, size - class - 1);
        for (int64_t j = 0; j < size; j++)
            pdx[j] *= h;
        pdx[class] = (REAL)(-(double)h * others);
    }
}
AT_LEVELS(FN(class_gradient), FN(class_gradient_loop),
          (Tensor dx, Tensor g, const ClassRow *row, Tensor x, Tensor classes), dx, g, row, x, classes)

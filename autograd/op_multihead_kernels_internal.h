/* The loops of op_multihead.c: see tensor/each_real.h. */

/* Columns first to first + out.shape[1] - 1 of the rows t[rows[i]], times a factor: out is without gaps. */
static void FN(gather_head)(Tensor out, Tensor t, const int32_t *rows, int64_t first, double factor)
{
    int64_t width = out.shape[1];
    REAL *to = out.data, by = (REAL)factor;
    for (int64_t i = 0; i < out.shape[0]; i++, to += width) {
        const REAL *from = (const REAL *)op_row(t, rows[i]) + first;
        for (int64_t j = 0; j < width; j++)
            to[j] = from[j] * by;
    }
}

/* The other way: added to what stands there. */
static void FN(scatter_head)(Tensor t, const int32_t *rows, int64_t first, Tensor from, double factor)
{
    int64_t width = from.shape[1];
    const REAL *at = from.data;
    REAL by = (REAL)factor;
    for (int64_t i = 0; i < from.shape[0]; i++, at += width) {
        REAL *to = (REAL *)op_row(t, rows[i]) + first;
        for (int64_t j = 0; j < width; j++)
            to[j] += at[j] * by;
    }
}

/* Scores of some queries, a row each. Row i sees its first `seen` + i columns where `grows`, else all. */
typedef struct FN(Scores) {
    REAL *x;
    int64_t rows, columns, seen;
    bool grows;
    REAL *stats; /* of row i, [i * stats_step]: the largest score; and behind it, 1 / the sum of the exps */
    int64_t stats_step;
} FN(Scores);

TENSOR_INLINE int64_t FN(seen_by)(const FN(Scores) * s, int64_t i)
{
    int64_t seen = s->grows ? s->seen + i : s->columns;
    return seen < 0 ? 0 : seen < s->columns ? seen : s->columns;
}

TENSOR_INLINE REAL FN(largest_of)(const REAL *x, int64_t n)
{
    REAL lane[16];
    int64_t j = 0;
    for (int k = 0; k < 16; k++)
        lane[k] = x[0];
    for (; j + 16 <= n; j += 16)
        for (int k = 0; k < 16; k++)
            lane[k] = x[j + k] > lane[k] ? x[j + k] : lane[k];
    for (; j < n; j++)
        lane[0] = x[j] > lane[0] ? x[j] : lane[0];
    for (int k = 1; k < 16; k++)
        lane[0] = lane[k] > lane[0] ? lane[k] : lane[0];
    return lane[0];
}

/* In sixteen lanes of double, so that it can be vectorised in one order. */
TENSOR_INLINE double FN(sum_of)(const REAL *x, int64_t n)
{
    double lane[16] = {0};
    int64_t j = 0;
    for (; j + 16 <= n; j += 16)
        for (int k = 0; k < 16; k++)
            lane[k] += (double)x[j + k];
    for (; j < n; j++)
        lane[j & 15] += (double)x[j];
    for (int k = 8; k > 0; k /= 2)
        for (int i = 0; i < k; i++)
            lane[i] += lane[i + k];
    return lane[0];
}

/* From scores to what exp() is taken of: less the largest one; what is not seen becomes -infinity. `known`:
 * the largest ones are in the stats. */
TENSOR_INLINE void FN(shift_loop)(FN(Scores) s, bool known, bool fma)
{
    (void)fma;
    for (int64_t i = 0; i < s.rows; i++) {
        REAL *x = s.x + i * s.columns, *stats = s.stats + i * s.stats_step;
        int64_t seen = FN(seen_by)(&s, i);
        if (!known)
            stats[0] = seen > 0 ? FN(largest_of)(x, seen) : 0;
        REAL most = stats[0];
        for (int64_t j = 0; j < seen; j++)
            x[j] -= most;
        for (int64_t j = seen; j < s.columns; j++)
            x[j] = -(REAL)INFINITY;
    }
}

/* Each row times 1 / its sum; a row that sees nothing stays 0. */
TENSOR_INLINE void FN(divide_loop)(FN(Scores) s, bool known, bool fma)
{
    (void)fma;
    for (int64_t i = 0; i < s.rows; i++) {
        REAL *x = s.x + i * s.columns, *stats = s.stats + i * s.stats_step;
        if (!known)
            stats[1] = FN(seen_by)(&s, i) > 0 ? (REAL)(1 / FN(sum_of)(x, s.columns)) : 0;
        REAL factor = stats[1];
        for (int64_t j = 0; j < s.columns; j++)
            x[j] *= factor;
    }
}

/* From the gradients of weights to those of scores: dx = x (dx - the row's sum of x dx). */
TENSOR_INLINE void FN(score_gradient_loop)(FN(Scores) s, REAL *gradient, bool fma)
{
    (void)fma;
    for (int64_t i = 0; i < s.rows; i++) {
        const REAL *x = s.x + i * s.columns;
        REAL *dx = gradient + i * s.columns;
        double lane[16] = {0};
        int64_t j = 0;
        for (; j + 16 <= s.columns; j += 16)
            for (int k = 0; k < 16; k++)
                lane[k] += (double)x[j + k] * (double)dx[j + k];
        for (; j < s.columns; j++)
            lane[j & 15] += (double)x[j] * (double)dx[j];
        for (int k = 8; k > 0; k /= 2)
            for (int l = 0; l < k; l++)
                lane[l] += lane[l + k];
        REAL sum = (REAL)lane[0];
        for (j = 0; j < s.columns; j++)
            dx[j] = x[j] * (dx[j] - sum);
    }
}

/* x *= by, both without gaps and of one shape. */
static void FN(multiply_in)(Tensor x, Tensor by)
{
    for (int64_t i = 0, n = tensor_numel(&x); i < n; i++)
        ((REAL *)x.data)[i] *= ((const REAL *)by.data)[i];
}

/* The next 32-bit number for each element: 0 with probability p, else 1 / (1 - p). */
static void FN(draw_keep)(Tensor keep, double p, TensorRandom *random)
{
    const uint32_t threshold = op_drop_threshold(p);
    const REAL factor = (REAL)(1 / (1 - p));
    uint32_t numbers[1024];
    REAL *out = keep.data;
    for (int64_t n = tensor_numel(&keep), count; n > 0; n -= count, out += count) {
        count = n < 1024 ? n : 1024;
        tensor_random_fill_u32(random, numbers, count);
        for (int64_t i = 0; i < count; i++)
            out[i] = numbers[i] < threshold ? 0 : factor;
    }
}

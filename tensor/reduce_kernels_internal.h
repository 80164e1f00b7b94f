/* The kernels of reduce.c: see tensor/each_real.h. */

TENSOR_INLINE void FN(run_of)(Fold *fold, double *restrict sum, int64_t position, const REAL *restrict x,
                              int64_t stride, int64_t n)
{
    int64_t i = 0;
    for (; i < n && (position + i) % LANES; i++)
        sum[(position + i) % LANES] = fold(sum[(position + i) % LANES], x[i * stride]);
    if (stride == 1)
        for (; i + LANES <= n; i += LANES)
            for (int64_t l = 0; l < LANES; l++)
                sum[l] = fold(sum[l], x[i + l]);
    for (int64_t l = 0; i < n; i++, l = (l + 1) % LANES)
        sum[l] = fold(sum[l], x[i * stride]);
}

TENSOR_INLINE void FN(columns_of)(Fold *fold, double (*restrict sums)[TILE], int64_t position,
                                  const REAL *restrict x, int64_t stride, int64_t n, int64_t apart,
                                  int64_t columns)
{
    for (int64_t i = 0; i < n; i++, x += stride) {
        double *restrict sum = sums[(position + i) % LANES];
        if (apart == 1) {
            LOOP_INDEPENDENT
            for (int64_t c = 0; c < columns; c++)
                sum[c] = fold(sum[c], x[c]);
        } else {
            for (int64_t c = 0; c < columns; c++)
                sum[c] = fold(sum[c], x[c * apart]);
        }
    }
}

/* The results of `rows` sequences of n elements side by side; from one to the next it is `apart`. What is
 * missing of a last group of LANES is `nothing`, which leaves partial sums as they are. */
TENSOR_INLINE void FN(rows_of)(Fold *fold, Join *join, double start, REAL nothing, double *restrict results,
                               const REAL *restrict x, int64_t apart, int64_t n, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++, x += apart) {
        double sum[LANES];
        REAL rest[LANES];
        int64_t i = 0;
        for (int l = 0; l < LANES; l++)
            sum[l] = start;
        for (; i + LANES <= n; i += LANES)
            for (int l = 0; l < LANES; l++)
                sum[l] = fold(sum[l], x[i + l]);
        if (i < n) {
            for (int l = 0; l < LANES; l++)
                rest[l] = i + l < n ? x[i + l] : nothing;
            for (int l = 0; l < LANES; l++)
                sum[l] = fold(sum[l], rest[l]);
        }
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                sum[l] = join(sum[l], sum[l + half]);
        results[r] = sum[0];
    }
}

/* The results of n sequences with their partial sums, which are lost. */
TENSOR_INLINE void FN(joined)(Join *join, double *restrict results, double (*restrict sums)[TILE], int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        double joined[LANES];
        for (int l = 0; l < LANES; l++)
            joined[l] = sums[l][c];
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                joined[l] = join(joined[l], joined[l + half]);
        results[c] = joined[0];
    }
}

/* Each is compiled for the processor, in the same order and without fused operations: all have the same bits.
 */
#define FOLDING(name, fold, join, start, nothing)                                                            \
    TENSOR_INLINE void FN(name##_run_loop)(double *lanes, int64_t position, const void *in, int64_t stride,  \
                                           int64_t n, bool fma)                                              \
    {                                                                                                        \
        (void)fma;                                                                                           \
        FN(run_of)(fold, lanes, position, in, stride, n);                                                    \
    }                                                                                                        \
    TENSOR_INLINE void FN(name##_columns_loop)(double(*sums)[TILE], int64_t position, const void *in,        \
                                               int64_t stride, int64_t n, int64_t apart, int64_t columns,    \
                                               bool fma)                                                     \
    {                                                                                                        \
        (void)fma;                                                                                           \
        FN(columns_of)(fold, sums, position, in, stride, n, apart, columns);                                 \
    }                                                                                                        \
    TENSOR_INLINE void FN(name##_rows_loop)(double *results, const void *in, int64_t apart, int64_t n,       \
                                            int64_t rows, bool fma)                                          \
    {                                                                                                        \
        (void)fma;                                                                                           \
        FN(rows_of)(fold, join, start, nothing, results, in, apart, n, rows);                                \
    }                                                                                                        \
    TENSOR_INLINE void FN(name##_join_loop)(double *results, double(*sums)[TILE], int64_t n, bool fma)       \
    {                                                                                                        \
        (void)fma;                                                                                           \
        FN(joined)(join, results, sums, n);                                                                  \
    }                                                                                                        \
    AT_LEVELS(FN(name##_run), FN(name##_run_loop),                                                           \
              (double *lanes, int64_t position, const void *in, int64_t stride, int64_t n), lanes, position, \
              in, stride, n)                                                                                 \
    AT_LEVELS(FN(name##_columns), FN(name##_columns_loop),                                                   \
              (double(*sums)[TILE], int64_t position, const void *in, int64_t stride, int64_t n,             \
               int64_t apart, int64_t columns),                                                              \
              sums, position, in, stride, n, apart, columns)                                                 \
    AT_LEVELS(FN(name##_rows), FN(name##_rows_loop),                                                         \
              (double *results, const void *in, int64_t apart, int64_t n, int64_t rows), results, in, apart, \
              n, rows)                                                                                       \
    AT_LEVELS(FN(name##_join), FN(name##_join_loop), (double *results, double(*sums)[TILE], int64_t n),      \
              results, sums, n)                                                                              \
    static const Folding FN(name) = {FN(name##_run), FN(name##_columns), FN(name##_rows), FN(name##_join),   \
                                     start};
FOLDING(sum, add, add, 0, (REAL)-0.0)
FOLDING(squares, add_square, add, 0, 0)
FOLDING(most, larger, larger, -INFINITY, (REAL)-INFINITY)
#undef FOLDING

/* The place of the largest; that of the first NaN, if there is one. */
static int32_t FN(argmax)(const void *in, int64_t offset, int64_t stride, int64_t n)
{
    const REAL *x = (const REAL *)in + offset;
    int64_t best = 0;
    for (int64_t i = 1; i < n && x[best * stride] == x[best * stride]; i++)
        if (!(x[i * stride] <= x[best * stride]))
            best = i;
    return (int32_t)best;
}

static bool FN(finite)(const void *in, int64_t stride, int64_t n)
{
    const REAL *x = in;
    bool found = false;
    for (int64_t i = 0; i < n; i++)
        found |= x[i * stride] - x[i * stride] != 0; /* NaN */
    return !found;
}

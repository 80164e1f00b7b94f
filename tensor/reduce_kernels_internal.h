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

TENSOR_INLINE void FN(columns_of)(Fold *fold, double *restrict sum, const REAL *restrict x, int64_t stride,
                                  int64_t n)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            sum[i] = fold(sum[i], x[i]);
    else
        for (int64_t i = 0; i < n; i++)
            sum[i] = fold(sum[i], x[i * stride]);
}

/* Each is compiled for the processor, in the same order and without fused operations: all have the same bits.
 */
#define FOLDING(name, fold, join, start)                                                                     \
    TENSOR_INLINE void FN(name##_run_loop)(double *lanes, int64_t position, const void *in, int64_t stride,  \
                                           int64_t n, bool fma)                                              \
    {                                                                                                        \
        (void)fma;                                                                                           \
        FN(run_of)(fold, lanes, position, in, stride, n);                                                    \
    }                                                                                                        \
    TENSOR_INLINE void FN(name##_columns_loop)(double *sums, const void *in, int64_t stride, int64_t n,      \
                                               bool fma)                                                     \
    {                                                                                                        \
        (void)fma;                                                                                           \
        FN(columns_of)(fold, sums, in, stride, n);                                                           \
    }                                                                                                        \
    AT_LEVELS(FN(name##_run), FN(name##_run_loop),                                                           \
              (double *lanes, int64_t position, const void *in, int64_t stride, int64_t n), lanes, position, \
              in, stride, n)                                                                                 \
    AT_LEVELS(FN(name##_columns), FN(name##_columns_loop),                                                   \
              (double *sums, const void *in, int64_t stride, int64_t n), sums, in, stride, n)                \
    static const Folding FN(name) = {FN(name##_run), FN(name##_columns), join, start};
FOLDING(sum, add, add, 0)
FOLDING(squares, add_square, add, 0)
FOLDING(most, larger, larger, -INFINITY)
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

/* Loops over a row of contiguous elements, for ops that reduce rows (softmax, losses, normalisation):
 * included by their kernels (tensor/each_real.h). Sums are kept in eight lanes of double: compilers vectorise
 * those, where they may not reorder a plain sum; the order depends on n alone. */

/* The sum over k < n of f(x_k, y_k, mean). What is missing of a last group of eight is -0, which changes no
 * sum. */
TENSOR_INLINE double FN(row_fold)(double (*f)(double x, double y, double mean), const REAL *x, const REAL *y,
                                  double mean, int64_t n)
{
    double lane[8] = {0}, rest[8];
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += f((double)x[k + j], (double)y[k + j], mean);
    if (k < n) {
        for (int j = 0; j < 8; j++)
            rest[j] = k + j < n ? f((double)x[k + j], (double)y[k + j], mean) : -0.0;
        for (int j = 0; j < 8; j++)
            lane[j] += rest[j];
    }
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

TENSOR_INLINE double FN(row_sum)(const REAL *x, int64_t n)
{
    return FN(row_fold)(row_first, x, x, 0, n);
}

TENSOR_INLINE double FN(row_dot)(const REAL *x, const REAL *y, int64_t n)
{
    return FN(row_fold)(row_product, x, y, 0, n);
}

/* sum_k (x_k - mean)^2 */
TENSOR_INLINE double FN(row_squares)(const REAL *x, double mean, int64_t n)
{
    return FN(row_fold)(row_square, x, x, mean, n);
}

/* The largest of n > 0 elements; with a NaN among them, any of them. */
TENSOR_INLINE REAL FN(row_max)(const REAL *x, int64_t n)
{
    REAL lane[8];
    int64_t i = 0;
    for (int j = 0; j < 8; j++)
        lane[j] = x[0];
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (; i < n; i++)
        lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    for (int j = 1; j < 8; j++)
        lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
    return lane[0];
}

/* Subtracts the largest element from all, so that their exp does not overflow. */
TENSOR_INLINE void FN(row_less_max)(REAL *x, int64_t n)
{
    REAL most = FN(row_max)(x, n);
    for (int64_t i = 0; i < n; i++)
        x[i] -= most;
}

static inline void FN(row_exp)(REAL *out, const REAL *x, int64_t n)
{
    tensor_map(TENSOR_UNARY_EXP, REAL_DTYPE, out, x, n);
}

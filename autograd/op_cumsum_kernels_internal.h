/* The kernel of op_cumsum.c: see tensor/each_real.h. */

/* Each row's sums from its beginning, in place. */
static void FN(cumsum_rows)(Tensor y, int64_t size)
{
    REAL *row = y.data;
    for (int64_t r = size ? tensor_numel(&y) / size : 0; r > 0; r--, row += size) {
        double sum = 0;
        for (int64_t i = 0; i < size; i++)
            row[i] = (REAL)(sum += (double)row[i]);
    }
}

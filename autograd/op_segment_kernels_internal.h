/* The kernels of op_segment.c: see tensor/each_real.h. Tensors without gaps. */

static void FN(segment_largest)(Tensor largest, Tensor a, Tensor segment)
{
    const REAL *x = a.data;
    for (int64_t i = 0; i < a.shape[0]; i++) {
        REAL *most = (REAL *)largest.data + tensor_i32(segment)[i];
        if (!(x[i] <= *most))
            *most = x[i];
    }
}

/* winner[s][j]: the row that the maximum comes from, -1 for none. A place is written whether it changes or
 * not, so that compilers can do several at once. */
TENSOR_INLINE void FN(take_max_of_row)(REAL *restrict out, int32_t *restrict winner, const REAL *restrict a,
                                       int32_t row, int64_t width)
{
    for (int64_t j = 0; j < width; j++) {
        bool nan_first = (a[j] != a[j]) & (out[j] == out[j]);
        bool takes = (winner[j] < 0) | (a[j] > out[j]) | nan_first;
        out[j] = takes ? a[j] : out[j];
        winner[j] = takes ? row : winner[j];
    }
}

TENSOR_INLINE void FN(take_max_loop)(Tensor result, int32_t *winner, Tensor a, Tensor segment, int64_t width,
                                     bool fma)
{
    (void)fma;
    for (int64_t i = 0; i < a.shape[0]; i++) {
        int64_t at = tensor_i32(segment)[i] * width;
        FN(take_max_of_row)
        ((REAL *)result.data + at, winner + at, (const REAL *)a.data + i * width, (int32_t)i, width);
    }
}

static void FN(give_back)(Tensor dx, const int32_t *winner, Tensor g, int64_t width)
{
    for (int64_t i = 0, size = tensor_numel(&g); i < size; i++)
        ((REAL *)dx.data)[winner[i] * width + i % width] += ((const REAL *)g.data)[i];
}

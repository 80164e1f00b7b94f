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

/* winner[s][j]: the row that the maximum comes from, -1 for none. */
static void FN(take_max)(Tensor result, int32_t *winner, Tensor a, Tensor segment, int64_t width)
{
    REAL *out = result.data;
    for (int64_t i = 0; i < a.shape[0]; i++)
        for (int64_t j = 0; j < width; j++) {
            int64_t at = tensor_i32(segment)[i] * width + j;
            REAL value = ((const REAL *)a.data)[i * width + j];
            bool nan_first = value != value && out[at] == out[at];
            if (winner[at] < 0 || value > out[at] || nan_first) {
                out[at] = value;
                winner[at] = (int32_t)i;
            }
        }
}

static void FN(give_back)(Tensor dx, const int32_t *winner, Tensor g, int64_t width)
{
    for (int64_t i = 0, size = tensor_numel(&g); i < size; i++)
        ((REAL *)dx.data)[winner[i] * width + i % width] += ((const REAL *)g.data)[i];
}

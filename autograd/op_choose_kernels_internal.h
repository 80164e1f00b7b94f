/* The kernel of op_choose.c: see tensor/each_real.h. */

/* The next 32-bit number for each element: below the threshold 0, else the factor. */
static void FN(draw_keep)(Tensor keep, uint32_t threshold, double factor, TensorRandom *random)
{
    uint32_t numbers[1024];
    REAL *out = keep.data;
    for (int64_t n = tensor_numel(&keep), count; n > 0; n -= count, out += count) {
        count = n < 1024 ? n : 1024;
        tensor_random_fill_u32(random, numbers, count);
        for (int64_t i = 0; i < count; i++)
            out[i] = numbers[i] < threshold ? 0 : (REAL)factor;
    }
}

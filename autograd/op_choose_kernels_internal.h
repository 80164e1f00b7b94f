/* The kernel of op_choose.c: see tensor/each_real.h. */

/* The next 32-bit number for each element: 0 with probability p, else 1 / (1 - p). */
static void FN(draw_keep)(Tensor keep, double p, TensorRandom *random)
{
    const uint32_t threshold = (uint32_t)(p * 4294967296.0);
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

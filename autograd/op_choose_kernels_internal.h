/* The kernels of op_choose.c: see tensor/each_real.h. */

/* out = a, 0 where the number is below the threshold and else times the factor; kept: 0 and 1. */
TENSOR_INLINE void FN(drop_some_loop)(REAL *out, uint8_t *kept, const REAL *a, const uint32_t *numbers,
                                      int64_t n, uint32_t threshold, REAL factor, bool fma)
{
    (void)fma;
    for (int64_t i = 0; i < n; i++) {
        bool keeps = numbers[i] >= threshold;
        out[i] = a[i] * (keeps ? factor : 0);
        kept[i] = keeps;
    }
}
AT_LEVELS(FN(drop_some), FN(drop_some_loop),
          (REAL * out, uint8_t *kept, const REAL *a, const uint32_t *numbers, int64_t n, uint32_t threshold,
           REAL factor),
          out, kept, a, numbers, n, threshold, factor)

/* The next 32-bit number for each element, of which those below p are dropped. Without gaps. */
static void FN(drop)(Tensor out, uint8_t *kept, Tensor a, double p, TensorRandom *random)
{
    uint32_t numbers[1024];
    for (int64_t at = 0, n = tensor_numel(&a), count; at < n; at += count) {
        count = n - at < 1024 ? n - at : 1024;
        tensor_random_fill_u32(random, numbers, count);
        FN(drop_some)
        ((REAL *)out.data + at, kept + at, (const REAL *)a.data + at, numbers, count, op_drop_threshold(p),
         (REAL)(1 / (1 - p)));
    }
}

TENSOR_INLINE void FN(times_kept_loop)(Tensor out, Tensor g, const uint8_t *kept, double p, bool fma)
{
    (void)fma;
    const REAL factor = (REAL)(1 / (1 - p)), *from = g.data;
    REAL *to = out.data;
    for (int64_t i = 0, n = tensor_numel(&out); i < n; i++)
        to[i] = from[i] * (kept[i] ? factor : 0);
}
AT_LEVELS(FN(times_kept), FN(times_kept_loop), (Tensor out, Tensor g, const uint8_t *kept, double p), out, g,
          kept, p)

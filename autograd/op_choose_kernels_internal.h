/* The kernel of op_choose.c: see tensor/each_real.h. */

/* A 32-bit number for each element from `at` on: below the threshold 0, else the factor. */
static void FN(draw_keep)(Tensor keep, uint64_t threshold, double factor, const TensorRandom *random)
{
    uint32_t words[4];
    uint64_t at = random->counter;
    REAL *out = keep.data;
    for (int64_t i = 0, n = tensor_numel(&keep); i < n; i++, at++) {
        if (i == 0 || at % 4 == 0)
            tensor_random_block(random->seed, random->stream, at / 4, words);
        out[i] = words[at % 4] < threshold ? 0 : (REAL)factor;
    }
}

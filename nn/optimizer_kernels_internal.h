/* The kernel of optimizer.c: see tensor/each_real.h. */

/* buffers[0] = the sum of the pieces' gradients, scaled. */
static void FN(gradient)(const NnOptimizer *o, const Addend *addends, int64_t addend_count, int64_t at,
                         int64_t count, SumBuffer *buffers)
{
    const REAL *sum = FN(nn_sum_addends)(addends, (int)addend_count, 0, o->pieces, at, count, buffers);
    REAL *g = (REAL *)(void *)buffers;
    if (sum != g)
        memcpy(g, sum, (size_t)count * sizeof *g);
    for (int64_t j = 0; o->scale != 1 && j < count; j++)
        g[j] *= (REAL)o->scale;
}

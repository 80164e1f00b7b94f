/* The kernel of optimizer.c: see tensor/each_real.h. */

/* The sum of the pieces' gradients, scaled: in buffers[0] or, where it may be left as it is, the only addend.
 */
static REAL *FN(gradient)(const OptimizerState *state, const Addend *addends, int64_t addend_count,
                          int64_t at, int64_t count, SumBuffer *buffers)
{
    const NnOptimizer *o = state->optimizer;
    const REAL *sum = FN(nn_sum_addends)(addends, (int)addend_count, 0, o->pieces, at, count, buffers);
    REAL *g = (REAL *)(void *)buffers;
    if (sum != g && o->scale == 1 && o->rule->only_reads &&
        o->rule->idle_rows(&state->group->options) != ROWS_MOVE)
        return (REAL *)(uintptr_t)sum;
    if (sum != g)
        memcpy(g, sum, (size_t)count * sizeof *g);
    for (int64_t j = 0; o->scale != 1 && j < count; j++)
        g[j] *= (REAL)o->scale;
    return g;
}

/* The kernel of sgd.c: see tensor/each_real.h. */

static void FN(update)(const OptimizerState *state, int64_t at, REAL *restrict w, REAL *restrict g, int64_t n)
{
    const NnOptimizerOptions *options = &state->group->options;
    REAL decay = (REAL)options->weight_decay, momentum = (REAL)options->momentum;
    REAL lr = (REAL)state->group->lr, *m = state->m.data ? (REAL *)state->m.data + at : NULL;
    for (int64_t j = 0; decay != 0 && j < n; j++)
        g[j] += decay * w[j];
    for (int64_t j = 0; m && j < n; j++)
        g[j] = m[j] = momentum * m[j] + g[j];
    for (int64_t j = 0; j < n; j++)
        w[j] -= lr * g[j];
}

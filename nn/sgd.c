/* Stochastic gradient descent: m = momentum m + g; w = w - lr m. Weight decay is added to the gradient. */
#include "nn/optimizer_internal.h"

static int moments(const NnOptimizerOptions *options)
{
    return options->momentum != 0;
}

static IdleRows idle_rows(const NnOptimizerOptions *options)
{
    return options->momentum == 0 && options->weight_decay == 0 ? ROWS_STAND : ROWS_MOVE;
}

static void begin(OptimizerState *state)
{
    (void)state;
}

#define DEFINE_UPDATE(T, NAME)                                                                               \
    static void NAME(const OptimizerState *state, int64_t at, T *w, T *g, int64_t n)                         \
    {                                                                                                        \
        const NnOptimizerOptions *options = &state->optimizer->options;                                      \
        T decay = (T)options->weight_decay, momentum = (T)options->momentum, lr = (T)state->optimizer->lr;   \
        T *m = state->m.data ? (T *)state->m.data + at : NULL;                                               \
        for (int64_t j = 0; decay != 0 && j < n; j++)                                                        \
            g[j] += decay * w[j];                                                                            \
        for (int64_t j = 0; m && j < n; j++)                                                                 \
            g[j] = m[j] = momentum * m[j] + g[j];                                                            \
        for (int64_t j = 0; j < n; j++)                                                                      \
            w[j] -= lr * g[j];                                                                               \
    }
DEFINE_UPDATE(float, update_f32)
DEFINE_UPDATE(double, update_f64)

const UpdateRule nn_sgd_rule = {.moments = moments,
                                .idle_rows = idle_rows,
                                .begin = begin,
                                .update_f32 = update_f32,
                                .update_f64 = update_f64};

/* Adagrad (Duchi et al. 2011, "Adaptive Subgradient Methods"), for update t of a parameter:
 *
 *     v = v + g^2;  w = w - lr / (1 + lr_decay (t - 1)) g / (sqrt(v) + eps)
 *
 * v begins with initial_accumulator. Weight decay is added to the gradient. */
#include "nn/optimizer_internal.h"
#include "tensor/levels.h"

#include <math.h>

static int moments(const NnOptimizerOptions *options)
{
    (void)options;
    return MOMENT_V;
}

static double first_v(const NnOptimizerOptions *options)
{
    return options->initial_accumulator;
}

static IdleRows idle_rows(const NnOptimizerOptions *options)
{
    return options->weight_decay == 0 ? ROWS_STAND : ROWS_MOVE;
}

static double step_size(const OptimizerState *state)
{
    return state->group->lr / (1 + (state->steps - 1) * state->group->options.lr_decay);
}

static void begin(OptimizerState *state)
{
    state->now =
        (AdamStep){.step_size = (float)step_size(state), .eps = (float)state->group->options.eps, .keep = 1};
}

TENSOR_INLINE void update_loop(float *restrict w, float *restrict v, const float *restrict g, float size,
                               float eps, size_t n, bool fma)
{
    for (size_t j = 0; j < n; j++) {
        float second = tensor_fused(g[j], g[j], v[j], fma);
        w[j] -= size * g[j] / (__builtin_sqrtf(second) + eps);
        v[j] = second;
    }
}
TENSOR_LEVELS(update, update_loop, (float *w, float *v, const float *g, float size, float eps, size_t n), w,
              v, g, size, eps, n)

static void update_f32(const OptimizerState *state, int64_t at, float *w, float *g, int64_t n)
{
    float decay = (float)state->group->options.weight_decay;
    for (int64_t j = 0; decay != 0 && j < n; j++)
        g[j] += decay * w[j];
    update(w, tensor_f32(state->v) + at, g, state->now.step_size, state->now.eps, (size_t)n);
}

static void update_f64(const OptimizerState *state, int64_t at, double *w, double *g, int64_t n)
{
    const NnOptimizerOptions *options = &state->group->options;
    double size = step_size(state), *v = tensor_f64(state->v) + at;
    for (int64_t j = 0; j < n; j++) {
        double grad = g[j] + options->weight_decay * w[j];
        v[j] += grad * grad;
        w[j] -= size * grad / (sqrt(v[j]) + options->eps);
    }
}

const UpdateRule nn_adagrad_rule = {.moments = moments,
                                    .first_v = first_v,
                                    .idle_rows = idle_rows,
                                    .only_reads = true,
                                    .begin = begin,
                                    .update_f32 = update_f32,
                                    .update_f64 = update_f64};

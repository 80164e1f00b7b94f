/* RMSprop (Tieleman & Hinton 2012, lecture 6.5 of Neural Networks for Machine Learning), with PyTorch's
 * epsilon outside of the root and its momentum:
 *
 *     v = alpha v + (1 - alpha) g^2;  d = g / (sqrt(v) + eps)
 *     w = w - lr d,  or with momentum m = momentum m + d;  w = w - lr m
 *
 * Decay is added to the gradient. Without gradient v alone changes, and no weight. */
#include "nn/optimizer_internal.h"
#include "tensor/levels.h"

#include <math.h>

static int moments(const NnOptimizerOptions *options)
{
    return MOMENT_V | (options->momentum != 0 ? MOMENT_M : 0);
}

static IdleRows idle_rows(const NnOptimizerOptions *options)
{
    return options->momentum == 0 && options->weight_decay == 0 ? ROWS_ARE_LATE : ROWS_MOVE;
}

static void begin(OptimizerState *state)
{
    state->now =
        (AdamStep){.step_size = (float)state->group->lr, .eps = (float)state->group->options.eps, .keep = 1};
    if (is_late(state))
        nn_adam_schedule(state, state->steps, state->now);
}

/* g becomes g / (sqrt(v) + eps). */
TENSOR_INLINE void direction_loop(float *restrict g, float *restrict v, float alpha, float rest, float eps,
                                  size_t n, bool fma)
{
    for (size_t j = 0; j < n; j++) {
        float grad = g[j], second = tensor_fused(alpha, v[j], rest * grad * grad, fma);
        g[j] = grad / (__builtin_sqrtf(second) + eps);
        v[j] = second;
    }
}
TENSOR_LEVELS(direction, direction_loop, (float *g, float *v, float alpha, float rest, float eps, size_t n),
              g, v, alpha, rest, eps, n)

static void update_f32(const OptimizerState *state, int64_t at, float *w, float *g, int64_t n)
{
    const NnOptimizerOptions *options = &state->group->options;
    float decay = (float)options->weight_decay, momentum = (float)options->momentum;
    float *m = tensor_is_valid(state->m) ? tensor_f32(state->m) + at : NULL;
    for (int64_t j = 0; decay != 0 && j < n; j++)
        g[j] += decay * w[j];
    direction(g, tensor_f32(state->v) + at, (float)options->alpha, (float)(1 - options->alpha),
              state->now.eps, (size_t)n);
    for (int64_t j = 0; m && j < n; j++)
        g[j] = m[j] = momentum * m[j] + g[j];
    for (int64_t j = 0; j < n; j++)
        w[j] -= state->now.step_size * g[j];
}

static void update_f64(const OptimizerState *state, int64_t at, double *w, double *g, int64_t n)
{
    const NnOptimizerOptions *options = &state->group->options;
    double *v = tensor_f64(state->v) + at, *m = tensor_is_valid(state->m) ? tensor_f64(state->m) + at : NULL;
    for (int64_t j = 0; j < n; j++) {
        double grad = g[j] + options->weight_decay * w[j];
        v[j] = options->alpha * v[j] + (1 - options->alpha) * grad * grad;
        double change = grad / (sqrt(v[j]) + options->eps);
        if (m)
            change = m[j] = options->momentum * m[j] + change;
        w[j] -= state->group->lr * change;
    }
}

static void idle(const OptimizerState *state, float *w, const float *m, const float *v, int32_t from,
                 int32_t to)
{
    (void)state, (void)w, (void)m, (void)v, (void)from, (void)to;
}

static void decay(const OptimizerState *state, float *m, float *v, int32_t from, int32_t to)
{
    (void)m;
    float factor = (float)pow(state->group->options.alpha, to - from);
    for (int64_t j = 0; j < state->width; j++)
        v[j] *= factor;
}

const UpdateRule nn_rmsprop_rule = {.moments = moments,
                                    .idle_rows = idle_rows,
                                    .begin = begin,
                                    .update_f32 = update_f32,
                                    .update_f64 = update_f64,
                                    .idle = idle,
                                    .decay = decay};

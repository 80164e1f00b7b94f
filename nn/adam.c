/* Adam (Kingma & Ba 2015, arXiv 1412.6980, in the order of the end of its section 2) and AdamW (Loshchilov &
 * Hutter 2019, arXiv 1711.05101), for update t of a parameter:
 *
 *     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *     w = keep w - step_size m / (sqrt(v) + eps sqrt(1 - beta2^t))
 *     step_size = lr sqrt(1 - beta2^t) / (1 - beta1^t);  keep = 1 - lr decay (AdamW)
 *
 * Adam's own decay is added to the gradient. */
#include "nn/optimizer_internal.h"
#include "tensor/levels.h"

#include <math.h>
#include <string.h>

static int moments(const NnOptimizerOptions *options)
{
    (void)options;
    return MOMENT_M | MOMENT_V;
}

static IdleRows rows_without_gradient(const NnOptimizerOptions *options)
{
    return options->kind == NN_ADAMW || options->weight_decay == 0 ? ROWS_ARE_LATE : ROWS_MOVE;
}

/* ---- Settings ---- */

AdamStep nn_adam_step(const NnOptimizerOptions *options, double lr, int32_t step)
{
    double bias1 = 1 - pow(options->beta1, step), root2 = sqrt(1 - pow(options->beta2, step));
    return (AdamStep){.step_size = (float)(lr * root2 / bias1),
                      .eps = (float)(options->eps * root2),
                      .keep = options->kind == NN_ADAMW ? (float)(1 - lr * options->weight_decay) : 1.0f};
}

/* Without gradient an update is at most step_size_k / step_size_{k-1} beta1 / sqrt(beta2) times the one
 * before. Where that is not below 1, idle rows may still move later. */
void nn_adam_schedule(OptimizerState *state, int32_t step, AdamStep settings)
{
    const NnOptimizerOptions *options = &state->group->options;
    AdamStep *now = &state->schedule[step - 1];
    *now = settings;
    if (step > 1 && now->step_size * options->beta1 > now[-1].step_size * sqrt(options->beta2))
        state->rise = step - 1;
}

static void begin(OptimizerState *state)
{
    state->now = nn_adam_step(&state->group->options, state->group->lr, state->steps);
    if (is_late(state))
        nn_adam_schedule(state, state->steps, state->now);
}

/* At the same learning rate; once the power of beta1 / sqrt(beta2) is below 1e-9, no weight of f32 moves. */
int32_t nn_adam_memory(const NnOptimizerOptions *options)
{
    double ratio = options->beta1 / sqrt(options->beta2);
    if (options->beta1 == 0)
        return 1;
    double steps = ratio < 1 ? ceil(log(1e-9) / log(ratio)) : INT32_MAX;
    return steps < INT32_MAX ? (int32_t)steps : INT32_MAX;
}

/* ---- Loops ---- */

/* beta and 1 - beta: the latter from double, since 1 - 0.999f is off by 2e-5 of itself. */
typedef struct Betas {
    float beta1, rest1, beta2, rest2;
} Betas;

static Betas betas_of(const NnOptimizerOptions *options)
{
    return (Betas){.beta1 = (float)options->beta1,
                   .rest1 = (float)(1.0 - options->beta1),
                   .beta2 = (float)options->beta2,
                   .rest2 = (float)(1.0 - options->beta2)};
}

TENSOR_INLINE void update_loop(float *restrict w, float *restrict m, float *restrict v,
                               const float *restrict g, Betas betas, AdamStep step, size_t n, bool fma)
{
    for (size_t j = 0; j < n; j++) {
        float grad = g[j];
        float first = tensor_fused(betas.beta1, m[j], betas.rest1 * grad, fma);
        float second = tensor_fused(betas.beta2, v[j], betas.rest2 * grad * grad, fma);
        w[j] = w[j] * step.keep - step.step_size * first / (__builtin_sqrtf(second) + step.eps);
        m[j] = first;
        v[j] = second;
    }
}

/* Blocks of elements are moved by all updates, large ones and for the rest small ones. Whether anything still
 * moves is looked at every so many updates. */
enum { IDLE_BLOCK = 64, IDLE_REST = 32, IDLE_LOOK = 8 };

typedef struct IdleBlock {
    float w[IDLE_BLOCK], m[IDLE_BLOCK], v[IDLE_BLOCK];
} IdleBlock;

/* One update of `size` elements, into `to`; whether it changed a bit of w. */
TENSOR_INLINE bool idle_update(IdleBlock *to, const float *w, const float *m, const float *v, int size,
                               Betas betas, AdamStep step)
{
    uint32_t changed = 0;
    for (int j = 0; j < size; j++) {
        float first = m[j] * betas.beta1, second = v[j] * betas.beta2;
        float moved = w[j] * step.keep - step.step_size * first / (__builtin_sqrtf(second) + step.eps);
        uint32_t before, after;
        memcpy(&before, &w[j], sizeof before);
        memcpy(&after, &moved, sizeof after);
        changed |= before ^ after;
        to->w[j] = moved;
        to->m[j] = first;
        to->v[j] = second;
    }
    return changed;
}

/* All updates of `size` elements: the first from where they are, the others in a copy. */
TENSOR_INLINE void idle_block(float *w, const float *m, const float *v, int size, Betas betas,
                              const AdamStep *steps, int32_t count, int32_t may_stop)
{
    IdleBlock block;
    bool moves = idle_update(&block, w, m, v, size, betas, steps[0]);
    for (int32_t k = 1; k < count && (moves || k <= may_stop); k++) {
        bool moved = idle_update(&block, block.w, block.m, block.v, size, betas, steps[k]);
        moves = moved || k % IDLE_LOOK != 0;
    }
    memcpy(w, block.w, sizeof *w * (size_t)size);
}

/* w after `count` updates with zero gradient, from the m and v before them. From update number may_stop on,
 * they only shrink: where one changes nothing, later ones do not either. */
TENSOR_INLINE void idle_loop(float *w, const float *m, const float *v, Betas betas, const AdamStep *steps,
                             int32_t count, int32_t may_stop, int64_t n, bool fma)
{
    (void)fma;
    int64_t at = 0;
    for (; at + IDLE_BLOCK <= n; at += IDLE_BLOCK)
        idle_block(w + at, m + at, v + at, IDLE_BLOCK, betas, steps, count, may_stop);
    for (; at + IDLE_REST <= n; at += IDLE_REST)
        idle_block(w + at, m + at, v + at, IDLE_REST, betas, steps, count, may_stop);
    if (at == n)
        return;
    IdleBlock rest = {0};
    memcpy(rest.w, w + at, sizeof *w * (size_t)(n - at));
    memcpy(rest.m, m + at, sizeof *m * (size_t)(n - at));
    memcpy(rest.v, v + at, sizeof *v * (size_t)(n - at));
    for (int64_t j = n - at; j < IDLE_REST; j++)
        rest.v[j] = 1;
    idle_block(rest.w, rest.m, rest.v, IDLE_REST, betas, steps, count, may_stop);
    memcpy(w + at, rest.w, sizeof *w * (size_t)(n - at));
}

TENSOR_LEVELS(update, update_loop,
              (float *w, float *m, float *v, const float *g, Betas betas, AdamStep step, size_t n), w, m, v,
              g, betas, step, n)
TENSOR_LEVELS(idle_rows, idle_loop,
              (float *w, const float *m, const float *v, Betas betas, const AdamStep *steps, int32_t count,
               int32_t may_stop, int64_t n),
              w, m, v, betas, steps, count, may_stop, n)

void nn_adam_update(float *w, float *m, float *v, const float *g, const NnOptimizerOptions *options,
                    AdamStep step, size_t n)
{
    update(w, m, v, g, betas_of(options), step, n);
}

/* ---- The rule ---- */

static void update_f32(const OptimizerState *state, int64_t at, float *w, float *g, int64_t n)
{
    const NnOptimizerOptions *options = &state->group->options;
    float decay = options->kind == NN_ADAM ? (float)options->weight_decay : 0;
    for (int64_t j = 0; decay != 0 && j < n; j++)
        g[j] += decay * w[j];
    nn_adam_update(w, tensor_f32(state->m) + at, tensor_f32(state->v) + at, g, options, state->now,
                   (size_t)n);
}

/* The settings are taken from the options again, since the others are f32. */
static void update_f64(const OptimizerState *state, int64_t at, double *w, double *g, int64_t n)
{
    const NnOptimizerOptions *options = &state->group->options;
    double lr = state->group->lr, *m = tensor_f64(state->m) + at, *v = tensor_f64(state->v) + at;
    double bias1 = 1 - pow(options->beta1, state->steps), bias2 = 1 - pow(options->beta2, state->steps);
    double keep = options->kind == NN_ADAMW ? 1 - lr * options->weight_decay : 1;
    double decay = options->kind == NN_ADAM ? options->weight_decay : 0;
    for (int64_t j = 0; j < n; j++) {
        double grad = g[j] + decay * w[j];
        m[j] = options->beta1 * m[j] + (1 - options->beta1) * grad;
        v[j] = options->beta2 * v[j] + (1 - options->beta2) * grad * grad;
        w[j] = keep * w[j] - lr / bias1 * m[j] / (sqrt(v[j]) / sqrt(bias2) + options->eps);
    }
}

static void idle(const OptimizerState *state, float *w, const float *m, const float *v, int32_t from,
                 int32_t to)
{
    const NnOptimizerOptions *options = &state->group->options;
    int32_t memory = state->group->memory, moving = to - from < memory ? to - from : memory;
    int32_t may_stop = state->rise > from ? state->rise - from : 0;
    if (options->weight_decay != 0) /* a decay that rounds to nothing now need not do so later */
        may_stop = moving;
    idle_rows(w, m, v, betas_of(options), state->schedule + from, moving, may_stop, state->width);
    if (options->weight_decay == 0 || from + moving == to)
        return;
    double keep = 1;
    for (int32_t k = from + moving; k < to; k++)
        keep *= state->schedule[k].keep;
    for (int64_t j = 0; j < state->width; j++)
        w[j] = (float)(w[j] * keep);
}

static void decay(const OptimizerState *state, float *m, float *v, int32_t from, int32_t to)
{
    const NnOptimizerOptions *options = &state->group->options;
    float decay_m = (float)pow(options->beta1, to - from), decay_v = (float)pow(options->beta2, to - from);
    for (int64_t j = 0; j < state->width; j++) {
        m[j] *= decay_m;
        v[j] *= decay_v;
    }
}

const UpdateRule nn_adam_rule = {.moments = moments,
                                 .idle_rows = rows_without_gradient,
                                 .only_reads = true,
                                 .begin = begin,
                                 .update_f32 = update_f32,
                                 .update_f64 = update_f64,
                                 .idle = idle,
                                 .decay = decay};

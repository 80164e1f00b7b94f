/* Stochastic gradient descent: m = momentum m + g; w = w - lr m. Weight decay is added to the gradient. */
#include "nn/optimizer_internal.h"

static int moments(const NnOptimizerOptions *options)
{
    return options->momentum != 0 ? MOMENT_M : 0;
}

static IdleRows idle_rows(const NnOptimizerOptions *options)
{
    return options->momentum == 0 && options->weight_decay == 0 ? ROWS_STAND : ROWS_MOVE;
}

static void begin(OptimizerState *state)
{
    (void)state;
}

#define KERNELS "nn/sgd_kernels_internal.h"
#include "tensor/each_real.h"

const UpdateRule nn_sgd_rule = {.moments = moments,
                                .idle_rows = idle_rows,
                                .only_reads = true,
                                .begin = begin,
                                .update_f32 = update_f32,
                                .update_f64 = update_f64};

/* Updates that a file describes, made by Reel: tests/optimizer_trials.py draws them, and makes them with
 * PyTorch. */
#ifndef REEL_TESTS_OPTIMIZER_SUPPORT_H
#define REEL_TESTS_OPTIMIZER_SUPPORT_H

#include "nn/nn.h"

enum { TRIAL_PARAMETERS = 3 };
extern const char *const trial_parameters[TRIAL_PARAMETERS];

/* Trial number `trial` of a file: each parameter after each update, [T, ...], in `arena`. f32 updates the
 * embedding's rows late where that is possible. */
ReelStatus optimizer_trial(const TensorNpz *npz, int trial, bool f64, TensorArena *arena,
                           Tensor results[TRIAL_PARAMETERS]);

#endif

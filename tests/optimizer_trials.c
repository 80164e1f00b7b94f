/* optimizer_trials IN OUT COUNT: makes the updates of trials 0 .. COUNT - 1 of a .npz, in f32 and f64; the
 * parameters after each go into another. tests/pytorch.py compares them. */
#include "tests/optimizer_support.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: optimizer_trials IN.npz OUT.npz COUNT\n");
        return 2;
    }
    TensorNpz *npz;
    NnSnapshot out;
    nn_snapshot_init(&out);
    ReelStatus status = tensor_npz_open(&npz, argv[1]);
    for (int trial = 0; trial < 2 * atoi(argv[3]) && reel_status_is_ok(&status); trial++) {
        TensorArena arena;
        Tensor results[TRIAL_PARAMETERS];
        bool f64 = trial % 2;
        tensor_arena_init(&arena, 0);
        status = optimizer_trial(npz, trial / 2, f64, &arena, results);
        for (int i = 0; i < TRIAL_PARAMETERS && reel_status_is_ok(&status); i++) {
            char name[60];
            snprintf(name, sizeof name, "%d/%s/%s", trial / 2, f64 ? "f64" : "f32", trial_parameters[i]);
            nn_snapshot_tensor(&out, name, results[i]);
        }
        tensor_arena_free(&arena);
    }
    if (reel_status_is_ok(&status))
        status = nn_snapshot_write(&out, argv[2], (TensorNpzOptions){0});
    tensor_npz_close(npz);
    nn_snapshot_free(&out);
    if (!reel_status_is_ok(&status))
        fprintf(stderr, "%s\n", status.message);
    return reel_status_is_ok(&status) ? 0 : 1;
}

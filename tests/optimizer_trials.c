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
    Npz *npz;
    NnSnapshot out;
    nn_snapshot_init(&out);
    Status status = npz_open(&npz, argv[1]);
    for (int trial = 0; trial < 2 * atoi(argv[3]) && status_is_ok(&status); trial++) {
        Arena arena;
        Tensor results[TRIAL_PARAMETERS];
        bool f64 = trial % 2;
        arena_init(&arena, 0);
        status = optimizer_trial(npz, trial / 2, f64, &arena, results);
        for (int i = 0; i < TRIAL_PARAMETERS && status_is_ok(&status); i++) {
            char name[60];
            snprintf(name, sizeof name, "%d/%s/%s", trial / 2, f64 ? "f64" : "f32", trial_parameters[i]);
            nn_snapshot_tensor(&out, name, results[i]);
        }
        arena_free(&arena);
    }
    if (status_is_ok(&status))
        status = nn_snapshot_write(&out, argv[2], (NpzOptions){0});
    npz_close(npz);
    nn_snapshot_free(&out);
    if (!status_is_ok(&status))
        fprintf(stderr, "%s\n", status.message);
    return status_is_ok(&status) ? 0 : 1;
}

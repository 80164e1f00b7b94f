/* Optimizers: SGD with momentum, Adam, AdamW; clipping by global norm. As in PyTorch, a parameter that has no
 * gradient in a step stands still, and Adam counts the updates of each parameter.
 *
 * A parameter that gets sparse gradients (an embedding) is updated late: a row is brought up to date when it
 * next gets a gradient, and readers see the value that a dense update would show. Kept for a row are (w, m,
 * v) at its last gradient; the value at any later step is a pure function of that and of the step, so that
 * looking changes nothing. Adam with (coupled) L2 weight decay, and SGD with momentum or decay, move every
 * row at every step and are dense; so is a second optimizer of the same parameter.
 *
 * nn_parameter_read() and nn_parameter_write() read and set a value while an optimizer lives; nn_load() and
 * nn_module_reset() may be called too. Rows that were written by hand while others were late cannot be told
 * apart from these: the next use of the parameter is an error. */
#ifndef REEL_NN_OPTIMIZER_H
#define REEL_NN_OPTIMIZER_H

#include "nn/pieces.h"
#include "nn/state_dict.h"

REEL_BEGIN_DECLS

typedef enum { NN_SGD, NN_ADAM, NN_ADAMW } NnOptimizerKind;

/* The settings of an optimizer. */
typedef struct NnOptimizerOptions {
    NnOptimizerKind kind;
    double lr;
    double momentum;          /* SGD */
    double beta1, beta2, eps; /* Adam, AdamW */
    double weight_decay;      /* SGD and Adam: added to the gradient (L2); AdamW: decoupled */
    double clip_norm;         /* scales all gradients down to this global L2 norm; 0: off */
} NnOptimizerOptions;

/* PyTorch's defaults: SGD lr 1e-3; Adam lr 1e-3, betas 0.9, 0.999, eps 1e-8; AdamW with decay 0.01. */
NnOptimizerOptions nn_optimizer_options(NnOptimizerKind kind);

/* An optimizer and its state. */
typedef struct NnOptimizer NnOptimizer;

/* Updates the parameters of `module`, which must outlive the optimizer. Errors: an option out of range, a
 * parameter without value, no memory. */
ReelStatus nn_optimizer_new(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options);
/* Brings late rows up to date and frees. */
void nn_optimizer_free(NnOptimizer *optimizer);
void nn_optimizer_set_lr(NnOptimizer *optimizer, double lr);
/* One update from the sum of the pieces: nn_tape_pieces(&tape, 1) after tape_backward(),
 * nn_parallel_pieces(p) after nn_parallel_backward(). Of the pieces, what belongs to its parameters is
 * cleared. An error, and nothing is changed: a piece has one, or gradients that are to be clipped have no
 * finite norm. */
ReelStatus nn_optimizer_step(NnOptimizer *optimizer, NnPieces pieces);
/* How many updates have been made. */
int64_t nn_optimizer_steps(const NnOptimizer *optimizer);
/* The global norm of the gradients at the last update (before clipping; NAN where clipping is off). */
double nn_optimizer_norm(const NnOptimizer *optimizer);

/* ---- Saving and loading ----
 *
 * A file holds all that an optimizer knows beside its options: counts of updates, moments, the learning rate,
 * and the rows that it updates late as they were at their last gradient. A loop that saves model and
 * optimizer, and one that makes both anew with the same options and loads both (nn_load(),
 * nn_optimizer_load(), in either order), goes on to the same bytes as one that was not interrupted. */

/* Writes the state as members reel/optimizer/... of a .npz; the file appears whole or not at all. */
ReelStatus nn_optimizer_save(NnOptimizer *optimizer, const char *path);
/* Reads it, also from a model's file that has such members. Errors, after which the optimizer is as it was: a
 * member is missing, of another shape, or cannot be; the state is of another kind of optimizer. */
ReelStatus nn_optimizer_load(NnOptimizer *optimizer, const char *path);
/* The same from an open file. */
ReelStatus nn_optimizer_load_from(NnOptimizer *optimizer, const TensorNpz *npz);
/* Adds the state to a file to be: one file may hold a model and its optimizer. */
void nn_snapshot_optimizer(NnSnapshot *snapshot, NnOptimizer *optimizer);

/* ---- Learning-rate schedules ---- */

typedef enum { NN_CONSTANT, NN_STEP, NN_COSINE } NnScheduleKind;
typedef struct NnSchedule {
    NnScheduleKind kind;
    double lr;      /* the base */
    int64_t warmup; /* linear from lr / warmup at step 0 to lr at step warmup - 1 */
    int64_t total;  /* COSINE: the steps in all */
    int64_t period; /* STEP: every so many steps ... */
    double factor;  /* STEP: ... times this */
    double floor;   /* COSINE: ends here */
} NnSchedule;
/* The learning rate of step `step` (from 0): a pure function. */
double nn_schedule_lr(const NnSchedule *schedule, int64_t step);

REEL_END_DECLS

#endif

/* Optimizers: SGD with momentum, Adam, AdamW, RMSprop, Adagrad; clipping by global norm. As in PyTorch, a
 * parameter that has no gradient in a step stands still, and Adam counts the updates of each parameter.
 *
 * A parameter that gets sparse gradients (an embedding) is updated late: a row is brought up to date when it
 * next gets a gradient, and readers see the value that a dense update would show. Kept for a row are (w, m,
 * v) at its last gradient; the value at any later step is a pure function of that and of the step, so that
 * looking changes nothing. Adam with (coupled) L2 weight decay, and the others with momentum or decay, move
 * every row at every step and are dense. A parameter has one optimizer: a second one is an error.
 *
 * nn_parameter_read() and nn_parameter_write() read and set a value while an optimizer lives; nn_load() and
 * nn_module_reset() may be called too. Rows that were written by hand while others were late cannot be told
 * apart from these: the next use of the parameter is an error. */
#ifndef REEL_NN_OPTIMIZER_H
#define REEL_NN_OPTIMIZER_H

#include "nn/pieces.h"
#include "nn/state_dict.h"

REEL_BEGIN_DECLS

typedef enum { NN_SGD, NN_ADAM, NN_ADAMW, NN_RMSPROP, NN_ADAGRAD } NnOptimizerKind;

/* The settings of an optimizer. */
typedef struct NnOptimizerOptions {
    NnOptimizerKind kind;
    double lr;
    double momentum;            /* SGD, RMSprop */
    double beta1, beta2;        /* Adam, AdamW */
    double eps;                 /* all but SGD */
    double weight_decay;        /* AdamW: decoupled; the others: added to the gradient (L2) */
    double clip_norm;           /* scales all gradients down to this global L2 norm; 0: off */
    double alpha;               /* RMSprop: what is kept of the mean of squares */
    double lr_decay;            /* Adagrad: lr / (1 + lr_decay (t - 1)) at update t */
    double initial_accumulator; /* Adagrad: what sums of squares begin with */
} NnOptimizerOptions;

/* PyTorch's defaults: SGD lr 1e-3; Adam lr 1e-3, betas 0.9, 0.999, eps 1e-8; AdamW with decay 0.01; RMSprop
 * lr 0.01, alpha 0.99, eps 1e-8; Adagrad lr 0.01, eps 1e-10. */
NnOptimizerOptions nn_optimizer_options(NnOptimizerKind kind);
/* "sgd", "adam", ...; NULL where there is no such kind. */
const char *nn_optimizer_kind_name(NnOptimizerKind kind);

/* An optimizer and its state. */
typedef struct NnOptimizer NnOptimizer;

/* Updates the parameters of `module`, which must outlive the optimizer. Errors: an option out of range, a
 * parameter without value or with another optimizer, no memory. */
ReelStatus nn_optimizer_new(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options);

/* Parameters with options of their own: nn_group_of(), nn_group_where(). */
typedef struct NnParameterGroup {
    NnOptimizerOptions options; /* kind as of the optimizer; clip_norm, which is one over all, so too, or 0 */
    NnParameter *const *parameters; /* [count] */
    int count;
    bool (*holds)(const NnParameter *parameter, void *context); /* of others; NULL: of none */
    void *context;
} NnParameterGroup;

/* The parameters of a list, which outlives the call of nn_optimizer_new_grouped(); one that is tied stands
 * for the one that it is tied to. */
NnParameterGroup nn_group_of(NnParameter *const *parameters, int count, NnOptimizerOptions options);
/* The parameters that a predicate holds of. */
NnParameterGroup nn_group_where(bool (*holds)(const NnParameter *parameter, void *context), void *context,
                                NnOptimizerOptions options);
/* Such a predicate: at most one axis, as biases and the weights of norms have. */
bool nn_parameter_is_vector(const NnParameter *parameter, void *unused);
/* The same with groups of parameters; `options` are of those that are in none. Errors, further: a parameter
 * in two groups, or of another module; another kind or clip_norm; a rate of 0 in `options` alone. */
ReelStatus nn_optimizer_new_grouped(NnOptimizer **optimizer, NnModule *module, NnOptimizerOptions options,
                                    const NnParameterGroup *groups, int group_count);
/* Brings late rows up to date and frees. */
void nn_optimizer_free(NnOptimizer *optimizer);
/* The learning rate from now on; those of groups stay in proportion to it, as their options are. */
void nn_optimizer_set_lr(NnOptimizer *optimizer, double lr);
/* The learning rate of group number `group`, from 0, until the next nn_optimizer_set_lr(). */
void nn_optimizer_set_group_lr(NnOptimizer *optimizer, int group, double lr);
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
 * A file holds all that an optimizer knows beside its options: counts of updates, moments, learning rates,
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

/* Losses of one line beside those that are ops (var_bce_with_logits(), var_cross_entropy(), var_mse()): as
 * PyTorch's, compositions. */
#ifndef REEL_NN_LOSSES_H
#define REEL_NN_LOSSES_H

#include "autograd/autograd.h"

REEL_BEGIN_DECLS

typedef struct NnClassOptions {
    int ignored;            /* rows of this class do not count; -100 */
    Var weight;             /* [C]: of each class; VAR_NONE */
    double label_smoothing; /* nn_cross_entropy() alone: this part of a target goes to all classes alike */
    VarReduction reduction; /* the mean is by the weights of the rows that count; of no row it is 0 */
} NnClassOptions;
/* Nothing but the class -100 ignored, no weights, the mean. */
NnClassOptions nn_class_options(void);

/* logits [N, C], classes i32 [N]: of each text, or of each row of a packed sequence. */
Var nn_cross_entropy(Var logits, Var classes, NnClassOptions options);
/* The same of logarithms of probabilities. */
Var nn_nll(Var log_probabilities, Var classes, NnClassOptions options);
/* (log v + (x - target)^2 / v) / 2 with the variance v, which is at least 1e-6. */
Var nn_gaussian_nll(Var x, Var target, Var variance, VarReduction reduction);
Var nn_l1(Var x, Var target, VarReduction reduction);
/* d^2 / 2 where |d| = |x - target| < delta, delta (|d| - delta / 2) beyond (Huber 1964). */
Var nn_huber(Var x, Var target, double delta, VarReduction reduction);
/* target (log target - x), x the logarithm of a probability; 0 where the target is, NaN where it is negative.
 * PyTorch's "batchmean" is the sum divided by the rows. */
Var nn_kl_divergence(Var x, Var target, VarReduction reduction);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_cross_entropy(...) TAPE_TRACE(Var, nn_cross_entropy(__VA_ARGS__))
#define nn_nll(...)           TAPE_TRACE(Var, nn_nll(__VA_ARGS__))
#define nn_gaussian_nll(...)  TAPE_TRACE(Var, nn_gaussian_nll(__VA_ARGS__))
#define nn_l1(...)            TAPE_TRACE(Var, nn_l1(__VA_ARGS__))
#define nn_huber(...)         TAPE_TRACE(Var, nn_huber(__VA_ARGS__))
#define nn_kl_divergence(...) TAPE_TRACE(Var, nn_kl_divergence(__VA_ARGS__))
#endif

#endif

/* The values of one module in another of the same kind: copies, and averages over training. */
#ifndef REEL_NN_AVERAGE_H
#define REEL_NN_AVERAGE_H

#include "nn/module.h"

REEL_BEGIN_DECLS

/* Sets the values of `to` to those of `from`, which is a module of the same names and shapes. Living
 * optimizers go on from there. Errors: other names or shapes, a parameter without value, no memory. */
ReelStatus nn_module_copy(NnModule *to, NnModule *from);
/* to = (1 - weight) to + weight from, and buffers are copied: after each step with weight 1 - decay, `to` is
 * the exponential moving average of from's values (Polyak & Juditsky 1992), to be started by
 * nn_module_copy(). */
ReelStatus nn_module_blend(NnModule *to, NnModule *from, double weight);

/* Stops when a loss has not fallen for `patience` looks. */
typedef struct NnEarlyStopping {
    int patience;
    double least;         /* a fall by less does not count */
    double best;          /* so far */
    int looks, best_look; /* so far; which look the best was, from 1 */
} NnEarlyStopping;

/* Nothing looked at yet. */
NnEarlyStopping nn_early_stopping_new(int patience, double least);
/* Takes the loss of one more look. True: it is time to stop. `improved` (may be NULL): whether it is the
 * best. */
bool nn_early_stopping_look(NnEarlyStopping *stopping, double loss, bool *improved);

REEL_END_DECLS

#endif

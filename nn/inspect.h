/* Looking at a module. */
#ifndef REEL_NN_INSPECT_H
#define REEL_NN_INSPECT_H

#include "nn/module.h"

#include <stdio.h>

REEL_BEGIN_DECLS

/* The tree with shapes and counts, and what it comes to:
 *
 *     embedding                                        40
 *       weight                          [10, 4]        40
 *     fc                                               10
 *       ...
 *     50 numbers, 0 of them frozen
 */
void nn_module_print(NnModule *module, FILE *file);
/* The gradient of the parameter of that name after tape_backward(), dense, in the tape's memory. Invalid
 * where there is no such parameter, or it got none. */
Tensor nn_gradient(NnModule *module, const char *name, Tape *tape);

REEL_END_DECLS

#endif

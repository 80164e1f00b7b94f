#ifndef REEL_TENSOR_PRINT_H
#define REEL_TENSOR_PRINT_H

#include "tensor/view.h"

#include <stdio.h>

REEL_BEGIN_DECLS

/* A tensor as NumPy shows it: its shape and type, then its elements with four digits; of an axis of more than
 * eight the first and last three. */
void tensor_print(Tensor t, FILE *file);

REEL_END_DECLS

#endif

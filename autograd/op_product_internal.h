/* Products with a weight [out, in], for ops that contain one. */
#ifndef REEL_AUTOGRAD_OP_PRODUCT_INTERNAL_H
#define REEL_AUTOGRAD_OP_PRODUCT_INTERNAL_H

#include "autograd/op.h"

/* out = beta out + x W^T, W being input number `weight`; on its panels where it is a parameter. */
bool op_times_weight(OpContext *c, Tensor out, Tensor x, int weight, double beta);
/* The terms of y = x W^T, from dy, for the inputs number x and weight. */
void op_give_weight_terms(OpContext *c, OpTerm *terms, Tensor dy, int x, int weight);

#endif

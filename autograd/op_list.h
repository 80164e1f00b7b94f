/* The one list of ops. From it come the registry, the gradient checks, tools/gradcheck and the bench. */
#ifndef REEL_AUTOGRAD_OP_LIST_H
#define REEL_AUTOGRAD_OP_LIST_H

#include "autograd/op.h"

/* A line is a file: op_binary.c, op_unary.c, op_choose.c, op_reduce.c, op_normalize.c, op_product.c,
 * op_shape.c, op_rows.c, op_gather.c, op_segment.c, op_cell.c, op_loss.c. */
/* clang-format off */
#define OP_LIST(X)                                                                     \
    X(add) X(sub) X(mul) X(div) X(pow) X(maximum)                                      \
    X(neg) X(exp) X(log) X(sqrt) X(abs) X(relu) X(tanh) X(sigmoid) X(softplus) X(scale) \
    X(where) X(masked_fill) X(dropout)                                                 \
    X(sum) X(mean) X(max)                                                              \
    X(softmax) X(log_softmax) X(layer_norm)                                            \
    X(matmul) X(linear) X(addmm)                                                       \
    X(reshape) X(transpose) X(expand) X(slice) X(select) X(concat) X(stack)            \
    X(embedding) X(gather_rows)                                                        \
    X(gather)                                                                          \
    X(segment_sum) X(segment_softmax) X(segment_max)                                   \
    X(gated_memory) X(additive_score) X(weighted_sum)                                  \
    X(bce) X(bce_with_logits) X(cross_entropy) X(mse)
/* clang-format on */

#define OP_DECLARE(name) extern Op op_##name;
OP_LIST(OP_DECLARE)
#undef OP_DECLARE

#endif

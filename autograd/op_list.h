/* The one list of ops. From it come the registry, the gradient checks, tools/gradcheck and the bench. */
#ifndef REEL_AUTOGRAD_OP_LIST_H
#define REEL_AUTOGRAD_OP_LIST_H

#include "autograd/op.h"

#define OP_LIST(X)                                                                                           \
    /* op_binary.c */                                                                                        \
    X(add)                                                                                                   \
    X(sub)                                                                                                   \
    X(mul) X(div) X(pow) X(maximum) /* op_unary.c */                                                         \
        X(neg) X(exp) X(log) X(sqrt) X(abs) X(relu) X(tanh) X(sigmoid) X(softplus)                           \
            X(scale)                                                            /* op_choose.c */            \
        X(where) X(masked_fill) X(dropout)                                      /* op_reduce.c */            \
        X(sum) X(mean) X(max)                                                   /* op_normalize.c */         \
        X(softmax) X(log_softmax) X(layer_norm)                                 /* op_product.c */           \
        X(matmul) X(linear) X(addmm)                                            /* op_shape.c */             \
        X(reshape) X(transpose) X(expand) X(slice) X(select) X(concat) X(stack) /* op_rows.c */              \
        X(embedding) X(gather_rows) X(gather)                                   /* op_segment.c */           \
        X(segment_sum) X(segment_softmax) X(segment_max)                        /* op_cell.c */              \
        X(gated_memory) X(additive_score) X(weighted_sum)                       /* op_loss.c */              \
        X(bce) X(bce_with_logits) X(cross_entropy) X(mse)

#define OP_DECLARE(name) extern Op op_##name;
OP_LIST(OP_DECLARE)
#undef OP_DECLARE

#endif

/* The one list of ops. From it come the registry, the gradient checks, tools/gradcheck and the bench. */
#ifndef REEL_AUTOGRAD_OP_LIST_H
#define REEL_AUTOGRAD_OP_LIST_H

#include "autograd/op.h"

/* On the right of each group: the file it is in. */
/* clang-format off */
#define OP_LIST(X)                                                             \
    X(add) X(sub) X(mul) X(div) X(pow) X(maximum)          /* op_binary.c */    \
    X(neg) X(exp) X(log) X(sqrt) X(abs)                    /* op_unary.c */     \
    X(relu) X(tanh) X(sigmoid) X(softplus) X(scale)                            \
    X(where) X(masked_fill) X(dropout)                     /* op_choose.c */    \
    X(sum) X(mean) X(max)                                  /* op_reduce.c */    \
    X(softmax) X(log_softmax) X(layer_norm)                /* op_normalize.c */ \
    X(matmul) X(linear) X(addmm)                           /* op_product.c */   \
    X(reshape) X(transpose) X(expand) X(slice) X(select)   /* op_shape.c */     \
    X(alias) X(concat) X(stack)                                                         \
    X(embedding) X(gather_rows)                            /* op_rows.c */      \
    X(gather)                                              /* op_gather.c */    \
    X(segment_sum) X(segment_softmax) X(segment_max)       /* op_segment.c */   \
    X(gated_memory)                                        /* op_cell.c */      \
    X(segment_score) X(segment_weighted_sum)               /* op_attention.c */ \
    X(additive_score) X(weighted_sum)                                          \
    X(bce) X(bce_with_logits) X(cross_entropy) X(mse)      /* op_loss.c */
/* clang-format on */

REEL_BEGIN_DECLS

/* op_add, op_sub, ...: the ops themselves. */
#define OP_DECLARE(name) extern OpKind op_##name;
OP_LIST(OP_DECLARE)
#undef OP_DECLARE

REEL_END_DECLS

#endif

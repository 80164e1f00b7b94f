/* Attention of several heads (Vaswani et al. 2017, arXiv 1706.03762). */
#ifndef REEL_NN_MULTIHEAD_ATTENTION_H
#define REEL_NN_MULTIHEAD_ATTENTION_H

#include "nn/layers.h"
#include "nn/linear.h"

REEL_BEGIN_DECLS

/* Each head is softmax(Q K^T / sqrt(d)) V with d = E / heads; the heads side by side go through out_proj.
 * Parameters, as PyTorch's: in_proj_weight [3E, E] of Q, K and V, in_proj_bias [3E], out_proj.weight [E, E],
 * out_proj.bias [E]. */
typedef struct NnMultiheadAttention {
    NnModule base;
    NnParameter in_proj_weight, in_proj_bias;
    NnLinear out_proj;
    NnDropout dropout; /* of the weights; p is 0 unless it is set */
    int64_t width;     /* E */
    int heads;
} NnMultiheadAttention;

/* `heads` divides the width. */
void nn_multihead_attention_init(NnMultiheadAttention *m, int64_t width, int heads);
/* Each row of the texts in x over all rows of its text, or (causal) over those up to itself. Rows [N, E]. */
NnSequence nn_multihead_attention(NnMultiheadAttention *m, NnSequence x, bool causal);
/* Each row of text b in `query` over all rows of text b in `memory`. */
NnSequence nn_multihead_attention_over(NnMultiheadAttention *m, NnSequence query, NnSequence memory);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_multihead_attention(...)      TAPE_TRACE(NnSequence, nn_multihead_attention(__VA_ARGS__))
#define nn_multihead_attention_over(...) TAPE_TRACE(NnSequence, nn_multihead_attention_over(__VA_ARGS__))
#endif

#endif

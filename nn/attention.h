/* Additive attention (Bahdanau, Cho & Bengio 2015, arXiv 1409.0473). */
#ifndef REEL_NN_ATTENTION_H
#define REEL_NN_ATTENTION_H

#include "nn/linear.h"

REEL_BEGIN_DECLS

/* score(q, m) = v_a . tanh(W_h m + W_s q). Parts: W_h [A, memory] and W_s [A, query] with biases, v_a [1, A]
 * without. */
typedef struct NnAdditiveAttention {
    NnModule base;
    NnLinear W_h, W_s, v_a;
} NnAdditiveAttention;

typedef struct NnAttention {
    Var context; /* [B, memory]: sum of weight * memory row */
    Var weights; /* [N]: of each row of the memory, adding up to 1 in each text */
} NnAttention;

/* Widths of the query, of the memory rows, and of what they are compared in (A). */
void nn_additive_attention_init(NnAdditiveAttention *m, int64_t query, int64_t memory, int64_t hidden);
/* One query for each text, query [B, query], over all rows of that text in `memory` (rows [N, memory]). */
NnAttention nn_additive_attention(NnAdditiveAttention *m, Var query, NnSequence memory);

/* The same inside a scan: n running texts, their query [n, query], and a memory that is a list of earlier
 * steps. keys[s] = W_h values[s] is made once for each step by nn_attention_key(). -> [n, memory]. */
Var nn_attention_key(NnAdditiveAttention *m, Var value);
Var nn_attention_over_steps(NnAdditiveAttention *m, Var query, const Var *keys, const Var *values, int count);

TAPE_TRACE_RETURNS(NnAttention)

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_additive_attention(...)   TAPE_TRACE(NnAttention, nn_additive_attention(__VA_ARGS__))
#define nn_attention_key(...)        TAPE_TRACE(Var, nn_attention_key(__VA_ARGS__))
#define nn_attention_over_steps(...) TAPE_TRACE(Var, nn_attention_over_steps(__VA_ARGS__))
#endif

#endif

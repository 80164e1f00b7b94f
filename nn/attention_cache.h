/* What attention has seen, for writing sequences token after token (nn/decoding.h): the keys and values of
 * each step are kept, so that a step reads one row of each sequence instead of all that was written, and its
 * time is linear in their number. One cache serves all layers of a model.
 *
 * A step is: nn_attention_cache_begin(), and then for each layer, once, its function with `_step` at the end.
 * Values only: no gradient goes back into earlier steps. */
#ifndef REEL_NN_ATTENTION_CACHE_H
#define REEL_NN_ATTENTION_CACHE_H

#include "nn/multihead_attention.h"

REEL_BEGIN_DECLS

/* Keys and values of what the sequences of a step have seen, for each attention of a model. */
typedef struct NnAttentionCache NnAttentionCache;

/* An empty one; NULL where there is no memory. */
NnAttentionCache *nn_attention_cache_new(void);
void nn_attention_cache_free(NnAttentionCache *cache);
/* Forgets all steps and memories: for the next text. */
void nn_attention_cache_reset(NnAttentionCache *cache);
/* Begins a step of `count` sequences: sequence i goes on from sequence parents[i] of the step before (at the
 * first step from nothing). What was seen is shared and not copied. Errors: a parent that is not there; no
 * memory. */
ReelStatus nn_attention_cache_begin(NnAttentionCache *cache, const int32_t *parents, int count);
/* The place of the step's rows in their texts: 0 at the first. */
int32_t nn_attention_cache_position(const NnAttentionCache *cache);

/* The step's rows x [count, E], which come behind what their sequences have seen, over all of it and
 * themselves: what nn_multihead_attention() with `causal` makes of the last row of each. */
Var nn_multihead_attention_step(NnMultiheadAttention *m, NnAttentionCache *cache, Var x);
/* The step's rows over a memory of one text. It is read at the cache's first step alone; later {0} may stand
 * for it. */
Var nn_multihead_attention_over_step(NnMultiheadAttention *m, NnAttentionCache *cache, Var x,
                                     NnSequence memory);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_multihead_attention_step(...)      TAPE_TRACE(Var, nn_multihead_attention_step(__VA_ARGS__))
#define nn_multihead_attention_over_step(...) TAPE_TRACE(Var, nn_multihead_attention_over_step(__VA_ARGS__))
#endif

#endif

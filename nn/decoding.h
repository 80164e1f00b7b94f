/* Writing a sequence, token after token, from a model that says what comes next. */
#ifndef REEL_NN_DECODING_H
#define REEL_NN_DECODING_H

#include "tensor/random.h"
#include "tensor/status.h"

REEL_BEGIN_DECLS

/* One step of the model for `count` sequences: sequence i goes on from sequence parents[i] of the last call
 * (0 at the first) with the token ids[i]; what comes next goes to scores [count, V], logits or logarithms.
 * The state that a model keeps (a recurrent one's h and c, the keys and values of attention:
 * nn/attention_cache.h) is brought into the order of `parents`. */
typedef ReelStatus NnNextFunction(void *context, const int32_t *ids, const int32_t *parents, int count,
                                  float *scores);

typedef struct NnDecodeOptions {
    int32_t tokens; /* V */
    int32_t begin;  /* the token before the first: <bos> */
    int32_t end;    /* the token that ends a sequence, which is not written: <eos>; -1: none */
    int32_t most;   /* tokens at most */
    /* Beam search. */
    int beam;              /* sequences at once; 1: the best token each time */
    double length_penalty; /* a sequence of n tokens is judged by its log probability / n^this; 0 */
    /* Sampling. */
    double temperature; /* scores are divided by it; 1 */
    int top_k;          /* of the k best tokens alone; 0: of all */
    double top_p;       /* of the fewest best tokens that have this probability together; 1: of all */
} NnDecodeOptions;
/* A beam of 1, a temperature of 1, all tokens. */
NnDecodeOptions nn_decode_options(int32_t tokens, int32_t begin, int32_t end, int32_t most);

/* The sequence of the highest probability that a beam finds (greedy where it is 1): its tokens go to `ids`,
 * which has room for options.most, and their number to *count. Errors: of `next`; an option out of range;
 * scores that are NaN; no memory. */
ReelStatus nn_decode_beam(NnNextFunction *next, void *context, NnDecodeOptions options, int32_t *ids,
                          int32_t *count);
/* The best sequences that a beam finds, at most as many as it is wide (all that it looks at end, or have
 * options.most tokens), best first: how many go to *found, the tokens of sequence i to the row i of ids
 * [beam, most], their number to counts[i], and its log probability, with that of its end, to log_p[i]. */
ReelStatus nn_decode_beams(NnNextFunction *next, void *context, NnDecodeOptions options, int32_t *ids,
                           int32_t *counts, double *log_p, int *found);
/* A sequence that is drawn. */
ReelStatus nn_decode_sample(NnNextFunction *next, void *context, NnDecodeOptions options,
                            TensorRandom *random, int32_t *ids, int32_t *count);
/* One token drawn from scores [options.tokens], which are changed. -1 where none is a number above -infinity,
 * or there is no memory. */
int32_t nn_sample(float *scores, NnDecodeOptions options, TensorRandom *random);

REEL_END_DECLS

#endif

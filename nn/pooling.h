/* From a sequence to one row for each text, and the neighbours of each row: what models that are not
 * recurrent ones are made of. Compositions of generic ops. */
#ifndef REEL_NN_POOLING_H
#define REEL_NN_POOLING_H

#include "nn/sequence.h"

REEL_BEGIN_DECLS

/* x: rows [N, E] -> [B, E], over each text's own rows. */
Var nn_pool_max(NnSequence x);
Var nn_pool_mean(NnSequence x);
/* sum_n a_n x_n, a = softmax of the scores [N] among the rows of each text. *weights (may be NULL) gets a. */
Var nn_pool_weighted(NnSequence x, Var scores, Var *weights);

/* Each row with its neighbours in the text: rows [N, (before + 1 + after) E], from the earliest to the
 * latest; zeros where there is none. What a convolution multiplies (im2col). */
NnSequence nn_windows(NnSequence x, int before, int after);

/* A batch as PyTorch pads it: rows [N, E] -> [B, T, E], zeros behind each text. */
Var nn_pad(NnSequence x);
/* The inverse: [B, T, E] -> the rows of `like`'s texts. */
NnSequence nn_unpad(NnSequence like, Var padded);
/* i32 [B, 1, T]: 1 where nn_pad() has filled up. */
Var nn_padding_mask(NnSequence x);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_pool_max(...)      TAPE_TRACE(Var, nn_pool_max(__VA_ARGS__))
#define nn_pool_mean(...)     TAPE_TRACE(Var, nn_pool_mean(__VA_ARGS__))
#define nn_pool_weighted(...) TAPE_TRACE(Var, nn_pool_weighted(__VA_ARGS__))
#define nn_windows(...)       TAPE_TRACE(NnSequence, nn_windows(__VA_ARGS__))
#define nn_pad(...)           TAPE_TRACE(Var, nn_pad(__VA_ARGS__))
#define nn_unpad(...)         TAPE_TRACE(NnSequence, nn_unpad(__VA_ARGS__))
#endif

#endif

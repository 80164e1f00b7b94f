/* A linear-chain conditional random field over packed texts (Lafferty, McCallum & Pereira 2001). */
#ifndef REEL_NN_CRF_H
#define REEL_NN_CRF_H

#include "nn/module.h"
#include "nn/scan.h"

REEL_BEGIN_DECLS

/* The score of tags y_1 ... y_T is start[y_1] + sum_t emission[t, y_t] + sum_t transitions[y_{t-1}, y_t] +
 * end[y_T]. Parameters: start_transitions [K], end_transitions [K], transitions [K, K], all U(-0.1, 0.1) at
 * first. */
typedef struct NnCrf {
    NnModule base;
    NnParameter start_transitions, end_transitions, transitions;
    int64_t tags; /* K */
} NnCrf;

/* Declares the scores of `tags` tags. */
void nn_crf_init(NnCrf *m, int64_t tags);
/* -log p(tags | emissions) of each text: emissions rows [N, K], tags i32 [N] in the order of its rows
 * -> a number, or [B] where nothing is reduced. */
Var nn_crf_loss(NnCrf *m, NnSequence emissions, Var tags, VarReduction reduction);
/* The tags of the highest score, text after text, into memory for as many as there are rows (Viterbi 1967).
 * False where the tape has an error, or there is no memory. */
bool nn_crf_decode(NnCrf *m, NnSequence emissions, int32_t *tags);

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_crf_loss(...) TAPE_TRACE(Var, nn_crf_loss(__VA_ARGS__))
#endif

#endif

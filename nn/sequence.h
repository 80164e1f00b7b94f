/* Sequences of different lengths, packed: the texts are ordered by length, longest first, and the rows
 * lie step after step, as in PyTorch's PackedSequence. Step t is a contiguous range of rows, those of the
 * texts that still run; there is no padding and no mask. */
#ifndef REEL_NN_SEQUENCE_H
#define REEL_NN_SEQUENCE_H

#include "autograd/autograd.h"

REEL_BEGIN_DECLS

/* The layout of a batch of B texts, N rows in all; memory of the step. "Place" is a text's rank by length. */
typedef struct NnPacking {
    int32_t texts;         /* B */
    int32_t steps;         /* T: the longest length */
    int32_t rows;          /* N: the sum of the lengths */
    const int32_t *first;  /* [T + 1]: the first row of each step; step t has first[t + 1] - first[t] rows */
    const int32_t *place;  /* [B]: the place of each text */
    const int32_t *text;   /* [B]: the text at each place */
    const int32_t *length; /* [B]: of each text */
    bool sorted;           /* the texts came longest first: place[i] == i */
} NnPacking;

/* rows [N, ...] in packed order. For text the rows are ids: i32 [N]. */
typedef struct NnSequence {
    Var rows;
    const NnPacking *packing;
} NnSequence;

/* Some ids, in memory of somebody else: a text, or the labels that it bears. */
typedef struct NnIds {
    const int32_t *ids;
    int32_t count;
} NnIds;

/* Packs B texts of ids, text b being ids[offsets[b]] to ids[offsets[b + 1] - 1]. A text without ids is an
 * error on the tape, and so is a batch without texts. */
NnSequence nn_pack(Tape *tape, const int32_t *ids, const int32_t *offsets, int32_t texts);
/* The same of texts that lie anywhere. */
NnSequence nn_pack_texts(Tape *tape, const NnIds *texts, int32_t count);
/* Packs rows [N, ...] that lie text after text, with the given lengths (which must add up to N). */
NnSequence nn_pack_rows(Var rows, const int32_t *lengths, int32_t texts);
/* The rows text after text again: the inverse of nn_pack_rows(). */
Var nn_unpack(NnSequence sequence);
/* Each text backwards. */
NnSequence nn_reverse(NnSequence sequence);
/* Other rows under the same layout. */
NnSequence nn_with_rows(NnSequence like, Var rows);
/* i32 [N]: the text that each row belongs to, for the segment ops. */
Var nn_text_of_row(NnSequence sequence);
/* i32 [N]: the position within its text of each row. */
Var nn_position_of_row(NnSequence sequence);
/* The rows of step t: [texts that run, ...]. */
Var nn_step(NnSequence sequence, int32_t t);
static inline int32_t nn_running(const NnPacking *packing, int32_t t)
{
    return t < packing->steps ? packing->first[t + 1] - packing->first[t] : 0;
}

TAPE_TRACE_RETURNS(NnSequence)

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_pack(...)       TAPE_TRACE(NnSequence, nn_pack(__VA_ARGS__))
#define nn_pack_texts(...) TAPE_TRACE(NnSequence, nn_pack_texts(__VA_ARGS__))
#define nn_pack_rows(...)  TAPE_TRACE(NnSequence, nn_pack_rows(__VA_ARGS__))
#define nn_unpack(...)     TAPE_TRACE(Var, nn_unpack(__VA_ARGS__))
#define nn_reverse(...)    TAPE_TRACE(NnSequence, nn_reverse(__VA_ARGS__))
#define nn_step(...)       TAPE_TRACE(Var, nn_step(__VA_ARGS__))
#endif

#endif

/* The different words of each text of a batch: what a model reads that sees no order. */
#ifndef REEL_MODELS_WORDS_H
#define REEL_MODELS_WORDS_H

#include "nn/sequence.h"

#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* Text after text, ascending within one, without <unk> and its like. */
typedef struct ModelTextWords {
    int32_t count;  /* M */
    int32_t *ids;   /* [M] */
    int32_t *texts; /* [M]: which of the texts the word is in */
    /* [M]: ln(1 + ln n), n = sum over the word's places t of 1 + 3 e^(-t / 8), t from 0 behind <bos>. A text
     * says first what it is about: its first word counts four times, its eighth twice. */
    double *log_weights;
} ModelTextWords;

/* Ids from first_piece on (0: none) are pieces of the words before them, and have their places. All memory is
 * the arena's. False: there is none. */
bool model_text_words(ModelTextWords *words, TensorArena *arena, const NnIds *texts, int32_t count,
                      int32_t first_piece);

REEL_END_DECLS

#endif

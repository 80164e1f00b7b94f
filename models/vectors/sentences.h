/* Texts as ids of their words, the most frequent word first: what word vectors are learned from. */
#ifndef REEL_MODELS_SENTENCES_H
#define REEL_MODELS_SENTENCES_H

#include "models/strings/string_table.h"
#include "models/strings/text.h"
#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdint.h>

REEL_BEGIN_DECLS

/* All zeros is an empty list. */
typedef struct ModelSentences {
    ModelStringTable words;
    int64_t *counts; /* [words.count] how often each word is there */
    int64_t count;
    int64_t *offsets; /* [count + 1] sentence i has the ids from offsets[i] up to offsets[i + 1] */
    int32_t *ids;     /* [offsets[count]] */
    size_t words_capacity, offsets_capacity, ids_capacity;
} ModelSentences;

/* Adds a text whose words blanks separate. Errors: no memory. */
ReelStatus model_sentences_add(ModelSentences *sentences, ModelTextSpan text);
/* Numbers the words anew, the most frequent first and equal ones in the order of their bytes; words that are
 * there less than min_count times are left out, and so are sentences that are then empty. Errors: fewer than
 * two words are left, no memory. */
ReelStatus model_sentences_number(ModelSentences *sentences, int64_t min_count);
void model_sentences_free(ModelSentences *sentences);

REEL_END_DECLS

#endif

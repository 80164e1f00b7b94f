/* The words of a corpus and their ids: `<pad> <unk> <bos> <eos>` are 0 to 3, then the words sorted by
 * their bytes, as scikit-learn's CountVectorizer orders its vocabulary. (So the ids depend on the set of
 * words alone, and not on the order of the texts.) */
#ifndef REEL_MODELS_VOCABULARY_H
#define REEL_MODELS_VOCABULARY_H

#include "models/strings/string_table.h"
#include "models/strings/text.h"
#include "models/text/tokenizer.h"
#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct VocabularyOptions {
    int32_t min_df; /* a word must be in at least this many texts, 1 or more */
    double max_df;  /* and in at most this part of them, in (0, 1] */
} VocabularyOptions;

/* All zeros is an empty one that may be freed. */
typedef struct Vocabulary {
    StringTable words;      /* with the four special ones */
    int64_t rare_words;     /* dropped by min_df; of a built one, as the next */
    int64_t frequent_words; /* dropped by max_df */
} Vocabulary;

/* The homework's: in 2 texts or more, and in no more than 90 % of them. */
VocabularyOptions vocabulary_defaults(void);
/* Counts the words of cleaned texts, which should be the training part alone.
 * Errors: an option out of range, no word left, no memory. On error it is empty. */
ReelStatus vocabulary_build(Vocabulary *vocabulary, const TextSpan *texts, int64_t count,
                            const VocabularyOptions *options);
/* From what vocabulary_word() gave for the ids 0 to count - 1, as kept in a checkpoint; copies.
 * Errors: the four special words are not in front, a word is empty or there twice, no memory. */
ReelStatus vocabulary_restore(Vocabulary *vocabulary, const char *const *words, int32_t count);
void vocabulary_free(Vocabulary *vocabulary);

/* V, the special words included. */
static inline int32_t vocabulary_size(const Vocabulary *vocabulary)
{
    return vocabulary->words.count;
}
/* The word of an id below vocabulary_size(). */
const char *vocabulary_word(const Vocabulary *vocabulary, int32_t id);
/* The id of a word, -1 where it has none. */
int32_t vocabulary_id(const Vocabulary *vocabulary, TextSpan word);
/* A handle for models/text/tokenizer.h: words without an id are dropped. Valid as long as the vocabulary. */
Tokenizer vocabulary_tokenizer(const Vocabulary *vocabulary);

REEL_END_DECLS

#endif

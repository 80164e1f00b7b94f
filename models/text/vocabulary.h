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

typedef struct ModelVocabularyOptions {
    int32_t min_df; /* a word must be in at least this many texts, 1 or more */
    double max_df;  /* and in at most this part of them, in (0, 1] */
} ModelVocabularyOptions;

/* All zeros is an empty one that may be freed. */
typedef struct ModelVocabulary {
    ModelStringTable words; /* with the four special ones */
    int64_t rare_words;     /* dropped by min_df; of a built one, as the next */
    int64_t frequent_words; /* dropped by max_df */
} ModelVocabulary;

/* The homework's: in 2 texts or more, and in no more than 90 % of them. */
ModelVocabularyOptions model_vocabulary_defaults(void);
/* Chooses among the words of cleaned texts, which should be the training part alone: word number i is in
 * texts[i] of the `count` texts; one that is in none does not count. ids [words->count] gets the id of each,
 * -1 where it is dropped. The words of `begin` (NULL: none) stay whether they pass or not, in front of the
 * others and with their ids. Errors: an option out of range, no word left, no memory. On error it is empty.
 */
ReelStatus model_vocabulary_build(ModelVocabulary *vocabulary, const ModelVocabulary *begin,
                                  const ModelStringTable *words, const int32_t *texts, int64_t count,
                                  const ModelVocabularyOptions *options, int32_t *ids);
/* From what model_vocabulary_word() gave for the ids 0 to count - 1, as kept in a checkpoint; copies.
 * Errors: the four special words are not in front, a word is empty or there twice, no memory. */
ReelStatus model_vocabulary_restore(ModelVocabulary *vocabulary, const char *const *words, int32_t count);
void model_vocabulary_free(ModelVocabulary *vocabulary);

/* V, the special words included. */
static inline int32_t model_vocabulary_size(const ModelVocabulary *vocabulary)
{
    return vocabulary->words.count;
}
/* The word of an id below model_vocabulary_size(). */
const char *model_vocabulary_word(const ModelVocabulary *vocabulary, int32_t id);
/* The id of a word, -1 where it has none. */
int32_t model_vocabulary_id(const ModelVocabulary *vocabulary, ModelTextSpan word);
/* A handle for models/text/tokenizer.h: words without an id are dropped. Valid as long as the vocabulary. */
ModelTokenizer model_vocabulary_tokenizer(const ModelVocabulary *vocabulary);

REEL_END_DECLS

#endif

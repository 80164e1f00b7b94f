/* Pieces of words as features beside the words: runs of a few characters, as fastText's subwords, which
 * inflected forms of a word and misspellings have in common. Only those that enough texts have are kept, each
 * with an id of its own behind those of the words. */
#ifndef REEL_MODELS_NGRAMS_H
#define REEL_MODELS_NGRAMS_H

#include "models/text/vocabulary.h"
#include "models/text/word_texts.h"

REEL_BEGIN_DECLS

enum { MODEL_NGRAMS_LONGEST = 12 };

/* Which pieces there are. */
typedef struct ModelNgramOptions {
    int32_t least, most; /* characters, the marks `<` and `>` of a word's ends included; 0: no pieces */
    int32_t min_df;      /* a piece must be in at least this many texts, 1 or more */
    bool unless_ascii;   /* only where texts are cleaned by Unicode's letters */
} ModelNgramOptions;

/* All zeros has none, and may be freed. It stays where it is: its tokenizer refers to it. */
typedef struct ModelNgrams {
    int32_t least, most;
    ModelStringTable pieces;           /* sorted by their bytes; behind those that it began with */
    const ModelVocabulary *vocabulary; /* whose ids stand before theirs */
} ModelNgrams;

/* 2 to 4 characters, in 3 texts or more, for what is not ASCII. */
ModelNgramOptions model_ngrams_defaults(void);
/* The pieces of cleaned texts, `count` of them by their numbers, which should be the training part alone.
 * Those of `begin` (NULL: none) stay, in front of the others, and say how long pieces are. Errors: an option
 * out of range, no memory. On error it is empty. */
ReelStatus model_ngrams_learn(ModelNgrams *ngrams, const ModelNgrams *begin, const ModelWordTexts *texts,
                              const int32_t *numbers, int64_t count, const ModelNgramOptions *options);
/* From pieces in their order, as kept in a checkpoint; least and most are set. Errors: a piece that cannot be
 * one or is there twice, no memory. */
ReelStatus model_ngrams_restore(ModelNgrams *ngrams, const char *const *pieces, int32_t count);
void model_ngrams_free(ModelNgrams *ngrams);

/* A handle for models/text/tokenizer.h: each known word's id, and behind it those of its pieces; of an
 * unknown word the pieces alone. Han, kana and Thai characters that follow each other are cut like one word.
 * The limit is one of words. */
ModelTokenizer model_ngrams_tokenizer(ModelNgrams *ngrams, const ModelVocabulary *vocabulary);

REEL_END_DECLS

#endif

/* Byte-pair encoding as the tokenizer of a data set: learned from the cleaned texts of the training part
 * alone, with <pad> <unk> <bos> <eos> as the first ids. */
#ifndef REEL_MODELS_SUBWORDS_H
#define REEL_MODELS_SUBWORDS_H

#include "models/bpe/bpe.h"
#include "models/text/text.h"
#include "models/text/tokenizer.h"

REEL_BEGIN_DECLS

typedef struct Subwords {
    int64_t vocabulary;      /* ids wanted, the special ones included */
    BpeTokenizer *tokenizer; /* what was learned, or given; the struct's own */
    BpeEncoder *encoder;
    BpeIds scratch;
} Subwords;

/* For DatasetOptions.fit, with a Subwords as fit_context; `vocabulary` says how many ids are wanted. The
 * struct must outlive the data set; subwords_free() frees what was learned. One thread at a time encodes.
 * Where a tokenizer is there already (subwords_adopt(), subwords_move()), that is taken and nothing is
 * learned. */
Status subwords_fit(void *subwords, const TextSpan *texts, int64_t count, Tokenizer *tokenizer);
/* The handle for a tokenizer that is there already, such as one of a checkpoint; takes it over, also where it
 * fails. Its first tokens must be the four special ones. */
Status subwords_adopt(Subwords *subwords, BpeTokenizer *learned, Tokenizer *tokenizer);
/* Hands a tokenizer over, such as a checkpoint's to a data set to be; `from` is empty afterwards. */
void subwords_move(Subwords *to, Subwords *from);
void subwords_free(Subwords *subwords);

REEL_END_DECLS

#endif

/* Byte-pair encoding as the tokenizer of a data set: learned from the cleaned texts of the training part
 * alone, with <pad> <unk> <bos> <eos> as the first ids. */
#ifndef REEL_MODELS_SUBWORDS_H
#define REEL_MODELS_SUBWORDS_H

#include "models/bpe/bpe.h"
#include "models/strings/text.h"
#include "models/text/tokenizer.h"

REEL_BEGIN_DECLS

typedef struct Subwords {
    int64_t wanted;          /* ids to be learned, the special ones included; 0: no byte pairs */
    BpeTokenizer *tokenizer; /* what was learned, or given; the struct's own */
    BpeEncoder *encoder;
    BpeIds scratch;
} Subwords;

/* Learns `wanted` ids from cleaned texts; the handle is good as long as the struct. One thread at a time
 * encodes. */
ReelStatus subwords_fit(Subwords *subwords, const TextSpan *texts, int64_t count, Tokenizer *tokenizer);
/* The handle for a tokenizer that is there already, such as one of a checkpoint; takes it over, also where it
 * fails. Its first tokens must be the four special ones. */
ReelStatus subwords_adopt(Subwords *subwords, BpeTokenizer *learned, Tokenizer *tokenizer);
/* The same with a copy. */
ReelStatus subwords_copy(Subwords *subwords, const BpeTokenizer *learned, Tokenizer *tokenizer);
void subwords_free(Subwords *subwords);

REEL_END_DECLS

#endif

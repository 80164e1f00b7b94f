/* Byte-pair encoding as the tokenizer of a data set: learned from the cleaned texts of the training part
 * alone, with <pad> <unk> <bos> <eos> as the first ids. */
#ifndef REEL_MODELS_SUBWORDS_H
#define REEL_MODELS_SUBWORDS_H

#include "models/bpe/bpe.h"
#include "models/strings/text.h"
#include "models/text/tokenizer.h"
#include "models/text/word_texts.h"

REEL_BEGIN_DECLS

typedef struct ModelSubwords {
    int64_t wanted;               /* ids to be learned, the special ones included; 0: no byte pairs */
    ModelBpeTokenizer *tokenizer; /* what was learned, or given; the struct's own; NULL: another's */
    ModelBpeEncoder *encoder;
    ModelBpeIds scratch;
} ModelSubwords;

/* Learns `wanted` ids from cleaned texts, `count` of them by their numbers; the handle is good as long as the
 * struct. One thread at a time encodes. */
ReelStatus model_subwords_fit(ModelSubwords *subwords, const ModelWordTexts *texts, const int32_t *numbers,
                              int64_t count, ModelTokenizer *tokenizer);
/* The handle for a tokenizer that is there already, such as one of a checkpoint; takes it over, also where it
 * fails. Its first tokens must be the four special ones. */
ReelStatus model_subwords_adopt(ModelSubwords *subwords, ModelBpeTokenizer *learned,
                                ModelTokenizer *tokenizer);
/* The same with a copy. */
ReelStatus model_subwords_copy(ModelSubwords *subwords, const ModelBpeTokenizer *learned,
                               ModelTokenizer *tokenizer);
/* For another thread: an encoder of its own for what `other` encodes, which must outlive it. */
ReelStatus model_subwords_share(ModelSubwords *subwords, const ModelSubwords *other,
                                ModelTokenizer *tokenizer);
void model_subwords_free(ModelSubwords *subwords);

REEL_END_DECLS

#endif

/* What turns a cleaned text into ids: a word vocabulary, or anything else that fills in a ModelTokenizer. */
#ifndef REEL_MODELS_TOKENIZER_H
#define REEL_MODELS_TOKENIZER_H

#include "models/strings/text.h"
#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* The first ids, the same for every tokenizer. */
enum {
    MODEL_TOKEN_PAD = 0,
    MODEL_TOKEN_UNK = 1,
    MODEL_TOKEN_BOS = 2,
    MODEL_TOKEN_EOS = 3,
    MODEL_NUM_SPECIAL_TOKENS = 4
};
/* bos, one token, eos. */
enum { MODEL_TOKENIZER_LEAST_MAX_LEN = 3 };

/* Ids in a row, as many as there are. All zeros is an empty list. */
typedef struct ModelIdList {
    int32_t *ids; /* [count] */
    size_t count, capacity;
} ModelIdList;

/* False where there is no memory; the list is then as before. */
bool model_id_list_push(ModelIdList *list, int32_t id);
void model_id_list_free(ModelIdList *list);

typedef struct ModelTokenizer {
    const void *state;  /* the tokenizer's own; must outlive this handle */
    int32_t vocab_size; /* all ids are below it: V */
    /* Appends the ids of a cleaned text, the first `limit` of them at most, without bos and eos. False
     * where there is no memory. */
    bool (*encode)(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list);
    const struct ModelBpeTokenizer *bpe; /* the byte pairs behind it; NULL for words */
    int32_t
        first_piece; /* ids from it on are pieces of the words before them (models/text/ngrams.h); 0: none */
} ModelTokenizer;

/* Appends <bos>, the ids of a cleaned text and <eos>, at most max_len (3 or more) in all, pieces of words not
 * counted: what is too long loses ids in front of <eos>. <unk> stands for a text of which nothing is left.
 * False where there is no memory; the list is then as before. */
bool model_tokenizer_encode(const ModelTokenizer *tokenizer, ModelTextSpan text, int32_t max_len,
                            ModelIdList *list);

REEL_END_DECLS

#endif

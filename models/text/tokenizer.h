/* What turns a cleaned text into ids: a word vocabulary, or anything else that fills in a Tokenizer. */
#ifndef REEL_MODELS_TOKENIZER_H
#define REEL_MODELS_TOKENIZER_H

#include "models/strings/text.h"
#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* The first ids, the same for every tokenizer. */
enum { TOKEN_PAD = 0, TOKEN_UNK = 1, TOKEN_BOS = 2, TOKEN_EOS = 3, NUM_SPECIAL_TOKENS = 4 };
/* bos, one token, eos. */
enum { TOKENIZER_LEAST_MAX_LEN = 3 };

/* Ids in a row, as many as there are. All zeros is an empty list. */
typedef struct IdList {
    int32_t *ids; /* [count] */
    size_t count, capacity;
} IdList;

/* False where there is no memory; the list is then as before. */
bool id_list_push(IdList *list, int32_t id);
void id_list_free(IdList *list);

typedef struct Tokenizer {
    const void *state;  /* the tokenizer's own; must outlive this handle */
    int32_t vocab_size; /* all ids are below it: V */
    /* Appends the ids of a cleaned text, the first `limit` of them at most, without bos and eos. False
     * where there is no memory. */
    bool (*encode)(const void *state, TextSpan text, size_t limit, IdList *list);
    const struct BpeTokenizer *bpe; /* the byte pairs behind it; NULL for words */
} Tokenizer;

/* Appends <bos>, the ids of a cleaned text and <eos>, at most max_len (3 or more) in all: what is too
 * long loses ids in front of <eos>. <unk> stands for a text of which nothing is left. False where there
 * is no memory; the list is then as before. */
bool tokenizer_encode(const Tokenizer *tokenizer, TextSpan text, int32_t max_len, IdList *list);

REEL_END_DECLS

#endif

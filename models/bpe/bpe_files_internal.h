/* What the readers of the three file formats share. */
#ifndef REEL_MODELS_BPE_FILES_INTERNAL_H
#define REEL_MODELS_BPE_FILES_INTERNAL_H

#include "models/bpe/bpe_internal.h"
#include "tensor/storage/json_reader.h"

/* subword-nmt's cutting as one expression in a tokenizer.json: lines without blanks and carriage returns at
 * both ends, cut at blanks. */
#define BPE_SUBWORD_REGEX "[\\r ]*\\n[\\r ]*|\\A[\\r ]+|[\\r ]+\\z| "

/* A whole file, at most BPE_MAX_FILE_BYTES; free with bytes_free(). */
Status bpe_read_file(const char *path, Bytes *bytes);

/* Tokens in the order of a file, each with its id. */
typedef struct BpeVocabulary {
    BpeStrings names;
    uint32_t *ids; /* [names.count] */
    size_t capacity;
} BpeVocabulary;

void bpe_vocabulary_free(BpeVocabulary *vocabulary);
/* Reads a JSON object { "token": id, ... }. False: json has the error. */
bool bpe_vocabulary_read(BpeVocabulary *vocabulary, JsonReader *json);
/* Adds json->string under that id, unless it is there with that id already. */
bool bpe_vocabulary_add(BpeVocabulary *vocabulary, JsonReader *json, int64_t id);
/* Puts the tokens into `tokens` by id; the ids must be 0 to count - 1. */
bool bpe_vocabulary_sort(const BpeVocabulary *vocabulary, JsonReader *json, BpeStrings *tokens);

/* Appends the merge of two tokens, which must be in parts->tokens together with what they make. `what` is
 * filled with the reason where this is false. */
typedef struct BpeMergeText {
    const char *left, *right;
    size_t left_size, right_size;
} BpeMergeText;
bool bpe_add_merge(BpeTokenizer *parts, size_t *capacity, BpeMergeText merge, char what[200]);
/* "left right", exactly one blank. */
bool bpe_split_merge(const char *text, size_t size, BpeMergeText *merge);

/* Appends the members of { "token": id, ... } in the order of ids, `indent` before each. False: no memory. */
bool bpe_write_vocab(const BpeTokenizer *tokenizer, Bytes *out, const char *indent);

/* The files that are text, from memory; the names stand in messages. */
Status bpe_gpt2_from_memory(BpeTokenizer **tokenizer, const char *vocab, size_t vocab_size,
                            const char *vocab_name, const char *merges, size_t merges_size,
                            const char *merges_name);
Status bpe_codes_from_memory(BpeTokenizer **tokenizer, const char *text, size_t size, const char *name,
                             const char *unk_token);

/* Lines of a text file. */
typedef struct BpeLineReader {
    const char *at, *end;
    size_t number; /* of the line that was read last; 1 is the first */
    const char *text;
    size_t size; /* without the line feed and a carriage return before it */
} BpeLineReader;
bool bpe_next_line(BpeLineReader *lines);

#endif

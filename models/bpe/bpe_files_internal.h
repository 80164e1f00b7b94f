/* What the readers of the three file formats share. */
#ifndef REEL_MODELS_BPE_FILES_INTERNAL_H
#define REEL_MODELS_BPE_FILES_INTERNAL_H

#include "models/bpe/bpe_internal.h"
#include "tensor/storage/json_reader.h"

/* subword-nmt's cutting as one expression in a tokenizer.json: lines without blanks and carriage returns at
 * both ends, cut at blanks. */
#define BPE_SUBWORD_REGEX "[\\r ]*\\n[\\r ]*|\\A[\\r ]+|[\\r ]+\\z| "

enum { BPE_SHOWN = 64 };
/* The start of the last string that was read as a message shows it: whole characters, on one line. Returns
 * out. */
const char *model_bpe_shown(const ReelJsonReader *json, char out[BPE_SHOWN]);

/* One part of a tokenizer's pipeline: the members of those that are known. */
typedef struct BpePart {
    char type[BPE_SHOWN], behavior[BPE_SHOWN], suffix[BPE_SHOWN];
    size_t at; /* where in the file */
    bool add_prefix_space, trim_offsets, use_regex, invert;
    bool splits_words; /* by BPE_SUBWORD_REGEX */
    bool adds_nothing; /* a template that is the text alone */
} BpePart;

enum { BPE_MAX_PARTS = BPE_MAX_NORMAL_FORMS };

typedef struct BpeParts {
    BpePart items[BPE_MAX_PARTS];
    int count;
    bool present; /* not null; may still be an empty Sequence */
    size_t at;
} BpeParts;

typedef struct BpePipeline {
    BpeParts normalizer, pretokenizer, post, decoder;
} BpePipeline;

/* Reads one part, a Sequence of them under the key `list`, or null. False: json has the error. */
bool model_bpe_parts_read(ReelJsonReader *json, BpeParts *parts, const char *list);
/* Sets what the pipeline asks for, or refuses it. */
bool model_bpe_pipeline_apply(ReelJsonReader *json, const BpePipeline *pipeline, bool has_word_end,
                              BpeConfig *config);

/* A whole file, at most MODEL_BPE_MAX_FILE_BYTES; free with reel_bytes_free(). */
ReelStatus model_bpe_read_file(const char *path, ReelBytes *bytes);

/* Tokens in the order of a file, each with its id. */
typedef struct BpeVocabulary {
    ModelStringTable names;
    uint32_t *ids; /* [names.count] */
    size_t capacity;
} BpeVocabulary;

void model_bpe_vocabulary_free(BpeVocabulary *vocabulary);
/* Reads a JSON object { "token": id, ... }. False: json has the error. */
bool model_bpe_vocabulary_read(BpeVocabulary *vocabulary, ReelJsonReader *json);
/* Adds json->string under that id, unless it is there with that id already. */
bool model_bpe_vocabulary_add(BpeVocabulary *vocabulary, ReelJsonReader *json, int64_t id);
enum { BPE_MAX_HOLES = 1 << 18 }; /* ids without a token, below the largest that has one */
/* Puts the tokens into `tokens` by id, and an empty string where an id has none. */
bool model_bpe_vocabulary_sort(const BpeVocabulary *vocabulary, ReelJsonReader *json,
                               ModelStringTable *tokens);

/* Appends the merge of two tokens, which must be in parts->tokens together with what they make. `what` is
 * filled with the reason where this is false. */
typedef struct BpeMergeText {
    const char *left, *right;
    size_t left_size, right_size;
} BpeMergeText;
bool model_bpe_add_merge(ModelBpeTokenizer *parts, size_t *capacity, BpeMergeText merge, char what[200]);
/* "left right", exactly one blank. */
bool model_bpe_split_merge(const char *text, size_t size, BpeMergeText *merge);

/* model_bpe_tokenizer_make(), with the file's name before what is wrong. */
ReelStatus model_bpe_tokenizer_make_from(ModelBpeTokenizer **tokenizer, ModelBpeTokenizer *parts,
                                         const char *name);

/* Appends the members of { "token": id, ... } in the order of ids, `indent` before each. False: no memory. */
bool model_bpe_write_vocab(const ModelBpeTokenizer *tokenizer, ReelBytes *out, const char *indent);

/* The files that are text, from memory; the names stand in messages. */
ReelStatus model_bpe_gpt2_from_memory(ModelBpeTokenizer **tokenizer, const char *vocab, size_t vocab_size,
                                      const char *vocab_name, const char *merges, size_t merges_size,
                                      const char *merges_name);
ReelStatus model_bpe_codes_from_memory(ModelBpeTokenizer **tokenizer, const char *text, size_t size,
                                       const char *name, const char *unk_token);

/* Lines of a text file. */
typedef struct BpeLineReader {
    const char *at, *end;
    size_t number; /* of the line that was read last; 1 is the first */
    const char *text;
    size_t size; /* without the line feed and a carriage return before it */
} BpeLineReader;
bool model_bpe_next_line(BpeLineReader *lines);

#endif

/* Byte-pair encoding (Gage 1994; Sennrich, Haddow & Birch 2016, arXiv 1508.07909): train, encode, decode,
 * save and load. docs/bpe.md tells how it works and what it agrees with.
 *
 * A ModelBpeTokenizer never changes once it is made, so any number of threads may read it. What a thread
 * needs to encode (a cache of pieces and scratch memory) is in a ModelBpeEncoder, one for each thread. The
 * cache never changes a result. */
#ifndef REEL_MODELS_BPE_H
#define REEL_MODELS_BPE_H

#include "tensor/bytes.h"
#include "tensor/decls.h"
#include "tensor/pool.h"
#include "tensor/random.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* A trained tokenizer; what encodes with it; what counts for training. */
typedef struct ModelBpeTokenizer ModelBpeTokenizer;
typedef struct ModelBpeEncoder ModelBpeEncoder;
typedef struct ModelBpeCounter ModelBpeCounter;

/* How a text is cut into pieces, over whose borders nothing is merged. */
typedef enum {
    MODEL_BPE_WHITESPACE, /* at Unicode white space, which is dropped; symbols are code points */
    MODEL_BPE_BYTELEVEL,  /* GPT-2's expression; symbols are bytes, nothing is lost */
    /* At U+0020 and line feeds; symbols are code points, the last one of a word has </w>. */
    MODEL_BPE_SUBWORD_NMT
} ModelBpePretokenizer;

enum {
    MODEL_BPE_MAX_TOKENS = (1 << 21) - 1, /* the largest vocabulary */
    MODEL_BPE_MAX_FILE_BYTES = 512 << 20, /* the largest tokenizer file that is read */
    MODEL_BPE_MAX_SPECIAL_TOKENS = 4096   /* of one tokenizer */
};

/* A row of ids that grows; starts from {0}. */
typedef struct ModelBpeIds {
    int32_t *ids;
    size_t count, capacity;
} ModelBpeIds;
/* Empty again, and without memory. */
void model_bpe_ids_free(ModelBpeIds *ids);

/* ---- Training ---- */

/* Told from the thread that called; `done` and `total` count bytes of text while `phase` is "count" (total
 * 0: not known), tokens while it is "merge". */
typedef void (*ModelBpeProgress)(void *context, const char *phase, uint64_t done, uint64_t total);

typedef struct ModelBpeOptions {
    ModelBpePretokenizer pretokenizer;
    int64_t vocab_size;       /* special tokens and alphabet included; 0: no limit but min_frequency */
    int64_t max_merges;       /* 0: no limit */
    int64_t min_frequency;    /* a pair seen less often is not merged; 0: 1, for subword-nmt 2 */
    int64_t max_token_length; /* as in Hugging Face's trainer: in symbols, exclusive; 0: no limit */
    const char *const *special_tokens; /* get the first ids; matched in the text before anything else */
    size_t special_count;
    const char *unk_token; /* stands for unknown symbols, NULL: they are dropped; must be a special token */
    bool add_prefix_space; /* byte level: a text that does not begin with a blank gets one */
    int threads;           /* for counting; 0: one. The result does not depend on it. */
    ModelBpeProgress progress; /* or NULL */
    void *progress_context;
} ModelBpeOptions;

/* Collects pieces and how often each occurs; NULL when there is no memory. Strings in `options` must live
 * as long as the counter. */
ModelBpeCounter *model_bpe_counter_new(const ModelBpeOptions *options);
void model_bpe_counter_free(ModelBpeCounter *counter);
/* One text, as a whole: line feeds in it are characters like others (subword-nmt: ends of lines). */
ReelStatus model_bpe_counter_add(ModelBpeCounter *counter, const char *text, size_t size);
/* A file, line by line, each with its line feed; "-" is the standard input. The file is streamed: what is
 * in memory is a few megabytes, or its longest line. */
ReelStatus model_bpe_counter_add_file(ModelBpeCounter *counter, const char *path);
/* Bytes of text, pieces and different pieces so far. */
typedef struct ModelBpeCounts {
    uint64_t bytes, pieces, different;
} ModelBpeCounts;
ModelBpeCounts model_bpe_counter_counts(ModelBpeCounter *counter);

/* Learns a tokenizer; the counter is emptied on the way (its memory is needed), and must still be freed. */
ReelStatus model_bpe_train(ModelBpeTokenizer **tokenizer, ModelBpeCounter *counter);

/* ---- A tokenizer ---- */

void model_bpe_tokenizer_free(ModelBpeTokenizer *tokenizer);
/* The number of tokens; ids are 0 to this less one. */
int32_t model_bpe_vocab_size(const ModelBpeTokenizer *tokenizer);
int64_t model_bpe_merge_count(const ModelBpeTokenizer *tokenizer);
ModelBpePretokenizer model_bpe_pretokenizer(const ModelBpeTokenizer *tokenizer);
const char *
model_bpe_pretokenizer_name(ModelBpePretokenizer pretokenizer); /* "whitespace", "bytelevel", "subword-nmt" */
/* The id of the token that stands for unknown symbols, or -1. */
int32_t model_bpe_unk_id(const ModelBpeTokenizer *tokenizer);
/* The token as it is written in files (byte level: each byte as a printable character), or NULL for an id
 * that is none. Ended by a NUL; *size may be NULL. */
const char *model_bpe_token_text(const ModelBpeTokenizer *tokenizer, int32_t id, size_t *size);
/* The id of a token written so, or -1. */
int32_t model_bpe_token_id(const ModelBpeTokenizer *tokenizer, const char *text, size_t size);
/* The ids of merge number `rank`; false where there is none. */
bool model_bpe_merge(const ModelBpeTokenizer *tokenizer, int64_t rank, int32_t *left, int32_t *right,
                     int32_t *product);

/* ---- Encoding ---- */

/* NULL when there is no memory. The tokenizer must outlive the encoder. */
ModelBpeEncoder *model_bpe_encoder_new(const ModelBpeTokenizer *tokenizer);
void model_bpe_encoder_free(ModelBpeEncoder *encoder);
/* Appends the ids of one text. Any bytes are allowed, NUL and broken UTF-8 included. */
ReelStatus model_bpe_encode(ModelBpeEncoder *encoder, const char *text, size_t size, ModelBpeIds *ids);
/* Appends the ids of each line (without its line feed), and to `ends` the value of ids->count after each
 * line; a last line without a line feed counts. */
ReelStatus model_bpe_encode_lines(ModelBpeEncoder *encoder, const char *text, size_t size, ModelBpeIds *ids,
                                  ModelBpeIds *ends);
/* model_bpe_encode_lines() by as many threads as the pool has: the text is cut into `count` parts of whole
 * lines, part i is encoded by encoders[i] and appended to ids[i] and ends[i] (whose numbers refer to ids[i]).
 * The parts one after the other are what one encoder gives. */
ReelStatus model_bpe_encode_parallel(ModelBpeEncoder *const *encoders, int count, TensorPool *pool,
                                     const char *text, size_t size, ModelBpeIds *ids, ModelBpeIds *ends);
/* BPE dropout (Provilkov, Emelianenko & Voita 2020, arXiv 1910.13267): before each merge every candidate
 * is left out with this probability, so that a text has many encodings. 0 (the start) turns it off. The
 * numbers drawn depend on the seed and on what was encoded since this call alone. */
void model_bpe_encoder_set_dropout(ModelBpeEncoder *encoder, double probability, uint64_t seed);

/* ---- Decoding ---- */

/* Appends the text of the ids. Byte level: the very bytes. Whitespace: tokens with blanks between.
 * subword-nmt: words with blanks between. Special tokens are left out where skip_special is true. */
ReelStatus model_bpe_decode(const ModelBpeTokenizer *tokenizer, const int32_t *ids, size_t count,
                            bool skip_special, ReelBytes *text);

/* ---- Files ---- */

/* Hugging Face's tokenizer.json, from memory and to memory. `name` stands in messages, which also say the
 * byte offset. */
ReelStatus model_bpe_from_json(ModelBpeTokenizer **tokenizer, const char *json, size_t size,
                               const char *name);
ReelStatus model_bpe_to_json(const ModelBpeTokenizer *tokenizer, ReelBytes *json);
ReelStatus model_bpe_load(ModelBpeTokenizer **tokenizer, const char *path);
/* Written beside the target, then renamed: there is never half a file. */
ReelStatus model_bpe_save(const ModelBpeTokenizer *tokenizer, const char *path);

/* GPT-2's pair of files; only for byte level. */
ReelStatus model_bpe_load_gpt2(ModelBpeTokenizer **tokenizer, const char *vocab_path,
                               const char *merges_path);
ReelStatus model_bpe_save_gpt2(const ModelBpeTokenizer *tokenizer, const char *vocab_path,
                               const char *merges_path);
/* subword-nmt's codes (#version 0.2); only for subword-nmt. The file has no vocabulary: loading gives ids
 * to the symbols in the codes by code point, then to the merges; `unk_token` may be NULL. */
ReelStatus model_bpe_load_codes(ModelBpeTokenizer **tokenizer, const char *path, const char *unk_token);
ReelStatus model_bpe_save_codes(const ModelBpeTokenizer *tokenizer, const char *path);

REEL_END_DECLS

#endif

/* What the files of the tokenizer share. */
#ifndef REEL_MODELS_BPE_INTERNAL_H
#define REEL_MODELS_BPE_INTERNAL_H

#include "models/strings/string_table.h"
#include "models/bpe/bpe.h"
#include "tensor/utf8.h"

#include <string.h>

#define BPE_WORD_END    "</w>"
#define BPE_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

enum { BPE_NONE = -1 };

/* ---- Unicode (bpe_unicode.c) ---- */

/* Those of GPT-2's expression: the general categories L* and N*, and the property White_Space. */
typedef enum { BPE_OTHER, BPE_LETTER, BPE_NUMBER, BPE_SPACE } BpeClass;

BpeClass model_bpe_class(uint32_t code);
/* \\w of Rust's regex: letters, marks, digits, connectors and joiners. */
bool model_bpe_is_word(uint32_t code);
/* Whether Reel is built with utf8proc. Without it letters and numbers outside of ASCII are not known, and
 * nothing is normalized. */
bool model_bpe_knows_unicode(void);

/* GPT-2's mapping of a byte to a printable character, and back (-1: not a mapped character). */
uint32_t model_bpe_byte_to_code(uint8_t byte);
int model_bpe_code_to_byte(uint32_t code);

/* ---- Normalization (bpe_normalize.c) ---- */

typedef enum { BPE_NFC, BPE_NFD, BPE_NFKC, BPE_NFKD } BpeNormalForm;
enum { BPE_NORMAL_FORM_COUNT = 4 };
typedef struct BpeConfig BpeConfig;

const char *model_bpe_normal_form_name(BpeNormalForm form);
bool model_bpe_normal_form_find(const char *name, BpeNormalForm *form);
/* Whether it is seen at once that there is nothing to do. */
bool model_bpe_is_normal(const BpeConfig *config, const char *text, size_t size);
/* Appends the normalized text. False: no memory. */
bool model_bpe_normalize(const BpeConfig *config, const char *text, size_t size, ReelBytes *out);

/* ---- Pieces (bpe_pretokenize.c) ---- */

typedef struct BpePiece {
    const char *text;
    size_t size;
} BpePiece;

typedef enum {
    BPE_ONE_TEXT,    /* line feeds are characters like others */
    BPE_LINES_KEPT,  /* each line is a text of its own and ends with its line feed */
    BPE_LINES_MARKED /* each line is a text of its own; a piece "\n" stands for each line feed */
} BpeLines;

typedef struct BpeSplitter {
    ModelBpePretokenizer mode;
    BpeLines lines;
    const char *text;
    size_t size, block;    /* `block`: the next 64 bytes to look at */
    uint64_t starts, gaps; /* of the block before it: where segments begin, and which are no pieces */
    size_t open;           /* the segment that is not closed yet */
    bool open_is_gap, done;
    /* What the last character of the block leaves to the next one. */
    bool letter, number, other, space, blank, newline;
    BpeClass wide_class; /* of a character that goes on in the next block */
    unsigned wide_left;
    uint64_t set_next, clear_next;
    /* subword-nmt: up to where carriage returns have been looked for, forward, and backward with what result
     */
    size_t solid, lead;
    bool is_lead;
} BpeSplitter;

void model_bpe_split(BpeSplitter *splitter, ModelBpePretokenizer mode, BpeLines lines, const char *text,
                     size_t size);
/* The next pieces, at most `room` (at least 64) of them; 0: there are no more. */
size_t model_bpe_split_next(BpeSplitter *splitter, BpePiece *pieces, size_t room);

/* ---- Pieces as keys of hash tables ---- */

/* A piece of up to 15 bytes is its own key, with its size in the last byte; a longer one is a hash with 255
 * there and must be compared. */
typedef struct BpeKey {
    uint64_t low, high;
} BpeKey;

static inline uint64_t bpe_load64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The product alone would forget one factor where the other is 0. */
static inline uint64_t bpe_mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ a ^ b;
}

uint64_t model_bpe_hash_bytes(const char *text, size_t size);

enum { BPE_KEY_INLINE = 15 };

/* `end` is the end of what may be read. */
extern const BpeKey model_bpe_key_masks[BPE_KEY_INLINE + 1];

static inline BpeKey bpe_key(const char *text, size_t size, const char *end)
{
    BpeKey key = {0, 0};
    if (__builtin_expect(size > BPE_KEY_INLINE, 0)) {
        key.low = model_bpe_hash_bytes(text, size);
        key.high = (uint64_t)255 << 56;
        return key;
    }
    if (__builtin_expect((size_t)(end - text) >= 16, 1)) {
        key.low = bpe_load64(text) & model_bpe_key_masks[size].low;
        key.high = bpe_load64(text + 8) & model_bpe_key_masks[size].high;
    } else {
        memcpy(&key, text, size);
    }
    key.high |= (uint64_t)size << 56;
    return key;
}

static inline uint64_t bpe_key_hash(BpeKey key)
{
    return bpe_mix(key.low ^ 0x9E3779B97F4A7C15u, key.high ^ 0xD1B54A32D192ED03u);
}

/* ---- Words and their counts (bpe_count.c) ---- */

/* The different pieces, visited in an order that depends on the hash alone. */
typedef struct BpeWord {
    const char *text;
    size_t size;
    uint64_t count;
} BpeWord;
/* Brings the counts of all threads together; before the three below. False: no memory; may be called again.
 */
bool model_bpe_counter_gather(ModelBpeCounter *counter);
const ModelBpeOptions *model_bpe_counter_options(const ModelBpeCounter *counter);
size_t model_bpe_counter_slots(const ModelBpeCounter *counter);
/* False for a slot that is empty. */
bool model_bpe_counter_word(const ModelBpeCounter *counter, size_t slot, BpeWord *word);
void model_bpe_counter_clear(ModelBpeCounter *counter);

/* Copies the text with a blank in front where there is none. */
bool model_bpe_prefix_text(ReelBytes *out, const char *text, size_t size);

/* ---- The tokenizer (bpe_tokenizer.c) ---- */

typedef struct BpeMerge {
    uint32_t left, right, product;
} BpeMerge;

/* A token that is looked for in the text before it is cut into pieces. */
typedef struct BpeAdded {
    uint32_t id, pattern; /* `pattern`: which of t->patterns */
    bool special, lstrip, rstrip, single_word, normalized;
    bool outside; /* no token of the model: what is left of the text never becomes it */
} BpeAdded;

enum { BPE_MAX_NORMAL_FORMS = 8 };

struct BpeConfig {
    BpeNormalForm normal_forms[BPE_MAX_NORMAL_FORMS]; /* one after the other */
    int normal_form_count;
    ModelBpePretokenizer pretokenizer;
    bool add_prefix_space, trim_offsets;
    bool byte_fallback, fuse_unk, ignore_merges;
    int32_t unk_id; /* or BPE_NONE */
};

enum { BPE_IS_SPECIAL = 1, BPE_IS_OUTSIDE = 2 };

/* The pair table: open addressing, slots of (left, right, rank), 21 bits each; all ones: empty. */
enum { BPE_ID_BITS = 21, BPE_DENSE = 256 };
#define BPE_NO_RANK UINT32_MAX

struct ModelBpeTokenizer {
    BpeConfig config;
    ModelStringTable tokens; /* as they are written in files */
    char *decoded;           /* byte level: the bytes that they stand for, otherwise NULL */
    size_t *decoded_at;      /* [count + 1] */
    BpeMerge *merges;        /* by rank */
    size_t merge_count;
    BpeAdded *added; /* first those that are not "normalized", of each kind the longest text first */
    size_t added_count, added_raw; /* all; those that are not "normalized" */
    ModelStringTable patterns;     /* what added tokens are looked for as: those that are, normalized */
    bool needs_valid;              /* what is no UTF-8 must be replaced before tokens are looked for */
    size_t hole_count;             /* ids without a token */
    uint8_t *flags;                /* [count], of BPE_IS_... */
    uint8_t added_first[256];      /* whether an added token begins with this byte */
    int added_byte;                /* the byte that all of them begin with, or -1 */
    uint32_t *dense; /* [BPE_DENSE^2]: the ranks of pairs of low ids, which the alphabet mostly has */
    uint64_t *pairs;
    size_t pair_mask;
    unsigned pair_shift;
    int32_t byte_ids[256];     /* byte level: of each byte; otherwise of each ASCII character, or BPE_NONE */
    int32_t final_ids[256];    /* subword-nmt: with </w>; otherwise the same as byte_ids */
    int32_t fallback_ids[256]; /* of <0x00> to <0xFF>, or BPE_NONE */
    int64_t product_base;      /* the result of merge r is token product_base + r; -1: it is not so simple */
    bool rising;               /* every merge comes after those that made its parts */
};

static inline bool bpe_is_outside(const ModelBpeTokenizer *t, size_t id)
{
    return t->flags[id] & BPE_IS_OUTSIDE;
}

/* The id of a token of the model, or BPE_NONE. */
static inline int64_t bpe_model_id(const ModelBpeTokenizer *t, const char *text, size_t size)
{
    int64_t id = model_string_table_find(&t->tokens, (ModelTextSpan){text, size});
    return id >= 0 && bpe_is_outside(t, (size_t)id) ? BPE_NONE : id;
}

/* Takes over what `parts` holds (config, tokens, merges, added) whether it succeeds or not. */
ReelStatus model_bpe_tokenizer_make(ModelBpeTokenizer **tokenizer, ModelBpeTokenizer *parts);
/* Whether a build without utf8proc knows all that such a tokenizer asks for; the error says what it does not.
 */
ReelStatus model_bpe_check_unicode(const BpeConfig *config, bool single_words);
/* Frees what it holds, not the struct. */
void model_bpe_tokenizer_drop(ModelBpeTokenizer *parts);

static inline uint64_t bpe_pair_key(uint32_t left, uint32_t right)
{
    return (uint64_t)left << BPE_ID_BITS | right;
}

static inline size_t bpe_pair_hash(uint64_t key, unsigned shift)
{
    return (size_t)(key * 0x9E3779B97F4A7C15u >> shift);
}

/* The rank of a pair's merge, or BPE_NO_RANK. */
static inline uint32_t bpe_pair_rank(const ModelBpeTokenizer *t, uint32_t left, uint32_t right)
{
    uint64_t key = bpe_pair_key(left, right);
    for (size_t slot = bpe_pair_hash(key, t->pair_shift);; slot = (slot + 1) & t->pair_mask) {
        uint64_t entry = t->pairs[slot];
        if (entry >> BPE_ID_BITS == key)
            return (uint32_t)(entry & ((1u << BPE_ID_BITS) - 1));
        if (entry == UINT64_MAX)
            return BPE_NO_RANK;
    }
}

/* The same, faster where both are symbols of the alphabet. */
static inline uint32_t bpe_symbol_pair_rank(const ModelBpeTokenizer *t, uint32_t left, uint32_t right)
{
    if ((left | right) < BPE_DENSE)
        return t->dense[left * BPE_DENSE + right];
    return bpe_pair_rank(t, left, right);
}

/* ---- Merging one piece (bpe_merge.c) ---- */

/* Scratch memory for pieces of any length. */
typedef struct BpeScratch {
    uint32_t *symbols;
    size_t capacity;
    uint64_t *heap;
    size_t heap_count, heap_capacity;
    uint64_t *skipped;
    size_t skipped_capacity;
    uint32_t *links; /* [2 * capacity] */
    size_t links_capacity;
    uint32_t *lists;
} BpeScratch;

void model_bpe_scratch_free(BpeScratch *scratch);
/* Merges symbols[0 .. count) in place; the number of symbols left. False: no memory. random NULL: no dropout.
 */
bool model_bpe_merge_symbols(const ModelBpeTokenizer *tokenizer, BpeScratch *scratch, size_t *count,
                             double dropout, TensorRandom *random);
/* A piece of at most BPE_LANES symbols; see model_bpe_merge_words(). */
enum { BPE_LANES = 16 };
typedef struct BpeShortWord {
    uint32_t symbols[BPE_LANES];
    int32_t keys[BPE_LANES];
    uint32_t alive; /* bit i: symbols[i] is there */
} BpeShortWord;
/* Merges many words at once, so that the cache misses of one are waited for together with the others'. In
 * each word symbols and alive are set, alive not 0; the same afterwards. */
void model_bpe_merge_words(const ModelBpeTokenizer *tokenizer, BpeShortWord *words, size_t count);
/* The symbols of a piece, put into scratch->symbols. False: no memory. */
bool model_bpe_piece_symbols(const ModelBpeTokenizer *tokenizer, BpeScratch *scratch, const char *text,
                             size_t size, size_t *count);

/* ---- Growing buffers (bpe_buffer.c) ---- */

/* Room for `more` further elements. False: no memory. */
bool model_bpe_ids_reserve(ModelBpeIds *ids, size_t more);
/* count * element bytes, zero, on huge pages where the system gives them; free with reel_mem_free(). */
void *model_bpe_table_alloc(size_t count, size_t element);

#endif

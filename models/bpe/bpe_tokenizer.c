#define _GNU_SOURCE
/* A tokenizer as it is used: from tokens and merges to the tables that encoding and decoding read. */
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>

void model_bpe_tokenizer_drop(ModelBpeTokenizer *t)
{
    model_string_table_free(&t->tokens);
    model_string_table_free(&t->patterns);
    reel_mem_free(t->decoded);
    reel_mem_free(t->decoded_at);
    reel_mem_free(t->merges);
    reel_mem_free(t->added);
    reel_mem_free(t->flags);
    reel_mem_free(t->pairs);
    reel_mem_free(t->dense);
}

void model_bpe_tokenizer_free(ModelBpeTokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    model_bpe_tokenizer_drop(tokenizer);
    reel_mem_free(tokenizer);
}

/* Where a pair is merged twice in a file, the later rank holds, as in Hugging Face's table. */
static bool make_pairs(ModelBpeTokenizer *t)
{
    unsigned bits = 6;
    while (((size_t)1 << bits) < t->merge_count * 2)
        bits++;
    size_t slots = (size_t)1 << bits;
    t->pair_mask = slots - 1;
    t->pair_shift = 64 - bits;
    t->pairs = reel_mem_alloc(slots * sizeof *t->pairs);
    t->dense = reel_mem_alloc(BPE_DENSE * BPE_DENSE * sizeof *t->dense);
    if (!t->pairs || !t->dense)
        return false;
    memset(t->dense, 0xFF, BPE_DENSE * BPE_DENSE * sizeof *t->dense);
    memset(t->pairs, 0xFF, slots * sizeof *t->pairs);
    for (size_t rank = 0; rank < t->merge_count; rank++) {
        uint32_t left = t->merges[rank].left, right = t->merges[rank].right;
        uint64_t key = bpe_pair_key(left, right);
        if ((left | right) < BPE_DENSE)
            t->dense[left * BPE_DENSE + right] = (uint32_t)rank;
        size_t slot = bpe_pair_hash(key, t->pair_shift);
        while (t->pairs[slot] != UINT64_MAX && t->pairs[slot] >> BPE_ID_BITS != key)
            slot = (slot + 1) & t->pair_mask;
        t->pairs[slot] = key << BPE_ID_BITS | rank;
    }
    return true;
}

/* The bytes of a mapped text, or, as in Hugging Face, the text itself where one of its characters maps no
 * byte. Returns the size. */
static size_t unmap(const char *text, size_t size, char *out)
{
    size_t written = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        int length = reel_utf8_decode((const uint8_t *)text + at, size - at, &code);
        int byte = length ? model_bpe_code_to_byte(code) : -1;
        if (byte < 0) {
            memcpy(out, text, size);
            return size;
        }
        out[written++] = (char)byte;
        at += (size_t)length;
    }
    return written;
}

/* Special tokens are text, not mapped bytes. */
static bool make_decoded(ModelBpeTokenizer *t)
{
    if (t->config.pretokenizer != MODEL_BPE_BYTELEVEL)
        return true;
    t->decoded = reel_mem_alloc(t->tokens.bytes_used + 16);
    t->decoded_at = reel_mem_alloc(((size_t)t->tokens.count + 1) * sizeof *t->decoded_at);
    if (!t->decoded || !t->decoded_at)
        return false;
    size_t used = 0;
    for (size_t id = 0; id < (size_t)t->tokens.count; id++) {
        ModelTextSpan token = model_string_table_span(&t->tokens, id);
        t->decoded_at[id] = used;
        used += unmap(token.bytes, token.length, t->decoded + used);
    }
    t->decoded_at[t->tokens.count] = used;
    return true;
}

static int32_t id_of(const ModelBpeTokenizer *t, const char *text, size_t size)
{
    return (int32_t)bpe_model_id(t, text, size);
}

static void make_symbols(ModelBpeTokenizer *t)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[16];
        bool mapped = t->config.pretokenizer == MODEL_BPE_BYTELEVEL;
        size_t size =
            (size_t)reel_utf8_encode(mapped ? model_bpe_byte_to_code((uint8_t)byte) : (uint32_t)byte, text);
        t->byte_ids[byte] = mapped || byte < 128 ? id_of(t, text, size) : BPE_NONE;
        t->final_ids[byte] = t->byte_ids[byte];
        if (t->config.pretokenizer == MODEL_BPE_SUBWORD_NMT) {
            memcpy(text + size, BPE_WORD_END, 4);
            t->final_ids[byte] = byte < 128 ? id_of(t, text, size + 4) : BPE_NONE;
        }
        size = (size_t)snprintf(text, sizeof text, "<0x%02X>", byte);
        t->fallback_ids[byte] = t->config.byte_fallback ? id_of(t, text, size) : BPE_NONE;
    }
}

/* Those that are looked for first are first, the longest of them before others. */
static int compare_added(const void *a, const void *b, void *context)
{
    const ModelBpeTokenizer *t = context;
    const BpeAdded *x = a, *y = b;
    if (x->normalized != y->normalized)
        return x->normalized - y->normalized;
    size_t p = model_string_table_span(&t->patterns, x->pattern).length,
           q = model_string_table_span(&t->patterns, y->pattern).length;
    return p != q ? (p < q) - (p > q) : (x->id > y->id) - (x->id < y->id);
}

static bool make_patterns(ModelBpeTokenizer *t)
{
    ReelBytes text = {0};
    bool fine = true;
    for (size_t i = 0; i < t->added_count && fine; i++) {
        BpeAdded *added = &t->added[i];
        ModelTextSpan token = model_string_table_span(&t->tokens, added->id);
        text.size = 0;
        added->pattern = (uint32_t)i;
        fine = (added->normalized ? model_bpe_normalize(&t->config, token.bytes, token.length, &text)
                                  : reel_bytes_append(&text, token.bytes, token.length)) &&
               model_string_table_append(&t->patterns,
                                         (ModelTextSpan){text.data ? text.data : "", text.size}) >= 0;
    }
    reel_bytes_free(&text);
    return fine;
}

static bool make_added(ModelBpeTokenizer *t)
{
    if (!(t->flags = reel_mem_calloc((size_t)t->tokens.count, 1)) || !make_patterns(t))
        return false;
    if (t->added_count)
        qsort_r(t->added, t->added_count, sizeof *t->added, compare_added, t);
    t->added_raw = 0;
    t->needs_valid = t->config.ignore_merges;
    for (size_t i = 0; i < t->added_count; i++) {
        t->added_raw += !t->added[i].normalized;
        const char *pattern = model_string_table_span(&t->patterns, t->added[i].pattern).bytes;
        uint8_t first = (uint8_t)pattern[0];
        t->flags[t->added[i].id] = (uint8_t)((t->added[i].special ? BPE_IS_SPECIAL : 0) |
                                             (t->added[i].outside ? BPE_IS_OUTSIDE : 0));
        t->added_first[first] = 1;
        t->needs_valid |= strstr(pattern, BPE_REPLACEMENT) != NULL;
        t->added_byte = i == 0 || t->added_byte == first ? first : -1;
    }
    return true;
}

/* Whether a merge never yields a pair of lower rank: then all merges of a rank can be made in one go. */
static bool make_rising(ModelBpeTokenizer *t)
{
    uint32_t *made = reel_mem_alloc(((size_t)t->tokens.count + 1) * sizeof *made);
    if (!made)
        return false;
    for (size_t i = 0; i < (size_t)t->tokens.count; i++)
        made[i] = 0; /* by no merge yet: one more than the rank otherwise */
    t->rising = true;
    for (size_t rank = 0; rank < t->merge_count && t->rising; rank++) {
        const BpeMerge *m = &t->merges[rank];
        uint32_t *product = &made[m->product];
        t->rising = *product == 0 && bpe_pair_rank(t, m->left, m->right) == rank;
        *product = (uint32_t)rank + 1;
    }
    for (size_t rank = 0; rank < t->merge_count && t->rising; rank++) {
        const BpeMerge *m = &t->merges[rank];
        t->rising = made[m->left] <= rank && made[m->right] <= rank;
    }
    reel_mem_free(made);
    int64_t base = t->merge_count ? (int64_t)t->merges[0].product : 0;
    t->product_base = base;
    for (size_t rank = 0; rank < t->merge_count; rank++)
        if (t->merges[rank].product != base + (int64_t)rank)
            t->product_base = -1;
    return true;
}

/* Merges are of the model's own tokens. Of two added tokens that normalization makes the same, Hugging Face
 * finds now the one, now the other. */
static ReelStatus check_added(const ModelBpeTokenizer *t)
{
    for (size_t i = 0; i < t->merge_count; i++) {
        const BpeMerge *m = &t->merges[i];
        if (bpe_is_outside(t, m->left) || bpe_is_outside(t, m->right) || bpe_is_outside(t, m->product))
            return reel_status_failed(
                "merge %zu has an added token that is not in the model's vocabulary; add it "
                "there, or take the merge out",
                i);
    }
    for (size_t i = t->added_raw + 1; i < t->added_count; i++)
        for (size_t k = i; k-- > t->added_raw;) { /* as long ones stand together */
            ModelTextSpan a = model_string_table_span(&t->patterns, t->added[i].pattern),
                          b = model_string_table_span(&t->patterns, t->added[k].pattern);
            if (b.length != a.length)
                break;
            if (memcmp(a.bytes, b.bytes, a.length) == 0)
                return reel_status_failed(
                    "added tokens %u and %u are the same when normalized: which of them is "
                    "found would be left to chance; take one of them out",
                    t->added[k].id, t->added[i].id);
        }
    return reel_status_ok();
}

ReelStatus model_bpe_check_unicode(const BpeConfig *config, bool single_words)
{
    const char *what = config->pretokenizer == MODEL_BPE_BYTELEVEL
                           ? "ByteLevel, which cuts at letters and numbers,"
                       : config->normal_form_count ? "a normalizer"
                       : single_words              ? "an added token that is a single_word"
                                                   : NULL;
    if (!what || model_bpe_knows_unicode())
        return reel_status_ok();
    return reel_status_failed("%s needs the library utf8proc, without which Reel was built: install "
                              "libutf8proc-dev and build anew",
                              what);
}

static ReelStatus check(const ModelBpeTokenizer *t)
{
    bool single_words = false;
    for (size_t i = 0; i < t->added_count; i++)
        single_words = single_words || t->added[i].single_word;
    if ((size_t)t->tokens.count > MODEL_BPE_MAX_TOKENS || t->merge_count > MODEL_BPE_MAX_TOKENS)
        return reel_status_failed("%zu tokens and %zu merges, %d of each are the most",
                                  (size_t)t->tokens.count, t->merge_count, MODEL_BPE_MAX_TOKENS);
    for (size_t i = 0; i < t->merge_count; i++)
        if (t->merges[i].left >= (size_t)t->tokens.count || t->merges[i].right >= (size_t)t->tokens.count ||
            t->merges[i].product >= (size_t)t->tokens.count)
            return reel_status_failed("merge %zu has a token that does not exist", i);
    return model_bpe_check_unicode(&t->config, single_words);
}

ReelStatus model_bpe_tokenizer_make(ModelBpeTokenizer **tokenizer, ModelBpeTokenizer *parts)
{
    *tokenizer = NULL;
    ReelStatus status = check(parts);
    if (reel_status_is_ok(&status)) {
        for (size_t id = 0; id < (size_t)parts->tokens.count; id++)
            parts->hole_count += model_string_table_span(&parts->tokens, id).length == 0;
        if (make_added(parts) && make_pairs(parts) && make_decoded(parts) && make_rising(parts) &&
            (*tokenizer = reel_mem_alloc(sizeof **tokenizer)))
            make_symbols(parts);
        else
            status = reel_status_no_memory(parts->tokens.bytes_used, "the tokenizer");
    }
    if (reel_status_is_ok(&status))
        status = check_added(parts);
    if (!reel_status_is_ok(&status)) {
        model_bpe_tokenizer_drop(parts);
        reel_mem_free(*tokenizer);
        *tokenizer = NULL;
        return status;
    }
    **tokenizer = *parts;
    return status;
}

int32_t model_bpe_vocab_size(const ModelBpeTokenizer *t)
{
    return t->tokens.count;
}

int64_t model_bpe_merge_count(const ModelBpeTokenizer *t)
{
    return (int64_t)t->merge_count;
}

ModelBpePretokenizer model_bpe_pretokenizer(const ModelBpeTokenizer *t)
{
    return t->config.pretokenizer;
}

const char *model_bpe_pretokenizer_name(ModelBpePretokenizer pretokenizer)
{
    static const char *const names[] = {"whitespace", "bytelevel", "subword-nmt"};
    return names[pretokenizer];
}

int32_t model_bpe_unk_id(const ModelBpeTokenizer *t)
{
    return t->config.unk_id;
}

const char *model_bpe_token_text(const ModelBpeTokenizer *t, int32_t id, size_t *size)
{
    if (id < 0 || id >= t->tokens.count)
        return NULL;
    ModelTextSpan token = model_string_table_span(&t->tokens, (size_t)id);
    if (size)
        *size = token.length;
    return token.length ? token.bytes : NULL;
}

int32_t model_bpe_token_id(const ModelBpeTokenizer *t, const char *text, size_t size)
{
    return (int32_t)model_string_table_find(&t->tokens, (ModelTextSpan){text, size});
}

bool model_bpe_merge(const ModelBpeTokenizer *t, int64_t rank, int32_t *left, int32_t *right,
                     int32_t *product)
{
    if (rank < 0 || (size_t)rank >= t->merge_count)
        return false;
    *left = (int32_t)t->merges[rank].left;
    *right = (int32_t)t->merges[rank].right;
    *product = (int32_t)t->merges[rank].product;
    return true;
}

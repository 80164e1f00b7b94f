#include "models/bpe/bpe_internal.h"

/* A short token is copied as 16 bytes, whatever its size; the memory for that is there. */
enum { SHORT = 16 };

static const char *text_of(const ModelBpeTokenizer *t, size_t id, size_t *size)
{
    if (t->decoded) {
        *size = t->decoded_at[id + 1] - t->decoded_at[id];
        return t->decoded + t->decoded_at[id];
    }
    ModelTextSpan token = model_string_table_span(&t->tokens, id);
    *size = token.length;
    return token.bytes;
}

static bool put(ReelBytes *out, const char *text, size_t size)
{
    if (__builtin_expect(out->capacity - out->size < size + SHORT, 0) &&
        !reel_bytes_reserve(out, size + SHORT))
        return false;
    if (__builtin_expect(size <= SHORT, 1))
        memcpy(out->data + out->size, text, SHORT);
    else
        memcpy(out->data + out->size, text, size);
    out->size += size;
    return true;
}

static bool decode_bytes(const ModelBpeTokenizer *t, const int32_t *ids, size_t count, bool skip,
                         ReelBytes *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t id = (size_t)ids[i], size;
        if (__builtin_expect(t->flags[id], 0)) {
            bool hidden = skip && (t->flags[id] & BPE_IS_SPECIAL);
            ModelTextSpan token = model_string_table_span(&t->tokens, id);
            if (!hidden && !put(out, token.bytes, token.length))
                return false;
            continue;
        }
        const char *text = text_of(t, id, &size);
        if (!put(out, text, size))
            return false;
    }
    return true;
}

/* A blank behind each token but the last or, of `words`, behind each one that ends a word. */
static bool decode_parted(const ModelBpeTokenizer *t, const int32_t *ids, size_t count, bool skip, bool words,
                          ReelBytes *out)
{
    bool owed = false;
    for (size_t i = 0; i < count; i++) {
        size_t id = (size_t)ids[i], size;
        if (skip && (t->flags[id] & BPE_IS_SPECIAL))
            continue;
        const char *text = text_of(t, id, &size);
        bool ends = size >= 4 && memcmp(text + size - 4, BPE_WORD_END, 4) == 0;
        if ((owed && !put(out, "                ", 1)) || !put(out, text, words && ends ? size - 4 : size))
            return false;
        owed = !words || ends;
    }
    return true;
}

ReelStatus model_bpe_decode(const ModelBpeTokenizer *t, const int32_t *ids, size_t count, bool skip_special,
                            ReelBytes *out)
{
    for (size_t i = 0; i < count; i++)
        if ((uint32_t)ids[i] >= (size_t)t->tokens.count ||
            (t->hole_count && model_string_table_span(&t->tokens, (size_t)ids[i]).length == 0))
            return reel_status_failed(
                "id %d (number %zu) is not in the vocabulary, whose last is %zu: use the "
                "tokenizer that encoded it",
                ids[i], i + 1, (size_t)t->tokens.count - 1);
    ModelBpePretokenizer mode = t->config.pretokenizer;
    bool fine = mode == MODEL_BPE_BYTELEVEL
                    ? decode_bytes(t, ids, count, skip_special, out)
                    : decode_parted(t, ids, count, skip_special, mode == MODEL_BPE_SUBWORD_NMT, out);
    return fine ? reel_status_ok() : reel_status_no_memory(out->size, "the text of ids");
}

/* GPT-2's vocab.json with merges.txt, and subword-nmt's codes. */
#include "models/bpe/bpe_files_internal.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/mem.h"

#include <stdio.h>

/* ---- GPT-2 ---- */

static ReelStatus read_vocab(const char *text, size_t size, const char *name, ModelBpeTokenizer *parts)
{
    ReelJsonReader json;
    BpeVocabulary vocabulary = {0};
    reel_json_reader_open(&json, text, size, name);
    if (model_bpe_vocabulary_read(&vocabulary, &json) && reel_json_reader_end(&json))
        model_bpe_vocabulary_sort(&vocabulary, &json, &parts->tokens);
    ReelStatus status = json.status;
    reel_json_reader_close(&json);
    model_bpe_vocabulary_free(&vocabulary);
    return status;
}

static bool is_version(const BpeLineReader *lines)
{
    return lines->size >= 8 && memcmp(lines->text, "#version", 8) == 0;
}

static ReelStatus read_merges(const char *text, size_t size, const char *name, ModelBpeTokenizer *parts)
{
    ReelStatus status = reel_status_ok();
    BpeLineReader lines = {.at = text, .end = text + size};
    size_t capacity = 0;
    while (reel_status_is_ok(&status) && model_bpe_next_line(&lines)) {
        BpeMergeText merge;
        char what[200] = "two tokens with a blank between are expected";
        if ((lines.number == 1 && is_version(&lines)) || (lines.size == 0 && lines.at == lines.end))
            continue;
        if (!model_bpe_split_merge(lines.text, lines.size, &merge) ||
            !model_bpe_add_merge(parts, &capacity, merge, what))
            status = reel_status_failed("%s:%zu: %s", name, lines.number, what);
    }
    return status;
}

ReelStatus model_bpe_gpt2_from_memory(ModelBpeTokenizer **tokenizer, const char *vocab, size_t vocab_size,
                                      const char *vocab_name, const char *merges, size_t merges_size,
                                      const char *merges_name)
{
    *tokenizer = NULL;
    ModelBpeTokenizer parts = {
        .config = {.pretokenizer = MODEL_BPE_BYTELEVEL, .trim_offsets = true, .unk_id = BPE_NONE}};
    ReelStatus status = read_vocab(vocab, vocab_size, vocab_name, &parts);
    if (reel_status_is_ok(&status))
        status = read_merges(merges, merges_size, merges_name, &parts);
    if (reel_status_is_ok(&status))
        return model_bpe_tokenizer_make_from(tokenizer, &parts, merges_name);
    model_bpe_tokenizer_drop(&parts);
    return status;
}

ReelStatus model_bpe_load_gpt2(ModelBpeTokenizer **tokenizer, const char *vocab_path, const char *merges_path)
{
    *tokenizer = NULL;
    ReelBytes vocab, merges;
    ReelStatus status = model_bpe_read_file(vocab_path, &vocab);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_bpe_read_file(merges_path, &merges);
    if (reel_status_is_ok(&status))
        status = model_bpe_gpt2_from_memory(tokenizer, vocab.data, vocab.size, vocab_path, merges.data,
                                            merges.size, merges_path);
    reel_bytes_free(&vocab);
    reel_bytes_free(&merges);
    return status;
}

/* Whether the merge is read from its line as what it is: there is one blank, and carriage returns at the ends
 * are not the line's. Hugging Face skips lines of merges.txt that begin like the first one. */
static bool fits_line(const ModelBpeTokenizer *t, const BpeMerge *m)
{
    ModelTextSpan left = model_string_table_span(&t->tokens, m->left),
                  right = model_string_table_span(&t->tokens, m->right);
    bool skipped = t->config.pretokenizer == MODEL_BPE_BYTELEVEL && strncmp(left.bytes, "#version", 8) == 0;
    return !skipped && left.bytes[0] != '\r' && right.bytes[right.length - 1] != '\r' &&
           !memchr(left.bytes, ' ', left.length) && !memchr(left.bytes, '\n', left.length) &&
           !memchr(right.bytes, ' ', right.length) && !memchr(right.bytes, '\n', right.length);
}

/* What the text files have no place for and would change ids. */
static ReelStatus check_settings(const ModelBpeTokenizer *t, const char *path)
{
    const BpeConfig *config = &t->config;
    const char *lost = config->normal_form_count ? "normalizer"
                       : config->ignore_merges   ? "ignore_merges"
                       : config->byte_fallback   ? "byte_fallback"
                                                 : NULL;
    return lost
               ? reel_status_failed(
                     "%s: this format has no place for the tokenizer's %s; save a tokenizer.json", path, lost)
               : reel_status_ok();
}

static ReelStatus check_merges(const ModelBpeTokenizer *t, const char *path)
{
    ReelStatus status = check_settings(t, path);
    if (!reel_status_is_ok(&status))
        return status;
    for (size_t i = 0; i < t->merge_count; i++)
        if (!fits_line(t, &t->merges[i]))
            return reel_status_failed(
                "%s: a line of this format cannot hold merge %zu; save a tokenizer.json", path, i);
    return reel_status_ok();
}

static bool put_merges(const ModelBpeTokenizer *t, ReelBytes *out)
{
    bool fine = reel_bytes_append(out, "#version: 0.2\n", 14);
    for (size_t i = 0; i < t->merge_count && fine; i++) {
        ModelTextSpan left = model_string_table_span(&t->tokens, t->merges[i].left),
                      right = model_string_table_span(&t->tokens, t->merges[i].right);
        fine = reel_bytes_append(out, left.bytes, left.length) && reel_bytes_append(out, " ", 1) &&
               reel_bytes_append(out, right.bytes, right.length) && reel_bytes_append(out, "\n", 1);
    }
    return fine;
}

static ReelStatus save_merges(const ModelBpeTokenizer *t, const char *path)
{
    ReelBytes out = {0};
    ReelStatus status = put_merges(t, &out) ? reel_atomic_file_put(path, out.data, out.size)
                                            : reel_status_no_memory(out.size, "merges");
    reel_bytes_free(&out);
    return status;
}

ReelStatus model_bpe_save_gpt2(const ModelBpeTokenizer *t, const char *vocab_path, const char *merges_path)
{
    if (t->config.pretokenizer != MODEL_BPE_BYTELEVEL)
        return reel_status_failed("%s: only a byte-level tokenizer can be saved as GPT-2's files",
                                  vocab_path);
    ReelStatus fits = check_merges(t, merges_path);
    if (!reel_status_is_ok(&fits))
        return fits;
    ReelBytes out = {0};
    bool fine = reel_bytes_append(&out, "{", 1) && model_bpe_write_vocab(t, &out, "\n  ") &&
                reel_bytes_append(&out, "\n}\n", 3);
    ReelStatus status = fine ? reel_atomic_file_put(vocab_path, out.data, out.size)
                             : reel_status_no_memory(out.size, "vocab");
    reel_bytes_free(&out);
    return reel_status_is_ok(&status) ? save_merges(t, merges_path) : status;
}

/* ---- subword-nmt ---- */

enum { MAX_CODE = 0x110000 };

/* Whether the token is one code point, perhaps with </w>. */
static bool is_symbol(const char *text, size_t size, uint32_t *code)
{
    int length = size ? reel_utf8_decode((const uint8_t *)text, size, code) : 0;
    size_t rest = size - (size_t)length;
    return length > 0 && (rest == 0 || (rest == 4 && memcmp(text + length, BPE_WORD_END, 4) == 0));
}

static void mark(uint64_t *seen, const char *text, size_t size)
{
    uint32_t code;
    if (is_symbol(text, size, &code))
        seen[code / 64] |= (uint64_t)1 << code % 64;
}

/* Marks the symbols of all merges in `seen`, a bit for each code point. */
static ReelStatus survey(const char *path, const ReelBytes *bytes, uint64_t *seen)
{
    BpeLineReader lines = {.at = bytes->data, .end = bytes->data + bytes->size};
    if (!model_bpe_next_line(&lines) || !is_version(&lines))
        return reel_status_failed(
            "%s:1: begins without \"#version: 0.2\": codes of version 0.1 are not read; learn "
            "them anew",
            path);
    if (lines.size != 13 || memcmp(lines.text, "#version: 0.2", 13) != 0)
        return reel_status_failed("%s:1: only \"#version: 0.2\" is read", path);
    while (model_bpe_next_line(&lines)) {
        BpeMergeText m;
        if (lines.size == 0 && lines.at == lines.end)
            break;
        size_t valid = reel_utf8_valid(lines.text, lines.size);
        if (valid < lines.size || !model_bpe_split_merge(lines.text, lines.size, &m))
            return reel_status_failed("%s:%zu: two tokens in UTF-8 with a blank between are expected", path,
                                      lines.number);
        mark(seen, m.left, m.left_size);
        mark(seen, m.right, m.right_size);
    }
    return reel_status_ok();
}

static bool add_symbol(ModelBpeTokenizer *parts, uint32_t code)
{
    char text[8];
    size_t size = (size_t)reel_utf8_encode(code, text);
    memcpy(text + size, BPE_WORD_END, 4);
    for (size_t with = 0; with <= 4; with += 4)
        if (model_string_table_find(&parts->tokens, (ModelTextSpan){text, size + with}) < 0 &&
            model_string_table_append(&parts->tokens, (ModelTextSpan){text, size + with}) < 0)
            return false;
    return true;
}

static bool add_symbols(ModelBpeTokenizer *parts, const uint64_t *seen)
{
    for (uint32_t i = 0; i < MAX_CODE / 64; i++)
        for (uint64_t left = seen[i]; left; left &= left - 1)
            if (!add_symbol(parts, i * 64 + (uint32_t)__builtin_ctzll(left)))
                return false;
    return true;
}

/* The product of a merge gets the next id, unless it has one. */
static ReelStatus add_merges(const char *path, const ReelBytes *bytes, ModelBpeTokenizer *parts)
{
    BpeLineReader lines = {.at = bytes->data, .end = bytes->data + bytes->size};
    ReelBytes joined = {0};
    size_t capacity = 0;
    ReelStatus status = reel_status_ok();
    model_bpe_next_line(&lines);
    while (reel_status_is_ok(&status) && model_bpe_next_line(&lines)) {
        BpeMergeText m;
        char what[200] = "out of memory";
        joined.size = 0;
        if (!model_bpe_split_merge(lines.text, lines.size, &m))
            break; /* the empty end; all else has been looked at */
        bool fine = reel_bytes_append(&joined, m.left, m.left_size) &&
                    reel_bytes_append(&joined, m.right, m.right_size);
        if (fine && model_string_table_find(&parts->tokens, (ModelTextSpan){joined.data, joined.size}) < 0)
            fine = model_string_table_append(&parts->tokens, (ModelTextSpan){joined.data, joined.size}) >= 0;
        if (!fine || !model_bpe_add_merge(parts, &capacity, m, what))
            status = reel_status_failed("%s:%zu: %s", path, lines.number, what);
    }
    reel_bytes_free(&joined);
    return status;
}

static ReelStatus read_codes(const char *path, const ReelBytes *bytes, const char *unk,
                             ModelBpeTokenizer *parts)
{
    uint64_t *seen = reel_mem_calloc(MAX_CODE / 64, sizeof *seen);
    if (!seen)
        return reel_status_no_memory(MAX_CODE / 8, "the alphabet");
    ReelStatus status = survey(path, bytes, seen);
    bool fine = true;
    if (unk) {
        fine = model_string_table_append(&parts->tokens, (ModelTextSpan){unk, strlen(unk)}) >= 0 &&
               (parts->added = reel_mem_calloc(1, sizeof *parts->added)) != NULL;
        if (fine)
            parts->added[parts->added_count++] = (BpeAdded){.special = true};
        parts->config.unk_id = 0;
    }
    if (reel_status_is_ok(&status) && (!fine || !add_symbols(parts, seen)))
        status = reel_status_no_memory(parts->tokens.bytes_used, "the alphabet");
    reel_mem_free(seen);
    return reel_status_is_ok(&status) ? add_merges(path, bytes, parts) : status;
}

ReelStatus model_bpe_codes_from_memory(ModelBpeTokenizer **tokenizer, const char *text, size_t size,
                                       const char *name, const char *unk_token)
{
    *tokenizer = NULL;
    const ReelBytes bytes = {.data = (char *)text, .size = size}; /* only read */
    ModelBpeTokenizer parts = {
        .config = {.pretokenizer = MODEL_BPE_SUBWORD_NMT, .trim_offsets = true, .unk_id = BPE_NONE}};
    ReelStatus status = read_codes(name, &bytes, unk_token, &parts);
    if (reel_status_is_ok(&status))
        return model_bpe_tokenizer_make_from(tokenizer, &parts, name);
    model_bpe_tokenizer_drop(&parts);
    return status;
}

ReelStatus model_bpe_load_codes(ModelBpeTokenizer **tokenizer, const char *path, const char *unk_token)
{
    *tokenizer = NULL;
    ReelBytes bytes;
    if (unk_token && (!*unk_token || reel_utf8_valid(unk_token, strlen(unk_token)) != strlen(unk_token)))
        return reel_status_usage("the unk token is empty or not UTF-8");
    ReelStatus status = model_bpe_read_file(path, &bytes);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_bpe_codes_from_memory(tokenizer, bytes.data, bytes.size, path, unk_token);
    reel_bytes_free(&bytes);
    return status;
}

ReelStatus model_bpe_save_codes(const ModelBpeTokenizer *t, const char *path)
{
    if (t->config.pretokenizer != MODEL_BPE_SUBWORD_NMT)
        return reel_status_failed("%s: only a subword-nmt tokenizer can be saved as codes", path);
    ReelStatus fits = check_merges(t, path);
    return reel_status_is_ok(&fits) ? save_merges(t, path) : fits;
}

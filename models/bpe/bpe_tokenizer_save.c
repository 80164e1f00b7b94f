/* Writing Hugging Face's tokenizer.json. */
#include "models/bpe/bpe_files_internal.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/storage/json_writer.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>

static bool put(ReelBytes *out, const char *text)
{
    return reel_bytes_append(out, text, strlen(text));
}

static bool put_token(const ModelBpeTokenizer *t, ReelBytes *out, size_t id)
{
    ModelTextSpan token = model_string_table_span(&t->tokens, id);
    return reel_json_append_string(out, token.bytes, token.length);
}

static int by_id(const void *a, const void *b)
{
    const BpeAdded *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static bool put_added(const ModelBpeTokenizer *t, ReelBytes *out)
{
    BpeAdded *added = reel_mem_alloc(t->added_count * sizeof *added);
    if (!added)
        return false;
    if (t->added_count)
        memcpy(added, t->added, t->added_count * sizeof *added);
    qsort(added, t->added_count, sizeof *added, by_id);
    bool fine = put(out, "\"added_tokens\": [");
    for (size_t i = 0; i < t->added_count && fine; i++) {
        char text[300];
        fine = put(out, i ? ",\n    " : "\n    ");
        snprintf(text, sizeof text, "{\"id\": %u, \"content\": ", added[i].id);
        fine = fine && put(out, text) && put_token(t, out, added[i].id);
        snprintf(
            text, sizeof text,
            ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, \"special\": %s}",
            added[i].single_word ? "true" : "false", added[i].lstrip ? "true" : "false",
            added[i].rstrip ? "true" : "false", added[i].normalized ? "true" : "false",
            added[i].special ? "true" : "false");
        fine = fine && put(out, text);
    }
    reel_mem_free(added);
    return fine && put(out, "],\n  ");
}

static bool put_normalizer(const ModelBpeTokenizer *t, ReelBytes *out)
{
    int count = t->config.normal_form_count;
    bool fine = put(out, "\"normalizer\": ") && (count || put(out, "null"));
    fine = fine && (count < 2 || put(out, "{\"type\": \"Sequence\", \"normalizers\": ["));
    for (int i = 0; i < count && fine; i++)
        fine = put(out, i ? ", {\"type\": \"" : "{\"type\": \"") &&
               put(out, model_bpe_normal_form_name(t->config.normal_forms[i])) && put(out, "\"}");
    return fine && (count < 2 || put(out, "]}")) && put(out, ",\n  ");
}

static bool put_parts(const ModelBpeTokenizer *t, ReelBytes *out)
{
    char text[600];
    const char *trim = t->config.trim_offsets ? "true" : "false";
    switch (t->config.pretokenizer) {
    case MODEL_BPE_WHITESPACE:
        return put(out, "\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"},\n  \"post_processor\": null,\n  "
                        "\"decoder\": null,\n  ");
    case MODEL_BPE_BYTELEVEL:
        snprintf(
            text, sizeof text,
            "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": %s, "
            "\"use_regex\": true},\n  \"post_processor\": null,\n  \"decoder\": {\"type\": \"ByteLevel\", "
            "\"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n  ",
            t->config.add_prefix_space ? "true" : "false", trim);
        return put(out, text);
    default:
        return put(out, "\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": ") &&
               reel_json_append_string(out, BPE_SUBWORD_REGEX, sizeof BPE_SUBWORD_REGEX - 1) &&
               put(out, "}, \"behavior\": \"Removed\", \"invert\": false},\n  \"post_processor\": null,\n  "
                        "\"decoder\": {\"type\": \"BPEDecoder\", \"suffix\": \"" BPE_WORD_END "\"},\n  ");
    }
}

static bool put_model_head(const ModelBpeTokenizer *t, ReelBytes *out)
{
    char text[300];
    bool fine = put(out, "\"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ");
    fine = fine && (t->config.unk_id < 0 ? put(out, "null") : put_token(t, out, (size_t)t->config.unk_id));
    snprintf(text, sizeof text,
             ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": %s,\n    "
             "\"fuse_unk\": %s,\n    "
             "\"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n    \"vocab\": {",
             t->config.pretokenizer == MODEL_BPE_SUBWORD_NMT ? "\"" BPE_WORD_END "\"" : "null",
             t->config.fuse_unk ? "true" : "false", t->config.byte_fallback ? "true" : "false",
             t->config.ignore_merges ? "true" : "false");
    return fine && put(out, text);
}

bool model_bpe_write_vocab(const ModelBpeTokenizer *t, ReelBytes *out, const char *indent)
{
    bool fine = true, first = true;
    for (size_t id = 0; id < (size_t)t->tokens.count && fine; id++) {
        char number[32];
        snprintf(number, sizeof number, ": %zu", id);
        if (bpe_is_outside(t, id) || model_string_table_span(&t->tokens, id).length == 0)
            continue;
        fine = put(out, first ? "" : ",") && put(out, indent) && put_token(t, out, id) && put(out, number);
        first = false;
    }
    return fine;
}

ReelStatus model_bpe_to_json(const ModelBpeTokenizer *t, ReelBytes *out)
{
    bool fine = put(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  ") &&
                put_added(t, out) && put_normalizer(t, out) && put_parts(t, out) && put_model_head(t, out) &&
                model_bpe_write_vocab(t, out, "\n      ") && put(out, "\n    },\n    \"merges\": [");
    for (size_t i = 0; i < t->merge_count && fine; i++)
        fine = put(out, i ? ",\n      [" : "\n      [") && put_token(t, out, t->merges[i].left) &&
               put(out, ", ") && put_token(t, out, t->merges[i].right) && put(out, "]");
    fine = fine && put(out, "\n    ]\n  }\n}\n");
    return fine ? reel_status_ok() : reel_status_no_memory(out->size, "a tokenizer's file");
}

ReelStatus model_bpe_save(const ModelBpeTokenizer *tokenizer, const char *path)
{
    ReelBytes bytes = {0};
    ReelStatus status = model_bpe_to_json(tokenizer, &bytes);
    if (reel_status_is_ok(&status))
        status = reel_atomic_file_put(path, bytes.data, bytes.size);
    reel_bytes_free(&bytes);
    return status;
}

/* Reading Hugging Face's tokenizer.json.
 *
 * What is read is what would give the same ids there. A file that asks for more than is built here (another
 * normalizer, another pre-tokenizer, truncation, tokens added by a post-processor) is refused with the name
 * of what it asks for: a tokenizer that is almost the same would be worse than none. */
#include "models/bpe/bpe_files_internal.h"
#include "tensor/mem.h"

#include <stdio.h>

/* A pre-tokenizer, decoder or post-processor: the members of those that are known. */
typedef struct Part {
    char type[32], pattern[64], behavior[16];
    bool is_regex, add_prefix_space, trim_offsets, use_regex, invert;
    char suffix[8];
} Part;

typedef struct Loader {
    JsonReader json;
    BpeTokenizer parts;
    BpeVocabulary vocabulary;
    size_t merge_capacity, added_capacity;
    size_t vocab_at, merges_at, added_at, unk_at; /* where in the text they are; 0: they are not there */
    bool has_word_end, has_model;
    bool has_pretokenizer, has_decoder, has_post;
    Part pretokenizer, decoder, post;
} Loader;

static bool copy_string(JsonReader *json, char *out, size_t room)
{
    if (!json_reader_string(json))
        return false;
    if (json->string.size >= room || (json->string.size && memchr(json->string.data, 0, json->string.size)))
        return json_reader_fail(json, "a string of less than %zu characters is expected here", room);
    memcpy(out, json->string.size ? json->string.data : "", json->string.size);
    out[json->string.size] = '\0';
    return true;
}

static bool read_pattern(JsonReader *json, Part *part)
{
    bool first = true;
    json_reader_open_object(json);
    while (json_reader_next_key(json, &first)) {
        part->is_regex = json_reader_is(json, "Regex");
        if (!part->is_regex && !json_reader_is(json, "String"))
            return json_reader_fail(json, "a pattern is either \"String\" or \"Regex\"");
        if (!copy_string(json, part->pattern, sizeof part->pattern))
            return false;
    }
    return status_is_ok(&json->status);
}

static bool read_member(JsonReader *json, Part *part)
{
    if (json_reader_is(json, "type"))
        return copy_string(json, part->type, sizeof part->type);
    if (json_reader_is(json, "behavior"))
        return copy_string(json, part->behavior, sizeof part->behavior);
    if (json_reader_is(json, "suffix"))
        return copy_string(json, part->suffix, sizeof part->suffix);
    if (json_reader_is(json, "pattern"))
        return read_pattern(json, part);
    if (json_reader_is(json, "add_prefix_space"))
        return json_reader_bool(json, &part->add_prefix_space);
    if (json_reader_is(json, "trim_offsets"))
        return json_reader_bool(json, &part->trim_offsets);
    if (json_reader_is(json, "use_regex"))
        return json_reader_bool(json, &part->use_regex);
    if (json_reader_is(json, "invert"))
        return json_reader_bool(json, &part->invert);
    return json_reader_skip(json); /* what has unknown members has an unknown type too */
}

static bool read_part(JsonReader *json, Part *part, bool *present)
{
    *part = (Part){.add_prefix_space = true, .trim_offsets = true, .use_regex = true};
    *present = json_reader_peek(json) != JSON_NULL;
    if (!*present)
        return json_reader_null(json);
    bool first = true;
    json_reader_open_object(json);
    while (json_reader_next_key(json, &first))
        if (!read_member(json, part))
            return false;
    return status_is_ok(&json->status);
}

/* A member that must be null (or "", or 0), since something else would change the ids. */
static bool must_be_unset(JsonReader *json, const char *what)
{
    JsonKind kind = json_reader_peek(json);
    size_t at = json->at;
    double number;
    if (kind == JSON_NULL)
        return json_reader_null(json);
    if (kind == JSON_STRING && json_reader_string(json) && json->string.size == 0)
        return true;
    if (kind == JSON_NUMBER && json_reader_number(json, &number) && number == 0)
        return true;
    if (!status_is_ok(&json->status))
        return false;
    json->at = at;
    return json_reader_fail(json, "\"%s\" is set, which Reel cannot do; set it to null", what);
}

static bool read_word_end(Loader *l)
{
    JsonReader *json = &l->json;
    if (json_reader_peek(json) == JSON_NULL)
        return json_reader_null(json);
    if (!json_reader_string(json))
        return false;
    l->has_word_end = json_reader_is(json, BPE_WORD_END);
    return l->has_word_end || json->string.size == 0 ||
           json_reader_fail(json, "the only end_of_word_suffix that Reel knows is \"%s\"", BPE_WORD_END);
}

/* Notes where a value is, to come back when all else is known. */
static bool note(JsonReader *json, size_t *at)
{
    if (json_reader_peek(json) == JSON_BROKEN)
        return false;
    *at = json->at;
    return json_reader_skip(json);
}

static bool read_model_member(Loader *l)
{
    JsonReader *json = &l->json;
    BpeConfig *config = &l->parts.config;
    char type[32];
    if (json_reader_is(json, "type"))
        return copy_string(json, type, sizeof type) &&
               (strcmp(type, "BPE") == 0 ||
                json_reader_fail(json, "model \"%s\": Reel knows \"BPE\" only", type));
    if (json_reader_is(json, "vocab"))
        return note(json, &l->vocab_at);
    if (json_reader_is(json, "merges"))
        return note(json, &l->merges_at);
    if (json_reader_is(json, "unk_token"))
        return json_reader_peek(json) == JSON_NULL ? json_reader_null(json) : note(json, &l->unk_at);
    if (json_reader_is(json, "end_of_word_suffix"))
        return read_word_end(l);
    if (json_reader_is(json, "fuse_unk"))
        return json_reader_bool(json, &config->fuse_unk);
    if (json_reader_is(json, "byte_fallback"))
        return json_reader_bool(json, &config->byte_fallback);
    if (json_reader_is(json, "ignore_merges"))
        return json_reader_bool(json, &config->ignore_merges);
    if (json_reader_is(json, "dropout"))
        return must_be_unset(json, "dropout");
    if (json_reader_is(json, "continuing_subword_prefix"))
        return must_be_unset(json, "continuing_subword_prefix");
    return json_reader_fail(json, "\"%.*s\" is no member of a BPE model", (int)(json->string.size % 64),
                            json->string.data);
}

static bool read_model(Loader *l)
{
    bool first = true;
    l->has_model = true;
    json_reader_open_object(&l->json);
    while (json_reader_next_key(&l->json, &first))
        if (!read_model_member(l))
            return false;
    return status_is_ok(&l->json.status);
}

static bool read_text(JsonReader *json, Bytes *text)
{
    text->size = 0;
    return json_reader_string(json) && (bytes_append(text, json->string.data, json->string.size) ||
                                        json_reader_fail(json, "out of memory"));
}

static bool read_added_members(Loader *l, BpeAdded *added, int64_t *id, Bytes *content)
{
    JsonReader *json = &l->json;
    bool first = true;
    json_reader_open_object(json);
    while (json_reader_next_key(json, &first)) {
        bool fine;
        if (json_reader_is(json, "id"))
            fine = json_reader_int(json, id);
        else if (json_reader_is(json, "content"))
            fine = read_text(json, content);
        else if (json_reader_is(json, "special"))
            fine = json_reader_bool(json, &added->special);
        else if (json_reader_is(json, "lstrip"))
            fine = json_reader_bool(json, &added->lstrip);
        else if (json_reader_is(json, "rstrip"))
            fine = json_reader_bool(json, &added->rstrip);
        else if (json_reader_is(json, "single_word"))
            fine = json_reader_bool(json, &added->single_word);
        else if (json_reader_is(json, "normalized"))
            fine = json_reader_bool(json, &added->normalized);
        else
            fine = json_reader_skip(json);
        if (!fine)
            return false;
    }
    return status_is_ok(&json->status);
}

static bool keep_added(Loader *l, BpeAdded added, int64_t id, const Bytes *content)
{
    JsonReader *json = &l->json;
    if (added.single_word)
        return json_reader_fail(json, "an added token is \"single_word\", which Reel cannot do");
    if (l->parts.added_count >= BPE_MAX_SPECIAL_TOKENS)
        return json_reader_fail(json, "more than %d added tokens", BPE_MAX_SPECIAL_TOKENS);
    json->string.size = 0;
    if (!bytes_append(&json->string, content->data, content->size))
        return json_reader_fail(json, "out of memory");
    size_t before = l->vocabulary.names.count;
    if (!bpe_vocabulary_add(&l->vocabulary, json, id))
        return false;
    added.outside = l->vocabulary.names.count > before;
    BpeAdded *all = mem_grow(l->parts.added, l->parts.added_count, &l->added_capacity, sizeof *all);
    if (!all)
        return json_reader_fail(json, "out of memory");
    added.id = (uint32_t)id;
    l->parts.added = all;
    all[l->parts.added_count++] = added;
    return true;
}

static bool read_added(Loader *l)
{
    bool first = true;
    json_reader_open_array(&l->json);
    while (json_reader_next_item(&l->json, &first)) {
        BpeAdded added = {0};
        Bytes content = {0};
        int64_t id = BPE_NONE;
        bool fine = read_added_members(l, &added, &id, &content) && keep_added(l, added, id, &content);
        bytes_free(&content);
        if (!fine)
            return false;
    }
    return status_is_ok(&l->json.status);
}

static bool read_top_member(Loader *l)
{
    JsonReader *json = &l->json;
    if (json_reader_is(json, "version"))
        return json_reader_string(json) &&
               (json_reader_is(json, "1.0") || json_reader_fail(json, "a version other than 1.0"));
    if (json_reader_is(json, "truncation"))
        return must_be_unset(json, "truncation");
    if (json_reader_is(json, "padding"))
        return must_be_unset(json, "padding");
    if (json_reader_is(json, "normalizer"))
        return must_be_unset(json, "normalizer");
    if (json_reader_is(json, "added_tokens"))
        return note(json, &l->added_at);
    if (json_reader_is(json, "pre_tokenizer"))
        return read_part(json, &l->pretokenizer, &l->has_pretokenizer);
    if (json_reader_is(json, "post_processor"))
        return read_part(json, &l->post, &l->has_post);
    if (json_reader_is(json, "decoder"))
        return read_part(json, &l->decoder, &l->has_decoder);
    if (json_reader_is(json, "model"))
        return read_model(l);
    return json_reader_fail(json, "\"%.*s\" is no member of a tokenizer", (int)(json->string.size % 64),
                            json->string.data);
}

static bool read_merge(Loader *l)
{
    JsonReader *json = &l->json;
    BpeMergeText merge;
    Bytes left = {0};
    bool fine, first = true;
    char what[200];
    if (json_reader_peek(json) == JSON_STRING) {
        fine = json_reader_string(json) &&
               (bpe_split_merge(json->string.data, json->string.size, &merge) ||
                json_reader_fail(json, "a merge is two tokens with a blank between"));
    } else {
        fine = json_reader_open_array(json) && json_reader_next_item(json, &first) &&
               json_reader_string(json) &&
               (bytes_append(&left, json->string.data, json->string.size) ||
                json_reader_fail(json, "out of memory")) &&
               json_reader_next_item(json, &first) && json_reader_string(json);
        if (!fine || json_reader_next_item(json, &first))
            fine = json_reader_fail(json, "a merge is an array of two tokens");
        merge = (BpeMergeText){left.data ? left.data : "", json->string.data ? json->string.data : "",
                               left.size, json->string.size};
    }
    fine = fine && status_is_ok(&json->status) &&
           (bpe_add_merge(&l->parts, &l->merge_capacity, merge, what) || json_reader_fail(json, "%s", what));
    bytes_free(&left);
    return fine;
}

static bool read_merges(Loader *l)
{
    bool first = true;
    json_reader_open_array(&l->json);
    while (json_reader_next_item(&l->json, &first))
        if (!read_merge(l))
            return false;
    return status_is_ok(&l->json.status);
}

/* ---- What it means ---- */

static bool is_type(const Part *part, const char *type)
{
    return strcmp(part->type, type) == 0;
}

static bool choose_pretokenizer(Loader *l)
{
    BpeConfig *config = &l->parts.config;
    const Part *p = &l->pretokenizer;
    config->trim_offsets = true;
    if (!l->has_pretokenizer)
        return json_reader_fail(
            &l->json, "without a pre_tokenizer; Reel knows WhitespaceSplit, ByteLevel, Split at blanks");
    bool split = is_type(p, "Split") && !p->invert && strcmp(p->behavior, "Removed") == 0 &&
                 strcmp(p->pattern, p->is_regex ? BPE_SUBWORD_REGEX : " ") == 0;
    if (is_type(p, "WhitespaceSplit") && !l->has_word_end) {
        config->pretokenizer = BPE_WHITESPACE;
    } else if (is_type(p, "ByteLevel") && p->use_regex && !l->has_word_end) {
        config->pretokenizer = BPE_BYTELEVEL;
        config->add_prefix_space = p->add_prefix_space;
        config->trim_offsets = p->trim_offsets;
    } else if (split && l->has_word_end) {
        config->pretokenizer = BPE_SUBWORD_NMT;
    } else {
        return json_reader_fail(
            &l->json,
            "pre_tokenizer \"%s\"%s; Reel knows WhitespaceSplit, ByteLevel with its expression, "
            "and Split at blanks with the suffix " BPE_WORD_END,
            p->type, l->has_word_end ? " with an end_of_word_suffix" : " as it is set here");
    }
    return true;
}

static bool check_parts(Loader *l)
{
    static const char *const decoders[] = {"", "ByteLevel", "BPEDecoder"};
    if (l->has_post && !is_type(&l->post, "ByteLevel"))
        return json_reader_fail(&l->json, "post_processor \"%s\" adds tokens, which Reel does not",
                                l->post.type);
    const char *fitting = decoders[l->parts.config.pretokenizer];
    bool suffix_fits = l->parts.config.pretokenizer != BPE_SUBWORD_NMT || !l->has_decoder ||
                       strcmp(l->decoder.suffix, BPE_WORD_END) == 0;
    if (l->has_decoder && (!is_type(&l->decoder, fitting) || !suffix_fits))
        return json_reader_fail(&l->json, "decoder \"%s\" does not fit pre_tokenizer \"%s\"", l->decoder.type,
                                l->pretokenizer.type);
    return true;
}

static bool find_unk(Loader *l)
{
    JsonReader *json = &l->json;
    json->at = l->unk_at;
    if (!json_reader_string(json))
        return false;
    int64_t id = bpe_strings_find(&l->parts.tokens, json->string.data, json->string.size);
    l->parts.config.unk_id = (int32_t)id;
    return id >= 0 || json_reader_fail(json, "unk_token is not in the vocabulary");
}

static bool read_file(Loader *l)
{
    JsonReader *json = &l->json;
    bool first = true;
    json_reader_open_object(json);
    while (json_reader_next_key(json, &first))
        if (!read_top_member(l))
            return false;
    if (!json_reader_end(json))
        return false;
    if (!l->has_model || !l->vocab_at || !l->merges_at)
        return json_reader_fail(json, "without a model that has a vocab and merges");
    if (!choose_pretokenizer(l) || !check_parts(l))
        return false;
    json->at = l->vocab_at;
    if (!bpe_vocabulary_read(&l->vocabulary, json))
        return false;
    json->at = l->added_at;
    if ((l->added_at && !read_added(l)) || !bpe_vocabulary_sort(&l->vocabulary, json, &l->parts.tokens))
        return false;
    json->at = l->merges_at;
    if (!read_merges(l))
        return false;
    l->parts.config.unk_id = BPE_NONE;
    return !l->unk_at || find_unk(l);
}

Status bpe_from_json(BpeTokenizer **tokenizer, const char *text, size_t size, const char *name)
{
    *tokenizer = NULL;
    Loader *l = mem_calloc(1, sizeof *l);
    if (!l)
        return status_no_memory(sizeof *l, name);
    json_reader_open(&l->json, text, size, name);
    if (size > BPE_MAX_FILE_BYTES)
        json_reader_fail(&l->json, "larger than %d bytes, the most that is read", BPE_MAX_FILE_BYTES);
    bool fine = status_is_ok(&l->json.status) && read_file(l);
    Status status = l->json.status;
    if (fine)
        status = bpe_tokenizer_make(tokenizer, &l->parts);
    else
        bpe_tokenizer_drop(&l->parts);
    bpe_vocabulary_free(&l->vocabulary);
    json_reader_close(&l->json);
    mem_free(l);
    return status;
}

Status bpe_load(BpeTokenizer **tokenizer, const char *path)
{
    *tokenizer = NULL;
    Bytes bytes;
    Status status = bpe_read_file(path, &bytes);
    if (status_is_ok(&status))
        status = bpe_from_json(tokenizer, bytes.data, bytes.size, path);
    bytes_free(&bytes);
    return status;
}

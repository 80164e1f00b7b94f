/* Reading Hugging Face's tokenizer.json.
 *
 * What is read is what would give the same ids there. A file that asks for more than is built here (another
 * normalizer, another pre-tokenizer, truncation, tokens added by a post-processor) is refused with the name
 * of what it asks for: a tokenizer that is almost the same would be worse than none. */
#include "models/bpe/bpe_files_internal.h"
#include "tensor/mem.h"

#include <stdio.h>

typedef struct ModelLoader {
    ReelJsonReader json;
    ModelBpeTokenizer parts;
    BpeVocabulary vocabulary;
    BpePipeline pipeline;
    size_t merge_capacity, added_capacity;
    size_t model_count;                           /* tokens of the model; those behind them are added ones */
    size_t vocab_at, merges_at, added_at, unk_at; /* where in the text they are; 0: they are not there */
    bool has_word_end, has_model;
} ModelLoader;

/* A member that must be null (or "", or 0), since something else would change the ids. */
static bool must_be_unset(ReelJsonReader *json, const char *what)
{
    ReelJsonKind kind = reel_json_reader_peek(json);
    size_t at = json->at;
    double number;
    if (kind == REEL_JSON_NULL)
        return reel_json_reader_null(json);
    if (kind == REEL_JSON_STRING && reel_json_reader_string(json) && json->string.size == 0)
        return true;
    if (kind == REEL_JSON_NUMBER && reel_json_reader_number(json, &number) && number == 0)
        return true;
    if (!reel_status_is_ok(&json->status))
        return false;
    json->at = at;
    return reel_json_reader_fail(json, "\"%s\" is set, which Reel cannot do; set it to null", what);
}

static bool read_word_end(ModelLoader *l)
{
    ReelJsonReader *json = &l->json;
    if (reel_json_reader_peek(json) == REEL_JSON_NULL)
        return reel_json_reader_null(json);
    if (!reel_json_reader_string(json))
        return false;
    l->has_word_end = reel_json_reader_is(json, BPE_WORD_END);
    return l->has_word_end || json->string.size == 0 ||
           reel_json_reader_fail(
               json,
               "the only end_of_word_suffix that Reel knows is \"%s\"; learn a tokenizer with "
               "reel-bpe train",
               BPE_WORD_END);
}

/* Notes where a value is, to come back when all else is known. */
static bool note(ReelJsonReader *json, size_t *at)
{
    if (reel_json_reader_peek(json) == REEL_JSON_BROKEN)
        return false;
    *at = json->at;
    return reel_json_reader_skip(json);
}

static bool read_model_member(ModelLoader *l)
{
    char shown[BPE_SHOWN];
    ReelJsonReader *json = &l->json;
    BpeConfig *config = &l->parts.config;
    if (reel_json_reader_is(json, "type"))
        return reel_json_reader_string(json) &&
               (reel_json_reader_is(json, "BPE") ||
                reel_json_reader_fail(json,
                                      "model \"%s\": Reel knows \"BPE\" only; learn one with reel-bpe train",
                                      model_bpe_shown(json, shown)));
    if (reel_json_reader_is(json, "vocab"))
        return note(json, &l->vocab_at);
    if (reel_json_reader_is(json, "merges"))
        return note(json, &l->merges_at);
    if (reel_json_reader_is(json, "unk_token"))
        return reel_json_reader_peek(json) == REEL_JSON_NULL ? reel_json_reader_null(json)
                                                             : note(json, &l->unk_at);
    if (reel_json_reader_is(json, "end_of_word_suffix"))
        return read_word_end(l);
    if (reel_json_reader_is(json, "fuse_unk"))
        return reel_json_reader_bool(json, &config->fuse_unk);
    if (reel_json_reader_is(json, "byte_fallback"))
        return reel_json_reader_bool(json, &config->byte_fallback);
    if (reel_json_reader_is(json, "ignore_merges"))
        return reel_json_reader_bool(json, &config->ignore_merges);
    if (reel_json_reader_is(json, "dropout"))
        return must_be_unset(json, "dropout");
    if (reel_json_reader_is(json, "continuing_subword_prefix"))
        return must_be_unset(json, "continuing_subword_prefix");
    return reel_json_reader_fail(
        json, "\"%s\" is not a member of a BPE model that Reel knows; take it out if no id depends on it",
        model_bpe_shown(json, shown));
}

static bool read_model(ModelLoader *l)
{
    bool first = true;
    l->has_model = true;
    reel_json_reader_open_object(&l->json);
    while (reel_json_reader_next_key(&l->json, &first))
        if (!read_model_member(l))
            return false;
    return reel_status_is_ok(&l->json.status);
}

static bool read_text(ReelJsonReader *json, ReelBytes *text)
{
    text->size = 0;
    return reel_json_reader_string(json) && (reel_bytes_append(text, json->string.data, json->string.size) ||
                                             reel_json_reader_fail(json, "out of memory"));
}

static bool read_added_members(ModelLoader *l, BpeAdded *added, int64_t *id, ReelBytes *content)
{
    ReelJsonReader *json = &l->json;
    bool first = true;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first)) {
        bool fine;
        if (reel_json_reader_is(json, "id"))
            fine = reel_json_reader_int(json, id);
        else if (reel_json_reader_is(json, "content"))
            fine = read_text(json, content);
        else if (reel_json_reader_is(json, "special"))
            fine = reel_json_reader_bool(json, &added->special);
        else if (reel_json_reader_is(json, "lstrip"))
            fine = reel_json_reader_bool(json, &added->lstrip);
        else if (reel_json_reader_is(json, "rstrip"))
            fine = reel_json_reader_bool(json, &added->rstrip);
        else if (reel_json_reader_is(json, "single_word"))
            fine = reel_json_reader_bool(json, &added->single_word);
        else if (reel_json_reader_is(json, "normalized"))
            fine = reel_json_reader_bool(json, &added->normalized);
        else
            fine = reel_json_reader_skip(json);
        if (!fine)
            return false;
    }
    return reel_status_is_ok(&json->status);
}

/* The id that Hugging Face (0.23) gives to an added token, whatever the file says: its own in the vocabulary,
 * or the number of tokens that there are so far. */
static int64_t id_there(const ModelLoader *l, const ReelBytes *content)
{
    int64_t there =
        model_string_table_find(&l->vocabulary.names, (ModelTextSpan){content->data, content->size});
    return there >= 0 ? l->vocabulary.ids[there] : (int64_t)l->vocabulary.names.count;
}

/* The place of an added token with this id: its own, where it is listed again, or a new one behind the
 * others. */
static BpeAdded *place_of_added(ModelLoader *l, int64_t id)
{
    for (size_t i = 0; i < l->parts.added_count; i++)
        if (l->parts.added[i].id == id)
            return &l->parts.added[i];
    if (l->parts.added_count >= MODEL_BPE_MAX_SPECIAL_TOKENS) {
        reel_json_reader_fail(&l->json, "more than %d added tokens; put the others into the vocabulary",
                              MODEL_BPE_MAX_SPECIAL_TOKENS);
        return NULL;
    }
    BpeAdded *all = reel_mem_grow(l->parts.added, l->parts.added_count, &l->added_capacity, sizeof *all);
    if (!all) {
        reel_json_reader_fail(&l->json, "out of memory");
        return NULL;
    }
    l->parts.added = all;
    return &all[l->parts.added_count++];
}

/* Of a token that is listed twice the last one counts; one without text does nothing. */
static bool keep_added(ModelLoader *l, BpeAdded added, int64_t id, const ReelBytes *content)
{
    char shown[BPE_SHOWN];
    ReelJsonReader *json = &l->json;
    if (content->size == 0)
        return true;
    json->string.size = 0;
    if (!reel_bytes_append(&json->string, content->data, content->size))
        return reel_json_reader_fail(json, "out of memory");
    int64_t there = id_there(l, content);
    if (id != there)
        return reel_json_reader_fail(
            json,
            "added token \"%s\" has id %lld here, but Hugging Face passes over that and "
            "gives it %lld; write this id, or rename the token",
            model_bpe_shown(json, shown), (long long)id, (long long)there);
    if (!model_bpe_vocabulary_add(&l->vocabulary, json, id))
        return false;
    added.id = (uint32_t)id;
    added.outside =
        model_string_table_find(&l->vocabulary.names, (ModelTextSpan){content->data, content->size}) >=
        (int64_t)l->model_count;
    BpeAdded *place = place_of_added(l, id);
    if (!place)
        return false;
    *place = added;
    return true;
}

static bool read_added(ModelLoader *l)
{
    bool first = true;
    reel_json_reader_open_array(&l->json);
    while (reel_json_reader_next_item(&l->json, &first)) {
        BpeAdded added = {0};
        ReelBytes content = {0};
        int64_t id = BPE_NONE;
        bool fine = read_added_members(l, &added, &id, &content) && keep_added(l, added, id, &content);
        reel_bytes_free(&content);
        if (!fine)
            return false;
    }
    return reel_status_is_ok(&l->json.status);
}

static bool read_top_member(ModelLoader *l)
{
    char shown[BPE_SHOWN];
    ReelJsonReader *json = &l->json;
    if (reel_json_reader_is(json, "version"))
        return reel_json_reader_string(json) &&
               (reel_json_reader_is(json, "1.0") ||
                reel_json_reader_fail(
                    json, "version \"%s\": Reel reads \"1.0\"; save it with another release of tokenizers",
                    model_bpe_shown(json, shown)));
    if (reel_json_reader_is(json, "truncation"))
        return must_be_unset(json, "truncation");
    if (reel_json_reader_is(json, "padding"))
        return must_be_unset(json, "padding");
    if (reel_json_reader_is(json, "normalizer"))
        return model_bpe_parts_read(json, &l->pipeline.normalizer, "normalizers");
    if (reel_json_reader_is(json, "added_tokens"))
        return note(json, &l->added_at);
    if (reel_json_reader_is(json, "pre_tokenizer"))
        return model_bpe_parts_read(json, &l->pipeline.pretokenizer, "pretokenizers");
    if (reel_json_reader_is(json, "post_processor"))
        return model_bpe_parts_read(json, &l->pipeline.post, "processors");
    if (reel_json_reader_is(json, "decoder"))
        return model_bpe_parts_read(json, &l->pipeline.decoder, "decoders");
    if (reel_json_reader_is(json, "model"))
        return read_model(l);
    return reel_json_reader_fail(
        json, "\"%s\" is not a member of a tokenizer that Reel knows; take it out if no id depends on it",
        model_bpe_shown(json, shown));
}

static bool read_merge(ModelLoader *l)
{
    ReelJsonReader *json = &l->json;
    BpeMergeText merge;
    ReelBytes left = {0};
    bool fine, first = true;
    char what[200];
    if (reel_json_reader_peek(json) == REEL_JSON_STRING) {
        fine = reel_json_reader_string(json) &&
               (model_bpe_split_merge(json->string.data, json->string.size, &merge) ||
                reel_json_reader_fail(json, "a merge is two tokens with a blank between"));
    } else {
        fine = reel_json_reader_open_array(json) && reel_json_reader_next_item(json, &first) &&
               reel_json_reader_string(json) &&
               (reel_bytes_append(&left, json->string.data, json->string.size) ||
                reel_json_reader_fail(json, "out of memory")) &&
               reel_json_reader_next_item(json, &first) && reel_json_reader_string(json);
        if (!fine || reel_json_reader_next_item(json, &first))
            fine = reel_json_reader_fail(json, "a merge is an array of two tokens");
        merge = (BpeMergeText){left.data ? left.data : "", json->string.data ? json->string.data : "",
                               left.size, json->string.size};
    }
    fine = fine && reel_status_is_ok(&json->status) &&
           (model_bpe_add_merge(&l->parts, &l->merge_capacity, merge, what) ||
            reel_json_reader_fail(json, "%s", what));
    reel_bytes_free(&left);
    return fine;
}

static bool read_merges(ModelLoader *l)
{
    bool first = true;
    reel_json_reader_open_array(&l->json);
    while (reel_json_reader_next_item(&l->json, &first))
        if (!read_merge(l))
            return false;
    return reel_status_is_ok(&l->json.status);
}

/* ---- The file ---- */

static bool find_unk(ModelLoader *l)
{
    char shown[BPE_SHOWN];
    ReelJsonReader *json = &l->json;
    json->at = l->unk_at;
    if (!reel_json_reader_string(json))
        return false;
    int64_t place =
        model_string_table_find(&l->vocabulary.names, (ModelTextSpan){json->string.data, json->string.size});
    if (place < 0 || place >= (int64_t)l->model_count)
        return reel_json_reader_fail(
            json, "unk_token \"%s\" is not in the model's vocabulary; add it, or set it to null",
            model_bpe_shown(json, shown));
    l->parts.config.unk_id = (int32_t)l->vocabulary.ids[place];
    return true;
}

static bool read_file(ModelLoader *l)
{
    ReelJsonReader *json = &l->json;
    bool first = true;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first))
        if (!read_top_member(l))
            return false;
    if (!reel_json_reader_end(json))
        return false;
    if (!l->has_model || !l->vocab_at || !l->merges_at)
        return reel_json_reader_fail(
            json, "without a model that has a vocab and merges: no tokenizer.json of byte pairs");
    if (!model_bpe_pipeline_apply(json, &l->pipeline, l->has_word_end, &l->parts.config))
        return false;
    json->at = l->vocab_at;
    if (!model_bpe_vocabulary_read(&l->vocabulary, json))
        return false;
    l->model_count = (size_t)l->vocabulary.names.count;
    json->at = l->added_at;
    if ((l->added_at && !read_added(l)) || !model_bpe_vocabulary_sort(&l->vocabulary, json, &l->parts.tokens))
        return false;
    json->at = l->merges_at;
    if (!read_merges(l))
        return false;
    l->parts.config.unk_id = BPE_NONE;
    return !l->unk_at || find_unk(l);
}

ReelStatus model_bpe_from_json(ModelBpeTokenizer **tokenizer, const char *text, size_t size, const char *name)
{
    *tokenizer = NULL;
    ModelLoader *l = reel_mem_calloc(1, sizeof *l);
    if (!l)
        return reel_status_no_memory(sizeof *l, name);
    reel_json_reader_open(&l->json, text, size, name);
    if (size > MODEL_BPE_MAX_FILE_BYTES)
        reel_json_reader_fail(&l->json, "larger than %d bytes, the most that is read",
                              MODEL_BPE_MAX_FILE_BYTES);
    bool fine = reel_status_is_ok(&l->json.status) && read_file(l);
    ReelStatus status = l->json.status;
    if (fine)
        status = model_bpe_tokenizer_make_from(tokenizer, &l->parts, name);
    else
        model_bpe_tokenizer_drop(&l->parts);
    model_bpe_vocabulary_free(&l->vocabulary);
    reel_json_reader_close(&l->json);
    reel_mem_free(l);
    return status;
}

ReelStatus model_bpe_load(ModelBpeTokenizer **tokenizer, const char *path)
{
    *tokenizer = NULL;
    ReelBytes bytes;
    ReelStatus status = model_bpe_read_file(path, &bytes);
    if (reel_status_is_ok(&status))
        status = model_bpe_from_json(tokenizer, bytes.data, bytes.size, path);
    reel_bytes_free(&bytes);
    return status;
}

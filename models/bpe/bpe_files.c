#define _GNU_SOURCE
#include "models/bpe/bpe_files_internal.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

ReelStatus model_bpe_read_file(const char *path, ReelBytes *bytes)
{
    *bytes = (ReelBytes){0};
    ReelStatus status = reel_text_file_read(path, &bytes->data, &bytes->size);
    if (!reel_status_is_ok(&status))
        return status;
    bytes->capacity = bytes->size;
    if (bytes->size > MODEL_BPE_MAX_FILE_BYTES) {
        reel_bytes_free(bytes);
        return reel_status_failed("%s: larger than %d bytes, the most that is read", path,
                                  MODEL_BPE_MAX_FILE_BYTES);
    }
    size_t mark = reel_text_file_mark(bytes->data, bytes->size);
    bytes->size -= mark;
    memmove(bytes->data, bytes->data + mark, bytes->size);
    return reel_status_ok();
}

/* The start of a text as a message shows it. Returns out. */
static const char *show(const char *text, size_t size, char out[BPE_SHOWN])
{
    size = size < BPE_SHOWN ? size : BPE_SHOWN - 1;
    size = size ? reel_utf8_valid(text, size) : 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        out[i] = byte < 0x20 || byte == 0x7F ? '?' : (char)byte;
    }
    out[size] = '\0';
    return out;
}

const char *model_bpe_shown(const ReelJsonReader *json, char out[BPE_SHOWN])
{
    return show(json->string.data, json->string.size, out);
}

void model_bpe_vocabulary_free(BpeVocabulary *v)
{
    model_string_table_free(&v->names);
    reel_mem_free(v->ids);
    *v = (BpeVocabulary){0};
}

bool model_bpe_vocabulary_add(BpeVocabulary *v, ReelJsonReader *json, int64_t id)
{
    char shown[BPE_SHOWN];
    int64_t there = model_string_table_find(&v->names, (ModelTextSpan){json->string.data, json->string.size});
    if (json->string.size == 0)
        return reel_json_reader_fail(json, "a token without text; take it out");
    if (there >= 0)
        return v->ids[there] == id ||
               reel_json_reader_fail(json, "token \"%s\" has two ids, %u and %lld; keep one",
                                     model_bpe_shown(json, shown), v->ids[there], (long long)id);
    if (id < 0 || id >= MODEL_BPE_MAX_TOKENS)
        return reel_json_reader_fail(json, "token \"%s\" has id %lld, which is not within 0 to %d",
                                     model_bpe_shown(json, shown), (long long)id, MODEL_BPE_MAX_TOKENS - 1);
    uint32_t *ids = reel_mem_grow(v->ids, (size_t)v->names.count, &v->capacity, sizeof *ids);
    if (!ids)
        return reel_json_reader_fail(json, "out of memory");
    v->ids = ids;
    ids[v->names.count] = (uint32_t)id;
    return model_string_table_append(&v->names, (ModelTextSpan){json->string.data, json->string.size}) >= 0 ||
           reel_json_reader_fail(json, "out of memory");
}

bool model_bpe_vocabulary_read(BpeVocabulary *v, ReelJsonReader *json)
{
    bool first = true;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first)) {
        char shown[BPE_SHOWN];
        int64_t id;
        size_t before = (size_t)v->names.count;
        if (!reel_json_reader_int(json, &id) || !model_bpe_vocabulary_add(v, json, id))
            return false;
        if ((size_t)v->names.count == before)
            return reel_json_reader_fail(json, "token \"%s\" is there twice; take one out",
                                         model_bpe_shown(json, shown));
    }
    return reel_status_is_ok(&json->status);
}

static bool fail_same_id(const BpeVocabulary *v, ReelJsonReader *json, size_t a, size_t b)
{
    char first[BPE_SHOWN], second[BPE_SHOWN];
    ModelTextSpan x = model_string_table_span(&v->names, a), y = model_string_table_span(&v->names, b);
    return reel_json_reader_fail(json,
                                 "id %u is given to two tokens, \"%s\" and \"%s\"; give one of them another",
                                 v->ids[b], show(x.bytes, x.length, first), show(y.bytes, y.length, second));
}

bool model_bpe_vocabulary_sort(const BpeVocabulary *v, ReelJsonReader *json, ModelStringTable *tokens)
{
    size_t count = 0;
    for (size_t i = 0; i < (size_t)v->names.count; i++)
        count = v->ids[i] >= count ? (size_t)v->ids[i] + 1 : count;
    if (count - (size_t)v->names.count > BPE_MAX_HOLES && count > (size_t)v->names.count)
        return reel_json_reader_fail(
            json, "id %zu among %zu tokens: more than %d ids below it have no token; number the tokens anew",
            count - 1, (size_t)v->names.count, BPE_MAX_HOLES);
    uint32_t *places = reel_mem_calloc(count + 1, sizeof *places); /* of each id: index + 1 */
    bool fine = places != NULL || reel_json_reader_fail(json, "out of memory");
    for (size_t i = 0; fine && i < (size_t)v->names.count; i++) {
        if (places[v->ids[i]])
            fine = fail_same_id(v, json, places[v->ids[i]] - 1, i);
        else
            places[v->ids[i]] = (uint32_t)i + 1;
    }
    for (size_t id = 0; fine && id < count; id++) {
        ModelTextSpan hole = {"", 0},
                      name = places[id] ? model_string_table_span(&v->names, places[id] - 1) : hole;
        fine = model_string_table_append(tokens, name) >= 0 || reel_json_reader_fail(json, "out of memory");
    }
    reel_mem_free(places);
    return fine;
}

ReelStatus model_bpe_tokenizer_make_from(ModelBpeTokenizer **tokenizer, ModelBpeTokenizer *parts,
                                         const char *name)
{
    ReelStatus status = model_bpe_tokenizer_make(tokenizer, parts);
    return reel_status_is_ok(&status) ? status : reel_status_failed("%s: %s", name, status.message);
}

bool model_bpe_split_merge(const char *text, size_t size, BpeMergeText *merge)
{
    const char *blank = size ? memchr(text, ' ', size) : NULL;
    if (!blank || blank == text || blank + 1 == text + size)
        return false;
    size_t left = (size_t)(blank - text);
    *merge = (BpeMergeText){text, blank + 1, left, size - left - 1};
    return memchr(merge->right, ' ', merge->right_size) == NULL;
}

static bool find_product(const ModelStringTable *tokens, BpeMergeText merge, int64_t *product)
{
    ReelBytes joined = {0};
    bool fine = reel_bytes_append(&joined, merge.left, merge.left_size) &&
                reel_bytes_append(&joined, merge.right, merge.right_size);
    *product = fine ? model_string_table_find(tokens, (ModelTextSpan){joined.data, joined.size}) : BPE_NONE;
    reel_bytes_free(&joined);
    return fine;
}

bool model_bpe_add_merge(ModelBpeTokenizer *parts, size_t *capacity, BpeMergeText merge, char what[200])
{
    int64_t left = model_string_table_find(&parts->tokens, (ModelTextSpan){merge.left, merge.left_size});
    int64_t right = model_string_table_find(&parts->tokens, (ModelTextSpan){merge.right, merge.right_size}),
            product;
    BpeMerge *merges = reel_mem_grow(parts->merges, parts->merge_count, capacity, sizeof *merges);
    if (merges)
        parts->merges = merges;
    if (!merges || !find_product(&parts->tokens, merge, &product)) {
        snprintf(what, 200, "out of memory");
        return false;
    }
    if (left < 0 || right < 0 || product < 0) {
        snprintf(what, 200, "%s of merge %zu is not in the vocabulary; add it, or take the merge out",
                 left < 0    ? "the left token"
                 : right < 0 ? "the right token"
                             : "the result",
                 parts->merge_count);
        return false;
    }
    merges[parts->merge_count++] = (BpeMerge){(uint32_t)left, (uint32_t)right, (uint32_t)product};
    return true;
}

bool model_bpe_next_line(BpeLineReader *lines)
{
    if (lines->at >= lines->end)
        return false;
    const char *feed = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *stop = feed ? feed : lines->end;
    lines->text = lines->at;
    lines->size = (size_t)(stop - lines->at);
    lines->size -= lines->size > 0 && stop[-1] == '\r';
    lines->at = stop + (feed != NULL);
    lines->number++;
    return true;
}

/* The frame of a .safetensors file: its header of JSON becomes the members of a TensorNpz. */
#include "tensor/storage/json_reader.h"
#include "tensor/storage/npz_format_internal.h"
#include "tensor/storage/npz_reader_internal.h"
#include "tensor/storage/safetensors.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 8,
    MOST_HEADER_BYTES = 100 * 1000 * 1000 /* as in Hugging Face's own reader */
};

/* The types of the format that TensorNpyHeader has a letter for. */
static const struct {
    const char *name;
    char kind;
    int item_bytes;
} types[] = {{"F32", 'f', 4},  {"F16", 'f', 2}, {"BF16", TENSOR_NPY_BFLOAT16, 2},
             {"F64", 'f', 8},  {"I64", 'i', 8}, {"I32", 'i', 4},
             {"I16", 'i', 2},  {"I8", 'i', 1},  {"U8", 'u', 1},
             {"U16", 'u', 2},  {"U32", 'u', 4}, {"U64", 'u', 8},
             {"BOOL", 'b', 1}, {"C64", 'c', 8}};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

typedef struct Header {
    TensorNpz *npz;
    ReelJsonReader json;
    uint64_t data;       /* where the elements begin in the file */
    uint64_t data_bytes; /* up to its end */
    int capacity;        /* of npz->members */
} Header;

/* ---- One tensor ---- */

/* What its object says. */
typedef struct Entry {
    TensorNpzMember *member;
    bool typed, shaped, placed;
    int64_t begin, end;
} Entry;

static bool no_memory(Header *header)
{
    return reel_json_reader_fail(&header->json, "out of memory");
}

/* The tensor stays in the list; reading it is refused for this reason. The first one counts. */
static bool set_unreadable(Header *header, Entry *entry, const char *reason)
{
    if (!entry->member->unreadable)
        entry->member->unreadable = tensor_arena_memdup(&header->npz->arena, reason, strlen(reason) + 1);
    return entry->member->unreadable || no_memory(header);
}

static bool read_type(Header *header, Entry *entry)
{
    ReelJsonReader *json = &header->json;
    TensorNpyHeader *array = &entry->member->array;
    if (entry->typed || !reel_json_reader_string(json))
        return reel_json_reader_fail(json, "a type that is there twice");
    entry->typed = true;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (reel_json_reader_is(json, types[i].name)) {
            array->kind = types[i].kind;
            array->item_bytes = types[i].item_bytes;
            return true;
        }
    char reason[TENSOR_NPY_REASON_SIZE];
    size_t length = json->string.size;
    if (length > 40 || !tensor_npz_is_text(json->string.data, length))
        return reel_json_reader_fail(json, "a type that is no short text");
    snprintf(reason, sizeof reason, "its type is %.*s, which Reel does not read; save it as F32", (int)length,
             length ? json->string.data : "");
    return set_unreadable(header, entry, reason);
}

static bool read_shape(Header *header, Entry *entry)
{
    ReelJsonReader *json = &header->json;
    TensorNpyHeader *array = &entry->member->array;
    bool first = true;
    int64_t size;
    if (entry->shaped || !reel_json_reader_open_array(json))
        return reel_json_reader_fail(json, "a shape that is there twice");
    entry->shaped = true;
    while (reel_json_reader_next_item(json, &first)) {
        if (!reel_json_reader_int_in(json, 0, INT64_MAX, &size))
            return false;
        if (array->ndim < TENSOR_NPY_MAX_DIMS)
            array->shape[array->ndim++] = size;
        else if (!set_unreadable(header, entry, "it has more than 32 axes; reshape it"))
            return false;
    }
    return reel_status_is_ok(&json->status);
}

static bool read_place(Header *header, Entry *entry)
{
    ReelJsonReader *json = &header->json;
    int64_t *const places[] = {&entry->begin, &entry->end};
    bool first = true;
    int count = 0;
    if (entry->placed || !reel_json_reader_open_array(json))
        return reel_json_reader_fail(json, "offsets that are there twice");
    entry->placed = true;
    while (reel_json_reader_next_item(json, &first)) {
        if (count == 2)
            return reel_json_reader_fail(json, "more than two offsets");
        if (!reel_json_reader_int_in(json, 0, INT64_MAX, places[count++]))
            return false;
    }
    return reel_status_is_ok(&json->status) &&
           (count == 2 || reel_json_reader_fail(json, "fewer than two offsets"));
}

static bool read_entry(Header *header, Entry *entry)
{
    ReelJsonReader *json = &header->json;
    bool first = true;
    if (!reel_json_reader_open_object(json))
        return false;
    while (reel_json_reader_next_key(json, &first)) {
        bool fine = reel_json_reader_is(json, "dtype")          ? read_type(header, entry)
                    : reel_json_reader_is(json, "shape")        ? read_shape(header, entry)
                    : reel_json_reader_is(json, "data_offsets") ? read_place(header, entry)
                                                                : reel_json_reader_skip(json);
        if (!fine)
            return false;
    }
    return reel_status_is_ok(&json->status);
}

/* NULL, or what cannot be in what has been read. */
static const char *check_entry(const Header *header, const Entry *entry)
{
    TensorNpyHeader *array = &entry->member->array;
    if (!entry->typed || !entry->shaped || !entry->placed)
        return "it lacks dtype, shape or data_offsets";
    if (entry->begin > entry->end || (uint64_t)entry->end > header->data_bytes)
        return "its offsets reach beyond the file, or backwards";
    if (entry->member->unreadable)
        return NULL;
    if (!tensor_npy_count(array))
        return "its shape is larger than any memory";
    return array->bytes == entry->end - entry->begin ? NULL : "its offsets do not fit its shape and type";
}

/* ---- All of them ---- */

/* A new member, of the name that the reader has just read; NULL: an error. */
static TensorNpzMember *add_member(Header *header)
{
    TensorNpz *npz = header->npz;
    const ReelBytes *name = &header->json.string;
    if (name->size == 0 || name->size > NPZ_MAX_NAME || !tensor_npz_is_text(name->data, name->size)) {
        reel_json_reader_fail(&header->json,
                              "a name that is empty, longer than 1024 bytes, or has control characters");
        return NULL;
    }
    if (npz->count == header->capacity) {
        int larger = header->capacity ? 2 * header->capacity : 32;
        TensorNpzMember *members = npz->count < INT32_MAX / 4
                                       ? tensor_arena_calloc(&npz->arena, (size_t)larger * sizeof *members)
                                       : NULL;
        if (members && npz->count > 0)
            memcpy(members, npz->members, (size_t)npz->count * sizeof *members);
        if (members)
            npz->members = members;
        header->capacity = members ? larger : header->capacity;
    }
    char *copy = npz->count < header->capacity ? tensor_arena_calloc(&npz->arena, name->size + 1) : NULL;
    if (!copy) {
        no_memory(header);
        return NULL;
    }
    memcpy(copy, name->data, name->size);
    TensorNpzMember *member = &npz->members[npz->count++];
    *member = (TensorNpzMember){.name = copy, .is_array = true};
    return member;
}

static bool read_tensor(Header *header)
{
    Entry entry = {.member = add_member(header)};
    if (!entry.member || !read_entry(header, &entry))
        return false;
    const char *wrong = check_entry(header, &entry);
    if (wrong)
        return reel_json_reader_fail(&header->json, "'%.120s': %s", entry.member->name, wrong);
    entry.member->offset = header->data + (uint64_t)entry.begin;
    entry.member->bytes = entry.member->size = entry.member->packed_size =
        (uint64_t)(entry.end - entry.begin);
    return true;
}

/* An object of texts, which are of no use here. */
static bool read_metadata(ReelJsonReader *json)
{
    bool first = true;
    if (!reel_json_reader_open_object(json))
        return false;
    while (reel_json_reader_next_key(json, &first))
        if (!reel_json_reader_string(json))
            return false;
    return reel_status_is_ok(&json->status);
}

static bool read_tensors(Header *header)
{
    ReelJsonReader *json = &header->json;
    bool first = true, has_metadata = false;
    if (!reel_json_reader_open_object(json))
        return false;
    while (reel_json_reader_next_key(json, &first)) {
        bool is_metadata = reel_json_reader_is(json, "__metadata__");
        if (is_metadata && has_metadata)
            return reel_json_reader_fail(json, "__metadata__ is there twice");
        has_metadata |= is_metadata;
        if (is_metadata ? !read_metadata(json) : !read_tensor(header))
            return false;
    }
    return reel_json_reader_end(json);
}

static int compare_places(const void *a, const void *b)
{
    const TensorNpzMember *x = *(const TensorNpzMember *const *)a, *y = *(const TensorNpzMember *const *)b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

/* From the first byte behind the header to the last of the file, without gap or overlap. by_name is used for
 * the order. */
static ReelStatus check_places(const Header *header)
{
    TensorNpz *npz = header->npz;
    uint64_t at = header->data;
    for (int i = 0; i < npz->count; i++)
        npz->by_name[i] = &npz->members[i];
    qsort(npz->by_name, (size_t)npz->count, sizeof *npz->by_name, compare_places);
    for (int i = 0; i < npz->count; i++) {
        const TensorNpzMember *member = npz->by_name[i];
        if (member->offset != at)
            return tensor_npz_damaged_member(npz, member->name,
                                             member->offset < at ? "its offsets overlap with another's"
                                                                 : "there is a gap in front of its offsets");
        at += member->size;
    }
    return at == npz->size ? reel_status_ok()
                           : tensor_npz_damaged(npz, "there are bytes that belong to no tensor");
}

static ReelStatus parse(Header *header, const char *text, size_t size)
{
    TensorNpz *npz = header->npz;
    reel_json_reader_open(&header->json, text, size, "header");
    read_tensors(header);
    ReelStatus status = header->json.status;
    reel_json_reader_close(&header->json);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%.200s: %s; " NPZ_RESTORE, npz->path, status.message);
    npz->by_name = tensor_arena_alloc(&npz->arena, (size_t)npz->count * sizeof *npz->by_name);
    if (!npz->by_name)
        return reel_status_no_memory((size_t)npz->count * sizeof *npz->by_name, npz->path);
    status = check_places(header);
    return reel_status_is_ok(&status) ? tensor_npz_index_names(npz) : status;
}

ReelStatus tensor_npz_read_safetensors(TensorNpz *npz)
{
    uint8_t length[LENGTH_BYTES];
    npz->is_bare = true;
    if (npz->size < LENGTH_BYTES)
        return reel_status_failed("%s: is too short for a .safetensors file; " NPZ_RESTORE, npz->path);
    ReelStatus status = tensor_npz_read_at(npz, 0, length, sizeof length);
    uint64_t size = zip_get64(length);
    if (!reel_status_is_ok(&status))
        return status;
    if (size > npz->size - LENGTH_BYTES)
        return tensor_npz_damaged(npz, "its header is longer than the file");
    if (size > MOST_HEADER_BYTES)
        return tensor_npz_damaged(npz, "its header is longer than 100 MB");
    char *text = reel_mem_alloc((size_t)size);
    if (!text)
        return reel_status_no_memory((size_t)size, npz->path);
    status = tensor_npz_read_at(npz, LENGTH_BYTES, text, (size_t)size);
    Header header = {.npz = npz, .data = LENGTH_BYTES + size, .data_bytes = npz->size - LENGTH_BYTES - size};
    if (reel_status_is_ok(&status))
        status = parse(&header, text, (size_t)size);
    reel_mem_free(text);
    return status;
}

bool tensor_npz_looks_like_safetensors(const TensorNpz *npz)
{
    uint8_t first[LENGTH_BYTES + 1] = {0};
    ReelStatus status =
        tensor_npz_read_at(npz, 0, first, npz->size < sizeof first ? (size_t)npz->size : sizeof first);
    if (!reel_status_is_ok(&status) || zip_get32(first) == ZIP_LOCAL || zip_get32(first) == ZIP_END)
        return false;
    return tensor_safetensors_is_path(npz->path) ||
           (zip_get64(first) <= npz->size && first[LENGTH_BYTES] == '{');
}

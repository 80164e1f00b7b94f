/* The frame of a .safetensors file: its header of JSON becomes the members of an Npz. */
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

/* The types of the format that NpyHeader has a letter for. */
static const struct {
    const char *name;
    char kind;
    int item_bytes;
} types[] = {{"F32", 'f', 4},  {"F16", 'f', 2}, {"BF16", NPY_BFLOAT16, 2}, {"F64", 'f', 8},
             {"I64", 'i', 8},  {"I32", 'i', 4}, {"I16", 'i', 2},           {"I8", 'i', 1},
             {"U8", 'u', 1},   {"U16", 'u', 2}, {"U32", 'u', 4},           {"U64", 'u', 8},
             {"BOOL", 'b', 1}, {"C64", 'c', 8}};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

typedef struct Header {
    Npz *npz;
    JsonReader json;
    uint64_t data;       /* where the elements begin in the file */
    uint64_t data_bytes; /* up to its end */
    int capacity;        /* of npz->members */
} Header;

/* ---- One tensor ---- */

/* What its object says. */
typedef struct Entry {
    NpzMember *member;
    bool typed, shaped, placed;
    int64_t begin, end;
} Entry;

static bool no_memory(Header *header)
{
    return json_reader_fail(&header->json, "out of memory");
}

/* The tensor stays in the list; reading it is refused for this reason. The first one counts. */
static bool set_unreadable(Header *header, Entry *entry, const char *reason)
{
    if (!entry->member->unreadable)
        entry->member->unreadable = arena_memdup(&header->npz->arena, reason, strlen(reason) + 1);
    return entry->member->unreadable || no_memory(header);
}

static bool read_type(Header *header, Entry *entry)
{
    JsonReader *json = &header->json;
    NpyHeader *array = &entry->member->array;
    if (entry->typed || !json_reader_string(json))
        return json_reader_fail(json, "a type that is there twice");
    entry->typed = true;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (json_reader_is(json, types[i].name)) {
            array->kind = types[i].kind;
            array->item_bytes = types[i].item_bytes;
            return true;
        }
    char reason[NPY_REASON_SIZE];
    size_t length = json->string.size;
    if (length > 40 || !npz_is_text(json->string.data, length))
        return json_reader_fail(json, "a type that is no short text");
    snprintf(reason, sizeof reason, "its type is %.*s, which Reel does not read; save it as F32", (int)length,
             length ? json->string.data : "");
    return set_unreadable(header, entry, reason);
}

static bool read_shape(Header *header, Entry *entry)
{
    JsonReader *json = &header->json;
    NpyHeader *array = &entry->member->array;
    bool first = true;
    int64_t size;
    if (entry->shaped || !json_reader_open_array(json))
        return json_reader_fail(json, "a shape that is there twice");
    entry->shaped = true;
    while (json_reader_next_item(json, &first)) {
        if (!json_reader_int_in(json, 0, INT64_MAX, &size))
            return false;
        if (array->ndim < NPY_MAX_DIMS)
            array->shape[array->ndim++] = size;
        else if (!set_unreadable(header, entry, "it has more than 32 axes; reshape it"))
            return false;
    }
    return status_is_ok(&json->status);
}

static bool read_place(Header *header, Entry *entry)
{
    JsonReader *json = &header->json;
    int64_t *const places[] = {&entry->begin, &entry->end};
    bool first = true;
    int count = 0;
    if (entry->placed || !json_reader_open_array(json))
        return json_reader_fail(json, "offsets that are there twice");
    entry->placed = true;
    while (json_reader_next_item(json, &first)) {
        if (count == 2)
            return json_reader_fail(json, "more than two offsets");
        if (!json_reader_int_in(json, 0, INT64_MAX, places[count++]))
            return false;
    }
    return status_is_ok(&json->status) && (count == 2 || json_reader_fail(json, "fewer than two offsets"));
}

static bool read_entry(Header *header, Entry *entry)
{
    JsonReader *json = &header->json;
    bool first = true;
    if (!json_reader_open_object(json))
        return false;
    while (json_reader_next_key(json, &first)) {
        bool fine = json_reader_is(json, "dtype")          ? read_type(header, entry)
                    : json_reader_is(json, "shape")        ? read_shape(header, entry)
                    : json_reader_is(json, "data_offsets") ? read_place(header, entry)
                                                           : json_reader_skip(json);
        if (!fine)
            return false;
    }
    return status_is_ok(&json->status);
}

/* NULL, or what cannot be in what has been read. */
static const char *check_entry(const Header *header, const Entry *entry)
{
    NpyHeader *array = &entry->member->array;
    if (!entry->typed || !entry->shaped || !entry->placed)
        return "it lacks dtype, shape or data_offsets";
    if (entry->begin > entry->end || (uint64_t)entry->end > header->data_bytes)
        return "its offsets reach beyond the file, or backwards";
    if (entry->member->unreadable)
        return NULL;
    if (!npy_count(array))
        return "its shape is larger than any memory";
    return array->bytes == entry->end - entry->begin ? NULL : "its offsets do not fit its shape and type";
}

/* ---- All of them ---- */

/* A new member, of the name that the reader has just read; NULL: an error. */
static NpzMember *add_member(Header *header)
{
    Npz *npz = header->npz;
    const Bytes *name = &header->json.string;
    if (name->size == 0 || name->size > NPZ_MAX_NAME || !npz_is_text(name->data, name->size)) {
        json_reader_fail(&header->json,
                         "a name that is empty, longer than 1024 bytes, or has control characters");
        return NULL;
    }
    if (npz->count == header->capacity) {
        int larger = header->capacity ? 2 * header->capacity : 32;
        NpzMember *members =
            npz->count < INT32_MAX / 4 ? arena_calloc(&npz->arena, (size_t)larger * sizeof *members) : NULL;
        if (members && npz->count > 0)
            memcpy(members, npz->members, (size_t)npz->count * sizeof *members);
        if (members)
            npz->members = members;
        header->capacity = members ? larger : header->capacity;
    }
    char *copy = npz->count < header->capacity ? arena_calloc(&npz->arena, name->size + 1) : NULL;
    if (!copy) {
        no_memory(header);
        return NULL;
    }
    memcpy(copy, name->data, name->size);
    NpzMember *member = &npz->members[npz->count++];
    *member = (NpzMember){.name = copy, .is_array = true};
    return member;
}

static bool read_tensor(Header *header)
{
    Entry entry = {.member = add_member(header)};
    if (!entry.member || !read_entry(header, &entry))
        return false;
    const char *wrong = check_entry(header, &entry);
    if (wrong)
        return json_reader_fail(&header->json, "'%.120s': %s", entry.member->name, wrong);
    entry.member->offset = header->data + (uint64_t)entry.begin;
    entry.member->bytes = entry.member->size = entry.member->packed_size =
        (uint64_t)(entry.end - entry.begin);
    return true;
}

/* An object of texts, which are of no use here. */
static bool read_metadata(JsonReader *json)
{
    bool first = true;
    if (!json_reader_open_object(json))
        return false;
    while (json_reader_next_key(json, &first))
        if (!json_reader_string(json))
            return false;
    return status_is_ok(&json->status);
}

static bool read_tensors(Header *header)
{
    JsonReader *json = &header->json;
    bool first = true, has_metadata = false;
    if (!json_reader_open_object(json))
        return false;
    while (json_reader_next_key(json, &first)) {
        bool is_metadata = json_reader_is(json, "__metadata__");
        if (is_metadata && has_metadata)
            return json_reader_fail(json, "__metadata__ is there twice");
        has_metadata |= is_metadata;
        if (is_metadata ? !read_metadata(json) : !read_tensor(header))
            return false;
    }
    return json_reader_end(json);
}

static int compare_places(const void *a, const void *b)
{
    const NpzMember *x = *(const NpzMember *const *)a, *y = *(const NpzMember *const *)b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

/* From the first byte behind the header to the last of the file, without gap or overlap. by_name is used for
 * the order. */
static Status check_places(const Header *header)
{
    Npz *npz = header->npz;
    uint64_t at = header->data;
    for (int i = 0; i < npz->count; i++)
        npz->by_name[i] = &npz->members[i];
    qsort(npz->by_name, (size_t)npz->count, sizeof *npz->by_name, compare_places);
    for (int i = 0; i < npz->count; i++) {
        const NpzMember *member = npz->by_name[i];
        if (member->offset != at)
            return npz_damaged_member(npz, member->name,
                                      member->offset < at ? "its offsets overlap with another's"
                                                          : "there is a gap in front of its offsets");
        at += member->size;
    }
    return at == npz->size ? status_ok() : npz_damaged(npz, "there are bytes that belong to no tensor");
}

static Status parse(Header *header, const char *text, size_t size)
{
    Npz *npz = header->npz;
    json_reader_open(&header->json, text, size, "header");
    read_tensors(header);
    Status status = header->json.status;
    json_reader_close(&header->json);
    if (!status_is_ok(&status))
        return status_failed("%.200s: %s; " NPZ_RESTORE, npz->path, status.message);
    npz->by_name = arena_alloc(&npz->arena, (size_t)npz->count * sizeof *npz->by_name);
    if (!npz->by_name)
        return status_no_memory((size_t)npz->count * sizeof *npz->by_name, npz->path);
    status = check_places(header);
    return status_is_ok(&status) ? npz_index_names(npz) : status;
}

Status npz_read_safetensors(Npz *npz)
{
    uint8_t length[LENGTH_BYTES];
    npz->is_safetensors = true;
    if (npz->size < LENGTH_BYTES)
        return status_failed("%s: is too short for a .safetensors file; " NPZ_RESTORE, npz->path);
    Status status = npz_read_at(npz, 0, length, sizeof length);
    uint64_t size = zip_get64(length);
    if (!status_is_ok(&status))
        return status;
    if (size > npz->size - LENGTH_BYTES)
        return npz_damaged(npz, "its header is longer than the file");
    if (size > MOST_HEADER_BYTES)
        return npz_damaged(npz, "its header is longer than 100 MB");
    char *text = mem_alloc((size_t)size);
    if (!text)
        return status_no_memory((size_t)size, npz->path);
    status = npz_read_at(npz, LENGTH_BYTES, text, (size_t)size);
    Header header = {.npz = npz, .data = LENGTH_BYTES + size, .data_bytes = npz->size - LENGTH_BYTES - size};
    if (status_is_ok(&status))
        status = parse(&header, text, (size_t)size);
    mem_free(text);
    return status;
}

bool npz_looks_like_safetensors(const Npz *npz)
{
    uint8_t first[LENGTH_BYTES + 1] = {0};
    Status status = npz_read_at(npz, 0, first, npz->size < sizeof first ? (size_t)npz->size : sizeof first);
    if (!status_is_ok(&status) || zip_get32(first) == ZIP_LOCAL || zip_get32(first) == ZIP_END)
        return false;
    return safetensors_is_path(npz->path) || (zip_get64(first) <= npz->size && first[LENGTH_BYTES] == '{');
}

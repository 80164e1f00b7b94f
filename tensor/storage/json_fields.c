#include "tensor/storage/json_fields.h"
#include "tensor/storage/json_reader.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define PLAIN(type, kind)                                                                                    \
    {                                                                                                        \
        sizeof(type), (const ReelJsonField[]){{NULL, kind, 0, 0, NULL}}, 1                                   \
    }
const ReelJsonShape reel_json_texts = PLAIN(char *, REEL_JSON_FIELD_TEXT);
const ReelJsonShape reel_json_ints = PLAIN(int, REEL_JSON_FIELD_INT);
const ReelJsonShape reel_json_integers = PLAIN(int64_t, REEL_JSON_FIELD_INTEGER);
const ReelJsonShape reel_json_numbers = PLAIN(double, REEL_JSON_FIELD_NUMBER);

/* ---- Writing ---- */

static void write_object(ReelJsonWriter *writer, const char *key, const ReelJsonShape *shape,
                         const char *object);
static void write_members(ReelJsonWriter *writer, const ReelJsonShape *shape, const char *object);

static void write_part(ReelJsonWriter *writer, const ReelJsonField *field, const char *object)
{
    if (field->count_offset != REEL_JSON_ALWAYS && *(const int *)(object + field->count_offset) == 0)
        return;
    if (field->name)
        write_object(writer, field->name, field->of, object + field->offset);
    else
        write_members(writer, field->of, object + field->offset);
}

static void write_field(ReelJsonWriter *writer, const ReelJsonField *field, const char *object)
{
    const char *at = object + field->offset;
    switch (field->kind) {
    case REEL_JSON_FIELD_TEXT:
        if (*(char *const *)at)
            reel_json_string(writer, field->name, *(char *const *)at);
        break;
    case REEL_JSON_FIELD_INT:
        reel_json_integer(writer, field->name, *(const int *)at);
        break;
    case REEL_JSON_FIELD_INTEGER:
        reel_json_integer(writer, field->name, *(const int64_t *)at);
        break;
    case REEL_JSON_FIELD_NUMBER:
        reel_json_number(writer, field->name, *(const double *)at);
        break;
    case REEL_JSON_FIELD_BOOL:
        reel_json_bool(writer, field->name, *(const bool *)at);
        break;
    case REEL_JSON_FIELD_LIST:
        reel_json_begin_array(writer, field->name);
        for (int i = 0; i < *(const int *)(object + field->count_offset); i++)
            write_object(writer, NULL, field->of, *(char *const *)at + (size_t)i * field->of->size);
        reel_json_end_array(writer);
        break;
    case REEL_JSON_FIELD_PART:
        write_part(writer, field, object);
        break;
    }
}

static void write_members(ReelJsonWriter *writer, const ReelJsonShape *shape, const char *object)
{
    for (int i = 0; i < shape->count; i++)
        write_field(writer, &shape->fields[i], object);
}

/* Whether elements are values without a name. */
static bool is_plain(const ReelJsonShape *shape)
{
    return !shape->fields[0].name && shape->fields[0].kind != REEL_JSON_FIELD_PART;
}

static void write_object(ReelJsonWriter *writer, const char *key, const ReelJsonShape *shape,
                         const char *object)
{
    if (is_plain(shape)) {
        write_field(writer, &shape->fields[0], object);
        return;
    }
    reel_json_begin_object(writer, key);
    write_members(writer, shape, object);
    reel_json_end_object(writer);
}

void reel_json_write_fields(ReelJsonWriter *writer, const char *key, const ReelJsonShape *shape,
                            const void *object)
{
    write_object(writer, key, shape, object);
}

/* ---- Reading ---- */

static bool read_object(ReelJsonReader *json, const ReelJsonShape *shape, char *object, TensorArena *arena);

/* What was not finite has been written as null. */
static bool read_number(ReelJsonReader *json, double *out)
{
    if (reel_json_reader_peek(json) != REEL_JSON_NULL)
        return reel_json_reader_number(json, out);
    *out = NAN;
    return reel_json_reader_null(json);
}

static bool read_int(ReelJsonReader *json, int *out)
{
    int64_t value;
    if (!reel_json_reader_int(json, &value))
        return false;
    if (value < INT_MIN || value > INT_MAX)
        return reel_json_reader_fail(json, "the number is too large");
    *out = (int)value;
    return true;
}

static bool read_text(ReelJsonReader *json, char **out, TensorArena *arena)
{
    if (!reel_json_reader_string(json))
        return false;
    size_t size = json->string.size;
    if (size > 0 && memchr(json->string.data, 0, size))
        return reel_json_reader_fail(json, "a string with a zero byte");
    char *text = tensor_arena_alloc(arena, size + 1);
    if (!text)
        return reel_json_reader_fail(json, "out of memory");
    if (size > 0)
        memcpy(text, json->string.data, size);
    text[size] = '\0';
    *out = text;
    return true;
}

static bool read_list(ReelJsonReader *json, const ReelJsonField *field, char *object, TensorArena *arena)
{
    const ReelJsonShape *of = field->of;
    char *elements = NULL;
    int count = 0, capacity = 0;
    bool first = true;
    if (!reel_json_reader_open_array(json))
        return false;
    while (reel_json_reader_next_item(json, &first)) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            char *larger =
                count < INT_MAX / 4 ? tensor_arena_calloc(arena, (size_t)capacity * of->size) : NULL;
            if (!larger)
                return reel_json_reader_fail(json, "out of memory");
            if (count)
                memcpy(larger, elements, (size_t)count * of->size);
            elements = larger;
        }
        if (!read_object(json, of, elements + (size_t)count++ * of->size, arena))
            return false;
    }
    memcpy(object + field->offset, &elements, sizeof elements);
    *(int *)(object + field->count_offset) = count;
    return reel_status_is_ok(&json->status);
}

static bool read_field(ReelJsonReader *json, const ReelJsonField *field, char *object, TensorArena *arena)
{
    char *at = object + field->offset;
    switch (field->kind) {
    case REEL_JSON_FIELD_TEXT:
        return read_text(json, (char **)at, arena);
    case REEL_JSON_FIELD_INT:
        return read_int(json, (int *)at);
    case REEL_JSON_FIELD_INTEGER:
        return reel_json_reader_int(json, (int64_t *)at);
    case REEL_JSON_FIELD_NUMBER:
        return read_number(json, (double *)at);
    case REEL_JSON_FIELD_BOOL:
        return reel_json_reader_bool(json, (bool *)at);
    case REEL_JSON_FIELD_LIST:
        return read_list(json, field, object, arena);
    case REEL_JSON_FIELD_PART:
        return read_object(json, field->of, at, arena);
    }
    return false;
}

/* The member of this name, also in parts that have none; *object becomes the struct that it is in. */
static const ReelJsonField *find(const ReelJsonReader *json, const ReelJsonShape *shape, char **object)
{
    for (int i = 0; i < shape->count; i++) {
        const ReelJsonField *field = &shape->fields[i], *inner;
        char *part = *object + field->offset;
        if (field->name && reel_json_reader_is(json, field->name))
            return field;
        if (!field->name && (inner = find(json, field->of, &part))) {
            *object = part;
            return inner;
        }
    }
    return NULL;
}

static bool read_object(ReelJsonReader *json, const ReelJsonShape *shape, char *object, TensorArena *arena)
{
    bool first = true;
    if (is_plain(shape))
        return read_field(json, &shape->fields[0], object, arena);
    if (!reel_json_reader_open_object(json))
        return false;
    while (reel_json_reader_next_key(json, &first)) {
        char *place = object;
        const ReelJsonField *field = find(json, shape, &place);
        if (field ? !read_field(json, field, place, arena) : !reel_json_reader_skip(json))
            return false;
    }
    return reel_status_is_ok(&json->status);
}

ReelStatus reel_json_read_fields(const char *text, size_t size, const char *name, const ReelJsonShape *shape,
                                 void *object, TensorArena *arena)
{
    ReelJsonReader json;
    reel_json_reader_open(&json, text, size, name);
    if (read_object(&json, shape, object, arena))
        reel_json_reader_end(&json);
    ReelStatus status = json.status;
    reel_json_reader_close(&json);
    return status;
}

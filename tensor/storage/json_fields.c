#include "tensor/storage/json_fields.h"
#include "tensor/storage/json_reader.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define PLAIN(type, kind)                                                                                    \
    {                                                                                                        \
        sizeof(type), (const JsonField[]){{NULL, kind, 0, 0, NULL}}, 1                                       \
    }
const JsonShape JSON_TEXTS = PLAIN(char *, JSON_FIELD_TEXT);
const JsonShape JSON_INTS = PLAIN(int, JSON_FIELD_INT);
const JsonShape JSON_INTEGERS = PLAIN(int64_t, JSON_FIELD_INTEGER);
const JsonShape JSON_NUMBERS = PLAIN(double, JSON_FIELD_NUMBER);

/* ---- Writing ---- */

static void write_object(JsonWriter *writer, const char *key, const JsonShape *shape, const char *object);

static void write_field(JsonWriter *writer, const JsonField *field, const char *object)
{
    const char *at = object + field->offset;
    switch (field->kind) {
    case JSON_FIELD_TEXT:
        if (*(char *const *)at)
            json_string(writer, field->name, *(char *const *)at);
        break;
    case JSON_FIELD_INT:
        json_integer(writer, field->name, *(const int *)at);
        break;
    case JSON_FIELD_INTEGER:
        json_integer(writer, field->name, *(const int64_t *)at);
        break;
    case JSON_FIELD_NUMBER:
        json_number(writer, field->name, *(const double *)at);
        break;
    case JSON_FIELD_BOOL:
        json_bool(writer, field->name, *(const bool *)at);
        break;
    case JSON_FIELD_LIST:
        json_begin_array(writer, field->name);
        for (int i = 0; i < *(const int *)(object + field->count_offset); i++)
            write_object(writer, NULL, field->of, *(char *const *)at + (size_t)i * field->of->size);
        json_end_array(writer);
        break;
    }
}

static void write_object(JsonWriter *writer, const char *key, const JsonShape *shape, const char *object)
{
    if (!shape->fields[0].name) {
        write_field(writer, &shape->fields[0], object);
        return;
    }
    json_begin_object(writer, key);
    for (int i = 0; i < shape->count; i++)
        write_field(writer, &shape->fields[i], object);
    json_end_object(writer);
}

void json_write_fields(JsonWriter *writer, const char *key, const JsonShape *shape, const void *object)
{
    write_object(writer, key, shape, object);
}

/* ---- Reading ---- */

static bool read_object(JsonReader *json, const JsonShape *shape, char *object, Arena *arena);

/* What was not finite has been written as null. */
static bool read_number(JsonReader *json, double *out)
{
    if (json_reader_peek(json) != JSON_NULL)
        return json_reader_number(json, out);
    *out = NAN;
    return json_reader_null(json);
}

static bool read_int(JsonReader *json, int *out)
{
    int64_t value;
    if (!json_reader_int(json, &value))
        return false;
    if (value < INT_MIN || value > INT_MAX)
        return json_reader_fail(json, "the number is too large");
    *out = (int)value;
    return true;
}

static bool read_text(JsonReader *json, char **out, Arena *arena)
{
    if (!json_reader_string(json))
        return false;
    size_t size = json->string.size;
    if (size > 0 && memchr(json->string.data, 0, size))
        return json_reader_fail(json, "a string with a zero byte");
    char *text = arena_alloc(arena, size + 1);
    if (!text)
        return json_reader_fail(json, "out of memory");
    if (size > 0)
        memcpy(text, json->string.data, size);
    text[size] = '\0';
    *out = text;
    return true;
}

static bool read_list(JsonReader *json, const JsonField *field, char *object, Arena *arena)
{
    const JsonShape *of = field->of;
    char *elements = NULL;
    int count = 0, capacity = 0;
    bool first = true;
    if (!json_reader_open_array(json))
        return false;
    while (json_reader_next_item(json, &first)) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            char *larger = count < INT_MAX / 4 ? arena_calloc(arena, (size_t)capacity * of->size) : NULL;
            if (!larger)
                return json_reader_fail(json, "out of memory");
            if (count)
                memcpy(larger, elements, (size_t)count * of->size);
            elements = larger;
        }
        if (!read_object(json, of, elements + (size_t)count++ * of->size, arena))
            return false;
    }
    memcpy(object + field->offset, &elements, sizeof elements);
    *(int *)(object + field->count_offset) = count;
    return status_is_ok(&json->status);
}

static bool read_field(JsonReader *json, const JsonField *field, char *object, Arena *arena)
{
    char *at = object + field->offset;
    switch (field->kind) {
    case JSON_FIELD_TEXT:
        return read_text(json, (char **)at, arena);
    case JSON_FIELD_INT:
        return read_int(json, (int *)at);
    case JSON_FIELD_INTEGER:
        return json_reader_int(json, (int64_t *)at);
    case JSON_FIELD_NUMBER:
        return read_number(json, (double *)at);
    case JSON_FIELD_BOOL:
        return json_reader_bool(json, (bool *)at);
    case JSON_FIELD_LIST:
        return read_list(json, field, object, arena);
    }
    return false;
}

static const JsonField *find(const JsonReader *json, const JsonShape *shape)
{
    for (int i = 0; i < shape->count; i++)
        if (json_reader_is(json, shape->fields[i].name))
            return &shape->fields[i];
    return NULL;
}

static bool read_object(JsonReader *json, const JsonShape *shape, char *object, Arena *arena)
{
    bool first = true;
    if (!shape->fields[0].name)
        return read_field(json, &shape->fields[0], object, arena);
    if (!json_reader_open_object(json))
        return false;
    while (json_reader_next_key(json, &first)) {
        const JsonField *field = find(json, shape);
        if (field ? !read_field(json, field, object, arena) : !json_reader_skip(json))
            return false;
    }
    return status_is_ok(&json->status);
}

Status json_read_fields(const char *text, size_t size, const char *name, const JsonShape *shape, void *object,
                        Arena *arena)
{
    JsonReader json;
    json_reader_open(&json, text, size, name);
    if (read_object(&json, shape, object, arena))
        json_reader_end(&json);
    Status status = json.status;
    json_reader_close(&json);
    return status;
}

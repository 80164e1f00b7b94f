#include "tools/settings.h"

#include "tensor/storage/json_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settings_write(JsonWriter *json, const Option *option)
{
    char text[32];
    switch (option->kind) {
    case OPTION_FLAG:
        json_bool(json, option->name, *(const bool *)option->value);
        break;
    case OPTION_TEXT:
        if (*(const char *const *)option->value)
            json_string(json, option->name, *(const char *const *)option->value);
        else
            json_null(json, option->name);
        break;
    case OPTION_INTEGER:
        json_integer(json, option->name, *(const int *)option->value);
        break;
    case OPTION_NUMBER:
        json_number(json, option->name, *(const double *)option->value);
        break;
    case OPTION_SEED: /* more than a double holds exactly */
        snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)option->value);
        json_string(json, option->name, text);
        break;
    }
}

static bool read_text(JsonReader *json, const Option *option, Arena *arena)
{
    const char **value = (const char **)option->value;
    if (json_reader_peek(json) == JSON_NULL) {
        *value = NULL;
        return json_reader_null(json);
    }
    if (!json_reader_string(json))
        return false;
    char *copy = arena_calloc(arena, json->string.size + 1);
    if (!copy)
        return json_reader_fail(json, "out of memory");
    if (json->string.size)
        memcpy(copy, json->string.data, json->string.size);
    *value = copy;
    return true;
}

/* Reads a number that the option allows; a default may lie outside of what may be given. */
static bool read_number(JsonReader *json, const Option *option)
{
    bool integer = option->kind == OPTION_INTEGER;
    double value, standard = integer ? *(const int *)option->value : *(const double *)option->value;
    /* What is not finite is written as null. */
    if (!integer && !isfinite(standard) && json_reader_peek(json) == JSON_NULL)
        return json_reader_null(json);
    if (!json_reader_number(json, &value))
        return false;
    if (value != standard &&
        (!(value >= option->low && value <= option->high) || (integer && value != (double)(int)value)))
        return json_reader_fail(json, "%s cannot be %g", option->name, value);
    if (integer)
        *(int *)option->value = (int)value;
    else
        *(double *)option->value = value;
    return true;
}

static bool read_seed(JsonReader *json, const Option *option)
{
    char text[32], *end;
    if (!json_reader_string(json))
        return false;
    snprintf(text, sizeof text, "%.*s", (int)json->string.size, json->string.data);
    *(uint64_t *)option->value = strtoull(text, &end, 10);
    return (*text && !*end) || json_reader_fail(json, "%s is no whole number", option->name);
}

static bool read_value(JsonReader *json, const Option *option, Arena *arena)
{
    switch (option->kind) {
    case OPTION_FLAG:
        return json_reader_bool(json, option->value);
    case OPTION_TEXT:
        return read_text(json, option, arena);
    case OPTION_SEED:
        return read_seed(json, option);
    default:
        return read_number(json, option);
    }
}

static const Option *find(const Option *options, int count, const JsonReader *json)
{
    for (int i = 0; i < count; i++)
        if (json_reader_is(json, options[i].name))
            return &options[i];
    return NULL;
}

Status settings_read(const Option *options, int count, const char *path, const char *text, size_t size,
                     Arena *arena)
{
    JsonReader json;
    bool first = true, ok = true;
    json_reader_open(&json, text, size, path);
    json_reader_open_object(&json);
    while (ok && json_reader_next_key(&json, &first)) {
        const Option *option = find(options, count, &json);
        ok = option ? read_value(&json, option, arena) : json_reader_skip(&json);
    }
    json_reader_end(&json);
    Status status = json.status;
    json_reader_close(&json);
    return status;
}

bool settings_same(const Option *a, const Option *b)
{
    const char *s, *t;
    switch (a->kind) {
    case OPTION_FLAG:
        return *(const bool *)a->value == *(const bool *)b->value;
    case OPTION_TEXT:
        s = *(const char *const *)a->value;
        t = *(const char *const *)b->value;
        return s == t || (s && t && strcmp(s, t) == 0);
    case OPTION_INTEGER:
        return *(const int *)a->value == *(const int *)b->value;
    case OPTION_NUMBER:
        return *(const double *)a->value == *(const double *)b->value ||
               (isnan(*(const double *)a->value) && isnan(*(const double *)b->value));
    case OPTION_SEED:
        return *(const uint64_t *)a->value == *(const uint64_t *)b->value;
    }
    return false;
}

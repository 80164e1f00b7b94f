#include "models/training/settings.h"

#include "tensor/storage/json_reader.h"
#include "tensor/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One value ---- */

static ReelStatus set_number(const ModelOption *option, const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool integer = option->kind == MODEL_OPTION_INTEGER;
    if (end == text || *end || errno || isnan(value) || (integer && value != floor(value)))
        return reel_status_usage("--%s %s: not %s", option->name, text,
                                 integer ? "a whole number" : "a number");
    if (value < option->low || value > option->high)
        return reel_status_usage("--%s %s: must lie between %g and %g", option->name, text, option->low,
                                 option->high);
    if (integer)
        *(int *)option->value = (int)value;
    else
        *(double *)option->value = value;
    return reel_status_ok();
}

/* What is no number is a file. */
static ReelStatus set_part(const ModelOption *option, const char *text)
{
    ModelOptionPart *part = option->value;
    char *end;
    ModelOption as = *option;
    strtod(text, &end);
    bool number = end != text && !*end;
    as.kind = number ? MODEL_OPTION_NUMBER : MODEL_OPTION_TEXT;
    as.value = number ? (void *)&part->size : (void *)&part->file;
    if (number)
        part->file = NULL;
    return number ? set_number(&as, text) : model_options_set(&as, text);
}

ReelStatus model_options_set(const ModelOption *option, const char *text)
{
    char *end;
    switch (option->kind) {
    case MODEL_OPTION_FLAG:
        *(bool *)option->value = true;
        return reel_status_ok();
    case MODEL_OPTION_TEXT:
        if (!*text)
            return reel_status_usage("--%s: its value is empty; give one, or leave the option out",
                                     option->name);
        *(const char **)option->value = text;
        return reel_status_ok();
    case MODEL_OPTION_INTEGER:
    case MODEL_OPTION_NUMBER:
        return set_number(option, text);
    case MODEL_OPTION_PART:
        return set_part(option, text);
    case MODEL_OPTION_SEED:
        errno = 0;
        *(uint64_t *)option->value = strtoull(text, &end, 10);
        if (end == text || *end || errno || strchr(text, '-'))
            return reel_status_usage("--%s %s: not a whole number from 0 to 2^64 - 1", option->name, text);
        return reel_status_ok();
    }
    return reel_status_ok();
}

int model_options_choose(const char *option, const char *text, const char *const *names, ReelStatus *status)
{
    char list[160] = "";
    int count = 0;
    for (; names[count]; count++)
        if (strcmp(text, names[count]) == 0)
            return count;
    for (int i = 0, used = 0; i < count; i++) {
        const char *between = i == 0 ? "" : i + 1 < count ? ", " : " or ";
        used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", between, names[i]);
    }
    if (reel_status_is_ok(status))
        *status = reel_status_usage("--%s %.40s: must be %s", option, text, list);
    return 0;
}

void model_options_copy(const ModelOption *to, const ModelOption *from)
{
    static const size_t sizes[] = {
        [MODEL_OPTION_FLAG] = sizeof(bool),     [MODEL_OPTION_TEXT] = sizeof(const char *),
        [MODEL_OPTION_INTEGER] = sizeof(int),   [MODEL_OPTION_NUMBER] = sizeof(double),
        [MODEL_OPTION_SEED] = sizeof(uint64_t), [MODEL_OPTION_PART] = sizeof(ModelOptionPart)};
    memcpy(to->value, from->value, sizes[from->kind]);
}

/* As many digits as tell it from others. */
static const char *number_text(double value, char *text, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

const char *model_settings_text(const ModelOption *option, TensorArena *arena)
{
    char text[40] = "";
    const char *value = text;
    switch (option->kind) {
    case MODEL_OPTION_FLAG:
        value = *(const bool *)option->value ? "on" : "off";
        break;
    case MODEL_OPTION_TEXT:
        value = *(const char *const *)option->value;
        break;
    case MODEL_OPTION_INTEGER:
        snprintf(text, sizeof text, "%d", *(const int *)option->value);
        break;
    case MODEL_OPTION_NUMBER:
        number_text(*(const double *)option->value, text, sizeof text);
        break;
    case MODEL_OPTION_PART:
        value = ((const ModelOptionPart *)option->value)->file;
        if (!value)
            value = number_text(((const ModelOptionPart *)option->value)->size, text, sizeof text);
        break;
    case MODEL_OPTION_SEED:
        snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)option->value);
        break;
    }
    return value ? tensor_arena_memdup(arena, value, strlen(value) + 1) : "";
}

/* ---- In a file ---- */

static void write_text(ReelJsonWriter *json, const char *name, const char *text)
{
    if (!text) {
        reel_json_null(json, name);
    } else if (reel_utf8_valid(text, strlen(text)) == strlen(text)) {
        reel_json_string(json, name, text);
    } else {
        reel_json_begin_array(json, name);
        for (; *text; text++)
            reel_json_integer(json, NULL, (unsigned char)*text);
        reel_json_end_array(json);
    }
}

void model_settings_write(ReelJsonWriter *json, const ModelOption *option)
{
    char text[32];
    switch (option->kind) {
    case MODEL_OPTION_FLAG:
        reel_json_bool(json, option->name, *(const bool *)option->value);
        break;
    case MODEL_OPTION_TEXT:
        write_text(json, option->name, *(const char *const *)option->value);
        break;
    case MODEL_OPTION_INTEGER:
        reel_json_integer(json, option->name, *(const int *)option->value);
        break;
    case MODEL_OPTION_NUMBER:
        reel_json_number(json, option->name, *(const double *)option->value);
        break;
    case MODEL_OPTION_PART:
        if (((const ModelOptionPart *)option->value)->file)
            write_text(json, option->name, ((const ModelOptionPart *)option->value)->file);
        else
            reel_json_number(json, option->name, ((const ModelOptionPart *)option->value)->size);
        break;
    case MODEL_OPTION_SEED: /* more than a double holds exactly */
        snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)option->value);
        reel_json_string(json, option->name, text);
        break;
    }
}

/* The bytes of a text that is not UTF-8. */
static bool read_bytes(ReelJsonReader *json, TensorArena *arena, const char **value)
{
    bool first = true;
    size_t used = 0;
    char *copy = tensor_arena_calloc(arena, json->size + 1); /* no fewer characters than bytes */
    if (!copy)
        return reel_json_reader_fail(json, "out of memory");
    reel_json_reader_open_array(json);
    while (reel_json_reader_next_item(json, &first)) {
        int64_t byte;
        if (!reel_json_reader_int_in(json, 1, 255, &byte))
            return false;
        copy[used++] = (char)byte;
    }
    *value = copy;
    return reel_status_is_ok(&json->status);
}

static bool read_text(ReelJsonReader *json, const ModelOption *option, TensorArena *arena)
{
    const char **value = (const char **)option->value;
    switch (reel_json_reader_peek(json)) {
    case REEL_JSON_NULL:
        *value = NULL;
        return reel_json_reader_null(json);
    case REEL_JSON_ARRAY:
        return read_bytes(json, arena, value);
    default:
        break;
    }
    if (!reel_json_reader_string(json))
        return false;
    char *copy = tensor_arena_calloc(arena, json->string.size + 1);
    if (!copy)
        return reel_json_reader_fail(json, "out of memory");
    if (json->string.size)
        memcpy(copy, json->string.data, json->string.size);
    *value = copy;
    return true;
}

/* Reads a number that the option allows. Infinity is written as null. */
static bool read_number(ReelJsonReader *json, const ModelOption *option)
{
    bool integer = option->kind == MODEL_OPTION_INTEGER;
    double value = INFINITY;
    if (!integer && option->high == INFINITY && reel_json_reader_peek(json) == REEL_JSON_NULL) {
        reel_json_reader_null(json);
    } else if (!reel_json_reader_number(json, &value)) {
        return false;
    }
    if (!(value >= option->low && value <= option->high) || (integer && value != (double)(int)value))
        return reel_json_reader_fail(json, "%s cannot be %g", option->name, value);
    if (integer)
        *(int *)option->value = (int)value;
    else
        *(double *)option->value = value;
    return true;
}

static bool read_seed(ReelJsonReader *json, const ModelOption *option)
{
    char text[32], *end;
    if (!reel_json_reader_string(json))
        return false;
    snprintf(text, sizeof text, "%.*s", (int)json->string.size, json->string.data);
    *(uint64_t *)option->value = strtoull(text, &end, 10);
    return (*text && !*end) || reel_json_reader_fail(json, "%s must be a whole number", option->name);
}

static bool read_part(ReelJsonReader *json, const ModelOption *option, TensorArena *arena)
{
    ModelOptionPart *part = option->value;
    ModelOption as = *option;
    bool number = reel_json_reader_peek(json) == REEL_JSON_NUMBER;
    as.kind = number ? MODEL_OPTION_NUMBER : MODEL_OPTION_TEXT;
    as.value = number ? (void *)&part->size : (void *)&part->file;
    if (number)
        part->file = NULL;
    return number ? read_number(json, &as) : read_text(json, &as, arena);
}

static bool read_value(ReelJsonReader *json, const ModelOption *option, TensorArena *arena)
{
    switch (option->kind) {
    case MODEL_OPTION_FLAG:
        return reel_json_reader_bool(json, option->value);
    case MODEL_OPTION_TEXT:
        return read_text(json, option, arena);
    case MODEL_OPTION_PART:
        return read_part(json, option, arena);
    case MODEL_OPTION_SEED:
        return read_seed(json, option);
    default:
        return read_number(json, option);
    }
}

static const ModelOption *find(const ModelOption *options, int count, const ReelJsonReader *json)
{
    for (int i = 0; i < count; i++)
        if (reel_json_reader_is(json, options[i].name))
            return &options[i];
    return NULL;
}

/* Of a name in a message. */
static int name_length(const ReelJsonReader *json)
{
    return json->string.size < 60 ? (int)json->string.size : 60;
}

ReelStatus model_settings_read(const ModelOption *options, int count, const char *path, const char *text,
                               size_t size, TensorArena *arena)
{
    ReelJsonReader json;
    bool first = true, ok = true;
    reel_json_reader_open(&json, text, size, path);
    reel_json_reader_open_object(&json);
    while (ok && reel_json_reader_next_key(&json, &first)) {
        const ModelOption *option = find(options, count, &json);
        ok = option ? read_value(&json, option, arena)
                    : reel_json_reader_fail(&json,
                                            "this version knows no setting '%.*s'; go on with the one that "
                                            "wrote it",
                                            name_length(&json), json.string.size ? json.string.data : "");
    }
    reel_json_reader_end(&json);
    ReelStatus status = json.status;
    reel_json_reader_close(&json);
    return status;
}

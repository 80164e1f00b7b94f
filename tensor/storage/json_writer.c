#include "tensor/storage/json_writer.h"

#include "tensor/storage/c_locale_internal.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(JsonWriter *writer, const char *bytes, size_t size)
{
    if (writer->failed)
        return;
    if (writer->capacity - writer->size < size + 1) {
        size_t capacity = 2 * writer->capacity + size + 256;
        char *larger = mem_realloc(writer->text, capacity);
        if (!larger) {
            writer->failed = true;
            return;
        }
        writer->text = larger;
        writer->capacity = capacity;
    }
    memcpy(writer->text + writer->size, bytes, size);
    writer->size += size;
}

static void append_text(JsonWriter *writer, const char *text)
{
    append(writer, text, strlen(text));
}

/* A file's name may be any bytes, but JSON is UTF-8: U+FFFD stands for what is none. */
static void append_quoted(JsonWriter *writer, const char *text)
{
    size_t valid = utf8_valid(text, strlen(text));
    append_text(writer, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        char escape[8];
        if ((const char *)p == text + valid) {
            append_text(writer, "\xEF\xBF\xBD");
            valid += 1 + utf8_valid(text + valid + 1, strlen(text + valid + 1));
            continue;
        }
        if (*p == '"' || *p == '\\')
            snprintf(escape, sizeof escape, "\\%c", *p);
        else if (*p == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else if (*p < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", *p);
        else
            snprintf(escape, sizeof escape, "%c", *p);
        append_text(writer, escape);
    }
    append_text(writer, "\"");
}

static void new_line(JsonWriter *writer)
{
    if (writer->compact)
        return;
    append_text(writer, "\n");
    for (int i = 0; i < writer->depth; i++)
        append_text(writer, "  ");
}

/* The comma, the line and the key in front of a value. */
static void begin_value(JsonWriter *writer, const char *key)
{
    if (writer->depth > 0) {
        if (writer->filled[writer->depth])
            append_text(writer, writer->compact ? ", " : ",");
        new_line(writer);
    }
    writer->filled[writer->depth] = true;
    if (key) {
        append_quoted(writer, key);
        append_text(writer, ": ");
    }
}

static void begin(JsonWriter *writer, const char *key, const char *bracket)
{
    begin_value(writer, key);
    append_text(writer, bracket);
    if (writer->depth + 1 < JSON_MAX_DEPTH)
        writer->depth++;
    else
        writer->failed = true;
    writer->filled[writer->depth] = false;
}

static void end(JsonWriter *writer, const char *bracket)
{
    bool filled = writer->filled[writer->depth];
    if (writer->depth > 0)
        writer->depth--;
    if (filled)
        new_line(writer);
    append_text(writer, bracket);
}

void json_begin_object(JsonWriter *writer, const char *key)
{
    begin(writer, key, "{");
}

void json_end_object(JsonWriter *writer)
{
    end(writer, "}");
}

void json_begin_array(JsonWriter *writer, const char *key)
{
    begin(writer, key, "[");
}

void json_end_array(JsonWriter *writer)
{
    end(writer, "]");
}

void json_string(JsonWriter *writer, const char *key, const char *value)
{
    begin_value(writer, key);
    append_quoted(writer, value);
}

void json_integer(JsonWriter *writer, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    begin_value(writer, key);
    append_text(writer, text);
}

void json_number(JsonWriter *writer, const char *key, double value)
{
    if (!isfinite(value)) {
        json_null(writer, key);
        return;
    }
    char text[40];
    locale_t before = c_locale_enter();
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    c_locale_leave(before);
    begin_value(writer, key);
    append_text(writer, text);
}

void json_bool(JsonWriter *writer, const char *key, bool value)
{
    begin_value(writer, key);
    append_text(writer, value ? "true" : "false");
}

void json_null(JsonWriter *writer, const char *key)
{
    begin_value(writer, key);
    append_text(writer, "null");
}

const char *json_finish(JsonWriter *writer)
{
    append(writer, "\n", 2);
    if (!writer->failed)
        writer->size--;
    return writer->failed ? NULL : writer->text;
}

void json_free(JsonWriter *writer)
{
    mem_free(writer->text);
    *writer = (JsonWriter){0};
}

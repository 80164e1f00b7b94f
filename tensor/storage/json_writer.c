#include "tensor/storage/json_writer.h"

#include "tensor/storage/atomic_file.h"
#include "tensor/storage/c_locale_internal.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(ReelJsonWriter *writer, const char *bytes, size_t size)
{
    if (writer->failed)
        return;
    if (writer->capacity - writer->size < size + 1) {
        size_t capacity = 2 * writer->capacity + size + 256;
        char *larger = reel_mem_realloc(writer->text, capacity);
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

static void append_text(ReelJsonWriter *writer, const char *text)
{
    append(writer, text, strlen(text));
}

/* A byte as it stands in a string; returns how many bytes that are. */
static size_t escape(unsigned char c, char out[8])
{
    const char *named = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    if (named)
        return (size_t)snprintf(out, 8, "%s", named);
    if (c < 0x20)
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    return (size_t)snprintf(out, 8, c == '"' || c == '\\' ? "\\%c" : "%c", c);
}

bool reel_json_append_string(ReelBytes *out, const char *text, size_t size)
{
    bool fine = reel_bytes_append(out, "\"", 1);
    for (size_t i = 0; i < size && fine; i++) {
        char escaped[8];
        fine = reel_bytes_append(out, escaped, escape((unsigned char)text[i], escaped));
    }
    return fine && reel_bytes_append(out, "\"", 1);
}

/* A file's name may be any bytes, but JSON is UTF-8: U+FFFD stands for what is none. */
static void append_quoted(ReelJsonWriter *writer, const char *text)
{
    size_t valid = reel_utf8_valid(text, strlen(text));
    append_text(writer, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        char escaped[8];
        if ((const char *)p == text + valid) {
            append_text(writer, "\xEF\xBF\xBD");
            valid += 1 + reel_utf8_valid(text + valid + 1, strlen(text + valid + 1));
            continue;
        }
        append(writer, escaped, escape(*p, escaped));
    }
    append_text(writer, "\"");
}

static void new_line(ReelJsonWriter *writer)
{
    if (writer->compact)
        return;
    append_text(writer, "\n");
    for (int i = 0; i < writer->depth; i++)
        append_text(writer, "  ");
}

/* The comma, the line and the key in front of a value. */
static void begin_value(ReelJsonWriter *writer, const char *key)
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

static void begin(ReelJsonWriter *writer, const char *key, const char *bracket)
{
    begin_value(writer, key);
    append_text(writer, bracket);
    if (writer->depth + 1 < REEL_JSON_MAX_DEPTH)
        writer->depth++;
    else
        writer->failed = true;
    writer->filled[writer->depth] = false;
}

static void end(ReelJsonWriter *writer, const char *bracket)
{
    bool filled = writer->filled[writer->depth];
    if (writer->depth > 0)
        writer->depth--;
    if (filled)
        new_line(writer);
    append_text(writer, bracket);
}

void reel_json_begin_object(ReelJsonWriter *writer, const char *key)
{
    begin(writer, key, "{");
}

void reel_json_end_object(ReelJsonWriter *writer)
{
    end(writer, "}");
}

void reel_json_begin_array(ReelJsonWriter *writer, const char *key)
{
    begin(writer, key, "[");
}

void reel_json_end_array(ReelJsonWriter *writer)
{
    end(writer, "]");
}

void reel_json_string(ReelJsonWriter *writer, const char *key, const char *value)
{
    begin_value(writer, key);
    append_quoted(writer, value);
}

void reel_json_integer(ReelJsonWriter *writer, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    begin_value(writer, key);
    append_text(writer, text);
}

void reel_json_number(ReelJsonWriter *writer, const char *key, double value)
{
    if (!isfinite(value)) {
        reel_json_null(writer, key);
        return;
    }
    char text[40];
    locale_t before = reel_c_locale_enter();
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    reel_c_locale_leave(before);
    begin_value(writer, key);
    append_text(writer, text);
}

void reel_json_bool(ReelJsonWriter *writer, const char *key, bool value)
{
    begin_value(writer, key);
    append_text(writer, value ? "true" : "false");
}

void reel_json_null(ReelJsonWriter *writer, const char *key)
{
    begin_value(writer, key);
    append_text(writer, "null");
}

const char *reel_json_finish(ReelJsonWriter *writer)
{
    append(writer, "\n", 2);
    if (!writer->failed)
        writer->size--;
    return writer->failed ? NULL : writer->text;
}

void reel_json_free(ReelJsonWriter *writer)
{
    reel_mem_free(writer->text);
    *writer = (ReelJsonWriter){0};
}

ReelStatus reel_json_save(ReelJsonWriter *writer, const char *path)
{
    const char *text = path ? reel_json_finish(writer) : NULL;
    ReelStatus status = text   ? reel_atomic_file_put(path, text, writer->size)
                        : path ? reel_status_no_memory(writer->size, path)
                               : reel_status_ok();
    reel_json_free(writer);
    return status;
}

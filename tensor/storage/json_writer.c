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

/* How many of the bytes, at most `size`, stand for themselves in a string. */
static size_t count_plain(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && (unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

/* A byte that does not; returns how many bytes it takes. */
static size_t escape(unsigned char c, char out[8])
{
    const char *named = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    if (named)
        return (size_t)snprintf(out, 8, "%s", named);
    return (size_t)snprintf(out, 8, c < 0x20 ? "\\u%04x" : "\\%c", c);
}

bool reel_json_append_string(ReelBytes *out, const char *text, size_t size)
{
    bool fine = reel_bytes_append(out, "\"", 1);
    for (size_t at = 0; at < size && fine;) {
        char escaped[8];
        size_t run = count_plain(text + at, size - at);
        fine = reel_bytes_append(out, text + at, run);
        at += run;
        if (at < size && fine)
            fine = reel_bytes_append(out, escaped, escape((unsigned char)text[at++], escaped));
    }
    return fine && reel_bytes_append(out, "\"", 1);
}

/* A file's name may be any bytes, but JSON is UTF-8: U+FFFD stands for what is none. */
static void append_quoted(ReelJsonWriter *writer, const char *text)
{
    size_t size = strlen(text), valid = reel_utf8_valid(text, size);
    append_text(writer, "\"");
    for (size_t at = 0; at < size;) {
        char escaped[8];
        size_t run = count_plain(text + at, valid - at);
        append(writer, text + at, run);
        at += run;
        if (at == size)
            break;
        if (at == valid) {
            append_text(writer, "\xEF\xBF\xBD");
            at++;
            valid = at + reel_utf8_valid(text + at, size - at);
        } else {
            append(writer, escaped, escape((unsigned char)text[at++], escaped));
        }
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

/* The decimal digits of a number that is not 0, without zeros at the end; returns how many. */
static int decimal_digits(uint64_t number, char digits[24])
{
    char reversed[24];
    int count = 0, used = 0;
    for (; number > 0; number /= 10)
        reversed[count++] = (char)('0' + number % 10);
    while (count > 0)
        digits[used++] = reversed[--count];
    while (used > 1 && digits[used - 1] == '0')
        used--;
    return used;
}

/* The shortest decimal fraction of six to nine digits that is read as `value`, in [1e-4, 1): "0.", zeros,
 * digits. printf() and strtof() for each take ten times as long.
 */
static void format_fraction(float value, char text[40])
{
    static const double powers[] = {1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
    enum { LEAST = 6, MOST = 9 };
    double x = (double)value;
    int zeros = x >= 0.1 ? 0 : x >= 0.01 ? 1 : x >= 0.001 ? 2 : 3, places = 0;
    uint64_t number = 0;
    int exponent;
    frexp(x, &exponent);
    double half = ldexp(0.9999999, exponent - 25); /* of the distance to the next float, and hardly less */
    for (int digits = LEAST; digits <= MOST; digits++) {
        places = digits + zeros;
        double scale = powers[places - 4];
        number = (uint64_t)(x * scale + 0.5);
        double said = (double)number / scale;
        if ((float)said == value && fabs(said - x) < half)
            break;
    }
    char digits[24];
    uint64_t whole = 1;
    for (int i = 0; i < places; i++)
        whole *= 10;
    if (number >= whole) { /* rounded up to 1 */
        snprintf(text, 40, "1");
        return;
    }
    int length = 0;
    for (uint64_t left = number; left > 0; left /= 10)
        length++;
    int count = decimal_digits(number, digits), at = 2;
    text[0] = '0';
    text[1] = '.';
    for (int i = length; i < places; i++)
        text[at++] = '0';
    memcpy(text + at, digits, (size_t)count);
    text[at + count] = '\0';
}

void reel_json_float(ReelJsonWriter *writer, const char *key, float value)
{
    char text[40];
    if (!isfinite(value)) {
        reel_json_null(writer, key);
        return;
    }
    if (value >= 1e-4f && value < 1) {
        format_fraction(value, text);
    } else if (value == 0 || value == 1) {
        snprintf(text, sizeof text, value == 0 ? "0" : "1");
    } else {
        locale_t before = reel_c_locale_enter();
        for (int digits = 6; digits <= 9; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, (double)value);
            if (strtof(text, NULL) == value)
                break;
        }
        reel_c_locale_leave(before);
    }
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

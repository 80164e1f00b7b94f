#include "tensor/storage/json_reader.h"
#include "tensor/storage/c_locale_internal.h"
#include "tensor/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reel_json_reader_open(ReelJsonReader *json, const char *text, size_t size, const char *name)
{
    *json = (ReelJsonReader){.name = name, .text = text, .size = size, .status = reel_status_ok()};
}

void reel_json_reader_close(ReelJsonReader *json)
{
    reel_bytes_free(&json->string);
}

bool reel_json_reader_fail(ReelJsonReader *json, const char *format, ...)
{
    if (!reel_status_is_ok(&json->status))
        return false;
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    json->status = reel_status_failed("%s: byte %zu: %s", json->name, json->at, what);
    return false;
}

static bool is_fine(const ReelJsonReader *json)
{
    return json->status.code == REEL_STATUS_OK;
}

/* The next byte that is not white space, or -1 at the end. */
static int next_byte(ReelJsonReader *json)
{
    while (json->at < json->size) {
        char c = json->text[json->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return (unsigned char)c;
        json->at++;
    }
    return -1;
}

ReelJsonKind reel_json_reader_peek(ReelJsonReader *json)
{
    if (!is_fine(json))
        return REEL_JSON_BROKEN;
    int c = next_byte(json);
    switch (c) {
    case 'n':
        return REEL_JSON_NULL;
    case 'f':
        return REEL_JSON_FALSE;
    case 't':
        return REEL_JSON_TRUE;
    case '"':
        return REEL_JSON_STRING;
    case '[':
        return REEL_JSON_ARRAY;
    case '{':
        return REEL_JSON_OBJECT;
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return REEL_JSON_NUMBER;
        reel_json_reader_fail(json, c < 0 ? "the file ends where a value should be"
                                          : "this is not the beginning of a JSON value");
        return REEL_JSON_BROKEN;
    }
}

static bool expect(ReelJsonReader *json, ReelJsonKind kind, const char *what)
{
    ReelJsonKind found = reel_json_reader_peek(json);
    return found == kind ||
           (found != REEL_JSON_BROKEN && reel_json_reader_fail(json, "%s is expected here", what));
}

static bool word(ReelJsonReader *json, const char *text)
{
    size_t size = strlen(text);
    if (json->size - json->at < size || memcmp(json->text + json->at, text, size) != 0)
        return reel_json_reader_fail(json, "this is not the beginning of a JSON value");
    json->at += size;
    return true;
}

bool reel_json_reader_null(ReelJsonReader *json)
{
    return expect(json, REEL_JSON_NULL, "null") && word(json, "null");
}

bool reel_json_reader_bool(ReelJsonReader *json, bool *out)
{
    ReelJsonKind kind = reel_json_reader_peek(json);
    if (kind == REEL_JSON_TRUE || kind == REEL_JSON_FALSE) {
        *out = kind == REEL_JSON_TRUE;
        return word(json, *out ? "true" : "false");
    }
    return kind != REEL_JSON_BROKEN && reel_json_reader_fail(json, "true or false is expected here");
}

/* ---- Numbers ---- */

static bool is_digit(const ReelJsonReader *json)
{
    return json->at < json->size && json->text[json->at] >= '0' && json->text[json->at] <= '9';
}

static bool digits(ReelJsonReader *json)
{
    if (!is_digit(json))
        return reel_json_reader_fail(json, "a digit is expected here");
    while (is_digit(json))
        json->at++;
    return true;
}

static bool take(ReelJsonReader *json, const char *any)
{
    if (json->at >= json->size || !memchr(any, json->text[json->at], strlen(any)))
        return false;
    json->at++;
    return true;
}

static bool number(ReelJsonReader *json, bool *whole)
{
    *whole = true;
    take(json, "-");
    if (!take(json, "0") && !digits(json))
        return false;
    if (take(json, ".")) {
        *whole = false;
        if (!digits(json))
            return false;
    }
    if (take(json, "eE")) {
        *whole = false;
        take(json, "+-");
        if (!digits(json))
            return false;
    }
    return true;
}

bool reel_json_reader_int(ReelJsonReader *json, int64_t *out)
{
    if (!expect(json, REEL_JSON_NUMBER, "a number"))
        return false;
    size_t begin = json->at;
    bool whole;
    if (!number(json, &whole))
        return false;
    size_t end = json->at;
    json->at = begin;
    bool negative = json->text[begin] == '-';
    int64_t value = 0;
    for (size_t i = begin + negative; whole && i < end; i++)
        whole = !__builtin_mul_overflow(value, 10, &value) &&
                !__builtin_add_overflow(value, json->text[i] - '0', &value);
    if (!whole)
        return reel_json_reader_fail(json, "a whole number is expected here");
    json->at = end;
    *out = negative ? -value : value;
    return true;
}

bool reel_json_reader_int_in(ReelJsonReader *json, int64_t low, int64_t high, int64_t *out)
{
    int64_t value;
    if (!reel_json_reader_int(json, &value))
        return false;
    if (value < low || value > high)
        return reel_json_reader_fail(json, "%lld is not from %lld to %lld", (long long)value, (long long)low,
                                     (long long)high);
    *out = value;
    return true;
}

bool reel_json_reader_number(ReelJsonReader *json, double *out)
{
    if (!expect(json, REEL_JSON_NUMBER, "a number"))
        return false;
    size_t begin = json->at;
    bool whole;
    char text[64];
    if (!number(json, &whole))
        return false;
    if (json->at - begin >= sizeof text)
        return reel_json_reader_fail(json, "a number of more than %zu characters", sizeof text - 1);
    memcpy(text, json->text + begin, json->at - begin);
    text[json->at - begin] = '\0';
    locale_t before = reel_c_locale_enter();
    *out = strtod(text, NULL);
    reel_c_locale_leave(before);
    return true;
}

/* ---- Strings ---- */

static bool hex4(ReelJsonReader *json, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        int c = json->at < json->size ? json->text[json->at] : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return reel_json_reader_fail(json, "\\u needs four hexadecimal digits");
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return true;
}

/* Behind "\u". Half a pair of surrogates is not a character. */
static bool unicode_escape(ReelJsonReader *json)
{
    uint32_t code = 0, low = 0;
    char text[4];
    if (!hex4(json, &code))
        return false;
    if (code >= 0xD800 && code <= 0xDFFF) {
        bool pair = code < 0xDC00 && take(json, "\\") && take(json, "u") && hex4(json, &low);
        if (!pair || low < 0xDC00 || low > 0xDFFF)
            return reel_json_reader_fail(json, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
    }
    return reel_bytes_append(&json->string, text, (size_t)reel_utf8_encode(code, text)) ||
           reel_json_reader_fail(json, "out of memory");
}

static bool escape(ReelJsonReader *json)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (take(json, "u"))
        return unicode_escape(json);
    const char *found = json->at < json->size ? memchr(from, json->text[json->at], sizeof from - 1) : NULL;
    if (!found)
        return reel_json_reader_fail(json, "no such escape");
    json->at++;
    return reel_bytes_append(&json->string, &to[found - from], 1) ||
           reel_json_reader_fail(json, "out of memory");
}

bool reel_json_reader_string(ReelJsonReader *json)
{
    if (!expect(json, REEL_JSON_STRING, "a string"))
        return false;
    json->at++;
    json->string.size = 0;
    for (;;) {
        size_t begin = json->at;
        while (json->at < json->size && json->text[json->at] != '"' && json->text[json->at] != '\\' &&
               (unsigned char)json->text[json->at] >= 0x20)
            json->at++;
        size_t size = json->at - begin, valid = reel_utf8_valid(json->text + begin, size);
        if (valid < size) {
            json->at = begin + valid;
            return reel_json_reader_fail(json, "not UTF-8");
        }
        if (!reel_bytes_append(&json->string, json->text + begin, size))
            return reel_json_reader_fail(json, "out of memory");
        if (take(json, "\""))
            return true;
        if (!take(json, "\\"))
            return reel_json_reader_fail(json, json->at < json->size ? "a control character must be escaped"
                                                                     : "the file ends inside a string");
        if (!escape(json))
            return false;
    }
}

bool reel_json_reader_is(const ReelJsonReader *json, const char *text)
{
    return json->string.size == strlen(text) && memcmp(json->string.data, text, json->string.size) == 0;
}

/* ---- Arrays and objects ---- */

static bool enter(ReelJsonReader *json, ReelJsonKind kind, const char *what)
{
    if (!expect(json, kind, what))
        return false;
    if (++json->depth > REEL_JSON_READER_MAX_DEPTH)
        return reel_json_reader_fail(json, "nested more than %d deep", REEL_JSON_READER_MAX_DEPTH);
    json->at++;
    return true;
}

bool reel_json_reader_open_object(ReelJsonReader *json)
{
    return enter(json, REEL_JSON_OBJECT, "an object");
}

bool reel_json_reader_open_array(ReelJsonReader *json)
{
    return enter(json, REEL_JSON_ARRAY, "an array");
}

/* Whether another member follows; eats the comma or the closing bracket. */
static bool more(ReelJsonReader *json, bool *first, char closing)
{
    if (!is_fine(json))
        return false;
    int c = next_byte(json);
    if (c == closing) {
        json->at++;
        json->depth--;
        return false;
    }
    if (!*first && c != ',')
        return reel_json_reader_fail(json, "',' or '%c' is expected here", closing);
    json->at += !*first;
    *first = false;
    return true;
}

bool reel_json_reader_next_item(ReelJsonReader *json, bool *first)
{
    return more(json, first, ']');
}

bool reel_json_reader_next_key(ReelJsonReader *json, bool *first)
{
    if (!more(json, first, '}') || !reel_json_reader_string(json))
        return false;
    if (next_byte(json) != ':')
        return reel_json_reader_fail(json, "':' is expected here");
    json->at++;
    return true;
}

bool reel_json_reader_skip(ReelJsonReader *json)
{
    bool first = true, flag;
    switch (reel_json_reader_peek(json)) {
    case REEL_JSON_NULL:
        return reel_json_reader_null(json);
    case REEL_JSON_FALSE:
    case REEL_JSON_TRUE:
        return reel_json_reader_bool(json, &flag);
    case REEL_JSON_NUMBER:
        return number(json, &flag);
    case REEL_JSON_STRING:
        return reel_json_reader_string(json);
    case REEL_JSON_ARRAY:
        for (reel_json_reader_open_array(json); reel_json_reader_next_item(json, &first);)
            reel_json_reader_skip(json);
        return is_fine(json);
    case REEL_JSON_OBJECT:
        for (reel_json_reader_open_object(json); reel_json_reader_next_key(json, &first);)
            reel_json_reader_skip(json);
        return is_fine(json);
    default:
        return false;
    }
}

bool reel_json_reader_end(ReelJsonReader *json)
{
    if (!is_fine(json))
        return false;
    return next_byte(json) < 0 || reel_json_reader_fail(json, "something follows the end of the JSON value");
}

bool reel_json_reader_choice(ReelJsonReader *json, const char *first, const char *second, bool *is_second)
{
    if (!reel_json_reader_string(json))
        return false;
    *is_second = reel_json_reader_is(json, second);
    return *is_second || reel_json_reader_is(json, first) ||
           reel_json_reader_fail(json, "'%.*s' is neither '%s' nor '%s'", (int)json->string.size,
                                 json->string.data, first, second);
}

ReelStatus reel_json_read_object(const char *text, size_t size, const char *name, ReelJsonMember *member,
                                 void *context)
{
    ReelJsonReader json;
    bool first = true;
    reel_json_reader_open(&json, text, size, name);
    reel_json_reader_open_object(&json);
    while (reel_json_reader_next_key(&json, &first) && member(context, &json))
        continue;
    reel_json_reader_end(&json);
    ReelStatus status = json.status;
    reel_json_reader_close(&json);
    return status;
}

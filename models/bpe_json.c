#include "models/bpe_json_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bpe_json_open(Json *json, const char *text, size_t size, const char *name)
{
    *json = (Json){.name = name, .text = text, .size = size, .status = status_ok()};
}

void bpe_json_close(Json *json)
{
    bpe_bytes_free(&json->string);
}

bool bpe_json_fail(Json *json, const char *format, ...)
{
    if (!status_is_ok(&json->status))
        return false;
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    json->status = status_failed("%s: byte %zu: %s", json->name, json->at, what);
    return false;
}

static bool is_fine(const Json *json)
{
    return json->status.code == STATUS_OK;
}

/* The next byte that is no white space, or -1 at the end. */
static int next_byte(Json *json)
{
    while (json->at < json->size) {
        char c = json->text[json->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return (unsigned char)c;
        json->at++;
    }
    return -1;
}

JsonKind bpe_json_peek(Json *json)
{
    if (!is_fine(json))
        return JSON_BROKEN;
    int c = next_byte(json);
    switch (c) {
    case 'n':
        return JSON_NULL;
    case 'f':
        return JSON_FALSE;
    case 't':
        return JSON_TRUE;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return JSON_NUMBER;
        bpe_json_fail(json, c < 0 ? "the file ends where a value should be" : "no JSON value begins so");
        return JSON_BROKEN;
    }
}

static bool expect(Json *json, JsonKind kind, const char *what)
{
    JsonKind found = bpe_json_peek(json);
    return found == kind || (found != JSON_BROKEN && bpe_json_fail(json, "%s is expected here", what));
}

static bool word(Json *json, const char *text)
{
    size_t size = strlen(text);
    if (json->size - json->at < size || memcmp(json->text + json->at, text, size) != 0)
        return bpe_json_fail(json, "no JSON value begins so");
    json->at += size;
    return true;
}

bool bpe_json_null(Json *json)
{
    return expect(json, JSON_NULL, "null") && word(json, "null");
}

bool bpe_json_bool(Json *json, bool *out)
{
    JsonKind kind = bpe_json_peek(json);
    if (kind == JSON_TRUE || kind == JSON_FALSE) {
        *out = kind == JSON_TRUE;
        return word(json, *out ? "true" : "false");
    }
    return kind != JSON_BROKEN && bpe_json_fail(json, "true or false is expected here");
}

/* ---- Numbers ---- */

static bool is_digit(const Json *json)
{
    return json->at < json->size && json->text[json->at] >= '0' && json->text[json->at] <= '9';
}

static bool digits(Json *json)
{
    if (!is_digit(json))
        return bpe_json_fail(json, "a digit is expected here");
    while (is_digit(json))
        json->at++;
    return true;
}

static bool take(Json *json, const char *any)
{
    if (json->at >= json->size || !memchr(any, json->text[json->at], strlen(any)))
        return false;
    json->at++;
    return true;
}

static bool number(Json *json, bool *whole)
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

bool bpe_json_int(Json *json, int64_t *out)
{
    if (!expect(json, JSON_NUMBER, "a number"))
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
        return bpe_json_fail(json, "a whole number is expected here");
    json->at = end;
    *out = negative ? -value : value;
    return true;
}

bool bpe_json_number(Json *json, double *out)
{
    if (!expect(json, JSON_NUMBER, "a number"))
        return false;
    size_t begin = json->at;
    bool whole;
    char text[64];
    if (!number(json, &whole))
        return false;
    if (json->at - begin >= sizeof text)
        return bpe_json_fail(json, "a number of more than %zu characters", sizeof text - 1);
    memcpy(text, json->text + begin, json->at - begin);
    text[json->at - begin] = '\0';
    *out = strtod(text, NULL);
    return true;
}

/* ---- Strings ---- */

static bool hex4(Json *json, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        int c = json->at < json->size ? json->text[json->at] : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return bpe_json_fail(json, "\\u needs four hexadecimal digits");
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return true;
}

/* Behind "\u". Half a pair of surrogates is no character. */
static bool unicode_escape(Json *json)
{
    uint32_t code = 0, low = 0;
    char text[4];
    if (!hex4(json, &code))
        return false;
    if (code >= 0xD800 && code <= 0xDFFF) {
        bool pair = code < 0xDC00 && take(json, "\\") && take(json, "u") && hex4(json, &low);
        if (!pair || low < 0xDC00 || low > 0xDFFF)
            return bpe_json_fail(json, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
    }
    return bpe_bytes_append(&json->string, text, (size_t)bpe_utf8_encode(code, text)) ||
           bpe_json_fail(json, "out of memory");
}

static bool escape(Json *json)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (take(json, "u"))
        return unicode_escape(json);
    const char *found = json->at < json->size ? memchr(from, json->text[json->at], sizeof from - 1) : NULL;
    if (!found)
        return bpe_json_fail(json, "no such escape");
    json->at++;
    return bpe_bytes_append(&json->string, &to[found - from], 1) || bpe_json_fail(json, "out of memory");
}

bool bpe_json_string(Json *json)
{
    if (!expect(json, JSON_STRING, "a string"))
        return false;
    json->at++;
    json->string.size = 0;
    for (;;) {
        size_t begin = json->at;
        while (json->at < json->size && json->text[json->at] != '"' && json->text[json->at] != '\\' &&
               (unsigned char)json->text[json->at] >= 0x20)
            json->at++;
        size_t size = json->at - begin, valid = bpe_utf8_valid(json->text + begin, size);
        if (valid < size) {
            json->at = begin + valid;
            return bpe_json_fail(json, "not UTF-8");
        }
        if (!bpe_bytes_append(&json->string, json->text + begin, size))
            return bpe_json_fail(json, "out of memory");
        if (take(json, "\""))
            return true;
        if (!take(json, "\\"))
            return bpe_json_fail(json, json->at < json->size ? "a control character must be escaped"
                                                             : "the file ends inside a string");
        if (!escape(json))
            return false;
    }
}

bool bpe_json_is(const Json *json, const char *text)
{
    return json->string.size == strlen(text) && memcmp(json->string.data, text, json->string.size) == 0;
}

/* ---- Arrays and objects ---- */

static bool enter(Json *json, JsonKind kind, const char *what)
{
    if (!expect(json, kind, what))
        return false;
    if (++json->depth > BPE_JSON_MAX_DEPTH)
        return bpe_json_fail(json, "nested more than %d deep", BPE_JSON_MAX_DEPTH);
    json->at++;
    return true;
}

bool bpe_json_open_object(Json *json)
{
    return enter(json, JSON_OBJECT, "an object");
}

bool bpe_json_open_array(Json *json)
{
    return enter(json, JSON_ARRAY, "an array");
}

/* Whether another member follows; eats the comma or the closing bracket. */
static bool more(Json *json, bool *first, char closing)
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
        return bpe_json_fail(json, "',' or '%c' is expected here", closing);
    json->at += !*first;
    *first = false;
    return true;
}

bool bpe_json_next_item(Json *json, bool *first)
{
    return more(json, first, ']');
}

bool bpe_json_next_key(Json *json, bool *first)
{
    if (!more(json, first, '}') || !bpe_json_string(json))
        return false;
    if (next_byte(json) != ':')
        return bpe_json_fail(json, "':' is expected here");
    json->at++;
    return true;
}

bool bpe_json_skip(Json *json)
{
    bool first = true, flag;
    switch (bpe_json_peek(json)) {
    case JSON_NULL:
        return bpe_json_null(json);
    case JSON_FALSE:
    case JSON_TRUE:
        return bpe_json_bool(json, &flag);
    case JSON_NUMBER:
        return number(json, &flag);
    case JSON_STRING:
        return bpe_json_string(json);
    case JSON_ARRAY:
        for (bpe_json_open_array(json); bpe_json_next_item(json, &first);)
            bpe_json_skip(json);
        return is_fine(json);
    case JSON_OBJECT:
        for (bpe_json_open_object(json); bpe_json_next_key(json, &first);)
            bpe_json_skip(json);
        return is_fine(json);
    default:
        return false;
    }
}

bool bpe_json_end(Json *json)
{
    if (!is_fine(json))
        return false;
    return next_byte(json) < 0 || bpe_json_fail(json, "something follows the end of the JSON value");
}

/* ---- Writing ---- */

bool bpe_json_write_string(BpeBytes *out, const char *text, size_t size)
{
    bool fine = bpe_bytes_append(out, "\"", 1);
    for (size_t i = 0; i < size && fine; i++) {
        unsigned char c = (unsigned char)text[i];
        char escaped[8];
        int length = 1;
        escaped[0] = (char)c;
        if (c == '"' || c == '\\')
            length = snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            length = snprintf(escaped, sizeof escaped, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 0x20)
            length = snprintf(escaped, sizeof escaped, "\\u%04x", c);
        fine = bpe_bytes_append(out, escaped, (size_t)length);
    }
    return fine && bpe_bytes_append(out, "\"", 1);
}

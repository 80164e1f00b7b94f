/* A strict reader of JSON (RFC 8259) that is pulled through a text, and the little that writing needs.
 *
 * The largest file that Reel reads is a tokenizer's, whose one large part is a table of strings: a library
 * that builds a tree of them first takes ten times the memory and cannot say where in the file a token stood.
 * This one allocates for what it has read, never for what the file announces, and every message has the byte
 * offset. */
#ifndef REEL_TENSOR_JSON_READER_H
#define REEL_TENSOR_JSON_READER_H

#include "tensor/bytes.h"
#include "tensor/status.h"

#include <stdint.h>

REEL_BEGIN_DECLS

typedef enum {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
    JSON_BROKEN
} JsonKind;

enum { JSON_READER_MAX_DEPTH = 64 };

/* A place in a text. */
typedef struct JsonReader {
    const char *name, *text;
    size_t size, at;
    int depth;
    Bytes string;  /* the last string that was read, unescaped */
    Status status; /* the first error; after it everything returns false or JSON_BROKEN */
} JsonReader;

/* Starts at the front of a text, which must live as long; `name` stands in messages. */
void json_reader_open(JsonReader *json, const char *text, size_t size, const char *name);
/* Frees the string. */
void json_reader_close(JsonReader *json);
/* Records an error at the present place, unless there is one already. Returns false. */
bool json_reader_fail(JsonReader *json, const char *format, ...) REEL_PRINTF(2, 3);

/* What the next value is, without reading it. */
JsonKind json_reader_peek(JsonReader *json);
/* Reads a value of that kind; false: it is another, which is an error. */
bool json_reader_string(JsonReader *json);            /* into json->string */
bool json_reader_int(JsonReader *json, int64_t *out); /* a whole number without exponent */
/* A whole number from low to high; another is an error. */
bool json_reader_int_in(JsonReader *json, int64_t low, int64_t high, int64_t *out);
bool json_reader_number(JsonReader *json, double *out);
bool json_reader_bool(JsonReader *json, bool *out);
bool json_reader_null(JsonReader *json);
/* `{` or `[`; then json_reader_next_key() (the key in json->string) or json_reader_next_item() until they
 * return false, which is the end or an error. */
bool json_reader_open_object(JsonReader *json);
bool json_reader_open_array(JsonReader *json);
bool json_reader_next_key(JsonReader *json, bool *first);
bool json_reader_next_item(JsonReader *json, bool *first);
/* Reads over a value of any kind, checking it. */
bool json_reader_skip(JsonReader *json);
/* Whether the last string is this one. */
bool json_reader_is(const JsonReader *json, const char *text);
/* After the last value: nothing but white space may follow. */
bool json_reader_end(JsonReader *json);

/* Appends a string with its quotes. False: no memory. */
bool json_reader_write_string(Bytes *out, const char *text, size_t size);

REEL_END_DECLS

#endif

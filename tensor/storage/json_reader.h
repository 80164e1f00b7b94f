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
    REEL_JSON_NULL,
    REEL_JSON_FALSE,
    REEL_JSON_TRUE,
    REEL_JSON_NUMBER,
    REEL_JSON_STRING,
    REEL_JSON_ARRAY,
    REEL_JSON_OBJECT,
    REEL_JSON_BROKEN
} ReelJsonKind;

enum { REEL_JSON_READER_MAX_DEPTH = 64 };

/* A place in a text. */
typedef struct ReelJsonReader {
    const char *name, *text;
    size_t size, at;
    int depth;
    ReelBytes string;  /* the last string that was read, unescaped */
    ReelStatus status; /* the first error; after it everything returns false or REEL_JSON_BROKEN */
} ReelJsonReader;

/* Starts at the front of a text, which must live as long; `name` stands in messages. */
void reel_json_reader_open(ReelJsonReader *json, const char *text, size_t size, const char *name);
/* Frees the string. */
void reel_json_reader_close(ReelJsonReader *json);
/* Records an error at the present place, unless there is one already. Returns false. */
bool reel_json_reader_fail(ReelJsonReader *json, const char *format, ...) REEL_PRINTF(2, 3);

/* What the next value is, without reading it. */
ReelJsonKind reel_json_reader_peek(ReelJsonReader *json);
/* Reads a value of that kind; false: it is another, which is an error. */
bool reel_json_reader_string(ReelJsonReader *json);            /* into json->string */
bool reel_json_reader_int(ReelJsonReader *json, int64_t *out); /* a whole number without exponent */
/* A whole number from low to high; another is an error. */
bool reel_json_reader_int_in(ReelJsonReader *json, int64_t low, int64_t high, int64_t *out);
bool reel_json_reader_number(ReelJsonReader *json, double *out);
bool reel_json_reader_bool(ReelJsonReader *json, bool *out);
bool reel_json_reader_null(ReelJsonReader *json);
/* `{` or `[`; then reel_json_reader_next_key() (the key in json->string) or reel_json_reader_next_item()
 * until they return false, which is the end or an error. */
bool reel_json_reader_open_object(ReelJsonReader *json);
bool reel_json_reader_open_array(ReelJsonReader *json);
bool reel_json_reader_next_key(ReelJsonReader *json, bool *first);
bool reel_json_reader_next_item(ReelJsonReader *json, bool *first);
/* Reads over a value of any kind, checking it. */
bool reel_json_reader_skip(ReelJsonReader *json);
/* Whether the last string is this one. */
bool reel_json_reader_is(const ReelJsonReader *json, const char *text);
/* After the last value: nothing but white space may follow. */
bool reel_json_reader_end(ReelJsonReader *json);
/* Reads a string that must be one of two; *is_second tells which. */
bool reel_json_reader_choice(ReelJsonReader *json, const char *first, const char *second, bool *is_second);

/* Reads the value of the key in json->string; false: no further one. */
typedef bool ReelJsonMember(void *context, ReelJsonReader *json);
/* Reads a text that is one object. Errors: the reader's, those that `member` records. */
ReelStatus reel_json_read_object(const char *text, size_t size, const char *name, ReelJsonMember *member,
                                 void *context);

REEL_END_DECLS

#endif

/* A strict reader of JSON (RFC 8259) that is pulled through a text, and the little that writing needs.
 *
 * Reel reads tokenizer files only, whose one large part is a table of strings: a library that builds a tree
 * of them first takes ten times the memory and cannot say where in the file a token stood. This one allocates
 * for what it has read, never for what the file announces, and every message has the byte offset. */
#ifndef REEL_MODELS_BPE_JSON_INTERNAL_H
#define REEL_MODELS_BPE_JSON_INTERNAL_H

#include "models/bpe_internal.h"

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

enum { BPE_JSON_MAX_DEPTH = 64 };

typedef struct Json {
    const char *name, *text;
    size_t size, at;
    int depth;
    BpeBytes string; /* the last string that was read, unescaped */
    Status status;   /* the first error; after it everything returns false or JSON_BROKEN */
} Json;

void bpe_json_open(Json *json, const char *text, size_t size, const char *name);
void bpe_json_close(Json *json);
/* Records an error at the present place, unless there is one already. Returns false. */
bool bpe_json_fail(Json *json, const char *format, ...) REEL_PRINTF(2, 3);

/* What the next value is, without reading it. */
JsonKind bpe_json_peek(Json *json);
/* Reads a value of that kind; false: it is another, which is an error. */
bool bpe_json_string(Json *json);            /* into json->string */
bool bpe_json_int(Json *json, int64_t *out); /* a whole number without exponent */
bool bpe_json_number(Json *json, double *out);
bool bpe_json_bool(Json *json, bool *out);
bool bpe_json_null(Json *json);
/* `{` or `[`; then bpe_json_next_key() (the key in json->string) or bpe_json_next_item() until they return
 * false, which is the end or an error. */
bool bpe_json_open_object(Json *json);
bool bpe_json_open_array(Json *json);
bool bpe_json_next_key(Json *json, bool *first);
bool bpe_json_next_item(Json *json, bool *first);
/* Reads over a value of any kind, checking it. */
bool bpe_json_skip(Json *json);
/* Whether the last string is this one. */
bool bpe_json_is(const Json *json, const char *text);
/* After the last value: nothing but white space may follow. */
bool bpe_json_end(Json *json);

/* Appends a string with its quotes. False: no memory. */
bool bpe_json_write_string(BpeBytes *out, const char *text, size_t size);

#endif

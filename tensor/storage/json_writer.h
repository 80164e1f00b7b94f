/* Writes JSON text to memory, indented or on one line, with commas and escapes where they belong. */
#ifndef REEL_TENSOR_JSON_WRITER_H
#define REEL_TENSOR_JSON_WRITER_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum { JSON_MAX_DEPTH = 32 };

/* All zeros is an empty one. */
typedef struct JsonWriter {
    char *text; /* [size], not terminated; json_finish() gives it with a zero behind */
    size_t size, capacity;
    int depth;
    bool filled[JSON_MAX_DEPTH]; /* whether something stands at this depth already */
    bool failed;                 /* no memory */
    bool compact;                /* all on one line */
} JsonWriter;

/* `key` is NULL inside an array and at the top. */
void json_begin_object(JsonWriter *writer, const char *key);
void json_end_object(JsonWriter *writer);
void json_begin_array(JsonWriter *writer, const char *key);
void json_end_array(JsonWriter *writer);
/* Bytes that are not UTF-8 become U+FFFD. */
void json_string(JsonWriter *writer, const char *key, const char *value);
void json_integer(JsonWriter *writer, const char *key, int64_t value);
/* With as many digits as it takes to read the same double; null where it is not finite. */
void json_number(JsonWriter *writer, const char *key, double value);
void json_bool(JsonWriter *writer, const char *key, bool value);
void json_null(JsonWriter *writer, const char *key);
/* The text so far with a line feed and a zero byte behind it; NULL where there was no memory. It is the
 * writer's. */
const char *json_finish(JsonWriter *writer);
void json_free(JsonWriter *writer);

REEL_END_DECLS

#endif

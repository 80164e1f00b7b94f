/* Writes JSON text to memory, indented or on one line, with commas and escapes where they belong. */
#ifndef REEL_TENSOR_JSON_WRITER_H
#define REEL_TENSOR_JSON_WRITER_H

#include "tensor/bytes.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum { REEL_JSON_MAX_DEPTH = 32 };

/* All zeros is an empty one. */
typedef struct ReelJsonWriter {
    char *text; /* [size], not terminated; reel_json_finish() gives it with a zero behind */
    size_t size, capacity;
    int depth;
    bool filled[REEL_JSON_MAX_DEPTH]; /* whether something stands at this depth already */
    bool failed;                      /* no memory */
    bool compact;                     /* all on one line */
} ReelJsonWriter;

/* `key` is NULL inside an array and at the top. */
void reel_json_begin_object(ReelJsonWriter *writer, const char *key);
void reel_json_end_object(ReelJsonWriter *writer);
void reel_json_begin_array(ReelJsonWriter *writer, const char *key);
void reel_json_end_array(ReelJsonWriter *writer);
/* Bytes that are not UTF-8 become U+FFFD. */
void reel_json_string(ReelJsonWriter *writer, const char *key, const char *value);
void reel_json_integer(ReelJsonWriter *writer, const char *key, int64_t value);
/* With as many digits as it takes to read the same double; null where it is not finite. */
void reel_json_number(ReelJsonWriter *writer, const char *key, double value);
/* With as many digits as it takes to read the same float. */
void reel_json_float(ReelJsonWriter *writer, const char *key, float value);
void reel_json_bool(ReelJsonWriter *writer, const char *key, bool value);
void reel_json_null(ReelJsonWriter *writer, const char *key);
/* The text so far with a line feed and a zero byte behind it; NULL where there was no memory. It is the
 * writer's. */
const char *reel_json_finish(ReelJsonWriter *writer);
void reel_json_free(ReelJsonWriter *writer);
/* Writes the text to a file (NULL: nowhere), whole or not at all, and frees the writer. */
ReelStatus reel_json_save(ReelJsonWriter *writer, const char *path);

/* Appends a JSON string of bytes as they are; false where there is no memory. */
bool reel_json_append_string(ReelBytes *out, const char *text, size_t size);

REEL_END_DECLS

#endif

/* Structs to JSON and back by a table of their members: what one writes the other reads.
 *
 * Reading is strict about JSON itself and about types, and passes over keys that the table does not have, so
 * that files of a later version can still be read. A key that is missing leaves the member as it was. */
#ifndef REEL_TENSOR_JSON_FIELDS_H
#define REEL_TENSOR_JSON_FIELDS_H

#include "tensor/storage/json_writer.h"
#include "tensor/arena.h"

REEL_BEGIN_DECLS

typedef enum {
    JSON_FIELD_TEXT,    /* char *, NULL where missing */
    JSON_FIELD_INT,     /* int */
    JSON_FIELD_INTEGER, /* int64_t */
    JSON_FIELD_NUMBER,  /* double; null is NaN */
    JSON_FIELD_BOOL,    /* bool */
    JSON_FIELD_LIST     /* a pointer to elements and an int that counts them */
} JsonFieldKind;

typedef struct JsonShape JsonShape;

/* One member: its key in the object, its type, and where it is in the struct. */
typedef struct JsonField {
    const char *name; /* NULL: the value itself, without an object around it (lists of numbers) */
    JsonFieldKind kind;
    size_t offset;
    size_t count_offset; /* LIST: of the int */
    const JsonShape *of; /* LIST: of the elements */
} JsonField;

/* A struct as a table of its members. */
struct JsonShape {
    size_t size; /* of the struct */
    const JsonField *fields;
    int count;
};

/* A member whose key is its name. */
#define JSON_FIELD(type, member, kind)                                                                       \
    {                                                                                                        \
#member, kind, offsetof(type, member), 0, NULL                                                       \
    }
/* A list and the int that counts its elements, which have the shape `shape`. */
#define JSON_LIST(type, member, counter, shape)                                                              \
    {                                                                                                        \
#member, JSON_FIELD_LIST, offsetof(type, member), offsetof(type, counter), shape                     \
    }
/* The shape of a struct from the array of its members. */
#define JSON_SHAPE(type, fields)                                                                             \
    {                                                                                                        \
        sizeof(type), fields, (int)(sizeof(fields) / sizeof(fields)[0])                                      \
    }

/* What lists of strings, of int, of int64_t and of double have as elements. */
extern const JsonShape JSON_TEXTS;
extern const JsonShape JSON_INTS;     /* of int */
extern const JsonShape JSON_INTEGERS; /* of int64_t */
extern const JsonShape JSON_NUMBERS;  /* of double */

/* Writes the struct as an object under `key` (NULL in an array and at the top). */
void json_write_fields(JsonWriter *writer, const char *key, const JsonShape *shape, const void *object);
/* Reads a whole JSON text, ended by a zero byte, whose value is an object. Memory for strings and lists comes
 * from the arena. `name` stands for the file in messages. Errors: no JSON, another type, no memory. */
Status json_read_fields(const char *text, size_t size, const char *name, const JsonShape *shape, void *object,
                        Arena *arena);

REEL_END_DECLS

#endif

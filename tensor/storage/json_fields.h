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
    REEL_JSON_FIELD_TEXT,    /* char *, NULL where missing */
    REEL_JSON_FIELD_INT,     /* int */
    REEL_JSON_FIELD_INTEGER, /* int64_t */
    REEL_JSON_FIELD_NUMBER,  /* double; null is NaN */
    REEL_JSON_FIELD_BOOL,    /* bool */
    REEL_JSON_FIELD_LIST,    /* a pointer to elements and an int that counts them */
    /* A struct inside: an object of its own, or (name NULL) members of the same object; written where the int
     * is not 0. */
    REEL_JSON_FIELD_PART
} ReelJsonFieldKind;

typedef struct ReelJsonShape ReelJsonShape;

/* One member: its key in the object, its type, and where it is in the struct. */
typedef struct ReelJsonField {
    const char *name; /* NULL: the value itself, without an object around it (lists of numbers); see PART */
    ReelJsonFieldKind kind;
    size_t offset;
    size_t count_offset;     /* LIST, PART: of the int */
    const ReelJsonShape *of; /* LIST: of the elements; PART: of the struct */
} ReelJsonField;

/* A struct as a table of its members. */
struct ReelJsonShape {
    size_t size; /* of the struct */
    const ReelJsonField *fields;
    int count;
};

/* A member whose key is its name. */
#define REEL_JSON_FIELD(type, member, kind)                                                                  \
    {                                                                                                        \
#member, kind, offsetof(type, member), 0, NULL                                                       \
    }
/* What an int of a PART is that is always written. */
#define REEL_JSON_ALWAYS SIZE_MAX

/* A list and the int that counts its elements, which have the shape `shape`. */
#define REEL_JSON_LIST(type, member, counter, shape)                                                         \
    {                                                                                                        \
#member, REEL_JSON_FIELD_LIST, offsetof(type, member), offsetof(type, counter), shape                \
    }
/* A member with a key of its own; `kind` without JSON_FIELD_. */
#define REEL_JSON_NAMED(type, key, member, kind)                                                             \
    {                                                                                                        \
        key, REEL_JSON_FIELD_##kind, offsetof(type, member), 0, NULL                                         \
    }
/* A struct inside, under a key or (NULL) without; `when` is where the int is, or REEL_JSON_ALWAYS. */
#define REEL_JSON_PART(type, key, member, when, shape)                                                       \
    {                                                                                                        \
        key, REEL_JSON_FIELD_PART, offsetof(type, member), when, shape                                       \
    }
/* The shape of a struct from the array of its members. */
#define REEL_JSON_SHAPE(type, fields)                                                                        \
    {                                                                                                        \
        sizeof(type), fields, (int)(sizeof(fields) / sizeof(fields)[0])                                      \
    }

/* The same from the members themselves. */
#define REEL_JSON_TABLE(name, type, ...)                                                                     \
    static const ReelJsonField name##_fields[] = {__VA_ARGS__};                                              \
    static const ReelJsonShape name = REEL_JSON_SHAPE(type, name##_fields)

/* What lists of strings, of int, of int64_t and of double have as elements. */
extern const ReelJsonShape reel_json_texts;
extern const ReelJsonShape reel_json_ints;     /* of int */
extern const ReelJsonShape reel_json_integers; /* of int64_t */
extern const ReelJsonShape reel_json_numbers;  /* of double */

/* Writes the struct as an object under `key` (NULL in an array and at the top). */
void reel_json_write_fields(ReelJsonWriter *writer, const char *key, const ReelJsonShape *shape,
                            const void *object);
/* Reads a whole JSON text, ended by a zero byte, whose value is an object. Memory for strings and lists comes
 * from the arena. `name` stands for the file in messages. Errors: no JSON, another type, no memory. */
ReelStatus reel_json_read_fields(const char *text, size_t size, const char *name, const ReelJsonShape *shape,
                                 void *object, TensorArena *arena);

REEL_END_DECLS

#endif

/* Strings and their numbers: a hash table that gives every different string the next number, and finds
 * either from the other. */
#ifndef REEL_MODELS_STRING_TABLE_H
#define REEL_MODELS_STRING_TABLE_H

#include "models/strings/text.h"
#include "tensor/decls.h"

#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct ModelStringItem {
    size_t offset;   /* into bytes; a NUL follows the string */
    uint32_t length; /* in bytes */
    uint32_t hash;
} ModelStringItem;

/* All zeros is an empty table. */
typedef struct ModelStringTable {
    int32_t count;
    ModelStringItem *items; /* [count], in the order in which they came */
    size_t items_capacity;
    char *bytes;
    size_t bytes_used, bytes_capacity;
    int32_t *slots; /* [num_slots], open addressing; -1 where free */
    size_t num_slots;
} ModelStringTable;

/* What may be read behind the start of a string, however short it is. */
enum { MODEL_STRING_TABLE_SLACK = 16 };

/* The number of the string, or -1 where it is not in the table; the first one that it was given. */
int32_t model_string_table_find(const ModelStringTable *table, ModelTextSpan text);
/* The number of the string, new or not; -1 where there is no memory, the table is then as before. */
int32_t model_string_table_add(ModelStringTable *table, ModelTextSpan text);
/* The same of all strings of another table, in their order. False where there is no memory. */
bool model_string_table_add_all(ModelStringTable *table, const ModelStringTable *from);
/* The next number for a string that is not in the table, or for an empty one that is not to be found; -1
 * where there is no memory. */
int32_t model_string_table_append(ModelStringTable *table, ModelTextSpan text);
/* String number `id`, ended by a NUL; valid until the next string is added. */
const char *model_string_table_text(const ModelStringTable *table, int32_t id);
/* The same with its length. */
static inline ModelTextSpan model_string_table_span(const ModelStringTable *table, size_t id)
{
    ModelTextSpan span = {table->bytes + table->items[id].offset, table->items[id].length};
    return span;
}
/* The first number at which two tables differ; -1: they are the same. */
int32_t model_string_table_difference(const ModelStringTable *a, const ModelStringTable *b);
/* Numbers the strings anew in the order of their bytes (for UTF-8 that is the order of code points, as
 * Python sorts). new_ids [count] gets the new number of every old one; it may be NULL. False where there
 * is no memory, the table is then as before. */
bool model_string_table_sort(ModelStringTable *table, int32_t *new_ids);
/* Empty again, and without memory. */
void model_string_table_free(ModelStringTable *table);

REEL_END_DECLS

#endif

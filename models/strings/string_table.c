#include "models/strings/string_table.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64, FIRST_BYTES = 256, NOT_FOUND = 0 };

/* FNV-1a, 32 bits: words are short. */
static uint32_t hash_of(ModelTextSpan text)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.bytes[i]) * 16777619u;
    return hash == NOT_FOUND ? 1 : hash;
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t slot_of(const ModelStringTable *table, ModelTextSpan text, uint32_t hash)
{
    size_t mask = table->num_slots - 1, slot = hash & mask;
    for (; table->slots[slot] >= 0; slot = (slot + 1) & mask) {
        const ModelStringItem *item = &table->items[table->slots[slot]];
        if (item->hash == hash && item->length == text.length &&
            (text.length == 0 || memcmp(table->bytes + item->offset, text.bytes, text.length) == 0))
            break;
    }
    return slot;
}

int32_t model_string_table_find(const ModelStringTable *table, ModelTextSpan text)
{
    return table->num_slots == 0 ? -1 : table->slots[slot_of(table, text, hash_of(text))];
}

/* Puts every item into slots that are all free. */
static void fill_slots(ModelStringTable *table)
{
    size_t mask = table->num_slots - 1;
    memset(table->slots, 0xFF, table->num_slots * sizeof *table->slots);
    for (int32_t id = 0; id < table->count; id++) {
        size_t slot = table->items[id].hash & mask;
        if (table->items[id].hash == NOT_FOUND)
            continue;
        while (table->slots[slot] >= 0)
            slot = (slot + 1) & mask;
        table->slots[slot] = id;
    }
}

/* Room for one more string in the slots, which stay at most half full, and in the two arrays. */
static bool reserve(ModelStringTable *table, size_t length)
{
    if ((size_t)table->count + 1 > table->num_slots / 2) {
        size_t larger = table->num_slots ? table->num_slots * 2 : FIRST_SLOTS;
        int32_t *slots = reel_mem_alloc(larger * sizeof *slots);
        if (!slots)
            return false;
        reel_mem_free(table->slots);
        table->slots = slots;
        table->num_slots = larger;
        fill_slots(table);
    }
    if (table->bytes_capacity - table->bytes_used < length + 1 + MODEL_STRING_TABLE_SLACK) {
        size_t larger = table->bytes_capacity ? table->bytes_capacity * 2 : FIRST_BYTES;
        if (larger - table->bytes_used < length + 1 + MODEL_STRING_TABLE_SLACK)
            larger = table->bytes_used + length + 1 + MODEL_STRING_TABLE_SLACK;
        char *bytes = reel_mem_realloc(table->bytes, larger);
        if (!bytes)
            return false;
        table->bytes = bytes;
        table->bytes_capacity = larger;
    }
    ModelStringItem *items =
        reel_mem_grow(table->items, (size_t)table->count, &table->items_capacity, sizeof *table->items);
    if (!items)
        return false;
    table->items = items;
    return true;
}

static int32_t append(ModelStringTable *table, ModelTextSpan text, uint32_t hash)
{
    if (text.length > UINT32_MAX || table->count == INT32_MAX || !reserve(table, text.length))
        return -1;
    int32_t id = table->count;
    if (hash != NOT_FOUND) {
        int32_t *slot = &table->slots[slot_of(table, text, hash)];
        *slot = *slot < 0 ? id : *slot;
    }
    table->items[id] =
        (ModelStringItem){.offset = table->bytes_used, .length = (uint32_t)text.length, .hash = hash};
    if (text.length > 0)
        memcpy(table->bytes + table->bytes_used, text.bytes, text.length);
    table->bytes[table->bytes_used + text.length] = '\0';
    table->bytes_used += text.length + 1;
    return table->count++;
}

int32_t model_string_table_append(ModelStringTable *table, ModelTextSpan text)
{
    return append(table, text, text.length ? hash_of(text) : NOT_FOUND);
}

int32_t model_string_table_add(ModelStringTable *table, ModelTextSpan text)
{
    int32_t id = model_string_table_find(table, text);
    return id >= 0 ? id : append(table, text, hash_of(text));
}

bool model_string_table_add_all(ModelStringTable *table, const ModelStringTable *from)
{
    bool fine = true;
    for (int32_t i = 0; fine && i < from->count; i++)
        fine = model_string_table_add(table, model_string_table_span(from, (size_t)i)) >= 0;
    return fine;
}

const char *model_string_table_text(const ModelStringTable *table, int32_t id)
{
    return table->bytes + table->items[id].offset;
}

int32_t model_string_table_difference(const ModelStringTable *a, const ModelStringTable *b)
{
    int32_t i = 0;
    while (i < a->count && i < b->count &&
           strcmp(model_string_table_text(a, i), model_string_table_text(b, i)) == 0)
        i++;
    return i == a->count && i == b->count ? -1 : i;
}

typedef struct {
    const char *text;
    uint32_t length;
    int32_t id;
} SortKey;

static int compare_keys(const void *a, const void *b)
{
    const SortKey *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

bool model_string_table_sort(ModelStringTable *table, int32_t *new_ids)
{
    size_t count = (size_t)table->count;
    if (count == 0)
        return true;
    SortKey *keys = reel_mem_alloc(count * sizeof *keys);
    ModelStringItem *items = reel_mem_alloc(count * sizeof *items);
    if (!keys || !items) {
        reel_mem_free(keys);
        reel_mem_free(items);
        return false;
    }
    for (int32_t id = 0; id < table->count; id++)
        keys[id] = (SortKey){model_string_table_text(table, id), table->items[id].length, id};
    qsort(keys, count, sizeof *keys, compare_keys);
    for (int32_t id = 0; id < table->count; id++) {
        items[id] = table->items[keys[id].id];
        if (new_ids)
            new_ids[keys[id].id] = id;
    }
    memcpy(table->items, items, count * sizeof *items);
    fill_slots(table);
    reel_mem_free(keys);
    reel_mem_free(items);
    return true;
}

void model_string_table_free(ModelStringTable *table)
{
    reel_mem_free(table->items);
    reel_mem_free(table->bytes);
    reel_mem_free(table->slots);
    *table = (ModelStringTable){0};
}

#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

/* Decoding copies 16 bytes from wherever a string begins. */
enum { SLACK = 16 };
/* A table, for whether a word is longer than eight bytes cannot be predicted. */
#define LOW(n) (((uint64_t)1 << 8 * (n)) - 1)
const BpeKey bpe_key_masks[BPE_KEY_INLINE + 1] = {
    {LOW(0), 0},          {LOW(1), 0},          {LOW(2), 0},          {LOW(3), 0},
    {LOW(4), 0},          {LOW(5), 0},          {LOW(6), 0},          {LOW(7), 0},
    {UINT64_MAX, LOW(0)}, {UINT64_MAX, LOW(1)}, {UINT64_MAX, LOW(2)}, {UINT64_MAX, LOW(3)},
    {UINT64_MAX, LOW(4)}, {UINT64_MAX, LOW(5)}, {UINT64_MAX, LOW(6)}, {UINT64_MAX, LOW(7)}};

uint64_t bpe_hash_bytes(const char *text, size_t size)
{
    uint64_t hash = 0x9E3779B97F4A7C15u ^ size;
    size_t at = 0;
    for (; at + 16 <= size; at += 16)
        hash = bpe_mix(bpe_load64(text + at) ^ hash, bpe_load64(text + at + 8) ^ 0xD1B54A32D192ED03u);
    uint64_t tail[2] = {0, 0};
    if (at < size)
        memcpy(tail, text + at, size - at);
    return bpe_mix(tail[0] ^ hash, tail[1] ^ 0xA0761D6478BD642Fu);
}

void bpe_strings_free(BpeStrings *strings)
{
    reel_mem_free(strings->bytes);
    reel_mem_free(strings->at);
    reel_mem_free(strings->slots);
    *strings = (BpeStrings){0};
}

static void put(BpeStrings *strings, uint64_t hash, uint32_t index)
{
    if (bpe_string_size(strings, index) == 0)
        return;
    size_t slot = hash & (strings->slot_count - 1);
    while (strings->slots[slot])
        slot = (slot + 1) & (strings->slot_count - 1);
    strings->slots[slot] = index + 1;
}

static bool grow_slots(BpeStrings *strings)
{
    size_t wanted = strings->slot_count ? strings->slot_count * 2 : 1024;
    uint32_t *slots = reel_mem_calloc(wanted, sizeof *slots);
    if (!slots)
        return false;
    reel_mem_free(strings->slots);
    strings->slots = slots;
    strings->slot_count = wanted;
    for (size_t i = 0; i < strings->count; i++)
        put(strings, bpe_hash_bytes(bpe_string(strings, i), bpe_string_size(strings, i)), (uint32_t)i);
    return true;
}

/* Room for one more string of `size` bytes. */
static bool reserve(BpeStrings *strings, size_t size)
{
    if (strings->count + 2 > strings->at_capacity) {
        size_t wanted = strings->at_capacity * 2 + 1024;
        size_t *at = reel_mem_realloc(strings->at, wanted * sizeof *at);
        if (!at)
            return false;
        at[0] = 0;
        strings->at = at;
        strings->at_capacity = wanted;
    }
    if (strings->bytes_capacity - strings->bytes_used < size + 1 + SLACK) {
        size_t wanted = strings->bytes_capacity + strings->bytes_capacity / 2 + size + 4096 + SLACK;
        char *bytes = reel_mem_realloc(strings->bytes, wanted);
        if (!bytes)
            return false;
        strings->bytes = bytes;
        strings->bytes_capacity = wanted;
    }
    return strings->count < UINT32_MAX - 1 &&
           (strings->count * 2 < strings->slot_count || grow_slots(strings));
}

/* The `size` bytes behind bytes_used become a string. */
static void finish(BpeStrings *strings, size_t size)
{
    char *text = strings->bytes + strings->bytes_used;
    text[size] = '\0';
    strings->bytes_used += size + 1;
    uint32_t index = (uint32_t)strings->count++;
    strings->at[strings->count] = strings->bytes_used;
    put(strings, bpe_hash_bytes(text, size), index);
}

bool bpe_strings_add(BpeStrings *strings, const char *text, size_t size)
{
    if (!reserve(strings, size))
        return false;
    if (size)
        memcpy(strings->bytes + strings->bytes_used, text, size);
    finish(strings, size);
    return true;
}

bool bpe_strings_add_joined(BpeStrings *strings, uint32_t a, uint32_t b)
{
    size_t a_size = bpe_string_size(strings, a), b_size = bpe_string_size(strings, b);
    if (!reserve(strings, a_size + b_size))
        return false;
    char *out = strings->bytes + strings->bytes_used;
    memcpy(out, bpe_string(strings, a), a_size);
    memcpy(out + a_size, bpe_string(strings, b), b_size);
    finish(strings, a_size + b_size);
    return true;
}

void bpe_strings_drop_last(BpeStrings *strings)
{
    uint32_t index = (uint32_t)--strings->count;
    size_t size = strings->at[index + 1] - strings->at[index] - 1, mask = strings->slot_count - 1;
    size_t slot = bpe_hash_bytes(bpe_string(strings, index), size) & mask;
    while (strings->slots[slot] != index + 1)
        slot = (slot + 1) & mask;
    strings->slots[slot] = 0; /* the last one that was put in: no probe goes on behind it */
    strings->bytes_used = strings->at[index];
}

int64_t bpe_strings_find(const BpeStrings *strings, const char *text, size_t size)
{
    if (strings->slot_count == 0 || size == 0)
        return BPE_NONE;
    size_t mask = strings->slot_count - 1;
    for (size_t slot = bpe_hash_bytes(text, size) & mask; strings->slots[slot]; slot = (slot + 1) & mask) {
        uint32_t index = strings->slots[slot] - 1;
        if (bpe_string_size(strings, index) == size && memcmp(bpe_string(strings, index), text, size) == 0)
            return index;
    }
    return BPE_NONE;
}

#define _GNU_SOURCE
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

#include <sys/mman.h>

/* A larger block for `wanted` elements, at least double the old one; NULL: no memory or too large. */
static void *grown(void *block, size_t *capacity, size_t wanted, size_t element)
{
    size_t larger = *capacity + *capacity / 2 + 64, bytes;
    if (larger < wanted)
        larger = wanted;
    if (__builtin_mul_overflow(larger, element, &bytes))
        return NULL;
    void *moved = mem_realloc(block, bytes);
    if (moved)
        *capacity = larger;
    return moved;
}

bool bpe_ids_reserve(BpeIds *ids, size_t more)
{
    if (ids->capacity - ids->count >= more)
        return true;
    size_t wanted;
    if (__builtin_add_overflow(ids->count, more, &wanted))
        return false;
    int32_t *moved = grown(ids->ids, &ids->capacity, wanted, sizeof *ids->ids);
    if (moved)
        ids->ids = moved;
    return moved != NULL;
}

bool bpe_bytes_reserve(BpeBytes *bytes, size_t more)
{
    if (bytes->capacity - bytes->size >= more)
        return true;
    size_t wanted;
    if (__builtin_add_overflow(bytes->size, more, &wanted))
        return false;
    char *moved = grown(bytes->data, &bytes->capacity, wanted, 1);
    if (moved)
        bytes->data = moved;
    return moved != NULL;
}

bool bpe_bytes_append(BpeBytes *bytes, const char *text, size_t size)
{
    if (!bpe_bytes_reserve(bytes, size))
        return false;
    if (size)
        memcpy(bytes->data + bytes->size, text, size);
    bytes->size += size;
    return true;
}

void bpe_ids_free(BpeIds *ids)
{
    mem_free(ids->ids);
    *ids = (BpeIds){0};
}

void bpe_bytes_free(BpeBytes *bytes)
{
    mem_free(bytes->data);
    *bytes = (BpeBytes){0};
}

/* Tables that are read at random miss the TLB with pages of 4 KiB as often as the cache. */
void *bpe_table_alloc(size_t count, size_t element)
{
    enum { HUGE_PAGE = 2 << 20 };
    size_t bytes;
    if (__builtin_mul_overflow(count, element, &bytes))
        return NULL;
    char *block = mem_alloc(bytes);
    if (!block)
        return NULL;
#if defined(MADV_HUGEPAGE)
    uintptr_t begin = ((uintptr_t)block + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)block + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (begin < end) /* a wish; nothing depends on it */
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
    memset(block, 0, bytes);
    return block;
}

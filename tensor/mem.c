#include "tensor/mem_internal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* The size of a block is kept in front of it, in a header as wide as the alignment. */
enum { ALIGNMENT = 64 };

static atomic_uint_fast64_t calls;
static atomic_int_fast64_t live_blocks, live_bytes, peak_bytes;
static atomic_int_fast64_t fail_in = -1;
static atomic_int fail_persistent;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) < 0)
        return false;
    int_fast64_t left = atomic_fetch_sub(&fail_in, 1);
    if (left > 0)
        return false;
    if (left == 0 && atomic_load(&fail_persistent))
        atomic_store(&fail_in, 0);
    return left == 0;
}

static void account(int64_t blocks, int64_t bytes)
{
    atomic_fetch_add_explicit(&live_blocks, blocks, memory_order_relaxed);
    int64_t now = atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed) + bytes;
    int_fast64_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, now))
        ;
}

static size_t *header_of(void *block)
{
    return (size_t *)(void *)((char *)block - ALIGNMENT);
}

/* Asks for large pages, without which rows from all over a table cost a look at the tables of pages each. */
static void wish_large_pages(char *base, size_t size)
{
#ifdef MADV_HUGEPAGE
    enum { PAGE = 1 << 21 };
    uintptr_t begin = ((uintptr_t)base + PAGE - 1) / PAGE * PAGE,
              end = ((uintptr_t)base + size) / PAGE * PAGE;
    if (size >= 2 * PAGE && begin < end)
        (void)madvise(base + (begin - (uintptr_t)base), end - begin, MADV_HUGEPAGE);
#else
    (void)base, (void)size;
#endif
}

void *reel_mem_alloc(size_t size)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (must_fail() || size > SIZE_MAX - 2 * ALIGNMENT)
        return NULL;
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *base = aligned_alloc(ALIGNMENT, rounded + ALIGNMENT);
    if (!base)
        return NULL;
    wish_large_pages(base, rounded + ALIGNMENT);
    void *block = base + ALIGNMENT;
    *header_of(block) = size;
    account(1, (int64_t)size);
    return block;
}

void *reel_mem_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *block = reel_mem_alloc(bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *reel_mem_realloc(void *block, size_t size)
{
    void *moved = reel_mem_alloc(size);
    if (!moved || !block)
        return moved;
    size_t old = *header_of(block);
    memcpy(moved, block, old < size ? old : size);
    reel_mem_free(block);
    return moved;
}

void reel_mem_free(void *block)
{
    if (!block)
        return;
    account(-1, -(int64_t)*header_of(block));
    free((char *)block - ALIGNMENT);
}

char *reel_mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = reel_mem_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void *reel_mem_grow(void *array, size_t count, size_t *capacity, size_t element_size)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2, bytes;
    if (__builtin_mul_overflow(wanted, element_size, &bytes))
        return NULL;
    void *moved = reel_mem_realloc(array, bytes);
    if (moved)
        *capacity = wanted;
    return moved;
}

void *reel_mem_reserve(void *array, size_t count, size_t more, size_t *capacity, size_t element_size)
{
    if (*capacity - count >= more)
        return array;
    size_t wanted, larger = *capacity + *capacity / 2 + 64, bytes;
    if (__builtin_add_overflow(count, more, &wanted))
        return NULL;
    if (larger < wanted)
        larger = wanted;
    if (__builtin_mul_overflow(larger, element_size, &bytes))
        return NULL;
    void *moved = reel_mem_realloc(array, bytes);
    if (moved)
        *capacity = larger;
    return moved;
}

ReelMemStats reel_mem_stats(void)
{
    return (ReelMemStats){.calls = atomic_load(&calls),
                          .live_blocks = atomic_load(&live_blocks),
                          .live_bytes = atomic_load(&live_bytes),
                          .peak_bytes = atomic_load(&peak_bytes)};
}

void reel_mem_fail_at(int64_t n, int persistent)
{
    atomic_store(&fail_persistent, persistent);
    atomic_store(&fail_in, n < 0 ? -1 : n);
}

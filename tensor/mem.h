/* The one allocator. Every block that Reel asks of the system passes through here, so that tests can
 * count the calls and make the n-th one fail. (What BLIS and zlib allocate for themselves does not.) */
#ifndef REEL_TENSOR_MEM_H
#define REEL_TENSOR_MEM_H

#include "tensor/decls.h"

#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct ReelMemStats {
    uint64_t calls;      /* allocations and reallocations since the start of the process */
    int64_t live_blocks; /* blocks not yet freed */
    int64_t live_bytes;
    int64_t peak_bytes; /* the largest live_bytes so far */
} ReelMemStats;

/* A block of `size` bytes aligned to 64, or NULL. Not initialised. Size 0 gives a valid block. */
void *reel_mem_alloc(size_t size);
/* count * size bytes set to zero, or NULL, also where the product overflows. */
void *reel_mem_calloc(size_t count, size_t size);
/* `block` (NULL: a new one) with its contents moved to a block of `size` bytes, aligned to 64.
 * NULL when there is no memory; `block` is then still valid. */
void *reel_mem_realloc(void *block, size_t size);
/* NULL is allowed. */
void reel_mem_free(void *block);
/* A copy of a string, or NULL. */
char *reel_mem_strdup(const char *text);

/* Makes room for one more element in an array that grows by doubling: when *capacity == count, the
 * array is reallocated. Returns the (possibly moved) array, or NULL with the old array untouched. */
void *reel_mem_grow(void *array, size_t count, size_t *capacity, size_t element_size);
/* Makes room for `more` elements behind the first `count`, growing by half. Returns as reel_mem_grow(). */
void *reel_mem_reserve(void *array, size_t count, size_t more, size_t *capacity, size_t element_size);

/* The counts of now. */
ReelMemStats reel_mem_stats(void);

REEL_END_DECLS

#endif

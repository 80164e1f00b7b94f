#define _GNU_SOURCE
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

#include <sys/mman.h>

bool model_bpe_ids_reserve(ModelBpeIds *ids, size_t more)
{
    int32_t *moved = reel_mem_reserve(ids->ids, ids->count, more, &ids->capacity, sizeof *ids->ids);
    if (moved)
        ids->ids = moved;
    return moved != NULL || more == 0;
}

void model_bpe_ids_free(ModelBpeIds *ids)
{
    reel_mem_free(ids->ids);
    *ids = (ModelBpeIds){0};
}

/* Tables that are read at random miss the TLB with pages of 4 KiB as often as the cache. */
void *model_bpe_table_alloc(size_t count, size_t element)
{
    enum { HUGE_PAGE = 2 << 20 };
    size_t bytes;
    if (__builtin_mul_overflow(count, element, &bytes))
        return NULL;
    char *block = reel_mem_alloc(bytes);
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

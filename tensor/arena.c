#include "tensor/arena.h"
#include "tensor/mem.h"

#include <string.h>

struct TensorArenaChunk {
    TensorArenaChunk *next;
    size_t size, used;
    char *bytes;
};

enum { ALIGNMENT = 64, DEFAULT_CHUNK_BYTES = 1 << 20 };

void tensor_arena_init(TensorArena *arena, size_t chunk_bytes)
{
    *arena = (TensorArena){.chunk_bytes = chunk_bytes ? chunk_bytes : DEFAULT_CHUNK_BYTES};
}

void tensor_arena_free(TensorArena *arena)
{
    for (TensorArenaChunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        reel_mem_free(chunk->bytes);
        reel_mem_free(chunk);
    }
    arena->first = arena->current = NULL;
    arena->used = 0;
}

/* A chunk of at least `bytes` bytes behind `after` (NULL: at the front). */
static TensorArenaChunk *insert_chunk(TensorArena *arena, TensorArenaChunk *after, size_t bytes)
{
    TensorArenaChunk *chunk = reel_mem_alloc(sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->size = bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes;
    chunk->used = 0;
    chunk->bytes = reel_mem_alloc(chunk->size);
    if (!chunk->bytes) {
        reel_mem_free(chunk);
        return NULL;
    }
    TensorArenaChunk **link = after ? &after->next : &arena->first;
    chunk->next = *link;
    *link = chunk;
    return chunk;
}

static void *fail(TensorArena *arena)
{
    arena->failed = true;
    return NULL;
}

void *tensor_arena_alloc(TensorArena *arena, size_t bytes)
{
    if (bytes > (size_t)-1 - ALIGNMENT)
        return fail(arena);
    size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    TensorArenaChunk *chunk = arena->current;
    /* A block goes into the current chunk, or into the next one that was kept and is large enough;
     * kept chunks that are too small are passed over and stay for the next round. */
    if (!chunk || chunk->size - chunk->used < size) {
        TensorArenaChunk *next = chunk ? chunk->next : arena->first;
        while (next && next->size < size) {
            next->used = 0;
            chunk = next;
            next = next->next;
        }
        if (!next)
            next = insert_chunk(arena, chunk, size);
        if (!next)
            return fail(arena);
        next->used = 0;
        arena->current = chunk = next;
    }
    void *block = chunk->bytes + chunk->used;
    chunk->used += size;
    arena->used += size;
    if (arena->used > arena->peak)
        arena->peak = arena->used;
    return block;
}

void *tensor_arena_calloc(TensorArena *arena, size_t bytes)
{
    void *block = tensor_arena_alloc(arena, bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void *tensor_arena_memdup(TensorArena *arena, const void *source, size_t bytes)
{
    void *block = tensor_arena_alloc(arena, bytes);
    return block && bytes ? memcpy(block, source, bytes) : block;
}

TensorArenaMark tensor_arena_mark(const TensorArena *arena)
{
    TensorArenaChunk *chunk = arena->current;
    return (TensorArenaMark){.chunk = chunk, .chunk_used = chunk ? chunk->used : 0, .used = arena->used};
}

void tensor_arena_rewind(TensorArena *arena, TensorArenaMark mark)
{
    arena->current = mark.chunk;
    if (mark.chunk)
        mark.chunk->used = mark.chunk_used;
    arena->used = mark.used;
}

/* Several chunks become one that holds as much as was ever used at once: later rounds of the same work fit
 * into it without gaps. */
static void consolidate(TensorArena *arena)
{
    size_t peak = arena->peak;
    tensor_arena_free(arena);
    arena->current = insert_chunk(arena, NULL, peak + peak / 16);
}

void tensor_arena_reset(TensorArena *arena)
{
    tensor_arena_rewind(arena, (TensorArenaMark){0});
    arena->failed = false;
    if (arena->first && arena->first->next)
        consolidate(arena);
}

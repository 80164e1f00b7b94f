#include "tensor/arena.h"
#include "tensor/mem.h"

#include <string.h>

struct ArenaChunk {
    ArenaChunk *next;
    size_t size, used;
    char *bytes;
};

enum { ALIGNMENT = 64, DEFAULT_CHUNK_BYTES = 1 << 20 };

void arena_init(Arena *arena, size_t chunk_bytes)
{
    *arena = (Arena){.chunk_bytes = chunk_bytes ? chunk_bytes : DEFAULT_CHUNK_BYTES};
}

void arena_free(Arena *arena)
{
    for (ArenaChunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        mem_free(chunk->bytes);
        mem_free(chunk);
    }
    arena->first = arena->current = NULL;
    arena->used = 0;
}

/* A chunk of at least `bytes` bytes behind `after` (NULL: at the front). */
static ArenaChunk *insert_chunk(Arena *arena, ArenaChunk *after, size_t bytes)
{
    ArenaChunk *chunk = mem_alloc(sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->size = bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes;
    chunk->used = 0;
    chunk->bytes = mem_alloc(chunk->size);
    if (!chunk->bytes) {
        mem_free(chunk);
        return NULL;
    }
    ArenaChunk **link = after ? &after->next : &arena->first;
    chunk->next = *link;
    *link = chunk;
    return chunk;
}

static void *fail(Arena *arena)
{
    arena->failed = true;
    return NULL;
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    if (bytes > (size_t)-1 - ALIGNMENT)
        return fail(arena);
    size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ArenaChunk *chunk = arena->current;
    /* A block goes into the current chunk, or into the next one that was kept and is large enough;
     * kept chunks that are too small are passed over and stay for the next round. */
    if (!chunk || chunk->size - chunk->used < size) {
        ArenaChunk *next = chunk ? chunk->next : arena->first;
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

void *arena_calloc(Arena *arena, size_t bytes)
{
    void *block = arena_alloc(arena, bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void *arena_memdup(Arena *arena, const void *source, size_t bytes)
{
    void *block = arena_alloc(arena, bytes);
    return block && bytes ? memcpy(block, source, bytes) : block;
}

ArenaMark arena_mark(const Arena *arena)
{
    ArenaChunk *chunk = arena->current;
    return (ArenaMark){.chunk = chunk, .chunk_used = chunk ? chunk->used : 0, .used = arena->used};
}

void arena_rewind(Arena *arena, ArenaMark mark)
{
    arena->current = mark.chunk;
    if (mark.chunk)
        mark.chunk->used = mark.chunk_used;
    arena->used = mark.used;
}

/* Several chunks become one that holds as much as was ever used at once: later rounds of the same work fit
 * into it without gaps. */
static void consolidate(Arena *arena)
{
    size_t peak = arena->peak;
    arena_free(arena);
    arena->current = insert_chunk(arena, NULL, peak + peak / 16);
}

void arena_reset(Arena *arena)
{
    arena_rewind(arena, (ArenaMark){0});
    arena->failed = false;
    if (arena->first && arena->first->next)
        consolidate(arena);
}

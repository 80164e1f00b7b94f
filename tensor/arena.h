/* An arena: memory that is given out in a row and taken back all at once.
 *
 * It grows in chunks, which it keeps when it is rewound: after the first steps of a training run it
 * asks the allocator for nothing. Blocks never move while they are in use. */
#ifndef REEL_TENSOR_ARENA_H
#define REEL_TENSOR_ARENA_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

/* A block of memory of an arena; private. */
typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
    ArenaChunk *first;   /* chunks in the order in which they were made */
    ArenaChunk *current; /* the one that is being filled, or NULL */
    size_t chunk_bytes;  /* the least size of a new chunk */
    size_t used;         /* bytes given out, padding included */
    size_t peak;         /* the largest `used` so far */
    bool failed;         /* an allocation has failed since the arena was made or reset */
} Arena;

/* A place to come back to; only valid for the arena it was taken from. */
typedef struct ArenaMark {
    ArenaChunk *chunk;
    size_t chunk_used;
    size_t used;
} ArenaMark;

/* An empty arena; nothing is allocated yet. chunk_bytes 0 means 1 MiB. */
void arena_init(Arena *arena, size_t chunk_bytes);
/* Frees all chunks; the arena is empty and may be used again. */
void arena_free(Arena *arena);
/* `bytes` bytes aligned to 64, not initialised, or NULL when there is no memory. */
void *arena_alloc(Arena *arena, size_t bytes);
/* The same, set to zero. */
void *arena_calloc(Arena *arena, size_t bytes);
/* A copy of `bytes` bytes, or NULL. */
void *arena_memdup(Arena *arena, const void *source, size_t bytes);

/* The place where the arena is now. */
ArenaMark arena_mark(const Arena *arena);
/* Takes back all that was given out since the mark; the memory is kept for the next use. */
void arena_rewind(Arena *arena, ArenaMark mark);
/* Takes back everything, and makes one chunk of what were several. */
void arena_reset(Arena *arena);

REEL_END_DECLS

#endif

/* An arena: memory that is allocated by advancing a pointer and released all at once.
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
typedef struct TensorArenaChunk TensorArenaChunk;

typedef struct TensorArena {
    TensorArenaChunk *first;   /* chunks in order of creation */
    TensorArenaChunk *current; /* the one that is being filled, or NULL */
    size_t chunk_bytes;        /* the least size of a new chunk */
    size_t used;               /* bytes allocated, padding included */
    size_t peak;               /* the largest `used` so far */
    bool failed;               /* an allocation has failed since the arena was made or reset */
} TensorArena;

/* A position to rewind to; valid only for the arena it was taken from. */
typedef struct TensorArenaMark {
    TensorArenaChunk *chunk;
    size_t chunk_used;
    size_t used;
} TensorArenaMark;

/* An empty arena; nothing is allocated yet. chunk_bytes 0 means 1 MiB. */
void tensor_arena_init(TensorArena *arena, size_t chunk_bytes);
/* Frees all chunks; the arena is empty and may be used again. */
void tensor_arena_free(TensorArena *arena);
/* `bytes` bytes aligned to 64, not initialised, or NULL when there is no memory. */
void *tensor_arena_alloc(TensorArena *arena, size_t bytes);
/* The same, set to zero. */
void *tensor_arena_calloc(TensorArena *arena, size_t bytes);
/* A copy of `bytes` bytes, or NULL. */
void *tensor_arena_memdup(TensorArena *arena, const void *source, size_t bytes);

/* The current position. */
TensorArenaMark tensor_arena_mark(const TensorArena *arena);
/* Releases everything allocated since the mark; the memory is kept for reuse. */
void tensor_arena_rewind(TensorArena *arena, TensorArenaMark mark);
/* Releases everything and merges several chunks into one. */
void tensor_arena_reset(TensorArena *arena);

REEL_END_DECLS

#endif

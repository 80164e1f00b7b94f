/* A growable byte buffer, for what is read from a file or assembled before it is written. */
#ifndef REEL_TENSOR_BYTES_H
#define REEL_TENSOR_BYTES_H

#include "tensor/decls.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

/* Starts from {0}; reel_bytes_free() makes it that again. */
typedef struct ReelBytes {
    char *data; /* not ended by a NUL */
    size_t size, capacity;
} ReelBytes;

/* Room for `more` further bytes. False: no memory; nothing has changed. */
bool reel_bytes_reserve(ReelBytes *bytes, size_t more);
/* Adds these at the end. False: no memory; nothing has changed. */
bool reel_bytes_append(ReelBytes *bytes, const char *data, size_t size);
void reel_bytes_free(ReelBytes *bytes);

REEL_END_DECLS

#endif

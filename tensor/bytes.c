#include "tensor/bytes.h"
#include "tensor/mem.h"

#include <string.h>

bool reel_bytes_reserve(ReelBytes *bytes, size_t more)
{
    char *moved = reel_mem_reserve(bytes->data, bytes->size, more, &bytes->capacity, 1);
    if (moved)
        bytes->data = moved;
    return moved != NULL || more == 0;
}

bool reel_bytes_append(ReelBytes *bytes, const char *data, size_t size)
{
    if (!reel_bytes_reserve(bytes, size))
        return false;
    if (size)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return true;
}

void reel_bytes_free(ReelBytes *bytes)
{
    reel_mem_free(bytes->data);
    *bytes = (ReelBytes){0};
}

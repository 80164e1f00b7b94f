#include "tensor/bytes.h"
#include "tensor/mem.h"

#include <string.h>

bool bytes_reserve(Bytes *bytes, size_t more)
{
    char *moved = mem_reserve(bytes->data, bytes->size, more, &bytes->capacity, 1);
    if (moved)
        bytes->data = moved;
    return moved != NULL || more == 0;
}

bool bytes_append(Bytes *bytes, const char *data, size_t size)
{
    if (!bytes_reserve(bytes, size))
        return false;
    if (size)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return true;
}

void bytes_free(Bytes *bytes)
{
    mem_free(bytes->data);
    *bytes = (Bytes){0};
}

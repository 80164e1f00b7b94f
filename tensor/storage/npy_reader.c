/* A .npy file as a TensorNpz of one member. */
#include "tensor/storage/npz_reader_internal.h"

#include <string.h>

static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

bool tensor_npz_looks_like_npy(const TensorNpz *npz)
{
    uint8_t first[sizeof magic];
    if (npz->size < sizeof first)
        return false;
    ReelStatus status = tensor_npz_read_at(npz, 0, first, sizeof first);
    return reel_status_is_ok(&status) && memcmp(first, magic, sizeof magic) == 0;
}

/* The header of an array; *reason says what is wrong with it. */
static ReelStatus read_header(TensorNpz *npz, TensorNpyHeader *array, char *reason)
{
    uint8_t prefix[TENSOR_NPY_PREFIX_BYTES] = {0};
    size_t given = npz->size < sizeof prefix ? (size_t)npz->size : sizeof prefix;
    ReelStatus status = tensor_npz_read_at(npz, 0, prefix, given);
    if (!reel_status_is_ok(&status))
        return status;
    size_t size = tensor_npy_header_length(prefix, given, reason);
    if (size == 0 || size > npz->size)
        return tensor_npz_damaged(npz, size == 0 ? reason : "its header is longer than the file");
    void *header = tensor_arena_alloc(&npz->arena, size);
    if (!header)
        return reel_status_no_memory(size, npz->path);
    status = tensor_npz_read_at(npz, 0, header, size);
    if (reel_status_is_ok(&status) && !tensor_npy_parse(header, size, array, reason))
        status = tensor_npz_damaged(npz, reason);
    return status;
}

ReelStatus tensor_npz_read_npy(TensorNpz *npz)
{
    char reason[TENSOR_NPY_REASON_SIZE];
    TensorNpyHeader array;
    npz->is_bare = true;
    ReelStatus status = read_header(npz, &array, reason);
    if (!reel_status_is_ok(&status))
        return status;
    uint64_t rest = npz->size - array.header_bytes;
    bool pickled = array.kind == 'O';
    if (!pickled && (uint64_t)array.bytes != rest)
        return tensor_npz_damaged(npz, (uint64_t)array.bytes > rest ? "the file ends within its elements"
                                                                    : "there are bytes behind its elements");
    npz->members = tensor_arena_calloc(&npz->arena, sizeof *npz->members);
    npz->by_name = tensor_arena_calloc(&npz->arena, sizeof *npz->by_name);
    if (!npz->members || !npz->by_name)
        return reel_status_no_memory(sizeof *npz->members, npz->path);
    *npz->members = (TensorNpzMember){.name = "array",
                                      .is_array = true,
                                      .unreadable = pickled ? "its elements are pickled objects" : NULL,
                                      .array = array,
                                      .bytes = rest,
                                      .offset = array.header_bytes,
                                      .size = rest,
                                      .packed_size = rest};
    npz->members->array.header_bytes = 0;
    npz->by_name[0] = npz->members;
    npz->count = 1;
    return status;
}

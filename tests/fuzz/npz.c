/* Fuzz target: any bytes, opened as a .npz file, and parsed as the header of a .npy file. A crash, a leak, a
 * read out of bounds or undefined behaviour is a finding; so is a member that was listed and cannot be read
 * as bytes, and a message that is not one line. Fuzzers are to define
 * FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION, so that a wrong checksum does not keep them out. */
#include "tensor/storage/npz.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Contents longer than this are left unread: a sound file of 1 MB can hold 1 GB of zeros. */
enum { MOST_BYTES = 1 << 22 };

static void read_member(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena)
{
    char type[32];
    const void *bytes;
    size_t count;
    Tensor t;
    require(tensor_npz_find(npz, member->name) == member && strlen(tensor_npz_type_text(member, type)) > 0);
    if (member->bytes > MOST_BYTES)
        return;
    ReelStatus status = tensor_npz_read_whole(npz, member, arena, &bytes, &count);
    bool bare = member->is_array && member->array.header_bytes == 0; /* of a .npy file */
    require(member->locked || bare || (reel_status_is_ok(&status) && count == member->size));
    status = tensor_npz_read_bytes(npz, member, arena, &bytes, &count);
    require(member->unreadable || (reel_status_is_ok(&status) && count == member->bytes));
    status = tensor_npz_read_tensor(npz, member, arena, &t);
    require(reel_status_is_ok(&status) == tensor_is_valid(t));
    require(reel_status_is_ok(&status) || !strchr(status.message, '\n'));
    if (reel_status_is_ok(&status))
        require(tensor_is_contiguous(&t) && tensor_numel(&t) == member->array.count);
    Tensor view;
    if (tensor_npz_view(npz, member, &view))
        require(reel_status_is_ok(&status) && tensor_same_shape(&t, &view) && view.dtype == t.dtype &&
                memcmp(view.data, t.data, count) == 0);
    tensor_arena_reset(arena);
}

static void parse_header(const uint8_t *data, size_t size)
{
    char reason[TENSOR_NPY_REASON_SIZE] = "";
    TensorNpyHeader header;
    size_t length = tensor_npy_header_length(
        data, size < TENSOR_NPY_PREFIX_BYTES ? size : TENSOR_NPY_PREFIX_BYTES, reason);
    if (length == 0 || length > size || !tensor_npy_parse(data, length, &header, reason)) {
        require((length > size) == (reason[0] == '\0'));
        return;
    }
    require(header.ndim <= TENSOR_NPY_MAX_DIMS && header.count >= 0 &&
            header.bytes == header.count * header.item_bytes);
    for (int i = 0; i < header.ndim; i++)
        require(header.shape[i] >= 0 && (header.shape[i] > 0 || header.count == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_header(data, size);
    int64_t live = reel_mem_stats().live_blocks;
    TensorNpz *npz;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ReelStatus status = tensor_npz_open_memory(&npz, data, size, "fuzz");
    require(reel_status_is_ok(&status) == (npz != NULL));
    require(npz || (!strchr(status.message, '\n') && strchr(status.message, ';')));
    for (int i = 0; npz && i < tensor_npz_count(npz); i++)
        read_member(npz, tensor_npz_member(npz, i), &arena);
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}

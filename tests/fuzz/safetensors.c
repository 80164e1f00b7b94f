/* Fuzz target: any bytes, opened as a .safetensors file. A crash, a leak, a read out of bounds or undefined
 * behaviour is a finding; so is a tensor that was listed as readable and cannot be read as bytes, tensors
 * that overlap or leave bytes over, a file that differs when it is written again, and a message that is not
 * one line. */
#include "tensor/mem.h"
#include "tensor/storage/npz.h"
#include "tensor/storage/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Reads every tensor; those that a Tensor can hold are put into `entries`. Returns how many. */
static int read_all(const TensorNpz *npz, size_t size, TensorArena *arena, TensorSafetensorsEntry *entries)
{
    uint64_t sum = 0;
    int count = 0;
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        char type[32];
        const void *bytes;
        size_t got;
        Tensor t;
        sum += member->bytes;
        require(tensor_npz_find(npz, member->name) == member &&
                strlen(tensor_npz_type_text(member, type)) > 0);
        ReelStatus status = tensor_npz_read_bytes(npz, member, arena, &bytes, &got);
        require(reel_status_is_ok(&status) ? got == member->bytes : member->unreadable != NULL);
        status = tensor_npz_read_tensor(npz, member, arena, &t);
        require(reel_status_is_ok(&status) == tensor_is_valid(t));
        require(reel_status_is_ok(&status) || !strchr(status.message, '\n'));
        if (reel_status_is_ok(&status)) {
            require(tensor_is_contiguous(&t) && tensor_numel(&t) == member->array.count);
            entries[count++] = (TensorSafetensorsEntry){member->name, t};
        }
    }
    require(sum < size); /* no byte is claimed twice, and the length and the header are nobody's */
    return count;
}

/* What is written is read as what it was. */
static void write_and_read(const TensorSafetensorsEntry *entries, int count, TensorArena *arena)
{
    static char path[64];
    if (!path[0])
        snprintf(path, sizeof path, "/tmp/reel-fuzz-%ld.safetensors", (long)getpid());
    TensorNpz *npz;
    ReelStatus status = tensor_safetensors_write(path, entries, count);
    require(reel_status_is_ok(&status));
    status = tensor_npz_open(&npz, path);
    require(reel_status_is_ok(&status) && tensor_npz_count(npz) == count);
    for (int i = 0; i < count; i++) {
        Tensor t;
        status = tensor_npz_read_tensor(npz, tensor_npz_find(npz, entries[i].name), arena, &t);
        require(reel_status_is_ok(&status) && t.dtype == entries[i].tensor.dtype &&
                memcmp(t.data, entries[i].tensor.data,
                       (size_t)tensor_numel(&t) * tensor_dtype_size(t.dtype)) == 0);
    }
    tensor_npz_close(npz);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = reel_mem_stats().live_blocks;
    TensorNpz *npz;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ReelStatus status = tensor_npz_open_memory(&npz, data, size, "fuzz.safetensors");
    require(reel_status_is_ok(&status) == (npz != NULL));
    require(npz || (!strchr(status.message, '\n') && strchr(status.message, ';')));
    if (npz && tensor_npz_count(npz) < 1000) {
        TensorSafetensorsEntry *entries =
            tensor_arena_alloc(&arena, (size_t)tensor_npz_count(npz) * sizeof *entries);
        int count = read_all(npz, size, &arena, entries);
        write_and_read(entries, count, &arena);
    }
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}

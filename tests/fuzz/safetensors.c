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
static int read_all(const Npz *npz, size_t size, Arena *arena, SafetensorsEntry *entries)
{
    uint64_t sum = 0;
    int count = 0;
    for (int i = 0; i < npz_count(npz); i++) {
        const NpzMember *member = npz_member(npz, i);
        char type[32];
        const void *bytes;
        size_t got;
        Tensor t;
        sum += member->bytes;
        require(npz_find(npz, member->name) == member && strlen(npz_type_text(member, type)) > 0);
        Status status = npz_read_bytes(npz, member, arena, &bytes, &got);
        require(status_is_ok(&status) ? got == member->bytes : member->unreadable != NULL);
        status = npz_read_tensor(npz, member, arena, &t);
        require(status_is_ok(&status) == tensor_is_valid(t));
        require(status_is_ok(&status) || !strchr(status.message, '\n'));
        if (status_is_ok(&status)) {
            require(tensor_is_contiguous(&t) && tensor_numel(&t) == member->array.count);
            entries[count++] = (SafetensorsEntry){member->name, t};
        }
    }
    require(sum < size); /* no byte is claimed twice, and the length and the header are nobody's */
    return count;
}

/* What is written is read as what it was. */
static void write_and_read(const SafetensorsEntry *entries, int count, Arena *arena)
{
    static char path[64];
    if (!path[0])
        snprintf(path, sizeof path, "/tmp/reel-fuzz-%ld.safetensors", (long)getpid());
    Npz *npz;
    Status status = safetensors_write(path, entries, count);
    require(status_is_ok(&status));
    status = npz_open(&npz, path);
    require(status_is_ok(&status) && npz_count(npz) == count);
    for (int i = 0; i < count; i++) {
        Tensor t;
        status = npz_read_tensor(npz, npz_find(npz, entries[i].name), arena, &t);
        require(status_is_ok(&status) && t.dtype == entries[i].tensor.dtype &&
                memcmp(t.data, entries[i].tensor.data, (size_t)tensor_numel(&t) * dtype_size(t.dtype)) == 0);
    }
    npz_close(npz);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = mem_stats().live_blocks;
    Npz *npz;
    Arena arena;
    arena_init(&arena, 0);
    Status status = npz_open_memory(&npz, data, size, "fuzz.safetensors");
    require(status_is_ok(&status) == (npz != NULL));
    require(npz || (!strchr(status.message, '\n') && strchr(status.message, ';')));
    if (npz && npz_count(npz) < 1000) {
        SafetensorsEntry *entries = arena_alloc(&arena, (size_t)npz_count(npz) * sizeof *entries);
        int count = read_all(npz, size, &arena, entries);
        write_and_read(entries, count, &arena);
    }
    npz_close(npz);
    arena_free(&arena);
    require(mem_stats().live_blocks == live);
    return 0;
}

#include "tensor/storage/safetensors.h"

#include "tensor/arena.h"
#include "tensor/mem.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/storage/json_writer.h"
#include "tensor/storage/npz_format_internal.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, ALIGNMENT = 8 };

bool tensor_safetensors_is_path(const char *path)
{
    return reel_path_ends(path, ".safetensors");
}

/* ---- What may be written ---- */

static ReelStatus check_entry(const char *path, const TensorSafetensorsEntry *entry)
{
    size_t length = strlen(entry->name);
    if (length == 0 || length > NPZ_MAX_NAME || !tensor_npz_is_text(entry->name, length) ||
        strcmp(entry->name, "__metadata__") == 0)
        return reel_status_failed(
            "%s: a name is empty, longer than 1024 bytes, \"__metadata__\" or not UTF-8 text; "
            "rename the tensor",
            path);
    if (!tensor_is_valid(entry->tensor))
        return reel_status_failed("%s: the tensor '%.100s' is not valid; check how it was made", path,
                                  entry->name);
    return reel_status_ok();
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ReelStatus check_entries(const char *path, const TensorSafetensorsEntry *entries, int count)
{
    ReelStatus status = reel_status_ok();
    const char **names = reel_mem_alloc((size_t)count * sizeof *names);
    if (!names)
        return reel_status_no_memory((size_t)count * sizeof *names, path);
    for (int i = 0; i < count && reel_status_is_ok(&status); i++) {
        status = check_entry(path, &entries[i]);
        names[i] = entries[i].name;
    }
    if (reel_status_is_ok(&status))
        qsort(names, (size_t)count, sizeof *names, compare_names);
    for (int i = 1; i < count && reel_status_is_ok(&status); i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = reel_status_failed("%s: '%.100s' was added twice; rename one", path, names[i]);
    reel_mem_free(names);
    return status;
}

/* ---- The header ---- */

static size_t bytes_of(const Tensor *t)
{
    return (size_t)tensor_numel(t) * tensor_dtype_size(t->dtype);
}

static const char *type_of(TensorDtype dtype)
{
    return dtype == TENSOR_F64 ? "F64" : dtype == TENSOR_I32 ? "I32" : "F32";
}

/* The text without its end, into the writer's memory. False: no memory. */
static bool format_header(ReelJsonWriter *json, const TensorSafetensorsEntry *entries, int count)
{
    int64_t at = 0;
    json->compact = true;
    reel_json_begin_object(json, NULL);
    reel_json_begin_object(json, "__metadata__");
    reel_json_string(json, "format", "pt");
    reel_json_end_object(json);
    for (int i = 0; i < count; i++) {
        const Tensor *t = &entries[i].tensor;
        reel_json_begin_object(json, entries[i].name);
        reel_json_string(json, "dtype", type_of(t->dtype));
        reel_json_begin_array(json, "shape");
        for (int axis = 0; axis < t->ndim; axis++)
            reel_json_integer(json, NULL, t->shape[axis]);
        reel_json_end_array(json);
        reel_json_begin_array(json, "data_offsets");
        reel_json_integer(json, NULL, at);
        reel_json_integer(json, NULL, at += (int64_t)bytes_of(t));
        reel_json_end_array(json);
        reel_json_end_object(json);
    }
    reel_json_end_object(json);
    return !json->failed;
}

/* ---- Writing ---- */

/* The elements in C order and little-endian. */
static ReelStatus write_tensor(ReelAtomicFile *file, uint64_t at, Tensor t)
{
    bool as_it_is = tensor_is_contiguous(&t) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor plain = as_it_is ? t : tensor_copy(&arena, t);
    ReelStatus status = reel_status_no_memory(bytes_of(&t), file->target);
    if (tensor_is_valid(plain)) {
        if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
            tensor_npz_swap(plain.data, tensor_dtype_size(plain.dtype), (size_t)tensor_numel(&plain));
        status = reel_atomic_file_write(file, at, plain.data, bytes_of(&plain));
    }
    tensor_arena_free(&arena);
    return status;
}

static ReelStatus write_all(ReelAtomicFile *file, const char *header, size_t size,
                            const TensorSafetensorsEntry *entries, int count)
{
    static const char blanks[ALIGNMENT] = "        ";
    uint8_t length[LENGTH_BYTES];
    size_t padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
    zip_put64(length, size + padding);
    ReelStatus status = reel_atomic_file_write(file, 0, length, sizeof length);
    if (reel_status_is_ok(&status))
        status = reel_atomic_file_write(file, LENGTH_BYTES, header, size);
    if (reel_status_is_ok(&status))
        status = reel_atomic_file_write(file, LENGTH_BYTES + size, blanks, padding);
    uint64_t at = LENGTH_BYTES + size + padding;
    for (int i = 0; i < count && reel_status_is_ok(&status); i++) {
        status = write_tensor(file, at, entries[i].tensor);
        at += bytes_of(&entries[i].tensor);
    }
    return status;
}

ReelStatus tensor_safetensors_write(const char *path, const TensorSafetensorsEntry *entries, int count)
{
    ReelAtomicFile file;
    ReelJsonWriter json = {0};
    ReelStatus status = check_entries(path, entries, count);
    if (reel_status_is_ok(&status) && !format_header(&json, entries, count))
        status = reel_status_no_memory(json.size, path);
    if (reel_status_is_ok(&status)) {
        status = reel_atomic_file_open(&file, path);
        if (reel_status_is_ok(&status)) {
            status = write_all(&file, json.text, json.size, entries, count);
            if (reel_status_is_ok(&status))
                status = reel_atomic_file_commit(&file);
            else
                reel_atomic_file_abandon(&file);
        }
    }
    reel_json_free(&json);
    return status;
}

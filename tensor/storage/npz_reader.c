#include "tensor/storage/npz_format_internal.h"
#include "tensor/storage/npz_reader_internal.h"
#include "tensor/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Messages ---- */

Status npz_damaged(const Npz *npz, const char *what)
{
    return status_failed("%s: %s; " NPZ_RESTORE, npz->path, what);
}

Status npz_damaged_member(const Npz *npz, const char *name, const char *what)
{
    return status_failed("%s: member '%.120s': %s; " NPZ_RESTORE, npz->path, name, what);
}

Status npz_unsupported(const Npz *npz, const char *name, const char *what)
{
    bool has_remedy = strchr(what, ';') != NULL;
    return status_failed("%s: member '%.120s': %s%s", npz->path, name, what,
                         has_remedy ? "" : "; " NPZ_REWRITE);
}

/* ---- Opening and closing ---- */

static Npz *new_npz(const char *path)
{
    Npz *npz = mem_calloc(1, sizeof *npz);
    if (!npz)
        return NULL;
    arena_init(&npz->arena, 4096);
    npz->fd = -1;
    npz->path = mem_strdup(path);
    if (!npz->path) {
        npz_close(npz);
        return NULL;
    }
    return npz;
}

static Status open_file(Npz *npz)
{
    struct stat info;
    npz->fd = open(npz->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (npz->fd < 0 || fstat(npz->fd, &info) != 0)
        return status_failed("%s: cannot open: %s; check the path", npz->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return status_failed("%s: is %s; give a .npz file", npz->path,
                             S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    npz->size = (uint64_t)info.st_size;
    return status_ok();
}

/* The frame, then all contents: nothing is inflated before the frame has been found sound. */
static Status check_file(Npz *npz)
{
    if (npz_looks_like_safetensors(npz))
        return npz_read_safetensors(npz);
    Status status = npz_read_directory(npz);
    for (int i = 0; i < npz->count && status_is_ok(&status); i++)
        status = npz_check_contents(npz, &npz->members[i]);
    return status;
}

static Status finish_opening(Npz **result, Npz *npz, Status status)
{
    if (status_is_ok(&status))
        status = check_file(npz);
    if (status_is_ok(&status))
        *result = npz;
    else
        npz_close(npz);
    return status;
}

Status npz_open(Npz **result, const char *path)
{
    *result = NULL;
    Npz *npz = new_npz(path);
    if (!npz)
        return status_no_memory(sizeof *npz, path);
    return finish_opening(result, npz, open_file(npz));
}

Status npz_open_memory(Npz **result, const void *data, size_t size, const char *label)
{
    *result = NULL;
    Npz *npz = new_npz(label);
    if (!npz)
        return status_no_memory(sizeof *npz, label);
    npz->data = data;
    npz->size = size;
    return finish_opening(result, npz, status_ok());
}

void npz_close(Npz *npz)
{
    if (!npz)
        return;
    if (npz->fd >= 0)
        close(npz->fd);
    arena_free(&npz->arena);
    mem_free(npz->path);
    mem_free(npz);
}

const char *npz_path(const Npz *npz)
{
    return npz->path;
}

int npz_count(const Npz *npz)
{
    return npz->count;
}

const NpzMember *npz_member(const Npz *npz, int index)
{
    return index >= 0 && index < npz->count ? &npz->members[index] : NULL;
}

const NpzMember *npz_find(const Npz *npz, const char *name)
{
    NpzMember wanted = {.name = name};
    const NpzMember *key = &wanted;
    const NpzMember **found =
        bsearch(&key, npz->by_name, (size_t)npz->count, sizeof *npz->by_name, npz_compare_members);
    return found ? *found : NULL;
}

/* ---- Reading ---- */

/* The numbers in an element that have a byte order of their own. */
static size_t swapped_unit(const NpyHeader *array)
{
    switch (array->kind) {
    case 'U':
        return 4;
    case 'c':
        return (size_t)array->item_bytes / 2;
    case 'S':
    case 'V':
    case 'O':
        return 1;
    default:
        return (size_t)array->item_bytes;
    }
}

/* Copies elements in Fortran order to C order. */
static void reorder(const NpyHeader *array, const char *from, char *to)
{
    int64_t index[NPY_MAX_DIMS] = {0}, strides[NPY_MAX_DIMS], stride = array->item_bytes, offset = 0;
    for (int axis = 0; axis < array->ndim; axis++) {
        strides[axis] = stride;
        stride *= array->shape[axis];
    }
    for (int64_t i = 0; i < array->count; i++) {
        memcpy(to, from + offset, (size_t)array->item_bytes);
        to += array->item_bytes;
        for (int axis = array->ndim - 1; axis >= 0; axis--) {
            offset += strides[axis];
            if (++index[axis] < array->shape[axis])
                break;
            offset -= strides[axis] * array->shape[axis];
            index[axis] = 0;
        }
    }
}

/* The contents in C order and native byte order. `out` has room for member->bytes. */
static Status read_native(const Npz *npz, const NpzMember *member, void *out)
{
    const NpyHeader *array = &member->array;
    bool reordered = member->is_array && array->fortran_order && array->ndim > 1 && array->item_bytes > 0;
    char *plain = reordered ? mem_alloc((size_t)member->bytes) : out;
    if (!plain)
        return status_no_memory((size_t)member->bytes, npz->path);
    Status status = npz_read_plain(npz, member, member->is_array ? array->header_bytes : 0, plain);
    if (reordered) {
        if (status_is_ok(&status))
            reorder(array, plain, out);
        mem_free(plain);
    }
    bool swapped = member->is_array && array->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    if (swapped && status_is_ok(&status) && swapped_unit(array) > 1)
        npz_swap(out, swapped_unit(array), (size_t)member->bytes / swapped_unit(array));
    return status;
}

Status npz_read_bytes(const Npz *npz, const NpzMember *member, Arena *arena, const void **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    if (member->unreadable)
        return npz_unsupported(npz, member->name, member->unreadable);
    char *bytes = member->bytes < SIZE_MAX ? arena_alloc(arena, (size_t)member->bytes + 1) : NULL;
    if (!bytes)
        return status_no_memory((size_t)member->bytes, npz->path);
    bytes[member->bytes] = '\0';
    Status status = read_native(npz, member, bytes);
    if (status_is_ok(&status)) {
        *data = bytes;
        *size = (size_t)member->bytes;
    }
    return status;
}

Status npz_read_whole(const Npz *npz, const NpzMember *member, Arena *arena, const void **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    if (member->locked)
        return npz_unsupported(npz, member->name, member->unreadable);
    if (npz->is_safetensors)
        return npz_unsupported(npz, member->name, "it has no .npy header");
    void *bytes = arena_alloc(arena, (size_t)member->size);
    if (!bytes)
        return status_no_memory((size_t)member->size, npz->path);
    Status status = npz_read_plain(npz, member, 0, bytes);
    if (status_is_ok(&status)) {
        *data = bytes;
        *size = (size_t)member->size;
    }
    return status;
}

/* ---- Conversion to the types of a tensor ---- */

/* The dtype that holds an array's values, DTYPE_NONE where there is none. */
static Dtype held_by(const NpyHeader *array)
{
    switch (array->kind) {
    case NPY_BFLOAT16:
        return DTYPE_F32;
    case 'f':
        return array->item_bytes <= 4 ? DTYPE_F32 : array->item_bytes == 8 ? DTYPE_F64 : DTYPE_NONE;
    case 'b':
    case 'i':
    case 'u':
        return DTYPE_I32;
    default:
        return DTYPE_NONE;
    }
}

static bool needs_conversion(const NpyHeader *array)
{
    return array->kind == 'f' ? array->item_bytes == 2 : array->kind != 'i' || array->item_bytes != 4;
}

/* IEEE 754 binary16 to binary32, exactly. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023, bits;
    if (exponent == 0) {
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The upper half of a binary32. */
static float bfloat_to_float(uint16_t upper)
{
    uint32_t bits = (uint32_t)upper << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One integer; false where it does not fit into 64 bits with a sign. */
static bool load_integer(const char *from, char kind, int64_t bytes, int64_t *value)
{
    uint64_t raw = 0;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } item;
    memcpy(&item, from, (size_t)bytes);
    raw = bytes == 1 ? item.u8 : bytes == 2 ? item.u16 : bytes == 4 ? item.u32 : item.u64;
    int unused = 64 - 8 * (int)bytes;
    *value = kind == 'i' ? (int64_t)(raw << unused) >> unused : (int64_t)raw;
    return kind == 'i' || raw <= INT64_MAX;
}

static Status convert(const Npz *npz, const NpzMember *member, const char *from, Tensor *to)
{
    const NpyHeader *array = &member->array;
    for (int64_t i = 0; i < array->count; i++, from += array->item_bytes) {
        uint16_t half;
        int64_t value = 0;
        if (array->kind == 'f' || array->kind == NPY_BFLOAT16) {
            memcpy(&half, from, sizeof half);
            tensor_f32(*to)[i] = array->kind == 'f' ? half_to_float(half) : bfloat_to_float(half);
            continue;
        }
        bool fits = load_integer(from, array->kind, array->item_bytes, &value);
        if (!fits || value < INT32_MIN || value > INT32_MAX)
            return status_failed("%s: member '%.120s': element %" PRId64
                                 " does not fit into 32 bits; save it as a float",
                                 npz->path, member->name, i);
        tensor_i32(*to)[i] = array->kind == 'b' ? value != 0 : (int32_t)value;
    }
    return status_ok();
}

static Status read_converted(const Npz *npz, const NpzMember *member, Tensor *tensor)
{
    char *raw = mem_alloc((size_t)member->bytes);
    if (!raw)
        return status_no_memory((size_t)member->bytes, npz->path);
    Status status = read_native(npz, member, raw);
    if (status_is_ok(&status))
        status = convert(npz, member, raw, tensor);
    mem_free(raw);
    return status;
}

const char *npz_type_text(const NpzMember *member, char *text)
{
    const NpyHeader *array = &member->array;
    bool bytewise =
        array->kind == 'S' || array->kind == 'V' || (array->item_bytes == 1 && array->kind != 'U');
    if (!member->is_array)
        snprintf(text, 32, "bytes");
    else if (member->unreadable)
        snprintf(text, 32, "unreadable");
    else if (array->kind == 'O')
        snprintf(text, 32, "|O");
    else if (array->kind == NPY_BFLOAT16)
        snprintf(text, 32, "bf16");
    else if (held_by(array) != DTYPE_NONE && !needs_conversion(array))
        snprintf(text, 32, "%s", dtype_name(held_by(array)));
    else
        snprintf(text, 32, "%c%c%" PRId64,
                 bytewise            ? '|'
                 : array->big_endian ? '>'
                                     : '<',
                 array->kind, array->kind == 'U' ? array->item_bytes / 4 : array->item_bytes);
    return text;
}

Status npz_read_tensor(const Npz *npz, const NpzMember *member, Arena *arena, Tensor *tensor)
{
    char type[32];
    const NpyHeader *array = &member->array;
    *tensor = tensor_invalid();
    if (member->unreadable)
        return npz_unsupported(npz, member->name, member->unreadable);
    if (!member->is_array || held_by(array) == DTYPE_NONE)
        return status_failed("%s: member '%.120s': is %s, not an array of numbers; save it as float32",
                             npz->path, member->name, npz_type_text(member, type));
    if (array->ndim > TENSOR_MAX_DIMS)
        return status_failed("%s: member '%.120s': has %d axes, but a tensor at most %d; reshape it",
                             npz->path, member->name, array->ndim, TENSOR_MAX_DIMS);
    Tensor result = tensor_new(arena, held_by(array), array->ndim, array->shape);
    if (!tensor_is_valid(result))
        return status_no_memory((size_t)member->bytes, npz->path);
    Status status = needs_conversion(array) ? read_converted(npz, member, &result)
                                            : read_native(npz, member, result.data);
    if (status_is_ok(&status))
        *tensor = result;
    return status;
}

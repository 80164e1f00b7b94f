#include "tensor/storage/npz_format_internal.h"
#include "tensor/storage/npz_reader_internal.h"
#include "tensor/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Opening and closing ---- */

static TensorNpz *new_npz(const char *path)
{
    TensorNpz *npz = reel_mem_calloc(1, sizeof *npz);
    if (!npz)
        return NULL;
    tensor_arena_init(&npz->arena, 4096);
    npz->fd = -1;
    npz->path = reel_mem_strdup(path);
    if (!npz->path) {
        tensor_npz_close(npz);
        return NULL;
    }
    return npz;
}

static ReelStatus open_file(TensorNpz *npz)
{
    struct stat info;
    npz->fd = open(npz->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (npz->fd < 0 || fstat(npz->fd, &info) != 0)
        return reel_status_failed("%s: cannot open: %s; check the path", npz->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return reel_status_failed("%s: is %s; give a .npz file", npz->path,
                                  S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    npz->size = (uint64_t)info.st_size;
    return reel_status_ok();
}

/* The frame, then all contents: nothing is inflated before the frame has been found sound. */
static ReelStatus check_file(TensorNpz *npz)
{
    if (tensor_npz_looks_like_safetensors(npz))
        return tensor_npz_read_safetensors(npz);
    if (tensor_npz_looks_like_npy(npz))
        return tensor_npz_read_npy(npz);
    ReelStatus status = tensor_npz_read_directory(npz);
    for (int i = 0; i < npz->count && reel_status_is_ok(&status); i++)
        status = tensor_npz_check_contents(npz, &npz->members[i]);
    return status;
}

static ReelStatus finish_opening(TensorNpz **result, TensorNpz *npz, ReelStatus status)
{
    if (reel_status_is_ok(&status))
        status = check_file(npz);
    if (reel_status_is_ok(&status))
        *result = npz;
    else
        tensor_npz_close(npz);
    return status;
}

ReelStatus tensor_npz_open(TensorNpz **result, const char *path)
{
    *result = NULL;
    TensorNpz *npz = new_npz(path);
    if (!npz)
        return reel_status_no_memory(sizeof *npz, path);
    return finish_opening(result, npz, open_file(npz));
}

/* Pages are shared with whoever maps the file, but for those that are written to. */
static void map_file(TensorNpz *npz)
{
    void *map = npz->size > 0 && npz->size <= SIZE_MAX
                    ? mmap(NULL, (size_t)npz->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, npz->fd, 0)
                    : MAP_FAILED;
    if (map == MAP_FAILED)
        return; /* it is read */
    close(npz->fd);
    npz->fd = -1;
    npz->data = npz->map = map;
}

ReelStatus tensor_npz_open_mapped(TensorNpz **result, const char *path)
{
    *result = NULL;
    TensorNpz *npz = new_npz(path);
    if (!npz)
        return reel_status_no_memory(sizeof *npz, path);
    ReelStatus status = open_file(npz);
    if (reel_status_is_ok(&status))
        map_file(npz);
    return finish_opening(result, npz, status);
}

ReelStatus tensor_npz_open_memory(TensorNpz **result, const void *data, size_t size, const char *label)
{
    *result = NULL;
    TensorNpz *npz = new_npz(label);
    if (!npz)
        return reel_status_no_memory(sizeof *npz, label);
    npz->data = data;
    npz->size = size;
    return finish_opening(result, npz, reel_status_ok());
}

void tensor_npz_close(TensorNpz *npz)
{
    if (!npz)
        return;
    if (npz->fd >= 0)
        close(npz->fd);
    if (npz->map)
        munmap(npz->map, (size_t)npz->size);
    tensor_arena_free(&npz->arena);
    reel_mem_free(npz->path);
    reel_mem_free(npz);
}

const char *tensor_npz_path(const TensorNpz *npz)
{
    return npz->path;
}

int tensor_npz_count(const TensorNpz *npz)
{
    return npz->count;
}

const TensorNpzMember *tensor_npz_member(const TensorNpz *npz, int index)
{
    return index >= 0 && index < npz->count ? &npz->members[index] : NULL;
}

const TensorNpzMember *tensor_npz_find(const TensorNpz *npz, const char *name)
{
    TensorNpzMember wanted = {.name = name};
    const TensorNpzMember *key = &wanted;
    const TensorNpzMember **found =
        bsearch(&key, npz->by_name, (size_t)npz->count, sizeof *npz->by_name, tensor_npz_compare_members);
    return found ? *found : NULL;
}

/* ---- Reading ---- */

/* The numbers in an element that have a byte order of their own. */
static size_t swapped_unit(const TensorNpyHeader *array)
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
static void reorder(const TensorNpyHeader *array, const char *from, char *to)
{
    int64_t index[TENSOR_NPY_MAX_DIMS] = {0}, strides[TENSOR_NPY_MAX_DIMS], stride = array->item_bytes,
            offset = 0;
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
static ReelStatus read_native(const TensorNpz *npz, const TensorNpzMember *member, void *out)
{
    const TensorNpyHeader *array = &member->array;
    bool reordered = member->is_array && array->fortran_order && array->ndim > 1 && array->item_bytes > 0;
    char *plain = reordered ? reel_mem_alloc((size_t)member->bytes) : out;
    if (!plain)
        return reel_status_no_memory((size_t)member->bytes, npz->path);
    ReelStatus status = tensor_npz_read_plain(npz, member, member->is_array ? array->header_bytes : 0, plain);
    if (reordered) {
        if (reel_status_is_ok(&status))
            reorder(array, plain, out);
        reel_mem_free(plain);
    }
    bool swapped = member->is_array && array->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    if (swapped && reel_status_is_ok(&status) && swapped_unit(array) > 1)
        tensor_npz_swap(out, swapped_unit(array), (size_t)member->bytes / swapped_unit(array));
    return status;
}

ReelStatus tensor_npz_read_bytes(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena,
                                 const void **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    if (member->unreadable)
        return tensor_npz_unsupported(npz, member->name, member->unreadable);
    char *bytes = member->bytes < SIZE_MAX ? tensor_arena_alloc(arena, (size_t)member->bytes + 1) : NULL;
    if (!bytes)
        return reel_status_no_memory((size_t)member->bytes, npz->path);
    bytes[member->bytes] = '\0';
    ReelStatus status = read_native(npz, member, bytes);
    if (reel_status_is_ok(&status)) {
        *data = bytes;
        *size = (size_t)member->bytes;
    }
    return status;
}

ReelStatus tensor_npz_read_whole(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena,
                                 const void **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    if (member->locked)
        return tensor_npz_unsupported(npz, member->name, member->unreadable);
    if (npz->is_bare)
        return tensor_npz_unsupported(npz, member->name, "it has no .npy header");
    void *bytes = tensor_arena_alloc(arena, (size_t)member->size);
    if (!bytes)
        return reel_status_no_memory((size_t)member->size, npz->path);
    ReelStatus status = tensor_npz_read_plain(npz, member, 0, bytes);
    if (reel_status_is_ok(&status)) {
        *data = bytes;
        *size = (size_t)member->size;
    }
    return status;
}

/* ---- Conversion to the types of a tensor ---- */

/* The dtype that holds an array's values, TENSOR_DTYPE_NONE where there is none. */
static TensorDtype held_by(const TensorNpyHeader *array)
{
    switch (array->kind) {
    case TENSOR_NPY_BFLOAT16:
        return TENSOR_F32;
    case 'f':
        return array->item_bytes <= 4 ? TENSOR_F32 : array->item_bytes == 8 ? TENSOR_F64 : TENSOR_DTYPE_NONE;
    case 'b':
    case 'i':
    case 'u':
        return TENSOR_I32;
    default:
        return TENSOR_DTYPE_NONE;
    }
}

static bool needs_conversion(const TensorNpyHeader *array)
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

static ReelStatus convert(const TensorNpz *npz, const TensorNpzMember *member, const char *from, Tensor *to)
{
    const TensorNpyHeader *array = &member->array;
    for (int64_t i = 0; i < array->count; i++, from += array->item_bytes) {
        uint16_t half;
        int64_t value = 0;
        if (array->kind == 'f' || array->kind == TENSOR_NPY_BFLOAT16) {
            memcpy(&half, from, sizeof half);
            tensor_f32(*to)[i] = array->kind == 'f' ? half_to_float(half) : bfloat_to_float(half);
            continue;
        }
        bool fits = load_integer(from, array->kind, array->item_bytes, &value);
        if (!fits || value < INT32_MIN || value > INT32_MAX)
            return reel_status_failed("%s: member '%.120s': element %" PRId64
                                      " does not fit into 32 bits; save it as a float",
                                      npz->path, member->name, i);
        tensor_i32(*to)[i] = array->kind == 'b' ? value != 0 : (int32_t)value;
    }
    return reel_status_ok();
}

static ReelStatus read_converted(const TensorNpz *npz, const TensorNpzMember *member, Tensor *tensor)
{
    char *raw = reel_mem_alloc((size_t)member->bytes);
    if (!raw)
        return reel_status_no_memory((size_t)member->bytes, npz->path);
    ReelStatus status = read_native(npz, member, raw);
    if (reel_status_is_ok(&status))
        status = convert(npz, member, raw, tensor);
    reel_mem_free(raw);
    return status;
}

const char *tensor_npz_type_text(const TensorNpzMember *member, char *text)
{
    const TensorNpyHeader *array = &member->array;
    bool bytewise =
        array->kind == 'S' || array->kind == 'V' || (array->item_bytes == 1 && array->kind != 'U');
    if (!member->is_array)
        snprintf(text, 32, "bytes");
    else if (member->unreadable)
        snprintf(text, 32, "unreadable");
    else if (array->kind == 'O')
        snprintf(text, 32, "|O");
    else if (array->kind == TENSOR_NPY_BFLOAT16)
        snprintf(text, 32, "bf16");
    else if (held_by(array) != TENSOR_DTYPE_NONE && !needs_conversion(array))
        snprintf(text, 32, "%s", tensor_dtype_name(held_by(array)));
    else
        snprintf(text, 32, "%c%c%" PRId64,
                 bytewise            ? '|'
                 : array->big_endian ? '>'
                                     : '<',
                 array->kind, array->kind == 'U' ? array->item_bytes / 4 : array->item_bytes);
    return text;
}

ReelStatus tensor_npz_read_tensor(const TensorNpz *npz, const TensorNpzMember *member, TensorArena *arena,
                                  Tensor *tensor)
{
    char type[32];
    const TensorNpyHeader *array = &member->array;
    *tensor = tensor_invalid();
    if (member->unreadable)
        return tensor_npz_unsupported(npz, member->name, member->unreadable);
    if (!member->is_array || held_by(array) == TENSOR_DTYPE_NONE)
        return reel_status_failed("%s: member '%.120s': is %s, not an array of numbers; save it as float32",
                                  npz->path, member->name, tensor_npz_type_text(member, type));
    if (array->ndim > TENSOR_MAX_DIMS)
        return reel_status_failed("%s: member '%.120s': has %d axes, but a tensor at most %d; reshape it",
                                  npz->path, member->name, array->ndim, TENSOR_MAX_DIMS);
    Tensor result = tensor_new(arena, held_by(array), array->ndim, array->shape);
    if (!tensor_is_valid(result))
        return reel_status_no_memory((size_t)member->bytes, npz->path);
    ReelStatus status = needs_conversion(array) ? read_converted(npz, member, &result)
                                                : read_native(npz, member, result.data);
    if (reel_status_is_ok(&status))
        *tensor = result;
    return status;
}

bool tensor_npz_view_bytes(const TensorNpz *npz, const TensorNpzMember *member, const void **data)
{
    const TensorNpyHeader *array = &member->array;
    *data = NULL;
    if (!npz->data || !member->is_array || member->unreadable || member->deflated)
        return false;
    const uint8_t *elements = npz->data + member->offset + array->header_bytes;
    bool native = array->big_endian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) || swapped_unit(array) <= 1;
    bool in_order = !array->fortran_order || array->ndim <= 1;
    if (!native || !in_order || (uintptr_t)elements % TENSOR_NPY_ALIGNMENT != 0)
        return false;
    *data = elements;
    return true;
}

bool tensor_npz_view(const TensorNpz *npz, const TensorNpzMember *member, Tensor *tensor)
{
    const TensorNpyHeader *array = &member->array;
    const void *data;
    bool held = member->is_array && !member->unreadable && held_by(array) != TENSOR_DTYPE_NONE &&
                !needs_conversion(array) && array->ndim <= TENSOR_MAX_DIMS;
    *tensor = tensor_invalid();
    if (!held || !tensor_npz_view_bytes(npz, member, &data))
        return false;
    *tensor = tensor_from((void *)(uintptr_t)data, held_by(array), array->ndim, array->shape);
    return true;
}

ReelStatus tensor_npy_read(const char *path, TensorArena *arena, Tensor *tensor)
{
    TensorNpz *npz;
    *tensor = tensor_invalid();
    ReelStatus status = tensor_npz_open(&npz, path);
    if (reel_status_is_ok(&status) && tensor_npz_count(npz) != 1)
        status = reel_status_failed("%s: holds %d arrays and not one; take the one you want out of it", path,
                                    tensor_npz_count(npz));
    if (reel_status_is_ok(&status))
        status = tensor_npz_read_tensor(npz, tensor_npz_member(npz, 0), arena, tensor);
    tensor_npz_close(npz);
    return status;
}

#include "tensor/storage/npz_writer.h"

#include "tensor/storage/atomic_file.h"
#include "tensor/storage/npy.h"
#include "tensor/storage/npz_deflate_internal.h"
#include "tensor/storage/npz_format_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef struct Entry {
    char *name; /* in the zip: arrays end in .npy */
    bool is_array, zip64;
    int strategy;     /* zlib's */
    unsigned padding; /* bytes of the extra field that aligns the contents, 0 or 6 and more */
    uint32_t crc;
    uint64_t offset, size, packed_size;
} Entry;

struct TensorNpzWriter {
    ReelAtomicFile file; /* not open: the bytes count */
    ReelBytes *bytes;
    const char *name; /* of the file, for messages */
    TensorNpzOptions options;
    ReelStatus status;
    uint64_t at; /* where the next byte of the file goes */
    Entry *entries;
    size_t count, capacity;
    NpzDeflater deflater;
};

/* The bytes of floats hardly ever repeat: what deflate gains on them, it gains by Huffman codes for the
 * exponents, and by runs of zeros. Looking for longer matches costs three quarters of the time and makes
 * the file larger (24 MB of N(0, 0.05): 92.5 % of the size at 90 MB/s with runs alone, 92.6 % at 27 MB/s
 * with level 6). Who asks for a level above this one gets the search all the same. */
enum { LEVEL_OF_SEARCH = 7 };

static void fail(TensorNpzWriter *writer, ReelStatus status)
{
    if (reel_status_is_ok(&writer->status))
        writer->status = status;
}

static bool is_failed(const TensorNpzWriter *writer)
{
    return !reel_status_is_ok(&writer->status);
}

/* ---- Opening and closing ---- */

static void release(TensorNpzWriter *writer)
{
    tensor_npz_deflater_close(&writer->deflater);
    reel_atomic_file_abandon(&writer->file);
    for (size_t i = 0; i < writer->count; i++)
        reel_mem_free(writer->entries[i].name);
    reel_mem_free(writer->entries);
    reel_mem_free(writer);
}

static ReelStatus open_writer(TensorNpzWriter **result, const char *path, ReelBytes *bytes,
                              TensorNpzOptions options)
{
    *result = NULL;
    if (options.in_place && options.level != 0)
        return reel_status_usage("%s: deflated arrays cannot be read in place; choose level 0", path);
    if (options.level < 0 || options.level > 9)
        return reel_status_usage("%s: there is no compression level %d; choose 0 (none) to 9", path,
                                 options.level);
    TensorNpzWriter *writer = reel_mem_calloc(1, sizeof *writer);
    if (!writer)
        return reel_status_no_memory(sizeof *writer, path);
    writer->options = options;
    writer->file.fd = -1;
    writer->bytes = bytes;
    writer->name = path;
    ReelStatus status = reel_status_ok();
    if (!tensor_npz_deflater_open(&writer->deflater, options.level))
        status = reel_status_no_memory(NPZ_DEFLATER_BYTES, path);
    else if (!bytes)
        status = reel_atomic_file_open(&writer->file, path);
    if (!reel_status_is_ok(&status)) {
        release(writer);
        return status;
    }
    if (!bytes)
        writer->name = writer->file.target;
    *result = writer;
    return status;
}

ReelStatus tensor_npz_writer_open(TensorNpzWriter **result, const char *path, TensorNpzOptions options)
{
    return open_writer(result, path, NULL, options);
}

ReelStatus tensor_npz_writer_open_memory(TensorNpzWriter **result, ReelBytes *bytes, TensorNpzOptions options)
{
    return open_writer(result, "the file in memory", bytes, options);
}

void tensor_npz_writer_abandon(TensorNpzWriter *writer)
{
    if (writer)
        release(writer);
}

/* ---- Records ---- */

/* What lies between the end and `offset` is left for later, as in a file. */
static ReelStatus write_to_memory(ReelBytes *bytes, size_t offset, const void *data, size_t size)
{
    size_t end = offset + size;
    if (end > bytes->size) {
        if (!reel_bytes_reserve(bytes, end - bytes->size))
            return reel_status_no_memory(end, "the file in memory");
        bytes->size = end;
    }
    if (size > 0)
        memcpy(bytes->data + offset, data, size);
    return reel_status_ok();
}

static void write_at(TensorNpzWriter *writer, uint64_t offset, const void *data, size_t size)
{
    if (is_failed(writer))
        return;
    ReelStatus status = writer->bytes ? write_to_memory(writer->bytes, (size_t)offset, data, size)
                                      : reel_atomic_file_write(&writer->file, offset, data, size);
    if (!reel_status_is_ok(&status))
        fail(writer, status);
}

static size_t local_bytes(const Entry *entry)
{
    return ZIP_LOCAL_BYTES + strlen(entry->name) + (entry->zip64 ? 20 : 0) + entry->padding;
}

/* How many bytes more make the contents begin at a multiple: a .npy header is one itself. */
static unsigned padding_of(const Entry *entry)
{
    enum { LEAST = 6, ALIGNMENT = TENSOR_NPY_ALIGNMENT };
    unsigned beyond = (unsigned)((entry->offset + local_bytes(entry)) % ALIGNMENT);
    unsigned padding = (ALIGNMENT - beyond) % ALIGNMENT;
    return padding > 0 && padding < LEAST ? padding + ALIGNMENT : padding;
}

static uint8_t *put_padding(uint8_t *p, unsigned padding)
{
    p = zip_put16(zip_put16(zip_put16(p, ZIP_EXTRA_ALIGN), padding - 4), TENSOR_NPY_ALIGNMENT);
    memset(p, 0, padding - 6);
    return p + padding - 6;
}

/* The fields that the local and the central header have in common, from "version needed" to the length
 * of the name. */
static uint8_t *put_common(uint8_t *p, const TensorNpzWriter *writer, const Entry *entry)
{
    size_t length = strlen(entry->name);
    p = zip_put16(p, entry->zip64 ? ZIP_VERSION_64 : ZIP_VERSION);
    p = zip_put16(p, tensor_npz_is_ascii(entry->name, length) ? 0 : ZIP_FLAG_UTF8);
    p = zip_put16(p, writer->options.level > 0 ? ZIP_DEFLATED : ZIP_STORED);
    p = zip_put16(p, 0);
    p = zip_put16(p, ZIP_DATE);
    p = zip_put32(p, entry->crc);
    p = zip_put32(p, entry->zip64 ? ZIP_FULL32 : (uint32_t)entry->packed_size);
    p = zip_put32(p, entry->zip64 ? ZIP_FULL32 : (uint32_t)entry->size);
    return zip_put16(p, (unsigned)length);
}

static uint8_t *put_name(uint8_t *p, const char *name)
{
    size_t length = strlen(name);
    memcpy(p, name, length);
    return p + length;
}

static void write_local(TensorNpzWriter *writer, const Entry *entry)
{
    uint8_t record[ZIP_LOCAL_BYTES + NPZ_MAX_NAME + 20 + 2 * TENSOR_NPY_ALIGNMENT];
    uint8_t *p = zip_put32(record, ZIP_LOCAL);
    p = put_common(p, writer, entry);
    p = zip_put16(p, (entry->zip64 ? 20 : 0) + entry->padding);
    p = put_name(p, entry->name);
    if (entry->zip64) {
        p = zip_put16(p, ZIP_EXTRA_64);
        p = zip_put16(p, 16);
        p = zip_put64(p, entry->size);
        p = zip_put64(p, entry->packed_size);
    }
    if (entry->padding)
        p = put_padding(p, entry->padding);
    write_at(writer, entry->offset, record, (size_t)(p - record));
}

static void write_central(TensorNpzWriter *writer, const Entry *entry)
{
    uint8_t record[ZIP_CENTRAL_BYTES + NPZ_MAX_NAME + 28], *p = zip_put32(record, ZIP_CENTRAL);
    bool far = entry->offset >= ZIP_FULL32;
    unsigned fields = (entry->zip64 ? 16 : 0) + (far ? 8 : 0);
    p = zip_put16(p, 3 << 8 | (fields ? ZIP_VERSION_64 : ZIP_VERSION)); /* made by: Unix */
    p = put_common(p, writer, entry);
    p = zip_put16(p, fields ? fields + 4 : 0);
    p = zip_put16(zip_put16(zip_put16(p, 0), 0), 0); /* comment, disk, internal attributes */
    p = zip_put32(p, (uint32_t)0100644 << 16);       /* a file that all may read */
    p = zip_put32(p, far ? ZIP_FULL32 : (uint32_t)entry->offset);
    p = put_name(p, entry->name);
    if (fields) {
        p = zip_put16(p, ZIP_EXTRA_64);
        p = zip_put16(p, fields);
        if (entry->zip64)
            p = zip_put64(zip_put64(p, entry->size), entry->packed_size);
        if (far)
            p = zip_put64(p, entry->offset);
    }
    write_at(writer, writer->at, record, (size_t)(p - record));
    writer->at += (uint64_t)(p - record);
}

static void write_end(TensorNpzWriter *writer, uint64_t start)
{
    uint8_t record[ZIP64_END_BYTES + ZIP64_LOCATOR_BYTES + ZIP_END_BYTES], *p = record;
    uint64_t count = writer->count, size = writer->at - start;
    bool zip64 = writer->options.zip64 || count >= ZIP_FULL16 || size >= ZIP_FULL32 || start >= ZIP_FULL32;
    if (zip64) {
        p = zip_put64(zip_put32(p, ZIP64_END), ZIP64_END_BYTES - 12);
        p = zip_put16(zip_put16(p, 3 << 8 | ZIP_VERSION_64), ZIP_VERSION_64);
        p = zip_put32(zip_put32(p, 0), 0);
        p = zip_put64(zip_put64(p, count), count);
        p = zip_put64(zip_put64(p, size), start);
        p = zip_put32(zip_put32(p, ZIP64_LOCATOR), 0);
        p = zip_put32(zip_put64(p, writer->at), 1);
    }
    unsigned short_count = zip64 ? ZIP_FULL16 : (unsigned)count;
    p = zip_put16(zip_put16(zip_put32(p, ZIP_END), 0), 0);
    p = zip_put16(zip_put16(p, short_count), short_count);
    p = zip_put32(p, zip64 ? ZIP_FULL32 : (uint32_t)size);
    p = zip_put32(p, zip64 ? ZIP_FULL32 : (uint32_t)start);
    p = zip_put16(p, 0);
    write_at(writer, writer->at, record, (size_t)(p - record));
    writer->at += (uint64_t)(p - record);
}

/* ---- Blocks ---- */

static Entry *adding(TensorNpzWriter *writer)
{
    return &writer->entries[writer->count - 1];
}

/* Writes what has been appended since the last block. */
static void write_block(TensorNpzWriter *writer, bool last)
{
    Entry *entry = adding(writer);
    NpzBlock block;
    if (!tensor_npz_deflater_flush(&writer->deflater, entry->strategy, last, &block))
        fail(writer,
             reel_status_failed("%s: zlib cannot deflate '%s'; try --compress 0", writer->name, entry->name));
    write_at(writer, writer->at, block.bytes, block.size);
    writer->at += block.size;
    entry->crc = (uint32_t)crc32_combine(entry->crc, block.crc, (z_off_t)block.in_size);
    entry->size += block.in_size;
    entry->packed_size += block.size;
}

/* Appends to the member that is being added. A full block waits until it is known whether it is the last. */
static void append(TensorNpzWriter *writer, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        size_t part = tensor_npz_deflater_fill(&writer->deflater, bytes, size);
        bytes += part;
        size -= part;
        if (size > 0)
            write_block(writer, false);
    }
}

static void end_member(TensorNpzWriter *writer)
{
    write_block(writer, true);
    write_local(writer, adding(writer));
}

/* ---- Adding ---- */

/* Sizes that might, deflated or not, not fit into 32 bits. */
static bool needs_zip64(uint64_t size)
{
    return size + size / 64 + 65536 >= ZIP_FULL32;
}

/* A message is one line of text, whatever the name is. */
static void fail_name(TensorNpzWriter *writer, const char *name, const char *why, const char *remedy)
{
    char shown[100];
    size_t length = 0;
    for (; name[length] && length < sizeof shown - 1; length++)
        shown[length] = name[length] < ' ' || name[length] > '~' ? '?' : name[length];
    shown[length] = '\0';
    fail(writer, reel_status_failed("%s: cannot add '%s': %s; %s", writer->name, shown, why, remedy));
}

static bool begin_member(TensorNpzWriter *writer, const char *name, bool is_array, uint64_t size,
                         int strategy)
{
    size_t length = strlen(name);
    const char *wrong = tensor_npz_check_name(name, length);
    bool npy = length >= 4 && strcmp(name + length - 4, ".npy") == 0;
    if (is_failed(writer))
        return false;
    if (!wrong && is_array && length > NPZ_MAX_NAME - 4)
        wrong = "its name is too long";
    if (!wrong && !is_array && npy)
        wrong = "its name ends in .npy, but it is no array";
    if (wrong) {
        fail_name(writer, name, wrong, "rename it");
        return false;
    }
    Entry *grown = reel_mem_grow(writer->entries, writer->count, &writer->capacity, sizeof *grown);
    if (grown)
        writer->entries = grown;
    char *full = reel_mem_alloc(length + 5);
    if (!grown || !full) {
        reel_mem_free(full);
        fail(writer, reel_status_no_memory(length + 5, writer->name));
        return false;
    }
    snprintf(full, length + 5, "%s%s", name, is_array ? ".npy" : "");
    writer->entries[writer->count++] = (Entry){.name = full,
                                               .is_array = is_array,
                                               .zip64 = writer->options.zip64 || needs_zip64(size),
                                               .strategy = strategy,
                                               .offset = writer->at};
    if (is_array && writer->options.in_place)
        adding(writer)->padding = padding_of(adding(writer));
    writer->at += local_bytes(adding(writer)); /* written when the sizes are known */
    return true;
}

void tensor_npz_add_bytes(TensorNpzWriter *writer, const char *name, const void *data, size_t size)
{
    if (!begin_member(writer, name, false, size, Z_DEFAULT_STRATEGY))
        return;
    append(writer, data, size);
    end_member(writer);
}

/* Appends numbers of this machine's byte order as little-endian ones. */
static void append_numbers(TensorNpzWriter *writer, const void *data, size_t item_bytes, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const char *items = data;
    for (size_t i = 0; i < count; i++) {
        char item[16];
        memcpy(item, items + i * item_bytes, item_bytes);
        tensor_npz_swap(item, item_bytes, 1);
        append(writer, item, item_bytes);
    }
#else
    append(writer, data, item_bytes * count);
#endif
}

static int strategy_for(const TensorNpzWriter *writer, char kind)
{
    return kind == 'f' && writer->options.level < LEVEL_OF_SEARCH ? Z_RLE : Z_DEFAULT_STRATEGY;
}

static bool begin_array(TensorNpzWriter *writer, const char *name, char kind, int item_bytes, int ndim,
                        const int64_t *shape, uint64_t bytes)
{
    char header[TENSOR_NPY_HEADER_CAPACITY];
    if (!begin_member(writer, name, true, bytes + sizeof header, strategy_for(writer, kind)))
        return false;
    append(writer, header, tensor_npy_format(kind, item_bytes, ndim, shape, header));
    return true;
}

void tensor_npz_add_array(TensorNpzWriter *writer, const char *name, char kind, int item_bytes, int ndim,
                          const int64_t *shape, const void *data)
{
    uint64_t bytes = (uint64_t)item_bytes;
    bool known = strchr("fiub", kind) && kind &&
                 (item_bytes == 1 || item_bytes == 2 || item_bytes == 4 || item_bytes == 8);
    for (int i = 0; known && i < ndim; i++)
        known = shape[i] >= 0 && !__builtin_mul_overflow(bytes, (uint64_t)shape[i], &bytes);
    if (!known || ndim < 0 || ndim > TENSOR_NPY_MAX_DIMS) {
        fail_name(writer, name, "this is no array of numbers", "check its type and shape");
        return;
    }
    if (!begin_array(writer, name, kind, item_bytes, ndim, shape, bytes))
        return;
    append_numbers(writer, data, (size_t)item_bytes, (size_t)(bytes / (uint64_t)item_bytes));
    end_member(writer);
}

void tensor_npz_add_npy(TensorNpzWriter *writer, const char *name, const void *npy, size_t size)
{
    char reason[TENSOR_NPY_REASON_SIZE];
    TensorNpyHeader array = {0};
    size_t length = tensor_npy_header_length(
        npy, size < TENSOR_NPY_PREFIX_BYTES ? size : TENSOR_NPY_PREFIX_BYTES, reason);
    bool known = length > 0 && length <= size && tensor_npy_parse(npy, length, &array, reason);
    if (!begin_member(writer, name, true, size, strategy_for(writer, known ? array.kind : 'V')))
        return;
    append(writer, npy, size);
    end_member(writer);
}

/* Appends `count` elements that lie `stride` elements apart. */
static void append_row(TensorNpzWriter *writer, const char *data, size_t item_bytes, int64_t count,
                       int64_t stride)
{
    char run[4096];
    if (stride == 1) {
        append_numbers(writer, data, item_bytes, (size_t)count);
        return;
    }
    for (int64_t i = 0, filled = 0; i < count; i++) {
        memcpy(run + (size_t)filled * item_bytes, data + i * stride * (int64_t)item_bytes, item_bytes);
        if ((size_t)++filled * item_bytes == sizeof run || i + 1 == count) {
            append_numbers(writer, run, item_bytes, (size_t)filled);
            filled = 0;
        }
    }
}

/* Appends the elements of the axes from `axis` on, in C order. */
static void append_axes(TensorNpzWriter *writer, const Tensor *t, int axis, const char *data,
                        size_t item_bytes)
{
    if (axis >= t->ndim - 1) {
        append_row(writer, data, item_bytes, t->ndim ? t->shape[axis] : 1, t->ndim ? t->strides[axis] : 1);
        return;
    }
    for (int64_t i = 0; i < t->shape[axis]; i++)
        append_axes(writer, t, axis + 1, data + i * t->strides[axis] * (int64_t)item_bytes, item_bytes);
}

void tensor_npz_add_tensor(TensorNpzWriter *writer, const char *name, Tensor t)
{
    if (!tensor_is_valid(t)) {
        fail_name(writer, name, "the tensor is not valid", "check how it was made");
        return;
    }
    size_t item_bytes = tensor_dtype_size(t.dtype), count = (size_t)tensor_numel(&t);
    char kind = t.dtype == TENSOR_I32 ? 'i' : 'f';
    if (!begin_array(writer, name, kind, (int)item_bytes, t.ndim, t.shape, count * item_bytes))
        return;
    if (tensor_is_contiguous(&t))
        append_numbers(writer, t.data, item_bytes, count);
    else if (count > 0)
        append_axes(writer, &t, 0, t.data, item_bytes);
    end_member(writer);
}

/* ---- Finishing ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Two members that numpy.load would give the same name: one ".npy" is as good as none. */
static void check_duplicates(TensorNpzWriter *writer)
{
    char **names = reel_mem_alloc((writer->count + 1) * sizeof *names);
    if (!names) {
        fail(writer, reel_status_no_memory(writer->count * sizeof *names, writer->name));
        return;
    }
    for (size_t i = 0; i < writer->count; i++) {
        names[i] = writer->entries[i].name;
        if (writer->entries[i].is_array)
            names[i][strlen(names[i]) - 4] = '\0';
    }
    qsort(names, writer->count, sizeof *names, compare_names);
    for (size_t i = 1; i < writer->count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            fail(writer,
                 reel_status_failed("%s: '%.100s' was added twice; rename one", writer->name, names[i]));
    for (size_t i = 0; i < writer->count; i++)
        if (writer->entries[i].is_array)
            writer->entries[i].name[strlen(writer->entries[i].name)] = '.';
    reel_mem_free(names);
}

ReelStatus tensor_npz_writer_finish(TensorNpzWriter *writer)
{
    check_duplicates(writer);
    uint64_t start = writer->at;
    for (size_t i = 0; i < writer->count; i++)
        write_central(writer, &writer->entries[i]);
    write_end(writer, start);
    ReelStatus status = writer->status;
    if (reel_status_is_ok(&status) && !writer->bytes)
        status = reel_atomic_file_commit(&writer->file);
    release(writer);
    return status;
}

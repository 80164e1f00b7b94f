#include "nn/npz_writer.h"

#include "nn/atomic_file.h"
#include "nn/npy.h"
#include "nn/npz_format_internal.h"
#include "tensor/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* A member is cut into blocks of a fixed size. Each is deflated by itself, with an empty window, up to a
 * byte boundary (Z_SYNC_FLUSH), so that any thread can take any block and the blocks joined are one
 * deflate stream; the last one carries the end mark. A block this long loses next to nothing (measured on
 * weights: under 0.01 %) by starting afresh. */
enum { BLOCK_BYTES = 1 << 20, OUT_BYTES = BLOCK_BYTES + BLOCK_BYTES / 64 + 1024, BLOCKS_PER_THREAD = 2 };

typedef struct Entry {
    char *name; /* in the zip: arrays end in .npy */
    bool is_array, zip64;
    int strategy; /* zlib's */
    uint32_t crc;
    uint64_t offset, size, packed_size;
} Entry;

typedef struct Block {
    uint8_t *in, *out;
    size_t in_size, out_size;
    uint32_t crc;
    size_t entry;
    int strategy;
    bool first, last, done, failed;
} Block;

/* Blocks go round in a ring: filled, submitted, taken by a thread, done, retired (written) in the order
 * in which they were submitted. Only `taken`, `submitted`, `stop` and `done` are shared. */
struct NpzWriter {
    AtomicFile file;
    NpzOptions options;
    Status status;
    uint64_t at; /* where the next byte of the file goes */
    Entry *entries;
    size_t count, capacity;

    Block *blocks;
    size_t block_count;
    uint64_t submitted, taken, retired;
    z_stream *streams; /* one for each thread */
    int stream_count;

    pthread_mutex_t lock;
    pthread_cond_t submitted_one, done_one;
    pthread_t *threads;
    int thread_count;
    bool stop;
};

static void fail(NpzWriter *writer, Status status)
{
    if (status_is_ok(&writer->status))
        writer->status = status;
}

static bool is_failed(const NpzWriter *writer)
{
    return !status_is_ok(&writer->status);
}

/* ---- Deflating ---- */

/* The bytes of floats hardly ever repeat: what deflate gains on them, it gains by Huffman codes for the
 * exponents, and by runs of zeros. Looking for longer matches costs three quarters of the time and makes
 * the file larger (24 MB of N(0, 0.05): 92.5 % of the size at 90 MB/s with runs alone, 92.6 % at 27 MB/s
 * with level 6). Who asks for a level above this one gets the search all the same. */
enum { LEVEL_OF_SEARCH = 7 };

static void deflate_block(z_stream *stream, Block *block, int level)
{
    block->crc = (uint32_t)crc32_z(0, block->in, block->in_size);
    if (level == 0)
        return;
    block->failed = deflateReset(stream) != Z_OK || deflateParams(stream, level, block->strategy) != Z_OK;
    stream->next_in = block->in;
    stream->avail_in = (uInt)block->in_size;
    stream->next_out = block->out;
    stream->avail_out = OUT_BYTES;
    int result = block->failed ? Z_OK : deflate(stream, block->last ? Z_FINISH : Z_SYNC_FLUSH);
    if (result != (block->last ? Z_STREAM_END : Z_OK) || stream->avail_in > 0 || stream->avail_out == 0)
        block->failed = true;
    block->out_size = OUT_BYTES - stream->avail_out;
}

typedef struct Worker {
    NpzWriter *writer;
    z_stream *stream;
} Worker;

static void *work(void *argument)
{
    Worker worker = *(Worker *)argument;
    NpzWriter *writer = worker.writer;
    mem_free(argument);
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (writer->taken == writer->submitted && !writer->stop)
            pthread_cond_wait(&writer->submitted_one, &writer->lock);
        if (writer->taken == writer->submitted)
            break;
        Block *block = &writer->blocks[writer->taken++ % writer->block_count];
        pthread_mutex_unlock(&writer->lock);
        deflate_block(worker.stream, block, writer->options.level);
        pthread_mutex_lock(&writer->lock);
        block->done = true;
        pthread_cond_signal(&writer->done_one);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* Threads that cannot be had are done without; the bytes are the same. Signals are for the caller's
 * threads, which expect them. */
static void start_threads(NpzWriter *writer)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (writer->thread_count < writer->stream_count) {
        Worker *worker = mem_alloc(sizeof *worker);
        if (!worker)
            break;
        *worker = (Worker){writer, &writer->streams[writer->thread_count]};
        if (pthread_create(&writer->threads[writer->thread_count], NULL, work, worker) != 0) {
            mem_free(worker);
            break;
        }
        writer->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_threads(NpzWriter *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->stop = true;
    pthread_cond_broadcast(&writer->submitted_one);
    pthread_mutex_unlock(&writer->lock);
    for (int i = 0; i < writer->thread_count; i++)
        pthread_join(writer->threads[i], NULL);
    writer->thread_count = 0;
}

/* ---- Opening and closing ---- */

static void release(NpzWriter *writer)
{
    stop_threads(writer);
    atomic_file_abandon(&writer->file);
    for (int i = 0; i < writer->stream_count; i++)
        deflateEnd(&writer->streams[i]);
    for (size_t i = 0; writer->blocks && i < writer->block_count; i++) {
        mem_free(writer->blocks[i].in);
        mem_free(writer->blocks[i].out);
    }
    for (size_t i = 0; i < writer->count; i++)
        mem_free(writer->entries[i].name);
    mem_free(writer->entries);
    mem_free(writer->blocks);
    mem_free(writer->streams);
    mem_free(writer->threads);
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->submitted_one);
    pthread_cond_destroy(&writer->done_one);
    mem_free(writer);
}

static bool make_buffers(NpzWriter *writer)
{
    size_t threads = (size_t)writer->options.threads;
    bool deflated = writer->options.level > 0;
    writer->block_count = threads > 1 ? threads * BLOCKS_PER_THREAD : 1;
    writer->blocks = mem_calloc(writer->block_count, sizeof *writer->blocks);
    writer->streams = mem_calloc(threads, sizeof *writer->streams);
    writer->threads = mem_calloc(threads, sizeof *writer->threads);
    if (!writer->blocks || !writer->streams || !writer->threads)
        return false;
    for (size_t i = 0; i < writer->block_count; i++) {
        Block *block = &writer->blocks[i];
        block->in = mem_alloc(BLOCK_BYTES);
        block->out = deflated ? mem_alloc(OUT_BYTES) : NULL;
        if (!block->in || (deflated && !block->out))
            return false;
    }
    for (; deflated && writer->stream_count < writer->options.threads; writer->stream_count++) {
        z_stream *stream = &writer->streams[writer->stream_count];
        *stream = (z_stream){.zalloc = npz_zalloc, .zfree = npz_zfree};
        if (deflateInit2(stream, writer->options.level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            return false;
    }
    return true;
}

Status npz_writer_open(NpzWriter **result, const char *path, NpzOptions options)
{
    *result = NULL;
    if (options.level < 0 || options.level > 9)
        return status_usage("%s: there is no compression level %d; choose 0 (none) to 9", path,
                            options.level);
    options.threads = options.threads < 1                 ? 1
                      : options.threads > NPZ_MAX_THREADS ? NPZ_MAX_THREADS
                                                          : options.threads;
    NpzWriter *writer = mem_calloc(1, sizeof *writer);
    if (!writer)
        return status_no_memory(sizeof *writer, path);
    writer->options = options;
    writer->file.fd = -1;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->submitted_one, NULL);
    pthread_cond_init(&writer->done_one, NULL);
    Status status = make_buffers(writer)
                        ? atomic_file_open(&writer->file, path)
                        : status_no_memory(writer->block_count * (BLOCK_BYTES + OUT_BYTES), path);
    if (!status_is_ok(&status)) {
        release(writer);
        return status;
    }
    if (options.threads > 1)
        start_threads(writer);
    *result = writer;
    return status;
}

void npz_writer_abandon(NpzWriter *writer)
{
    if (writer)
        release(writer);
}

uint64_t npz_writer_bytes(const NpzWriter *writer)
{
    return writer->at;
}

/* ---- Records ---- */

static void write_at(NpzWriter *writer, uint64_t offset, const void *data, size_t size)
{
    if (!is_failed(writer)) {
        Status status = atomic_file_write(&writer->file, offset, data, size);
        if (!status_is_ok(&status))
            fail(writer, status);
    }
}

static size_t local_bytes(const Entry *entry)
{
    return ZIP_LOCAL_BYTES + strlen(entry->name) + (entry->zip64 ? 20 : 0);
}

/* The fields that the local and the central header have in common, from "version needed" to the length
 * of the name. */
static uint8_t *put_common(uint8_t *p, const NpzWriter *writer, const Entry *entry)
{
    size_t length = strlen(entry->name);
    p = zip_put16(p, entry->zip64 ? ZIP_VERSION_64 : ZIP_VERSION);
    p = zip_put16(p, npz_is_ascii(entry->name, length) ? 0 : ZIP_FLAG_UTF8);
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

static void write_local(NpzWriter *writer, const Entry *entry)
{
    uint8_t record[ZIP_LOCAL_BYTES + NPZ_MAX_NAME + 20], *p = zip_put32(record, ZIP_LOCAL);
    p = put_common(p, writer, entry);
    p = zip_put16(p, entry->zip64 ? 20 : 0);
    p = put_name(p, entry->name);
    if (entry->zip64) {
        p = zip_put16(p, ZIP_EXTRA_64);
        p = zip_put16(p, 16);
        p = zip_put64(p, entry->size);
        p = zip_put64(p, entry->packed_size);
    }
    write_at(writer, entry->offset, record, (size_t)(p - record));
}

static void write_central(NpzWriter *writer, const Entry *entry)
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

static void write_end(NpzWriter *writer, uint64_t start)
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

/* ---- The ring ---- */

/* Writes a block that is done, and the local header of its member where it was the last. */
static void write_block(NpzWriter *writer, const Block *block)
{
    Entry *entry = &writer->entries[block->entry];
    bool stored = writer->options.level == 0;
    size_t size = stored ? block->in_size : block->out_size;
    if (block->failed)
        fail(writer, status_failed("%s: zlib cannot deflate '%s'; try --compress 0", writer->file.target,
                                   entry->name));
    if (block->first) {
        entry->offset = writer->at;
        writer->at += local_bytes(entry);
    }
    write_at(writer, writer->at, stored ? block->in : block->out, size);
    writer->at += size;
    entry->crc = (uint32_t)crc32_combine(entry->crc, block->crc, (z_off_t)block->in_size);
    entry->size += block->in_size;
    entry->packed_size += size;
    if (block->last)
        write_local(writer, entry);
}

static void retire(NpzWriter *writer)
{
    Block *block = &writer->blocks[writer->retired % writer->block_count];
    pthread_mutex_lock(&writer->lock);
    while (!block->done)
        pthread_cond_wait(&writer->done_one, &writer->lock);
    pthread_mutex_unlock(&writer->lock);
    write_block(writer, block);
    writer->retired++;
}

/* The block that is being filled: the one behind the last that was submitted. */
static Block *filling(NpzWriter *writer)
{
    return &writer->blocks[writer->submitted % writer->block_count];
}

static void begin_block(NpzWriter *writer, bool first)
{
    if (writer->submitted - writer->retired == writer->block_count)
        retire(writer);
    Block *block = filling(writer);
    size_t entry = writer->count - 1;
    int strategy = writer->entries[entry].strategy;
    *block =
        (Block){.in = block->in, .out = block->out, .entry = entry, .strategy = strategy, .first = first};
}

static void submit_block(NpzWriter *writer, bool last)
{
    Block *block = filling(writer);
    block->last = last;
    if (writer->thread_count == 0) {
        deflate_block(writer->streams, block, writer->options.level);
        block->done = true;
    }
    pthread_mutex_lock(&writer->lock);
    writer->submitted++;
    writer->taken += writer->thread_count == 0;
    pthread_cond_signal(&writer->submitted_one);
    pthread_mutex_unlock(&writer->lock);
}

/* Appends to the member that is being added. A full block waits until it is known whether it is the last. */
static void append(NpzWriter *writer, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        Block *block = filling(writer);
        if (block->in_size == BLOCK_BYTES) {
            submit_block(writer, false);
            begin_block(writer, false);
            continue;
        }
        size_t part = BLOCK_BYTES - block->in_size < size ? BLOCK_BYTES - block->in_size : size;
        memcpy(block->in + block->in_size, bytes, part);
        block->in_size += part;
        bytes += part;
        size -= part;
    }
}

/* ---- Adding ---- */

/* Sizes that might, deflated or not, not fit into 32 bits. */
static bool needs_zip64(uint64_t size)
{
    return size + size / 64 + 65536 >= ZIP_FULL32;
}

/* A message is one line of text, whatever the name is. */
static void fail_name(NpzWriter *writer, const char *name, const char *why, const char *remedy)
{
    char shown[100];
    size_t length = 0;
    for (; name[length] && length < sizeof shown - 1; length++)
        shown[length] = name[length] < ' ' || name[length] > '~' ? '?' : name[length];
    shown[length] = '\0';
    fail(writer, status_failed("%s: cannot add '%s': %s; %s", writer->file.target, shown, why, remedy));
}

static bool begin_member(NpzWriter *writer, const char *name, bool is_array, uint64_t size, int strategy)
{
    size_t length = strlen(name);
    const char *wrong = npz_check_name(name, length);
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
    Entry *grown = mem_grow(writer->entries, writer->count, &writer->capacity, sizeof *grown);
    if (grown)
        writer->entries = grown;
    char *full = mem_alloc(length + 5);
    if (!grown || !full) {
        mem_free(full);
        fail(writer, status_no_memory(length + 5, writer->file.target));
        return false;
    }
    snprintf(full, length + 5, "%s%s", name, is_array ? ".npy" : "");
    writer->entries[writer->count++] = (Entry){.name = full,
                                               .is_array = is_array,
                                               .zip64 = writer->options.zip64 || needs_zip64(size),
                                               .strategy = strategy};
    begin_block(writer, true);
    return true;
}

void npz_add_bytes(NpzWriter *writer, const char *name, const void *data, size_t size)
{
    if (!begin_member(writer, name, false, size, Z_DEFAULT_STRATEGY))
        return;
    append(writer, data, size);
    submit_block(writer, true);
}

/* Appends numbers of this machine's byte order as little-endian ones. */
static void append_numbers(NpzWriter *writer, const void *data, size_t item_bytes, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const char *items = data;
    for (size_t i = 0; i < count; i++) {
        char item[16];
        memcpy(item, items + i * item_bytes, item_bytes);
        npz_swap(item, item_bytes, 1);
        append(writer, item, item_bytes);
    }
#else
    append(writer, data, item_bytes * count);
#endif
}

static int strategy_for(const NpzWriter *writer, char kind)
{
    return kind == 'f' && writer->options.level < LEVEL_OF_SEARCH ? Z_RLE : Z_DEFAULT_STRATEGY;
}

static bool begin_array(NpzWriter *writer, const char *name, char kind, int item_bytes, int ndim,
                        const int64_t *shape, uint64_t bytes)
{
    char header[NPY_HEADER_CAPACITY];
    if (!begin_member(writer, name, true, bytes + sizeof header, strategy_for(writer, kind)))
        return false;
    append(writer, header, npy_format(kind, item_bytes, ndim, shape, header));
    return true;
}

void npz_add_array(NpzWriter *writer, const char *name, char kind, int item_bytes, int ndim,
                   const int64_t *shape, const void *data)
{
    uint64_t bytes = (uint64_t)item_bytes;
    bool known = strchr("fiub", kind) && kind &&
                 (item_bytes == 1 || item_bytes == 2 || item_bytes == 4 || item_bytes == 8);
    for (int i = 0; known && i < ndim; i++)
        known = shape[i] >= 0 && !__builtin_mul_overflow(bytes, (uint64_t)shape[i], &bytes);
    if (!known || ndim < 0 || ndim > NPY_MAX_DIMS) {
        fail_name(writer, name, "this is no array of numbers", "check its type and shape");
        return;
    }
    if (!begin_array(writer, name, kind, item_bytes, ndim, shape, bytes))
        return;
    append_numbers(writer, data, (size_t)item_bytes, (size_t)(bytes / (uint64_t)item_bytes));
    submit_block(writer, true);
}

void npz_add_npy(NpzWriter *writer, const char *name, const void *npy, size_t size)
{
    char reason[NPY_REASON_SIZE];
    NpyHeader array;
    size_t length = npy_header_length(npy, size < NPY_PREFIX_BYTES ? size : NPY_PREFIX_BYTES, reason);
    bool known = length > 0 && length <= size && npy_parse(npy, length, &array, reason);
    if (!known || (array.kind != 'O' && (uint64_t)array.bytes != size - length)) {
        fail_name(writer, name, "this is no .npy file", "check where it is from");
        return;
    }
    if (!begin_member(writer, name, true, size, strategy_for(writer, array.kind)))
        return;
    append(writer, npy, size);
    submit_block(writer, true);
}

/* Appends `count` elements that lie `stride` elements apart. */
static void append_row(NpzWriter *writer, const char *data, size_t item_bytes, int64_t count, int64_t stride)
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
static void append_axes(NpzWriter *writer, const Tensor *t, int axis, const char *data, size_t item_bytes)
{
    if (axis >= t->ndim - 1) {
        append_row(writer, data, item_bytes, t->ndim ? t->shape[axis] : 1, t->ndim ? t->strides[axis] : 1);
        return;
    }
    for (int64_t i = 0; i < t->shape[axis]; i++)
        append_axes(writer, t, axis + 1, data + i * t->strides[axis] * (int64_t)item_bytes, item_bytes);
}

void npz_add_tensor(NpzWriter *writer, const char *name, Tensor t)
{
    if (!tensor_is_valid(t)) {
        fail_name(writer, name, "the tensor is not valid", "check how it was made");
        return;
    }
    size_t item_bytes = dtype_size(t.dtype), count = (size_t)tensor_numel(&t);
    char kind = t.dtype == DTYPE_I32 ? 'i' : 'f';
    if (!begin_array(writer, name, kind, (int)item_bytes, t.ndim, t.shape, count * item_bytes))
        return;
    if (tensor_is_contiguous(&t))
        append_numbers(writer, t.data, item_bytes, count);
    else if (count > 0)
        append_axes(writer, &t, 0, t.data, item_bytes);
    submit_block(writer, true);
}

/* ---- Finishing ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Two members that numpy.load would give the same name: one ".npy" is as good as none. */
static void check_duplicates(NpzWriter *writer)
{
    char **names = mem_alloc((writer->count + 1) * sizeof *names);
    if (!names) {
        fail(writer, status_no_memory(writer->count * sizeof *names, writer->file.target));
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
                 status_failed("%s: '%.100s' was added twice; rename one", writer->file.target, names[i]));
    for (size_t i = 0; i < writer->count; i++)
        if (writer->entries[i].is_array)
            writer->entries[i].name[strlen(writer->entries[i].name)] = '.';
    mem_free(names);
}

Status npz_writer_finish(NpzWriter *writer)
{
    while (writer->retired < writer->submitted)
        retire(writer);
    check_duplicates(writer);
    uint64_t start = writer->at;
    for (size_t i = 0; i < writer->count; i++)
        write_central(writer, &writer->entries[i]);
    write_end(writer, start);
    Status status = writer->status;
    if (status_is_ok(&status))
        status = atomic_file_commit(&writer->file);
    release(writer);
    return status;
}

#include "nn/npz_reader.h"

#include "nn/npz_format_internal.h"
#include "tensor/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER_BYTES = 64 * 1024 };

/* deflate cannot do better than 258 bytes for 2 bits: 1032 to 1. */
enum { MOST_EXPANSION = 1032 };

struct Npz {
    char *path;
    int fd;              /* -1: the bytes are in memory */
    const uint8_t *data; /* where they are in memory */
    uint64_t size;
    Arena arena; /* holds the members and their names */
    NpzMember *members;
    const NpzMember **by_name; /* sorted */
    int count;
};

/* ---- Messages ---- */

#define REMEDY_DAMAGED "the file is damaged, restore it from a copy or save it again"
#define REMEDY_REWRITE "write it again with numpy.savez_compressed or with Reel"

static Status damaged(const Npz *npz, const char *what)
{
    return status_failed("%s: %s; " REMEDY_DAMAGED, npz->path, what);
}

static Status damaged_member(const Npz *npz, const char *name, const char *what)
{
    return status_failed("%s: member '%.120s': %s; " REMEDY_DAMAGED, npz->path, name, what);
}

static Status unsupported(const Npz *npz, const char *name, const char *what)
{
    return status_failed("%s: member '%.120s': %s; " REMEDY_REWRITE, npz->path, name, what);
}

/* ---- The bytes of the file ---- */

static Status source_read(const Npz *npz, uint64_t offset, void *out, size_t size)
{
    if (offset > npz->size || size > npz->size - offset)
        return damaged(npz, "a record reaches beyond the end");
    if (npz->fd < 0) {
        if (size > 0)
            memcpy(out, npz->data + offset, size);
        return status_ok();
    }
    for (char *to = out; size > 0;) {
        ssize_t got = pread(npz->fd, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return status_failed("%s: cannot read: %s; check the disk", npz->path, strerror(errno));
        if (got == 0)
            return status_failed("%s: became shorter while it was read; read it again", npz->path);
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return status_ok();
}

/* ---- The contents of one member, in order ---- */

typedef struct Stream {
    const Npz *npz;
    const NpzMember *member;
    z_stream z;
    uint64_t at, packed_left, size; /* `size`: bytes given out so far */
    uint32_t crc;
    bool ended; /* deflate's end mark has been seen */
    uint8_t buffer[BUFFER_BYTES];
} Stream;

static Status stream_open(Stream **result, const Npz *npz, const NpzMember *member)
{
    Stream *stream = mem_alloc(sizeof *stream);
    *result = NULL;
    if (!stream)
        return status_no_memory(sizeof *stream, npz->path);
    stream->npz = npz;
    stream->member = member;
    stream->at = member->offset;
    stream->packed_left = member->packed_size;
    stream->size = 0;
    stream->crc = 0;
    stream->ended = false;
    stream->z = (z_stream){.zalloc = npz_zalloc, .zfree = npz_zfree};
    if (member->deflated && inflateInit2(&stream->z, -MAX_WBITS) != Z_OK) {
        mem_free(stream);
        return status_no_memory(sizeof *stream, npz->path);
    }
    *result = stream;
    return status_ok();
}

static void stream_close(Stream *stream)
{
    if (stream && stream->member->deflated)
        inflateEnd(&stream->z);
    mem_free(stream);
}

static Status refill(Stream *stream)
{
    size_t part = stream->packed_left < BUFFER_BYTES ? (size_t)stream->packed_left : BUFFER_BYTES;
    Status status = source_read(stream->npz, stream->at, stream->buffer, part);
    stream->at += part;
    stream->packed_left -= part;
    stream->z.next_in = stream->buffer;
    stream->z.avail_in = (uInt)part;
    return status;
}

/* Inflates at most `size` bytes; *got is less only at the end of the stream. */
static Status inflate_some(Stream *stream, void *out, size_t size, size_t *got)
{
    z_stream *z = &stream->z;
    uInt room = size < BUFFER_BYTES ? (uInt)size : BUFFER_BYTES;
    z->next_out = out;
    z->avail_out = room;
    while (z->avail_out > 0 && !stream->ended) {
        if (z->avail_in == 0 && stream->packed_left > 0) {
            Status status = refill(stream);
            if (!status_is_ok(&status))
                return status;
        }
        int result = inflate(z, Z_NO_FLUSH);
        stream->ended = result == Z_STREAM_END;
        if (result == Z_MEM_ERROR)
            return status_no_memory(1 << MAX_WBITS, stream->npz->path);
        if (result != Z_OK && result != Z_STREAM_END)
            return damaged_member(stream->npz, stream->member->name, "it cannot be inflated");
    }
    *got = room - z->avail_out;
    return status_ok();
}

/* Gives out exactly `size` bytes more. */
static Status stream_read(Stream *stream, void *out, size_t size)
{
    char *to = out;
    while (size > 0) {
        size_t got = size < BUFFER_BYTES ? size : BUFFER_BYTES;
        if (got > stream->member->size - stream->size)
            return damaged_member(stream->npz, stream->member->name, "it is shorter than it should be");
        Status status = stream->member->deflated
                            ? inflate_some(stream, to, got, &got)
                            : source_read(stream->npz, stream->at + stream->size, to, got);
        if (!status_is_ok(&status))
            return status;
        if (got == 0)
            return damaged_member(stream->npz, stream->member->name, "it is shorter than its header says");
        stream->crc = (uint32_t)crc32_z(stream->crc, (const Bytef *)to, got);
        stream->size += got;
        to += got;
        size -= got;
    }
    return status_ok();
}

static bool crc_fits(const Stream *stream)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return stream->crc != 0xdeadbeef; /* a fuzzer would never get past it */
#else
    return stream->crc == stream->member->crc;
#endif
}

/* All has been given out: the end mark must follow, with nothing behind it, and the CRC must fit. */
static Status stream_finish(Stream *stream)
{
    uint8_t beyond;
    size_t got = 0;
    Status status = status_ok();
    if (stream->member->deflated && !stream->ended)
        status = inflate_some(stream, &beyond, 1, &got);
    if (!status_is_ok(&status))
        return status;
    if (got > 0)
        return damaged_member(stream->npz, stream->member->name, "it is longer than its header says");
    if (stream->member->deflated && (stream->z.avail_in > 0 || stream->packed_left > 0))
        return damaged_member(stream->npz, stream->member->name, "something follows its end");
    if (!crc_fits(stream))
        return damaged_member(stream->npz, stream->member->name, "its checksum differs");
    return status;
}

/* Reads past what is left, to see that it is all there. */
static Status stream_drain(Stream *stream)
{
    uint8_t scratch[8192];
    Status status = status_ok();
    while (status_is_ok(&status) && stream->size < stream->member->size) {
        uint64_t left = stream->member->size - stream->size;
        status = stream_read(stream, scratch, left < sizeof scratch ? (size_t)left : sizeof scratch);
    }
    return status_is_ok(&status) ? stream_finish(stream) : status;
}

/* ---- Checking one member's contents ---- */

static Status read_array_header(Stream *stream, NpzMember *member, char *text)
{
    char reason[NPY_REASON_SIZE];
    size_t prefix = member->size < NPY_PREFIX_BYTES ? (size_t)member->size : NPY_PREFIX_BYTES;
    Status status = stream_read(stream, text, prefix);
    if (!status_is_ok(&status))
        return status;
    size_t length = npy_header_length(text, prefix, reason);
    if (length > member->size || (length > 0 && length < prefix)) {
        length = 0;
        snprintf(reason, sizeof reason, "its .npy header is longer than itself");
    }
    if (length == 0)
        return unsupported(stream->npz, member->name, reason);
    status = stream_read(stream, text + prefix, length - prefix);
    if (status_is_ok(&status) && !npy_parse(text, length, &member->array, reason))
        return unsupported(stream->npz, member->name, reason);
    return status;
}

/* Whether the header is to be believed is known once the CRC is: a damaged one gives its own message only
 * where the rest of the member is sound. */
static Status check_stream(Stream *stream, NpzMember *member, char *text)
{
    Status header = member->is_array ? read_array_header(stream, member, text) : status_ok();
    Status status = stream_drain(stream);
    if (!status_is_ok(&status) || !status_is_ok(&header))
        return status_is_ok(&status) ? header : status;
    member->bytes = member->size - (member->is_array ? member->array.header_bytes : 0);
    if (member->is_array && member->array.kind != 'O' && (uint64_t)member->array.bytes != member->bytes)
        return damaged_member(stream->npz, member->name, "its length does not fit its shape");
    return status;
}

static Status check_contents(const Npz *npz, NpzMember *member)
{
    Stream *stream;
    char *text = mem_alloc(NPY_MAX_HEADER + 16);
    if (!text)
        return status_no_memory(NPY_MAX_HEADER + 16, npz->path);
    Status status = stream_open(&stream, npz, member);
    if (status_is_ok(&status))
        status = check_stream(stream, member, text);
    stream_close(stream);
    mem_free(text);
    return status;
}

/* ---- The directory ---- */

/* One central record. Pointers lead into the directory as it was read. */
typedef struct Record {
    const uint8_t *fixed, *name, *extra;
    size_t name_bytes, extra_bytes;
    uint64_t size, packed_size, offset;
} Record;

typedef struct Directory {
    uint64_t start, size, count;
    uint8_t *bytes;
    uint8_t *scratch; /* for a local header, whatever its length */
} Directory;

enum { SCRATCH_BYTES = ZIP_LOCAL_BYTES + 2 * 65535 };

/* Looks through an extra field, which must be a chain of (id, length, data) that fits exactly. Gives the
 * 64-bit values, or NULL. False where it is malformed or renames the member. */
static bool find_zip64(const uint8_t *extra, size_t size, const uint8_t **found, size_t *found_bytes)
{
    *found = NULL;
    *found_bytes = 0;
    while (size > 0) {
        size_t length = size < 4 ? size : zip_get16(extra + 2);
        if (size < 4 || length > size - 4)
            return false;
        unsigned id = zip_get16(extra);
        if (id == ZIP_EXTRA_UNICODE || (id == ZIP_EXTRA_64 && *found))
            return false;
        if (id == ZIP_EXTRA_64) {
            *found = extra + 4;
            *found_bytes = length;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return true;
}

/* Replaces those of the values that are full by the 64-bit ones, which must be exactly these. Python up to
 * 3.11.3 repeats all sizes in 64 bits where they fit into 32: they must then be the same. */
static bool widen(const uint8_t *extra, size_t size, uint64_t **values, int count)
{
    const uint8_t *wide;
    size_t wide_bytes;
    if (!find_zip64(extra, size, &wide, &wide_bytes))
        return false;
    bool repeats_all = wide_bytes == 8 * (size_t)count;
    for (int i = 0; i < count; i++) {
        if (*values[i] != ZIP_FULL32 && !repeats_all)
            continue;
        if (wide_bytes < 8 || (*values[i] != ZIP_FULL32 && *values[i] != zip_get64(wide)))
            return false;
        *values[i] = zip_get64(wide);
        wide += 8;
        wide_bytes -= 8;
    }
    return wide_bytes == 0;
}

static const char *check_method(const Record *record)
{
    unsigned flags = zip_get16(record->fixed + 8), method = zip_get16(record->fixed + 10);
    if (flags & 1)
        return "it is encrypted";
    if (flags & 8)
        return "its sizes stand behind it (it was written to a pipe)";
    if (flags & ~(unsigned)ZIP_FLAGS_KNOWN)
        return "it has flags that are not known";
    if (method != ZIP_STORED && method != ZIP_DEFLATED)
        return "it is neither stored nor deflated";
    if (!(flags & ZIP_FLAG_UTF8) && !npz_is_ascii((const char *)record->name, record->name_bytes))
        return "its name is neither ASCII nor marked as UTF-8";
    return zip_get16(record->fixed + 6) > ZIP_VERSION_64 ? "it needs a newer version of zip" : NULL;
}

/* What one can know of sizes without inflating. */
static const char *check_sizes(const Record *record)
{
    if (zip_get16(record->fixed + 10) == ZIP_STORED)
        return record->size == record->packed_size ? NULL : "its two lengths differ although it is stored";
    return record->packed_size < 2 || record->size / MOST_EXPANSION > record->packed_size
               ? "its length is more than its bytes can hold"
               : NULL;
}

/* Cuts the next record off the directory. */
static bool parse_record(const uint8_t *p, size_t left, Record *record)
{
    if (left < ZIP_CENTRAL_BYTES || zip_get32(p) != ZIP_CENTRAL)
        return false;
    *record = (Record){.fixed = p,
                       .name = p + ZIP_CENTRAL_BYTES,
                       .name_bytes = zip_get16(p + 28),
                       .extra_bytes = zip_get16(p + 30),
                       .packed_size = zip_get32(p + 20),
                       .size = zip_get32(p + 24),
                       .offset = zip_get32(p + 42)};
    record->extra = record->name + record->name_bytes;
    bool no_comment_one_disk = zip_get16(p + 32) == 0 && zip_get16(p + 34) == 0;
    if (record->name_bytes + record->extra_bytes > left - ZIP_CENTRAL_BYTES || !no_comment_one_disk)
        return false;
    uint64_t *values[] = {&record->size, &record->packed_size, &record->offset};
    return widen(record->extra, record->extra_bytes, values, 3);
}

/* Compares the local header with the central record: all that both have but the versions and the extra
 * fields. On success *end is where the contents start. */
static Status check_local(const Npz *npz, Directory *directory, const Record *record, const char *name,
                          uint64_t *contents)
{
    uint8_t *local = directory->scratch;
    Status status = source_read(npz, record->offset, local, ZIP_LOCAL_BYTES);
    if (!status_is_ok(&status))
        return status;
    size_t name_bytes = zip_get16(local + 26), extra_bytes = zip_get16(local + 28);
    if (zip_get32(local) != ZIP_LOCAL || memcmp(local + 6, record->fixed + 8, 12) != 0 ||
        name_bytes != record->name_bytes || zip_get16(local + 4) > ZIP_VERSION_64)
        return damaged_member(npz, name, "its header differs from the directory");
    status =
        source_read(npz, record->offset + ZIP_LOCAL_BYTES, local + ZIP_LOCAL_BYTES, name_bytes + extra_bytes);
    if (!status_is_ok(&status))
        return status;
    uint64_t packed_size = zip_get32(local + 18), size = zip_get32(local + 22);
    uint64_t *values[] = {&size, &packed_size};
    if (!widen(local + ZIP_LOCAL_BYTES + name_bytes, extra_bytes, values, 2) || size != record->size ||
        packed_size != record->packed_size || memcmp(local + ZIP_LOCAL_BYTES, record->name, name_bytes) != 0)
        return damaged_member(npz, name, "its header differs from the directory");
    *contents = record->offset + ZIP_LOCAL_BYTES + name_bytes + extra_bytes;
    return status;
}

/* The member that a record describes; it must lie at *at, which is moved behind it. */
static Status check_record(Npz *npz, Directory *directory, const Record *record, NpzMember *member,
                           uint64_t *at)
{
    size_t length = record->name_bytes; /* of the name that numpy.load gives */
    bool is_array = length > 4 && memcmp(record->name + length - 4, ".npy", 4) == 0;
    length -= is_array ? 4 : 0;
    const char *wrong = npz_check_name((const char *)record->name, length);
    if (wrong)
        return status_failed("%s: member %d: %s; " REMEDY_REWRITE, npz->path, npz->count + 1, wrong);
    char *name = arena_calloc(&npz->arena, length + 1);
    if (!name)
        return status_no_memory(length + 1, npz->path);
    memcpy(name, record->name, length);
    if ((wrong = check_method(record)))
        return unsupported(npz, name, wrong);
    if ((wrong = check_sizes(record)))
        return damaged_member(npz, name, wrong);
    if (record->offset != *at)
        return status_failed("%s: member '%.120s' does not follow the one before it; " REMEDY_DAMAGED,
                             npz->path, name);
    *member = (NpzMember){.name = name,
                          .is_array = is_array,
                          .deflated = zip_get16(record->fixed + 10) == ZIP_DEFLATED,
                          .crc = zip_get32(record->fixed + 16),
                          .size = record->size,
                          .packed_size = record->packed_size};
    Status status = check_local(npz, directory, record, name, &member->offset);
    if (!status_is_ok(&status))
        return status;
    if (member->offset > directory->start || member->packed_size > directory->start - member->offset)
        return damaged_member(npz, name, "it reaches into the directory");
    *at = member->offset + member->packed_size;
    return status;
}

/* All records, then all contents: nothing is inflated before the frame has been found sound. */
static Status check_members(Npz *npz, Directory *directory)
{
    uint64_t at = 0, used = 0;
    Status status = source_read(npz, directory->start, directory->bytes, (size_t)directory->size);
    for (uint64_t i = 0; i < directory->count && status_is_ok(&status); i++) {
        Record record;
        if (!parse_record(directory->bytes + used, (size_t)(directory->size - used), &record))
            return damaged(npz, "its directory is not well formed");
        used += ZIP_CENTRAL_BYTES + record.name_bytes + record.extra_bytes;
        status = check_record(npz, directory, &record, &npz->members[i], &at);
        npz->count += status_is_ok(&status);
    }
    if (!status_is_ok(&status))
        return status;
    if (used != directory->size || at != directory->start)
        return damaged(npz, "there are bytes that belong to no member");
    for (int i = 0; i < npz->count && status_is_ok(&status); i++)
        status = check_contents(npz, &npz->members[i]);
    return status;
}

static int compare_members(const void *a, const void *b)
{
    return strcmp((*(const NpzMember *const *)a)->name, (*(const NpzMember *const *)b)->name);
}

static Status index_names(Npz *npz)
{
    for (int i = 0; i < npz->count; i++)
        npz->by_name[i] = &npz->members[i];
    qsort(npz->by_name, (size_t)npz->count, sizeof *npz->by_name, compare_members);
    for (int i = 1; i < npz->count; i++)
        if (compare_members(&npz->by_name[i - 1], &npz->by_name[i]) == 0)
            return status_failed("%s: member '%.120s' is there twice; " REMEDY_REWRITE, npz->path,
                                 npz->by_name[i]->name);
    return status_ok();
}

/* ---- The end of the file, which says where the directory is ---- */

static Status check_zip64_end(const Npz *npz, const uint8_t *end, Directory *directory)
{
    uint8_t both[ZIP64_END_BYTES + ZIP64_LOCATOR_BYTES], *wide = both, *locator = both + ZIP64_END_BYTES;
    uint64_t tail = ZIP_END_BYTES + sizeof both;
    if (npz->size < tail)
        return damaged(npz, "its end does not fit its directory");
    Status status = source_read(npz, npz->size - tail, both, sizeof both);
    if (!status_is_ok(&status))
        return status;
    uint64_t at = npz->size - tail;
    bool sound = zip_get32(locator) == ZIP64_LOCATOR && zip_get32(locator + 4) == 0 &&
                 zip_get64(locator + 8) == at && zip_get32(locator + 16) == 1 &&
                 zip_get32(wide) == ZIP64_END && zip_get64(wide + 4) == ZIP64_END_BYTES - 12 &&
                 zip_get16(wide + 14) <= ZIP_VERSION_64 && zip_get32(wide + 16) == 0 &&
                 zip_get32(wide + 20) == 0 && zip_get64(wide + 24) == zip_get64(wide + 32);
    directory->count = zip_get64(wide + 32);
    directory->size = zip_get64(wide + 40);
    directory->start = zip_get64(wide + 48);
    uint64_t narrow[] = {zip_get16(end + 10), zip_get32(end + 12), zip_get32(end + 16)};
    sound = sound && (narrow[0] == ZIP_FULL16 || narrow[0] == directory->count) &&
            (narrow[1] == ZIP_FULL32 || narrow[1] == directory->size) &&
            (narrow[2] == ZIP_FULL32 || narrow[2] == directory->start) && directory->start <= at &&
            directory->size == at - directory->start;
    return sound ? status : damaged(npz, "its end does not fit its directory");
}

static Status find_directory(const Npz *npz, Directory *directory)
{
    uint8_t end[ZIP_END_BYTES], first[4];
    if (npz->size < ZIP_END_BYTES)
        return status_failed("%s: is too short for a .npz file; give a model or an archive of numpy.savez",
                             npz->path);
    Status status = source_read(npz, npz->size - ZIP_END_BYTES, end, sizeof end);
    if (status_is_ok(&status))
        status = source_read(npz, 0, first, sizeof first);
    if (!status_is_ok(&status))
        return status;
    if (zip_get32(first) != ZIP_LOCAL && zip_get32(first) != ZIP_END && zip_get32(first) != ZIP64_END)
        return status_failed("%s: is not a .npz file; give a model or an archive of numpy.savez", npz->path);
    if (zip_get32(end) != ZIP_END || zip_get16(end + 20) != 0)
        return damaged(npz, "it does not end as a .npz file: it is cut, or has something appended");
    if (zip_get16(end + 4) != 0 || zip_get16(end + 6) != 0 || zip_get16(end + 8) != zip_get16(end + 10))
        return damaged(npz, "its end does not fit its directory");
    directory->count = zip_get16(end + 10);
    directory->size = zip_get32(end + 12);
    directory->start = zip_get32(end + 16);
    if (directory->start + directory->size != npz->size - ZIP_END_BYTES)
        status = check_zip64_end(npz, end, directory);
    if (status_is_ok(&status) && directory->count > directory->size / ZIP_CENTRAL_BYTES)
        return damaged(npz, "its end does not fit its directory");
    return status;
}

/* ---- Opening and closing ---- */

static Status check_file(Npz *npz)
{
    Directory directory = {0};
    Status status = find_directory(npz, &directory);
    if (!status_is_ok(&status))
        return status;
    if (directory.count > INT32_MAX)
        return damaged(npz, "it has more members than can be");
    /* The directory is as long as it says: both buffers are justified by the file's own length. */
    directory.bytes = mem_alloc((size_t)directory.size);
    directory.scratch = mem_alloc(SCRATCH_BYTES);
    npz->members = arena_alloc(&npz->arena, (size_t)directory.count * sizeof *npz->members);
    npz->by_name = arena_alloc(&npz->arena, (size_t)directory.count * sizeof *npz->by_name);
    if (!directory.bytes || !directory.scratch || !npz->members || !npz->by_name)
        status = status_no_memory((size_t)directory.size, npz->path);
    if (status_is_ok(&status))
        status = check_members(npz, &directory);
    if (status_is_ok(&status))
        status = index_names(npz);
    mem_free(directory.bytes);
    mem_free(directory.scratch);
    return status;
}

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
        bsearch(&key, npz->by_name, (size_t)npz->count, sizeof *npz->by_name, compare_members);
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

/* Reads over `skip` bytes and then all the rest. */
static Status read_stream(Stream *stream, size_t skip, void *out)
{
    size_t rest = (size_t)(stream->member->size - skip);
    char skipped[512];
    Status status = status_ok();
    while (skip > 0 && status_is_ok(&status)) {
        size_t part = skip < sizeof skipped ? skip : sizeof skipped;
        status = stream_read(stream, skipped, part);
        skip -= part;
    }
    if (status_is_ok(&status))
        status = stream_read(stream, out, rest);
    return status_is_ok(&status) ? stream_finish(stream) : status;
}

/* What is behind the first `skip` bytes of a member, as it is in the file. */
static Status read_plain(const Npz *npz, const NpzMember *member, size_t skip, void *out)
{
    Stream *stream;
    Status status = stream_open(&stream, npz, member);
    if (status_is_ok(&status))
        status = read_stream(stream, skip, out);
    stream_close(stream);
    return status;
}

/* The contents in C order and native byte order. `out` has room for member->bytes. */
static Status read_native(const Npz *npz, const NpzMember *member, void *out)
{
    const NpyHeader *array = &member->array;
    bool reordered = member->is_array && array->fortran_order && array->ndim > 1 && array->item_bytes > 0;
    char *plain = reordered ? mem_alloc((size_t)member->bytes) : out;
    if (!plain)
        return status_no_memory((size_t)member->bytes, npz->path);
    Status status = read_plain(npz, member, member->is_array ? array->header_bytes : 0, plain);
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
    void *bytes = arena_alloc(arena, (size_t)member->size);
    if (!bytes)
        return status_no_memory((size_t)member->size, npz->path);
    Status status = read_plain(npz, member, 0, bytes);
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
        if (array->kind == 'f') {
            memcpy(&half, from, sizeof half);
            tensor_f32(*to)[i] = half_to_float(half);
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
    else if (array->kind == 'O')
        snprintf(text, 32, "|O");
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

#include "tensor/storage/npz_format_internal.h"
#include "tensor/storage/npz_reader_internal.h"
#include "tensor/mem.h"

#include <stdlib.h>
#include <string.h>

/* deflate cannot do better than 258 bytes for 2 bits: 1032 to 1. */
enum { MOST_EXPANSION = 1032 };

/* ---- The directory ---- */

/* One central record. Pointers lead into the directory as it was read; `extra` may be followed by a comment.
 */
typedef struct Record {
    const uint8_t *fixed, *name, *extra;
    size_t name_bytes, extra_bytes, bytes; /* `bytes`: of the whole record */
    uint64_t size, packed_size, offset;
} Record;

typedef struct Directory {
    uint64_t start, size, count;
    uint64_t end; /* where the last record begins, behind the directory */
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

/* Why the bytes of a member whose record is sound cannot be had. */
static const char *check_method(const Record *record)
{
    unsigned flags = zip_get16(record->fixed + 8), method = zip_get16(record->fixed + 10);
    if (flags & 1)
        return "it is encrypted";
    return method != ZIP_STORED && method != ZIP_DEFLATED ? "it is neither stored nor deflated" : NULL;
}

/* What is wrong with the record itself. */
static const char *check_flags(const Record *record)
{
    unsigned flags = zip_get16(record->fixed + 8);
    if (flags & 8)
        return "its sizes stand behind it (it was written to a pipe)";
    if (flags & ~(unsigned)(ZIP_FLAGS_KNOWN | 1))
        return "it has flags that are not known";
    if (!(flags & ZIP_FLAG_UTF8) && !tensor_npz_is_ascii((const char *)record->name, record->name_bytes))
        return "its name is neither ASCII nor marked as UTF-8";
    return NULL;
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
                       .bytes = ZIP_CENTRAL_BYTES + (size_t)zip_get16(p + 28) + zip_get16(p + 30) +
                                zip_get16(p + 32),
                       .packed_size = zip_get32(p + 20),
                       .size = zip_get32(p + 24),
                       .offset = zip_get32(p + 42)};
    record->extra = record->name + record->name_bytes;
    bool one_disk = zip_get16(p + 34) == 0;
    if (record->bytes > left || !one_disk)
        return false;
    uint64_t *values[] = {&record->size, &record->packed_size, &record->offset};
    return widen(record->extra, record->extra_bytes, values, 3);
}

/* Compares the local header with the central record: all that both have but the versions and the extra
 * fields. On success *end is where the contents start. */
static ReelStatus check_local(const TensorNpz *npz, Directory *directory, const Record *record,
                              const char *name, uint64_t *contents)
{
    uint8_t *local = directory->scratch;
    ReelStatus status = tensor_npz_read_at(npz, record->offset, local, ZIP_LOCAL_BYTES);
    if (!reel_status_is_ok(&status))
        return status;
    size_t name_bytes = zip_get16(local + 26), extra_bytes = zip_get16(local + 28);
    if (zip_get32(local) != ZIP_LOCAL || memcmp(local + 6, record->fixed + 8, 12) != 0 ||
        name_bytes != record->name_bytes)
        return tensor_npz_damaged_member(npz, name, "its header differs from the directory");
    status = tensor_npz_read_at(npz, record->offset + ZIP_LOCAL_BYTES, local + ZIP_LOCAL_BYTES,
                                name_bytes + extra_bytes);
    if (!reel_status_is_ok(&status))
        return status;
    uint64_t packed_size = zip_get32(local + 18), size = zip_get32(local + 22);
    uint64_t *values[] = {&size, &packed_size};
    if (!widen(local + ZIP_LOCAL_BYTES + name_bytes, extra_bytes, values, 2) || size != record->size ||
        packed_size != record->packed_size || memcmp(local + ZIP_LOCAL_BYTES, record->name, name_bytes) != 0)
        return tensor_npz_damaged_member(npz, name, "its header differs from the directory");
    *contents = record->offset + ZIP_LOCAL_BYTES + name_bytes + extra_bytes;
    return status;
}

/* The member that a record describes; it must lie at *at, which is moved behind it. */
static ReelStatus check_record(TensorNpz *npz, Directory *directory, const Record *record,
                               TensorNpzMember *member, uint64_t *at)
{
    size_t length = record->name_bytes; /* of the name that numpy.load gives */
    bool is_array = length > 4 && memcmp(record->name + length - 4, ".npy", 4) == 0;
    length -= is_array ? 4 : 0;
    const char *wrong = tensor_npz_check_name((const char *)record->name, length);
    if (wrong)
        return reel_status_failed("%s: member %d: %s; " NPZ_REWRITE, npz->path, npz->count + 1, wrong);
    char *name = tensor_arena_calloc(&npz->arena, length + 1);
    if (!name)
        return reel_status_no_memory(length + 1, npz->path);
    memcpy(name, record->name, length);
    if ((wrong = check_flags(record)))
        return tensor_npz_unsupported(npz, name, wrong);
    const char *locked = check_method(record);
    if (!locked && (wrong = check_sizes(record)))
        return tensor_npz_damaged_member(npz, name, wrong);
    if (record->offset != *at)
        return reel_status_failed("%s: member '%.120s' does not follow the one before it; " NPZ_RESTORE,
                                  npz->path, name);
    *member = (TensorNpzMember){.name = name,
                                .is_array = is_array,
                                .unreadable = locked,
                                .locked = locked != NULL,
                                .deflated = zip_get16(record->fixed + 10) == ZIP_DEFLATED,
                                .crc = zip_get32(record->fixed + 16),
                                .size = record->size,
                                .packed_size = record->packed_size};
    ReelStatus status = check_local(npz, directory, record, name, &member->offset);
    if (!reel_status_is_ok(&status))
        return status;
    if (member->offset > directory->start || member->packed_size > directory->start - member->offset)
        return tensor_npz_damaged_member(npz, name, "it reaches into the directory");
    *at = member->offset + member->packed_size;
    return status;
}

static ReelStatus check_members(TensorNpz *npz, Directory *directory)
{
    uint64_t at = 0, used = 0;
    ReelStatus status = tensor_npz_read_at(npz, directory->start, directory->bytes, (size_t)directory->size);
    for (uint64_t i = 0; i < directory->count && reel_status_is_ok(&status); i++) {
        Record record;
        if (!parse_record(directory->bytes + used, (size_t)(directory->size - used), &record))
            return tensor_npz_damaged(npz, "its directory is not well formed");
        used += record.bytes;
        status = check_record(npz, directory, &record, &npz->members[i], &at);
        npz->count += reel_status_is_ok(&status);
    }
    if (!reel_status_is_ok(&status))
        return status;
    if (used != directory->size || at != directory->start)
        return tensor_npz_damaged(npz, "there are bytes that belong to no member");
    return status;
}

int tensor_npz_compare_members(const void *a, const void *b)
{
    return strcmp((*(const TensorNpzMember *const *)a)->name, (*(const TensorNpzMember *const *)b)->name);
}

ReelStatus tensor_npz_index_names(TensorNpz *npz)
{
    for (int i = 0; i < npz->count; i++)
        npz->by_name[i] = &npz->members[i];
    qsort(npz->by_name, (size_t)npz->count, sizeof *npz->by_name, tensor_npz_compare_members);
    for (int i = 1; i < npz->count; i++)
        if (tensor_npz_compare_members(&npz->by_name[i - 1], &npz->by_name[i]) == 0)
            return reel_status_failed("%s: member '%.120s' is there twice; " NPZ_REWRITE, npz->path,
                                      npz->by_name[i]->name);
    return reel_status_ok();
}

/* ---- The end of the file, which says where the directory is ---- */

static ReelStatus check_zip64_end(const TensorNpz *npz, const uint8_t *end, Directory *directory)
{
    uint8_t both[ZIP64_END_BYTES + ZIP64_LOCATOR_BYTES], *wide = both, *locator = both + ZIP64_END_BYTES;
    if (directory->end < sizeof both)
        return tensor_npz_damaged(npz, "its end does not fit its directory");
    uint64_t at = directory->end - sizeof both;
    ReelStatus status = tensor_npz_read_at(npz, at, both, sizeof both);
    if (!reel_status_is_ok(&status))
        return status;
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
    return sound ? status : tensor_npz_damaged(npz, "its end does not fit its directory");
}

/* The last record, behind which nothing but its comment may stand, which is of the length that it says. */
static bool is_end(const uint8_t *p, size_t left)
{
    return zip_get32(p) == ZIP_END && zip_get16(p + 20) == left - ZIP_END_BYTES;
}

/* Looks for it from the end of the file on. */
static ReelStatus find_end(const TensorNpz *npz, uint8_t *end, uint64_t *at)
{
    *at = npz->size - ZIP_END_BYTES;
    ReelStatus status = tensor_npz_read_at(npz, *at, end, ZIP_END_BYTES);
    if (!reel_status_is_ok(&status) || is_end(end, ZIP_END_BYTES))
        return status;
    size_t most = ZIP_END_BYTES + 65535, size = npz->size < most ? (size_t)npz->size : most;
    size_t begin = size - ZIP_END_BYTES;
    uint8_t *tail = reel_mem_alloc(size);
    if (!tail)
        return reel_status_no_memory(size, npz->path);
    status = tensor_npz_read_at(npz, npz->size - size, tail, size);
    while (begin > 0 && reel_status_is_ok(&status) && !is_end(tail + begin, size - begin))
        begin--;
    if (reel_status_is_ok(&status) && !is_end(tail + begin, size - begin))
        status =
            tensor_npz_damaged(npz, "it does not end as a .npz file: it is cut, or has something appended");
    memcpy(end, tail + begin, ZIP_END_BYTES);
    *at = npz->size - size + begin;
    reel_mem_free(tail);
    return status;
}

static ReelStatus find_directory(const TensorNpz *npz, Directory *directory)
{
    uint8_t end[ZIP_END_BYTES], first[4];
    if (npz->size < ZIP_END_BYTES)
        return reel_status_failed(
            "%s: is too short for a .npz file; give a model or an archive of numpy.savez", npz->path);
    ReelStatus status = tensor_npz_read_at(npz, 0, first, sizeof first);
    if (!reel_status_is_ok(&status))
        return status;
    if (zip_get32(first) != ZIP_LOCAL && zip_get32(first) != ZIP_END && zip_get32(first) != ZIP64_END)
        return reel_status_failed(
            "%s: is neither a .npz nor a .safetensors file; give a model or an archive of numpy.savez",
            npz->path);
    status = find_end(npz, end, &directory->end);
    if (!reel_status_is_ok(&status))
        return status;
    if (zip_get16(end + 4) != 0 || zip_get16(end + 6) != 0 || zip_get16(end + 8) != zip_get16(end + 10))
        return tensor_npz_damaged(npz, "its end does not fit its directory");
    directory->count = zip_get16(end + 10);
    directory->size = zip_get32(end + 12);
    directory->start = zip_get32(end + 16);
    if (directory->start + directory->size != directory->end)
        status = check_zip64_end(npz, end, directory);
    if (reel_status_is_ok(&status) && directory->count > directory->size / ZIP_CENTRAL_BYTES)
        return tensor_npz_damaged(npz, "its end does not fit its directory");
    return status;
}

ReelStatus tensor_npz_read_directory(TensorNpz *npz)
{
    Directory directory = {0};
    ReelStatus status = find_directory(npz, &directory);
    if (!reel_status_is_ok(&status))
        return status;
    if (directory.count > INT32_MAX)
        return tensor_npz_damaged(npz, "it has more members than can be");
    /* The directory is as long as it says: both buffers are justified by the file's own length. */
    directory.bytes = reel_mem_alloc((size_t)directory.size);
    directory.scratch = reel_mem_alloc(SCRATCH_BYTES);
    npz->members = tensor_arena_alloc(&npz->arena, (size_t)directory.count * sizeof *npz->members);
    npz->by_name = tensor_arena_alloc(&npz->arena, (size_t)directory.count * sizeof *npz->by_name);
    if (!directory.bytes || !directory.scratch || !npz->members || !npz->by_name)
        status = reel_status_no_memory((size_t)directory.size, npz->path);
    if (reel_status_is_ok(&status))
        status = check_members(npz, &directory);
    if (reel_status_is_ok(&status))
        status = tensor_npz_index_names(npz);
    reel_mem_free(directory.bytes);
    reel_mem_free(directory.scratch);
    return status;
}

#include "tensor/storage/npz_format_internal.h"
#include "tensor/storage/npz_reader_internal.h"
#include "tensor/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER_BYTES = 64 * 1024 };

/* ---- The bytes of the file ---- */

Status npz_read_at(const Npz *npz, uint64_t offset, void *out, size_t size)
{
    if (offset > npz->size || size > npz->size - offset)
        return npz_damaged(npz, "a record reaches beyond the end");
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
    Status status = npz_read_at(stream->npz, stream->at, stream->buffer, part);
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
            return npz_damaged_member(stream->npz, stream->member->name, "it cannot be inflated");
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
            return npz_damaged_member(stream->npz, stream->member->name, "it is shorter than it should be");
        Status status = stream->member->deflated
                            ? inflate_some(stream, to, got, &got)
                            : npz_read_at(stream->npz, stream->at + stream->size, to, got);
        if (!status_is_ok(&status))
            return status;
        if (got == 0)
            return npz_damaged_member(stream->npz, stream->member->name,
                                      "it is shorter than its header says");
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
        return npz_damaged_member(stream->npz, stream->member->name, "it is longer than its header says");
    if (stream->member->deflated && (stream->z.avail_in > 0 || stream->packed_left > 0))
        return npz_damaged_member(stream->npz, stream->member->name, "something follows its end");
    if (!stream->npz->is_safetensors && !crc_fits(stream))
        return npz_damaged_member(stream->npz, stream->member->name, "its checksum differs");
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

/* An empty `reason` means that the header is in member->array. */
static Status read_array_header(Stream *stream, NpzMember *member, char *text, char *reason)
{
    size_t prefix = member->size < NPY_PREFIX_BYTES ? (size_t)member->size : NPY_PREFIX_BYTES;
    Status status = stream_read(stream, text, prefix);
    if (!status_is_ok(&status))
        return status;
    size_t length = npy_header_length(text, prefix, reason);
    if (length > member->size || (length > 0 && length < prefix)) {
        length = 0;
        snprintf(reason, NPY_REASON_SIZE, "its .npy header is longer than itself");
    }
    if (length == 0)
        return status;
    status = stream_read(stream, text + prefix, length - prefix);
    if (status_is_ok(&status) && npy_parse(text, length, &member->array, reason)) {
        uint64_t rest = member->size - length;
        bool fits = member->array.kind == 'O' || (uint64_t)member->array.bytes == rest;
        snprintf(reason, NPY_REASON_SIZE, "%s", fits ? "" : "its length does not fit its shape");
    }
    return status;
}

/* Whether the header is to be believed is known once the CRC is: what it says counts only where all of the
 * member is sound. */
static Status check_stream(Stream *stream, NpzMember *member, char *text, char *reason)
{
    Status status = member->is_array ? read_array_header(stream, member, text, reason) : status_ok();
    if (status_is_ok(&status))
        status = stream_drain(stream);
    return status;
}

/* The reason is kept as long as the file is open. */
static Status set_unreadable(Npz *npz, NpzMember *member, const char *reason)
{
    member->array = (NpyHeader){0};
    member->unreadable = arena_memdup(&npz->arena, reason, strlen(reason) + 1);
    return member->unreadable ? status_ok() : status_no_memory(strlen(reason) + 1, npz->path);
}

Status npz_check_contents(Npz *npz, NpzMember *member)
{
    Stream *stream;
    char reason[NPY_REASON_SIZE] = "";
    member->bytes = member->size;
    if (member->locked)
        return status_ok();
    char *text = mem_alloc(NPY_MAX_HEADER + 16);
    if (!text)
        return status_no_memory(NPY_MAX_HEADER + 16, npz->path);
    Status status = stream_open(&stream, npz, member);
    if (status_is_ok(&status))
        status = check_stream(stream, member, text, reason);
    stream_close(stream);
    mem_free(text);
    if (status_is_ok(&status) && reason[0])
        return set_unreadable(npz, member, reason);
    member->bytes -= member->array.header_bytes;
    return status;
}

/* ---- Reading it again ---- */

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

Status npz_read_plain(const Npz *npz, const NpzMember *member, size_t skip, void *out)
{
    Stream *stream;
    Status status = stream_open(&stream, npz, member);
    if (status_is_ok(&status))
        status = read_stream(stream, skip, out);
    stream_close(stream);
    return status;
}

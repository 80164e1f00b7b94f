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

ReelStatus tensor_npz_read_at(const TensorNpz *npz, uint64_t offset, void *out, size_t size)
{
    if (offset > npz->size || size > npz->size - offset)
        return tensor_npz_damaged(npz, "a record reaches beyond the end");
    if (npz->fd < 0) {
        if (size > 0)
            memcpy(out, npz->data + offset, size);
        return reel_status_ok();
    }
    for (char *to = out; size > 0;) {
        ssize_t got = pread(npz->fd, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return reel_status_failed("%s: cannot read: %s; check the disk", npz->path, strerror(errno));
        if (got == 0)
            return reel_status_failed("%s: became shorter while it was read; read it again", npz->path);
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return reel_status_ok();
}

/* ---- The contents of one member, in order ---- */

typedef struct Stream {
    const TensorNpz *npz;
    const TensorNpzMember *member;
    z_stream z;
    uint64_t at, packed_left, size; /* `size`: bytes given out so far */
    uint32_t crc;
    bool ended; /* deflate's end mark has been seen */
    uint8_t buffer[BUFFER_BYTES];
} Stream;

static ReelStatus stream_open(Stream **result, const TensorNpz *npz, const TensorNpzMember *member)
{
    Stream *stream = reel_mem_alloc(sizeof *stream);
    *result = NULL;
    if (!stream)
        return reel_status_no_memory(sizeof *stream, npz->path);
    stream->npz = npz;
    stream->member = member;
    stream->at = member->offset;
    stream->packed_left = member->packed_size;
    stream->size = 0;
    stream->crc = 0;
    stream->ended = false;
    stream->z = (z_stream){.zalloc = tensor_npz_zalloc, .zfree = tensor_npz_zfree};
    if (member->deflated && inflateInit2(&stream->z, -MAX_WBITS) != Z_OK) {
        reel_mem_free(stream);
        return reel_status_no_memory(sizeof *stream, npz->path);
    }
    *result = stream;
    return reel_status_ok();
}

static void stream_close(Stream *stream)
{
    if (stream && stream->member->deflated)
        inflateEnd(&stream->z);
    reel_mem_free(stream);
}

static ReelStatus refill(Stream *stream)
{
    size_t part = stream->packed_left < BUFFER_BYTES ? (size_t)stream->packed_left : BUFFER_BYTES;
    ReelStatus status = tensor_npz_read_at(stream->npz, stream->at, stream->buffer, part);
    stream->at += part;
    stream->packed_left -= part;
    stream->z.next_in = stream->buffer;
    stream->z.avail_in = (uInt)part;
    return status;
}

/* Inflates at most `size` bytes; *got is less only at the end of the stream. */
static ReelStatus inflate_some(Stream *stream, void *out, size_t size, size_t *got)
{
    z_stream *z = &stream->z;
    uInt room = size < BUFFER_BYTES ? (uInt)size : BUFFER_BYTES;
    z->next_out = out;
    z->avail_out = room;
    while (z->avail_out > 0 && !stream->ended) {
        if (z->avail_in == 0 && stream->packed_left > 0) {
            ReelStatus status = refill(stream);
            if (!reel_status_is_ok(&status))
                return status;
        }
        int result = inflate(z, Z_NO_FLUSH);
        stream->ended = result == Z_STREAM_END;
        if (result == Z_MEM_ERROR)
            return reel_status_no_memory(1 << MAX_WBITS, stream->npz->path);
        if (result != Z_OK && result != Z_STREAM_END)
            return tensor_npz_damaged_member(stream->npz, stream->member->name, "it cannot be inflated");
    }
    *got = room - z->avail_out;
    return reel_status_ok();
}

/* Gives out exactly `size` bytes more. */
static ReelStatus stream_read(Stream *stream, void *out, size_t size)
{
    char *to = out;
    while (size > 0) {
        size_t got = size < BUFFER_BYTES ? size : BUFFER_BYTES;
        if (got > stream->member->size - stream->size)
            return tensor_npz_damaged_member(stream->npz, stream->member->name,
                                             "it is shorter than it should be");
        ReelStatus status = stream->member->deflated
                                ? inflate_some(stream, to, got, &got)
                                : tensor_npz_read_at(stream->npz, stream->at + stream->size, to, got);
        if (!reel_status_is_ok(&status))
            return status;
        if (got == 0)
            return tensor_npz_damaged_member(stream->npz, stream->member->name,
                                             "it is shorter than its header says");
        stream->crc = (uint32_t)crc32_z(stream->crc, (const Bytef *)to, got);
        stream->size += got;
        to += got;
        size -= got;
    }
    return reel_status_ok();
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
static ReelStatus stream_finish(Stream *stream)
{
    uint8_t beyond;
    size_t got = 0;
    ReelStatus status = reel_status_ok();
    if (stream->member->deflated && !stream->ended)
        status = inflate_some(stream, &beyond, 1, &got);
    if (!reel_status_is_ok(&status))
        return status;
    if (got > 0)
        return tensor_npz_damaged_member(stream->npz, stream->member->name,
                                         "it is longer than its header says");
    if (stream->member->deflated && (stream->z.avail_in > 0 || stream->packed_left > 0))
        return tensor_npz_damaged_member(stream->npz, stream->member->name, "something follows its end");
    if (!stream->npz->is_bare && !crc_fits(stream))
        return tensor_npz_damaged_member(stream->npz, stream->member->name, "its checksum differs");
    return status;
}

/* Reads past what is left, to see that it is all there. */
static ReelStatus stream_drain(Stream *stream)
{
    uint8_t scratch[8192];
    ReelStatus status = reel_status_ok();
    while (reel_status_is_ok(&status) && stream->size < stream->member->size) {
        uint64_t left = stream->member->size - stream->size;
        status = stream_read(stream, scratch, left < sizeof scratch ? (size_t)left : sizeof scratch);
    }
    return reel_status_is_ok(&status) ? stream_finish(stream) : status;
}

/* ---- Checking one member's contents ---- */

/* An empty `reason` means that the header is in member->array. */
static ReelStatus read_array_header(Stream *stream, TensorNpzMember *member, char *text, char *reason)
{
    size_t prefix = member->size < TENSOR_NPY_PREFIX_BYTES ? (size_t)member->size : TENSOR_NPY_PREFIX_BYTES;
    ReelStatus status = stream_read(stream, text, prefix);
    if (!reel_status_is_ok(&status))
        return status;
    size_t length = tensor_npy_header_length(text, prefix, reason);
    if (length > member->size || (length > 0 && length < prefix)) {
        length = 0;
        snprintf(reason, TENSOR_NPY_REASON_SIZE, "its .npy header is longer than itself");
    }
    if (length == 0)
        return status;
    status = stream_read(stream, text + prefix, length - prefix);
    if (reel_status_is_ok(&status) && tensor_npy_parse(text, length, &member->array, reason)) {
        uint64_t rest = member->size - length;
        bool fits = member->array.kind == 'O' || (uint64_t)member->array.bytes == rest;
        snprintf(reason, TENSOR_NPY_REASON_SIZE, "%s", fits ? "" : "its length does not fit its shape");
    }
    return status;
}

/* Whether the header is to be believed is known once the CRC is: what it says counts only where all of the
 * member is sound. */
static ReelStatus check_stream(Stream *stream, TensorNpzMember *member, char *text, char *reason)
{
    ReelStatus status = member->is_array ? read_array_header(stream, member, text, reason) : reel_status_ok();
    if (reel_status_is_ok(&status))
        status = stream_drain(stream);
    return status;
}

/* The reason is kept as long as the file is open. */
static ReelStatus set_unreadable(TensorNpz *npz, TensorNpzMember *member, const char *reason)
{
    member->array = (TensorNpyHeader){0};
    member->unreadable = tensor_arena_memdup(&npz->arena, reason, strlen(reason) + 1);
    return member->unreadable ? reel_status_ok() : reel_status_no_memory(strlen(reason) + 1, npz->path);
}

ReelStatus tensor_npz_check_contents(TensorNpz *npz, TensorNpzMember *member)
{
    Stream *stream;
    char reason[TENSOR_NPY_REASON_SIZE] = "";
    member->bytes = member->size;
    if (member->locked)
        return reel_status_ok();
    char *text = reel_mem_alloc(TENSOR_NPY_MAX_HEADER + 16);
    if (!text)
        return reel_status_no_memory(TENSOR_NPY_MAX_HEADER + 16, npz->path);
    ReelStatus status = stream_open(&stream, npz, member);
    if (reel_status_is_ok(&status))
        status = check_stream(stream, member, text, reason);
    stream_close(stream);
    reel_mem_free(text);
    if (reel_status_is_ok(&status) && reason[0])
        return set_unreadable(npz, member, reason);
    member->bytes -= member->array.header_bytes;
    return status;
}

/* ---- Reading it again ---- */

/* Reads over `skip` bytes and then all the rest. */
static ReelStatus read_stream(Stream *stream, size_t skip, void *out)
{
    size_t rest = (size_t)(stream->member->size - skip);
    char skipped[512];
    ReelStatus status = reel_status_ok();
    while (skip > 0 && reel_status_is_ok(&status)) {
        size_t part = skip < sizeof skipped ? skip : sizeof skipped;
        status = stream_read(stream, skipped, part);
        skip -= part;
    }
    if (reel_status_is_ok(&status))
        status = stream_read(stream, out, rest);
    return reel_status_is_ok(&status) ? stream_finish(stream) : status;
}

ReelStatus tensor_npz_read_plain(const TensorNpz *npz, const TensorNpzMember *member, size_t skip, void *out)
{
    Stream *stream;
    ReelStatus status = stream_open(&stream, npz, member);
    if (reel_status_is_ok(&status))
        status = read_stream(stream, skip, out);
    stream_close(stream);
    return status;
}

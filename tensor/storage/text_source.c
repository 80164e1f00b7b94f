#include "tensor/storage/text_source.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE = 1 << 16, GZIP = 16 + MAX_WBITS };

/* A compressed source: what was read of the file and is not yet inflated. */
typedef struct ReelTextInflate {
    z_stream stream;
    bool between; /* a member has ended; another may follow */
    unsigned char piece[PIECE];
} ReelTextInflate;

/* What zlib allocates is Reel's as well, so that tests can count it. */
static voidpf allocate(voidpf context, uInt count, uInt size)
{
    (void)context;
    return reel_mem_calloc(count, size);
}

static void release(voidpf context, voidpf block)
{
    (void)context;
    reel_mem_free(block);
}

static ReelStatus read_file(ReelTextSource *source, char *to, size_t room, size_t *got)
{
    ssize_t count;
    do
        count = read(source->fd, to, room);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return reel_status_failed("%s: cannot read the file: %s; check the disk, or copy the file elsewhere",
                                  source->name, strerror(errno));
    *got = (size_t)count;
    return reel_status_ok();
}

/* The first two bytes, of a pipe perhaps one by one. */
static ReelStatus read_first(ReelTextSource *source)
{
    ReelStatus status = reel_status_ok();
    for (size_t got = 1; reel_status_is_ok(&status) && got > 0 && source->num_first < 2;) {
        status = read_file(source, source->first + source->num_first, 2 - source->num_first, &got);
        if (reel_status_is_ok(&status))
            source->num_first += got;
    }
    return status;
}

static ReelStatus begin_inflating(ReelTextSource *source)
{
    ReelTextInflate *inflate = reel_mem_calloc(1, sizeof *inflate);
    if (!inflate)
        return reel_status_no_memory(sizeof *inflate, source->name);
    inflate->stream.zalloc = allocate;
    inflate->stream.zfree = release;
    memcpy(inflate->piece, source->first, source->num_first);
    inflate->stream.next_in = inflate->piece;
    inflate->stream.avail_in = (uInt)source->num_first;
    if (inflateInit2(&inflate->stream, GZIP) != Z_OK) {
        reel_mem_free(inflate);
        return reel_status_no_memory(sizeof *inflate, source->name);
    }
    source->inflate = inflate;
    return reel_status_ok();
}

ReelStatus reel_text_source_open(ReelTextSource *source, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    struct stat info;
    *source = (ReelTextSource){.name = standard ? "the standard input" : path, .fd = STDIN_FILENO};
    ReelStatus status = standard ? reel_status_ok() : reel_text_file_open(path, &source->fd);
    if (reel_status_is_ok(&status) && standard && fstat(STDIN_FILENO, &info) == 0 && S_ISDIR(info.st_mode))
        status = reel_status_failed("%s: is a directory; name a file in it", source->name);
    return status;
}

ReelTextSource reel_text_source_at(const char *name, int fd)
{
    lseek(fd, 0, SEEK_SET);
    return (ReelTextSource){.name = name, .fd = fd, .lent = true};
}

ReelTextSource reel_text_source_of(const char *name, const char *bytes, size_t size)
{
    return (ReelTextSource){.name = name, .fd = -1, .begun = true, .bytes = bytes, .size = size};
}

static void give(ReelTextSource *source, char *to, size_t room, size_t *got)
{
    *got = source->size < room ? source->size : room;
    if (*got > 0)
        memcpy(to, source->bytes, *got);
    source->bytes += *got;
    source->size -= *got;
}

void reel_text_source_close(ReelTextSource *source)
{
    if (source->fd > STDIN_FILENO && !source->lent)
        close(source->fd);
    source->fd = -1;
    if (source->inflate)
        inflateEnd(&source->inflate->stream);
    reel_mem_free(source->inflate);
    source->inflate = NULL;
}

/* More of the file, where all of the last piece is inflated. *more is false at its end. */
static ReelStatus refill(ReelTextSource *source, bool *more)
{
    z_stream *stream = &source->inflate->stream;
    size_t got = stream->avail_in;
    ReelStatus status = reel_status_ok();
    if (got == 0) {
        status = read_file(source, (char *)source->inflate->piece, PIECE, &got);
        stream->next_in = source->inflate->piece;
        stream->avail_in = (uInt)got;
    }
    *more = got > 0;
    return status;
}

static ReelStatus damaged(const ReelTextSource *source, const char *how)
{
    return reel_status_failed("%s: %s; copy or compress it again", source->name, how);
}

static ReelStatus inflate_some(ReelTextSource *source, char *to, size_t room, size_t *got)
{
    ReelTextInflate *in = source->inflate;
    z_stream *stream = &in->stream;
    stream->next_out = (Bytef *)to;
    stream->avail_out = (uInt)(room < PIECE * 16 ? room : PIECE * 16);
    uInt wanted = stream->avail_out;
    while (stream->avail_out == wanted) {
        bool more;
        ReelStatus status = refill(source, &more);
        if (!reel_status_is_ok(&status))
            return status;
        if (!more && !in->between)
            return damaged(source, "the gzip file ends too early");
        if (!more)
            break;
        if (in->between && inflateReset(stream) != Z_OK)
            return damaged(source, "the gzip file is damaged");
        in->between = false;
        int code = inflate(stream, Z_NO_FLUSH);
        in->between = code == Z_STREAM_END;
        if (code == Z_MEM_ERROR)
            return reel_status_no_memory(PIECE, source->name);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return damaged(source, "the gzip file is damaged");
    }
    *got = wanted - stream->avail_out;
    return reel_status_ok();
}

ReelStatus reel_text_source_read(ReelTextSource *source, char *to, size_t room, size_t *got)
{
    ReelStatus status = reel_status_ok();
    *got = 0;
    if (source->ended || room == 0)
        return status;
    if (!source->begun) {
        source->begun = true;
        status = read_first(source);
        if (reel_status_is_ok(&status) && source->num_first == 2 && memcmp(source->first, "\x1F\x8B", 2) == 0)
            status = begin_inflating(source);
        if (!reel_status_is_ok(&status))
            return status;
    }
    if (source->inflate) {
        status = inflate_some(source, to, room, got);
    } else if (source->bytes) {
        give(source, to, room, got);
    } else if (source->num_first > 0) {
        *got = source->num_first < room ? source->num_first : room;
        memcpy(to, source->first, *got);
        memmove(source->first, source->first + *got, source->num_first - *got);
        source->num_first -= *got;
    } else {
        status = read_file(source, to, room, got);
    }
    source->ended = *got == 0;
    return status;
}

bool reel_text_source_is_ready(const ReelTextSource *source)
{
    struct pollfd poll_fd = {.fd = source->fd, .events = POLLIN};
    if (source->num_first > 0 || (source->inflate && source->inflate->stream.avail_in > 0))
        return true;
    return poll(&poll_fd, 1, 0) > 0;
}

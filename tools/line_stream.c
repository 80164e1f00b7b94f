#include "tools/line_stream.h"

#include "tensor/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Status line_stream_open(LineStream *stream, const char *path)
{
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    *stream = (LineStream){.fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC),
                           .name = standard ? "the standard input" : path,
                           .capacity = LINE_STREAM_BYTES};
    if (stream->fd < 0)
        return status_failed("%s: cannot read the file: %s; check the path", path, strerror(errno));
    if (fstat(stream->fd, &info) == 0 && S_ISDIR(info.st_mode))
        return status_failed("%s: is a directory; name a file in it", path);
    stream->bytes = mem_alloc(stream->capacity);
    stream->lines = mem_alloc(LINE_STREAM_LINES * sizeof *stream->lines);
    return stream->bytes && stream->lines ? status_ok() : status_no_memory(stream->capacity, path);
}

void line_stream_close(LineStream *stream)
{
    if (stream->fd > STDIN_FILENO)
        close(stream->fd);
    mem_free(stream->bytes);
    mem_free(stream->lines);
}

/* Whether more can be read without waiting. */
static bool is_ready(const LineStream *stream)
{
    struct pollfd poll_fd = {.fd = stream->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

/* Reads once, behind what is there. */
static Status read_some(LineStream *stream)
{
    ssize_t got;
    do
        got = read(stream->fd, stream->bytes + stream->size, stream->capacity - stream->size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return status_failed("%s: cannot read: %s; check the disk, or copy the file elsewhere", stream->name,
                             strerror(errno));
    stream->ended = got == 0;
    stream->size += (size_t)got;
    return status_ok();
}

/* Makes room for a line that is longer than all that fits. */
static Status grow(LineStream *stream)
{
    size_t capacity = 2 * stream->capacity;
    if (stream->size >= LINE_STREAM_LONGEST)
        return status_failed("%s:%lld: the line is longer than %d MB; a text is one line", stream->name,
                             (long long)stream->first + 1, LINE_STREAM_LONGEST >> 20);
    char *larger = mem_realloc(stream->bytes, capacity);
    if (!larger)
        return status_no_memory(capacity, stream->name);
    stream->bytes = larger;
    stream->capacity = capacity;
    return status_ok();
}

/* Makes a window of the whole lines at the front. */
static void cut_lines(LineStream *stream)
{
    char *at = stream->bytes, *end = stream->bytes + stream->size;
    while (at < end && stream->count < LINE_STREAM_LINES) {
        char *feed = memchr(at, '\n', (size_t)(end - at));
        if (!feed && !stream->ended)
            break;
        char *stop = feed ? feed : end;
        size_t length = (size_t)(stop - at);
        length -= length > 0 && at[length - 1] == '\r';
        stream->lines[stream->count++] = (TextSpan){at, length};
        at = feed ? feed + 1 : end;
    }
    stream->used = (size_t)(at - stream->bytes);
}

static void drop_window(LineStream *stream)
{
    memmove(stream->bytes, stream->bytes + stream->used, stream->size - stream->used);
    stream->size -= stream->used;
    stream->first += stream->count;
    stream->used = 0;
    stream->count = 0;
}

Status line_stream_next(LineStream *stream)
{
    Status status = status_ok();
    drop_window(stream);
    while (status_is_ok(&status) && stream->count == 0 && !(stream->ended && stream->size == 0)) {
        if (!stream->ended && stream->size < stream->capacity)
            status = read_some(stream);
        if (!status_is_ok(&status))
            return status;
        bool full = stream->size == stream->capacity;
        if (!stream->ended && !full && is_ready(stream))
            continue;
        cut_lines(stream);
        if (stream->count == 0 && !stream->ended && full)
            status = grow(stream);
    }
    return status;
}

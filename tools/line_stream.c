#include "tools/line_stream.h"

#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ReelStatus line_stream_open(LineStream *stream, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    *stream = (LineStream){
        .fd = STDIN_FILENO, .name = standard ? "the standard input" : path, .capacity = LINE_STREAM_BYTES};
    ReelStatus status = standard ? reel_status_ok() : reel_text_file_open(path, &stream->fd);
    if (!reel_status_is_ok(&status))
        return status;
    struct stat info;
    if (standard && fstat(STDIN_FILENO, &info) == 0 && S_ISDIR(info.st_mode))
        return reel_status_failed("%s: is a directory; name a file in it", stream->name);
    stream->bytes = reel_mem_alloc(stream->capacity);
    stream->lines = reel_mem_alloc(LINE_STREAM_LINES * sizeof *stream->lines);
    return stream->bytes && stream->lines ? reel_status_ok() : reel_status_no_memory(stream->capacity, path);
}

void line_stream_close(LineStream *stream)
{
    if (stream->fd > STDIN_FILENO)
        close(stream->fd);
    reel_mem_free(stream->bytes);
    reel_mem_free(stream->lines);
}

/* Whether more can be read without waiting. */
static bool is_ready(const LineStream *stream)
{
    struct pollfd poll_fd = {.fd = stream->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

/* Reads once, behind what is there. */
static ReelStatus read_some(LineStream *stream)
{
    ssize_t got;
    do
        got = read(stream->fd, stream->bytes + stream->size, stream->capacity - stream->size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return reel_status_failed("%s: cannot read: %s; check the disk, or copy the file elsewhere",
                                  stream->name, strerror(errno));
    stream->ended = got == 0;
    stream->size += (size_t)got;
    return reel_status_ok();
}

/* Makes room for a line that is longer than all that fits. */
static ReelStatus grow(LineStream *stream)
{
    size_t capacity = 2 * stream->capacity;
    if (stream->size >= LINE_STREAM_LONGEST)
        return reel_status_failed("%s:%lld: the line is longer than %d MB; a text is one line", stream->name,
                                  (long long)stream->first + 1, LINE_STREAM_LONGEST >> 20);
    char *larger = reel_mem_realloc(stream->bytes, capacity);
    if (!larger)
        return reel_status_no_memory(capacity, stream->name);
    stream->bytes = larger;
    stream->capacity = capacity;
    return reel_status_ok();
}

/* Whether a line is there with its end; what was looked at is not looked at again. */
static bool has_line(LineStream *stream)
{
    const char *feed = memchr(stream->bytes + stream->searched, '\n', stream->size - stream->searched);
    stream->searched = feed ? (size_t)(feed - stream->bytes) : stream->size;
    return feed != NULL;
}

/* Makes a window of the whole lines at the front. */
static void cut_lines(LineStream *stream)
{
    size_t mark = stream->begun ? 0 : reel_text_file_mark(stream->bytes, stream->size);
    char *at = stream->bytes + mark, *end = stream->bytes + stream->size;
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
    stream->begun = true;
}

static void drop_window(LineStream *stream)
{
    memmove(stream->bytes, stream->bytes + stream->used, stream->size - stream->used);
    stream->size -= stream->used;
    stream->first += stream->count;
    stream->used = stream->searched = 0;
    stream->count = 0;
}

/* Reads as long as that is no waiting, or as no line is whole. */
ReelStatus line_stream_next(LineStream *stream)
{
    ReelStatus status = reel_status_ok();
    drop_window(stream);
    while (reel_status_is_ok(&status) && !stream->ended) {
        bool whole = has_line(stream), full = stream->size == stream->capacity;
        if (whole && (full || !is_ready(stream)))
            break;
        status = full ? grow(stream) : read_some(stream);
    }
    if (reel_status_is_ok(&status) && !stream->begun)
        status = reel_text_file_check_mark(stream->name, stream->bytes, stream->size);
    if (reel_status_is_ok(&status))
        cut_lines(stream);
    return status;
}

#include "tools/line_stream.h"

#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <string.h>

ReelStatus line_stream_open(LineStream *stream, const char *path)
{
    *stream = (LineStream){.capacity = LINE_STREAM_BYTES};
    ReelStatus status = reel_text_source_open(&stream->source, path);
    if (!reel_status_is_ok(&status))
        return status;
    stream->bytes = reel_mem_alloc(stream->capacity);
    stream->lines = reel_mem_alloc(LINE_STREAM_LINES * sizeof *stream->lines);
    return stream->bytes && stream->lines ? reel_status_ok() : reel_status_no_memory(stream->capacity, path);
}

void line_stream_close(LineStream *stream)
{
    reel_text_source_close(&stream->source);
    reel_mem_free(stream->bytes);
    reel_mem_free(stream->lines);
}

/* Reads once, behind what is there. */
static ReelStatus read_some(LineStream *stream)
{
    size_t got;
    ReelStatus status = reel_text_source_read(&stream->source, stream->bytes + stream->size,
                                              stream->capacity - stream->size, &got);
    stream->ended = stream->source.ended;
    stream->size += got;
    return status;
}

/* Makes room for a line that is longer than all that fits. */
static ReelStatus grow(LineStream *stream)
{
    size_t capacity = 2 * stream->capacity;
    if (stream->size >= LINE_STREAM_LONGEST)
        return reel_status_failed("%s:%lld: the line is longer than %d MB; a text is one line",
                                  stream->source.name, (long long)stream->first + 1,
                                  LINE_STREAM_LONGEST >> 20);
    char *larger = reel_mem_realloc(stream->bytes, capacity);
    if (!larger)
        return reel_status_no_memory(capacity, stream->source.name);
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
        if (whole && (full || !reel_text_source_is_ready(&stream->source)))
            break;
        status = full ? grow(stream) : read_some(stream);
    }
    if (reel_status_is_ok(&status) && !stream->begun)
        status = reel_text_file_check_mark(stream->source.name, stream->bytes, stream->size);
    if (reel_status_is_ok(&status))
        cut_lines(stream);
    return status;
}

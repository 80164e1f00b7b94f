#include "tools/line_stream.h"

#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <string.h>

ReelStatus line_stream_open(LineStream *stream, const char *path)
{
    *stream = (LineStream){.capacity = LINE_STREAM_BYTES};
    tensor_arena_init(&stream->joined, 0);
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
    reel_mem_free(stream->passed);
    reel_mem_free(stream->passed_columns);
    model_records_free(&stream->records);
    model_columns_free(&stream->columns);
    tensor_arena_free(&stream->joined);
}

ReelStatus line_stream_expect(LineStream *stream, const char *format, const ModelColumnNames *names)
{
    stream->names = *names;
    if (format && strcmp(format, "lines") == 0)
        return reel_status_ok();
    if (format) {
        stream->is_table = true;
        return model_format_named(format, &stream->format);
    }
    stream->format = model_format_of_name(stream->source.name);
    stream->is_table = stream->format != MODEL_FORMAT_ANY || names->text || names->id;
    stream->looks = !stream->is_table;
    return reel_status_ok();
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
        stream->lines[stream->count++] = (ModelTextSpan){at, length};
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

/* ---- Tables ---- */

/* The columns that go to the output: the one of --id, or all but the text and the labels. */
static ReelStatus choose_passed(LineStream *stream)
{
    const ModelColumns *columns = &stream->columns;
    int count = stream->records.columns;
    stream->passed_columns = reel_mem_alloc((size_t)count * sizeof *stream->passed_columns);
    for (int i = 0; stream->passed_columns && i < count; i++)
        if (columns->id >= 0 ? i == columns->id : !model_columns_has(columns, i))
            stream->passed_columns[stream->num_passed++] = i;
    size_t fields = LINE_STREAM_LINES * (size_t)stream->num_passed;
    stream->passed = reel_mem_alloc(fields * sizeof *stream->passed);
    return stream->passed && stream->passed_columns
               ? reel_status_ok()
               : reel_status_no_memory(fields * sizeof *stream->passed, "the columns");
}

static ReelStatus begin_table(LineStream *stream)
{
    bool more;
    if (!stream->records.name)
        model_records_init(&stream->records, stream->source.name, stream->format);
    model_records_give(&stream->records, stream->bytes + stream->used, stream->size - stream->used,
                       stream->ended);
    ReelStatus status = model_records_begin(&stream->records, &more);
    bool has_header = stream->format == MODEL_TSV || stream->format == MODEL_CSV;
    if (reel_status_is_ok(&status) && !more && stream->ended && has_header)
        return reel_text_file_empty(stream->source.name);
    if (!reel_status_is_ok(&status) || !more)
        return status;
    stream->begun = true;
    status = model_columns_choose(&stream->columns, &stream->records, &stream->names, false);
    return reel_status_is_ok(&status) ? choose_passed(stream) : status;
}

static ReelStatus add_record(LineStream *stream)
{
    const ModelField *fields = stream->records.fields;
    ReelStatus status = model_columns_text(&stream->columns, &stream->records, &stream->joined,
                                           &stream->lines[stream->count]);
    for (int i = 0; i < stream->num_passed; i++)
        stream->passed[stream->count * stream->num_passed + i] = fields[stream->passed_columns[i]];
    stream->count += reel_status_is_ok(&status);
    return status;
}

/* Makes a window of the whole records at the front. */
static ReelStatus cut_records(LineStream *stream)
{
    ReelStatus status = reel_status_ok();
    if (!stream->begun)
        status = begin_table(stream);
    else
        model_records_give(&stream->records, stream->bytes + stream->used, stream->size - stream->used,
                           stream->ended);
    for (bool more = stream->begun;
         more && stream->count < LINE_STREAM_LINES && reel_status_is_ok(&status);) {
        status = model_records_next(&stream->records, &more);
        if (reel_status_is_ok(&status) && more)
            status = add_record(stream);
    }
    stream->used = (size_t)(stream->records.at - stream->bytes);
    return status;
}

/* What the first line tells. */
static ReelStatus look_at_first(LineStream *stream)
{
    char column[64];
    stream->looks = false;
    stream->format = model_format_of_line(stream->bytes, stream->size);
    stream->is_table = stream->format == MODEL_JSONL || stream->format == MODEL_FASTTEXT;
    if (stream->is_table || !model_line_is_header(stream->bytes, stream->size, column, sizeof column))
        return reel_status_ok();
    const char *kind = stream->format == MODEL_TSV ? "tsv" : "csv";
    return reel_status_failed(
        "%s:1: is the header of a table, whose texts are in '%s', and all its lines would be "
        "taken for texts; say --input-format %s, or --input-format lines where they are",
        stream->source.name, column, kind);
}

/* ---- Windows ---- */

/* Reads as long as that is no waiting, or as no line is whole. */
static ReelStatus fill(LineStream *stream)
{
    ReelStatus status = reel_status_ok();
    while (reel_status_is_ok(&status) && !stream->ended) {
        bool whole = has_line(stream), full = stream->size == stream->capacity;
        if (whole && (full || !reel_text_source_is_ready(&stream->source)))
            break;
        status = full ? grow(stream) : read_some(stream);
    }
    return status;
}

/* A record may go on behind the lines that are there. */
static ReelStatus next_records(LineStream *stream)
{
    ReelStatus status = cut_records(stream);
    while (reel_status_is_ok(&status) && stream->count == 0 && !stream->ended) {
        stream->searched = stream->size;
        status = stream->size == stream->capacity ? grow(stream) : read_some(stream);
        if (reel_status_is_ok(&status))
            status = cut_records(stream);
    }
    return status;
}

ReelStatus line_stream_next(LineStream *stream)
{
    drop_window(stream);
    tensor_arena_reset(&stream->joined);
    ReelStatus status = fill(stream);
    if (reel_status_is_ok(&status) && !stream->begun)
        status = reel_text_file_check_mark(stream->source.name, stream->bytes, stream->size);
    if (reel_status_is_ok(&status) && stream->looks)
        status = look_at_first(stream);
    if (reel_status_is_ok(&status) && stream->is_table)
        return next_records(stream);
    if (reel_status_is_ok(&status))
        cut_lines(stream);
    return status;
}

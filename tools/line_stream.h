/* A file, or the standard input, as windows of texts: one a line, or a column of a table. Constant memory
 * whatever its size. */
#ifndef REEL_TOOLS_LINE_STREAM_H
#define REEL_TOOLS_LINE_STREAM_H

#include "models/strings/text.h"
#include "models/text/columns.h"
#include "tensor/arena.h"
#include "tensor/storage/text_source.h"

#include <stdint.h>

/* What is in memory at a time: so many texts, of so many bytes in all, unless one has more. */
enum { LINE_STREAM_LINES = 8192, LINE_STREAM_BYTES = 4 << 20, LINE_STREAM_LONGEST = 64 << 20 };

typedef struct LineStream {
    ModelTextSpan *lines; /* the window, without line ends: \n or \r\n */
    int64_t count;        /* of it, at most LINE_STREAM_LINES; 0: the end */
    int64_t first;        /* lines before the window */

    /* Of a table. */
    bool is_table;
    ModelRecords records;
    ModelColumns columns;
    int *passed_columns; /* [num_passed] the columns beside the text */
    int num_passed;
    ModelField *passed; /* [LINE_STREAM_LINES, num_passed] what stands in them */

    ReelTextSource source;
    char *bytes;
    size_t size, used, capacity; /* read so far, and the part of it that the window has */
    size_t searched;             /* the part without a line's end */
    bool begun, ended;           /* a window was cut; the file has no more */
    bool looks;                  /* the first line tells what this is */
    ModelFormat format;
    ModelColumnNames names;
    TensorArena joined; /* texts of several columns */
} LineStream;

/* Opens a file, or with "-" the standard input. The path must outlive the stream. A byte order mark in front
 * of the first line is passed over. */
ReelStatus line_stream_open(LineStream *stream, const char *path);
/* Before the first window: reads a table where `format` (NULL, "lines" or one of model_format_named()),
 * `names`, the file's name or, of JSON lines and fastText's format, its first line say so. Otherwise lines;
 * where the first of them names the columns of a table, that is an error, unless `format` is "lines". */
ReelStatus line_stream_expect(LineStream *stream, const char *format, const ModelColumnNames *names);
/* After a failed opening too. */
void line_stream_close(LineStream *stream);
/* Goes on to the next window: a full one, or the whole lines that are there where the input pauses, so that
 * one can type, and a program may wait for its answer before it goes on. Errors: UTF-16, a line that is too
 * long, those of model_records_next(), no memory. */
ReelStatus line_stream_next(LineStream *stream);

#endif

/* Rows of TSV and CSV. */
#include "models/text/records_internal.h"

#include <string.h>

/* A row that is being split. */
typedef struct Row {
    ModelRecords *records;
    char *at;          /* the field to come */
    char *stop, *feed; /* the end of the line at hand, without its CRs and with its LF (or the end of all) */
    char *line_start;
    size_t line;  /* the one at hand */
    bool missing; /* the bytes end before the row does */
    bool done;    /* the last field was read */
} Row;

/* The line that a byte is in, or the rest where it has no end. */
static void find_line_end(Row *row, char *from)
{
    ModelRecords *records = row->records;
    char *feed = memchr(from, '\n', (size_t)(records->end - from));
    row->missing = !feed && !records->last;
    row->feed = row->stop = feed ? feed : records->end;
    while (row->stop > from && row->stop[-1] == '\r')
        row->stop--;
}

static ReelStatus lone_cr(const Row *row, const char *at)
{
    return reel_status_failed(
        "%s:%zu: byte %zu of the line is a CR that no LF follows; where lines end in CR alone, "
        "convert the file, as with `tr '\\r' '\\n'`, else take it out",
        row->records->name, row->line, (size_t)(at - row->line_start) + 1);
}

/* The quote that closes what was opened in front of `at`; two in a row are one that is meant. NULL: none. */
static char *closing_quote(char *at, char *end)
{
    while (at < end && (at = memchr(at, '"', (size_t)(end - at)))) {
        if (at + 1 == end || at[1] != '"')
            return at;
        at += 2;
    }
    return NULL;
}

/* What a quoted field holds, made of it in its place. */
static ModelTextSpan unquote(char *from, const char *end)
{
    char *to = memchr(from, '"', (size_t)(end - from));
    if (!to)
        return (ModelTextSpan){from, (size_t)(end - from)};
    for (const char *at = to; at < end; at++) {
        *to++ = *at;
        at += *at == '"';
    }
    return (ModelTextSpan){from, (size_t)(to - from)};
}

static ReelStatus open_quote(const Row *row)
{
    return reel_status_failed(
        "%s:%zu: a quote opens a field here and never closes; close it, and write a quote "
        "within a quoted field as two",
        row->records->name, row->line);
}

static ReelStatus text_behind_quote(const Row *row, const char *close)
{
    return reel_status_failed(
        "%s:%zu: byte %zu of the line follows a closing quote and is no '%c'; write a quote "
        "within a quoted field as two",
        row->records->name, row->line, (size_t)(close + 1 - row->line_start) + 1, row->records->separator);
}

/* Goes over the lines that a quoted field spans. */
static void count_lines(Row *row, char *from, char *close)
{
    size_t first = row->line;
    bool separated = memchr(from, row->records->separator, (size_t)(close - from)) != NULL;
    for (char *feed; (feed = memchr(from, '\n', (size_t)(close - from))); from = feed + 1) {
        row->line++;
        row->line_start = feed + 1;
    }
    if (row->line > first) {
        find_line_end(row, close);
        if (separated && row->records->format == MODEL_TSV && row->records->swallowed == 0)
            row->records->swallowed = first;
    }
}

/* A field that begins with a quote; *close is NULL where that is text. */
static ReelStatus read_quoted(Row *row, char **close, ModelTextSpan *field)
{
    ModelRecords *records = row->records;
    char *begin = row->at + 1, *end = records->end;
    bool tsv = records->format == MODEL_TSV;
    *close = closing_quote(begin, end);
    if (!*close || *close + 1 == end) {
        row->missing = !records->last;
        if (row->missing || (!*close && tsv))
            return reel_status_ok();
    }
    if (!*close)
        return open_quote(row);
    bool ends =
        *close + 1 == end || (*close)[1] == records->separator || (*close)[1] == '\n' || (*close)[1] == '\r';
    if (!ends && tsv) {
        *close = NULL;
        return reel_status_ok();
    }
    count_lines(row, begin, *close);
    if (!ends)
        return text_behind_quote(row, *close);
    *field = (ModelTextSpan){begin, (size_t)(*close - begin)};
    return reel_status_ok();
}

/* Behind a field whose last byte was in front of `at`: at a separator, or at the end of the line. */
static ReelStatus go_on(Row *row, char *at)
{
    row->done = at >= row->stop;
    row->at = at + 1;
    if (at < row->stop && *at == '\r')
        return lone_cr(row, at);
    return reel_status_ok();
}

/* *quoted: the field is what stands between quotes, and is still to be unquoted. */
static ReelStatus next_field(Row *row, ModelTextSpan *field, bool *quoted)
{
    char *close = NULL;
    ReelStatus status = reel_status_ok();
    if (row->at < row->stop && *row->at == '"')
        status = read_quoted(row, &close, field);
    if (!reel_status_is_ok(&status) || row->missing)
        return status;
    *quoted = close != NULL;
    if (close)
        return go_on(row, close + 1);
    char *separator = memchr(row->at, row->records->separator, (size_t)(row->stop - row->at));
    char *end = separator ? separator : row->stop, *lone = memchr(row->at, '\r', (size_t)(end - row->at));
    if (lone)
        return lone_cr(row, lone);
    *field = (ModelTextSpan){row->at, (size_t)(end - row->at)};
    return go_on(row, end);
}

/* To the first line that is not empty; false: it is not all there. */
static bool find_row(Row *row)
{
    ModelRecords *records = row->records;
    for (;; records->at = row->feed + 1) {
        if (records->at >= records->end)
            return false;
        find_line_end(row, records->at);
        if (row->missing)
            return false;
        if (row->stop > records->at)
            break;
        records->next_line++;
        if (row->feed == records->end) { /* CRs alone, without a line end */
            records->at = records->end;
            return false;
        }
    }
    row->at = row->line_start = records->at;
    row->line = records->next_line;
    return true;
}

static ReelStatus wrong_fields(const ModelRecords *records, int count)
{
    if (records->format == MODEL_TSV)
        return reel_status_failed(
            "%s:%zu: the row has %d field%s and the header %d; separate the fields by one "
            "tab each, and write no tab within a field",
            records->name, records->line, count, count == 1 ? "" : "s", records->columns);
    return reel_status_failed(
        "%s:%zu: the row has %d field%s and the header %d; separate the fields by one '%c' "
        "each, and put quotes around a field that holds one",
        records->name, records->line, count, count == 1 ? "" : "s", records->columns, records->separator);
}

ReelStatus model_records_next_row(ModelRecords *records, bool *more)
{
    Row row = {.records = records};
    int count = 0;
    *more = find_row(&row);
    if (!*more)
        return reel_status_ok();
    records->line = row.line;
    size_t swallowed = records->swallowed;
    while (!row.done) {
        ModelTextSpan field;
        bool quoted = false;
        ReelStatus status = next_field(&row, &field, &quoted);
        if (!reel_status_is_ok(&status))
            return status;
        if (row.missing) {
            records->swallowed = swallowed;
            *more = false;
            return reel_status_ok();
        }
        if (!model_records_reserve(records, count + 1))
            return reel_status_no_memory((size_t)count * sizeof *records->fields, "the columns");
        records->fields[count++] = (ModelField){field, quoted ? REEL_JSON_NULL : REEL_JSON_STRING};
    }
    for (int i = 0; i < count; i++) { /* not before the whole row is there: it may have to be read again */
        ModelField *field = &records->fields[i];
        if (field->kind == REEL_JSON_NULL)
            field->text = unquote((char *)field->text.bytes, field->text.bytes + field->text.length);
        field->kind = REEL_JSON_STRING;
    }
    records->at = row.feed < records->end ? row.feed + 1 : records->end;
    records->next_line = row.line + 1;
    if (records->columns == 0)
        records->columns = count;
    return count == records->columns ? reel_status_ok() : wrong_fields(records, count);
}

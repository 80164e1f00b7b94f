#include "models/text/records_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

ReelStatus model_format_named(const char *name, ModelFormat *format)
{
    static const char *const names[] = {
        [MODEL_TSV] = "tsv", [MODEL_CSV] = "csv", [MODEL_JSONL] = "jsonl", [MODEL_FASTTEXT] = "fasttext"};
    for (int i = MODEL_TSV; i <= MODEL_FASTTEXT; i++)
        if (strcmp(name, names[i]) == 0) {
            *format = (ModelFormat)i;
            return reel_status_ok();
        }
    return reel_status_usage("--input-format %.40s: must be tsv, csv, jsonl or fasttext", name);
}

const char *model_records_form(const ModelRecords *records)
{
    switch (records->format) {
    case MODEL_TSV:
        return "TSV";
    case MODEL_CSV:
        return records->separator == ';'    ? "CSV with ';'"
               : records->separator == '|'  ? "CSV with '|'"
               : records->separator == '\t' ? "CSV with tabs"
                                            : "CSV";
    case MODEL_JSONL:
        return "JSON lines";
    default:
        return "fastText's format";
    }
}

/* ---- The format ---- */

static bool ends_in(const char *name, size_t length, const char *end)
{
    size_t size = strlen(end);
    return length >= size && strncasecmp(name + length - size, end, size) == 0;
}

ModelFormat model_format_of_name(const char *name)
{
    size_t length = strlen(name);
    if (ends_in(name, length, ".gz"))
        length -= 3;
    if (ends_in(name, length, ".tsv") || ends_in(name, length, ".tab"))
        return MODEL_TSV;
    if (ends_in(name, length, ".csv"))
        return MODEL_CSV;
    if (ends_in(name, length, ".jsonl") || ends_in(name, length, ".ndjson"))
        return MODEL_JSONL;
    return MODEL_FORMAT_ANY;
}

/* How often a byte stands in a header outside of quotes. */
static size_t count_outside_quotes(ModelTextSpan header, char byte)
{
    size_t count = 0;
    bool quoted = false;
    for (size_t i = 0; i < header.length; i++) {
        quoted = quoted != (header.bytes[i] == '"');
        count += !quoted && header.bytes[i] == byte;
    }
    return count;
}

/* The likeliest separator of a CSV; 0: none of them is there. */
static char find_separator(ModelTextSpan header)
{
    static const char separators[] = ",;|\t";
    char best = 0;
    size_t most = 0;
    for (int i = 0; separators[i]; i++) {
        size_t count = count_outside_quotes(header, separators[i]);
        if (count > most) {
            most = count;
            best = separators[i];
        }
    }
    return best;
}

/* What the first line says that is not empty. */
static ModelFormat format_of_line(ModelTextSpan line)
{
    ModelTextSpan text = model_trim(line);
    if (text.length > 0 && (text.bytes[0] == '{' || text.bytes[0] == '['))
        return MODEL_JSONL;
    if (text.length > strlen(MODEL_FASTTEXT_LABEL) &&
        memcmp(text.bytes, MODEL_FASTTEXT_LABEL, strlen(MODEL_FASTTEXT_LABEL)) == 0)
        return MODEL_FASTTEXT;
    char separator = memchr(line.bytes, '\t', line.length) ? '\t' : find_separator(line);
    return separator && separator != '\t' ? MODEL_CSV : MODEL_TSV;
}

ModelFormat model_format_of_line(const char *bytes, size_t size)
{
    const char *feed = memchr(bytes, '\n', size);
    return format_of_line((ModelTextSpan){bytes, feed ? (size_t)(feed - bytes) : size});
}

/* The first line that is not empty, which stays. False: it is not all there. */
static bool look_at_line(const ModelRecords *records, ModelTextSpan *line)
{
    const char *at = records->at;
    while (at < records->end && (*at == '\n' || *at == '\r'))
        at++;
    const char *feed = memchr(at, '\n', (size_t)(records->end - at));
    *line = (ModelTextSpan){at, (size_t)((feed ? feed : records->end) - at)};
    return feed || records->last;
}

/* ---- The columns ---- */

static ReelStatus read_header(ModelRecords *records, bool *more)
{
    ReelStatus status = model_records_next_row(records, more);
    if (!reel_status_is_ok(&status) || !*more)
        return status;
    records->name_of = reel_mem_alloc((size_t)records->columns * sizeof *records->name_of);
    for (int i = 0; records->name_of && i < records->columns; i++) {
        records->name_of[i] = model_string_table_add(&records->names, model_trim(records->fields[i].text));
        if (records->name_of[i] < 0)
            return model_records_no_memory(records);
    }
    return records->name_of ? status : model_records_no_memory(records);
}

/* fastText's have no header. */
static ReelStatus name_columns(ModelRecords *records)
{
    records->columns = 2;
    bool fine = model_string_table_add(&records->names, model_text_span("text")) == 0 &&
                model_string_table_add(&records->names, model_text_span("labels")) == 1 &&
                model_records_reserve(records, records->columns);
    return fine ? reel_status_ok() : model_records_no_memory(records);
}

ReelStatus model_records_begin(ModelRecords *records, bool *more)
{
    ModelTextSpan line;
    *more = look_at_line(records, &line);
    if (!*more)
        return reel_status_ok();
    size_t mark = reel_text_file_mark(records->at, (size_t)(records->end - records->at));
    records->at += mark;
    *more = look_at_line(records, &line);
    if (!*more)
        return reel_status_ok();
    if (records->format == MODEL_FORMAT_ANY)
        records->format = model_format_of_name(records->name);
    if (records->format == MODEL_FORMAT_ANY)
        records->format = format_of_line(line);
    char separator = records->format == MODEL_TSV ? '\t' : find_separator(line);
    records->separator = separator ? separator : ',';
    if (records->format == MODEL_FASTTEXT)
        return name_columns(records);
    if (records->format != MODEL_JSONL)
        return read_header(records, more);
    ReelStatus status = model_records_next_object(records, more);
    records->pending = *more;
    return status;
}

ReelStatus model_records_next(ModelRecords *records, bool *more)
{
    *more = true;
    if (records->pending) {
        records->pending = false;
        return reel_status_ok();
    }
    if (records->format == MODEL_JSONL)
        return model_records_next_object(records, more);
    if (records->format == MODEL_FASTTEXT)
        return model_records_next_fasttext(records, more);
    return model_records_next_row(records, more);
}

ReelStatus model_records_find(const ModelRecords *records, ModelTextSpan name, int *column)
{
    int32_t id = model_string_table_find(&records->names, name);
    *column = records->name_of ? -1 : id;
    for (int i = 0; records->name_of && id >= 0 && i < records->columns; i++) {
        if (records->name_of[i] != id)
            continue;
        if (*column >= 0)
            return reel_status_failed("%s:%zu: the header names the column '%.*s' twice; rename one of them",
                                      records->name, records->line, (int)name.length, name.bytes);
        *column = i;
    }
    return reel_status_ok();
}

const char *model_records_column(const ModelRecords *records, int column)
{
    return model_string_table_text(&records->names, records->name_of ? records->name_of[column] : column);
}

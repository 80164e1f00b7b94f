#define _GNU_SOURCE /* memmem */
#include "models/text/records.h"
#include "models/text/records_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FASTTEXT_LABEL "__label__"

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

/* ---- Spaces ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The bytes of a space, seen or not, that the text begins with (`front`) or ends with; 0: none. */
static size_t space_at(ModelTextSpan span, bool front)
{
    static const char *const wide[] = {"\xC2\xA0", "\xE2\x80\x8B", "\xEF\xBB\xBF"};
    if (span.length > 0 && is_space(span.bytes[front ? 0 : span.length - 1]))
        return 1;
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        size_t length = strlen(wide[i]);
        if (length <= span.length &&
            memcmp(front ? span.bytes : span.bytes + span.length - length, wide[i], length) == 0)
            return length;
    }
    return 0;
}

ModelTextSpan model_trim(ModelTextSpan span)
{
    for (size_t length; (length = space_at(span, true)) > 0;)
        span = (ModelTextSpan){span.bytes + length, span.length - length};
    for (size_t length; (length = space_at(span, false)) > 0;)
        span.length -= length;
    return span;
}

/* ---- Bytes ---- */

void model_records_init(ModelRecords *records, const char *name, ModelFormat format)
{
    *records = (ModelRecords){.name = name, .format = format, .next_line = 1};
}

void model_records_free(ModelRecords *records)
{
    model_string_table_free(&records->names);
    reel_mem_free(records->fields);
    reel_mem_free(records->name_of);
    reel_mem_free(records->seen_in);
    reel_json_reader_close(&records->json);
    *records = (ModelRecords){0};
}

void model_records_give(ModelRecords *records, char *bytes, size_t size, bool last)
{
    records->at = bytes;
    records->end = bytes + size;
    records->last = last;
}

bool model_records_reserve(ModelRecords *records, int count)
{
    ModelField *fields =
        reel_mem_reserve(records->fields, 0, (size_t)count, &records->fields_capacity, sizeof *fields);
    if (fields)
        records->fields = fields;
    return fields != NULL;
}

bool model_records_line(ModelRecords *records, ModelTextSpan *line)
{
    char *feed = memchr(records->at, '\n', (size_t)(records->end - records->at));
    if (records->at == records->end || (!feed && !records->last))
        return false;
    char *stop = feed ? feed : records->end;
    *line = (ModelTextSpan){records->at, (size_t)(stop - records->at)};
    while (line->length > 0 && line->bytes[line->length - 1] == '\r')
        line->length--;
    records->at = feed ? feed + 1 : records->end;
    records->line = records->next_line++;
    return true;
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
    if (text.length > strlen(FASTTEXT_LABEL) &&
        memcmp(text.bytes, FASTTEXT_LABEL, strlen(FASTTEXT_LABEL)) == 0)
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

static ReelStatus no_memory(const ModelRecords *records)
{
    return reel_status_no_memory((size_t)records->columns * sizeof *records->fields, "the columns");
}

static ReelStatus read_header(ModelRecords *records, bool *more)
{
    ReelStatus status = model_records_next_row(records, more);
    if (!reel_status_is_ok(&status) || !*more)
        return status;
    records->name_of = reel_mem_alloc((size_t)records->columns * sizeof *records->name_of);
    for (int i = 0; records->name_of && i < records->columns; i++) {
        records->name_of[i] = model_string_table_add(&records->names, model_trim(records->fields[i].text));
        if (records->name_of[i] < 0)
            return no_memory(records);
    }
    return records->name_of ? status : no_memory(records);
}

/* fastText's have no header. */
static ReelStatus name_columns(ModelRecords *records)
{
    records->columns = 2;
    bool fine = model_string_table_add(&records->names, model_text_span("text")) == 0 &&
                model_string_table_add(&records->names, model_text_span("labels")) == 1 &&
                model_records_reserve(records, records->columns);
    return fine ? reel_status_ok() : no_memory(records);
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

/* ---- fastText's lines ---- */

/* The next word of a line; white space as fastText has it. */
static bool next_word(ModelTextSpan *rest, ModelTextSpan *word)
{
    const char *at = rest->bytes, *end = at + rest->length;
    while (at < end && is_space(*at))
        at++;
    const char *start = at;
    while (at < end && !is_space(*at))
        at++;
    *word = (ModelTextSpan){start, (size_t)(at - start)};
    *rest = (ModelTextSpan){at, (size_t)(end - at)};
    return word->length > 0;
}

static bool is_label(ModelTextSpan word)
{
    size_t prefix = strlen(FASTTEXT_LABEL);
    return word.length > prefix && memcmp(word.bytes, FASTTEXT_LABEL, prefix) == 0;
}

/* Labels go to the front of the line, without their prefix and each with a line end, which no word has: they
 * take less room so. */
static char *take_labels(char *to, ModelTextSpan *rest, ReelBytes *words, bool *fine)
{
    ModelTextSpan word;
    for (ModelTextSpan before = *rest; next_word(rest, &word); before = *rest) {
        if (is_label(word)) {
            size_t length = word.length - strlen(FASTTEXT_LABEL);
            memmove(to, word.bytes + strlen(FASTTEXT_LABEL), length);
            to[length] = '\n';
            to += length + 1;
        } else if (words) {
            *fine = *fine && (words->size == 0 || reel_bytes_append(words, " ", 1)) &&
                    reel_bytes_append(words, word.bytes, word.length);
        } else {
            *rest = before; /* the first word of the text */
            break;
        }
    }
    return to;
}

ReelStatus model_records_next_fasttext(ModelRecords *records, bool *more)
{
    ModelTextSpan line;
    do
        *more = model_records_line(records, &line);
    while (*more && model_trim(line).length == 0);
    if (!*more)
        return reel_status_ok();
    ReelBytes *words = &records->json.string; /* scratch memory, which the other format has as well */
    char *front = (char *)line.bytes;
    bool fine = true;
    char *to = take_labels(front, &line, NULL, &fine);
    ModelTextSpan text = model_trim(line);
    if (memmem(text.bytes, text.length, FASTTEXT_LABEL,
               strlen(FASTTEXT_LABEL))) { /* others stand behind it */
        words->size = 0;
        to = take_labels(to, &text, words, &fine);
        if (!fine)
            return no_memory(records);
        if (words->size > 0)
            memcpy(to, words->data, words->size);
        text = (ModelTextSpan){to, words->size};
    }
    records->fields[0] = (ModelField){text, REEL_JSON_STRING};
    records->fields[1] = (ModelField){{front, (size_t)(to - front)}, REEL_JSON_STRING};
    return reel_status_ok();
}

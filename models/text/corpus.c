#define _GNU_SOURCE /* memmem */
#include "models/text/corpus.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Rows whose labels look like several that something else separates. */
typedef struct {
    int64_t rows;
    size_t line; /* of the first, and what stands there */
    TextSpan text;
    bool is_list;
    char separator;
} Doubt;

/* Where the reader is. Lines count from 1. */
typedef struct {
    const char *name;
    const char *at, *end;
    size_t line;
    int columns, text_column, labels_column;
    Corpus *corpus;
    TextSpan separator;
    bool doubts; /* the separator was not chosen: labels that hold another one are noticed */
    Doubt doubt;
    size_t texts_capacity, offsets_capacity, labels_capacity, last_rows_capacity;
    size_t num_labels;
    int64_t *last_rows; /* [classes] the last row that bears each, to take none twice */
} Reader;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The bytes of a space, seen or not, that the text begins with (`front`) or ends with; 0: none. The no-break
 * space and what has no width come from spreadsheets and web pages. */
static size_t space_at(TextSpan span, bool front)
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

static TextSpan trim(TextSpan span)
{
    for (size_t length; (length = space_at(span, true)) > 0;)
        span = (TextSpan){span.bytes + length, span.length - length};
    for (size_t length; (length = space_at(span, false)) > 0;)
        span.length -= length;
    return span;
}

/* The next line without its end; all CRs in front of the LF are of it. *more is false behind the last one. */
static ReelStatus next_line(Reader *reader, TextSpan *line, bool *more)
{
    *more = reader->at < reader->end;
    if (!*more)
        return reel_status_ok();
    const char *feed = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    const char *stop = feed ? feed : reader->end;
    *line = (TextSpan){reader->at, (size_t)(stop - reader->at)};
    while (line->length > 0 && line->bytes[line->length - 1] == '\r')
        line->length--;
    reader->at = feed ? feed + 1 : reader->end;
    reader->line++;
    const char *lone = line->length > 0 ? memchr(line->bytes, '\r', line->length) : NULL;
    return lone ? reel_status_failed(
                      "%s:%zu: byte %zu of the line is a CR that no LF follows; where lines end in CR "
                      "alone, convert the file, as with `tr '\\r' '\\n'`, else take it out",
                      reader->name, reader->line, (size_t)(lone - line->bytes) + 1)
                : reel_status_ok();
}

/* Takes the label in front of the next separator off the front of `rest`; bytes == NULL marks the end. */
static bool next_label(const Reader *reader, TextSpan *rest, TextSpan *label)
{
    if (!rest->bytes)
        return false;
    const char *at = memmem(rest->bytes, rest->length, reader->separator.bytes, reader->separator.length);
    size_t length = at ? (size_t)(at - rest->bytes) : rest->length, taken = length + reader->separator.length;
    *label = (TextSpan){rest->bytes, length};
    *rest = at ? (TextSpan){rest->bytes + taken, rest->length - taken} : (TextSpan){NULL, 0};
    return true;
}

/* The quote that closes what was opened in front of `at`; two in a row are one that is meant. NULL: none. */
static const char *closing_quote(const char *at, const char *end)
{
    while (at < end && (at = memchr(at, '"', (size_t)(end - at)))) {
        if (at + 1 == end || at[1] != '"')
            return at;
        at += 2;
    }
    return NULL;
}

/* What a quoted field holds, made of it in its place. */
static TextSpan unquote(TextSpan field)
{
    char *to = (char *)field.bytes + 1;
    const char *from = to, *end = field.bytes + field.length - 1;
    TextSpan text = {to, 0};
    for (; from < end; from++) {
        *to++ = *from;
        from += *from == '"';
    }
    text.length = (size_t)(to - text.bytes);
    return text;
}

/* A field that begins with a quote. One that does not close is text, unless its closing quote stands where
 * fields end further on: then a csv writer has put a tab or a line's end between them. */
static ReelStatus read_quoted(const Reader *reader, TextSpan *field)
{
    const char *end = field->bytes + field->length, *close = closing_quote(field->bytes + 1, end);
    if (close == end - 1)
        *field = unquote(*field);
    if (close)
        return reel_status_ok();
    close = closing_quote(field->bytes + 1, reader->end);
    if (!close || (close + 1 < reader->end && !strchr("\t\r\n", close[1])))
        return reel_status_ok();
    return reel_status_failed(
        "%s:%zu: a quoted field goes on behind %s; write each field on one line and without "
        "tabs, in pandas with `.str.replace(r'\\s+', ' ', regex=True)`",
        reader->name, reader->line,
        memchr(end, '\n', (size_t)(close - end)) ? "the end of the line" : "a tab");
}

/* Takes the next field off the front of `rest`; bytes == NULL marks the end. */
static ReelStatus next_field(const Reader *reader, TextSpan *rest, TextSpan *field)
{
    const char *tab = memchr(rest->bytes, '\t', rest->length);
    size_t length = tab ? (size_t)(tab - rest->bytes) : rest->length;
    *field = (TextSpan){rest->bytes, length};
    *rest = tab ? (TextSpan){tab + 1, rest->length - length - 1} : (TextSpan){NULL, 0};
    return length > 0 && field->bytes[0] == '"' ? read_quoted(reader, field) : reel_status_ok();
}

static bool is_name(TextSpan field, const char *name)
{
    return field.length == strlen(name) && memcmp(field.bytes, name, field.length) == 0;
}

static ReelStatus name_column(Reader *reader, TextSpan field)
{
    int *column = is_name(field, "text")     ? &reader->text_column
                  : is_name(field, "labels") ? &reader->labels_column
                                             : NULL;
    if (column && *column >= 0)
        return reel_status_failed("%s:%zu: the header names the column '%.*s' twice; rename one of them",
                                  reader->name, reader->line, (int)field.length, field.bytes);
    if (column)
        *column = reader->columns;
    return reel_status_ok();
}

static ReelStatus read_header(Reader *reader)
{
    TextSpan line = {"", 0}, field;
    bool more = true;
    ReelStatus status = reel_status_ok();
    while (line.length == 0 && more && reel_status_is_ok(&status))
        status = next_line(reader, &line, &more);
    reader->text_column = reader->labels_column = -1;
    for (; line.bytes && reel_status_is_ok(&status); reader->columns++) {
        status = next_field(reader, &line, &field);
        if (reel_status_is_ok(&status))
            status = name_column(reader, trim(field));
    }
    if (reel_status_is_ok(&status) && (reader->text_column < 0 || reader->labels_column < 0))
        return reel_status_failed(
            "%s:%zu: the header has no column '%s'; the first line must name the columns "
            "'text' and 'labels', separated by a tab",
            reader->name, reader->line, reader->text_column < 0 ? "text" : "labels");
    return status;
}

/* ---- Labels that look like several ---- */

/* ['a', 'b'] of Python, ["a"] of JSON, {'a'} and ('a',) of Python. */
static bool is_list(TextSpan labels)
{
    static const char *const brackets[] = {"[]", "{}", "()"};
    const char *at = labels.bytes;
    for (int i = 0; i < 3 && labels.length >= 2; i++)
        if (at[0] == brackets[i][0] && at[labels.length - 1] == brackets[i][1] &&
            (i == 0 || at[1] == '\'' || at[1] == '"'))
            return true;
    return false;
}

static void doubt(Reader *reader, TextSpan labels)
{
    TextSpan rest = labels, label = labels;
    char separator = 0;
    while (reader->doubts && !separator && next_label(reader, &rest, &label))
        for (size_t i = 0; i < label.length && !separator; i++)
            if (strchr(",;|", label.bytes[i]))
                separator = label.bytes[i];
    bool list = is_list(labels);
    if ((list || separator) && reader->doubt.rows++ == 0) {
        reader->doubt = (Doubt){.rows = 1, .line = reader->line, .is_list = list, .separator = separator};
        reader->doubt.text = list ? labels : trim(label);
    }
}

/* How much of the first ones is shown: whole characters. */
static int shown_length(TextSpan text)
{
    size_t length = text.length < 60 ? text.length : 60;
    while (length > 0 && length < text.length && ((unsigned char)text.bytes[length] & 0xC0) == 0x80)
        length--;
    return (int)length;
}

static void write_warning(const Reader *reader)
{
    const Doubt *doubt = &reader->doubt;
    char rows[64] = "";
    if (doubt->rows > 1)
        snprintf(rows, sizeof rows, " (%lld rows are so)", (long long)doubt->rows);
    if (doubt->is_list)
        snprintf(reader->corpus->warning, CORPUS_WARNING_SIZE,
                 "%.150s:%zu: the labels \"%.*s\" look like a list of Python's or JSON's%s; write them as "
                 "'one, two', or with another separator that --label-separator names",
                 reader->name, doubt->line, shown_length(doubt->text), doubt->text.bytes, rows);
    else if (doubt->rows > 0)
        snprintf(reader->corpus->warning, CORPUS_WARNING_SIZE,
                 "%.150s:%zu: '%.*s' is one label and looks like several%s; where it is, say what separates "
                 "them: --label-separator '%c'; where it is not: --label-separator '%s'",
                 reader->name, doubt->line, shown_length(doubt->text), doubt->text.bytes, rows,
                 doubt->separator, reader->corpus->label_separator);
}

static void warn_of_two(const Reader *reader, TextSpan first, TextSpan second)
{
    snprintf(
        reader->corpus->warning, CORPUS_WARNING_SIZE,
        "%.150s: the labels '%.*s' and '%.*s' differ in upper and lower case alone and count as two; write "
        "them alike if they are one",
        reader->name, shown_length(first), first.bytes, shown_length(second), second.bytes);
}

/* Two labels that differ in the case of letters a-z alone are two, as in scikit-learn, and seldom meant so.
 */
static ReelStatus warn_of_case(const Reader *reader)
{
    const StringTable *classes = &reader->corpus->classes;
    StringTable folded = {0};
    ReelStatus status = reel_status_ok();
    for (int32_t id = 0; id < classes->count && !reader->corpus->warning[0]; id++) {
        size_t length = classes->items[id].length;
        char *lower = reel_mem_strdup(string_table_text(classes, id));
        for (size_t i = 0; lower && i < length; i++)
            lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] - 'A' + 'a' : lower[i]);
        int32_t first = lower ? string_table_add(&folded, (TextSpan){lower, length}) : -1;
        reel_mem_free(lower);
        if (first < 0) {
            status = reel_status_no_memory(length + 1, "the labels' names");
            break;
        }
        if (first < id)
            warn_of_two(reader, text_span(string_table_text(classes, first)),
                        text_span(string_table_text(classes, id)));
    }
    string_table_free(&folded);
    return status;
}

/* ---- Rows ---- */

static ReelStatus add_label(Reader *reader, TextSpan label)
{
    Corpus *corpus = reader->corpus;
    if (label.length == 0)
        return reel_status_failed("%s:%zu: the row has an empty label; write the labels as 'one%stwo'",
                                  reader->name, reader->line, corpus->label_separator);
    int32_t before = corpus->classes.count;
    int64_t *last_rows =
        reel_mem_grow(reader->last_rows, (size_t)before, &reader->last_rows_capacity, sizeof *last_rows);
    if (last_rows)
        reader->last_rows = last_rows;
    int32_t id = last_rows ? string_table_add(&corpus->classes, label) : -1;
    if (id < 0)
        return reel_status_no_memory(label.length, "the labels' names");
    if (id < before && last_rows[id] == corpus->rows)
        return reel_status_ok();
    last_rows[id] = corpus->rows;
    int32_t *labels =
        reel_mem_grow(corpus->labels, reader->num_labels, &reader->labels_capacity, sizeof *corpus->labels);
    if (!labels)
        return reel_status_no_memory(reader->num_labels * sizeof *labels, "the labels");
    corpus->labels = labels;
    labels[reader->num_labels++] = id;
    return reel_status_ok();
}

static ReelStatus add_row(Reader *reader, TextSpan text, TextSpan labels)
{
    Corpus *corpus = reader->corpus;
    size_t row = (size_t)corpus->rows;
    TextSpan *texts = reel_mem_grow(corpus->texts, row, &reader->texts_capacity, sizeof *texts);
    if (texts)
        corpus->texts = texts;
    int64_t *offsets =
        reel_mem_grow(corpus->label_offsets, row + 1, &reader->offsets_capacity, sizeof *offsets);
    if (offsets)
        corpus->label_offsets = offsets;
    if (!texts || !offsets || row >= INT32_MAX)
        return reel_status_no_memory(row * sizeof *texts, "the rows");
    TextSpan label;
    if (trim(labels).length > 0)
        doubt(reader, trim(labels));
    else {
        labels.bytes = NULL;
        corpus->unlabelled++;
    }
    while (next_label(reader, &labels, &label)) {
        ReelStatus status = add_label(reader, trim(label));
        if (!reel_status_is_ok(&status))
            return status;
    }
    texts[row] = text;
    offsets[row + 1] = (int64_t)reader->num_labels;
    corpus->rows++;
    return reel_status_ok();
}

static ReelStatus read_row(Reader *reader, TextSpan line)
{
    TextSpan field, text = {"", 0}, labels = {"", 0};
    int columns = 0;
    for (; line.bytes; columns++) {
        ReelStatus status = next_field(reader, &line, &field);
        if (!reel_status_is_ok(&status))
            return status;
        if (columns == reader->text_column)
            text = field;
        if (columns == reader->labels_column)
            labels = field;
    }
    if (columns != reader->columns)
        return reel_status_failed(
            "%s:%zu: the row has %d field%s and the header %d; separate the fields by one "
            "tab each, and write no tab within a field",
            reader->name, reader->line, columns, columns == 1 ? "" : "s", reader->columns);
    return add_row(reader, text, labels);
}

static int compare_labels(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the classes, and the labels of every row by the new numbers. */
static ReelStatus sort_classes(Corpus *corpus)
{
    size_t bytes = (size_t)corpus->classes.count * sizeof(int32_t);
    int32_t *new_ids = reel_mem_alloc(bytes);
    if (!new_ids || !string_table_sort(&corpus->classes, new_ids)) {
        reel_mem_free(new_ids);
        return reel_status_no_memory(bytes, "the labels");
    }
    for (int64_t row = 0; row < corpus->rows; row++) {
        int64_t count = corpus->label_offsets[row + 1] - corpus->label_offsets[row];
        int32_t *labels = count > 0 ? corpus->labels + corpus->label_offsets[row] : NULL;
        for (int64_t i = 0; i < count; i++)
            labels[i] = new_ids[labels[i]];
        if (count > 1)
            qsort(labels, (size_t)count, sizeof *labels, compare_labels);
    }
    reel_mem_free(new_ids);
    return reel_status_ok();
}

static ReelStatus read_rows(Reader *reader)
{
    Corpus *corpus = reader->corpus;
    corpus->label_offsets = reel_mem_calloc(1, sizeof *corpus->label_offsets);
    if (!corpus->label_offsets)
        return reel_status_no_memory(sizeof *corpus->label_offsets, "the rows");
    reader->offsets_capacity = 1;
    for (;;) {
        TextSpan line = {"", 0};
        bool more;
        ReelStatus status = next_line(reader, &line, &more);
        if (reel_status_is_ok(&status) && !more)
            break;
        if (reel_status_is_ok(&status) && line.length > 0)
            status = read_row(reader, line);
        if (!reel_status_is_ok(&status))
            return status;
    }
    if (corpus->rows == 0)
        return reel_status_failed("%s:%zu: there are no rows after the header; add some", reader->name,
                                  reader->line + 1);
    write_warning(reader);
    ReelStatus status = warn_of_case(reader);
    return reel_status_is_ok(&status) ? sort_classes(corpus) : status;
}

static ReelStatus set_separator(Corpus *corpus, const CorpusOptions *options)
{
    const char *separator = options && options->label_separator ? options->label_separator : ", ";
    size_t length = strlen(separator);
    if (length == 0 || length >= CORPUS_SEPARATOR_SIZE || strpbrk(separator, "\t\r\n\"") ||
        reel_utf8_valid(separator, length) != length)
        return reel_status_usage(
            "a separator of labels is 1 to %d bytes of UTF-8 without tabs, line ends and quotes",
            CORPUS_SEPARATOR_SIZE - 1);
    memcpy(corpus->label_separator, separator, length + 1);
    return reel_status_ok();
}

/* Reads what corpus->bytes holds. */
static ReelStatus parse(Corpus *corpus, const char *name, const CorpusOptions *options)
{
    ReelStatus status = set_separator(corpus, options);
    if (reel_status_is_ok(&status))
        status = reel_text_file_check(name, corpus->bytes, corpus->size);
    if (!reel_status_is_ok(&status))
        return status;
    snprintf(corpus->hash, sizeof corpus->hash, "%08lx",
             (unsigned long)crc32_z(0, (const Bytef *)corpus->bytes, corpus->size));
    Reader reader = {.name = name,
                     .at = corpus->bytes + reel_text_file_mark(corpus->bytes, corpus->size),
                     .end = corpus->bytes + corpus->size,
                     .corpus = corpus,
                     .separator = text_span(corpus->label_separator),
                     .doubts = !options || !options->label_separator};
    status = read_header(&reader);
    if (reel_status_is_ok(&status))
        status = read_rows(&reader);
    reel_mem_free(reader.last_rows);
    return status;
}

ReelStatus corpus_read(Corpus *corpus, const char *path, const CorpusOptions *options)
{
    *corpus = (Corpus){0};
    ReelStatus status = reel_text_file_read(path, &corpus->bytes, &corpus->size);
    if (reel_status_is_ok(&status) && corpus->size == 0)
        status = reel_text_file_empty(path);
    if (reel_status_is_ok(&status))
        status = parse(corpus, path, options);
    if (!reel_status_is_ok(&status))
        corpus_free(corpus);
    return status;
}

ReelStatus corpus_parse(Corpus *corpus, const char *name, const char *bytes, size_t size,
                        const CorpusOptions *options)
{
    *corpus = (Corpus){0};
    if (size == 0)
        return reel_text_file_empty(name);
    corpus->bytes = reel_mem_alloc(size);
    if (!corpus->bytes)
        return reel_status_no_memory(size, name);
    memcpy(corpus->bytes, bytes, size);
    corpus->size = size;
    ReelStatus status = parse(corpus, name, options);
    if (!reel_status_is_ok(&status))
        corpus_free(corpus);
    return status;
}

void corpus_free(Corpus *corpus)
{
    reel_mem_free(corpus->texts);
    reel_mem_free(corpus->label_offsets);
    reel_mem_free(corpus->labels);
    string_table_free(&corpus->classes);
    reel_mem_free(corpus->bytes);
    *corpus = (Corpus){0};
}

Tensor corpus_label_matrix(TensorArena *arena, const Corpus *corpus, const int32_t *rows, int64_t count)
{
    int64_t classes = corpus_num_classes(corpus);
    Tensor matrix = tensor_zeros(arena, TENSOR_F32, TENSOR_SHAPE(count, classes)); /* [count, classes] */
    if (!tensor_is_valid(matrix))
        return matrix;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows ? rows[i] : i;
        for (int64_t at = corpus->label_offsets[row]; at < corpus->label_offsets[row + 1]; at++)
            tensor_f32(matrix)[i * classes + corpus->labels[at]] = 1.0f;
    }
    return matrix;
}

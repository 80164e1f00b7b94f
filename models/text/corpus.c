#include "models/text/corpus.h"
#include "models/text/text_file.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Where the reader is. Lines count from 1. */
typedef struct {
    const char *name;
    const char *at, *end;
    size_t line;
    int columns, text_column, labels_column;
    Corpus *corpus;
    size_t texts_capacity, offsets_capacity, labels_capacity, last_rows_capacity;
    size_t num_labels;
    int64_t *last_rows; /* [classes] the last row that bears each, to take none twice */
} Reader;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static TextSpan trim(TextSpan span)
{
    while (span.length > 0 && is_space(span.bytes[0]))
        span = (TextSpan){span.bytes + 1, span.length - 1};
    while (span.length > 0 && is_space(span.bytes[span.length - 1]))
        span.length--;
    return span;
}

/* The next line without its end. False behind the last one. */
static bool next_line(Reader *reader, TextSpan *line)
{
    if (reader->at == reader->end)
        return false;
    const char *feed = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    const char *stop = feed ? feed : reader->end;
    *line = (TextSpan){reader->at, (size_t)(stop - reader->at)};
    if (line->length > 0 && stop[-1] == '\r')
        line->length--;
    reader->at = feed ? feed + 1 : reader->end;
    reader->line++;
    return true;
}

/* Takes the label in front of the next ", " off the front of `rest`; bytes == NULL marks the end. */
static bool next_label(TextSpan *rest, TextSpan *label)
{
    if (!rest->bytes)
        return false;
    for (size_t i = 0; i + 1 < rest->length; i++)
        if (rest->bytes[i] == ',' && rest->bytes[i + 1] == ' ') {
            *label = (TextSpan){rest->bytes, i};
            *rest = (TextSpan){rest->bytes + i + 2, rest->length - i - 2};
            return true;
        }
    *label = *rest;
    *rest = (TextSpan){NULL, 0};
    return true;
}

static bool next_field(TextSpan *rest, TextSpan *field)
{
    if (!rest->bytes)
        return false;
    const char *tab = memchr(rest->bytes, '\t', rest->length);
    size_t length = tab ? (size_t)(tab - rest->bytes) : rest->length;
    *field = (TextSpan){rest->bytes, length};
    *rest = tab ? (TextSpan){tab + 1, rest->length - length - 1} : (TextSpan){NULL, 0};
    return true;
}

static bool is_name(TextSpan field, const char *name)
{
    return field.length == strlen(name) && memcmp(field.bytes, name, field.length) == 0;
}

static Status read_header(Reader *reader)
{
    TextSpan line = {"", 0}, field;
    while (line.length == 0 && next_line(reader, &line))
        ;
    reader->text_column = reader->labels_column = -1;
    for (; next_field(&line, &field); reader->columns++) {
        field = trim(field);
        int *column = is_name(field, "text")     ? &reader->text_column
                      : is_name(field, "labels") ? &reader->labels_column
                                                 : NULL;
        if (column && *column >= 0)
            return status_failed("%s:%zu: the header names the column '%.*s' twice; rename one of them",
                                 reader->name, reader->line, (int)field.length, field.bytes);
        if (column)
            *column = reader->columns;
    }
    if (reader->text_column < 0 || reader->labels_column < 0)
        return status_failed("%s:%zu: the header has no column '%s'; the first line must name the columns "
                             "'text' and 'labels', separated by a tab",
                             reader->name, reader->line, reader->text_column < 0 ? "text" : "labels");
    return status_ok();
}

static Status add_label(Reader *reader, TextSpan label)
{
    Corpus *corpus = reader->corpus;
    if (label.length == 0)
        return status_failed("%s:%zu: the row has an empty label; write the labels as 'one, two'",
                             reader->name, reader->line);
    int32_t before = corpus->classes.count;
    int64_t *last_rows =
        mem_grow(reader->last_rows, (size_t)before, &reader->last_rows_capacity, sizeof *last_rows);
    if (last_rows)
        reader->last_rows = last_rows;
    int32_t id = last_rows ? string_table_add(&corpus->classes, label) : -1;
    if (id < 0)
        return status_no_memory(label.length, "the labels' names");
    if (id < before && last_rows[id] == corpus->rows)
        return status_ok();
    last_rows[id] = corpus->rows;
    int32_t *labels =
        mem_grow(corpus->labels, reader->num_labels, &reader->labels_capacity, sizeof *corpus->labels);
    if (!labels)
        return status_no_memory(reader->num_labels * sizeof *labels, "the labels");
    corpus->labels = labels;
    labels[reader->num_labels++] = id;
    return status_ok();
}

static Status add_row(Reader *reader, TextSpan text, TextSpan labels)
{
    Corpus *corpus = reader->corpus;
    size_t row = (size_t)corpus->rows;
    if (trim(labels).length == 0)
        return status_failed("%s:%zu: the row has no labels; name at least one, or remove the row",
                             reader->name, reader->line);
    TextSpan *texts = mem_grow(corpus->texts, row, &reader->texts_capacity, sizeof *texts);
    if (texts)
        corpus->texts = texts;
    int64_t *offsets = mem_grow(corpus->label_offsets, row + 1, &reader->offsets_capacity, sizeof *offsets);
    if (offsets)
        corpus->label_offsets = offsets;
    if (!texts || !offsets || row >= INT32_MAX)
        return status_no_memory(row * sizeof *texts, "the rows");
    TextSpan label;
    while (next_label(&labels, &label)) {
        Status status = add_label(reader, trim(label));
        if (!status_is_ok(&status))
            return status;
    }
    texts[row] = text;
    offsets[row + 1] = (int64_t)reader->num_labels;
    corpus->rows++;
    return status_ok();
}

static Status read_row(Reader *reader, TextSpan line)
{
    TextSpan field, text = {"", 0}, labels = {"", 0};
    int columns = 0;
    for (; next_field(&line, &field); columns++) {
        if (columns == reader->text_column)
            text = field;
        if (columns == reader->labels_column)
            labels = field;
    }
    if (columns != reader->columns)
        return status_failed("%s:%zu: the row has %d field%s and the header %d; separate the fields by one "
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
static Status sort_classes(Corpus *corpus)
{
    size_t bytes = (size_t)corpus->classes.count * sizeof(int32_t);
    int32_t *new_ids = mem_alloc(bytes);
    if (!new_ids || !string_table_sort(&corpus->classes, new_ids)) {
        mem_free(new_ids);
        return status_no_memory(bytes, "the labels");
    }
    for (int64_t row = 0; row < corpus->rows; row++) {
        int32_t *labels = corpus->labels + corpus->label_offsets[row];
        int64_t count = corpus->label_offsets[row + 1] - corpus->label_offsets[row];
        for (int64_t i = 0; i < count; i++)
            labels[i] = new_ids[labels[i]];
        qsort(labels, (size_t)count, sizeof *labels, compare_labels);
    }
    mem_free(new_ids);
    return status_ok();
}

static Status read_rows(Reader *reader)
{
    Corpus *corpus = reader->corpus;
    corpus->label_offsets = mem_calloc(1, sizeof *corpus->label_offsets);
    if (!corpus->label_offsets)
        return status_no_memory(sizeof *corpus->label_offsets, "the rows");
    reader->offsets_capacity = 1;
    TextSpan line;
    while (next_line(reader, &line)) {
        if (line.length == 0)
            continue;
        Status status = read_row(reader, line);
        if (!status_is_ok(&status))
            return status;
    }
    if (corpus->rows == 0)
        return status_failed("%s:%zu: there are no rows behind the header; add some", reader->name,
                             reader->line + 1);
    if (corpus->classes.count < 2)
        return status_failed("%s:%zu: all rows have the same single label '%.100s'; there is nothing to "
                             "learn, at least two are needed",
                             reader->name, reader->line, string_table_text(&corpus->classes, 0));
    return sort_classes(corpus);
}

/* Reads what corpus->bytes holds. */
static Status parse(Corpus *corpus, const char *name)
{
    Status status = text_file_check(name, corpus->bytes, corpus->size);
    if (!status_is_ok(&status))
        return status;
    Reader reader = {
        .name = name, .at = corpus->bytes, .end = corpus->bytes + corpus->size, .corpus = corpus};
    if (corpus->size >= 3 && memcmp(reader.at, "\xEF\xBB\xBF", 3) == 0)
        reader.at += 3;
    status = read_header(&reader);
    if (status_is_ok(&status))
        status = read_rows(&reader);
    mem_free(reader.last_rows);
    snprintf(corpus->hash, sizeof corpus->hash, "%08lx",
             (unsigned long)crc32_z(0, (const Bytef *)corpus->bytes, corpus->size));
    return status;
}

Status corpus_read(Corpus *corpus, const char *path)
{
    *corpus = (Corpus){0};
    Status status = text_file_read(path, &corpus->bytes, &corpus->size);
    if (status_is_ok(&status))
        status = parse(corpus, path);
    if (!status_is_ok(&status))
        corpus_free(corpus);
    return status;
}

Status corpus_parse(Corpus *corpus, const char *name, const char *bytes, size_t size)
{
    *corpus = (Corpus){0};
    if (size == 0)
        return status_failed("%s: there is no text; a header and rows are needed", name);
    corpus->bytes = mem_alloc(size);
    if (!corpus->bytes)
        return status_no_memory(size, name);
    memcpy(corpus->bytes, bytes, size);
    corpus->size = size;
    Status status = parse(corpus, name);
    if (!status_is_ok(&status))
        corpus_free(corpus);
    return status;
}

void corpus_free(Corpus *corpus)
{
    mem_free(corpus->texts);
    mem_free(corpus->label_offsets);
    mem_free(corpus->labels);
    string_table_free(&corpus->classes);
    mem_free(corpus->bytes);
    *corpus = (Corpus){0};
}

Tensor corpus_label_matrix(Arena *arena, const Corpus *corpus, const int32_t *rows, int64_t count)
{
    int64_t classes = corpus_num_classes(corpus);
    Tensor matrix = tensor_zeros(arena, DTYPE_F32, SHAPE(count, classes)); /* [count, classes] */
    if (!tensor_is_valid(matrix))
        return matrix;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows ? rows[i] : i;
        for (int64_t at = corpus->label_offsets[row]; at < corpus->label_offsets[row + 1]; at++)
            tensor_f32(matrix)[i * classes + corpus->labels[at]] = 1.0f;
    }
    return matrix;
}

#define _GNU_SOURCE /* memmem */
#include "models/text/corpus.h"
#include "models/text/record_source.h"
#include "models/text/word_texts.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

/* Rows whose labels look like several that something else separates. */
typedef struct {
    int64_t rows;
    size_t line; /* of the first, and what stands there */
    char text[64];
    bool is_list;
    char separator;
} Doubt;

/* A corpus that is being read. */
typedef struct {
    const char *name;
    ModelRecords records;
    ModelColumns columns;
    size_t line; /* of the row at hand, from 1 */
    ModelCorpus *corpus;
    ModelCorpusTake *take;
    void *context;
    ModelTextSpan separator;
    bool doubts; /* the separator was not chosen: labels that hold another one are noticed */
    Doubt doubt;
    ModelTextSpan *texts; /* of the window at hand, which begins with row `first` */
    int64_t first;
    TensorArena joined; /* texts of several columns */
    size_t texts_capacity, offsets_capacity, labels_capacity, last_rows_capacity, parts_capacity,
        groups_capacity;
    size_t num_labels;
    int64_t *last_rows; /* [classes] the last row that bears each, to take none twice */

    /* Label columns. */
    bool *is_flag; /* [columns] it holds nothing but 0 and 1 so far */
    int num_flags; /* columns that are looked at so far */
    size_t is_flag_capacity;
} Reader;

/* Takes the label in front of the next separator off the front of `rest`; bytes == NULL marks the end. */
static bool next_label(const Reader *reader, ModelTextSpan *rest, ModelTextSpan *label)
{
    if (!rest->bytes)
        return false;
    const char *at = memmem(rest->bytes, rest->length, reader->separator.bytes, reader->separator.length);
    size_t length = at ? (size_t)(at - rest->bytes) : rest->length, taken = length + reader->separator.length;
    *label = (ModelTextSpan){rest->bytes, length};
    *rest = at ? (ModelTextSpan){rest->bytes + taken, rest->length - taken} : (ModelTextSpan){NULL, 0};
    return true;
}

/* ---- Labels that look like several ---- */

/* ['a', 'b'] of Python, ["a"] of JSON, {'a'} and ('a',) of Python. */
static bool is_list(ModelTextSpan labels)
{
    static const char *const brackets[] = {"[]", "{}", "()"};
    const char *at = labels.bytes;
    for (int i = 0; i < 3 && labels.length >= 2; i++)
        if (at[0] == brackets[i][0] && at[labels.length - 1] == brackets[i][1] &&
            (i == 0 || at[1] == '\'' || at[1] == '"'))
            return true;
    return false;
}

/* How much of the first ones is shown: whole characters. */
static int shown_length(ModelTextSpan text)
{
    size_t length = text.length < 60 ? text.length : 60;
    while (length > 0 && length < text.length && ((unsigned char)text.bytes[length] & 0xC0) == 0x80)
        length--;
    return (int)length;
}

static void doubt(Reader *reader, ModelTextSpan labels)
{
    ModelTextSpan rest = labels, label = labels;
    char separator = 0;
    while (reader->doubts && !separator && next_label(reader, &rest, &label))
        for (size_t i = 0; i < label.length && !separator; i++)
            if (strchr(",;|", label.bytes[i]))
                separator = label.bytes[i];
    bool list = is_list(labels);
    if ((list || separator) && reader->doubt.rows++ == 0) {
        reader->doubt = (Doubt){.rows = 1, .line = reader->line, .is_list = list, .separator = separator};
        ModelTextSpan text = list ? labels : model_trim(label);
        snprintf(reader->doubt.text, sizeof reader->doubt.text, "%.*s", shown_length(text), text.bytes);
    }
}

static void write_warning(const Reader *reader)
{
    const Doubt *doubt = &reader->doubt;
    char rows[64] = "";
    if (doubt->rows > 1)
        snprintf(rows, sizeof rows, " (%lld rows are so)", (long long)doubt->rows);
    if (doubt->is_list)
        snprintf(reader->corpus->warning, MODEL_CORPUS_WARNING_SIZE,
                 "%.150s:%zu: the labels \"%s\" look like a list of Python's or JSON's%s; write them as "
                 "'one, two', or with another separator that --label-separator names",
                 reader->name, doubt->line, doubt->text, rows);
    else if (doubt->rows > 0)
        snprintf(reader->corpus->warning, MODEL_CORPUS_WARNING_SIZE,
                 "%.150s:%zu: '%s' is one label and looks like several%s; where it is, say what separates "
                 "them: --label-separator '%c'; where it is not: --label-separator '%s'",
                 reader->name, doubt->line, doubt->text, rows, doubt->separator,
                 reader->corpus->label_separator);
}

static void warn_of_two(const Reader *reader, ModelTextSpan first, ModelTextSpan second)
{
    snprintf(
        reader->corpus->warning, MODEL_CORPUS_WARNING_SIZE,
        "%.150s: the labels '%.*s' and '%.*s' differ in upper and lower case alone and count as two; write "
        "them alike if they are one",
        reader->name, shown_length(first), first.bytes, shown_length(second), second.bytes);
}

/* Two labels that differ in the case of letters a-z alone are two, as in scikit-learn, and seldom meant so.
 */
static ReelStatus warn_of_case(const Reader *reader)
{
    const ModelStringTable *classes = &reader->corpus->classes;
    ModelStringTable folded = {0};
    ReelStatus status = reel_status_ok();
    for (int32_t id = 0; id < classes->count && !reader->corpus->warning[0]; id++) {
        size_t length = classes->items[id].length;
        char *lower = reel_mem_strdup(model_string_table_text(classes, id));
        for (size_t i = 0; lower && i < length; i++)
            lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] - 'A' + 'a' : lower[i]);
        int32_t first = lower ? model_string_table_add(&folded, (ModelTextSpan){lower, length}) : -1;
        reel_mem_free(lower);
        if (first < 0) {
            status = reel_status_no_memory(length + 1, "the labels' names");
            break;
        }
        if (first < id)
            warn_of_two(reader, model_text_span(model_string_table_text(classes, first)),
                        model_text_span(model_string_table_text(classes, id)));
    }
    model_string_table_free(&folded);
    return status;
}

/* ---- Rows ---- */

static ReelStatus add_label(Reader *reader, ModelTextSpan label)
{
    ModelCorpus *corpus = reader->corpus;
    if (label.length == 0)
        return reel_status_failed("%s:%zu: the row has an empty label; write the labels as 'one%stwo'",
                                  reader->name, reader->line, corpus->label_separator);
    for (size_t i = 0; i < label.length; i++)
        if (memchr("\t\n\r", label.bytes[i], 3))
            return reel_status_failed(
                "%s:%zu: the label '%.*s' has a tab or a line end in it; write it without", reader->name,
                reader->line, (int)i, label.bytes);
    int32_t before = corpus->classes.count;
    int64_t *last_rows =
        reel_mem_grow(reader->last_rows, (size_t)before, &reader->last_rows_capacity, sizeof *last_rows);
    if (last_rows)
        reader->last_rows = last_rows;
    int32_t id = last_rows ? model_string_table_add(&corpus->classes, label) : -1;
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

/* The labels of a field: separated by what separates them. */
static ReelStatus add_separated(Reader *reader, ModelTextSpan labels)
{
    ReelStatus status = reel_status_ok();
    ModelTextSpan label;
    if (model_trim(labels).length == 0)
        return status;
    if (reader->records.format == MODEL_FASTTEXT)
        labels.length--; /* the last line end */
    else
        doubt(reader, model_trim(labels));
    while (reel_status_is_ok(&status) && next_label(reader, &labels, &label))
        status = add_label(reader, model_trim(label));
    return status;
}

static ReelStatus not_a_flag(const Reader *reader, const char *column, ModelTextSpan value)
{
    return reel_status_failed("%s:%zu: the label '%.60s' is '%.*s'; it must be 0 or 1", reader->name,
                              reader->line, column, shown_length(value), value.bytes);
}

/* 0 or 1, -1 for anything else. */
static int flag_of(ModelField field)
{
    ModelTextSpan text = model_trim(field.text);
    if (field.kind == REEL_JSON_TRUE || field.kind == REEL_JSON_FALSE)
        return field.kind == REEL_JSON_TRUE;
    if (text.length == 1 && (text.bytes[0] == '0' || text.bytes[0] == '1'))
        return text.bytes[0] - '0';
    return text.length == 3 && memcmp(text.bytes + 1, ".0", 2) == 0 &&
                   (text.bytes[0] == '0' || text.bytes[0] == '1')
               ? text.bytes[0] - '0'
               : -1;
}

/* A list of strings, or an object of 0 and 1, as it stands in a line of JSON that was checked. */
static ReelStatus add_json(Reader *reader, ModelField field)
{
    ReelJsonReader json;
    bool first = true, list = field.kind == REEL_JSON_ARRAY;
    ReelStatus status = reel_status_ok();
    reel_json_reader_open(&json, field.text.bytes, field.text.length, "labels");
    if (list)
        reel_json_reader_open_array(&json);
    else
        reel_json_reader_open_object(&json);
    while (reel_status_is_ok(&status) &&
           (list ? reel_json_reader_next_item(&json, &first) : reel_json_reader_next_key(&json, &first))) {
        ModelField value = {.kind = reel_json_reader_peek(&json)};
        size_t begin = json.at;
        ReelBytes key = {0};
        if (!list && !reel_bytes_append(&key, json.string.data, json.string.size))
            return reel_status_no_memory(json.string.size, "the labels");
        reel_json_reader_skip(&json);
        value.text = (ModelTextSpan){field.text.bytes + begin, json.at - begin};
        ModelTextSpan label =
            list ? (ModelTextSpan){json.string.data, json.string.size} : (ModelTextSpan){key.data, key.size};
        if (list && value.kind != REEL_JSON_STRING)
            status = reel_status_failed("%s:%zu: the list of labels holds %.*s; write strings", reader->name,
                                        reader->line, shown_length(value.text), value.text.bytes);
        else if (!list && flag_of(value) < 0)
            status = reel_status_failed("%s:%zu: the label '%.*s' is %.*s; it must be 0 or 1", reader->name,
                                        reader->line, shown_length(label), label.bytes,
                                        shown_length(value.text), value.text.bytes);
        else if (list || flag_of(value) == 1)
            status = add_label(reader, model_trim(label));
        reel_bytes_free(&key);
    }
    if (reel_status_is_ok(&status) && !reel_status_is_ok(&json.status))
        status = reel_status_no_memory(field.text.length, "the labels");
    reel_json_reader_close(&json);
    return status;
}

static ReelStatus add_field(Reader *reader, ModelField field)
{
    if (field.kind == REEL_JSON_ARRAY || field.kind == REEL_JSON_OBJECT)
        return add_json(reader, field);
    return add_separated(reader, field.text);
}

/* ---- Columns of 0 and 1 ---- */

/* Columns that were not there before, of JSON lines perhaps in the middle of the file. */
static ReelStatus look_at_columns(Reader *reader)
{
    for (int i = reader->num_flags; i < reader->records.columns; i++) {
        bool *is_flag = reel_mem_grow(reader->is_flag, (size_t)i, &reader->is_flag_capacity, sizeof *is_flag);
        if (!is_flag)
            return reel_status_no_memory((size_t)i * sizeof *is_flag, "the columns");
        reader->is_flag = is_flag;
        is_flag[i] = !model_columns_has(&reader->columns, i) &&
                     model_trim(model_text_span(model_records_column(&reader->records, i))).length > 0;
        reader->num_flags = i + 1;
    }
    return reel_status_ok();
}

static ReelStatus add_flag(Reader *reader, int column)
{
    const char *name = model_records_column(&reader->records, column);
    ModelField field = reader->records.fields[column];
    int flag = flag_of(field);
    if (flag < 0)
        return not_a_flag(reader, name, field.text);
    return flag ? add_label(reader, model_trim(model_text_span(name))) : reel_status_ok();
}

/* Labels of all columns that hold nothing else so far: what proves to hold more is taken out at the end. */
static ReelStatus add_other_flags(Reader *reader)
{
    ReelStatus status = look_at_columns(reader);
    for (int i = 0; i < reader->num_flags && reel_status_is_ok(&status); i++) {
        ModelField field = reader->records.fields[i];
        if (!reader->is_flag[i] || (field.kind == REEL_JSON_NULL && reader->records.format == MODEL_JSONL))
            continue;
        reader->is_flag[i] = flag_of(field) >= 0;
        if (reader->is_flag[i])
            status = add_flag(reader, i);
    }
    return status;
}

/* Takes the labels of columns that hold more than 0 and 1 out again. The classes are not sorted yet. */
static ReelStatus drop_other_columns(Reader *reader)
{
    ModelCorpus *corpus = reader->corpus;
    ModelStringTable kept = {0};
    size_t bytes = (size_t)corpus->classes.count * sizeof(int32_t), used = 0;
    int32_t *new_ids = reel_mem_alloc(bytes);
    bool fine = new_ids != NULL;
    for (int32_t k = 0; fine && k < corpus->classes.count; k++)
        new_ids[k] = -1;
    for (int i = 0; fine && i < reader->num_flags; i++) {
        ModelTextSpan name = model_trim(model_text_span(model_records_column(&reader->records, i)));
        int32_t old = reader->is_flag[i] ? model_string_table_find(&corpus->classes, name) : -1;
        if (old >= 0)
            fine = (new_ids[old] = model_string_table_add(&kept, name)) >= 0;
    }
    corpus->unlabelled = 0;
    for (int64_t row = 0, at = 0; fine && row < corpus->rows; row++) {
        int64_t end = corpus->label_offsets[row + 1], before = (int64_t)used;
        for (; at < end; at++)
            if (new_ids[corpus->labels[at]] >= 0)
                corpus->labels[used++] = new_ids[corpus->labels[at]];
        corpus->label_offsets[row + 1] = (int64_t)used;
        corpus->unlabelled += (int64_t)used == before;
    }
    reel_mem_free(new_ids);
    if (!fine) {
        model_string_table_free(&kept);
        return reel_status_no_memory(bytes, "the labels");
    }
    model_string_table_free(&corpus->classes);
    corpus->classes = kept;
    return kept.count > 0
               ? reel_status_ok()
               : reel_status_failed("%s: no column but those named holds 0 and 1 alone, and a 1 among "
                                    "them; name the labels with --label-columns A,B,C",
                                    reader->name);
}

/* ---- Rows ---- */

static ReelStatus add_labels(Reader *reader)
{
    const ModelColumns *columns = &reader->columns;
    ReelStatus status = reel_status_ok();
    if (columns->all_others)
        return add_other_flags(reader);
    for (int i = 0; i < columns->num_label_columns && reel_status_is_ok(&status); i++)
        status = add_flag(reader, columns->label_columns[i]);
    if (columns->labels < 0 || !reel_status_is_ok(&status))
        return status;
    if (reader->records.seen_in && reader->records.seen_in[columns->labels] != reader->records.record)
        return reel_status_failed("%s:%zu: the object has no '%.60s'; write [] where no label applies",
                                  reader->name, reader->line,
                                  model_records_column(&reader->records, columns->labels));
    return add_field(reader, reader->records.fields[columns->labels]);
}

/* The part of a row by its name. */
static ReelStatus add_part(Reader *reader, size_t row)
{
    static const struct {
        const char *name;
        ModelPart part;
    } names[] = {{"train", MODEL_PART_TRAIN}, {"training", MODEL_PART_TRAIN},
                 {"valid", MODEL_PART_VALID}, {"validation", MODEL_PART_VALID},
                 {"val", MODEL_PART_VALID},   {"dev", MODEL_PART_VALID},
                 {"test", MODEL_PART_TEST}};
    if (reader->columns.split < 0)
        return reel_status_ok();
    uint8_t *parts = reel_mem_grow(reader->corpus->parts, row, &reader->parts_capacity, sizeof *parts);
    if (!parts)
        return reel_status_no_memory(row, "the rows");
    reader->corpus->parts = parts;
    ModelTextSpan text = model_trim(reader->records.fields[reader->columns.split].text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text.length == strlen(names[i].name) &&
            strncasecmp(text.bytes, names[i].name, text.length) == 0) {
            parts[row] = (uint8_t)names[i].part;
            return reel_status_ok();
        }
    return reel_status_failed(
        "%s:%zu: the column '%.60s' says '%.*s'; it must be train, valid or test", reader->name, reader->line,
        model_records_column(&reader->records, reader->columns.split), shown_length(text), text.bytes);
}

static ReelStatus add_group(Reader *reader, size_t row)
{
    if (reader->columns.group < 0)
        return reel_status_ok();
    ModelCorpus *corpus = reader->corpus;
    int32_t *group_of = reel_mem_grow(corpus->group_of, row, &reader->groups_capacity, sizeof *group_of);
    if (!group_of)
        return reel_status_no_memory(row * sizeof *group_of, "the rows");
    corpus->group_of = group_of;
    group_of[row] = model_string_table_add(&corpus->groups,
                                           model_trim(reader->records.fields[reader->columns.group].text));
    return group_of[row] >= 0 ? reel_status_ok() : reel_status_no_memory(row, "the groups");
}

static ReelStatus add_row(Reader *reader)
{
    ModelCorpus *corpus = reader->corpus;
    size_t row = (size_t)corpus->rows, before = reader->num_labels, number = row - (size_t)reader->first;
    ModelTextSpan *texts = reel_mem_grow(reader->texts, number, &reader->texts_capacity, sizeof *texts);
    if (texts)
        reader->texts = texts;
    int64_t *offsets =
        reel_mem_grow(corpus->label_offsets, row + 1, &reader->offsets_capacity, sizeof *offsets);
    if (offsets)
        corpus->label_offsets = offsets;
    if (!texts || !offsets || row >= INT32_MAX)
        return reel_status_no_memory(row * sizeof *texts, "the rows");
    reader->line = reader->records.line;
    ReelStatus status = add_labels(reader);
    if (reel_status_is_ok(&status))
        status = model_columns_text(&reader->columns, &reader->records, &reader->joined, &texts[number]);
    if (reel_status_is_ok(&status))
        status = add_part(reader, row);
    if (reel_status_is_ok(&status))
        status = add_group(reader, row);
    corpus->unlabelled += reader->num_labels == before;
    offsets[row + 1] = (int64_t)reader->num_labels;
    corpus->rows++;
    return status;
}

static int compare_labels(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the classes, and the labels of every row by the new numbers. */
static ReelStatus sort_classes(ModelCorpus *corpus)
{
    size_t bytes = (size_t)corpus->classes.count * sizeof(int32_t);
    int32_t *new_ids = reel_mem_alloc(bytes);
    if (!new_ids || !model_string_table_sort(&corpus->classes, new_ids)) {
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

/* A TSV with a stray quote in front may lose rows to a field that holds them. */
static void warn_of_long_field(const Reader *reader)
{
    if (reader->records.swallowed > 0 && !reader->corpus->warning[0])
        snprintf(
            reader->corpus->warning, MODEL_CORPUS_WARNING_SIZE,
            "%.150s:%zu: a quoted field that begins here holds tabs and line ends; where it has swallowed "
            "rows, take the quote out",
            reader->name, reader->records.swallowed);
}

/* The texts of a window, when all its rows are read. */
static ReelStatus hand_over(Reader *reader)
{
    int64_t count = reader->corpus->rows - reader->first;
    ReelStatus status =
        count > 0 ? reader->take(reader->context, reader->texts, reader->first, count) : reel_status_ok();
    reader->first += count;
    tensor_arena_reset(&reader->joined);
    return status;
}

/* Reads on, or until the window ends. */
static ReelStatus read_window(Reader *reader)
{
    ReelStatus status = reel_status_ok();
    for (bool more = true; reel_status_is_ok(&status);) {
        status = model_records_next(&reader->records, &more);
        if (!reel_status_is_ok(&status) || !more)
            break;
        status = add_row(reader);
    }
    return reel_status_is_ok(&status) ? hand_over(reader) : status;
}

static ReelStatus read_rows(Reader *reader, ModelRecordSource *source)
{
    ModelCorpus *corpus = reader->corpus;
    corpus->label_offsets = reel_mem_calloc(1, sizeof *corpus->label_offsets);
    if (!corpus->label_offsets)
        return reel_status_no_memory(sizeof *corpus->label_offsets, "the rows");
    reader->offsets_capacity = 1;
    ReelStatus status = read_window(reader);
    for (bool more = true; reel_status_is_ok(&status) && more;) {
        status = model_record_source_fill(source, &reader->records, &more);
        if (reel_status_is_ok(&status) && more)
            status = read_window(reader);
    }
    if (!reel_status_is_ok(&status))
        return status;
    if (corpus->rows == 0)
        return reel_status_failed("%s:%zu: there are no rows after the header; add some", reader->name,
                                  reader->records.next_line);
    if (reader->columns.all_others)
        status = drop_other_columns(reader);
    write_warning(reader);
    warn_of_long_field(reader);
    if (reel_status_is_ok(&status))
        status = warn_of_case(reader);
    return reel_status_is_ok(&status) ? sort_classes(corpus) : status;
}

static ReelStatus set_separator(ModelCorpus *corpus, const ModelCorpusOptions *options)
{
    const char *separator = options && options->label_separator ? options->label_separator : ", ";
    size_t length = strlen(separator);
    if (length == 0 || length >= MODEL_CORPUS_SEPARATOR_SIZE || strpbrk(separator, "\t\r\n\"") ||
        reel_utf8_valid(separator, length) != length)
        return reel_status_usage(
            "a separator of labels is 1 to %d bytes of UTF-8 without tabs, line ends and quotes",
            MODEL_CORPUS_SEPARATOR_SIZE - 1);
    memcpy(corpus->label_separator, separator, length + 1);
    return reel_status_ok();
}

/* Reads the header and what it says. */
static ReelStatus begin(Reader *reader, ModelRecordSource *source, const ModelCorpusOptions *options)
{
    ModelRecords *records = &reader->records;
    ReelStatus status = reel_status_ok();
    bool begun = false, more = true, first = true;
    while (reel_status_is_ok(&status) && !begun && more) {
        status = model_record_source_fill(source, records, &more);
        if (reel_status_is_ok(&status) && first && source->size == 0)
            return reel_text_file_empty(reader->name);
        if (reel_status_is_ok(&status) && more)
            status = model_records_begin(records, &begun);
        first = false;
        if (reel_status_is_ok(&status) && !more)
            status = reel_status_failed("%s:%zu: the file has no rows; add some", reader->name,
                                        records->next_line);
    }
    if (reel_status_is_ok(&status))
        status = model_columns_choose(&reader->columns, records,
                                      options ? &options->columns : &(ModelColumnNames){0}, true);
    reader->separator =
        model_text_span(records->format == MODEL_FASTTEXT ? "\n" : reader->corpus->label_separator);
    if (reel_status_is_ok(&status))
        model_columns_describe(&reader->columns, records, reader->corpus->form);
    return status;
}

static void reader_free(Reader *reader)
{
    model_records_free(&reader->records);
    model_columns_free(&reader->columns);
    tensor_arena_free(&reader->joined);
    reel_mem_free(reader->texts);
    reel_mem_free(reader->last_rows);
    reel_mem_free(reader->is_flag);
}

ReelStatus model_corpus_stream(ModelCorpus *corpus, ReelTextSource *text, const ModelCorpusOptions *options,
                               ModelCorpusTake *take, void *context)
{
    *corpus = (ModelCorpus){0};
    tensor_arena_init(&corpus->memory, 0);
    Reader reader = {.name = text->name,
                     .corpus = corpus,
                     .doubts = !options || !options->label_separator,
                     .take = take,
                     .context = context};
    ModelRecordSource source;
    tensor_arena_init(&reader.joined, 0);
    model_records_init(&reader.records, text->name, options ? options->format : MODEL_FORMAT_ANY);
    model_record_source_init(&source, text, options ? options->window : 0);
    ReelStatus status = set_separator(corpus, options);
    if (reel_status_is_ok(&status))
        status = begin(&reader, &source, options);
    if (reel_status_is_ok(&status))
        status = read_rows(&reader, &source);
    snprintf(corpus->hash, sizeof corpus->hash, "%08lx", (unsigned long)source.crc);
    model_record_source_free(&source);
    reader_free(&reader);
    if (!reel_status_is_ok(&status))
        model_corpus_free(corpus);
    return status;
}

/* ---- In memory ---- */

/* Texts that stay. */
typedef struct Kept {
    ModelTextSpan *texts;
    size_t count, capacity;
    TensorArena memory;
} Kept;

static ReelStatus keep(void *context, const ModelTextSpan *texts, int64_t first, int64_t count)
{
    Kept *kept = context;
    size_t size = 0, number = (size_t)count;
    (void)first;
    for (size_t i = 0; i < number; i++)
        size += texts[i].length;
    ModelTextSpan *all = reel_mem_reserve(kept->texts, kept->count, number, &kept->capacity, sizeof *all);
    char *to = tensor_arena_alloc(&kept->memory, size ? size : 1);
    kept->texts = all ? all : kept->texts;
    if (!all || !to)
        return reel_status_no_memory(size, "the texts");
    for (size_t i = 0; i < number; i++) {
        if (texts[i].length > 0)
            memcpy(to, texts[i].bytes, texts[i].length);
        all[kept->count++] = (ModelTextSpan){to, texts[i].length};
        to += texts[i].length;
    }
    return reel_status_ok();
}

static ReelStatus read_source(ModelCorpus *corpus, ReelTextSource *source, const ModelCorpusOptions *options)
{
    Kept kept = {0};
    tensor_arena_init(&kept.memory, 0);
    ReelStatus status = model_corpus_stream(corpus, source, options, keep, &kept);
    if (reel_status_is_ok(&status)) {
        corpus->texts = kept.texts;
        corpus->memory = kept.memory;
        return status;
    }
    reel_mem_free(kept.texts);
    tensor_arena_free(&kept.memory);
    return status;
}

ReelStatus model_corpus_read(ModelCorpus *corpus, const char *path, const ModelCorpusOptions *options)
{
    ReelTextSource source;
    *corpus = (ModelCorpus){0};
    ReelStatus status = reel_text_source_open(&source, path);
    if (reel_status_is_ok(&status) && source.fd != STDIN_FILENO)
        status = reel_text_file_check_kind(path, source.fd);
    if (reel_status_is_ok(&status))
        status = read_source(corpus, &source, options);
    reel_text_source_close(&source);
    return status;
}

ReelStatus model_corpus_parse(ModelCorpus *corpus, const char *name, const char *bytes, size_t size,
                              const ModelCorpusOptions *options)
{
    ReelTextSource source = reel_text_source_of(name, bytes, size);
    ReelStatus status = read_source(corpus, &source, options);
    reel_text_source_close(&source);
    return status;
}

/* Room for the rows of both, and a part for each of the first. */
static bool reserve_rows(ModelCorpus *corpus, const ModelCorpus *other)
{
    size_t rows = (size_t)(corpus->rows + other->rows);
    size_t labels = (size_t)(corpus->label_offsets[corpus->rows] + other->label_offsets[other->rows]);
    bool said = corpus->parts != NULL;
    ModelTextSpan *texts = corpus->texts ? reel_mem_realloc(corpus->texts, rows * sizeof *texts) : NULL;
    bool kept = !corpus->texts || texts;
    corpus->texts = texts ? texts : corpus->texts;
    int64_t *offsets = reel_mem_realloc(corpus->label_offsets, (rows + 1) * sizeof *offsets);
    corpus->label_offsets = offsets ? offsets : corpus->label_offsets;
    int32_t *all = reel_mem_realloc(corpus->labels, labels * sizeof *all);
    corpus->labels = all ? all : corpus->labels;
    uint8_t *parts = reel_mem_realloc(corpus->parts, rows);
    corpus->parts = parts ? parts : corpus->parts;
    int32_t *group_of = corpus->group_of ? reel_mem_realloc(corpus->group_of, rows * sizeof *group_of) : NULL;
    bool grouped = !corpus->group_of || group_of;
    corpus->group_of = group_of ? group_of : corpus->group_of;
    if (parts && !said)
        memset(parts, MODEL_PART_ANY, (size_t)corpus->rows);
    return kept && offsets && all && parts && grouped;
}

/* The rows themselves; new_ids are of the other's labels. */
static void add_rows(ModelCorpus *corpus, const ModelCorpus *other, const int32_t *new_ids, ModelPart part)
{
    int64_t at = corpus->label_offsets[corpus->rows];
    for (int64_t row = 0; row < other->rows; row++) {
        int64_t to = corpus->rows++;
        if (corpus->texts)
            corpus->texts[to] = other->texts[row];
        corpus->parts[to] = (uint8_t)part;
        if (corpus->group_of)
            corpus->group_of[to] = -1; /* groups are of rows that are still to be parted */
        for (int64_t i = other->label_offsets[row]; i < other->label_offsets[row + 1]; i++)
            corpus->labels[at++] = new_ids[other->labels[i]];
        corpus->label_offsets[to + 1] = at;
    }
    corpus->unlabelled += other->unlabelled;
}

ReelStatus model_corpus_append(ModelCorpus *corpus, ModelCorpus *other, ModelPart part)
{
    size_t bytes = (size_t)other->classes.count * sizeof(int32_t);
    int32_t *new_ids = reel_mem_alloc(bytes);
    ModelCorpus *kept = reel_mem_alloc(sizeof *kept);
    bool fine = new_ids && kept && reserve_rows(corpus, other);
    for (int32_t k = 0; fine && k < other->classes.count; k++) {
        new_ids[k] = model_string_table_add(&corpus->classes,
                                            model_text_span(model_string_table_text(&other->classes, k)));
        fine = new_ids[k] >= 0;
    }
    if (fine) {
        add_rows(corpus, other, new_ids, part);
        if (!corpus->warning[0])
            memcpy(corpus->warning, other->warning, sizeof corpus->warning);
        *kept = *other;
        kept->appended = corpus->appended;
        corpus->appended = kept;
        *other = (ModelCorpus){0};
        kept = NULL;
    }
    reel_mem_free(new_ids);
    reel_mem_free(kept);
    return fine ? sort_classes(corpus) : reel_status_no_memory(bytes, "the labels");
}

void model_corpus_free(ModelCorpus *corpus)
{
    reel_mem_free(corpus->texts);
    reel_mem_free(corpus->label_offsets);
    reel_mem_free(corpus->labels);
    reel_mem_free(corpus->parts);
    reel_mem_free(corpus->group_of);
    model_string_table_free(&corpus->groups);
    tensor_arena_free(&corpus->memory);
    model_string_table_free(&corpus->classes);
    if (corpus->appended)
        model_corpus_free(corpus->appended);
    reel_mem_free(corpus->appended);
    if (corpus->cleaned)
        model_clean_texts_free(corpus->cleaned);
    reel_mem_free(corpus->cleaned);
    *corpus = (ModelCorpus){0};
}

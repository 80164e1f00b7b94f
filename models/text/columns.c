#include "models/text/columns.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const TEXTS[] = {"text", "comment_text", "content", "body", "sentence", NULL};
static const char *const LABELS[] = {"labels", "label", "category", "class", "target", "tags", NULL};

void model_columns_free(ModelColumns *columns)
{
    reel_mem_free(columns->texts);
    reel_mem_free(columns->label_columns);
    *columns = (ModelColumns){0};
}

/* The names that there are, for a message. */
static void list_columns(const ModelRecords *records, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < records->columns && used + 40 < size; i++) {
        int length =
            snprintf(out + used, size - used, "%s'%.30s'", i ? ", " : "", model_records_column(records, i));
        used += (size_t)length < size - used ? (size_t)length : size - used - 1;
    }
}

static ReelStatus no_column(const ModelRecords *records, const char *name, const char *option)
{
    char list[200];
    list_columns(records, list, sizeof list);
    const char *hint = records->format == MODEL_TSV && records->columns == 1
                           ? "; the columns of a TSV are separated by a tab"
                           : "";
    return reel_status_failed(
        "%s:%zu: %s has no column '%.60s'; name one with %s: there are %s%s", records->name, records->line,
        records->format == MODEL_JSONL ? "the first object" : "the header", name, option, list, hint);
}

static ReelStatus find_named(const ModelRecords *records, ModelTextSpan name, const char *option, int *column)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)name.length, name.bytes);
    ReelStatus status = model_records_find(records, name, column);
    return reel_status_is_ok(&status) && *column < 0 ? no_column(records, text, option) : status;
}

/* The first of the usual names that a column has, as it stands there or in another case. */
static ReelStatus find_usual(const ModelRecords *records, const char *const *usual, int *column)
{
    *column = -1;
    for (; *usual; usual++) {
        ReelStatus status = model_records_find(records, model_text_span(*usual), column);
        if (!reel_status_is_ok(&status) || *column >= 0)
            return status;
        for (int i = 0; i < records->columns; i++)
            if (strcasecmp(model_records_column(records, i), *usual) == 0) {
                *column = i;
                return reel_status_ok();
            }
    }
    return reel_status_ok();
}

/* The columns of a list; a name with a comma in it is one where a column has it. */
static ReelStatus find_list(const ModelRecords *records, const char *list, const char *option, int **columns,
                            int *count)
{
    size_t most = 1;
    int whole;
    for (const char *at = list; *at; at++)
        most += *at == ',';
    *columns = reel_mem_alloc(most * sizeof **columns);
    if (!*columns)
        return reel_status_no_memory(most * sizeof **columns, "the columns");
    ReelStatus status = model_records_find(records, model_text_span(list), &whole);
    if (!reel_status_is_ok(&status) || whole >= 0) {
        (*columns)[(*count)++] = whole;
        return status;
    }
    while (reel_status_is_ok(&status)) {
        size_t length = strcspn(list, ",");
        status = find_named(records, model_trim((ModelTextSpan){list, length}), option, &(*columns)[*count]);
        for (int i = 0; reel_status_is_ok(&status) && i < *count; i++)
            if ((*columns)[i] == (*columns)[*count])
                return reel_status_usage("%s %.200s: names a column twice", option, list);
        ++*count;
        if (!list[length])
            break;
        list += length + 1;
    }
    return status;
}

static ReelStatus choose_texts(ModelColumns *columns, const ModelRecords *records, const char *names)
{
    int column;
    if (names)
        return find_list(records, names, "--text", &columns->texts, &columns->num_texts);
    ReelStatus status = find_usual(records, TEXTS, &column);
    if (reel_status_is_ok(&status) && column < 0)
        status = no_column(records, TEXTS[0], "--text");
    if (!reel_status_is_ok(&status))
        return status;
    columns->texts = reel_mem_alloc(sizeof *columns->texts);
    if (!columns->texts)
        return reel_status_no_memory(sizeof *columns->texts, "the columns");
    columns->texts[columns->num_texts++] = column;
    return status;
}

static ReelStatus choose_labels(ModelColumns *columns, const ModelRecords *records,
                                const ModelColumnNames *names, bool labelled)
{
    columns->labels = -1;
    if (names->labels && names->label_columns)
        return reel_status_usage("--labels and --label-columns: labels are in one column or in one each");
    columns->all_others = names->label_columns && strcmp(names->label_columns, "*") == 0;
    if (columns->all_others)
        return reel_status_ok();
    if (names->label_columns)
        return find_list(records, names->label_columns, "--label-columns", &columns->label_columns,
                         &columns->num_label_columns);
    if (names->labels)
        return find_named(records, model_text_span(names->labels), "--labels", &columns->labels);
    ReelStatus status = find_usual(records, LABELS, &columns->labels);
    if (reel_status_is_ok(&status) && columns->labels < 0 && labelled)
        return no_column(records, LABELS[0], "--labels, or columns of 0 and 1 with --label-columns");
    return status;
}

static ReelStatus choose_one(const ModelRecords *records, const char *name, const char *option, int *column)
{
    *column = -1;
    return name ? find_named(records, model_text_span(name), option, column) : reel_status_ok();
}

/* Words of fastText's format are labels or the text. */
static ReelStatus check_has_columns(const ModelRecords *records, const ModelColumnNames *names)
{
    const char *option = names->text            ? "text"
                         : names->labels        ? "labels"
                         : names->label_columns ? "label-columns"
                         : names->id            ? "id"
                         : names->split         ? "split"
                         : names->group         ? "group"
                                                : NULL;
    return records->format != MODEL_FASTTEXT || !option
               ? reel_status_ok()
               : reel_status_failed("%s: fastText's format has no columns to choose from; leave out --%s",
                                    records->name, option);
}

ReelStatus model_columns_choose(ModelColumns *columns, const ModelRecords *records,
                                const ModelColumnNames *names, bool labelled)
{
    *columns = (ModelColumns){0};
    ReelStatus status = check_has_columns(records, names);
    if (reel_status_is_ok(&status))
        status = choose_texts(columns, records, names->text);
    if (reel_status_is_ok(&status))
        status = choose_labels(columns, records, names, labelled);
    if (reel_status_is_ok(&status))
        status = choose_one(records, names->id, "--id", &columns->id);
    if (reel_status_is_ok(&status))
        status = choose_one(records, names->split, "--split", &columns->split);
    if (reel_status_is_ok(&status))
        status = choose_one(records, names->group, "--group", &columns->group);
    if (!reel_status_is_ok(&status))
        model_columns_free(columns);
    return status;
}

static bool has(const int *columns, int count, int column)
{
    for (int i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

bool model_columns_has(const ModelColumns *columns, int column)
{
    return column == columns->labels || column == columns->id || column == columns->split ||
           column == columns->group || has(columns->texts, columns->num_texts, column) ||
           has(columns->label_columns, columns->num_label_columns, column);
}

void model_columns_describe(const ModelColumns *columns, const ModelRecords *records,
                            char form[MODEL_FORM_SIZE])
{
    size_t used = (size_t)snprintf(form, MODEL_FORM_SIZE, "%s", model_records_form(records));
    if (records->format == MODEL_FASTTEXT)
        return;
    for (int i = 0; i < columns->num_texts && used < MODEL_FORM_SIZE - 80; i++)
        used += (size_t)snprintf(form + used, MODEL_FORM_SIZE - used, "%s'%.40s'", i ? " and " : ", text in ",
                                 model_records_column(records, columns->texts[i]));
    if (columns->labels >= 0)
        snprintf(form + used, MODEL_FORM_SIZE - used, ", labels in '%.40s'",
                 model_records_column(records, columns->labels));
    else if (columns->all_others)
        snprintf(form + used, MODEL_FORM_SIZE - used, ", labels in the other columns of 0 and 1");
    else if (columns->num_label_columns > 0)
        snprintf(form + used, MODEL_FORM_SIZE - used, ", labels in %d columns of 0 and 1",
                 columns->num_label_columns);
}

ReelStatus model_columns_text(const ModelColumns *columns, const ModelRecords *records, TensorArena *arena,
                              ModelTextSpan *text)
{
    size_t length = 0;
    for (int i = 0; i < columns->num_texts; i++) {
        ModelField field = records->fields[columns->texts[i]];
        const char *name = model_records_column(records, columns->texts[i]);
        if (columns->num_texts == 1 && field.kind == REEL_JSON_NULL)
            return reel_status_failed(
                "%s:%zu: the object has no text in '%.60s'; write \"\" where there is none", records->name,
                records->line, name);
        if (field.kind == REEL_JSON_ARRAY || field.kind == REEL_JSON_OBJECT)
            return reel_status_failed("%s:%zu: '%.60s' is no text; name another column with --text",
                                      records->name, records->line, name);
        length += field.text.length + 1;
        *text = field.text;
    }
    if (columns->num_texts == 1)
        return reel_status_ok();
    char *joined = tensor_arena_alloc(arena, length);
    if (!joined)
        return reel_status_no_memory(length, "the texts");
    *text = (ModelTextSpan){joined, length - 1};
    for (int i = 0; i < columns->num_texts; i++) {
        ModelTextSpan part = records->fields[columns->texts[i]].text;
        if (part.length > 0)
            memcpy(joined, part.bytes, part.length);
        joined += part.length;
        *joined++ = ' ';
    }
    return reel_status_ok();
}

static bool is_one_of(ModelTextSpan name, const char *const *usual)
{
    for (; *usual; usual++)
        if (name.length == strlen(*usual) && strncasecmp(name.bytes, *usual, name.length) == 0)
            return true;
    return false;
}

bool model_line_is_header(const char *bytes, size_t size, char *column, size_t room)
{
    static const char separators[] = "\t,;|";
    size_t mark = reel_text_file_mark(bytes, size);
    const char *end = memchr(bytes, '\n', size);
    ModelTextSpan line =
        model_trim((ModelTextSpan){bytes + mark, (end ? (size_t)(end - bytes) : size) - mark});
    for (int s = 0; separators[s]; s++) {
        bool text = false, labels = separators[s] == '\t'; /* a tab stands in few texts */
        for (ModelTextSpan rest = line; rest.length > 0;) {
            const char *at = memchr(rest.bytes, separators[s], rest.length);
            size_t length = at ? (size_t)(at - rest.bytes) : rest.length, taken = length + (at != NULL);
            ModelTextSpan field = model_trim((ModelTextSpan){rest.bytes, length});
            if (field.length > 1 && field.bytes[0] == '"' && field.bytes[field.length - 1] == '"')
                field = (ModelTextSpan){field.bytes + 1, field.length - 2};
            if (is_one_of(field, TEXTS) && length < line.length) {
                text = true;
                snprintf(column, room, "%.*s", (int)field.length, field.bytes);
            }
            labels =
                labels || is_one_of(field, LABELS) || is_one_of(field, (const char *const[]){"id", NULL});
            rest = (ModelTextSpan){rest.bytes + taken, rest.length - taken};
        }
        if (text && labels)
            return true;
    }
    return false;
}

/* JSON lines: one object a line. */
#include "models/text/records_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <string.h>

/* The column of the key read last, a new one where it has none; -1: no memory. */
static int column_of(ModelRecords *records)
{
    const ReelBytes *key = &records->json.string;
    int before = records->columns;
    int column = model_string_table_add(&records->names, (ModelTextSpan){key->data, key->size});
    if (column < before)
        return column;
    int64_t *seen_in =
        reel_mem_grow(records->seen_in, (size_t)before, &records->seen_capacity, sizeof *seen_in);
    if (!seen_in)
        return -1;
    records->seen_in = seen_in;
    if (!model_records_reserve(records, before + 1))
        return -1;
    seen_in[column] = 0;
    records->columns++;
    return column;
}

/* Reads a value; a string is written over what it was read from, which is no shorter. */
static ModelField read_value(ModelRecords *records, char *line)
{
    ReelJsonReader *json = &records->json;
    ModelField field = {.kind = reel_json_reader_peek(json)};
    char *begin = line + json->at;
    reel_json_reader_skip(json);
    field.text = (ModelTextSpan){begin, (size_t)(line + json->at - begin)};
    if (field.kind == REEL_JSON_STRING && reel_status_is_ok(&json->status)) {
        if (json->string.size > 0)
            memcpy(begin, json->string.data, json->string.size);
        field.text.length = json->string.size;
    }
    if (field.kind == REEL_JSON_NULL)
        field.text.length = 0;
    return field;
}

static ReelStatus read_object(ModelRecords *records, char *line)
{
    ReelJsonReader *json = &records->json;
    bool first = true;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first)) {
        int column = column_of(records);
        if (column < 0)
            return model_records_no_memory(records);
        if (records->seen_in[column] == records->record)
            return reel_status_failed("%s:%zu: the object has the key '%.80s' twice; rename one of them",
                                      records->name, records->line,
                                      model_string_table_text(&records->names, column));
        records->seen_in[column] = records->record;
        records->fields[column] = read_value(records, line);
    }
    reel_json_reader_end(json);
    return json->status;
}

ReelStatus model_records_next_object(ModelRecords *records, bool *more)
{
    ModelTextSpan line;
    char label[300];
    do
        *more = model_records_line(records, &line);
    while (*more && model_trim(line).length == 0);
    if (!*more)
        return reel_status_ok();
    snprintf(label, sizeof label, "%.250s:%zu", records->name, records->line);
    ReelBytes string = records->json.string; /* its memory serves for the next line */
    reel_json_reader_open(&records->json, line.bytes, line.length, label);
    records->json.string = string;
    records->record++;
    for (int i = 0; i < records->columns; i++)
        records->fields[i] = (ModelField){{"", 0}, REEL_JSON_NULL};
    ReelStatus status = read_object(records, (char *)line.bytes);
    records->json.name = "";
    if (reel_status_is_ok(&status) || strncmp(status.message, label, strlen(label)) != 0 ||
        strstr(status.message, ": byte ") == NULL)
        return status;
    return reel_status_failed(
        "%.350s; write one whole object a line, as `jq -c .` and `jq -c '.[]'` (of a list) do",
        status.message);
}

/* What the readers of all formats have in common: lines, white space, room for fields. */
#include "models/text/records_internal.h"
#include "tensor/mem.h"

#include <string.h>

/* ---- Spaces ---- */

/* The bytes of a space, seen or not, that the text begins with (`front`) or ends with; 0: none. */
static size_t space_at(ModelTextSpan span, bool front)
{
    static const char *const wide[] = {"\xC2\xA0", "\xE2\x80\x8B", "\xEF\xBB\xBF"};
    if (span.length > 0 && model_is_space(span.bytes[front ? 0 : span.length - 1]))
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

ReelStatus model_records_no_memory(const ModelRecords *records)
{
    return reel_status_no_memory((size_t)records->columns * sizeof *records->fields, "the columns");
}

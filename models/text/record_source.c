#define _GNU_SOURCE /* memrchr */
#include "models/text/record_source.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <string.h>
#include <zlib.h>

void model_record_source_init(ModelRecordSource *source, ReelTextSource *text, size_t window)
{
    *source = (ModelRecordSource){.source = text, .window = window ? window : MODEL_RECORD_WINDOW};
}

void model_record_source_free(ModelRecordSource *source)
{
    reel_mem_free(source->bytes);
    *source = (ModelRecordSource){0};
}

/* What the records have left moves to the front, with what they do not have yet. */
static void keep_rest(ModelRecordSource *s, const ModelRecords *records)
{
    size_t taken = records->at ? (size_t)(records->at - s->bytes) : 0;
    if (taken > 0)
        memmove(s->bytes, s->bytes + taken, s->size - taken);
    s->size -= taken;
    s->given -= taken;
}

static ReelStatus grow(ModelRecordSource *s)
{
    size_t first = s->source->bytes && s->source->size < s->window ? s->source->size : s->window;
    size_t larger = s->capacity ? 2 * s->capacity : first ? first : 1;
    char *bytes = reel_mem_realloc(s->bytes, larger);
    if (!bytes)
        return reel_status_no_memory(larger, s->source->name);
    s->bytes = bytes;
    s->capacity = larger;
    return reel_status_ok();
}

/* Reads until the memory is full. */
static ReelStatus read_on(ModelRecordSource *s)
{
    ReelStatus status = s->size == s->capacity ? grow(s) : reel_status_ok();
    bool first = s->crc == 0 && s->size == 0;
    while (reel_status_is_ok(&status) && !s->ended && s->size < s->capacity) {
        size_t got;
        status = reel_text_source_read(s->source, s->bytes + s->size, s->capacity - s->size, &got);
        if (!reel_status_is_ok(&status))
            return status;
        s->crc = (uint32_t)crc32_z(s->crc, (const Bytef *)s->bytes + s->size, got);
        s->size += got;
        s->ended = got == 0;
    }
    return reel_status_is_ok(&status) && first ? reel_text_file_check_mark(s->source->name, s->bytes, s->size)
                                               : status;
}

ReelStatus model_record_source_fill(ModelRecordSource *s, ModelRecords *records, bool *more)
{
    size_t whole = 0;
    *more = !s->ended;
    if (s->ended)
        return reel_status_ok();
    keep_rest(s, records);
    size_t before = s->given;
    while (whole == 0 && !s->ended) {
        ReelStatus status = read_on(s);
        if (!reel_status_is_ok(&status))
            return status;
        const char *feed = memrchr(s->bytes + before, '\n', s->size - before);
        whole = feed ? (size_t)(feed - s->bytes) + 1 : 0;
    }
    s->given = s->ended ? s->size : whole;
    model_records_give(records, s->bytes, s->given, s->ended);
    return reel_text_file_check_from(s->source->name, s->bytes, s->given, before, records->next_line);
}

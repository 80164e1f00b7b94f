/* Records out of a file, a pipe or memory of any length, of which a window at a time is in memory. */
#ifndef REEL_MODELS_RECORD_SOURCE_H
#define REEL_MODELS_RECORD_SOURCE_H

#include "models/text/records.h"
#include "tensor/storage/text_source.h"

#include <stdint.h>

REEL_BEGIN_DECLS

enum { MODEL_RECORD_WINDOW = 4 << 20 };

/* A source of text, read window by window, each of which ends with a whole record. */
typedef struct ModelRecordSource {
    ReelTextSource *source; /* the caller's */
    size_t window;          /* bytes at a time, unless a record has more */
    char *bytes;
    size_t size, given, capacity; /* read; and of them those that the records have */
    uint32_t crc;                 /* of all bytes so far, as gzip counts it */
    bool ended;
} ModelRecordSource;

/* `window` 0: MODEL_RECORD_WINDOW. All zeros may be freed. */
void model_record_source_init(ModelRecordSource *source, ReelTextSource *text, size_t window);
void model_record_source_free(ModelRecordSource *source);
/* Gives the records whole lines beyond what they have left, which moves: fields of earlier records are gone.
 * *more is false where the source has ended. Errors, with file and line: those of reel_text_source_read(),
 * UTF-16, no UTF-8, NUL, no memory. */
ReelStatus model_record_source_fill(ModelRecordSource *source, ModelRecords *records, bool *more);

REEL_END_DECLS

#endif

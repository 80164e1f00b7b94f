/* One file a format behind models/text/records.h. */
#ifndef REEL_MODELS_RECORDS_INTERNAL_H
#define REEL_MODELS_RECORDS_INTERNAL_H

#include "models/text/records.h"

/* Each reads one record at records->at into records->fields; see model_records_next(). */
ReelStatus model_records_next_row(ModelRecords *records, bool *more);
ReelStatus model_records_next_object(ModelRecords *records, bool *more);
ReelStatus model_records_next_fasttext(ModelRecords *records, bool *more);

/* ---- What they have in common (records_line.c) ---- */

#define MODEL_FASTTEXT_LABEL "__label__"

static inline bool model_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

ReelStatus model_records_no_memory(const ModelRecords *records);
/* The number of fields that are wanted; false: no memory. */
bool model_records_reserve(ModelRecords *records, int count);
/* The next line without its end, passed over; false: it is not all there. */
bool model_records_line(ModelRecords *records, ModelTextSpan *line);

#endif

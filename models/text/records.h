/* Rows of named fields out of a text: TSV, CSV (RFC 4180), JSON lines, fastText's format.
 *
 * Fields are made in the place where they stand in the bytes, so that reading copies nothing: quotes and
 * escapes never take fewer bytes than what they mean. Of RFC 4180, separators other than commas may part the
 * fields, lines may end in LF, and quotes within a field that does not begin with one are text. In a TSV a
 * field that begins with a quote is quoted only where a closing quote ends a field; other quotes are text.
 * Quoted fields may hold separators and line ends. */
#ifndef REEL_MODELS_RECORDS_H
#define REEL_MODELS_RECORDS_H

#include "models/strings/string_table.h"
#include "models/strings/text.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/storage/json_reader.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

typedef enum ModelFormat { MODEL_FORMAT_ANY, MODEL_TSV, MODEL_CSV, MODEL_JSONL, MODEL_FASTTEXT } ModelFormat;

/* What stands in one place of a row. */
typedef struct ModelField {
    ModelTextSpan text;
    ReelJsonKind kind; /* REEL_JSON_STRING but for JSON lines, where null is also what is not there; a list or
                      an object is given as it is written */
} ModelField;

/* A reader of records, and the one at hand. */
typedef struct ModelRecords {
    const char *name; /* of the file, for messages */
    ModelFormat format;
    char separator; /* of TSV and CSV */
    size_t line;    /* where the record at hand begins, from 1 */
    int columns;
    ModelField *fields;     /* [columns] of the record at hand */
    ModelStringTable names; /* of the columns */
    int32_t *name_of;       /* TSV, CSV: [columns] */

    char *at, *end; /* what is still to be read */
    bool last;      /* the text ends there: a last line needs no end */
    size_t next_line;
    size_t fields_capacity;
    int64_t record;   /* JSON lines: number of the record, from 1 */
    int64_t *seen_in; /* JSON lines: [columns] the last record that had the key */
    size_t seen_capacity;
    bool pending; /* JSON lines: the first record is read already */
    ReelJsonReader json;
    size_t swallowed; /* TSV: the first line of a quoted field with tabs and line ends in it; 0: none */
} ModelRecords;

/* tsv, csv, jsonl, fasttext; an error is of usage. */
ReelStatus model_format_named(const char *name, ModelFormat *format);
/* What a file's name ends in, MODEL_FORMAT_ANY where that tells nothing; and what the first of some lines
 * looks like. */
ModelFormat model_format_of_name(const char *name);
ModelFormat model_format_of_line(const char *bytes, size_t size);
/* "TSV", "CSV with ';'", ... */
const char *model_records_form(const ModelRecords *records);

/* An empty reader; `name` must outlive it. MODEL_FORMAT_ANY: what the name ends in (.tsv, .csv, .jsonl,
 * .ndjson, with or without .gz) or, where that tells nothing, what the text begins with. */
void model_records_init(ModelRecords *records, const char *name, ModelFormat format);
void model_records_free(ModelRecords *records);
/* Where to read on: what model_records_next() has left, and more. The bytes are changed, and fields point
 * into them. */
void model_records_give(ModelRecords *records, char *bytes, size_t size, bool last);
/* Finds the format and reads the names of the columns; for JSON lines those of the first object, others may
 * follow. *more is false where bytes are missing, and nothing has been read. */
ReelStatus model_records_begin(ModelRecords *records, bool *more);
/* Reads the next record; empty lines are passed over. *more is false at the end of the bytes, where a part of
 * a record may be left. Errors name file, line and remedy. */
ReelStatus model_records_next(ModelRecords *records, bool *more);
/* The number of the column of that name, -1 where there is none. An error where two have it. */
ReelStatus model_records_find(const ModelRecords *records, ModelTextSpan name, int *column);
/* The name of a column, "" where it has none. */
const char *model_records_column(const ModelRecords *records, int column);

/* Without white space around it, seen or not: also no-break spaces, what has no width, and byte order marks,
 * which come from spreadsheets and web pages. */
ModelTextSpan model_trim(ModelTextSpan text);

REEL_END_DECLS

#endif

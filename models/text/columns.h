/* Which columns of a table are its texts, its labels and whatever else is asked for. */
#ifndef REEL_MODELS_COLUMNS_H
#define REEL_MODELS_COLUMNS_H

#include "models/text/records.h"
#include "tensor/arena.h"

REEL_BEGIN_DECLS

enum { MODEL_FORM_SIZE = 200 };

/* Names as the user gives them; NULL: what is usual, or none. */
typedef struct ModelColumnNames {
    const char *text;          /* one, or several separated by commas, which are joined by a space;
                                  NULL: text, comment_text, content, body or sentence, in any case */
    const char *labels;        /* NULL: labels, label, category, class, target or tags */
    const char *label_columns; /* a column of 0 and 1 for each label, separated by commas; "*": all others
                                  that hold nothing else. NULL: labels are in one column */
    const char *id, *split, *group;
} ModelColumnNames;

/* Numbers of columns, -1 for none. All zeros may be freed. */
typedef struct ModelColumns {
    int *texts; /* [num_texts] */
    int num_texts;
    int labels, id, split, group;
    int *label_columns; /* [num_label_columns] */
    int num_label_columns;
    bool all_others; /* label_columns is "*" */
} ModelColumns;

/* Finds them; `labelled`: there must be labels. Errors: a name that no column has or two have. */
ReelStatus model_columns_choose(ModelColumns *columns, const ModelRecords *records,
                                const ModelColumnNames *names, bool labelled);
void model_columns_free(ModelColumns *columns);
/* The text of the record at hand; of several columns joined by spaces, in memory of the arena. Errors: JSON
 * that has none or something else there, no memory. */
ReelStatus model_columns_text(const ModelColumns *columns, const ModelRecords *records, TensorArena *arena,
                              ModelTextSpan *text);
/* Whether a line of text names columns as a table's header does, and one of them is usually the text's; it is
 * put into `column`. */
bool model_line_is_header(const char *bytes, size_t size, char *column, size_t room);
/* Whether a column is one of these: neither a label of "*" nor passed through. */
bool model_columns_has(const ModelColumns *columns, int column);
/* Format and columns in words: "TSV, text in 'text', labels in 'labels'". */
void model_columns_describe(const ModelColumns *columns, const ModelRecords *records,
                            char form[MODEL_FORM_SIZE]);

REEL_END_DECLS

#endif

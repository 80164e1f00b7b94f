/* A labelled corpus in memory, from a file of one of the formats of models/text/records.h.
 *
 * The file is UTF-8; its columns are chosen as models/text/columns.h says. The labels of a row are separated
 * by
 * ", " or what the options say, a list or an object of 0 and 1 in JSON, columns of 0 and 1, or fastText's.
 * White space around a label does not count, nor does a label that is there twice. A row may have none. */
#ifndef REEL_MODELS_CORPUS_H
#define REEL_MODELS_CORPUS_H

#include "models/text/columns.h"
#include "models/strings/string_table.h"
#include "models/strings/text.h"
#include "tensor/arena.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/storage/text_source.h"
#include "tensor/view.h"

#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum { MODEL_CORPUS_HASH_SIZE = 9, MODEL_CORPUS_SEPARATOR_SIZE = 32, MODEL_CORPUS_WARNING_SIZE = 400 };

/* All zeros are the homework's form. */
typedef struct ModelCorpusOptions {
    const char *label_separator; /* NULL: ", "; else up to 31 bytes without tabs, line ends and quotes */
    ModelFormat format;
    ModelColumnNames columns;
    size_t window; /* bytes of the file in memory at a time, unless a row has more; 0: a few megabytes */
} ModelCorpusOptions;

/* Where a row belongs, as its file says. */
typedef enum ModelPart { MODEL_PART_ANY, MODEL_PART_TRAIN, MODEL_PART_VALID, MODEL_PART_TEST } ModelPart;

/* A corpus in memory. All zeros is an empty one. */
typedef struct ModelCorpus {
    int64_t rows;
    ModelTextSpan *texts;     /* [rows]; as they stand in the file, may be empty. NULL: they were not kept */
    int64_t *label_offsets;   /* [rows + 1]: the labels of row i are labels[label_offsets[i]] and on */
    int32_t *labels;          /* numbers of classes, ascending within a row, none twice */
    ModelStringTable classes; /* sorted as scikit-learn's MultiLabelBinarizer sorts them */
    uint8_t *parts;           /* [rows] ModelPart, by the column `split`; NULL: there is none */
    ModelStringTable groups;  /* what stands in the column `group` */
    int32_t *group_of;        /* [rows] numbers of groups; NULL: there is none */
    TensorArena memory;       /* of the texts */
    struct ModelCorpus *appended;      /* whose memory the texts of model_corpus_append() are in */
    struct ModelCleanTexts *cleaned;   /* the texts as model_dataset_read_corpus() has cleaned them; NULL: it
                                          has   not */
    char form[MODEL_FORM_SIZE];        /* format and columns, in words */
    char hash[MODEL_CORPUS_HASH_SIZE]; /* CRC-32 of the file (as in gzip), eight hexadecimal digits */
    int64_t unlabelled;                /* rows without labels */
    char label_separator[MODEL_CORPUS_SEPARATOR_SIZE];
    /* Where labels look as if they were several (how many rows' do, and the first of them), or two of them
     * differ in case alone: one line that names the file. Else empty. */
    char warning[MODEL_CORPUS_WARNING_SIZE];
} ModelCorpus;

/* Who takes the texts of rows `first` and on as they are read. Their bytes are good during the call. */
typedef ReelStatus ModelCorpusTake(void *context, const ModelTextSpan *texts, int64_t first, int64_t count);

/* Reads `path` ("-": the standard input); options may be NULL. On success the caller frees the corpus with
 * model_corpus_free(); otherwise it is empty.
 * Errors, with file and line: those of reel_text_file_read(), no UTF-8, NUL bytes, a CR without its LF, a
 * header without the columns or with one of them twice, a row with too few or too many fields, a quoted field
 * that never closes, JSON that is none, an empty label or one with a tab or a line end, a label column with
 * anything but 0 and 1, no rows, no memory; a separator that cannot be is wrong usage. */
ReelStatus model_corpus_read(ModelCorpus *corpus, const char *path, const ModelCorpusOptions *options);
/* The same from memory, which is copied; `name` stands for the path in messages. */
ReelStatus model_corpus_parse(ModelCorpus *corpus, const char *name, const char *bytes, size_t size,
                              const ModelCorpusOptions *options);
/* The same from a source, of which a window at a time is in memory: the texts go to `take` and are not kept.
 */
ReelStatus model_corpus_stream(ModelCorpus *corpus, ReelTextSource *source, const ModelCorpusOptions *options,
                               ModelCorpusTake *take, void *context);
/* Adds the rows of another corpus, which is empty afterwards, as a part of this one; all rows that do not say
 * otherwise are MODEL_PART_ANY. The hash stays that of the first. Errors: no memory. */
ReelStatus model_corpus_append(ModelCorpus *corpus, ModelCorpus *other, ModelPart part);
void model_corpus_free(ModelCorpus *corpus);

/* K. */
static inline int32_t model_corpus_num_classes(const ModelCorpus *corpus)
{
    return corpus->classes.count;
}

REEL_END_DECLS

#endif

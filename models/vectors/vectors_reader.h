/* Reads word vectors, a word at a time: word2vec's text and binary files, GloVe's and fastText's text
 * (GloVe's has no header), and Reel's own .npz. What they are is seen from what they hold. A file of any size
 * takes the memory of its longest line; of a word whose row is not asked for, the numbers are not read. */
#ifndef REEL_MODELS_VECTORS_READER_H
#define REEL_MODELS_VECTORS_READER_H

#include "models/strings/string_table.h"
#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

/* An open file. */
typedef struct ModelVectorsReader ModelVectorsReader;

/* Opens `path`; *reader is NULL on failure. Errors: those of reel_text_file_open(), neither of the formats, a
 * damaged .npz, no memory. */
ReelStatus model_vectors_open(ModelVectorsReader **reader, const char *path);
/* NULL is allowed. */
void model_vectors_close(ModelVectorsReader *reader);
/* Numbers in a row. */
int64_t model_vectors_width(const ModelVectorsReader *reader);
/* "word2vec text", "text without a header", "word2vec binary" or "npz". */
const char *model_vectors_format(const ModelVectorsReader *reader);
/* Goes on to the next word, which stays until the next call; word->bytes is NULL at the end. Errors, with the
 * line or the record: a row of another width, a word that is not UTF-8 or empty, a file that is cut. */
ReelStatus model_vectors_next(ModelVectorsReader *reader, ModelTextSpan *word);
/* Reads the row of that word, to room for the width. Errors: what is not a finite number. */
ReelStatus model_vectors_row(ModelVectorsReader *reader, float *row);
/* Where the word stands, for messages: "FILE:12", or "FILE: record 12". Valid until the next call. */
const char *model_vectors_place(ModelVectorsReader *reader);

/* All of a file: its words, and their rows, [words->count, *width], which the caller frees with
 * reel_mem_free(), after an error too. Errors: a word that is there twice, those above. */
ReelStatus model_vectors_read(const char *path, ModelStringTable *words, float **rows, int64_t *width);

REEL_END_DECLS

#endif

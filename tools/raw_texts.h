/* Texts to learn from without labels: files of texts, one a line, and labelled corpora, of which the training
 * part counts, so that nothing is learned from the texts that models are tested with. */
#ifndef REEL_TOOLS_RAW_TEXTS_H
#define REEL_TOOLS_RAW_TEXTS_H

#include "models/text/clean.h"
#include "models/text/dataset.h"

#include <stdbool.h>

/* Given each text as it stands in its file; of a labelled corpus, cleaned. */
typedef ReelStatus RawTextTaker(void *context, ModelTextSpan text);

/* Reads files whose names commas separate. `clean`: how a labelled corpus is cleaned and divided; `quiet`:
 * say nothing of what is read. Errors: those of reading, of `take`. */
ReelStatus raw_texts_read(const char *files, const ModelCleanOptions *clean, bool quiet, RawTextTaker *take,
                          void *context);
/* The next part of a list, which is cut at its commas in place; empty ones are passed over. NULL: the end. */
const char *raw_texts_next(char **list);

#endif

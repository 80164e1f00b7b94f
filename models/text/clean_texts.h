/* The texts of a corpus, cleaned: how is decided by looking at all of them, without having them in memory. */
#ifndef REEL_MODELS_CLEAN_TEXTS_H
#define REEL_MODELS_CLEAN_TEXTS_H

#include "models/text/dataset.h"
#include "models/text/word_texts.h"

REEL_BEGIN_DECLS

/* Cleans texts that are in memory. All zeros may be freed. Errors: those of model_cleaner_init(), no memory.
 */
ReelStatus model_clean_texts_make(ModelCleanTexts *clean, const ModelTextSpan *texts, int64_t count,
                                  const ModelDatasetOptions *options);
/* Reads a corpus, and cleans its texts as they come: corpus->cleaned, which model_corpus_free() frees. They
 * are cleaned as the first window asks for, and read once more where all of them ask for something else; so
 * what cannot be read twice, as the standard input, is put into a file of its own first. Errors: those of
 * model_corpus_stream(), a full disk. */
ReelStatus model_clean_texts_read(ModelCorpus *corpus, const char *path, const ModelDatasetOptions *options);

REEL_END_DECLS

#endif

/* A language model on disk: an AWD-LSTM with its softmax, and the pipeline that its ids come from. */
#ifndef REEL_MODELS_LANGUAGE_FILE_H
#define REEL_MODELS_LANGUAGE_FILE_H

#include "models/language/awd_lstm.h"

REEL_BEGIN_DECLS

/* All zeros may be freed. It stays where it is. */
typedef struct ModelLanguageFile {
    ModelPipeline text;
    ModelAwdLstm encoder;
    ModelLanguage *model; /* has the encoder's values */
    bool full;            /* its softmax */
} ModelLanguageFile;

/* Adds weights, sizes and pipeline to a file to be. */
void model_language_file_snapshot(ModelLanguageFile *file, NnSnapshot *snapshot);
/* Reads them. `threads`: of what is asked of it. Errors: the file is no language model, or cannot be. */
ReelStatus model_language_file_load(ModelLanguageFile *file, const char *path, int threads);
void model_language_file_free(ModelLanguageFile *file);

REEL_END_DECLS

#endif

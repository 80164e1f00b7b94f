/* From cleaned texts to ids: what learns the tokenizer of a data set, and encodes its parts on all threads.
 */
#ifndef REEL_MODELS_ENCODING_H
#define REEL_MODELS_ENCODING_H

#include "models/text/clean_texts.h"

REEL_BEGIN_DECLS

/* All zeros may be freed. */
typedef struct ModelEncoding {
    ModelWordTexts *texts;
    const ModelPipeline *how;
    const ModelDatasetOptions *options;
    int32_t *ids;            /* [words] the id of each; NULL: the tokenizer encodes texts */
    ModelSubwords *subwords; /* [threads] an encoder each, where it is of byte pairs */
    const ModelIdFile *file; /* where ids are put; NULL: into memory */
    uint64_t end;            /* of what is in the file */
} ModelEncoding;

/* Learns the tokenizer of `how` from texts, `count` of them by their numbers. Errors: those of the
 * tokenizers, no memory. */
ReelStatus model_encoding_learn(ModelEncoding *encoding, ModelWordTexts *texts, ModelPipeline *how,
                                const int32_t *numbers, int64_t count, const ModelDatasetOptions *options);
void model_encoding_free(ModelEncoding *encoding);
/* The ids of the examples in part->rows: part->ids, of 16 bits where the vocabulary fits, and part->offsets,
 * longest and empty. Errors: no memory, the disk. */
ReelStatus model_encoding_fill(ModelEncoding *encoding, ModelDatasetPart *part);

REEL_END_DECLS

#endif

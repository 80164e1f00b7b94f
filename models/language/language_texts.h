/* Texts as ids: what a language model is learned from. */
#ifndef REEL_MODELS_LANGUAGE_TEXTS_H
#define REEL_MODELS_LANGUAGE_TEXTS_H

#include "models/text/pipeline.h"

REEL_BEGIN_DECLS

/* What becomes of words that a vocabulary does not have. */
typedef enum ModelUnknownWords {
    MODEL_UNKNOWN_DROPPED, /* as a classifier's texts lose them */
    MODEL_UNKNOWN_KEPT     /* as <unk> */
} ModelUnknownWords;

/* Each text begins with <bos> and ends with <eos>. All zeros is an empty list. */
typedef struct ModelLanguageTexts {
    ModelIdList ids;
    int64_t count;
    int64_t *offsets; /* [count + 1]; NULL where there are none: text i has the ids from offsets[i] on */
    size_t capacity;
    int64_t unknown; /* words that had no id */
} ModelLanguageTexts;

/* Adds a text as it stands in a file, cleaned and cut as the pipeline says, but for its length. A text of
 * which nothing is left is passed over. `scratch` is for the cleaned text. Errors: no memory. */
ReelStatus model_language_texts_add(ModelLanguageTexts *texts, const ModelPipeline *pipeline,
                                    ModelUnknownWords unknown, ModelTextSpan text, ReelBytes *scratch);
/* Adds a text that is ids already, <bos> and <eos> among them. Errors: no memory. */
ReelStatus model_language_texts_add_ids(ModelLanguageTexts *texts, const int32_t *ids, int64_t count);
void model_language_texts_free(ModelLanguageTexts *texts);

REEL_END_DECLS

#endif

#include "models/text/pipeline.h"

#include <string.h>

void model_pipeline_free(ModelPipeline *pipeline)
{
    model_cleaner_free(&pipeline->cleaner);
    model_vocabulary_free(&pipeline->vocabulary);
    model_ngrams_free(&pipeline->ngrams);
    model_subwords_free(&pipeline->subwords);
    model_string_table_free(&pipeline->labels);
    *pipeline = (ModelPipeline){0};
}

bool model_pipeline_encode(const ModelPipeline *pipeline, ModelTextSpan text, ReelBytes *scratch,
                           ModelIdList *list)
{
    return model_pipeline_encode_by(pipeline, &pipeline->tokenizer, text, scratch, list);
}

bool model_pipeline_encode_by(const ModelPipeline *pipeline, const ModelTokenizer *tokenizer,
                              ModelTextSpan text, ReelBytes *scratch, ModelIdList *list)
{
    scratch->size = 0;
    if (!model_cleaner_append(&pipeline->cleaner, text, scratch))
        return false;
    ModelTextSpan clean = {scratch->data, scratch->size};
    return model_tokenizer_encode(tokenizer, clean, pipeline->max_len, list);
}

const char *model_pipeline_word(const ModelPipeline *pipeline, int32_t id, size_t *size)
{
    if (pipeline->tokenizer.bpe)
        return model_bpe_token_text(pipeline->tokenizer.bpe, id, size);
    int32_t words = model_vocabulary_size(&pipeline->vocabulary);
    if (id < 0 || id >= words + pipeline->ngrams.pieces.count)
        return NULL;
    const char *word = id < words ? model_vocabulary_word(&pipeline->vocabulary, id)
                                  : model_string_table_text(&pipeline->ngrams.pieces, id - words);
    if (size)
        *size = strlen(word);
    return word;
}

const char *model_pipeline_separator(const ModelPipeline *pipeline)
{
    return pipeline->label_separator[0] ? pipeline->label_separator : ", ";
}

#include "models/text/pipeline.h"
#include "tensor/mem.h"

#include <string.h>

void model_pipeline_free(ModelPipeline *pipeline)
{
    cleaner_free(&pipeline->cleaner);
    vocabulary_free(&pipeline->vocabulary);
    subwords_free(&pipeline->subwords);
    string_table_free(&pipeline->labels);
    *pipeline = (ModelPipeline){0};
}

bool model_pipeline_encode(const ModelPipeline *pipeline, TextSpan text, ReelBytes *scratch, IdList *list)
{
    scratch->size = 0;
    if (!cleaner_append(&pipeline->cleaner, text, scratch))
        return false;
    TextSpan clean = {scratch->data, scratch->size};
    return tokenizer_encode(&pipeline->tokenizer, clean, pipeline->max_len, list);
}

const char *model_pipeline_word(const ModelPipeline *pipeline, int32_t id, size_t *size)
{
    if (pipeline->tokenizer.bpe)
        return bpe_token_text(pipeline->tokenizer.bpe, id, size);
    if (id < 0 || id >= vocabulary_size(&pipeline->vocabulary))
        return NULL;
    const char *word = vocabulary_word(&pipeline->vocabulary, id);
    if (size)
        *size = strlen(word);
    return word;
}

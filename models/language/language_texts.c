#include "models/language/language_texts.h"

#include "tensor/mem.h"

/* The ids of a cleaned text's words, one by one, so that those without an id are seen. */
static bool encode_words(ModelLanguageTexts *texts, const ModelVocabulary *vocabulary,
                         ModelUnknownWords unknown, ModelTextSpan clean)
{
    for (ModelTextSpan word; model_text_next_word(&clean, &word);) {
        int32_t id = model_vocabulary_id(vocabulary, word);
        texts->unknown += id < 0;
        if (id < 0 && unknown == MODEL_UNKNOWN_DROPPED)
            continue;
        if (!model_id_list_push(&texts->ids, id < 0 ? MODEL_TOKEN_UNK : id))
            return false;
    }
    return true;
}

ReelStatus model_language_texts_add(ModelLanguageTexts *texts, const ModelPipeline *pipeline,
                                    ModelUnknownWords unknown, ModelTextSpan text, ReelBytes *scratch)
{
    const ModelTokenizer *tokenizer = &pipeline->tokenizer;
    size_t begin = texts->ids.count;
    int64_t *offsets =
        reel_mem_reserve(texts->offsets, (size_t)texts->count, 2, &texts->capacity, sizeof *texts->offsets);
    scratch->size = 0;
    if (!offsets || !model_cleaner_append(&pipeline->cleaner, text, scratch))
        return reel_status_no_memory(text.length, "the texts");
    texts->offsets = offsets;
    offsets[texts->count] = (int64_t)begin;
    ModelTextSpan clean = {scratch->data, scratch->size};
    bool ok = model_id_list_push(&texts->ids, MODEL_TOKEN_BOS);
    if (tokenizer->bpe)
        ok = ok && tokenizer->encode(tokenizer->state, clean, SIZE_MAX, &texts->ids);
    else
        ok = ok && encode_words(texts, &pipeline->vocabulary, unknown, clean);
    if (texts->ids.count == begin + 1) {
        texts->ids.count = begin;
        return ok ? reel_status_ok() : reel_status_no_memory(text.length, "the texts");
    }
    if (!ok || !model_id_list_push(&texts->ids, MODEL_TOKEN_EOS))
        return reel_status_no_memory(text.length, "the texts");
    offsets[++texts->count] = (int64_t)texts->ids.count;
    return reel_status_ok();
}

ReelStatus model_language_texts_add_ids(ModelLanguageTexts *texts, const int32_t *ids, int64_t count)
{
    size_t begin = texts->ids.count;
    int64_t *offsets =
        reel_mem_reserve(texts->offsets, (size_t)texts->count, 2, &texts->capacity, sizeof *texts->offsets);
    if (offsets)
        texts->offsets = offsets;
    bool ok = offsets;
    for (int64_t i = 0; ok && i < count; i++)
        ok = model_id_list_push(&texts->ids, ids[i]);
    if (!ok)
        return reel_status_no_memory((size_t)count * sizeof *ids, "the texts");
    offsets[texts->count++] = (int64_t)begin;
    offsets[texts->count] = (int64_t)texts->ids.count;
    return reel_status_ok();
}

void model_language_texts_free(ModelLanguageTexts *texts)
{
    model_id_list_free(&texts->ids);
    reel_mem_free(texts->offsets);
    *texts = (ModelLanguageTexts){0};
}

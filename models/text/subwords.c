#include "models/text/subwords.h"

#include <string.h>

static const char *const special_tokens[MODEL_NUM_SPECIAL_TOKENS] = {"<pad>", "<unk>", "<bos>", "<eos>"};

static bool encode(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list)
{
    /* The encoder's cache and the scratch list change, never what is encoded. */
    ModelSubwords *subwords = (ModelSubwords *)(uintptr_t)state;
    subwords->scratch.count = 0;
    ReelStatus status = model_bpe_encode(subwords->encoder, text.bytes, text.length, &subwords->scratch);
    if (!reel_status_is_ok(&status))
        return false;
    size_t count = subwords->scratch.count < limit ? subwords->scratch.count : limit;
    size_t before = list->count;
    for (size_t i = 0; i < count; i++)
        if (!model_id_list_push(list, subwords->scratch.ids[i])) {
            list->count = before;
            return false;
        }
    return true;
}

static ModelTokenizer handle(const ModelSubwords *subwords)
{
    return (ModelTokenizer){.state = subwords,
                            .vocab_size = model_bpe_vocab_size(subwords->tokenizer),
                            .encode = encode,
                            .bpe = subwords->tokenizer};
}

ReelStatus model_subwords_adopt(ModelSubwords *subwords, ModelBpeTokenizer *learned,
                                ModelTokenizer *tokenizer)
{
    subwords->tokenizer = learned;
    for (int32_t id = 0; id < MODEL_NUM_SPECIAL_TOKENS; id++) {
        const char *special = special_tokens[id];
        if (model_bpe_token_id(learned, special, strlen(special)) != id)
            return reel_status_failed(
                "the tokenizer's first tokens must be <pad> <unk> <bos> <eos>, but %s has id %d", special,
                model_bpe_token_id(learned, special, strlen(special)));
    }
    subwords->encoder = model_bpe_encoder_new(learned);
    if (!subwords->encoder)
        return reel_status_failed("out of memory for the tokenizer's encoder");
    *tokenizer = handle(subwords);
    return reel_status_ok();
}

ReelStatus model_subwords_share(ModelSubwords *subwords, const ModelSubwords *other,
                                ModelTokenizer *tokenizer)
{
    subwords->encoder = model_bpe_encoder_new(other->tokenizer);
    if (!subwords->encoder)
        return reel_status_failed("out of memory for the tokenizer's encoder");
    *tokenizer = handle(other);
    tokenizer->state = subwords;
    return reel_status_ok();
}

ReelStatus model_subwords_copy(ModelSubwords *subwords, const ModelBpeTokenizer *learned,
                               ModelTokenizer *tokenizer)
{
    ReelBytes json = {0};
    ModelBpeTokenizer *copy = NULL;
    ReelStatus status = model_bpe_to_json(learned, &json);
    if (reel_status_is_ok(&status))
        status = model_bpe_from_json(&copy, json.data, json.size, "the tokenizer");
    reel_bytes_free(&json);
    return reel_status_is_ok(&status) ? model_subwords_adopt(subwords, copy, tokenizer) : status;
}

static ReelStatus count_texts(ModelBpeCounter *counter, const ModelWordTexts *texts, const int32_t *numbers,
                              int64_t count)
{
    ReelBytes scratch = {0}, text = {0};
    ReelStatus status = reel_status_ok();
    for (int64_t i = 0; i < count && reel_status_is_ok(&status); i++) {
        text.size = 0;
        status = model_word_texts_text(texts, numbers[i], &scratch, &text);
        if (reel_status_is_ok(&status))
            status = model_bpe_counter_add(counter, text.data ? text.data : "", text.size);
    }
    reel_bytes_free(&scratch);
    reel_bytes_free(&text);
    return status;
}

ReelStatus model_subwords_fit(ModelSubwords *subwords, const ModelWordTexts *texts, const int32_t *numbers,
                              int64_t count, ModelTokenizer *tokenizer)
{
    ModelBpeOptions options = {.pretokenizer = MODEL_BPE_WHITESPACE,
                               .vocab_size = subwords->wanted,
                               .min_frequency = 2,
                               .special_tokens = special_tokens,
                               .special_count = MODEL_NUM_SPECIAL_TOKENS,
                               .unk_token = special_tokens[MODEL_TOKEN_UNK]};
    ModelBpeCounter *counter = model_bpe_counter_new(&options);
    if (!counter)
        return reel_status_failed("out of memory for counting byte pairs");
    ModelBpeTokenizer *learned = NULL;
    ReelStatus status = count_texts(counter, texts, numbers, count);
    if (reel_status_is_ok(&status))
        status = model_bpe_train(&learned, counter);
    model_bpe_counter_free(counter);
    return reel_status_is_ok(&status) ? model_subwords_adopt(subwords, learned, tokenizer) : status;
}

void model_subwords_free(ModelSubwords *subwords)
{
    model_bpe_encoder_free(subwords->encoder);
    model_bpe_tokenizer_free(subwords->tokenizer);
    model_bpe_ids_free(&subwords->scratch);
    *subwords = (ModelSubwords){0};
}

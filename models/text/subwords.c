#include "models/text/subwords.h"

#include <string.h>

static const char *const special_tokens[NUM_SPECIAL_TOKENS] = {"<pad>", "<unk>", "<bos>", "<eos>"};

static bool encode(const void *state, TextSpan text, size_t limit, IdList *list)
{
    /* The encoder's cache and the scratch list change, never what is encoded. */
    Subwords *subwords = (Subwords *)(uintptr_t)state;
    subwords->scratch.count = 0;
    ReelStatus status = bpe_encode(subwords->encoder, text.bytes, text.length, &subwords->scratch);
    if (!reel_status_is_ok(&status))
        return false;
    size_t count = subwords->scratch.count < limit ? subwords->scratch.count : limit;
    size_t before = list->count;
    for (size_t i = 0; i < count; i++)
        if (!id_list_push(list, subwords->scratch.ids[i])) {
            list->count = before;
            return false;
        }
    return true;
}

static Tokenizer handle(const Subwords *subwords)
{
    return (Tokenizer){.state = subwords,
                       .vocab_size = bpe_vocab_size(subwords->tokenizer),
                       .encode = encode,
                       .bpe = subwords->tokenizer};
}

ReelStatus subwords_adopt(Subwords *subwords, BpeTokenizer *learned, Tokenizer *tokenizer)
{
    subwords->tokenizer = learned;
    for (int32_t id = 0; id < NUM_SPECIAL_TOKENS; id++) {
        const char *special = special_tokens[id];
        if (bpe_token_id(learned, special, strlen(special)) != id)
            return reel_status_failed(
                "the tokenizer's first tokens must be <pad> <unk> <bos> <eos>, but %s has id %d", special,
                bpe_token_id(learned, special, strlen(special)));
    }
    subwords->encoder = bpe_encoder_new(learned);
    if (!subwords->encoder)
        return reel_status_failed("out of memory for the tokenizer's encoder");
    *tokenizer = handle(subwords);
    return reel_status_ok();
}

ReelStatus subwords_copy(Subwords *subwords, const BpeTokenizer *learned, Tokenizer *tokenizer)
{
    ReelBytes json = {0};
    BpeTokenizer *copy = NULL;
    ReelStatus status = bpe_to_json(learned, &json);
    if (reel_status_is_ok(&status))
        status = bpe_from_json(&copy, json.data, json.size, "the tokenizer");
    reel_bytes_free(&json);
    return reel_status_is_ok(&status) ? subwords_adopt(subwords, copy, tokenizer) : status;
}

static ReelStatus count_texts(BpeCounter *counter, const TextSpan *texts, int64_t count)
{
    ReelStatus status = reel_status_ok();
    for (int64_t i = 0; i < count && reel_status_is_ok(&status); i++)
        status = bpe_counter_add(counter, texts[i].bytes, texts[i].length);
    return status;
}

ReelStatus subwords_fit(Subwords *subwords, const TextSpan *texts, int64_t count, Tokenizer *tokenizer)
{
    BpeOptions options = {.pretokenizer = BPE_WHITESPACE,
                          .vocab_size = subwords->wanted,
                          .min_frequency = 2,
                          .special_tokens = special_tokens,
                          .special_count = NUM_SPECIAL_TOKENS,
                          .unk_token = special_tokens[TOKEN_UNK]};
    BpeCounter *counter = bpe_counter_new(&options);
    if (!counter)
        return reel_status_failed("out of memory for counting byte pairs");
    BpeTokenizer *learned = NULL;
    ReelStatus status = count_texts(counter, texts, count);
    if (reel_status_is_ok(&status))
        status = bpe_train(&learned, counter);
    bpe_counter_free(counter);
    return reel_status_is_ok(&status) ? subwords_adopt(subwords, learned, tokenizer) : status;
}

void subwords_free(Subwords *subwords)
{
    bpe_encoder_free(subwords->encoder);
    bpe_tokenizer_free(subwords->tokenizer);
    bpe_ids_free(&subwords->scratch);
    *subwords = (Subwords){0};
}

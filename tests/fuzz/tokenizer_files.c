/* Fuzz target: any bytes, read as a tokenizer.json, as GPT-2's two files (cut at the first NUL) and as
 * subword-nmt's codes. What is read must be whole: it encodes and decodes, and reads the same after it was
 * written. A message is one line that says where. A crash, a leak, a read out of bounds or undefined
 * behaviour is a finding. */
#include "models/bpe/bpe_files_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_text(const ModelBpeTokenizer *t, const char *text, size_t size)
{
    ModelBpeEncoder *encoder = model_bpe_encoder_new(t);
    ModelBpeIds ids = {0};
    ReelBytes back = {0};
    ReelStatus status = model_bpe_encode(encoder, text, size, &ids);
    require(reel_status_is_ok(&status));
    for (size_t i = 0; i < ids.count; i++)
        require(ids.ids[i] >= 0 && ids.ids[i] < model_bpe_vocab_size(t));
    status = model_bpe_decode(t, ids.ids, ids.count, true, &back);
    require(reel_status_is_ok(&status));
    model_bpe_encoder_free(encoder);
    model_bpe_ids_free(&ids);
    reel_bytes_free(&back);
}

static void check_same(const ModelBpeTokenizer *a)
{
    ReelBytes x = {0}, y = {0};
    ModelBpeTokenizer *b;
    ReelStatus status = model_bpe_to_json(a, &x);
    require(reel_status_is_ok(&status));
    status = model_bpe_from_json(&b, x.data, x.size, "again");
    require(reel_status_is_ok(&status));
    status = model_bpe_to_json(b, &y);
    require(reel_status_is_ok(&status) && x.size == y.size && memcmp(x.data, y.data, x.size) == 0);
    model_bpe_tokenizer_free(b);
    reel_bytes_free(&x);
    reel_bytes_free(&y);
}

static void check(ReelStatus status, ModelBpeTokenizer *t, const uint8_t *data, size_t size)
{
    require(reel_status_is_ok(&status) == (t != NULL));
    if (!t) {
        require(strchr(status.message, '\n') == NULL && strncmp(status.message, "fuzz", 4) == 0);
        return;
    }
    static const char text[] = "a <s>b\xE6\x97\xA5  it's\n'll 12 \xFF the </w> <0x41>";
    check_text(t, text, sizeof text);
    check_text(t, (const char *)data, size);
    check_same(t);
    model_bpe_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *zero = size ? memchr(text, 0, size) : NULL;
    size_t first = zero ? (size_t)(zero - text) : size;
    ModelBpeTokenizer *t;
    ReelStatus status = model_bpe_from_json(&t, text, size, "fuzz");
    check(status, t, data, size);
    status = model_bpe_codes_from_memory(&t, text, size, "fuzz", NULL);
    check(status, t, data, size);
    if (!zero)
        return 0;
    status = model_bpe_gpt2_from_memory(&t, text, first, "fuzz.json", zero + 1, size - first - 1, "fuzz.txt");
    check(status, t, data, size);
    return 0;
}

#include "tests/bpe_support.h"
#include "tests/skip_support.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>

ReelBytes bpe_support_fixture(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/fixtures/bpe/%s", name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    ReelBytes bytes = {0};
    char block[4096];
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        ck_assert(reel_bytes_append(&bytes, block, got));
    fclose(file);
    return bytes;
}

ModelBpeTokenizer *bpe_support_load(const char *name)
{
    ReelBytes bytes = bpe_support_fixture(name);
    ModelBpeTokenizer *tokenizer;
    ck_assert_ok(model_bpe_from_json(&tokenizer, bytes.data, bytes.size, name));
    reel_bytes_free(&bytes);
    return tokenizer;
}

static ModelBpeTokenizer *finish(ModelBpeCounter *counter)
{
    ModelBpeTokenizer *tokenizer;
    ck_assert_ok(model_bpe_train(&tokenizer, counter));
    model_bpe_counter_free(counter);
    return tokenizer;
}

ModelBpeTokenizer *bpe_support_learn(ModelBpeOptions options, const char *text, size_t size)
{
    ModelBpeCounter *counter = model_bpe_counter_new(&options);
    ck_assert_ptr_nonnull(counter);
    ck_assert_ok(model_bpe_counter_add(counter, text, size));
    return finish(counter);
}

ModelBpeTokenizer *bpe_support_learn_file(ModelBpeOptions options, const char *path)
{
    ModelBpeCounter *counter = model_bpe_counter_new(&options);
    ck_assert_ptr_nonnull(counter);
    ck_assert_ok(model_bpe_counter_add_file(counter, path));
    return finish(counter);
}

ModelBpeIds bpe_support_encode(const ModelBpeTokenizer *tokenizer, const char *text, size_t size)
{
    ModelBpeEncoder *encoder = model_bpe_encoder_new(tokenizer);
    ModelBpeIds ids = {0};
    ck_assert_ok(model_bpe_encode(encoder, text, size, &ids));
    model_bpe_encoder_free(encoder);
    return ids;
}

void bpe_support_check_ids(const ModelBpeTokenizer *tokenizer, const char *name)
{
    ReelBytes text = bpe_support_fixture("text.txt"), expected = bpe_support_fixture(name);
    ModelBpeEncoder *encoder = model_bpe_encoder_new(tokenizer);
    ModelBpeIds ids = {0}, ends = {0};
    ck_assert_ok(model_bpe_encode_lines(encoder, text.data, text.size, &ids, &ends));
    ck_assert(reel_bytes_append(&expected, "", 1));
    const char *at = expected.data, *line = text.data;
    size_t begin = 0;
    for (size_t i = 0; i < ends.count; i++) {
        const char *feed = strchr(line, '\n');
        ModelBpeIds alone = bpe_support_encode(tokenizer, line, (size_t)(feed - line));
        ck_assert_uint_eq(alone.count, (size_t)ends.ids[i] - begin);
        for (size_t k = 0; k < alone.count; k++) {
            char *end;
            long id = strtol(at, &end, 10);
            ck_assert_msg(end > at && memchr(at, '\n', (size_t)(end - at)) == NULL, "%s:%zu: too many ids",
                          name, i + 1);
            ck_assert_msg(ids.ids[begin + k] == id, "%s:%zu: id %zu is %d, not %ld", name, i + 1, k,
                          ids.ids[begin + k], id);
            ck_assert_int_eq(alone.ids[k], id);
            at = end;
        }
        ck_assert_msg(*at == '\n', "%s:%zu: too few ids", name, i + 1);
        at++;
        line = feed + 1;
        begin = (size_t)ends.ids[i];
        model_bpe_ids_free(&alone);
    }
    ck_assert_msg(*at == '\0', "%s: too few lines", name);
    model_bpe_encoder_free(encoder);
    model_bpe_ids_free(&ids);
    model_bpe_ids_free(&ends);
    reel_bytes_free(&text);
    reel_bytes_free(&expected);
}

void bpe_support_check_same(const ModelBpeTokenizer *a, const ModelBpeTokenizer *b)
{
    ReelBytes x = {0}, y = {0};
    ck_assert_ok(model_bpe_to_json(a, &x));
    ck_assert_ok(model_bpe_to_json(b, &y));
    ck_assert_uint_eq(x.size, y.size);
    for (size_t i = 0; i < x.size; i++)
        ck_assert_msg(x.data[i] == y.data[i], "differs from byte %zu on: %.60s / %.60s", i, x.data + i,
                      y.data + i);
    reel_bytes_free(&x);
    reel_bytes_free(&y);
}

START_TEST(without_utf8proc)
{
    test_skip("Reel is built without utf8proc");
}
END_TEST

void bpe_support_add(TCase *tcase, const TTest *test)
{
    tcase_add_test(tcase, model_bpe_knows_unicode() ? test : without_utf8proc);
}

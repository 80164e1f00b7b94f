#include "tests/bpe_support.h"

static void check(const ModelBpeTokenizer *t, const char *text, bool skip, const char *expected)
{
    ModelBpeIds ids = bpe_support_encode(t, text, strlen(text));
    ReelBytes back = {0};
    ck_assert_ok(model_bpe_decode(t, ids.ids, ids.count, skip, &back));
    ck_assert(reel_bytes_append(&back, "", 1));
    ck_assert_str_eq(back.data, expected);
    model_bpe_ids_free(&ids);
    reel_bytes_free(&back);
}

START_TEST(tokens_are_separated_by_blanks)
{
    ModelBpeTokenizer *t = bpe_support_load("whitespace.json");
    check(t, "of the  <pad>of\n", true, "of the of");
    check(t, "of <pad> the", false, "of <pad> the");
    check(t, "", true, "");
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(words_are_put_together)
{
    ModelBpeTokenizer *t =
        bpe_support_learn((ModelBpeOptions){.pretokenizer = MODEL_BPE_SUBWORD_NMT, .vocab_size = 30},
                          "one two three one two one", 25);
    check(t, "one  two oneonetwo", true, "one two oneonetwo");
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(special_tokens_of_byte_level)
{
    ModelBpeTokenizer *t = bpe_support_load("limited.json");
    check(t, "a<s> b", true, " a b");
    check(t, "a<s> b", false, " a<s> b");
    model_bpe_tokenizer_free(t);
}
END_TEST

/* Only special ones are left out, of those that are added as well. */
START_TEST(added_tokens_of_byte_level)
{
    static const char form[] =
        "{\"added_tokens\":[{\"id\":1,\"content\":\"<x>\"},{\"id\":2,\"content\":\"<s>\",\"special\":true}],"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    ModelBpeTokenizer *t;
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    check(t, "a<x><s>a", true, "a<x>a");
    check(t, "a<x><s>a", false, "a<x><s>a");
    model_bpe_tokenizer_free(t);
}
END_TEST

/* As in Hugging Face, a token is mapped bytes as a whole or not at all. */
START_TEST(tokens_that_are_no_mapped_bytes)
{
    static const char form[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":"
        "{\"\\u0120a\":0,\"\\u0120\\u65E5\":1},\"merges\":[]}}";
    const int32_t ids[] = {0, 1};
    ModelBpeTokenizer *t;
    ReelBytes out = {0};
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    ck_assert_ok(model_bpe_decode(t, ids, 2, true, &out));
    ck_assert(reel_bytes_append(&out, "", 1));
    ck_assert_str_eq(out.data, " a\xC4\xA0\xE6\x97\xA5");
    reel_bytes_free(&out);
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(ids_that_do_not_exist)
{
    ModelBpeTokenizer *t = bpe_support_load("whitespace.json");
    const int32_t high[] = {1, 400}, negative[] = {-1};
    ReelBytes out = {0};
    ck_assert_failed(model_bpe_decode(t, high, 2, true, &out), REEL_STATUS_FAILED, "id 400 (number 2)");
    ck_assert_failed(model_bpe_decode(t, negative, 1, true, &out), REEL_STATUS_FAILED, "id -1");
    ck_assert_uint_eq(out.size, 0);
    model_bpe_tokenizer_free(t);
}
END_TEST

Suite *models_bpe_decode_suite(void);
Suite *models_bpe_decode_suite(void)
{
    Suite *suite = suite_create("models/bpe_decode");
    TCase *tcase = tcase_create("decoding");
    tcase_add_test(tcase, tokens_are_separated_by_blanks);
    tcase_add_test(tcase, words_are_put_together);
    bpe_support_add(tcase, special_tokens_of_byte_level);
    bpe_support_add(tcase, added_tokens_of_byte_level);
    bpe_support_add(tcase, tokens_that_are_no_mapped_bytes);
    tcase_add_test(tcase, ids_that_do_not_exist);
    suite_add_tcase(suite, tcase);
    return suite;
}

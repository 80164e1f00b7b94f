/* Added tokens as Hugging Face finds them; the ids are those of tokenizers 0.23. */
#include "tests/bpe_support.h"

#include <stdio.h>

#define WHITESPACE "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}"
#define MODEL      "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2},\"merges\":[]}"

/* A tokenizer with these added tokens. */
static ReelStatus read(const char *added, const char *rest, ModelBpeTokenizer **t)
{
    char form[2000];
    int size = snprintf(form, sizeof form, "{\"added_tokens\":[%s]," WHITESPACE ",%s}", added, rest);
    return model_bpe_from_json(t, form, (size_t)size, "memory");
}

static ModelBpeTokenizer *with(const char *added)
{
    ModelBpeTokenizer *t;
    ck_assert_ok(read(added, MODEL, &t));
    return t;
}

/* The ids of a text, and those of the same as one of several lines. */
static void check(const ModelBpeTokenizer *t, const char *text, const char *expected)
{
    ModelBpeIds ids = bpe_support_encode(t, text, strlen(text)), lines = {0}, ends = {0};
    ModelBpeEncoder *encoder = model_bpe_encoder_new(t);
    char two[200], got[200] = "";
    int size = snprintf(two, sizeof two, "%s\n%s\n", text, text);
    ck_assert_ok(model_bpe_encode_lines(encoder, two, (size_t)size, &lines, &ends));
    for (size_t i = 0, at = 0; i < ids.count; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, i ? " %d" : "%d", ids.ids[i]);
    ck_assert_msg(strcmp(got, expected) == 0, "'%s': %s, not %s", text, got, expected);
    ck_assert_uint_eq(ends.count, 2);
    ck_assert_uint_eq(lines.count, 2 * ids.count);
    for (size_t i = 0; i < lines.count; i++)
        ck_assert_int_eq(lines.ids[i], ids.ids[i % ids.count]);
    model_bpe_ids_free(&ids);
    model_bpe_ids_free(&lines);
    model_bpe_ids_free(&ends);
    model_bpe_encoder_free(encoder);
}

START_TEST(one_that_is_listed_twice_counts_as_the_last_time)
{
    ModelBpeTokenizer *t = with("{\"id\":3,\"content\":\"x\",\"lstrip\":true,\"special\":true},"
                                "{\"id\":4,\"content\":\"y\"},"
                                "{\"id\":3,\"content\":\"x\",\"rstrip\":true}");
    check(t, "a x y", "0 3 4");
    check(t, "xay", "3 0 4");
    model_bpe_tokenizer_free(t);
    t = with("{\"id\":1,\"content\":\"b\",\"single_word\":true},{\"id\":1,\"content\":\"b\"}");
    check(t, "abc", "0 1 2");
    ReelBytes json = {0};
    ck_assert_ok(model_bpe_to_json(t, &json));
    ck_assert(reel_bytes_append(&json, "", 1));
    ck_assert_ptr_null(strstr(json.data, "\"single_word\": true"));
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* lstrip alone would take the blank before it: which flags count is seen in the ids. */
START_TEST(its_flags_are_the_last_ones)
{
    ModelBpeTokenizer *t;
    static const char model[] =
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0120\":0,\"a\":1},\"merges\":[]}";
    static const char twice[] =
        "{\"added_tokens\":[{\"id\":2,\"content\":\"<s>\",\"lstrip\":true},{\"id\":2,\"content\":\"<s>\"}],"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},%s}";
    char form[600];
    int size = snprintf(form, sizeof form, twice, model);
    ck_assert_ok(model_bpe_from_json(&t, form, (size_t)size, "memory"));
    check(t, "a <s>", "1 0 2");
    model_bpe_tokenizer_free(t);
}
END_TEST

/* What one took on its right may be found as another; what is on the left of one may be taken already. */
START_TEST(white_space_beside_them)
{
    static const char form[] =
        "{\"added_tokens\":[{\"id\":2,\"content\":\"<l>\",\"lstrip\":true},{\"id\":3,\"content\":\"<r>\","
        "\"rstrip\":true},"
        "{\"id\":4,\"content\":\"<b>\",\"lstrip\":true,\"rstrip\":true},{\"id\":5,\"content\":\"  \"},"
        "{\"id\":6,\"content\":\"\\t\",\"lstrip\":true,\"rstrip\":true}],"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0120\":0,\"a\":1},\"merges\":[]}}";
    static const char *const cases[][2] = {{"a <l> a", "1 2 0 1"},
                                           {"a <r> a", "1 0 3 1"},
                                           {"a <b> a", "1 4 1"},
                                           {"<r> <l>", "3 2"},
                                           {"<r>   <l> a", "3 5 2 0 1"},
                                           {"<r> <r> a", "3 3 1"},
                                           {"<b> <b>a", "4 4 1"},
                                           {"<r>  a", "3 5 1"},
                                           {"<r>   a", "3 5 0 1"},
                                           {"a   <l>", "1 5 2"},
                                           {" <l> <l> ", "2 2 0"},
                                           {"<r> \t a", "3 1"},
                                           {"\t <l> a", "6 2 0 1"},
                                           {"<b>  <b> a", "4 5 4 1"},
                                           {"\t  \t a", "6 5 6 1"},
                                           {"<r>\xE3\x80\x80"
                                            "a",
                                            "3 1"},
                                           {"a\xE2\x80\x83<l>", "1 2"}};
    ModelBpeTokenizer *t;
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(t, cases[i][0], cases[i][1]);
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(one_without_text_does_nothing)
{
    ModelBpeTokenizer *t = with("{\"id\":3,\"content\":\"\"},{\"id\":3,\"content\":\"x\"}");
    check(t, "axb", "0 3 1");
    ck_assert_int_eq(model_bpe_vocab_size(t), 4);
    model_bpe_tokenizer_free(t);
    ck_assert_failed(read("{\"id\":3,\"content\":\"\"},{\"id\":4,\"content\":\"x\"}", MODEL, &t),
                     REEL_STATUS_FAILED,
                     "\"x\" has id 4 here, but Hugging Face passes over that and gives it 3");
}
END_TEST

/* Neither beside a letter, a mark, a digit or a connector; one that does not count hides no other. */
START_TEST(single_words)
{
    ModelBpeTokenizer *t = with("{\"id\":3,\"content\":\"x\",\"single_word\":true},"
                                "{\"id\":4,\"content\":\"xx\",\"single_word\":true},"
                                "{\"id\":5,\"content\":\"xb\"}");
    check(t, "x", "3");
    check(t, "a x b", "0 3 1");
    check(t, "ax", "0");
    check(t, "xa", "0");
    check(t, "a-x-b", "0 3 1");
    check(t, "x_ _x x1 1x", "");
    check(t, "x\xCC\x81 \xCC\x81x", "");                    /* U+0301 */
    check(t, "x\xC2\xB2 \xC2\xB2x", "3 3");                 /* a superscript is a number and no word */
    check(t, "x\xE2\x80\x8D \xE2\x80\x8Dx", "");            /* the joiner */
    check(t, "x\xE6\x97\xA5 \xF0\xA0\x80\x80x", "");        /* letters of three and four bytes */
    check(t, "x\xF0\x9F\x98\x80 \xF0\x9F\x98\x80x", "3 3"); /* an emoji */
    check(t, "xx", "4");
    check(t, "xxx", "");                    /* xx does not count, and the x behind it follows a letter */
    check(t, "xxb x", "1 3");               /* the search goes on behind xx */
    check(t, "x\xFF \x80x x\xC3", "3 3 3"); /* no characters */
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(ids_that_hugging_face_would_not_give)
{
    ModelBpeTokenizer *t;
    static const char hole[] = "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":7},\"merges\":[]}";
    ck_assert_failed(read("{\"id\":9,\"content\":\"x\"}", MODEL, &t), REEL_STATUS_FAILED, "gives it 3");
    ck_assert_failed(read("{\"id\":9,\"content\":\"a\"}", MODEL, &t), REEL_STATUS_FAILED, "gives it 0");
    ck_assert_failed(read("{\"content\":\"x\"}", MODEL, &t), REEL_STATUS_FAILED, "has id -1");
    ck_assert_failed(read("{\"id\":8,\"content\":\"x\"}", hole, &t), REEL_STATUS_FAILED, "gives it 2");
    ck_assert_ok(read("{\"id\":2,\"content\":\"x\"},{\"id\":3,\"content\":\"y\"}", hole, &t));
    check(t, "axby", "0 2 7 3");
    model_bpe_tokenizer_free(t);
    ck_assert_ok(read("{\"id\":7,\"content\":\"b\"},{\"id\":2,\"content\":\"y\"}", hole, &t));
    check(t, "aby", "0 7 2");
    model_bpe_tokenizer_free(t);
    ck_assert_failed(read("{\"id\":2,\"content\":\"x\"}",
                          "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]}", &t),
                     REEL_STATUS_FAILED, "id 2 is given to two tokens");
}
END_TEST

/* What is only added is no token of the model: nothing merges to it, and it stands for nothing unknown. */
START_TEST(the_model_does_not_know_them)
{
    ModelBpeTokenizer *t;
    static const char merged[] =
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[[\"a\",\"b\"]]}";
    static const char unk[] =
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"unk_token\":\"x\",\"merges\":[]}";
    ck_assert_failed(read("{\"id\":2,\"content\":\"ab\"}", merged, &t), REEL_STATUS_FAILED,
                     "memory: merge 0 has an added token");
    ck_assert_failed(read("{\"id\":1,\"content\":\"x\"}", unk, &t), REEL_STATUS_FAILED,
                     "\"x\" is not in the model's vocabulary");
}
END_TEST

/* Bytes that are no UTF-8 count as U+FFFD, for added tokens and whole pieces too. */
START_TEST(what_is_no_utf8)
{
    ModelBpeTokenizer *t = with("{\"id\":3,\"content\":\"a\xEF\xBF\xBD\"}");
    check(t, "a\xFF", "3");
    check(t, "ba\xEF\xBF\xBD\xE6\x97", "1 3");
    check(t, "\xC3", "");
    model_bpe_tokenizer_free(t);
    ck_assert_ok(
        read("",
             "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"a\xEF\xBF\xBD\":1},"
             "\"merges\":[]}",
             &t));
    check(t, "a\xFF", "1");
    check(t, "a a\xEF\xBF\xBD a\xFF\xFF", "0 1 0");
    model_bpe_tokenizer_free(t);
    /* Each byte of what is broken off counts. */
    ck_assert_ok(
        read("",
             "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"\xEF\xBF\xBD\":1},"
             "\"merges\":[]}",
             &t));
    check(t, "a\xE6\x97 \xE6\x97\xA5\xF0\x9F\x98", "0 1 1 1 1 1");
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(ids_without_a_token)
{
    ModelBpeTokenizer *t, *back;
    ReelBytes json = {0}, text = {0};
    ck_assert_ok(read("", "\"model\":{\"type\":\"BPE\",\"vocab\":{\"b\":7,\"a\":2},\"merges\":[]}", &t));
    ck_assert_int_eq(model_bpe_vocab_size(t), 8);
    check(t, "ab", "2 7");
    ck_assert_ptr_null(model_bpe_token_text(t, 3, NULL));
    ck_assert_int_eq(model_bpe_token_id(t, "", 0), -1);
    ck_assert_failed(model_bpe_decode(t, (const int32_t[]){2, 3}, 2, false, &text), REEL_STATUS_FAILED,
                     "id 3 (number 2) is not in the vocabulary");
    ck_assert_ok(model_bpe_to_json(t, &json));
    ck_assert_ok(model_bpe_from_json(&back, json.data, json.size, "memory"));
    bpe_support_check_same(t, back);
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(t);
    model_bpe_tokenizer_free(back);
    ck_assert_ok(read("", "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":262144},\"merges\":[]}", &t));
    model_bpe_tokenizer_free(t);
    ck_assert_failed(read("", "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":262145},\"merges\":[]}", &t),
                     REEL_STATUS_FAILED, "more than 262144 ids below it have no token");
}
END_TEST

Suite *models_bpe_added_suite(void);
Suite *models_bpe_added_suite(void)
{
    Suite *suite = suite_create("models/bpe_added");
    TCase *tcase = tcase_create("added");
    tcase_add_test(tcase, one_that_is_listed_twice_counts_as_the_last_time);
    bpe_support_add(tcase, its_flags_are_the_last_ones);
    bpe_support_add(tcase, white_space_beside_them);
    tcase_add_test(tcase, one_without_text_does_nothing);
    bpe_support_add(tcase, single_words);
    tcase_add_test(tcase, ids_that_hugging_face_would_not_give);
    tcase_add_test(tcase, the_model_does_not_know_them);
    tcase_add_test(tcase, what_is_no_utf8);
    tcase_add_test(tcase, ids_without_a_token);
    suite_add_tcase(suite, tcase);
    return suite;
}

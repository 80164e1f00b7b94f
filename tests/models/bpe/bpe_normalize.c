/* Normalization as Hugging Face's; the ids are those of tokenizers 0.23. */
#include "tests/bpe_support.h"
#include "tensor/mem_internal.h"

#include <stdio.h>

/* Without utf8proc a file that asks for a normalizer is refused, and there is no more to try. */
static bool refused(const char *normalizer)
{
    if (model_bpe_knows_unicode())
        return false;
    ModelBpeTokenizer *t;
    char form[400];
    int size = snprintf(form, sizeof form,
                        "{\"normalizer\":%s,\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"model\":{"
                        "\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
                        normalizer);
    ck_assert_failed(model_bpe_from_json(&t, form, (size_t)size, "memory"), REEL_STATUS_FAILED,
                     "libutf8proc-dev");
    return true;
}

static void check_text(BpeConfig config, const char *text, const char *expected)
{
    ReelBytes got = {0};
    ck_assert(model_bpe_normalize(&config, text, strlen(text), &got));
    ck_assert(reel_bytes_append(&got, "", 1));
    ck_assert_str_eq(got.data, expected);
    reel_bytes_free(&got);
}

static BpeConfig form(BpeNormalForm form)
{
    return (BpeConfig){.normal_forms = {form}, .normal_form_count = 1};
}

START_TEST(the_four_forms)
{
    if (refused("{\"type\":\"NFKC\"}"))
        return;
    /* e acute, the ligature fi, the Angstrom sign, a Hangul syllable */
    static const char text[] = "a\xC3\xA9 \xEF\xAC\x81\xE2\x84\xAB\xEA\xB0\x80";
    check_text(form(BPE_NFC), text, "a\xC3\xA9 \xEF\xAC\x81\xC3\x85\xEA\xB0\x80");
    check_text(form(BPE_NFD), text,
               "ae\xCC\x81 \xEF\xAC\x81"
               "A\xCC\x8A\xE1\x84\x80\xE1\x85\xA1");
    check_text(form(BPE_NFKC), text, "a\xC3\xA9 fi\xC3\x85\xEA\xB0\x80");
    check_text(form(BPE_NFKD), text, "ae\xCC\x81 fiA\xCC\x8A\xE1\x84\x80\xE1\x85\xA1");
    /* Marks are put in order, and composed where that can be. */
    check_text(form(BPE_NFC), "s\xCC\x87\xCC\xA3", "\xE1\xB9\xA9");
    check_text(form(BPE_NFD), "\xE1\xB9\xA9", "s\xCC\xA3\xCC\x87");
    check_text((BpeConfig){.normal_forms = {BPE_NFD, BPE_NFC, BPE_NFD, BPE_NFC}, .normal_form_count = 4},
               "e\xCC\x81", "\xC3\xA9");
    check_text((BpeConfig){.normal_forms = {BPE_NFKD, BPE_NFC}, .normal_form_count = 2},
               "\xC3\xA9\xEF\xAC\x81",
               "\xC3\xA9"
               "fi");
}
END_TEST

/* Nothing is composed or put in order across bytes that are no UTF-8. */
START_TEST(what_is_left_alone)
{
    if (refused("{\"type\":\"NFC\"}"))
        return;
    check_text(form(BPE_NFC), "e\xFF\xCC\x81 \xC3\xA9\xC3 e\xCC\x81\xE6\x97",
               "e\xFF\xCC\x81 \xC3\xA9\xC3 \xC3\xA9\xE6\x97");
    ReelBytes got = {0};
    BpeConfig config = form(BPE_NFC);
    ck_assert(model_bpe_normalize(&config, "\0e\xCC\x81\0", 5, &got));
    ck_assert_uint_eq(got.size, 4);
    ck_assert_int_eq(memcmp(got.data, "\0\xC3\xA9\0", 4), 0);
    reel_bytes_free(&got);
}
END_TEST

static const char FORM[] =
    "{\"added_tokens\":[{\"id\":5,\"content\":\"\xC3\xA9\",\"normalized\":true},"
    "{\"id\":6,\"content\":\"\xC3\xBC\",\"normalized\":false}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":[]},"
    "{\"type\":\"NFKC\"},{\"type\":\"NFD\"}]},"
    "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"e\":1,\"\xCC\x81\":2,\"u\":3,\"f\":4},\"merges\":[]}}";

static void check_ids(const ModelBpeTokenizer *t, const char *text, size_t count, const int32_t *expected)
{
    ModelBpeEncoder *encoder = model_bpe_encoder_new(t);
    ModelBpeIds ids = bpe_support_encode(t, text, strlen(text)), lines = {0}, ends = {0};
    ck_assert_ok(model_bpe_encode_lines(encoder, text, strlen(text), &lines, &ends));
    ck_assert_uint_eq(ids.count, count);
    ck_assert_uint_eq(lines.count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(ids.ids[i], expected[i]);
        ck_assert_int_eq(lines.ids[i], expected[i]);
    }
    model_bpe_ids_free(&ids);
    model_bpe_ids_free(&lines);
    model_bpe_ids_free(&ends);
    model_bpe_encoder_free(encoder);
}

/* Added tokens that are "normalized" are looked for in the normalized text, as they are when normalized; the
 * others in the text as it came. */
START_TEST(texts_and_added_tokens)
{
    if (refused("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"}]}"))
        return;
    ModelBpeTokenizer *t, *back;
    ReelBytes json = {0};
    ck_assert_ok(model_bpe_from_json(&t, FORM, sizeof FORM - 1, "memory"));
    ck_assert_ok(model_bpe_to_json(t, &json));
    ck_assert_ok(model_bpe_from_json(&back, json.data, json.size, "memory"));
    bpe_support_check_same(t, back);
    for (int i = 0; i < 2; i++) {
        const ModelBpeTokenizer *one = i ? back : t;
        check_ids(one, "a\xC3\xA9", 2, (const int32_t[]){0, 5});
        check_ids(one, "ae\xCC\x81", 2, (const int32_t[]){0, 5});
        check_ids(one, "\xC3\xA1\xEF\xAC\x80", 4, (const int32_t[]){0, 2, 4, 4});
        check_ids(one, "\xC3\xBCu\xCC\x88", 2, (const int32_t[]){6, 3}); /* U+0308 has no token */
        check_ids(one, "a", 1, (const int32_t[]){0});
        check_ids(one, "", 0, (const int32_t[]){0});
    }
    ck_assert_failed(model_bpe_save_gpt2(t, "unwritten", "unwritten"), REEL_STATUS_FAILED, "byte-level");
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(t);
    model_bpe_tokenizer_free(back);
}
END_TEST

START_TEST(added_tokens_that_become_the_same)
{
    if (refused("{\"type\":\"NFD\"}"))
        return;
    ModelBpeTokenizer *t;
    static const char same[] =
        "{\"added_tokens\":[{\"id\":1,\"content\":\"\xC3\xA9\",\"normalized\":true},{\"id\":2,\"content\":"
        "\"zz!\","
        "\"normalized\":true},{\"id\":3,\"content\":\"e\xCC\x81\",\"normalized\":%s}],"
        "\"normalizer\":{\"type\":\"NFD\"},\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    char file[600];
    int size = snprintf(file, sizeof file, same, "true");
    ck_assert_failed(model_bpe_from_json(&t, file, (size_t)size, "memory"), REEL_STATUS_FAILED,
                     "memory: added tokens 1 and 3 are the same when normalized");
    size = snprintf(file, sizeof file, same, "false");
    ck_assert_ok(model_bpe_from_json(&t, file, (size_t)size, "memory"));
    check_ids(t, "\xC3\xA9 e\xCC\x81", 2, (const int32_t[]){1, 3});
    model_bpe_tokenizer_free(t);
}
END_TEST

/* What GPT-2's two files have no place for. */
START_TEST(files_without_a_place_for_it)
{
    static const char *const settings[] = {"\"normalizer\":{\"type\":\"NFC\"},",
                                           "\"model\":{\"ignore_merges\":true,",
                                           "\"model\":{\"byte_fallback\":true,"};
    static const char *const names[] = {"normalizer", "ignore_merges", "byte_fallback"};
    for (int i = refused("{\"type\":\"NFC\"}"); i < 3; i++) {
        ModelBpeTokenizer *t;
        char file[400];
        int size =
            snprintf(file, sizeof file,
                     "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},%s%s\"type\":\"BPE\",\"vocab\":{\"a\":0},"
                     "\"merges\":[]}}",
                     settings[i], i ? "" : "\"model\":{");
        ck_assert_ok(model_bpe_from_json(&t, file, (size_t)size, "memory"));
        ck_assert_failed(model_bpe_save_gpt2(t, "unwritten", "unwritten"), REEL_STATUS_FAILED, names[i]);
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    if (refused("{\"type\":\"NFC\"}"))
        return;
    static const char text[] = "\xC3\xA9 e\xCC\x81\xFF\xC3\xA1";
    ModelBpeTokenizer *expected;
    ck_assert_ok(model_bpe_from_json(&expected, FORM, sizeof FORM - 1, "memory"));
    ModelBpeIds right = bpe_support_encode(expected, text, sizeof text - 1);
    int64_t live = reel_mem_stats().live_blocks;
    bool worked = false;
    for (int n = 0; !worked && n < 2000; n++) { /* one allocation, then that one and all behind it */
        ModelBpeTokenizer *t;
        ModelBpeIds ids = {0};
        reel_mem_fail_at(n / 2, n % 2);
        ReelStatus status = model_bpe_from_json(&t, FORM, sizeof FORM - 1, "memory");
        ModelBpeEncoder *encoder = t ? model_bpe_encoder_new(t) : NULL;
        if (encoder)
            status = model_bpe_encode(encoder, text, sizeof text - 1, &ids);
        reel_mem_fail_at(-1, 0);
        worked = encoder && reel_status_is_ok(&status) && n % 2;
        if (encoder && reel_status_is_ok(&status)) {
            ck_assert_uint_eq(ids.count, right.count);
            ck_assert_int_eq(memcmp(ids.ids, right.ids, ids.count * sizeof *ids.ids), 0);
        }
        model_bpe_ids_free(&ids);
        model_bpe_encoder_free(encoder);
        model_bpe_tokenizer_free(t);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    ck_assert(worked);
    model_bpe_ids_free(&right);
    model_bpe_tokenizer_free(expected);
}
END_TEST

Suite *models_bpe_normalize_suite(void);
Suite *models_bpe_normalize_suite(void)
{
    Suite *suite = suite_create("models/bpe_normalize");
    TCase *tcase = tcase_create("normalize");
    tcase_add_test(tcase, the_four_forms);
    tcase_add_test(tcase, what_is_left_alone);
    tcase_add_test(tcase, texts_and_added_tokens);
    tcase_add_test(tcase, added_tokens_that_become_the_same);
    bpe_support_add(tcase, files_without_a_place_for_it);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

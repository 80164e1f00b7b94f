#include "tests/bpe_support.h"
#include "tensor/mem_internal.h"

#include <stdio.h>

/* Those of byte level last: a build without utf8proc does not read them. */
static const char *const NAMES[] = {"whitespace.json", "odd.json", "bytelevel.json", "limited.json"};
enum { NAME_COUNT = 4 };

START_TEST(what_is_written_reads_the_same)
{
    ModelBpeTokenizer *t = bpe_support_load(NAMES[_i]), *back;
    ReelBytes json = {0};
    ck_assert_ok(model_bpe_to_json(t, &json));
    ck_assert_ok(model_bpe_from_json(&back, json.data, json.size, "memory"));
    bpe_support_check_same(t, back);
    ck_assert_int_eq(model_bpe_vocab_size(back), model_bpe_vocab_size(t));
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(t);
    model_bpe_tokenizer_free(back);
}
END_TEST

/* A file that was cut off anywhere is an error that says where, and nothing leaks. */
START_TEST(every_truncation_is_an_error)
{
    ReelBytes json = bpe_support_fixture(NAMES[_i]);
    int64_t live = reel_mem_stats().live_blocks;
    for (size_t size = 0; size + 1 < json.size; size += size < 1500 ? 1 : 61) {
        ModelBpeTokenizer *t;
        ReelStatus status = model_bpe_from_json(&t, json.data, size, "cut");
        if (reel_status_is_ok(&status) || t || strncmp(status.message, "cut: byte ", 10) != 0)
            ck_abort_msg("cut at %zu: '%s'", size, status.message);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    reel_bytes_free(&json);
}
END_TEST

/* The odd fixture with one part replaced by another. */
static ReelStatus with(const char *from, const char *to)
{
    ReelBytes json = bpe_support_fixture("odd.json"), changed = {0};
    ck_assert(reel_bytes_append(&json, "", 1));
    char *at = strstr(json.data, from);
    ck_assert_msg(at != NULL, "'%s' is not in the fixture", from);
    ck_assert(reel_bytes_append(&changed, json.data, (size_t)(at - json.data)));
    ck_assert(reel_bytes_append(&changed, to, strlen(to)));
    ck_assert(reel_bytes_append(&changed, at + strlen(from), strlen(at + strlen(from))));
    ModelBpeTokenizer *t;
    ReelStatus status = model_bpe_from_json(&t, changed.data, changed.size, "changed");
    model_bpe_tokenizer_free(t);
    reel_bytes_free(&json);
    reel_bytes_free(&changed);
    return status;
}

#define TEXT_A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define POST(single)                                                                                         \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[]}"

START_TEST(what_would_give_other_ids_is_refused)
{
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"truncation\":null", "\"truncation\":{}", "truncation"},
        {"\"padding\":null", "\"padding\":{}", "padding"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Lowercase\"}", "normalizer \"Lowercase\""},
        {"\"normalizer\":null",
         "\"normalizer\":{\"normalizers\":[{\"type\":\"StripAccents\"}],\"type\":\"Sequence\"}",
         "normalizer \"StripAccents\""},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Sequence\"}",
         "a Sequence without \"normalizers\""},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":7}", "array"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[null]}", "object"},
        {"WhitespaceSplit", "Whitespace", "pre_tokenizer \"Whitespace\""},
        {"WhitespaceSplit", "a\\u0000type\\n", "\"a?type?\""},
        {"{\"type\":\"WhitespaceSplit\"}", "null", "without a pre_tokenizer"},
        {"{\"type\":\"WhitespaceSplit\"}", "{\"type\":\"Sequence\",\"pretokenizers\":[]}",
         "without a pre_tokenizer"},
        {"{\"type\":\"WhitespaceSplit\"}",
         "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":\"Digits\"}]}",
         "\"WhitespaceSplit\" and \"Digits\" one after the other"},
        {"\"post_processor\":null", "\"post_processor\":{\"type\":\"TemplateProcessing\"}",
         "TemplateProcessing"},
        {"\"post_processor\":null", POST(""), "TemplateProcessing"},
        {"\"post_processor\":null", POST(TEXT_A "," TEXT_A), "other ids than those of the text"},
        {"\"post_processor\":null", POST("{\"Sequence\":{\"id\":\"B\"}}"), "TemplateProcessing"},
        {"\"post_processor\":null", POST("{\"SpecialToken\":{\"id\":\"A\"}}"), "TemplateProcessing"},
        {"\"post_processor\":null", POST("{\"SpecialToken\":{\"id\":\"<s>\"}}," TEXT_A), "set it to null"},
        {"\"post_processor\":null", "\"post_processor\":{\"type\":\"BertProcessing\"}", "BertProcessing"},
        {"\"decoder\":null", "\"decoder\":{\"type\":\"ByteLevel\"}", "does not fit"},
        {"\"type\":\"BPE\"", "\"type\":\"Unigram\"", "Unigram"},
        {"\"dropout\":null", "\"dropout\":0.1", "dropout"},
        {"\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"##\"",
         "continuing_subword_prefix"},
        {"\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"@\"", "end_of_word_suffix"},
        {"\"fuse_unk\":true", "\"fuse_unk\":1", "true or false"},
        {"\"unk_token\":\"<unk>\"", "\"unk_token\":\"<no>\"", "\"<no>\" is not in the model's vocabulary"},
        {"\"unk_token\":\"<unk>\"", "\"unk_token\":\"\"", "\"\" is not in the model's vocabulary"},
        {"\"version\":\"1.0\"", "\"version\":\"2.0\"", "version"},
        {"\"version\":\"1.0\"", "\"unheard\":\"1.0\"", "unheard"},
        {"\"abc\":", "\"abd\":", "is not in the vocabulary"},
        {"\"abc\":", "\"ab\":", "two ids"},
        {"\"abc\":", "\"abc\":9999", "have no token"},
        {"\"abc\":", "\"abc\":-", "not within"},
        {"\"abc\":", "\"abc\":42949672960", "not within"},
        {"[\"b\",\"c\"]", "[\"b\"]", "array of two"},
        {"[\"b\",\"c\"]", "[\"b\",\"c\",\"c\"]", "array of two"},
        {"[\"b\",\"c\"]", "\"bc\"", "blank between"},
        {"[\"b\",\"c\"]", "7", "array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ReelStatus status = with(cases[i].from, cases[i].to);
        ck_assert_msg(!reel_status_is_ok(&status), "%s -> %s is read", cases[i].from, cases[i].to);
        ck_assert_failed(status, REEL_STATUS_FAILED, cases[i].message);
        ck_assert_failed(status, REEL_STATUS_FAILED, "changed: byte ");
    }
}
END_TEST

START_TEST(what_gives_the_same_ids_is_read)
{
    ck_assert_ok(with("[\"b\",\"c\"]", "\"b c\""));
    ck_assert_ok(with("\"dropout\":null", "\"dropout\":0.0"));
    ck_assert_ok(with("\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"\""));
    ck_assert_ok(with("\"type\":\"BPE\",", ""));
    ck_assert_ok(with("{\"version\"", " \n\t{\r\"version\""));
    ck_assert_ok(with("\"normalizer\":null", "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[]}"));
    ck_assert_ok(with("\"post_processor\":null", POST(TEXT_A)));
    ck_assert_ok(with("\"post_processor\":null", "\"post_processor\":{\"type\":\"Sequence\",\"processors\":["
                                                 "{\"type\":\"ByteLevel\"}]}"));
    ck_assert_ok(with("{\"type\":\"WhitespaceSplit\"}",
                      "{\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"}],\"type\":\"Sequence\"}"));
    ck_assert_ok(with("\"single_word\":false", "\"single_word\":true"));
}
END_TEST

/* Cut at U+0020 alone is not what subword-nmt does: it keeps a carriage return at the end of a line. */
START_TEST(split_at_blanks_is_not_subword_nmt)
{
    static const char form[] = "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"%s\":\"%s\"},"
                               "\"behavior\":\"%s\",\"invert\":%s},"
                               "\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a</"
                               "w>\":0,\"a\":1,\"\\r</w>\":2},"
                               "\"merges\":[]}}";
    static const char regex[] = "[\\\\r ]*\\\\n[\\\\r ]*|\\\\A[\\\\r ]+|[\\\\r ]+\\\\z| ";
    const struct {
        const char *kind, *pattern, *behavior, *invert;
    } cases[] = {{"Regex", regex, "Removed", "false"},  {"String", " ", "Removed", "false"},
                 {"Regex", " ", "Removed", "false"},    {"String", regex, "Removed", "false"},
                 {"Regex", regex, "Isolated", "false"}, {"Regex", regex, "Removed", "true"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[800];
        ModelBpeTokenizer *t;
        int size = snprintf(file, sizeof file, form, cases[i].kind, cases[i].pattern, cases[i].behavior,
                            cases[i].invert);
        ReelStatus status = model_bpe_from_json(&t, file, (size_t)size, "memory");
        if (i > 0) {
            ck_assert_failed(status, REEL_STATUS_FAILED,
                             "pre_tokenizer \"Split\" with an end_of_word_suffix");
            continue;
        }
        ck_assert_ok(status);
        ModelBpeIds ids = bpe_support_encode(t, "a\r", 2);
        ck_assert_uint_eq(ids.count, 1);
        ck_assert_int_eq(ids.ids[0], 0);
        model_bpe_ids_free(&ids);
        model_bpe_tokenizer_free(t);
    }
}
END_TEST

/* How the files of known models are made, in small: read, or refused by what stands in the way. */
START_TEST(files_as_models_have_them)
{
    static const char gpt2[] =
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":2,\"special\":"
        "true,"
        "\"content\":\"<|endoftext|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":true}],"
        "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"trim_offsets\":true},\"post_processor\":%s,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_"
        "space\":true,"
        "\"trim_offsets\":true},\"model\":{\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":"
        "\"\","
        "\"end_of_word_suffix\":\"\",\"fuse_unk\":false,\"vocab\":{\"a\":0,\"aa\":1,\"<|endoftext|>\":2},"
        "\"merges\":[\"a a\"]}}";
    static const char level[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false}";
    static const char neox[] =
        "{\"added_tokens\":[{\"id\":1,\"content\":\"<|padding|>\",\"special\":true},{\"id\":2,\"content\":\" "
        " \","
        "\"normalized\":true}],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    static const char rest[] = "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    static const char cut[] =
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
        "\"Regex\":"
        "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}|\\\\s+\"},"
        "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"use_regex\":false}]}";
    static const struct {
        const char *before, *message;
    } refused[] = {
        {"\"normalizer\":null", "\"Split\" and \"ByteLevel\" one after the other"}, /* Llama 3 */
        {"\"normalizer\":{\"type\":\"NFC\"}", NULL},                                /* Qwen */
        {"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\"},{\"type\":"
         "\"Replace\","
         "\"pattern\":{\"String\":\" \"},\"content\":\"_\"}]}",
         "normalizer \"Prepend\""}, /* Llama 2 */
    };
    ModelBpeTokenizer *t;
    char file[1500];
    int size = snprintf(file, sizeof file, gpt2, level);
    ck_assert_ok(model_bpe_from_json(&t, file, (size_t)size, "gpt2"));
    ModelBpeIds ids = bpe_support_encode(t, "aaa<|endoftext|>", 16);
    ck_assert_uint_eq(ids.count, 3);
    ck_assert(ids.ids[0] == 1 && ids.ids[1] == 0 && ids.ids[2] == 2);
    model_bpe_ids_free(&ids);
    model_bpe_tokenizer_free(t);
    size = snprintf(file, sizeof file, gpt2,
                    "{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",2],\"cls\":[\"<s>\",0]}");
    ck_assert_failed(model_bpe_from_json(&t, file, (size_t)size, "roberta"), REEL_STATUS_FAILED,
                     "post_processor \"RobertaProcessing\" gives other ids");
    const char *const library = model_bpe_knows_unicode() ? refused[0].message : "libutf8proc-dev";
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        size = snprintf(file, sizeof file, "{%s,%s,%s", refused[i].before, cut, rest);
        ck_assert_failed(model_bpe_from_json(&t, file, (size_t)size, "file"), REEL_STATUS_FAILED,
                         refused[i].message ? refused[i].message : library);
    }
    if (!model_bpe_knows_unicode())
        return;
    ck_assert_ok(model_bpe_from_json(&t, neox, sizeof neox - 1, "neox"));
    ids = bpe_support_encode(t, "a   a", 5);
    ck_assert_uint_eq(ids.count, 3);
    ck_assert(ids.ids[0] == 0 && ids.ids[1] == 2 && ids.ids[2] == 0);
    model_bpe_ids_free(&ids);
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(settings_are_written)
{
    static const char form[] =
        "{\"added_tokens\":[{\"id\":1,\"content\":\"x\",\"single_word\":true}],"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":%s},\"decoder\":%"
        "s,"
        "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0},\"merges\":[]}}";
    static const char *const written[] = {"\"single_word\": true",
                                          "\"add_prefix_space\": true, \"trim_offsets\": true",
                                          "\"byte_fallback\": true"};
    ModelBpeTokenizer *t;
    ReelBytes json = {0};
    char file[600];
    int size = snprintf(file, sizeof file, form, "false", "null");
    ck_assert_failed(model_bpe_from_json(&t, file, (size_t)size, "file"), REEL_STATUS_FAILED,
                     "as it is set here");
    size = snprintf(file, sizeof file, form, "true",
                    "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"},{\"type\":\"Fuse\"}]}");
    ck_assert_failed(model_bpe_from_json(&t, file, (size_t)size, "file"), REEL_STATUS_FAILED,
                     "decoder \"Sequence\"");
    size = snprintf(file, sizeof file, form, "true", "null");
    ck_assert_ok(model_bpe_from_json(&t, file, (size_t)size, "file"));
    ck_assert_ok(model_bpe_to_json(t, &json));
    ck_assert(reel_bytes_append(&json, "", 1));
    for (int i = 0; i < 3; i++)
        ck_assert_msg(strstr(json.data, written[i]) != NULL, "%s", written[i]);
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(t);
}
END_TEST

/* No token is too long to stand for unknown symbols. */
START_TEST(a_long_unknown_token)
{
    char unk[1001];
    const char *special = unk;
    memset(unk, 'u', 1000);
    unk[1000] = '\0';
    ModelBpeOptions options = {
        .vocab_size = 10, .special_tokens = &special, .special_count = 1, .unk_token = special};
    ModelBpeTokenizer *t = bpe_support_learn(options, "a b", 3), *back;
    ReelBytes json = {0};
    ck_assert_ok(model_bpe_to_json(t, &json));
    ck_assert_ok(model_bpe_from_json(&back, json.data, json.size, "memory"));
    bpe_support_check_same(t, back);
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(t);
    model_bpe_tokenizer_free(back);
}
END_TEST

START_TEST(files)
{
    ModelBpeTokenizer *t = bpe_support_load("bytelevel.json"), *back;
    const char *path = text_support_file("old", 3);
    ck_assert_failed(model_bpe_load(&back, "no/such/file"), REEL_STATUS_FAILED, "no/such/file");
    ck_assert_failed(model_bpe_load(&back, path), REEL_STATUS_FAILED, "byte 0");
    ck_assert_ok(model_bpe_save(t, path));
    ck_assert_ok(model_bpe_load(&back, path));
    bpe_support_check_same(t, back);
    ck_assert_failed(model_bpe_save(t, "no/such/folder/file"), REEL_STATUS_FAILED, "no/such/folder");
    model_bpe_tokenizer_free(t);
    model_bpe_tokenizer_free(back);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    ReelBytes json = bpe_support_fixture("odd.json");
    ModelBpeTokenizer *expected = bpe_support_load("odd.json");
    int64_t live = reel_mem_stats().live_blocks;
    bool worked = false;
    for (int n = 0; !worked && n < 6000; n++) { /* one allocation, then that one and all behind it */
        ModelBpeTokenizer *t;
        reel_mem_fail_at(n / 2, n % 2);
        ReelStatus status = model_bpe_from_json(&t, json.data, json.size, "odd.json");
        reel_mem_fail_at(-1, 0);
        worked = reel_status_is_ok(&status) && n % 2;
        ck_assert(reel_status_is_ok(&status) == (t != NULL));
        if (t)
            bpe_support_check_same(t, expected);
        model_bpe_tokenizer_free(t);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    ck_assert(worked);
    reel_bytes_free(&json);
    model_bpe_tokenizer_free(expected);
}
END_TEST

Suite *models_bpe_tokenizer_json_suite(void);
Suite *models_bpe_tokenizer_json_suite(void)
{
    Suite *suite = suite_create("models/bpe_tokenizer_json");
    TCase *tcase = tcase_create("files");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, what_is_written_reads_the_same, 0, model_bpe_knows_unicode() ? NAME_COUNT : 2);
    tcase_add_loop_test(tcase, every_truncation_is_an_error, 0, NAME_COUNT);
    tcase_add_test(tcase, what_would_give_other_ids_is_refused);
    bpe_support_add(tcase, what_gives_the_same_ids_is_read);
    tcase_add_test(tcase, split_at_blanks_is_not_subword_nmt);
    bpe_support_add(tcase, files_as_models_have_them);
    bpe_support_add(tcase, settings_are_written);
    tcase_add_test(tcase, a_long_unknown_token);
    bpe_support_add(tcase, files);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

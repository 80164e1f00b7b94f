#include "tests/bpe_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Two files at a time. */
static char paths[2][256];
static int last_path;

static void remove_files(void)
{
    for (int i = 0; i < 2; i++)
        if (paths[i][0])
            unlink(paths[i]);
}

static const char *file_of(const char *text)
{
    if (!paths[0][0])
        atexit(remove_files);
    last_path = !last_path;
    if (paths[last_path][0])
        unlink(paths[last_path]);
    const char *folder = getenv("TMPDIR");
    snprintf(paths[last_path], sizeof paths[0], "%.150s/reel-bpe-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(paths[last_path]);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return paths[last_path];
}

START_TEST(gpt2_files_read_what_was_written)
{
    ModelBpeTokenizer *t = bpe_support_load("bytelevel.json"), *back;
    const char *vocab = file_of(""), *merges = file_of("");
    ck_assert_ok(model_bpe_save_gpt2(t, vocab, merges));
    ck_assert_ok(model_bpe_load_gpt2(&back, vocab, merges));
    bpe_support_check_same(t, back);
    model_bpe_tokenizer_free(t);
    model_bpe_tokenizer_free(back);
}
END_TEST

START_TEST(codes_are_written_as_they_were_read)
{
    ModelBpeTokenizer *t;
    const char *path = file_of("");
    ck_assert_ok(model_bpe_load_codes(&t, "tests/fixtures/bpe/codes", "<unk>"));
    ck_assert_int_eq(model_bpe_unk_id(t), 0);
    ck_assert_int_eq(model_bpe_merge_count(t), 300);
    ck_assert_ok(model_bpe_save_codes(t, path));
    ReelBytes expected = bpe_support_fixture("codes"), got;
    char name[512];
    snprintf(name, sizeof name, "%s", path);
    FILE *file = fopen(name, "rb");
    got = (ReelBytes){0};
    for (int c; (c = fgetc(file)) != EOF;) {
        char byte = (char)c;
        ck_assert(reel_bytes_append(&got, &byte, 1));
    }
    fclose(file);
    ck_assert_uint_eq(got.size, expected.size);
    ck_assert_int_eq(memcmp(got.data, expected.data, got.size), 0);
    reel_bytes_free(&got);
    reel_bytes_free(&expected);
    model_bpe_tokenizer_free(t);
}
END_TEST

START_TEST(only_what_fits_the_format_is_written)
{
    ModelBpeTokenizer *t = bpe_support_load("whitespace.json");
    ck_assert_failed(model_bpe_save_gpt2(t, "unwritten", "unwritten"), REEL_STATUS_FAILED, "byte-level");
    ck_assert_failed(model_bpe_save_codes(t, "unwritten"), REEL_STATUS_FAILED, "subword-nmt");
    model_bpe_tokenizer_free(t);
}
END_TEST

static ReelStatus gpt2(const char *vocab, const char *merges)
{
    ModelBpeTokenizer *t;
    ReelStatus status = model_bpe_load_gpt2(&t, file_of(vocab), file_of(merges));
    ck_assert(reel_status_is_ok(&status) == (t != NULL));
    model_bpe_tokenizer_free(t);
    return status;
}

START_TEST(broken_gpt2_files)
{
    static const char vocab[] = "{\"a\":0,\"b\":1,\"ab\":2}";
    ck_assert_ok(gpt2(vocab, "#version: 0.2\na b\n"));
    ck_assert_ok(gpt2(vocab, "a b"));
    ck_assert_ok(gpt2(vocab, "#version: 0.2\r\na b\r\n"));
    ck_assert_ok(gpt2(vocab, ""));
    ck_assert_failed(gpt2(vocab, "#version: 0.2\na b c\n"), REEL_STATUS_FAILED, ":2: two tokens");
    ck_assert_failed(gpt2(vocab, "a b\n\nb a\n"), REEL_STATUS_FAILED, ":2: two tokens");
    ck_assert_failed(gpt2(vocab, "a b\nb a\n"), REEL_STATUS_FAILED, ":2: the result of merge 1");
    ck_assert_failed(gpt2(vocab, "x b\n"), REEL_STATUS_FAILED, ":1: the left token");
    ck_assert_failed(gpt2("{\"a\":0", ""), REEL_STATUS_FAILED, "byte 6");
    ck_assert_failed(gpt2("{\"a\":0}}", ""), REEL_STATUS_FAILED, "byte 7");
    ck_assert_ok(gpt2("{\"a\":1}", ""));
    ck_assert_failed(gpt2("{\"a\":999999}", ""), REEL_STATUS_FAILED, "have no token");
    ck_assert_failed(gpt2("{\"a\":0,\"b\":0}", ""), REEL_STATUS_FAILED, "two tokens");
}
END_TEST

/* A merge may begin like the line with the version, which is the first one alone. */
START_TEST(version_is_a_word_too)
{
    ModelBpeTokenizer *t;
    ck_assert_ok(model_bpe_load_gpt2(&t, file_of("{\"#version\":0,\"s\":1,\"#versions\":2}"),
                                     file_of("#version: 0.2\n#version s\n")));
    ck_assert_int_eq(model_bpe_merge_count(t), 1);
    /* Hugging Face skips such a line wherever it stands. */
    ck_assert_failed(model_bpe_save_gpt2(t, "unwritten", "unwritten"), REEL_STATUS_FAILED, "merge 0");
    model_bpe_tokenizer_free(t);
}
END_TEST

/* Tokens that a line of two cannot tell apart: refused rather than written as something else. */
START_TEST(merges_that_a_line_cannot_hold)
{
    ModelBpeTokenizer *t = bpe_support_learn(
        (ModelBpeOptions){.pretokenizer = MODEL_BPE_SUBWORD_NMT, .vocab_size = 30}, "a\rb a\rb a\rb", 11);
    ck_assert_int_gt(model_bpe_merge_count(t), 0);
    ck_assert_failed(model_bpe_save_codes(t, "unwritten"), REEL_STATUS_FAILED, "merge 0");
    model_bpe_tokenizer_free(t);
    static const char form[] = "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
                               "\"vocab\":{\"a \":0,\"b\":1,\"a b\":2},\"merges\":[[\"a \",\"b\"]]}}";
    ck_assert_ok(model_bpe_from_json(&t, form, sizeof form - 1, "memory"));
    ck_assert_failed(model_bpe_save_gpt2(t, "unwritten", "unwritten"), REEL_STATUS_FAILED, "merge 0");
    ck_assert_int_ne(access("unwritten", F_OK), 0);
    model_bpe_tokenizer_free(t);
}
END_TEST

static ReelStatus codes(const char *text)
{
    ModelBpeTokenizer *t;
    ReelStatus status = model_bpe_load_codes(&t, file_of(text), NULL);
    ck_assert(reel_status_is_ok(&status) == (t != NULL));
    model_bpe_tokenizer_free(t);
    return status;
}

START_TEST(broken_codes)
{
    ck_assert_ok(codes("#version: 0.2\na b\nab c</w>\n"));
    ck_assert_failed(codes(""), REEL_STATUS_FAILED, ":1: ");
    ck_assert_failed(codes("a b\n"), REEL_STATUS_FAILED, "version 0.1");
    ck_assert_failed(codes("#version: 0.3\na b\n"), REEL_STATUS_FAILED, "0.2");
    ck_assert_failed(codes("#version: 0.2\na\n"), REEL_STATUS_FAILED, ":2: ");
    ck_assert_failed(codes("#version: 0.2\na b\n\na c\n"), REEL_STATUS_FAILED, ":3: ");
    ck_assert_failed(codes("#version: 0.2\na \xFF\n"), REEL_STATUS_FAILED, ":2: ");
    ck_assert_failed(codes("#version: 0.2\na b\nxy c\n"), REEL_STATUS_FAILED, ":3: the left token");
}
END_TEST

Suite *models_bpe_text_files_suite(void);
Suite *models_bpe_text_files_suite(void)
{
    Suite *suite = suite_create("models/bpe_text_files");
    TCase *tcase = tcase_create("files");
    bpe_support_add(tcase, gpt2_files_read_what_was_written);
    tcase_add_test(tcase, codes_are_written_as_they_were_read);
    tcase_add_test(tcase, only_what_fits_the_format_is_written);
    bpe_support_add(tcase, broken_gpt2_files);
    bpe_support_add(tcase, version_is_a_word_too);
    bpe_support_add(tcase, merges_that_a_line_cannot_hold);
    tcase_add_test(tcase, broken_codes);
    suite_add_tcase(suite, tcase);
    return suite;
}

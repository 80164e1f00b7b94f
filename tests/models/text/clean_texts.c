/* A data set is the same whatever of its file is in memory at a time, and however many threads read it. */
#include "models/text/dataset.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 1600 };

static char *tsv;
static size_t size;

static void setup(void)
{
    tsv = malloc(ROWS * 300);
    size = (size_t)sprintf(tsv, "text\tlabels\n");
}

static void teardown(void)
{
    free(tsv);
}

/* Rows of words made of `letters`, each of which `spread` is one of them. */
static void add_rows(int rows, const char *const *letters, int spread, const char *behind)
{
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < 12; k++)
            size += (size_t)sprintf(tsv + size, "%s%s%s ", letters[(i + k) % spread],
                                    letters[(i * 7 + k * k) % spread], letters[(i * i + 3 * k) % spread]);
        size += (size_t)sprintf(tsv + size, "%s\t%c\n", behind, 'a' + i % 5);
    }
}

static const char *const LATIN[] = {"ba", "ku", "ri", "mo", "te", "sa", "lo"};
static const char *const CYRILLIC[] = {"\xD0\xB1", "\xD0\xBA", "\xD1\x80", "\xD0\xBC",
                                       "\xD1\x82", "\xD0\xB0", "\xD0\xBB"};

static void print_of(const ModelCorpus *corpus, const ModelDatasetOptions *options,
                     char text[MODEL_CORPUS_HASH_SIZE], char form[400], char note[400])
{
    ModelDataset *dataset;
    ck_assert_ok(model_dataset_new(&dataset, corpus, "x.tsv", options));
    ck_assert_ok(model_dataset_fingerprint(dataset, text));
    snprintf(form, 400, "%s", dataset->form);
    snprintf(note, 400, "%s", dataset->note);
    model_dataset_free(dataset);
}

/* Against the same in memory, on one thread. */
static void check(const char *expected_form, const char *expected_note)
{
    char expected[MODEL_CORPUS_HASH_SIZE], own[MODEL_CORPUS_HASH_SIZE], form[2][400], note[2][400];
    static const size_t windows[] = {0, 700, 5000};
    ModelDatasetOptions options = model_dataset_defaults();
    options.threads = 1;
    options.clean.letters = MODEL_CLEAN_AUTO;
    ModelCorpus corpus;
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", tsv, size, NULL));
    print_of(&corpus, &options, expected, form[0], note[0]);
    ck_assert_ptr_nonnull(strstr(form[0], expected_form));
    ck_assert_ptr_nonnull(strstr(note[0], expected_note));
    options.threads = 4;
    print_of(&corpus, &options, own, form[1], note[1]);
    ck_assert_str_eq(expected, own);
    model_corpus_free(&corpus);
    const char *path = text_support_file(tsv, size);
    for (int w = 0; w < 3; w++) {
        options.corpus.window = windows[w];
        options.threads = 1 + w;
        ck_assert_ok(model_dataset_read_corpus(&corpus, path, &options));
        ck_assert_ptr_null(corpus.texts);
        for (int twice = 0; twice < 2; twice++) {
            print_of(&corpus, &options, own, form[1], note[1]);
            ck_assert_str_eq(expected, own);
            ck_assert_str_eq(form[0], form[1]);
            ck_assert_str_eq(note[0], note[1]);
        }
        model_corpus_free(&corpus);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

START_TEST(english_texts)
{
    add_rows(ROWS, LATIN, 7, "the of and");
    check("words of ASCII letters", "");
}
END_TEST

/* The first window would have them cleaned in another way. */
START_TEST(what_comes_later_has_a_say)
{
    if (!model_cleaner_has_unicode())
        return;
    add_rows(20, LATIN, 7, "the of and");
    add_rows(ROWS - 20, CYRILLIC, 7, "");
    check("words of Unicode's letters (", "no stop words are taken out");
}
END_TEST

START_TEST(a_language_without_english_stop_words)
{
    add_rows(20, LATIN, 7, "the of and");
    add_rows(ROWS - 20, LATIN, 7, "");
    check("words of ASCII letters", "no stop words are taken out");
}
END_TEST

START_TEST(a_first_window_of_another_language)
{
    add_rows(600, LATIN, 7, "");
    add_rows(ROWS - 600, LATIN, 7, "the of and with");
    check("words of ASCII letters", "");
}
END_TEST

/* Which cannot be read twice. */
START_TEST(a_pipe_is_read_as_a_file_is)
{
    char expected[MODEL_CORPUS_HASH_SIZE], own[MODEL_CORPUS_HASH_SIZE];
    add_rows(20, LATIN, 7, "the of and");
    add_rows(ROWS - 20, LATIN, 7, "");
    ModelDatasetOptions options = model_dataset_defaults();
    options.corpus.window = 1000;
    ModelDataset *dataset;
    char path[200];
    snprintf(path, sizeof path, "%s", text_support_file(tsv, size));
    ck_assert_ok(model_dataset_read(&dataset, path, &options));
    ck_assert_ok(model_dataset_fingerprint(dataset, expected));
    model_dataset_free(dataset);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        FILE *file = fopen(path, "w");
        size_t put = file ? fwrite(tsv, 1, size, file) : 0;
        _exit(file && fclose(file) == 0 && put == size ? 0 : 1);
    }
    ck_assert_ok(model_dataset_read(&dataset, path, &options));
    ck_assert_ok(model_dataset_fingerprint(dataset, own));
    ck_assert_str_eq(expected, own);
    model_dataset_free(dataset);
    waitpid(child, NULL, 0);
    unlink(path);
    setenv("TMPDIR", "/no/such", 1);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    child = fork();
    if (child == 0)
        _exit(fopen(path, "w") == NULL);
    ck_assert_failed(model_dataset_read(&dataset, path, &options), REEL_STATUS_FAILED,
                     "/no/such: cannot write");
    waitpid(child, NULL, 0);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Memory that is missing is an error wherever it is. */
START_TEST(missing_memory)
{
    add_rows(30, LATIN, 7, "the of and");
    const char *path = text_support_file(tsv, size);
    ModelDatasetOptions options = model_dataset_defaults();
    options.corpus.window = 1000;
    options.valid_size = 0.3;
    options.keep_texts = true;
    for (int n = 0;; n++) {
        ModelDataset *dataset;
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_dataset_read(&dataset, path, &options);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status)) {
            model_dataset_free(dataset);
            break;
        }
        ck_assert_failed(status, REEL_STATUS_FAILED, "memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    }
}
END_TEST

Suite *models_clean_texts_suite(void);
Suite *models_clean_texts_suite(void)
{
    Suite *suite = suite_create("models/clean_texts");
    TCase *tcase = tcase_create("clean_texts");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, english_texts);
    tcase_add_test(tcase, what_comes_later_has_a_say);
    tcase_add_test(tcase, a_language_without_english_stop_words);
    tcase_add_test(tcase, a_first_window_of_another_language);
    tcase_add_test(tcase, a_pipe_is_read_as_a_file_is);
    tcase_add_test(tcase, missing_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}

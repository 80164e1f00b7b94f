#include "models/text/word_texts.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXTS = 3000, WORDS = 40, SIZE = WORDS * 8 };

/* Words that come again, and some that come once: more than 128 and 16,384 of them, so that numbers have one,
 * two and three bytes. */
static char *texts_bytes;
static ModelTextSpan raw[TEXTS];

static void setup(void)
{
    texts_bytes = malloc((size_t)TEXTS * SIZE);
    char *to = texts_bytes;
    for (int i = 0; i < TEXTS; i++) {
        char *begin = to;
        for (int k = 0; k < i % WORDS; k++) {
            int word = k % 3 ? (i * 31 + k * k) % 500 : i * WORDS + k;
            to += sprintf(to, "%s%c%c%c%c", k ? ", " : "", 'a' + word % 26, 'a' + word / 26 % 26,
                          'a' + word / 676 % 26, 'a' + word / 17576);
        }
        raw[i] = (ModelTextSpan){begin, (size_t)(to - begin)};
    }
}

static void teardown(void)
{
    free(texts_bytes);
}

static void add(ModelWordTexts *texts, int threads, int fd, const char *path, int at_once)
{
    ModelCleaner cleaner;
    ck_assert_ok(model_cleaner_init(&cleaner, &(ModelCleanOptions){0}));
    model_word_texts_init(texts, threads, fd, path);
    for (int i = 0; i < TEXTS; i += at_once)
        ck_assert_ok(
            model_word_texts_add(texts, &cleaner, raw + i, TEXTS - i < at_once ? TEXTS - i : at_once));
    model_cleaner_free(&cleaner);
    ck_assert_int_eq(texts->count, TEXTS);
}

static void same(const ModelWordTexts *a, const ModelWordTexts *b)
{
    ReelBytes one = {0}, other = {0};
    ck_assert_int_eq(model_string_table_difference(&a->words, &b->words), -1);
    ck_assert_mem_eq(a->ends, b->ends, TEXTS * sizeof *a->ends);
    for (int i = 0; i < TEXTS; i++) {
        ModelWordBytes x, y;
        ck_assert_ok(model_word_texts_bytes(a, i, &one, &x));
        ck_assert_ok(model_word_texts_bytes(b, i, &other, &y));
        ck_assert_int_eq(x.end - x.at, y.end - y.at);
        if (x.end > x.at) /* an empty text has no place */
            ck_assert_mem_eq(x.at, y.at, (size_t)(x.end - x.at));
    }
    reel_bytes_free(&one);
    reel_bytes_free(&other);
}

START_TEST(a_text_comes_back_as_it_was_cleaned)
{
    ModelWordTexts texts;
    ModelCleaner cleaner;
    ReelBytes clean = {0}, back = {0}, scratch = {0};
    ck_assert_ok(model_cleaner_init(&cleaner, &(ModelCleanOptions){0}));
    add(&texts, 1, -1, NULL, TEXTS);
    for (int i = 0; i < TEXTS; i++) {
        clean.size = back.size = 0;
        ck_assert(model_cleaner_append(&cleaner, raw[i], &clean));
        ck_assert_ok(model_word_texts_text(&texts, i, &scratch, &back));
        ck_assert_uint_eq(back.size, clean.size);
        if (clean.size > 0) /* an empty text has no place */
            ck_assert_mem_eq(back.data, clean.data, clean.size);
    }
    ck_assert_int_gt(texts.words.count, 1 << 14);
    reel_bytes_free(&clean);
    reel_bytes_free(&back);
    reel_bytes_free(&scratch);
    model_cleaner_free(&cleaner);
    model_word_texts_free(&texts);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Nor on how many are added at a time, nor on where they are. */
START_TEST(numbers_do_not_depend_on_threads)
{
    ModelWordTexts one, other;
    add(&one, 1, -1, NULL, TEXTS);
    static const int at_once[] = {TEXTS, 1000, 7};
    for (int threads = 2; threads <= 5; threads += 3)
        for (int i = 0; i < 3; i++) {
            const char *path = text_support_file("", 0);
            add(&other, threads, i == 1 ? open(path, O_RDWR) : -1, path, at_once[i]);
            same(&one, &other);
            ck_assert_ok(model_word_texts_clear(&other));
            ck_assert_int_eq(other.words.count + other.count, 0);
            model_word_texts_free(&other);
        }
    model_word_texts_free(&one);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(what_cannot_be_kept_is_an_error)
{
    ModelWordTexts texts;
    ModelCleaner cleaner;
    ReelBytes scratch = {0};
    ModelWordBytes bytes;
    ck_assert_ok(model_cleaner_init(&cleaner, &(ModelCleanOptions){0}));
    model_word_texts_init(&texts, 1, open("/dev/full", O_RDWR), "/dev/full");
    ck_assert_failed(model_word_texts_add(&texts, &cleaner, raw, 100), REEL_STATUS_FAILED,
                     "/dev/full: cannot write");
    model_word_texts_free(&texts);
    const char *path = text_support_file("", 0);
    model_word_texts_init(&texts, 1, open(path, O_RDWR), path);
    ck_assert_ok(model_word_texts_add(&texts, &cleaner, raw, 100));
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_failed(model_word_texts_bytes(&texts, 99, &scratch, &bytes), REEL_STATUS_FAILED, "cannot read");
    model_word_texts_free(&texts);
    for (int n = 0;; n++) {
        model_word_texts_init(&texts, 1, -1, NULL);
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_word_texts_add(&texts, &cleaner, raw, 100);
        reel_mem_fail_at(-1, 0);
        model_word_texts_free(&texts);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_failed(status, REEL_STATUS_FAILED, "out of memory");
    }
    reel_bytes_free(&scratch);
    model_cleaner_free(&cleaner);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

Suite *models_word_texts_suite(void);
Suite *models_word_texts_suite(void)
{
    Suite *suite = suite_create("models/word_texts");
    TCase *tcase = tcase_create("word_texts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_text_comes_back_as_it_was_cleaned);
    tcase_add_test(tcase, numbers_do_not_depend_on_threads);
    tcase_add_test(tcase, what_cannot_be_kept_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

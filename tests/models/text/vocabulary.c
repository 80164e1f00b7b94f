#include "models/text/vocabulary.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <stdarg.h>

enum { NUM_TEXTS = 5 };

/* "all" is in 5 of 5, "most" in 4, "pair" in 2 (three times in one), "once" in 1. */
static const char *const TEXTS[NUM_TEXTS] = {"most all pair pair pair", "all most", "pair most all",
                                             "all most once", "all"};

/* From cleaned texts. */
static ReelStatus build_from(ModelVocabulary *vocabulary, const ModelTextSpan *texts, int64_t count,
                             const ModelVocabularyOptions *options)
{
    ModelStringTable words = {0};
    int32_t with[16] = {0}, ids[16];
    int64_t last[16] = {0};
    for (int64_t i = 0; i < count; i++)
        for (ModelTextSpan text = texts[i], word; model_text_next_word(&text, &word);) {
            int32_t id = model_string_table_add(&words, word);
            if (id < 0) {
                model_string_table_free(&words);
                return reel_status_no_memory(word.length, "the words");
            }
            with[id] += last[id] != i + 1;
            last[id] = i + 1;
        }
    ReelStatus status = model_vocabulary_build(vocabulary, NULL, &words, with, count, options, ids);
    for (int32_t i = 0; reel_status_is_ok(&status) && i < words.count; i++)
        ck_assert_int_eq(
            ids[i], model_vocabulary_id(vocabulary, model_text_span(model_string_table_text(&words, i))));
    model_string_table_free(&words);
    return status;
}

static ModelVocabulary build(int32_t min_df, double max_df)
{
    ModelTextSpan texts[NUM_TEXTS];
    for (int i = 0; i < NUM_TEXTS; i++)
        texts[i] = model_text_span(TEXTS[i]);
    ModelVocabulary vocabulary;
    ModelVocabularyOptions options = {.min_df = min_df, .max_df = max_df};
    ck_assert_ok(build_from(&vocabulary, texts, NUM_TEXTS, &options));
    return vocabulary;
}

/* Checks all words, the special ones included. */
static void check_words(const ModelVocabulary *vocabulary, int32_t count, const char *const *words)
{
    ck_assert_int_eq(model_vocabulary_size(vocabulary), count);
    for (int32_t id = 0; id < count; id++) {
        ck_assert_str_eq(model_vocabulary_word(vocabulary, id), words[id]);
        ck_assert_int_eq(model_vocabulary_id(vocabulary, model_text_span(words[id])), id);
    }
}

#define WORDS(...) "<pad>", "<unk>", "<bos>", "<eos>", __VA_ARGS__

START_TEST(words_are_sorted_behind_the_special_ones)
{
    ModelVocabulary all = build(1, 1.0), homework = build(2, 0.9), edge = build(1, 0.8), rare = build(5, 1.0);
    check_words(&all, 8, (const char *const[]){WORDS("all", "most", "once", "pair")});
    check_words(&homework, 6, (const char *const[]){WORDS("most", "pair")});
    check_words(&edge, 7, (const char *const[]){WORDS("most", "once", "pair")}); /* 4 is not more than 80 % */
    check_words(&rare, 5, (const char *const[]){WORDS("all")});
    ck_assert_int_eq(homework.rare_words, 1);
    ck_assert_int_eq(homework.frequent_words, 1);
    ck_assert_int_eq(model_vocabulary_id(&homework, model_text_span("all")), -1);
    model_vocabulary_free(&all);
    model_vocabulary_free(&homework);
    model_vocabulary_free(&edge);
    model_vocabulary_free(&rare);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

static void check_ids(const ModelVocabulary *vocabulary, int32_t max_len, const char *text, size_t count, ...)
{
    ModelTokenizer tokenizer = model_vocabulary_tokenizer(vocabulary);
    ModelIdList list = {0};
    ck_assert(model_id_list_push(&list, 99)); /* ids are appended */
    ck_assert(model_tokenizer_encode(&tokenizer, model_text_span(text), max_len, &list));
    ck_assert_uint_eq(list.count, count + 1);
    ck_assert_int_eq(list.ids[0], 99);
    va_list expected;
    va_start(expected, count);
    for (size_t i = 1; i <= count; i++)
        ck_assert_int_eq(list.ids[i], va_arg(expected, int));
    va_end(expected);
    model_id_list_free(&list);
}

START_TEST(texts_become_ids)
{
    ModelVocabulary vocabulary = build(1, 1.0); /* all 4, most 5, once 6, pair 7 */
    check_ids(&vocabulary, 64, "most all pair", 5, 2, 5, 4, 7, 3);
    check_ids(&vocabulary, 64, "most unseen  all ", 4, 2, 5, 4, 3); /* dropped, no <unk> */
    check_ids(&vocabulary, 64, "unseen", 3, 2, 1, 3);
    check_ids(&vocabulary, 64, "", 3, 2, 1, 3);
    check_ids(&vocabulary, 64, "<pad> <eos>", 3, 2, 1, 3); /* no text can name them */
    check_ids(&vocabulary, 5, "all most once", 5, 2, 4, 5, 6, 3);
    check_ids(&vocabulary, 4, "all most once", 4, 2, 4, 5, 3);
    check_ids(&vocabulary, 4, "x y z all most once", 4, 2, 4, 5, 3); /* what is dropped takes no room */
    check_ids(&vocabulary, 3, "all most once", 3, 2, 4, 3);
    ck_assert_int_eq(model_vocabulary_tokenizer(&vocabulary).vocab_size, 8);
    model_vocabulary_free(&vocabulary);
}
END_TEST

START_TEST(words_can_be_kept_and_restored)
{
    ModelVocabulary vocabulary = build(1, 1.0), again;
    const char *words[8];
    for (int32_t id = 0; id < 8; id++)
        words[id] = model_vocabulary_word(&vocabulary, id);
    ck_assert_ok(model_vocabulary_restore(&again, words, 8));
    check_words(&again, 8, words);
    model_vocabulary_free(&again);

    ck_assert_failed(model_vocabulary_restore(&again, words, 3), REEL_STATUS_FAILED, "no room");
    ck_assert_failed(model_vocabulary_restore(&again, words + 1, 7), REEL_STATUS_FAILED,
                     "'<unk>' and must be '<pad>'");
    const char *twice[] = {WORDS("a", "b", "a")}, *empty[] = {WORDS("a", "")};
    ck_assert_failed(model_vocabulary_restore(&again, twice, 7), REEL_STATUS_FAILED,
                     "4 and 6 of the vocabulary are both 'a'");
    ck_assert_failed(model_vocabulary_restore(&again, empty, 6), REEL_STATUS_FAILED,
                     "word 5 of the vocabulary is empty");
    for (int n = 0; n < 3; n++) {
        reel_mem_fail_at(n, 0);
        ck_assert_failed(model_vocabulary_restore(&again, words, 8), REEL_STATUS_FAILED, "out of memory");
        reel_mem_fail_at(-1, 0);
    }
    model_vocabulary_free(&vocabulary);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(vocabularies_that_cannot_be)
{
    ModelTextSpan texts[2] = {model_text_span("a b"), model_text_span("c")};
    ModelVocabulary vocabulary;
    ModelVocabularyOptions options = {.min_df = 2, .max_df = 0.9};
    ck_assert_failed(build_from(&vocabulary, texts, 2, &options), REEL_STATUS_FAILED, "lower --min-df");
    ck_assert_failed(build_from(&vocabulary, texts, 0, &options), REEL_STATUS_FAILED, "no word");
    options.min_df = 0;
    ck_assert_failed(build_from(&vocabulary, texts, 2, &options), REEL_STATUS_USAGE, "--min-df");
    options = (ModelVocabularyOptions){.min_df = 1, .max_df = 0.0};
    ck_assert_failed(build_from(&vocabulary, texts, 2, &options), REEL_STATUS_USAGE, "--max-df");
    options.max_df = 1.5;
    ck_assert_failed(build_from(&vocabulary, texts, 2, &options), REEL_STATUS_USAGE, "--max-df");
    options.max_df = 0.0 / 0.0;
    ck_assert_failed(build_from(&vocabulary, texts, 2, &options), REEL_STATUS_USAGE, "--max-df");
    options.max_df = 1.0;
    int n = 0;
    for (;; n++) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = build_from(&vocabulary, texts, 2, &options);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_failed(status, REEL_STATUS_FAILED, "out of memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    }
    ck_assert_int_gt(n, 5);
    model_vocabulary_free(&vocabulary);
}
END_TEST

Suite *models_vocabulary_suite(void);
Suite *models_vocabulary_suite(void)
{
    Suite *suite = suite_create("models/vocabulary");
    TCase *tcase = tcase_create("vocabulary");
    tcase_add_test(tcase, words_are_sorted_behind_the_special_ones);
    tcase_add_test(tcase, texts_become_ids);
    tcase_add_test(tcase, words_can_be_kept_and_restored);
    tcase_add_test(tcase, vocabularies_that_cannot_be);
    suite_add_tcase(suite, tcase);
    return suite;
}

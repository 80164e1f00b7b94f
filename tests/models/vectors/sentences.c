#include "models/vectors/sentences.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <stdio.h>
#include <string.h>

static ReelStatus add_all(ModelSentences *s)
{
    static const char *const texts[] = {"b a b", "", "rare", "a b  c", "c b"};
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < 5 && reel_status_is_ok(&status); i++)
        status = model_sentences_add(s, model_text_span(texts[i]));
    return status;
}

/* "b a b|rare": each sentence in words. */
static const char *tell(const ModelSentences *s)
{
    static char text[256];
    text[0] = '\0';
    for (int64_t i = 0; i < s->count; i++)
        for (int64_t at = s->offsets[i]; at < s->offsets[i + 1]; at++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                     at > s->offsets[i] ? " "
                     : i > 0            ? "|"
                                        : "",
                     model_string_table_text(&s->words, s->ids[at]));
    return text;
}

START_TEST(words_are_numbered_by_frequency)
{
    ModelSentences s = {0};
    ck_assert_ok(add_all(&s));
    ck_assert_int_eq(s.count, 5);
    ck_assert_ok(model_sentences_number(&s, 1));
    ck_assert_str_eq(tell(&s), "b a b|rare|a b c|c b");
    static const char *const order[] = {"b", "a", "c", "rare"}; /* a and c are as frequent */
    static const int64_t counts[] = {4, 2, 2, 1};
    for (int i = 0; i < 4; i++) {
        ck_assert_str_eq(model_string_table_text(&s.words, i), order[i]);
        ck_assert_int_eq(s.counts[i], counts[i]);
    }
    ck_assert_int_eq(s.words.count, 4);
    model_sentences_free(&s);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(rare_words_and_empty_sentences_go)
{
    ModelSentences s = {0};
    ck_assert_ok(add_all(&s));
    ck_assert_ok(model_sentences_number(&s, 2));
    ck_assert_str_eq(tell(&s), "b a b|a b c|c b");
    ck_assert_int_eq(s.count, 3);
    model_sentences_free(&s);
    ck_assert_ok(add_all(&s));
    ReelStatus status = model_sentences_number(&s, 3);
    ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    ck_assert_str_eq(status.message,
                     "1 word is there at least 3 times; give more texts, or a smaller --min-count");
    model_sentences_free(&s);
}
END_TEST

START_TEST(without_memory_there_is_a_message)
{
    for (int64_t n = 0;; n++) {
        ModelSentences s = {0};
        reel_mem_fail_at(n, 1);
        ReelStatus status = add_all(&s);
        if (reel_status_is_ok(&status))
            status = model_sentences_number(&s, 1);
        reel_mem_fail_at(-1, 0);
        model_sentences_free(&s);
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    }
}
END_TEST

Suite *models_sentences_suite(void);
Suite *models_sentences_suite(void)
{
    Suite *suite = suite_create("models/sentences");
    TCase *cases = tcase_create("sentences");
    tcase_add_test(cases, words_are_numbered_by_frequency);
    tcase_add_test(cases, rare_words_and_empty_sentences_go);
    tcase_add_test(cases, without_memory_there_is_a_message);
    suite_add_tcase(suite, cases);
    return suite;
}

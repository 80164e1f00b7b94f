#include "models/text/clean.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

static void check_clean(const ModelCleanOptions *options, const char *text, const char *expected)
{
    ModelCleaner cleaner;
    ck_assert_ok(model_cleaner_init(&cleaner, options));
    char apart[200], place[200];
    size_t size = strlen(text);
    memset(apart, '#', sizeof apart);
    size_t length = model_cleaner_run(&cleaner, model_text_span(text), apart);
    ck_assert_msg(length == strlen(expected) && memcmp(apart, expected, length) == 0,
                  "'%.*s' instead of '%s'", (int)length, apart, expected);
    for (size_t i = size; i < sizeof apart; i++)
        ck_assert_int_eq(apart[i], '#');
    memcpy(place, text, size);
    ck_assert_uint_eq(model_cleaner_run(&cleaner, (ModelTextSpan){place, size}, place), length);
    ck_assert_mem_eq(place, expected, length);
    model_cleaner_free(&cleaner);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

START_TEST(letters_stay)
{
    ModelCleanOptions none = {.stop_words = "none"};
    check_clean(&none, "", "");
    check_clean(&none, " \t\r\v\f ", "");
    check_clean(&none, "Azz[@`{ZaA", "azz zaa");
    check_clean(&none, "  The  Quick-brown\tFOX 42 times\xC2\xA0over, the \xC3\xA9lan. ",
                "the quick brown fox times over the lan");
    check_clean(&none, "don't na\xC3\xAFve 3d x", "don t na ve d x");
    ModelCleanOptions digits = {.stop_words = "none", .keep_digits = true};
    check_clean(&digits, "GPT-2 /0:9; has 1.5B", "gpt 2 0 9 has 1 5b");
}
END_TEST

START_TEST(stop_words_go_and_negations_stay)
{
    ModelCleanOptions homework = {0};
    check_clean(&homework, "The cat is NOT on the mat", "cat not mat");
    check_clean(&homework, "I have no idea, yourselves", "no idea");
    check_clean(&homework, "a an the", "");
    check_clean(&homework, "cannot nothing nobody never nor", "");
    check_clean(&homework, "x the", "x");
    check_clean(&homework, "the x", "x");
    ModelCleaner cleaner;
    ck_assert_ok(model_cleaner_init(&cleaner, &homework));
    ck_assert_int_eq(cleaner.stop_words.count, 318 - 2);
    model_cleaner_free(&cleaner);
}
END_TEST

START_TEST(stop_words_from_a_file)
{
    const char *words = "\nno  Cat\r\n\tdon't";
    ModelCleanOptions options = {.stop_words = text_support_file(words, strlen(words))};
    check_clean(&options, "The cat is no cat. Don't", "the is don t");
    words = "\xEF\xBB\xBFthe\ncat\rmat"; /* the first word too, and old line ends */
    options.stop_words = text_support_file(words, strlen(words));
    check_clean(&options, "The cat on the mat", "on");
}
END_TEST

START_TEST(stop_word_files_that_are_none)
{
    ModelCleaner cleaner;
    ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){.stop_words = "no/such"}),
                     REEL_STATUS_FAILED, "no/such: ");
    ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){.stop_words = "tests"}),
                     REEL_STATUS_FAILED, "directory");
    const char *path = text_support_file("one\ntwo \xFF\n", 10);
    ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){.stop_words = path}),
                     REEL_STATUS_FAILED, ":2: byte 5");
    path = text_support_file("\xFF\xFEt\0h\0e\0", 8);
    ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){.stop_words = path}),
                     REEL_STATUS_FAILED, "UTF-16");
    path = text_support_file("", 0);
    ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){.stop_words = path}),
                     REEL_STATUS_FAILED, "empty");
    for (int n = 0; n < 3; n++) {
        reel_mem_fail_at(n, 0);
        ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){0}), REEL_STATUS_FAILED,
                         "out of memory");
        reel_mem_fail_at(-1, 0);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* ---- Unicode ---- */

static void check_unicode(const char *stop_words, const char *text, const char *expected)
{
    ModelCleaner cleaner;
    ReelBytes out = {0};
    ck_assert_ok(model_cleaner_init(
        &cleaner, &(ModelCleanOptions){.stop_words = stop_words, .letters = MODEL_CLEAN_UNICODE}));
    ck_assert(model_cleaner_append(&cleaner, model_text_span(text), &out) && reel_bytes_append(&out, "", 1));
    ck_assert_str_eq(out.data, expected);
    reel_bytes_free(&out);
    model_cleaner_free(&cleaner);
}

START_TEST(words_of_unicode_are_of_letters_marks_and_digits)
{
    static const char *const cases[][2] = {
        {"Plain ASCII, no. 3!", "plain ascii no 3"},
        {"", ""},
        {" \t- ", ""},
        {"Ёлка — ещё ЗИМА.", "ёлка ещё зима"},
        {"Straße STRASSE", "strasse strasse"}, /* full case folding */
        {"ﬁne Ⅻ ½ x²", "fine xii 1 2 x2"},     /* NFKC: the fraction is 1, a slash and 2 */
        {"cafe\u0301 CAFÉ", "café café"},      /* composed */
        {"naïve Ελλάς", "naïve ελλάσ"},
        {"東京は大きい。", "東 京 は 大 き い"}, /* each Han or kana a word */
        {"ｶﾞｽ x東y", "ガ ス x 東 y"},
        {"ที่นี่", "ที่ นี่"}, /* marks stay with their letter */
        {"한국어 텍스트", "한국어 텍스트"},
        {"हिन्दी", "हिन्दी"},
        {"a\xffÉ\xc3", "a é"}, /* bytes that are none of UTF-8 are spaces */
        {"ру\u00adсский", "ру сский"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && model_cleaner_has_unicode(); i++)
        check_unicode("none", cases[i][0], cases[i][1]);
    if (!model_cleaner_has_unicode()) {
        ModelCleaner cleaner;
        ck_assert_failed(model_cleaner_init(&cleaner, &(ModelCleanOptions){.letters = MODEL_CLEAN_UNICODE}),
                         REEL_STATUS_FAILED, "needs utf8proc");
        return;
    }
    check_unicode(NULL, "The Café of THE year 2024", "café year 2024");
    const char *words = "И на\n\xEF\xBB\xBFНО Ёлка";
    check_unicode(text_support_file(words, strlen(words)), "Дом И ёлка на горе, но", "дом горе");
    check_unicode("none", "x", "x");
}
END_TEST

START_TEST(letters_are_counted_by_script)
{
    int64_t ascii = 0, others = 0;
    model_cleaner_count_letters(
        model_text_span("It\u2019s \u201Ca\u201D \u2013 \u20AC 5 \u00D7 caf\u00E9 \U0001F600"), &ascii,
        &others);
    ck_assert_int_eq(ascii, 7);
    ck_assert_int_eq(others, 1);
    model_cleaner_count_letters(model_text_span("Ель\xff東"), &ascii, &others);
    ck_assert_int_eq(others, 5);
}
END_TEST

Suite *models_clean_suite(void);
Suite *models_clean_suite(void)
{
    Suite *suite = suite_create("models/clean");
    TCase *tcase = tcase_create("clean");
    tcase_add_test(tcase, letters_stay);
    tcase_add_test(tcase, stop_words_go_and_negations_stay);
    tcase_add_test(tcase, stop_words_from_a_file);
    tcase_add_test(tcase, stop_word_files_that_are_none);
    tcase_add_test(tcase, words_of_unicode_are_of_letters_marks_and_digits);
    tcase_add_test(tcase, letters_are_counted_by_script);
    suite_add_tcase(suite, tcase);
    return suite;
}

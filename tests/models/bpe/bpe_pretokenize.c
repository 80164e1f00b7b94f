#include "tests/bpe_support.h"
#include "tensor/random.h"

/* The pieces joined with "|", against what is expected; from a block of the exact size, so that the
 * sanitizers see a read beyond its end. */
static void check(ModelBpePretokenizer mode, BpeLines lines, const char *text, const char *expected)
{
    size_t size = strlen(text);
    ReelBytes exact = {0}, got = {0};
    ck_assert(reel_bytes_append(&exact, text, size));
    BpeSplitter splitter;
    BpePiece pieces[64];
    model_bpe_split(&splitter, mode, lines, exact.data, size);
    for (size_t count; (count = model_bpe_split_next(&splitter, pieces, 64)) > 0;)
        for (size_t i = 0; i < count; i++) {
            ck_assert(got.size == 0 || reel_bytes_append(&got, "|", 1));
            ck_assert(reel_bytes_append(&got, pieces[i].text, pieces[i].size));
        }
    ck_assert(reel_bytes_append(&got, "", 1));
    ck_assert_str_eq(got.data, expected);
    reel_bytes_free(&exact);
    reel_bytes_free(&got);
}

START_TEST(whitespace)
{
    check(MODEL_BPE_WHITESPACE, BPE_ONE_TEXT, "", "");
    check(MODEL_BPE_WHITESPACE, BPE_ONE_TEXT, " \t\n", "");
    check(MODEL_BPE_WHITESPACE, BPE_ONE_TEXT, "one", "one");
    check(MODEL_BPE_WHITESPACE, BPE_ONE_TEXT, " one\n\ttwo  ", "one|two");
    check(MODEL_BPE_WHITESPACE, BPE_ONE_TEXT,
          "a\xC2\xA0"
          "b\xE2\x80\x83\xE3\x80\x80"
          "c\xC2\x85"
          "d\xE2\x80\x8B",
          "a|b|c|d\xE2\x80\x8B");
    check(MODEL_BPE_WHITESPACE, BPE_LINES_MARKED, "a b\n\nc ", "a|b|\n|\n|c");
}
END_TEST

START_TEST(gpt2s_expression)
{
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "", "");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "hello  world", "hello| | world");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "hello \n world \n", "hello| \n| world| \n");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "a\tb", "a|\t|b");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "x12!?y", "x|12|!?|y");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "don't we'll 's ''s I'd've it's5",
          "don|'t| we|'ll| '|s| ''|s| I|'d|'ve| it|'s|5");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "'S 'l 'tis", "'|S| '|l| '|tis");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "'tis's'", "'t|is|'s|'");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT,
          "a\xC2\xA0 b\xC2\xA0"
          "c\xC2\xA0\xC2\xA0",
          "a|\xC2\xA0| b|\xC2\xA0|c|\xC2\xA0\xC2\xA0");
    check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, "\xD9\xA1\xC2\xB2\xC3\xA9z\xFF\x80",
          "\xD9\xA1\xC2\xB2|\xC3\xA9z|\xFF\x80");
    check(MODEL_BPE_BYTELEVEL, BPE_LINES_KEPT, "a \n\n  b\n", "a| \n|\n| | b|\n");
    check(MODEL_BPE_BYTELEVEL, BPE_LINES_MARKED, "a \n b", "a| |\n| b");
}
END_TEST

START_TEST(subword_nmt)
{
    check(MODEL_BPE_SUBWORD_NMT, BPE_ONE_TEXT, " a  b\tc \n\nd", "a|b\tc|d");
    check(MODEL_BPE_SUBWORD_NMT, BPE_ONE_TEXT, "\r a\r b\r \r\n\r\rc", "a\r|b|c");
    check(MODEL_BPE_SUBWORD_NMT, BPE_ONE_TEXT, "a \r b", "a|\r|b");
    check(MODEL_BPE_SUBWORD_NMT, BPE_ONE_TEXT, "a\xC2\xA0 b", "a\xC2\xA0|b");
    check(MODEL_BPE_SUBWORD_NMT, BPE_LINES_MARKED, "a\r\nb", "a|\n|b");
}
END_TEST

/* Where a text lies against the blocks of 64 bytes changes nothing. */
START_TEST(blocks_leave_no_trace)
{
    static const char middle[] = "it's  we'll\xC2\xA0 \xE3\x80\x80 \xC3\xA9t\xC3\xA9 12\n x'd's'lla";
    char text[256], expected[256];
    for (size_t shift = 0; shift < 130; shift++) {
        memset(text, 'a', shift);
        memcpy(text + shift, middle, sizeof middle);
        memset(expected, 'a', shift);
        strcpy(expected + shift,
               "it|'s| | we|'ll|\xC2\xA0 \xE3\x80\x80| \xC3\xA9t\xC3\xA9| 12|\n| x|'d|'s|'ll|a");
        check(MODEL_BPE_BYTELEVEL, BPE_ONE_TEXT, text, expected);
        strcpy(expected + shift, "it's|we'll|\xC3\xA9t\xC3\xA9|12|x'd's'lla");
        check(MODEL_BPE_WHITESPACE, BPE_ONE_TEXT, text, expected);
    }
}
END_TEST

START_TEST(byte_level_pieces_are_the_whole_text)
{
    TensorRandom random = tensor_random_new(5, 1);
    char text[700];
    for (int round = 0; round < 500; round++) {
        size_t size = tensor_random_below(&random, sizeof text), at = 0;
        for (size_t i = 0; i < size; i++)
            text[i] = round % 2 ? (char)tensor_random_u32(&random)
                                : " a'st1\n\xC2\xA0!"[tensor_random_below(&random, 10)];
        BpeSplitter splitter;
        BpePiece pieces[64];
        model_bpe_split(&splitter, MODEL_BPE_BYTELEVEL, (BpeLines)(round % 2), text, size);
        for (size_t count; (count = model_bpe_split_next(&splitter, pieces, 64)) > 0;)
            for (size_t i = 0; i < count; i++) {
                ck_assert_ptr_eq(pieces[i].text, text + at);
                ck_assert_uint_gt(pieces[i].size, 0);
                at += pieces[i].size;
            }
        ck_assert_uint_eq(at, size);
    }
}
END_TEST

Suite *models_bpe_pretokenize_suite(void);
Suite *models_bpe_pretokenize_suite(void)
{
    Suite *suite = suite_create("models/bpe_pretokenize");
    TCase *tcase = tcase_create("pieces");
    tcase_add_test(tcase, whitespace);
    bpe_support_add(tcase, gpt2s_expression);
    tcase_add_test(tcase, subword_nmt);
    bpe_support_add(tcase, blocks_leave_no_trace);
    tcase_add_test(tcase, byte_level_pieces_are_the_whole_text);
    suite_add_tcase(suite, tcase);
    return suite;
}

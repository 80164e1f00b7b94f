#include "tests/bpe_support.h"

START_TEST(classes_of_single_characters)
{
    static const struct {
        uint32_t code;
        BpeClass class;
    } cases[] = {
        {'a', BPE_LETTER},     {'Z', BPE_LETTER},     {'_', BPE_OTHER},      {'0', BPE_NUMBER},
        {' ', BPE_SPACE},      {'\n', BPE_SPACE},     {0x1C, BPE_OTHER},     {0x85, BPE_SPACE},
        {0xA0, BPE_SPACE},     {0xAA, BPE_LETTER},    {0xB2, BPE_NUMBER},    {0xD7, BPE_OTHER},
        {0x301, BPE_OTHER},    {0x180E, BPE_OTHER},   {0x200B, BPE_OTHER},   {0x2028, BPE_SPACE},
        {0x216B, BPE_NUMBER},  {0x3000, BPE_SPACE},   {0x4E2D, BPE_LETTER},  {0xD55C, BPE_LETTER},
        {0x1C88, BPE_LETTER},  {0x1F600, BPE_OTHER},  {0x20000, BPE_LETTER}, {0x2EBF0, BPE_LETTER},
        {0x143FA, BPE_LETTER}, {0x10FFFF, BPE_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(model_bpe_class(cases[i].code) == cases[i].class, "U+%04X", cases[i].code);
}
END_TEST

START_TEST(words)
{
    static const uint32_t inside[] = {'a',    'Z',    '0',     '9',     '_',     0xAA,   0x301,
                                      0x36F,  0x660,  0x200C,  0x200D,  0x203F,  0x2160, 0x24B6,
                                      0x24E9, 0x4E2D, 0x1F130, 0x1F189, 0xE0100, 0xE01EF};
    static const uint32_t outside[] = {0,      ' ',    '/',    ':',    '@',     '^',     '`',     0xB2,
                                       0x200B, 0x200E, 0x24B5, 0x24EA, 0x1F600, 0xE00FF, 0xE01F0, 0x10FFFF};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        ck_assert_msg(model_bpe_is_word(inside[i]), "U+%04X", inside[i]);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        ck_assert_msg(!model_bpe_is_word(outside[i]), "U+%04X", outside[i]);
}
END_TEST

START_TEST(bytes_and_their_characters_are_one_to_one)
{
    bool seen[0x144] = {false};
    for (int byte = 0; byte < 256; byte++) {
        uint32_t code = model_bpe_byte_to_code((uint8_t)byte);
        ck_assert_uint_lt(code, 0x144);
        ck_assert(!seen[code]);
        seen[code] = true;
        ck_assert_int_eq(model_bpe_code_to_byte(code), byte);
    }
    ck_assert_uint_eq(model_bpe_byte_to_code(' '), 0x120);
    ck_assert_uint_eq(model_bpe_byte_to_code('\n'), 0x10A);
    ck_assert_int_eq(model_bpe_code_to_byte(' '), -1);
    ck_assert_int_eq(model_bpe_code_to_byte(0x144), -1);
}
END_TEST

Suite *models_bpe_unicode_suite(void);
Suite *models_bpe_unicode_suite(void)
{
    Suite *suite = suite_create("models/bpe_unicode");
    TCase *tcase = tcase_create("unicode");
    bpe_support_add(tcase, classes_of_single_characters);
    bpe_support_add(tcase, words);
    tcase_add_test(tcase, bytes_and_their_characters_are_one_to_one);
    suite_add_tcase(suite, tcase);
    return suite;
}

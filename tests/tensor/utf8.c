#include "tensor/utf8.h"
#include <check.h>
#include <stdbool.h>
#include <string.h>

START_TEST(every_code_point_survives_utf8)
{
    for (uint32_t code = 0; code < 0x110000; code++) {
        if (code >= 0xD800 && code < 0xE000)
            continue;
        char text[4];
        uint32_t back;
        int size = reel_utf8_encode(code, text);
        bool fine = reel_utf8_decode((const uint8_t *)text, (size_t)size, &back) == size && back == code;
        /* Cut off, it is no character. */
        fine = fine && (size == 1 || reel_utf8_decode((const uint8_t *)text, (size_t)size - 1, &back) == 0);
        if (!fine)
            ck_abort_msg("U+%04X", code);
    }
}
END_TEST

START_TEST(what_is_not_utf8_is_refused)
{
    static const char *const broken[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80", "\xE0\x9F\xBF",
        "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80", "\xE2\x28\xA1\x20",
        "\xFF"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        uint32_t code;
        ck_assert_int_eq(reel_utf8_decode((const uint8_t *)broken[i], strlen(broken[i]), &code), 0);
        ck_assert_uint_eq(reel_utf8_valid(broken[i], strlen(broken[i])), 0);
    }
    ck_assert_uint_eq(reel_utf8_valid("ab\xC3\xA9\xC3", 5), 4);
}
END_TEST

Suite *tensor_utf8_suite(void);
Suite *tensor_utf8_suite(void)
{
    Suite *suite = suite_create("tensor/utf8");
    TCase *tcase = tcase_create("utf8");
    tcase_add_test(tcase, every_code_point_survives_utf8);
    tcase_add_test(tcase, what_is_not_utf8_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

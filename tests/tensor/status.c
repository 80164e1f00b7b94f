#include "tensor/status.h"

#include <check.h>
#include <string.h>

START_TEST(a_message_is_one_line_whatever_it_quotes)
{
    ReelStatus status = reel_status_failed("%s: byte %d", "a\nb\x1b[31m\t\x7f", 7);
    ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    ck_assert_str_eq(status.message, "a?b?[31m??: byte 7");
    status = reel_status_usage("--lr %s", "gr\xc3\xbc\xc3\x9f"
                                          "e\r");
    ck_assert_int_eq(status.code, REEL_STATUS_USAGE);
    ck_assert_str_eq(status.message, "--lr gr\xc3\xbc\xc3\x9f"
                                     "e?");
}
END_TEST

START_TEST(a_long_message_is_cut)
{
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ReelStatus status = reel_status_failed("%s", text);
    ck_assert_uint_eq(strlen(status.message), sizeof status.message - 1);
    status = reel_status_no_memory(123, "the weights");
    ck_assert_str_eq(status.message, "out of memory: 123 bytes for the weights");
    status = reel_status_ok();
    ck_assert(reel_status_is_ok(&status));
    ck_assert_str_eq(status.message, "");
}
END_TEST

Suite *tensor_status_suite(void);
Suite *tensor_status_suite(void)
{
    Suite *suite = suite_create("tensor/status");
    TCase *tcase = tcase_create("status");
    tcase_add_test(tcase, a_message_is_one_line_whatever_it_quotes);
    tcase_add_test(tcase, a_long_message_is_cut);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "tensor/usage.h"

#include <check.h>
#include <stdlib.h>

START_TEST(the_peak_is_that_since_it_was_set_back)
{
    enum { MB = 1 << 20, MORE = 64 };
    reel_usage_reset_peak();
    double before = reel_usage_peak_mb();
    char *memory = malloc((size_t)MORE * MB);
    ck_assert_ptr_nonnull(memory);
    volatile char *block = memory; /* what is not used is not made */
    for (size_t i = 0; i < (size_t)MORE * MB; i += 1024)
        block[i] = 1;
    double with = reel_usage_peak_mb();
    free(memory);
    ck_assert_double_gt(before, 0);
    ck_assert_double_gt(with, before + MORE / 2);
}
END_TEST

START_TEST(processor_time_goes_on)
{
    double began = reel_usage_cpu_seconds();
    double sum = 0;
    for (int i = 0; i < 100000000 && reel_usage_cpu_seconds() == began; i++)
        sum += i;
    ck_assert_double_ge(sum, 0);
    ck_assert_double_gt(reel_usage_cpu_seconds(), began);
}
END_TEST

Suite *tensor_usage_suite(void);
Suite *tensor_usage_suite(void)
{
    Suite *suite = suite_create("tensor/usage");
    TCase *tcase = tcase_create("usage");
    tcase_add_test(tcase, the_peak_is_that_since_it_was_set_back);
    tcase_add_test(tcase, processor_time_goes_on);
    suite_add_tcase(suite, tcase);
    return suite;
}

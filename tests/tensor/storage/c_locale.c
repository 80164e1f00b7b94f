#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"
#include "tests/shell_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

/* A locale that writes numbers with a comma, made for the test. */
static bool german(void)
{
    folder = shell_folder();
    if (shell_run("localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8", folder) != 0) {
        test_skip("localedef cannot make de_DE.UTF-8 (Debian: locales)");
        return false;
    }
    setenv("LOCPATH", folder, 1);
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "de_DE.UTF-8"));
    char text[16];
    snprintf(text, sizeof text, "%g", 0.5);
    ck_assert_str_eq(text, "0,5");
    return true;
}

START_TEST(numbers_have_a_point_and_the_program_its_own_locale_back)
{
    if (german()) {
        ReelJsonWriter writer = {0};
        ReelJsonReader reader;
        double value = 0;
        char comma[16];
        reel_json_number(&writer, NULL, 0.1);
        const char *text = reel_json_finish(&writer);
        ck_assert_ptr_nonnull(text);
        ck_assert_ptr_nonnull(strstr(text, "0.1"));
        reel_json_reader_open(&reader, "1234.5", 6, "a text");
        ck_assert(reel_json_reader_number(&reader, &value));
        ck_assert_double_eq(value, 1234.5);
        reel_json_free(&writer);
        snprintf(comma, sizeof comma, "%g", 2.25);
        ck_assert_str_eq(comma, "2,25");
    }
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    shell_remove_folder(folder);
}
END_TEST

Suite *tensor_c_locale_suite(void);
Suite *tensor_c_locale_suite(void)
{
    Suite *suite = suite_create("tensor/c_locale");
    TCase *tcase = tcase_create("c_locale");
    tcase_add_test(tcase, numbers_have_a_point_and_the_program_its_own_locale_back);
    suite_add_tcase(suite, tcase);
    return suite;
}

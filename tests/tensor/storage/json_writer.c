/* Numbers and strings as the writer of JSON puts them. */
#include "tensor/storage/json_writer.h"

#include "tensor/random.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char written[200];

static const char *write_float(float value)
{
    ReelJsonWriter json = {.compact = true};
    reel_json_float(&json, NULL, value);
    const char *text = reel_json_finish(&json);
    ck_assert_ptr_nonnull(text);
    snprintf(written, sizeof written, "%s", text);
    written[strcspn(written, "\n")] = '\0';
    reel_json_free(&json);
    return written;
}

/* Whatever the magnitude, the same float is read, and no shorter number of six digits or more would do. */
START_TEST(floats_are_read_as_they_were)
{
    static const double lows[] = {0, 1e-4, 1e-7, 1e-38, 1, 1e30}, highs[] = {1, 2e-4, 1e-4, 1e-37, 1e6, 1e38};
    TensorRandom random = tensor_random_new(tensor_random_stream("floats"), 0);
    for (int i = 0; i < 100000; i++) {
        float value = (float)(lows[_i] + (highs[_i] - lows[_i]) * tensor_random_uniform_f64(&random));
        const char *text = write_float(value);
        ck_assert_msg(strtof(text, NULL) == value, "%.9g is written as %s", (double)value, text);
        char shorter[40];
        snprintf(shorter, sizeof shorter, "%.6g", (double)value);
        if (strtof(shorter, NULL) == value)
            ck_assert_msg(strtod(text, NULL) == strtod(shorter, NULL), "%s and %s", text, shorter);
    }
}
END_TEST

START_TEST(floats_at_the_edges)
{
    static const struct {
        float value;
        const char *text;
    } cases[] = {
        {0, "0"},          {1, "1"},          {0.5f, "0.5"},   {0.1f, "0.1"},    {0.99999994f, "0.99999994"},
        {1e-4f, "0.0001"}, {0.25f, "0.25"},   {-0.5f, "-0.5"}, {1e-5f, "1e-05"}, {123456.5f, "123456.5"},
        {NAN, "null"},     {INFINITY, "null"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_str_eq(write_float(cases[i].value), cases[i].text);
}
END_TEST

START_TEST(strings_are_escaped_and_utf8)
{
    static const struct {
        const char *text, *json;
    } cases[] = {{"", "\"\""},
                 {"plain text", "\"plain text\""},
                 {"a\"b\\c\n\t\r\x01", "\"a\\\"b\\\\c\\n\\t\\r\\u0001\""},
                 {"\xC3\xA9\xFFz\xC3", "\"\xC3\xA9\xEF\xBF\xBDz\xEF\xBF\xBD\""},
                 {"\xFF\"", "\"\xEF\xBF\xBD\\\"\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ReelJsonWriter json = {.compact = true};
        reel_json_string(&json, NULL, cases[i].text);
        const char *text = reel_json_finish(&json);
        ck_assert_ptr_nonnull(text);
        snprintf(written, sizeof written, "%s", text);
        written[strcspn(written, "\n")] = '\0';
        ck_assert_str_eq(written, cases[i].json);
        reel_json_free(&json);
    }
    ReelBytes bytes = {0};
    ck_assert(reel_json_append_string(&bytes, "a\"\nb", 4) && reel_bytes_append(&bytes, "", 1));
    ck_assert_str_eq(bytes.data, "\"a\\\"\\nb\"");
    reel_bytes_free(&bytes);
}
END_TEST

Suite *tensor_json_writer_suite(void);
Suite *tensor_json_writer_suite(void)
{
    Suite *suite = suite_create("tensor/json_writer");
    TCase *c = tcase_create("json_writer");
    tcase_add_loop_test(c, floats_are_read_as_they_were, 0, 6);
    tcase_add_test(c, floats_at_the_edges);
    tcase_add_test(c, strings_are_escaped_and_utf8);
    suite_add_tcase(suite, c);
    return suite;
}

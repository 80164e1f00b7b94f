#include "models/strings/string_table.h"
#include "tensor/mem_internal.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 5000 };

static ModelTextSpan numbered(char text[16], int i)
{
    snprintf(text, 16, "w%d", i * 7919 % MANY);
    return model_text_span(text);
}

START_TEST(every_string_has_its_number)
{
    ModelStringTable table = {0};
    char text[16];
    ck_assert_int_eq(model_string_table_find(&table, model_text_span("w1")), -1);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(model_string_table_add(&table, numbered(text, i)), i);
    ck_assert_int_eq(table.count, MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(model_string_table_find(&table, numbered(text, i)), i);
        ck_assert_str_eq(model_string_table_text(&table, i), text);
    }
    ck_assert_int_eq(model_string_table_find(&table, model_text_span("w")), -1);
    ck_assert_int_eq(model_string_table_find(&table, (ModelTextSpan){"w12", 2}),
                     model_string_table_find(&table, model_text_span("w1")));
    model_string_table_free(&table);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(empty_strings_are_strings)
{
    ModelStringTable table = {0};
    ck_assert_int_eq(model_string_table_add(&table, model_text_span("")), 0);
    ck_assert_int_eq(model_string_table_add(&table, (ModelTextSpan){NULL, 0}), 0);
    ck_assert_str_eq(model_string_table_text(&table, 0), "");
    model_string_table_free(&table);
}
END_TEST

/* Holes among byte pairs: they have a number, and are not found. */
START_TEST(what_is_appended_is_found_unless_it_is_empty)
{
    ModelStringTable table = {0}, other = {0};
    char text[16];
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(model_string_table_append(&table, i % 2 ? model_text_span("") : numbered(text, i)),
                         i);
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_eq(model_string_table_find(&table, numbered(text, i)), i);
    ck_assert_int_eq(model_string_table_find(&table, model_text_span("")), -1);
    ck_assert_int_eq(model_string_table_append(&table, numbered(text, 4)), MANY); /* the first one counts */
    ck_assert_int_eq(model_string_table_find(&table, model_text_span(text)), 4);
    model_string_table_add(&other, numbered(text, 0));
    ck_assert_int_eq(model_string_table_difference(&table, &other), 1);
    ck_assert_int_eq(model_string_table_difference(&table, &table), -1);
    model_string_table_free(&other);
    model_string_table_free(&table);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(sorting_numbers_anew)
{
    ModelStringTable table = {0};
    char text[16];
    int32_t *new_ids = reel_mem_alloc(MANY * sizeof *new_ids);
    for (int i = 0; i < MANY; i++)
        model_string_table_add(&table, numbered(text, i));
    ck_assert(model_string_table_sort(&table, new_ids));
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(model_string_table_find(&table, numbered(text, i)), new_ids[i]);
        ck_assert_str_eq(model_string_table_text(&table, new_ids[i]), text);
        if (i > 0) {
            const char *before = model_string_table_text(&table, i - 1);
            ck_assert_int_lt(strcmp(before, model_string_table_text(&table, i)), 0);
        }
    }
    reel_mem_free(new_ids);
    model_string_table_free(&table);
}
END_TEST

START_TEST(no_memory_leaves_the_table_as_it_was)
{
    ModelStringTable table = {0};
    char text[16];
    int failures = 0;
    for (int i = 0; i < 300; i++) {
        for (int n = 0;; n++) {
            reel_mem_fail_at(n, 0);
            int32_t id = model_string_table_add(&table, numbered(text, i));
            reel_mem_fail_at(-1, 0);
            if (id >= 0)
                break;
            failures++;
            ck_assert_int_eq(table.count, i);
            ck_assert_int_eq(model_string_table_find(&table, numbered(text, i)), -1);
            if (i > 0)
                ck_assert_int_eq(model_string_table_find(&table, numbered(text, i / 2)), i / 2);
        }
    }
    ck_assert_int_gt(failures, 6);
    for (int n = 0; n < 2; n++) {
        reel_mem_fail_at(n, 0);
        ck_assert(!model_string_table_sort(&table, NULL));
        reel_mem_fail_at(-1, 0);
    }
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(model_string_table_find(&table, numbered(text, i)), i);
    model_string_table_free(&table);
}
END_TEST

Suite *models_string_table_suite(void);
Suite *models_string_table_suite(void)
{
    Suite *suite = suite_create("models/string_table");
    TCase *tcase = tcase_create("string_table");
    tcase_add_test(tcase, every_string_has_its_number);
    tcase_add_test(tcase, empty_strings_are_strings);
    tcase_add_test(tcase, what_is_appended_is_found_unless_it_is_empty);
    tcase_add_test(tcase, sorting_numbers_anew);
    tcase_add_test(tcase, no_memory_leaves_the_table_as_it_was);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "tensor/bytes.h"
#include "tensor/mem_internal.h"
#include <check.h>
#include <stdint.h>
#include <string.h>

START_TEST(what_is_appended_is_there)
{
    ReelBytes bytes = {0};
    char expected[3000] = "";
    size_t size = 0;
    for (int i = 0; i < 100; i++) {
        char part[30];
        memset(part, 'a' + i % 26, sizeof part);
        ck_assert(reel_bytes_append(&bytes, part, (size_t)i % 30));
        memcpy(expected + size, part, (size_t)i % 30);
        size += (size_t)i % 30;
    }
    ck_assert_uint_eq(bytes.size, size);
    ck_assert_mem_eq(bytes.data, expected, size);
    reel_bytes_free(&bytes);
    ck_assert_ptr_null(bytes.data);
    ck_assert(reel_bytes_append(&bytes, NULL, 0));
    ck_assert_uint_eq(bytes.size, 0);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    ReelBytes bytes = {0};
    ck_assert(reel_bytes_append(&bytes, "abc", 3));
    ck_assert(!reel_bytes_reserve(&bytes, SIZE_MAX));
    ck_assert(!reel_bytes_reserve(&bytes, SIZE_MAX - 3));
    reel_mem_fail_at(0, 1);
    ck_assert(!reel_bytes_reserve(&bytes, 1000));
    reel_mem_fail_at(-1, 0);
    ck_assert_uint_eq(bytes.size, 3);
    ck_assert_mem_eq(bytes.data, "abc", 3);
    reel_bytes_free(&bytes);
}
END_TEST

Suite *tensor_bytes_suite(void);
Suite *tensor_bytes_suite(void)
{
    Suite *suite = suite_create("tensor/bytes");
    TCase *tcase = tcase_create("bytes");
    tcase_add_test(tcase, what_is_appended_is_there);
    tcase_add_test(tcase, without_memory_nothing_changes);
    suite_add_tcase(suite, tcase);
    return suite;
}

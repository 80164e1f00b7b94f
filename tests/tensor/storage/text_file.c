#include "tensor/storage/text_file.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(a_file_is_read_whole)
{
    char *bytes;
    size_t size;
    ck_assert_ok(reel_text_file_read(text_support_file("a\0b\n", 4), &bytes, &size));
    ck_assert_uint_eq(size, 4);
    ck_assert_mem_eq(bytes, "a\0b\n", 5); /* with the NUL behind it */
    reel_mem_free(bytes);
    ck_assert_ok(reel_text_file_read(text_support_file("", 0), &bytes, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(bytes[0], '\0');
    reel_mem_free(bytes);
}
END_TEST

/* More than one read, and more than the first guess at the size. */
START_TEST(a_pipe_is_read_to_its_end)
{
    enum { SIZE = 300000 };
    char *bytes, path[200];
    size_t size;
    snprintf(path, sizeof path, "%s.pipe", text_support_file("", 0));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    pid_t writer = fork();
    if (writer == 0) {
        FILE *file = fopen(path, "w");
        for (int i = 0; file && i < SIZE; i++)
            fputc('a' + i % 26, file);
        _exit(!file || fclose(file) != 0);
    }
    ReelStatus status = reel_text_file_read(path, &bytes, &size);
    unlink(path);
    waitpid(writer, NULL, 0);
    ck_assert_ok(status);
    ck_assert_uint_eq(size, SIZE);
    for (int i = 0; i < SIZE; i++)
        ck_assert_int_eq(bytes[i], 'a' + i % 26);
    reel_mem_free(bytes);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(what_cannot_be_read_leaves_nothing)
{
    char *bytes = (char *)"unset";
    size_t size = 7;
    ck_assert_failed(reel_text_file_read("no/such", &bytes, &size), REEL_STATUS_FAILED, "No such file");
    ck_assert_ptr_null(bytes);
    ck_assert_uint_eq(size, 0);
    ck_assert_failed(reel_text_file_read(".", &bytes, &size), REEL_STATUS_FAILED, ".: is a directory");
    ck_assert_failed(reel_text_file_read("Makefile/x", &bytes, &size), REEL_STATUS_FAILED, "check the path");
    reel_mem_fail_at(0, 0);
    ck_assert_failed(reel_text_file_read("Makefile", &bytes, &size), REEL_STATUS_FAILED, "out of memory");
    reel_mem_fail_at(-1, 0);
    ck_assert_ptr_null(bytes);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(byte_order_marks_are_seen)
{
    char *bytes;
    size_t size;
    ck_assert_failed(
        reel_text_file_read(text_support_file("\xFF\xFEx\0", 4), &bytes, &size), REEL_STATUS_FAILED,
        ":1: begins with the byte order mark of UTF-16 (FF FE); convert the file, as with `iconv");
    ck_assert_ptr_null(bytes);
    int fd;
    ck_assert_failed(reel_text_file_open(text_support_file("\xFE\xFF\0x", 4), &fd), REEL_STATUS_FAILED,
                     "UTF-16 (FE FF)");
    ck_assert_int_eq(fd, -1);
    ck_assert_failed(reel_text_file_check("x", "\xFE\xFF\0x", 4), REEL_STATUS_FAILED, "x:1: begins with");
    ck_assert_failed(reel_text_file_check("x", "\xFE", 1), REEL_STATUS_FAILED,
                     "x:1: byte 1 of the line (0xFE)");
    ck_assert_uint_eq(reel_text_file_mark("\xEF\xBB\xBFx", 4), 3);
    ck_assert_uint_eq(reel_text_file_mark("\xEF\xBB", 2), 0);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Every byte value at every place of a word of eight: the shortcut for plain text must see them all. */
START_TEST(single_bytes_are_judged_wherever_they_are)
{
    for (int value = 0; value < 256; value++)
        for (size_t at = 0; at < 18; at++) {
            char text[] = "\x01"
                          "bcdefgh\x7Fjklmnopqr";
            text[at] = (char)value;
            ReelStatus status = reel_text_file_check("x", text, 18);
            ck_assert_int_eq(reel_status_is_ok(&status), value > 0 && value < 128);
        }
}
END_TEST

START_TEST(places_are_named)
{
    ck_assert_failed(reel_text_file_check("x", "ab\ncd\n\nef\xFFg", 11), REEL_STATUS_FAILED,
                     "x:4: byte 3 of the line (0xFF)");
    ck_assert_failed(reel_text_file_check("x", "\n\0", 2), REEL_STATUS_FAILED,
                     "x:2: byte 1 of the line is NUL");
    ck_assert_failed(reel_text_file_check("x", "\xE2\x82", 2), REEL_STATUS_FAILED, "x:1: byte 1");
}
END_TEST

/* All sequences of one to three code points' worth of bytes against the definition: decode, encode. */
START_TEST(utf8_is_what_encodes_a_code_point)
{
    int valid = 0;
    for (uint32_t word = 0; word < 1u << 24; word += 1 + word / 97 % 3) {
        char text[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
        const unsigned char *p = (const unsigned char *)text;
        if (p[0] < 0xE0 || p[0] > 0xEF)
            continue;
        uint32_t point = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
        bool good = (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80 && point >= 0x800 &&
                    (point < 0xD800 || point > 0xDFFF);
        ReelStatus status = reel_text_file_check("x", text, 3);
        ck_assert_int_eq(reel_status_is_ok(&status), good);
        valid += good;
    }
    ck_assert_int_gt(valid, 10000);
}
END_TEST

Suite *tensor_text_file_suite(void);
Suite *tensor_text_file_suite(void)
{
    Suite *suite = suite_create("tensor/text_file");
    TCase *tcase = tcase_create("text_file");
    tcase_add_test(tcase, a_file_is_read_whole);
    tcase_add_test(tcase, a_pipe_is_read_to_its_end);
    tcase_add_test(tcase, what_cannot_be_read_leaves_nothing);
    tcase_add_test(tcase, byte_order_marks_are_seen);
    tcase_add_test(tcase, single_bytes_are_judged_wherever_they_are);
    tcase_add_test(tcase, places_are_named);
    tcase_add_test(tcase, utf8_is_what_encodes_a_code_point);
    suite_add_tcase(suite, tcase);
    return suite;
}

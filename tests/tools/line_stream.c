#include "tools/line_stream.h"

#include "tests/text_support.h"
#include "tests/shell_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder;
static char path[300];

static void setup(void)
{
    folder = shell_folder();
    snprintf(path, sizeof path, "%s/lines", folder);
}

static void teardown(void)
{
    shell_remove_folder(folder);
}

static void write_file(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void must_be(const LineStream *stream, int64_t i, const char *text)
{
    ck_assert_int_lt(i, stream->count);
    ck_assert_uint_eq(stream->lines[i].length, strlen(text));
    ck_assert_mem_eq(stream->lines[i].bytes, text, strlen(text));
}

START_TEST(lines_end_in_either_way_or_not_at_all)
{
    static const char *const files[] = {"a\n\nb c\nd", "a\r\n\r\nb c\r\nd", "a\n\nb c\nd\n"};
    for (int i = 0; i < 3; i++) {
        LineStream stream;
        write_file(files[i], strlen(files[i]));
        ck_assert_ok(line_stream_open(&stream, path));
        ck_assert_ok(line_stream_next(&stream));
        ck_assert_int_eq(stream.count, 4);
        ck_assert_int_eq(stream.first, 0);
        must_be(&stream, 0, "a");
        must_be(&stream, 1, "");
        must_be(&stream, 2, "b c");
        must_be(&stream, 3, "d");
        ck_assert_ok(line_stream_next(&stream));
        ck_assert_int_eq(stream.count, 0);
        ck_assert_int_eq(stream.first, 4);
        ck_assert_ok(line_stream_next(&stream)); /* and stays there */
        ck_assert_int_eq(stream.count, 0);
        line_stream_close(&stream);
    }
}
END_TEST

/* Every line is its own number, and some are long, so that windows end by lines and by bytes. */
START_TEST(windows_follow_each_other_without_a_gap)
{
    enum { LINES = 3 * LINE_STREAM_LINES + 5 };
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < LINES; i++)
        fprintf(file, "%0*d\n", i / LINE_STREAM_LINES == 1 ? 3000 : 1, i);
    fclose(file);
    LineStream stream;
    int64_t lines = 0, windows = 0;
    ck_assert_ok(line_stream_open(&stream, path));
    for (;;) {
        ck_assert_ok(line_stream_next(&stream));
        if (stream.count == 0)
            break;
        ck_assert_int_eq(stream.first, lines);
        ck_assert_int_le(stream.count, LINE_STREAM_LINES);
        for (int64_t i = 0; i < stream.count; i++) {
            char text[3001];
            ck_assert_uint_lt(stream.lines[i].length, sizeof text);
            memcpy(text, stream.lines[i].bytes, stream.lines[i].length);
            text[stream.lines[i].length] = '\0';
            ck_assert_int_eq(atoll(text), lines++);
        }
        windows++;
    }
    ck_assert_int_eq(lines, LINES);
    ck_assert_int_ge(windows, 8);
    ck_assert_uint_eq(stream.capacity, LINE_STREAM_BYTES); /* nothing has grown */
    line_stream_close(&stream);
}
END_TEST

START_TEST(a_pause_ends_a_window)
{
    LineStream stream;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_ok(line_stream_open(&stream, "-"));
    ck_assert_int_eq(write(ends[1], "one\ntw", 6), 6);
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, 1);
    must_be(&stream, 0, "one");
    ck_assert_int_eq(write(ends[1], "o\nthree", 7), 7);
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, 1);
    must_be(&stream, 0, "two");
    close(ends[1]);
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, 1);
    must_be(&stream, 0, "three");
    line_stream_close(&stream);
    close(ends[0]);
}
END_TEST

/* Lines that are there are given before more is waited for: the writer may be waiting for answers. */
START_TEST(whole_lines_wait_for_nothing)
{
    enum { LINES = LINE_STREAM_LINES + 1808 };
    LineStream stream;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    for (int i = 0; i < LINES; i++)
        ck_assert_int_eq(write(ends[1], "x\n", 2), 2);
    ck_assert_int_eq(write(ends[1], "half", 4), 4);
    ck_assert_ok(line_stream_open(&stream, "-"));
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, LINE_STREAM_LINES);
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, LINES - LINE_STREAM_LINES);
    ck_assert_int_eq(write(ends[1], " a line\n", 8), 8);
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, 1);
    must_be(&stream, 0, "half a line");
    line_stream_close(&stream);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* What was looked at of one window says nothing of the next. */
START_TEST(half_a_line_is_waited_for)
{
    char line[1001];
    LineStream stream;
    int ends[2];
    memset(line, 'x', 1000);
    line[1000] = '\n';
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_ok(line_stream_open(&stream, "-"));
    ck_assert_int_eq(write(ends[1], line, 1001), 1001);
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(write(ends[1], "\xEF\xBB\xBF", 3), 3); /* only in front of the file is it a mark */
    pid_t writer = fork();
    if (writer == 0) {
        usleep(100000);
        _exit(write(ends[1], "y\n", 2) != 2);
    }
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, 1);
    must_be(&stream, 0, "\xEF\xBB\xBFy");
    waitpid(writer, NULL, 0);
    line_stream_close(&stream);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(byte_order_marks_are_seen)
{
    LineStream stream;
    write_file("\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo", 13);
    ck_assert_ok(line_stream_open(&stream, path));
    ck_assert_ok(line_stream_next(&stream));
    ck_assert_int_eq(stream.count, 2);
    must_be(&stream, 0, "one");
    must_be(&stream, 1, "\xEF\xBB\xBFtwo"); /* in front of the file alone */
    line_stream_close(&stream);
    write_file("\xFF\xFEo\0n\0", 6);
    ck_assert_failed(line_stream_open(&stream, path), REEL_STATUS_FAILED,
                     "lines:1: begins with the byte order mark of UTF-16");
    line_stream_close(&stream);
    int ends[2]; /* of which opening tells nothing */
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(write(ends[1], "\xFE\xFF\0o\0\n", 6), 6);
    ck_assert_ok(line_stream_open(&stream, "-"));
    ck_assert_failed(line_stream_next(&stream), REEL_STATUS_FAILED, "the standard input:1: begins with");
    line_stream_close(&stream);
    close(ends[0]);
    close(ends[1]);
    ck_assert_failed(line_stream_open(&stream, "no/such"), REEL_STATUS_FAILED, "check the path");
    line_stream_close(&stream);
    ck_assert_failed(line_stream_open(&stream, folder), REEL_STATUS_FAILED, "is a directory");
    line_stream_close(&stream);
}
END_TEST

START_TEST(a_long_line_makes_room)
{
    size_t size = (size_t)2 * LINE_STREAM_BYTES + 100;
    char *bytes = malloc(size);
    memset(bytes, 'x', size);
    bytes[0] = bytes[size - 3] = '\n';
    write_file(bytes, size);
    free(bytes);
    LineStream stream;
    ck_assert_ok(line_stream_open(&stream, path));
    int64_t count = 0;
    size_t longest = 0;
    for (;;) {
        ck_assert_ok(line_stream_next(&stream));
        if (stream.count == 0)
            break;
        for (int64_t i = 0; i < stream.count; i++)
            longest = stream.lines[i].length > longest ? stream.lines[i].length : longest;
        count += stream.count;
    }
    ck_assert_int_eq(count, 3);
    ck_assert_uint_eq(longest, size - 4);
    line_stream_close(&stream);
}
END_TEST

Suite *tools_line_stream_suite(void);
Suite *tools_line_stream_suite(void)
{
    Suite *suite = suite_create("tools/line_stream");
    TCase *tcase = tcase_create("line_stream");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lines_end_in_either_way_or_not_at_all);
    tcase_add_test(tcase, windows_follow_each_other_without_a_gap);
    tcase_add_test(tcase, a_pause_ends_a_window);
    tcase_add_test(tcase, whole_lines_wait_for_nothing);
    tcase_add_test(tcase, half_a_line_is_waited_for);
    tcase_add_test(tcase, byte_order_marks_are_seen);
    tcase_add_test(tcase, a_long_line_makes_room);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* Each format as others write it, and each way in which a file can be wrong. */
#include "models/vectors/vectors_reader.h"
#include "models/vectors/vectors_writer.h"
#include "tensor/mem_internal.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static char path[256];

static void set_up(void)
{
    folder = shell_folder();
}

static void tear_down(void)
{
    shell_remove_folder(folder);
}

static void put(const char *name, const void *bytes, size_t size)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* Reads the whole file: "word:1,2 word:3,4", or what is wrong. */
static const char *read_all(void)
{
    static char text[4096];
    ModelVectorsReader *reader;
    ReelStatus status = model_vectors_open(&reader, path);
    text[0] = '\0';
    while (reel_status_is_ok(&status)) {
        ModelTextSpan word;
        float row[64];
        status = model_vectors_next(reader, &word);
        if (!reel_status_is_ok(&status) || !word.bytes)
            break;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s:", *text ? " " : "",
                 (int)word.length, word.bytes);
        status = model_vectors_row(reader, row);
        for (int64_t j = 0; reel_status_is_ok(&status) && j < model_vectors_width(reader); j++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%g", j ? "," : "", (double)row[j]);
    }
    model_vectors_close(reader);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    if (!reel_status_is_ok(&status))
        snprintf(text, sizeof text, "%d %s", (int)status.code, status.message);
    return text;
}

static void check_text(const char *bytes, const char *wanted)
{
    put("v.txt", bytes, strlen(bytes));
    ck_assert_str_eq(read_all(), wanted);
}

/* What gzip has compressed, text and binary; one that is cut is an error. */
START_TEST(compressed_files_are_read)
{
    static const char text[] = "2 3\nthe 1 2 3\nof -1 0.5 1e-3\n", binary[] = "1 1\nthe \0\0\x80\x3f\n";
    put("plain", text, sizeof text - 1);
    shell_must("gzip -c '%s/plain' > '%s/v.gz'", folder, folder);
    snprintf(path, sizeof path, "%s/v.gz", folder);
    ck_assert_str_eq(read_all(), "the:1,2,3 of:-1,0.5,0.001");
    put("plain", binary, sizeof binary - 1);
    shell_must("gzip -c '%s/plain' > '%s/v.gz'", folder, folder);
    snprintf(path, sizeof path, "%s/v.gz", folder);
    ck_assert_str_eq(read_all(), "the:1");
    shell_must("head -c 30 '%s/v.gz' > '%s/cut.gz'", folder, folder);
    snprintf(path, sizeof path, "%s/cut.gz", folder);
    ck_assert_ptr_nonnull(strstr(read_all(), "gzip"));
}
END_TEST

START_TEST(text_files_of_all_kinds_are_read)
{
    check_text("2 3\nthe 1 2 3\nof -1 0.5 1e-3\n", "the:1,2,3 of:-1,0.5,0.001"); /* word2vec, fastText */
    check_text("2 3 \nthe 1 2 3 \nof -1 0.5 1e-3 ",
               "the:1,2,3 of:-1,0.5,0.001");                       /* blanks at the end, no last feed */
    check_text("the 1 2 3\r\nof 4 5 6\r\n", "the:1,2,3 of:4,5,6"); /* GloVe */
    check_text("the\t1\t2\nof\t3\t4\n", "the:1,2 of:3,4");
    check_text("the 1\nof 2\n", "the:1 of:2"); /* one number is a row, no header */
    check_text("\xef\xbb\xbf"
               "1 2\nna\xc3\xafve 1 2\n",
               "na\xc3\xafve:1,2");
    check_text("the 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n", /* as in glove.840B.300d */
               "the:1,2,3 . . .:4,5,6 at name@domain.com:7,8,9");
}
END_TEST

START_TEST(a_binary_file_is_read_with_and_without_line_feeds)
{
    const float rows[2][3] = {{1, 2, 3}, {-1, 0.5f, 4}};
    for (int feeds = 0; feeds < 2; feeds++) {
        char bytes[256];
        size_t size = (size_t)sprintf(bytes, "2 3\n");
        for (int i = 0; i < 2; i++) {
            size += (size_t)sprintf(bytes + size, i ? "of " : "the ");
            memcpy(bytes + size, rows[i], sizeof rows[i]);
            size += sizeof rows[i];
            if (feeds)
                bytes[size++] = '\n';
        }
        put("v.bin", bytes, size);
        ck_assert_str_eq(read_all(), "the:1,2,3 of:-1,0.5,4");
        put("v.bin", bytes, size - 6);
        ck_assert_ptr_nonnull(strstr(read_all(), "record 2: the file ends here; is it cut?"));
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    static const char *const names[] = {"v.txt", "v.bin", "v.npz", "v.vec"};
    float numbers[4] = {1.0f / 3, FLT_MIN, -FLT_MAX, 0};
    ModelStringTable words = {0};
    ck_assert_int_eq(model_string_table_add(&words, model_text_span("one")), 0);
    ck_assert_int_eq(model_string_table_add(&words, model_text_span("zwei")), 1);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        ck_assert_ok(model_vectors_write(path, &words, tensor_from(numbers, TENSOR_F32, TENSOR_SHAPE(2, 2))));
        ModelVectorsReader *reader;
        ModelTextSpan word;
        float row[2];
        ck_assert_ok(model_vectors_open(&reader, path));
        for (int w = 0; w < 2; w++) {
            ck_assert_ok(model_vectors_next(reader, &word));
            ck_assert_int_eq(model_string_table_find(&words, word), w);
            ck_assert_ok(model_vectors_row(reader, row));
            ck_assert_mem_eq(row, numbers + 2 * w, sizeof row);
        }
        ck_assert_ok(model_vectors_next(reader, &word));
        ck_assert_ptr_null(word.bytes);
        model_vectors_close(reader);
    }
    model_string_table_free(&words);
}
END_TEST

START_TEST(what_is_wrong_is_said_with_its_line)
{
    static const struct {
        const char *bytes, *says;
    } files[] = {
        {"", "v.txt: the file is empty"},
        {"hello\n", "holds no word vectors"},
        {"2 3\nthe 1 2 3\nof 1 2\n", "v.txt:3: the row has 2 numbers instead of 3"},
        {"2 3\nthe 1 2 3\nof 1 2 3 4\n", "v.txt:3: the row has 4 numbers instead of 3"},
        {"the 1 2 3\nof 1 2\n", "v.txt:2: the row has 2 numbers instead of 3"},
        {"3 2\nthe 1 2\nof 1 2\n", "promises 3 words and has 2; is it cut?"},
        {"1 2\nthe 1 2\nof 1 2\n", "promises 1 words and has 2"},
        {"the 1 2\nof 1 x\n", "v.txt:2: \"x\" is not a number"},
        {"the 1 2\nof nan 1\n", "v.txt:2: number 1 of the row is not finite"},
        {"the 1 2\nof 1 -inf\n", "v.txt:2: number 2 of the row is not finite"},
        {"the 1 2\n\xff 1 2\n", "v.txt:2: byte 1 of the word (0xff) is not UTF-8"},
        {"the 1 2\n 1 2\n", "v.txt:2: the word is empty"},
        {"the 1 2\n\nof 1 2\n", "v.txt:2: the row has 0 numbers instead of 2"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        put("v.txt", files[i].bytes, strlen(files[i].bytes));
        const char *said = read_all();
        ck_assert_msg(said[0] == '1' && strstr(said, files[i].says), "%s: not \"%s\"", said, files[i].says);
    }
    snprintf(path, sizeof path, "%s/none", folder);
    ck_assert_ptr_nonnull(strstr(read_all(), "none"));
    snprintf(path, sizeof path, "%s", folder);
    ck_assert_ptr_nonnull(strstr(read_all(), "directory"));
}
END_TEST

/* Lines that fall on every place of the window's edge. */
START_TEST(a_large_file_is_read_whole)
{
    enum { WORDS = 150000 };
    char *bytes = malloc(WORDS * 80), *at = bytes;
    for (int i = 0; i < WORDS; i++)
        at += sprintf(at, "word%d %d %.*s%d\n", i, i, i % 40, "0000000000000000000000000000000000000000",
                      i % 7);
    put("large.txt", bytes, (size_t)(at - bytes));
    free(bytes);
    ModelVectorsReader *reader;
    ck_assert_ok(model_vectors_open(&reader, path));
    for (int i = 0; i < WORDS; i++) {
        ModelTextSpan word;
        float row[2];
        char name[32];
        ck_assert_ok(model_vectors_next(reader, &word));
        snprintf(name, sizeof name, "word%d", i);
        ck_assert(word.length == strlen(name) && memcmp(word.bytes, name, word.length) == 0);
        ck_assert_ok(model_vectors_row(reader, row));
        ck_assert(row[0] == (float)i && row[1] == (float)(i % 7));
    }
    model_vectors_close(reader);
}
END_TEST

START_TEST(without_memory_there_is_a_message)
{
    put("v.txt", "2 3\nthe 1 2 3\nof 4 5 6\n", 23);
    for (int64_t n = 0;; n++) {
        ModelVectorsReader *reader;
        reel_mem_fail_at(n, 1);
        ReelStatus status = model_vectors_open(&reader, path);
        reel_mem_fail_at(-1, 0);
        model_vectors_close(reader);
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    }
}
END_TEST

Suite *models_vectors_reader_suite(void);
Suite *models_vectors_reader_suite(void)
{
    Suite *suite = suite_create("models/vectors_reader");
    TCase *cases = tcase_create("vectors_reader");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, text_files_of_all_kinds_are_read);
    tcase_add_test(cases, compressed_files_are_read);
    tcase_add_test(cases, a_binary_file_is_read_with_and_without_line_feeds);
    tcase_add_test(cases, what_is_written_is_read);
    tcase_add_test(cases, what_is_wrong_is_said_with_its_line);
    tcase_add_test(cases, a_large_file_is_read_whole);
    tcase_add_test(cases, without_memory_there_is_a_message);
    suite_add_tcase(suite, cases);
    return suite;
}

#include "tensor/storage/text_source.h"
#include "tensor/mem_internal.h"
#include "tensor/storage/text_file.h"
#include "tests/text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* Text of some size, compressed as several members, as `cat a.gz b.gz` and bgzip make. */
static size_t compress_members(const char *text, size_t size, int members, char *out, size_t room)
{
    size_t used = 0;
    for (int i = 0; i < members; i++) {
        size_t from = size * (size_t)i / (size_t)members, to = size * (size_t)(i + 1) / (size_t)members;
        z_stream stream = {.next_in = (Bytef *)(uintptr_t)(text + from), .avail_in = (uInt)(to - from)};
        ck_assert_int_eq(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
        stream.next_out = (Bytef *)out + used;
        stream.avail_out = (uInt)(room - used);
        ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
        used += stream.total_out;
        deflateEnd(&stream);
    }
    return used;
}

static char text[200000], packed[200000];

static void make_text(void)
{
    unsigned state = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        state = state * 1664525u + 1013904223u;
        text[i] = "abcde fg\n"[(state >> 24) % 9];
    }
}

START_TEST(what_gzip_has_compressed_is_inflated)
{
    static const int members[] = {1, 2, 7};
    make_text();
    for (int i = 0; i < 3; i++) {
        size_t size = compress_members(text, sizeof text, members[i], packed, sizeof packed), got;
        char *bytes;
        ck_assert_ok(reel_text_file_read(text_support_file(packed, size), &bytes, &got));
        ck_assert_uint_eq(got, sizeof text);
        ck_assert_mem_eq(bytes, text, sizeof text);
        reel_mem_free(bytes);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(one_that_is_cut_or_damaged_is_refused)
{
    make_text();
    size_t size = compress_members(text, 3000, 2, packed, sizeof packed), got;
    char *bytes, copy[4000];
    ck_assert_uint_lt(size, sizeof copy);
    int whole = 0;
    for (size_t cut = 2; cut < size; cut++) {
        ReelStatus status = reel_text_file_read(text_support_file(packed, cut), &bytes, &got);
        if (reel_status_is_ok(&status)) { /* exactly the first member */
            whole++;
            reel_mem_free(bytes);
            continue;
        }
        ck_assert_failed(status, REEL_STATUS_FAILED,
                         "the gzip file ends too early; copy or compress it again");
    }
    ck_assert_int_eq(whole, 1);
    memcpy(copy, packed, size);
    copy[size / 4] ^= 0x55;
    ck_assert_failed(reel_text_file_read(text_support_file(copy, size), &bytes, &got), REEL_STATUS_FAILED,
                     "gzip file");
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(it_is_read_in_pieces)
{
    make_text();
    for (int gzip = 0; gzip < 2; gzip++) {
        size_t size = gzip ? compress_members(text, sizeof text, 3, packed, sizeof packed) : sizeof text;
        ReelTextSource source;
        ck_assert_ok(reel_text_source_open(&source, text_support_file(gzip ? packed : text, size)));
        size_t used = 0, got = 1;
        char piece[997];
        while (got > 0) {
            ck_assert_ok(reel_text_source_read(&source, piece, used == 0 ? 1 : sizeof piece, &got));
            ck_assert_uint_le(used + got, sizeof text);
            ck_assert_mem_eq(piece, text + used, got);
            used += got;
        }
        ck_assert_uint_eq(used, sizeof text);
        ck_assert(source.ended);
        reel_text_source_close(&source);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(sources_that_are_none)
{
    ReelTextSource source;
    ck_assert_failed(reel_text_source_open(&source, "no/such"), REEL_STATUS_FAILED, "no/such: cannot read");
    reel_text_source_close(&source);
    ck_assert_failed(reel_text_source_open(&source, "tests"), REEL_STATUS_FAILED, "is a directory");
    reel_text_source_close(&source);
    size_t size = compress_members("some text", 9, 1, packed, sizeof packed), got;
    const char *path = text_support_file(packed, size);
    char *bytes;
    for (int n = 0;; n++) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = reel_text_file_read(path, &bytes, &got);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_failed(status, REEL_STATUS_FAILED, "out of memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    }
    reel_mem_free(bytes);
}
END_TEST

Suite *tensor_text_source_suite(void);
Suite *tensor_text_source_suite(void)
{
    Suite *suite = suite_create("tensor/text_source");
    TCase *tcase = tcase_create("text_source");
    tcase_add_test(tcase, what_gzip_has_compressed_is_inflated);
    tcase_add_test(tcase, one_that_is_cut_or_damaged_is_refused);
    tcase_add_test(tcase, it_is_read_in_pieces);
    tcase_add_test(tcase, sources_that_are_none);
    suite_add_tcase(suite, tcase);
    return suite;
}

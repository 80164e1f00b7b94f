#include "models/text/split.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <zlib.h>

/* scikit-learn 1.9.1: train_test_split(arange(rows), test_size=..., random_state=...), the first indices
 * and the CRC-32 of each part as int32. */
static const struct {
    int64_t rows;
    double test_size;
    uint32_t random_state;
    int64_t num_train, num_test;
    int32_t train_first, test_first;
    uint32_t train_crc, test_crc;
} SPLITS[] = {
    {2, 0.2, 0, 1, 1, 0, 1, 0x2144df1c, 0x99f8b879},
    {5, 0.2, 0, 4, 1, 0, 2, 0x76f3978e, 0x8b4d1797},
    {7, 0.3, 42, 4, 3, 2, 0, 0xc3f90d76, 0x80a136c3},
    {10, 0.2, 0, 8, 2, 4, 2, 0xdc257837, 0xe2b3f0fb},
    {50, 0.07, 1, 46, 4, 2, 27, 0xc362904a, 0x9022de7f},
    {100, 0.25, 4294967295u, 75, 25, 88, 92, 0xbdd21400, 0x7b672d57},
    {381, 0.2, 0, 304, 77, 190, 146, 0x59b9f0a6, 0xdf282cac},
    {3039, 0.2, 0, 2431, 608, 2925, 1014, 0x99546c07, 0x9c28b0ce},
    {6596, 0.2, 0, 5276, 1320, 2294, 2826, 0xe36bea93, 0x2dd638c1},
};

static uint32_t crc(const int32_t *indices, int64_t count)
{
    return (uint32_t)crc32_z(0, (const Bytef *)indices, (size_t)count * sizeof *indices);
}

START_TEST(splits_are_scikit_learns)
{
    ModelSplit split;
    ck_assert_ok(model_split_new(&split, SPLITS[_i].rows, SPLITS[_i].test_size, SPLITS[_i].random_state));
    ck_assert_int_eq(split.num_train, SPLITS[_i].num_train);
    ck_assert_int_eq(split.num_test, SPLITS[_i].num_test);
    ck_assert_int_eq(split.train[0], SPLITS[_i].train_first);
    ck_assert_int_eq(split.test[0], SPLITS[_i].test_first);
    ck_assert_uint_eq(crc(split.train, split.num_train), SPLITS[_i].train_crc);
    ck_assert_uint_eq(crc(split.test, split.num_test), SPLITS[_i].test_crc);
    model_split_free(&split);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(parts_that_cannot_be)
{
    ModelSplit split;
    ck_assert_failed(model_split_new(&split, 1, 0.2, 0), REEL_STATUS_FAILED, "1 row cannot be split");
    ck_assert_failed(model_split_new(&split, 0, 0.2, 0), REEL_STATUS_FAILED, "0 rows cannot be split");
    ck_assert_failed(model_split_new(&split, 10, 0.95, 0), REEL_STATUS_FAILED, "10 rows cannot be split");
    ck_assert_failed(model_split_new(&split, 10, 0.0, 0), REEL_STATUS_USAGE, "more than 0 and less than 1");
    ck_assert_failed(model_split_new(&split, 10, 1.0, 0), REEL_STATUS_USAGE, "more than 0 and less than 1");
    ck_assert_failed(model_split_new(&split, 10, 0.0 / 0.0, 0), REEL_STATUS_USAGE,
                     "more than 0 and less than 1");
    ck_assert_failed(model_split_new(&split, INT64_MAX, 0.2, 0), REEL_STATUS_FAILED, "too many");
    reel_mem_fail_at(0, 0);
    ck_assert_failed(model_split_new(&split, 10, 0.2, 0), REEL_STATUS_FAILED, "out of memory");
    reel_mem_fail_at(-1, 0);
    model_split_free(&split);
}
END_TEST

Suite *models_split_suite(void);
Suite *models_split_suite(void)
{
    Suite *suite = suite_create("models/split");
    TCase *tcase = tcase_create("split");
    tcase_add_loop_test(tcase, splits_are_scikit_learns, 0, sizeof SPLITS / sizeof *SPLITS);
    tcase_add_test(tcase, parts_that_cannot_be);
    suite_add_tcase(suite, tcase);
    return suite;
}

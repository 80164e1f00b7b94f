/* Golden values: NumPy 2's RandomState and scikit-learn's train_test_split(random_state=0). */
#include "tensor/mt19937.h"

#include <check.h>

START_TEST(raw_numbers)
{
    TensorMt19937 mt;
    tensor_mt19937_seed(&mt, 0);
    const uint32_t first[] = {2357136044u, 2546248239u, 3071714933u, 3626093760u, 2588848963u, 3684848379u};
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq(tensor_mt19937_u32(&mt), first[i]);
    tensor_mt19937_seed(&mt, 12345);
    uint32_t last = 0;
    for (int i = 0; i < 2000; i++) {
        last = tensor_mt19937_u32(&mt);
        if (i == 0)
            ck_assert_uint_eq(last, 3992670690u);
        if (i == 623)
            ck_assert_uint_eq(last, 2940097750u);
        if (i == 624)
            ck_assert_uint_eq(last, 3957348375u);
    }
    ck_assert_uint_eq(last, 3374551203u);
}
END_TEST

START_TEST(an_interval_of_one_draws_nothing)
{
    TensorMt19937 mt;
    tensor_mt19937_seed(&mt, 0);
    ck_assert_uint_eq(tensor_mt19937_interval(&mt, 0), 0);
    ck_assert_uint_eq(tensor_mt19937_interval(&mt, UINT32_MAX), 2357136044u);
    for (uint32_t max = 1; max < 300; max++)
        ck_assert_uint_le(tensor_mt19937_interval(&mt, max), max);
}
END_TEST

static void check_permutation(uint32_t seed, const int32_t *want, int32_t n)
{
    int32_t got[64];
    TensorMt19937 mt;
    tensor_mt19937_seed(&mt, seed);
    tensor_mt19937_permutation(&mt, got, n);
    for (int32_t i = 0; i < n; i++)
        ck_assert_int_eq(got[i], want[i]);
}

START_TEST(short_permutations)
{
    check_permutation(0, NULL, 0);
    check_permutation(0, (const int32_t[]){0}, 1);
    check_permutation(0, (const int32_t[]){1, 0}, 2);
    check_permutation(0, (const int32_t[]){2, 8, 4, 9, 1, 6, 7, 3, 0, 5}, 10);
    check_permutation(UINT32_MAX, (const int32_t[]){6, 9, 5, 1, 8, 0, 7, 4, 2, 3}, 10);
    check_permutation(0, (const int32_t[]){22, 20, 16, 10, 31, 28, 15, 11, 2,  25, 30, 32, 36,
                                           34, 29, 33, 8,  13, 5,  17, 14, 7,  27, 1,  12, 26,
                                           24, 6,  23, 4,  18, 21, 19, 9,  35, 3,  0},
                      37);
}
END_TEST

/* FNV-1a over the little-endian bytes. */
static uint64_t hash_of(const int32_t *x, int32_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int32_t i = 0; i < n; i++)
        for (int shift = 0; shift < 32; shift += 8)
            hash = (hash ^ ((uint32_t)x[i] >> shift & 0xff)) * 0x100000001b3u;
    return hash;
}

START_TEST(long_permutations)
{
    static const struct {
        uint32_t seed;
        int32_t n;
        uint64_t hash;
    } golden[] = {
        {0, 381, 0xe1054d413d8cd486u},
        {0, 3039, 0xf0db4983ce93dd73u},
        {0, 100000, 0x0f0caf2362b2fc2du},
        {42, 100000, 0xd3ad0b96cdff81b5u},
    };
    static int32_t permutation[100000];
    for (int i = 0; i < 4; i++) {
        TensorMt19937 mt;
        tensor_mt19937_seed(&mt, golden[i].seed);
        tensor_mt19937_permutation(&mt, permutation, golden[i].n);
        ck_assert_uint_eq(hash_of(permutation, golden[i].n), golden[i].hash);
    }
}
END_TEST

/* The test part of a split is the first n_test of the permutation, the train part what follows. */
START_TEST(the_split_is_scikit_learns)
{
    static const struct {
        int32_t n, n_test, test[8], train[8];
    } golden[] = {
        {381, 77, {146, 308, 370, 272, 215, 78, 316, 65}, {190, 305, 237, 331, 135, 219, 63, 324}},
        {3039,
         608,
         {1014, 794, 1414, 1790, 263, 2917, 156, 886},
         {2925, 507, 924, 2116, 1363, 1303, 175, 121}},
        {6596,
         1320,
         {2826, 578, 1983, 1615, 5381, 1121, 4436, 3615},
         {2294, 113, 3131, 2619, 496, 3696, 5803, 825}},
    };
    static int32_t permutation[6596];
    for (int k = 0; k < 3; k++) {
        TensorMt19937 mt;
        tensor_mt19937_seed(&mt, 0);
        tensor_mt19937_permutation(&mt, permutation, golden[k].n);
        for (int i = 0; i < 8; i++) {
            ck_assert_int_eq(permutation[i], golden[k].test[i]);
            ck_assert_int_eq(permutation[golden[k].n_test + i], golden[k].train[i]);
        }
    }
}
END_TEST

Suite *tensor_mt19937_suite(void);
Suite *tensor_mt19937_suite(void)
{
    Suite *suite = suite_create("tensor/mt19937");
    TCase *tcase = tcase_create("mt19937");
    tcase_add_test(tcase, raw_numbers);
    tcase_add_test(tcase, an_interval_of_one_draws_nothing);
    tcase_add_test(tcase, short_permutations);
    tcase_add_test(tcase, long_permutations);
    tcase_add_test(tcase, the_split_is_scikit_learns);
    suite_add_tcase(suite, tcase);
    return suite;
}

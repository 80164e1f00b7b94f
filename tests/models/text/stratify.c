#include "models/text/stratify.h"
#include "tensor/mem.h"
#include "tests/text_support.h"

#include <math.h>

enum { N = 200, K = 4 };

/* Label k is borne by every (k + 2)th example, so that some bear several and some none. */
static int64_t make(int64_t *offsets, int32_t *labels)
{
    int64_t used = 0;
    for (int i = 0; i < N; i++) {
        offsets[i] = used;
        for (int32_t k = 0; k < K; k++)
            if (i % (k + 2) == 0)
                labels[used++] = k;
    }
    return offsets[N] = used;
}

START_TEST(test_every_label_keeps_its_share)
{
    static const double shares[3] = {0.5, 0.3, 0.2};
    int64_t offsets[N + 1];
    int32_t labels[N * K], part_of[N], of_part[3] = {0}, of_label[K][3] = {{0}}, all[K] = {0};
    make(offsets, labels);
    ck_assert_ok(model_stratify(offsets, labels, N, K, shares, 3, 1, part_of));
    for (int i = 0; i < N; i++) {
        ck_assert_int_ge(part_of[i], 0);
        ck_assert_int_lt(part_of[i], 3);
        of_part[part_of[i]]++;
        for (int64_t at = offsets[i]; at < offsets[i + 1]; at++) {
            of_label[labels[at]][part_of[i]]++;
            all[labels[at]]++;
        }
    }
    for (int p = 0; p < 3; p++) {
        ck_assert_double_le(fabs(of_part[p] - shares[p] * N), 3);
        for (int k = 0; k < K; k++)
            ck_assert_double_le(fabs(of_label[k][p] - shares[p] * all[k]), 2);
    }
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

/* Two of the rare label, none may be lost to one part. */
START_TEST(test_rare_label_first)
{
    const int64_t offsets[] = {0, 2, 4, 5, 6, 7, 8};
    const int32_t labels[] = {0, 1, 0, 1, 0, 0, 0, 0};
    for (uint64_t seed = 0; seed < 10; seed++) {
        int32_t part_of[6], again[6], first = 0;
        ck_assert_ok(model_stratify(offsets, labels, 6, 2, (double[]){0.5, 0.5}, 2, seed, part_of));
        ck_assert_ok(model_stratify(offsets, labels, 6, 2, (double[]){0.5, 0.5}, 2, seed, again));
        ck_assert_int_ne(part_of[0], part_of[1]);
        for (int i = 0; i < 6; i++) {
            first += part_of[i] == 0;
            ck_assert_int_eq(part_of[i], again[i]);
        }
        ck_assert_int_eq(first, 3);
    }
}
END_TEST

START_TEST(test_errors)
{
    const int64_t offsets[] = {0, 1};
    const int32_t labels[] = {0};
    int32_t part_of[1];
    ck_assert_failed(model_stratify(offsets, labels, 1, 1, (double[]){0.5, 0.4}, 2, 0, part_of),
                     REEL_STATUS_USAGE, "add up");
    ck_assert_failed(model_stratify(offsets, labels, 1, 1, (double[]){1, 0}, 2, 0, part_of),
                     REEL_STATUS_USAGE, "more than 0");
    ck_assert_failed(model_stratify(offsets, labels, 1, 1, NULL, 0, 0, part_of), REEL_STATUS_USAGE, "parts");
}
END_TEST

Suite *models_stratify_suite(void);
Suite *models_stratify_suite(void)
{
    Suite *suite = suite_create("models/stratify");
    TCase *tcase = tcase_create("stratify");
    tcase_add_test(tcase, test_every_label_keeps_its_share);
    tcase_add_test(tcase, test_rare_label_first);
    tcase_add_test(tcase, test_errors);
    suite_add_tcase(suite, tcase);
    return suite;
}

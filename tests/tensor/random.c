#include "tensor/random.h"
#include "tensor/vmath_internal.h"

#include <check.h>
#include <stdlib.h>
#include <math.h>
#include <string.h>

static uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* The rows "philox4x32 10" of Random123's tests/kat_vectors: counter, key, result. */
START_TEST(known_answers)
{
    static const uint32_t rows[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e,
         0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
         0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *r = rows[i];
        uint32_t out[4];
        tensor_random_block(join(r[4], r[5]), join(r[2], r[3]), join(r[0], r[1]), out);
        for (int j = 0; j < 4; j++)
            ck_assert_uint_eq(out[j], r[6 + j]);
    }
}
END_TEST

START_TEST(a_name_makes_a_stream)
{
    ck_assert_uint_eq(tensor_random_stream(""), 0xcbf29ce484222325u);
    ck_assert_uint_eq(tensor_random_stream("a"), 0xaf63dc4c8601ec8cu);
    ck_assert_uint_eq(tensor_random_stream("foobar"), 0x85944171f73967e8u);
}
END_TEST

START_TEST(numbers_are_the_blocks_in_order_and_any_position_can_be_returned_to)
{
    TensorRandom random = tensor_random_new(7, 9);
    uint32_t drawn[40], block[4];
    for (int i = 0; i < 40; i++)
        drawn[i] = tensor_random_u32(&random);
    ck_assert_uint_eq(random.counter, 40);
    for (int i = 0; i < 40; i++) {
        tensor_random_block(7, 9, (uint64_t)i / 4, block);
        ck_assert_uint_eq(drawn[i], block[i % 4]);
    }
    for (int i = 39; i >= 0; i--) {
        random.counter = (uint64_t)i;
        ck_assert_uint_eq(tensor_random_u32(&random), drawn[i]);
    }
    /* However they are asked for, and from whatever position. */
    for (uint64_t at = 0; at < 8; at++) {
        TensorRandom pair = random, four = random;
        pair.counter = four.counter = at;
        ck_assert_double_eq(tensor_random_uniform_f64(&pair),
                            (drawn[at] * 0x1p21 + (drawn[at + 1] >> 11)) * 0x1p-53);
        ck_assert_uint_eq(pair.counter, at + 2);
        double first = tensor_random_uniform_f64(&four), second = tensor_random_uniform_f64(&four);
        ck_assert_uint_eq(four.counter, at + 4);
        four.counter = at;
        double normal = sqrt(-2 * log(1 - first)) * cos(2 * 3.141592653589793 * second);
        ck_assert_double_eq_tol(tensor_random_normal(&four), normal, 1e-14);
    }
    TensorRandom other_stream = tensor_random_new(7, 10), other_seed = tensor_random_new(8, 9);
    ck_assert_uint_ne(tensor_random_u32(&other_stream), drawn[0]);
    ck_assert_uint_ne(tensor_random_u32(&other_seed), drawn[0]);
}
END_TEST

START_TEST(many_numbers_are_those_that_come_one_by_one)
{
    enum { MOST = 300 };
    const uint64_t begins[] = {0, 1, 2,
                               3, 6, (UINT64_C(1) << 34) - 37}; /* the last: a block beyond 32 bits */
    const int64_t counts[] = {0, 1, 3, 4, 63, 64, 65, 128, 131, MOST};
    const TensorVmathLevel in_use = tensor_vmath_level();
    for (int level = 0; level < TENSOR_VMATH_LEVELS; level++) {
        if (!tensor_vmath_set_level((TensorVmathLevel)level))
            continue;
        for (size_t b = 0; b < sizeof begins / sizeof *begins; b++)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                TensorRandom many =
                    tensor_random_new(UINT64_C(0x123456789abcdef0), UINT64_C(0xfedcba9876543210));
                many.counter = begins[b];
                TensorRandom one = many;
                uint32_t numbers[MOST + 1] = {0};
                numbers[counts[c]] = 77;
                tensor_random_fill_u32(&many, numbers, counts[c]);
                for (int64_t i = 0; i < counts[c]; i++)
                    ck_assert_uint_eq(numbers[i], tensor_random_u32(&one));
                ck_assert_uint_eq(numbers[counts[c]], 77);
                ck_assert_uint_eq(many.counter, one.counter);
            }
    }
    tensor_vmath_set_level(in_use);
}
END_TEST

/* ---- Statistics: with these seeds, within 4.5 standard deviations ---- */

enum { DRAWS = 200000, BINS = 64 };

/* Chi-squared with BINS - 1 degrees of freedom; its deviation is sqrt(2 (BINS - 1)). */
static void check_even(const int *count)
{
    double expected = (double)DRAWS / BINS, chi2 = 0;
    for (int i = 0; i < BINS; i++)
        chi2 += (count[i] - expected) * (count[i] - expected) / expected;
    ck_assert_double_lt(fabs(chi2 - (BINS - 1)), 4.5 * sqrt(2.0 * (BINS - 1)));
}

START_TEST(uniform_numbers_are_even_and_below_one)
{
    TensorRandom random = tensor_random_new(1, 2);
    int single[BINS] = {0}, twice[BINS] = {0}, pairs[BINS] = {0}, below[BINS] = {0};
    int previous = 0, inside = 0;
    for (int i = 0; i < DRAWS; i++) {
        float x = tensor_random_uniform(&random);
        double y = tensor_random_uniform_f64(&random);
        inside += x >= 0 && x < 1 && y >= 0 && y < 1;
        int bin = (int)(x * BINS);
        single[bin]++;
        twice[(int)(y * BINS)]++;
        pairs[(bin / 8) * 8 + previous / 8]++;
        previous = bin;
        below[tensor_random_below(&random, BINS)]++;
    }
    ck_assert_int_eq(inside, DRAWS);
    check_even(single);
    check_even(twice);
    check_even(pairs);
    check_even(below);
}
END_TEST

START_TEST(doubles_fill_53_bits)
{
    TensorRandom random = tensor_random_new(3, 0);
    uint64_t any = 0, all = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        uint64_t bits = (uint64_t)(tensor_random_uniform_f64(&random) * 0x1p53);
        any |= bits;
        all &= bits;
    }
    ck_assert_uint_eq(any, (UINT64_C(1) << 53) - 1);
    ck_assert_uint_eq(all, 0);
}
END_TEST

/* A bound of 3/4 of the range, where a plain remainder would draw the lower third twice as often. */
START_TEST(below_has_no_bias)
{
    TensorRandom random = tensor_random_new(4, 0);
    uint32_t bound = 3u << 30;
    int low = 0, inside = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint32_t x = tensor_random_below(&random, bound);
        inside += x < bound;
        low += x < bound / 3;
    }
    ck_assert_int_eq(inside, DRAWS);
    ck_assert_double_lt(fabs(low - DRAWS / 3.0), 4.5 * sqrt(DRAWS * 2 / 9.0));
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(tensor_random_below(&random, 1), 0);
}
END_TEST

START_TEST(normal_numbers_have_their_moments)
{
    TensorRandom random = tensor_random_new(5, 0);
    double sum[4] = {0}, previous = 0, lag = 0;
    int beyond_2 = 0, finite = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = tensor_random_normal(&random), power = 1;
        finite += isfinite(x) != 0;
        for (int k = 0; k < 4; k++)
            sum[k] += power *= x;
        lag += x * previous;
        previous = x;
        beyond_2 += fabs(x) > 2;
    }
    ck_assert_int_eq(finite, DRAWS);
    const double mean[4] = {0, 1, 0, 3}, variance[4] = {1, 2, 15, 96}; /* of x^k */
    for (int k = 0; k < 4; k++)
        ck_assert_double_lt(fabs(sum[k] / DRAWS - mean[k]), 4.5 * sqrt(variance[k] / DRAWS));
    ck_assert_double_lt(fabs(lag / DRAWS), 4.5 / sqrt(DRAWS));
    const double tail = 0.0455002639;
    ck_assert_double_lt(fabs(beyond_2 - DRAWS * tail), 4.5 * sqrt(DRAWS * tail));
}
END_TEST

START_TEST(permutations_are_permutations_and_all_as_likely)
{
    TensorRandom random = tensor_random_new(6, 0);
    int32_t p[1000];
    bool seen[1000] = {false};
    tensor_random_permutation(&random, p, 1000);
    for (int i = 0; i < 1000; i++) {
        ck_assert(p[i] >= 0 && p[i] < 1000 && !seen[p[i]]);
        seen[p[i]] = true;
    }
    tensor_random_permutation(&random, p, 0);
    tensor_random_permutation(&random, p, 1);
    ck_assert_int_eq(p[0], 0);
    int count[24] = {0};
    for (int i = 0; i < 24000; i++) {
        tensor_random_permutation(&random, p, 4);
        int index = p[0] * 6 + (p[1] - (p[1] > p[0])) * 2 + (p[2] > p[3]);
        count[index]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 24; i++)
        chi2 += (count[i] - 1000) * (count[i] - 1000) / 1000.0;
    ck_assert_double_lt(fabs(chi2 - 23), 4.5 * sqrt(2.0 * 23));
}
END_TEST

/* ---- Tensors ---- */

static Tensor view(void *data, TensorDtype dtype, int64_t rows, int64_t columns, int64_t row_stride,
                   int64_t stride)
{
    return (Tensor){
        .data = data, .dtype = dtype, .ndim = 2, .shape = {rows, columns}, .strides = {row_stride, stride}};
}

START_TEST(filling_runs_in_c_order_through_any_strides)
{
    float plain[12], transposed[12];
    double wide[12];
    for (int normal = 0; normal < 2; normal++) {
        void (*fill)(TensorRandom *, Tensor, double, double) =
            normal ? tensor_random_fill_normal : tensor_random_fill_uniform;
        TensorRandom a = tensor_random_new(1, 1), b = a, c = a;
        fill(&a, view(plain, TENSOR_F32, 3, 4, 4, 1), -2, 3);
        fill(&b, view(transposed, TENSOR_F32, 3, 4, 1, 3), -2, 3);
        fill(&c, view(wide + 11, TENSOR_F64, 3, 4, -4, -1), -2, 3);
        ck_assert_uint_eq(a.counter, c.counter);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++) {
                ck_assert_float_eq(plain[i * 4 + j], transposed[j * 3 + i]);
                ck_assert_float_eq(plain[i * 4 + j], (float)wide[11 - i * 4 - j]);
            }
        TensorRandom d = tensor_random_new(1, 1);
        double first = normal ? -2 + 3 * tensor_random_normal(&d) : -2 + 5 * tensor_random_uniform_f64(&d);
        ck_assert_double_eq(wide[11], first);
    }
}
END_TEST

/* Large tensors; the counter may start anywhere. */
START_TEST(filling_much_is_filling_one_after_another)
{
    enum { N = 5 * 65536 + 3 };
    float *x = malloc(N * sizeof *x);
    for (int normal = 0; normal < 2; normal++) {
        TensorRandom a = tensor_random_new(7, 3), b;
        tensor_random_u32(&a);
        b = a;
        (normal ? tensor_random_fill_normal : tensor_random_fill_uniform)(&a, view(x, TENSOR_F32, 1, N, N, 1),
                                                                          -2, 3);
        for (int i = 0; i < N; i++) {
            float one;
            (normal ? tensor_random_fill_normal
                    : tensor_random_fill_uniform)(&b, view(&one, TENSOR_F32, 1, 1, 1, 1), -2, 3);
            ck_assert_msg(x[i] == one, "element %d", i);
        }
        ck_assert_uint_eq(a.counter, b.counter);
    }
    free(x);
}
END_TEST

START_TEST(filling_scalars_nothing_and_the_wrong_type)
{
    TensorRandom random = tensor_random_new(1, 1);
    double one = 99;
    tensor_random_fill_uniform(&random, (Tensor){.data = &one, .dtype = TENSOR_F64}, 0, 1);
    ck_assert(one >= 0 && one < 1);
    uint64_t counter = random.counter;
    int32_t integer = 5;
    tensor_random_fill_uniform(&random, view(NULL, TENSOR_F32, 3, 0, 0, 1), 0, 1);
    tensor_random_fill_uniform(&random, (Tensor){.dtype = TENSOR_DTYPE_NONE}, 0, 1);
    tensor_random_fill_normal(&random, (Tensor){.data = &integer, .dtype = TENSOR_I32}, 0, 1);
    ck_assert_int_eq(integer, 5);
    ck_assert_uint_eq(random.counter, counter);
}
END_TEST

/* An interval of two floats: half of the doubles would round to the excluded end. */
/* Of 2^32 numbers four fall to every three of the bound: without rejection one of the three gets two. */
START_TEST(a_bound_that_does_not_divide_the_numbers_is_met_evenly)
{
    TensorRandom random = tensor_random_new(8, 0);
    int counts[3] = {0};
    for (int i = 0; i < 6000; i++) {
        uint32_t value = tensor_random_below(&random, 0xC0000000u);
        ck_assert_uint_lt(value, 0xC0000000u);
        counts[value % 3]++;
    }
    for (int k = 0; k < 3; k++)
        ck_assert(counts[k] > 1800 && counts[k] < 2200); /* 2000 with a deviation of 37 */
}
END_TEST

START_TEST(rounding_never_reaches_the_upper_end)
{
    float x[64];
    TensorRandom random = tensor_random_new(1, 1);
    float high = nextafterf(1.0f, 2.0f);
    tensor_random_fill_uniform(&random, view(x, TENSOR_F32, 8, 8, 8, 1), 1.0, high);
    for (int i = 0; i < 64; i++)
        ck_assert_float_eq(x[i], 1.0f);
}
END_TEST

Suite *tensor_random_suite(void);
Suite *tensor_random_suite(void)
{
    Suite *suite = suite_create("tensor/random");
    TCase *tcase = tcase_create("random");
    tcase_add_test(tcase, known_answers);
    tcase_add_test(tcase, a_name_makes_a_stream);
    tcase_add_test(tcase, numbers_are_the_blocks_in_order_and_any_position_can_be_returned_to);
    tcase_add_test(tcase, many_numbers_are_those_that_come_one_by_one);
    tcase_add_test(tcase, uniform_numbers_are_even_and_below_one);
    tcase_add_test(tcase, doubles_fill_53_bits);
    tcase_add_test(tcase, below_has_no_bias);
    tcase_add_test(tcase, normal_numbers_have_their_moments);
    tcase_add_test(tcase, permutations_are_permutations_and_all_as_likely);
    tcase_add_test(tcase, filling_runs_in_c_order_through_any_strides);
    tcase_add_test(tcase, filling_much_is_filling_one_after_another);
    tcase_add_test(tcase, filling_scalars_nothing_and_the_wrong_type);
    tcase_add_test(tcase, a_bound_that_does_not_divide_the_numbers_is_met_evenly);
    tcase_add_test(tcase, rounding_never_reaches_the_upper_end);
    suite_add_tcase(suite, tcase);
    return suite;
}

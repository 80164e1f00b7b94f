/* Small products have BLIS's bits, so that those of a row do not depend on how many share its product. */
#include "tensor/small_product_internal.h"
#include "tensor/blis_internal.h"
#include "tensor/vmath_internal.h"
#include "tests/skip_support.h"
#include "tests/tensor_support.h"

#include <check.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 11;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

static TensorSmallMatrix small(Tensor t)
{
    return (TensorSmallMatrix){tensor_f32(t), t.strides[0], t.strides[1]};
}

static bool multiply(Tensor out, Tensor a, Tensor b, bool add)
{
    return tensor_small_product(out.shape[0], out.shape[1], a.shape[1], small(a), small(b), add,
                                tensor_f32(out), out.strides[0], out.strides[1]);
}

static Tensor blis_product(Tensor start, Tensor a, Tensor b, bool add)
{
    Tensor out = tensor_copy(&arena, start);
    int64_t m = out.shape[0], n = out.shape[1], k = a.shape[1];
    tensor_blis_multiply(TENSOR_F32, m, n, k, 1, tensor_f32(tensor_copy(&arena, a)), k, 1,
                         tensor_f32(tensor_copy(&arena, b)), n, 1, add, tensor_f32(out), n, 1);
    return out;
}

static Tensor matrix(TestLayout layout, int64_t rows, int64_t columns)
{
    return test_tensor(&arena, &rng, layout, TENSOR_F32, TENSOR_SHAPE(rows, columns));
}

/* Whether it multiplies here at all: a processor without fused products, and a BLIS whose kernels round
 * otherwise, leave everything to BLIS. */
static bool is_used(void)
{
    float x = 1, y = 1, out = 0;
    return tensor_small_product(1, 1, 1, (TensorSmallMatrix){&x, 1, 1}, (TensorSmallMatrix){&y, 1, 1}, false,
                                &out, 1, 1);
}

START_TEST(the_bits_are_those_of_blis)
{
    if (!tensor_vmath_set_level((TensorVmathLevel)_i) || !is_used()) {
        test_skip("this version of the vector functions does no small products here");
        return;
    }
    for (int round = 0; round < 2000; round++) {
        int64_t most = round % 20 ? 40 : 130;
        int64_t m = 1 + test_below(&rng, most), n = 1 + test_below(&rng, most), k = 1 + test_below(&rng, 128);
        m = round % 5 == 1 ? 1 : m, n = round % 5 == 2 ? 1 : n; /* vectors have loops of their own */
        k = round % 5 == 3 ? 1 + test_below(&rng, 2) : k;
        Tensor a = matrix((TestLayout)test_below(&rng, 3), m, k),
               b = matrix((TestLayout)test_below(&rng, 3), k, n);
        Tensor out = matrix((TestLayout)test_below(&rng, 2), m, n);
        TestBlock block = test_last_block(&arena);
        bool add = test_below(&rng, 2);
        Tensor expected = blis_product(out, a, b, add);
        bool is_small = m * n * k <= 64 * 64 * 64;
        ck_assert(multiply(out, a, b, add) == is_small);
        if (is_small) {
            ck_assert(test_outside_is_unchanged(&block, out));
            ck_assert_msg(tensor_equal(out, expected), "[%d, %d, %d]", (int)m, (int)k, (int)n);
        }
        tensor_arena_reset(&arena);
    }
}
END_TEST

/* A longer inner axis may be two blocks of BLIS's, and two chains. */
START_TEST(a_long_inner_axis_is_left_to_blis)
{
    Tensor a = matrix(OP_LAYOUT_CONTIGUOUS, 2, 129), b = matrix(OP_LAYOUT_CONTIGUOUS, 129, 2);
    Tensor out = matrix(OP_LAYOUT_CONTIGUOUS, 2, 2), before = tensor_copy(&arena, out);
    ck_assert(!multiply(out, a, b, false));
    ck_assert(tensor_equal(out, before));
}
END_TEST

START_TEST(sizes_beyond_64_bits_are_not_small)
{
    float x = 1, out = 0;
    TensorSmallMatrix one = {&x, 0, 0};
    int64_t huge = INT64_C(1) << 40;
    ck_assert(!tensor_small_product(huge, huge, 1, one, one, false, &out, 1, 1));
    ck_assert(!tensor_small_product(1, huge, 1, one, one, false, &out, 1, 1));
    ck_assert(!tensor_small_product(1, 1, huge, one, one, false, &out, 1, 1));
}
END_TEST

Suite *tensor_small_product_suite(void);
Suite *tensor_small_product_suite(void)
{
    Suite *suite = suite_create("tensor/small_product");
    TCase *tcase = tcase_create("small_product");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, the_bits_are_those_of_blis, TENSOR_VMATH_AVX2, TENSOR_VMATH_LEVELS);
    tcase_add_test(tcase, a_long_inner_axis_is_left_to_blis);
    tcase_add_test(tcase, sizes_beyond_64_bits_are_not_small);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "tensor/matmul.h"
#include "tests/tensor_support.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 3;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

/* One element of the product of two tensors that have the batch axes of the output. */
static double naive_element(const Tensor *a, const Tensor *b, const int64_t *index)
{
    int64_t in_a[TENSOR_MAX_DIMS], in_b[TENSOR_MAX_DIMS];
    int last = a->ndim - 1;
    memcpy(in_a, index, sizeof in_a);
    memcpy(in_b, index, sizeof in_b);
    double sum = 0;
    for (int64_t k = 0; k < a->shape[last]; k++) {
        in_a[last] = in_b[last - 1] = k;
        sum += tensor_get(a, in_a) * tensor_get(b, in_b);
    }
    return sum;
}

/* [batches of `shape`, narrowed at random, rows, columns] in a random layout, broadcast axes among them. */
static Tensor random_matrices(TensorDtype dtype, int batch_axes, const int64_t *batches, int64_t rows,
                              int64_t columns)
{
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim = test_narrower_shape(&rng, batch_axes, batches, shape);
    shape[ndim++] = rows;
    shape[ndim++] = columns;
    return test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, ndim, shape);
}

static Tensor widened(Tensor t, int batch_axes, const int64_t *batches)
{
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, batches, (size_t)batch_axes * sizeof shape[0]);
    shape[batch_axes] = t.shape[t.ndim - 2];
    shape[batch_axes + 1] = t.shape[t.ndim - 1];
    return tensor_expand(t, batch_axes + 2, shape);
}

START_TEST(products_agree_with_plain_loops_in_every_layout)
{
    const double factors[] = {0, 1, -1, 0.3};
    for (int round = 0; round < 3000; round++) {
        int64_t shape[TENSOR_MAX_DIMS] = {0}, index[TENSOR_MAX_DIMS] = {0}, most = round % 10 ? 9 : 40;
        int batch_axes = round % 10 ? test_shape(&rng, 0, 3, 3, shape) : 0, ndim = batch_axes + 2;
        TensorDtype dtype = test_below(&rng, 2) ? TENSOR_F32 : TENSOR_F64;
        int64_t m = test_below(&rng, most), n = test_below(&rng, most), k = test_below(&rng, most);
        double alpha = factors[test_below(&rng, 4)], beta = factors[test_below(&rng, 4)];
        Tensor a = random_matrices(dtype, batch_axes, shape, m, k);
        Tensor b = random_matrices(dtype, batch_axes, shape, k, n);
        shape[batch_axes] = m;
        shape[batch_axes + 1] = n;
        Tensor out = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), dtype, ndim, shape);
        TestBlock block = test_last_block(&arena);
        Tensor before = tensor_copy(&arena, out);
        Tensor wide_a = widened(a, batch_axes, shape), wide_b = widened(b, batch_axes, shape);
        if (beta == 0)
            tensor_fill(out, NAN);
        ck_assert(tensor_matmul(out, alpha, a, b, beta));
        ck_assert(test_outside_is_unchanged(&block, out));
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index)) {
            double expected =
                alpha * naive_element(&wide_a, &wide_b, index) + beta * tensor_get(&before, index);
            ck_assert_double_eq_tol(tensor_get(&out, index), expected, dtype == TENSOR_F32 ? 1e-5 : 1e-13);
        }
        tensor_arena_reset(&arena);
    }
}
END_TEST

/* BLIS's kernels for ARM round c + alpha a b once where a tile is full and twice at the edges. */
#if defined __x86_64__
#define OTHER_FACTOR 0.37
#else
#define OTHER_FACTOR (-1)
#endif

/* Rows alone against rows among others, in all bits: what makes a text's logits independent of its batch. */
START_TEST(the_bits_of_a_row_do_not_depend_on_the_number_of_rows)
{
    const double factors[] = {0, 1, 0.3};
    for (int round = 0; round < 300; round++) {
        TensorDtype dtype = round % 4 ? TENSOR_F32 : TENSOR_F64;
        int64_t m = 1 + test_below(&rng, 64), n = 1 + test_below(&rng, 150),
                k = 1 + test_below(&rng, round % 8 ? 90 : 700);
        if (round % 16 == 1)
            n = 1;
        TestLayout layout = (TestLayout)test_below(&rng, 2);
        double alpha = test_below(&rng, 2) ? 1 : OTHER_FACTOR, beta = factors[test_below(&rng, 3)];
        Tensor a = test_tensor(&arena, &rng, layout, dtype, TENSOR_SHAPE(m, k));
        Tensor b = test_tensor(&arena, &rng, LAYOUT_STRIDED, dtype, TENSOR_SHAPE(k, n));
        Tensor out = test_tensor(&arena, &rng, LAYOUT_STRIDED, dtype, TENSOR_SHAPE(m, n));
        Tensor rows = tensor_copy(&arena, out);
        ck_assert(tensor_matmul(out, alpha, a, b, beta));
        for (int64_t start = 0, count; start < m; start += count) {
            count = start % 3 ? 1 : 1 + test_below(&rng, m - start);
            Tensor some = tensor_slice(rows, 0, start, start + count, 1);
            ck_assert(tensor_matmul(some, alpha, tensor_slice(a, 0, start, start + count, 1), b, beta));
        }
        ck_assert_msg(tensor_equal(rows, out), "[%d, %d, %d]", (int)m, (int)k, (int)n);
        tensor_arena_reset(&arena);
    }
}
END_TEST

/* [B, M, K] x [K, N] has the bits of B separate products, whether it is done as one or not. */
START_TEST(a_batch_has_the_bits_of_its_members)
{
    for (int round = 0; round < 200; round++) {
        int64_t batch = 1 + test_below(&rng, 5), m = 1 + test_below(&rng, 9), k = 1 + test_below(&rng, 30);
        Tensor a = test_tensor(&arena, &rng, (TestLayout)(round % 3), TENSOR_F32, TENSOR_SHAPE(batch, m, k));
        Tensor b = test_tensor(&arena, &rng, LAYOUT_STRIDED, TENSOR_F32, TENSOR_SHAPE(k, 17));
        Tensor out =
            test_tensor(&arena, &rng, (TestLayout)(round % 2), TENSOR_F32, TENSOR_SHAPE(batch, m, 17));
        Tensor one = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(m, 17));
        ck_assert(tensor_matmul(out, 1, a, b, 0));
        for (int64_t i = 0; i < batch; i++) {
            ck_assert(tensor_matmul(one, 1, tensor_select(a, 0, i), b, 0));
            ck_assert(tensor_equal(one, tensor_select(out, 0, i)));
        }
        tensor_arena_reset(&arena);
    }
}
END_TEST

/* In BLIS an operand whose stride is 0 could be taken for one that asks for default strides. */
START_TEST(operands_with_stride_zero_are_read_as_broadcast)
{
    Tensor x = test_tensor(&arena, &rng, OP_LAYOUT_CONTIGUOUS, TENSOR_F32, TENSOR_SHAPE(1, 30));
    Tensor wide[] = {
        tensor_expand(x, TENSOR_SHAPE(20, 30)), tensor_expand(tensor_select(x, 1, 0), TENSOR_SHAPE(20, 30)),
        tensor_expand(tensor_slice(tensor_transpose(x, 0, 1), 0, 0, 20, 1), TENSOR_SHAPE(20, 30))};
    Tensor out = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(20, 20)),
           again = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(20, 20));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            Tensor b = tensor_transpose(wide[j], 0, 1);
            ck_assert(tensor_matmul(out, 1, wide[i], b, 0));
            ck_assert(tensor_matmul(again, 1, tensor_copy(&arena, wide[i]), tensor_copy(&arena, b), 0));
            ck_assert(tensor_equal(out, again));
        }
}
END_TEST

START_TEST(no_inner_axis_leaves_beta_times_out)
{
    Tensor a = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 0)),
           b = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0, 3));
    Tensor out = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 4);
    ck_assert(tensor_matmul(out, 1, a, b, 1) &&
              tensor_equal(out, tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 4)));
    ck_assert(tensor_matmul(out, 1, a, b, 0.5) &&
              tensor_equal(out, tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 2)));
    tensor_fill(out, NAN);
    ck_assert(tensor_matmul(out, 1, a, b, 0) &&
              tensor_equal(out, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3))));
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_nothing_is_written)
{
    Tensor a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 1),
           b = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(3, 4), 1);
    Tensor out = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 4), 7), before = tensor_copy(&arena, out);
    Tensor i32 = tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2, 3), 1),
           i32_out = tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2, 4), 1);
    ck_assert(!tensor_matmul(out, 1, b, a, 0) && !tensor_matmul(out, 1, a, a, 0));
    ck_assert(!tensor_matmul(out, 1, a, tensor_cast(&arena, b, TENSOR_F64), 0));
    ck_assert(!tensor_matmul(out, 1, tensor_cast(&arena, a, TENSOR_F64), b, 0));
    ck_assert(!tensor_matmul(out, 1, tensor_invalid(), b, 0) && !tensor_matmul(tensor_invalid(), 1, a, b, 0));
    ck_assert(!tensor_matmul(i32_out, 1, i32, tensor_cast(&arena, b, TENSOR_I32), 0));
    ck_assert(!tensor_matmul(tensor_select(out, 0, 0), 1, tensor_select(a, 0, 0), b, 0));
    ck_assert(!tensor_matmul(out, 1, tensor_expand(a, TENSOR_SHAPE(5, 2, 3)), b, 0));
    Tensor two = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 2, 4));
    ck_assert(!tensor_matmul(two, 1, tensor_expand(a, TENSOR_SHAPE(3, 2, 3)), b, 0));
    ck_assert(!tensor_matmul(two, 1, a, tensor_expand(b, TENSOR_SHAPE(3, 3, 4)), 0));
    /* Broadcast outputs: rows, columns, batches. */
    ck_assert(!tensor_matmul(tensor_expand(tensor_slice(out, 0, 0, 1, 1), TENSOR_SHAPE(2, 4)), 1, a, b, 0));
    ck_assert(!tensor_matmul(tensor_expand(tensor_slice(out, 1, 0, 1, 1), TENSOR_SHAPE(2, 4)), 1, a, b, 0));
    ck_assert(!tensor_matmul(tensor_expand(out, TENSOR_SHAPE(2, 2, 4)), 1, a, b, 1));
    ck_assert(tensor_equal(out, before));
    /* Of size 1 an axis may have any stride. */
    Tensor one = tensor_slice(out, 0, 0, 1, 1);
    one.strides[0] = 0;
    ck_assert(tensor_matmul(one, 1, tensor_slice(a, 0, 0, 1, 1), b, 0));
    ck_assert_float_eq(tensor_f32(out)[3], 3);
    ck_assert_float_eq(tensor_f32(out)[4], 7);
}
END_TEST

enum { THREADS = 4 };

typedef struct Work {
    Tensor a, b, expected;
    bool same;
} Work;

static void *multiply_again_and_again(void *argument)
{
    Work *work = argument;
    TensorArena own;
    tensor_arena_init(&own, 0);
    work->same = true;
    for (int i = 0; i < 20; i++) {
        Tensor out = tensor_zeros(&own, TENSOR_F32, 2, work->expected.shape);
        work->same &= tensor_matmul(out, 1, work->a, work->b, 0) && tensor_equal(out, work->expected);
        tensor_arena_reset(&own);
    }
    tensor_arena_free(&own);
    return NULL;
}

/* The first product of a process initialises BLIS: here several threads do it at once, if this test runs in
 * a process of its own, and all must get what one thread gets. */
START_TEST(threads_get_the_same_bits)
{
    Work work[THREADS];
    pthread_t threads[THREADS];
    Tensor a = test_tensor(&arena, &rng, OP_LAYOUT_CONTIGUOUS, TENSOR_F32, TENSOR_SHAPE(50, 60));
    Tensor b = test_tensor(&arena, &rng, OP_LAYOUT_CONTIGUOUS, TENSOR_F32, TENSOR_SHAPE(60, 70));
    Tensor first = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(50, 70));
    for (int i = 0; i < THREADS; i++) {
        work[i] = (Work){.a = a, .b = b, .expected = first};
        work[i].expected = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(50, 70));
    }
    for (int pass = 0; pass < 2; pass++) { /* the first pass compares with zeros: only the race is wanted */
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, multiply_again_and_again, &work[i]), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        if (pass == 0)
            ck_assert(tensor_matmul(first, 1, a, b, 0));
        for (int i = 0; i < THREADS; i++) {
            ck_assert(work[i].same == (pass == 1));
            work[i].expected = first;
        }
    }
}
END_TEST

Suite *tensor_matmul_suite(void);
Suite *tensor_matmul_suite(void)
{
    Suite *suite = suite_create("tensor/matmul");
    TCase *tcase = tcase_create("matmul");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, threads_get_the_same_bits);
    tcase_add_test(tcase, products_agree_with_plain_loops_in_every_layout);
    tcase_add_test(tcase, the_bits_of_a_row_do_not_depend_on_the_number_of_rows);
    tcase_add_test(tcase, a_batch_has_the_bits_of_its_members);
    tcase_add_test(tcase, operands_with_stride_zero_are_read_as_broadcast);
    tcase_add_test(tcase, no_inner_axis_leaves_beta_times_out);
    tcase_add_test(tcase, what_does_not_fit_is_refused_and_nothing_is_written);
    suite_add_tcase(suite, tcase);
    return suite;
}

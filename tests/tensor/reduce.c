#include "tensor/reduce.h"
#include "tests/tensor_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 4;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

static TensorDtype random_dtype(void)
{
    return test_below(&rng, 2) ? TENSOR_F32 : TENSOR_F64;
}

/* The reduction in double, one element after the other: `expected` (f64) has the reduced shape. */
static void naive_reduce(TensorReduceOp op, Tensor expected, Tensor a)
{
    int64_t index[TENSOR_MAX_DIMS], to[TENSOR_MAX_DIMS];
    tensor_fill(expected, op == TENSOR_REDUCE_SUM ? 0 : -INFINITY);
    for (bool more = test_first(a.ndim, a.shape, index); more; more = test_next(a.ndim, a.shape, index)) {
        for (int i = 0; i < a.ndim; i++)
            to[i] = expected.shape[i] == 1 ? 0 : index[i];
        double x = tensor_get(&a, index), old = tensor_get(&expected, to);
        tensor_set(&expected, to, op == TENSOR_REDUCE_SUM ? old + x : fmax(old, x));
    }
}

/* Relative where b is large. */
static void assert_close(Tensor a, Tensor b, double tolerance)
{
    int64_t index[TENSOR_MAX_DIMS];
    ck_assert(tensor_same_shape(&a, &b));
    for (bool more = test_first(a.ndim, a.shape, index); more; more = test_next(a.ndim, a.shape, index))
        ck_assert_double_le(fabs(tensor_get(&a, index) - tensor_get(&b, index)),
                            tolerance * fmax(1, fabs(tensor_get(&b, index))));
}

/* The shape without the axes in `axes`, and a set of axes that can be reduced. */
static unsigned random_axes(int ndim, const int64_t *shape, int64_t *reduced)
{
    unsigned axes = (unsigned)test_below(&rng, 1 << ndim);
    for (int i = 0; i < ndim; i++)
        reduced[i] = axes >> i & 1 ? 1 : shape[i];
    return axes;
}

START_TEST(reductions_agree_with_plain_loops)
{
    for (int round = 0; round < 3000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], reduced[TENSOR_MAX_DIMS];
        int ndim = round % 10 ? test_shape(&rng, 0, 4, 5, shape) : test_shape(&rng, 2, 2, 90, shape);
        TensorDtype dtype = random_dtype();
        TensorReduceOp op = (TensorReduceOp)(round % 2);
        unsigned axes = random_axes(ndim, shape, reduced);
        Tensor a = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, ndim, shape);
        Tensor out = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), dtype, ndim, reduced);
        TestBlock block = test_last_block(&arena);
        bool empty = false;
        for (int i = 0; i < ndim; i++)
            empty |= shape[i] == 0 && axes >> i & 1;
        bool done = tensor_reduce(op, out, a, axes);
        ck_assert(done == (op == TENSOR_REDUCE_SUM || !empty));
        ck_assert(test_outside_is_unchanged(&block, out));
        Tensor expected = tensor_new(&arena, TENSOR_F64, ndim, reduced);
        naive_reduce(op, expected, a);
        /* Sums in double are right to the last place of f32, up to the numbers that cancelled. */
        if (done)
            assert_close(out, expected, op == TENSOR_REDUCE_MAX ? 0 : dtype == TENSOR_F32 ? 4e-6 : 1e-11);
        tensor_arena_reset(&arena);
    }
}
END_TEST

/* The bits of a sum depend on its elements in C order only. */
START_TEST(every_layout_gives_the_same_bits)
{
    for (int round = 0; round < 3000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], reduced[TENSOR_MAX_DIMS], narrower[TENSOR_MAX_DIMS];
        int ndim = round % 10 ? test_shape(&rng, 0, 4, 5, shape) : test_shape(&rng, 2, 2, 90, shape);
        TensorDtype dtype = random_dtype();
        unsigned axes = random_axes(ndim, shape, reduced);
        Tensor a = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, ndim, shape);
        Tensor plain = tensor_copy(&arena, a), again = tensor_new(&arena, dtype, ndim, reduced);
        Tensor out = test_tensor(&arena, &rng, LAYOUT_STRIDED, dtype, ndim, reduced);
        ck_assert(tensor_reduce(TENSOR_REDUCE_SUM, out, a, axes) &&
                  tensor_reduce(TENSOR_REDUCE_SUM, again, plain, axes));
        ck_assert(tensor_equal(out, again));
        double squares = tensor_sum_of_squares(a), squares_again = tensor_sum_of_squares(plain);
        ck_assert(memcmp(&squares, &squares_again, sizeof squares) == 0);
        int less = test_narrower_shape(&rng, ndim, shape, narrower);
        out = test_tensor(&arena, &rng, LAYOUT_STRIDED, dtype, less, narrower);
        again = tensor_copy(&arena, out);
        ck_assert(tensor_sum_to(out, a, round & 1) && tensor_sum_to(again, plain, round & 1));
        ck_assert(tensor_equal(out, again));
        tensor_arena_reset(&arena);
    }
}
END_TEST

/* A column's sum is that of the same numbers alone, or as a row. */
START_TEST(neighbours_do_not_change_a_sum)
{
    for (int64_t rows = 0; rows < 70; rows++)
        for (int64_t columns = 1; columns < 140; columns += 23) {
            Tensor a =
                test_tensor(&arena, &rng, OP_LAYOUT_CONTIGUOUS, TENSOR_F32, TENSOR_SHAPE(rows, columns));
            Tensor sums = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, columns));
            Tensor one = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, 1)),
                   row = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, 1));
            ck_assert(tensor_reduce(TENSOR_REDUCE_SUM, sums, a, 1));
            for (int64_t c = 0; c < columns; c++) {
                Tensor column = tensor_slice(a, 1, c, c + 1, 1);
                Tensor lying = tensor_copy(&arena, tensor_transpose(column, 0, 1));
                ck_assert(tensor_reduce(TENSOR_REDUCE_SUM, one, column, 1) &&
                          tensor_reduce(TENSOR_REDUCE_SUM, row, lying, 2));
                ck_assert(tensor_equal(one, tensor_slice(sums, 1, c, c + 1, 1)) && tensor_equal(one, row));
            }
            tensor_arena_reset(&arena);
        }
}
END_TEST

START_TEST(sums_of_many_are_accurate)
{
    int64_t n = 1000001;
    Tensor a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(n), 0.1),
           out = tensor_zeros(&arena, TENSOR_F32, 0, NULL);
    ck_assert(tensor_sum_to(out, a, false));
    ck_assert_float_eq(tensor_f32(out)[0], (float)((double)n * (double)0.1f));
}
END_TEST

START_TEST(sum_to_is_the_transpose_of_a_broadcast)
{
    for (int round = 0; round < 3000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], narrower[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = round % 10 ? test_shape(&rng, 0, 4, 5, shape) : test_shape(&rng, 2, 2, 90, shape);
        int less = test_narrower_shape(&rng, ndim, shape, narrower);
        TensorDtype dtype = random_dtype();
        bool accumulate = round & 1;
        Tensor a = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, ndim, shape);
        Tensor out = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), dtype, less, narrower);
        TestBlock block = test_last_block(&arena);
        Tensor expected = tensor_cast(&arena, out, TENSOR_F64);
        if (!accumulate)
            tensor_fill(expected, 0);
        if (!accumulate && tensor_numel(&out) > 0)
            tensor_fill(out, NAN);
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index)) {
            int64_t to[TENSOR_MAX_DIMS];
            for (int i = 0; i < less; i++)
                to[i] = narrower[i] == 1 ? 0 : index[i + ndim - less];
            tensor_set(&expected, to, tensor_get(&expected, to) + tensor_get(&a, index));
        }
        ck_assert(tensor_sum_to(out, a, accumulate));
        ck_assert(test_outside_is_unchanged(&block, out));
        assert_close(out, expected, dtype == TENSOR_F32 ? 4e-6 : 1e-11);
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(argmax_agrees_with_a_plain_loop)
{
    for (int round = 0; round < 3000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = test_shape(&rng, 1, 4, 5, shape), last = ndim - 1;
        TensorDtype dtype = random_dtype();
        Tensor a = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, ndim, shape);
        Tensor out = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), TENSOR_I32, last, shape);
        TestBlock block = test_last_block(&arena);
        if (tensor_numel(&a) > 0 && round % 3 == 0) { /* NaN and equal values */
            test_first(ndim, shape, index);
            index[last] = test_below(&rng, shape[last]);
            tensor_set(&a, index, NAN);
        } else if (tensor_numel(&a) > 0 && round % 3 == 1 && !tensor_is_broadcast(&a)) {
            tensor_fill(a, 1);
        }
        if (shape[last] == 0) {
            ck_assert(!tensor_argmax(out, a));
            continue;
        }
        ck_assert(tensor_argmax(out, a));
        ck_assert(test_outside_is_unchanged(&block, out));
        for (bool more = test_first(last, shape, index); more; more = test_next(last, shape, index)) {
            int64_t best = 0;
            double largest = NAN;
            for (index[last] = 0; index[last] < shape[last]; index[last]++) {
                double x = tensor_get(&a, index);
                if (index[last] == 0 || (!isnan(largest) && (isnan(x) || x > largest))) {
                    best = index[last];
                    largest = x;
                }
            }
            ck_assert_double_eq(tensor_get(&out, index), (double)best);
        }
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(max_passes_on_nan_and_infinities)
{
    const float inf = INFINITY;
    for (int64_t n = 1; n < 40; n++)
        for (int64_t i = 0; i < n; i++)
            for (int across = 0; across < 2; across++) {
                Tensor a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(n, 3), -inf),
                       out = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, 3));
                tensor_set(&a, (int64_t[]){i, 0}, NAN);
                tensor_set(&a, (int64_t[]){i, 1}, inf);
                if (across)
                    a = tensor_transpose(tensor_copy(&arena, tensor_transpose(a, 0, 1)), 0, 1);
                ck_assert(tensor_reduce(TENSOR_REDUCE_MAX, out, a, 1));
                ck_assert(isnan(tensor_f32(out)[0]));
                ck_assert(tensor_f32(out)[1] == inf && tensor_f32(out)[2] == -inf);
                tensor_arena_reset(&arena);
            }
}
END_TEST

START_TEST(sum_of_squares_and_finiteness)
{
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int round = 0; round < 2000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = test_shape(&rng, 0, 3, 9, shape);
        TensorDtype dtype = random_dtype();
        Tensor a = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, ndim, shape);
        double expected = 0;
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index))
            expected += tensor_get(&a, index) * tensor_get(&a, index);
        ck_assert_double_eq_tol(tensor_sum_of_squares(a), expected, 1e-10);
        ck_assert(tensor_is_finite(a));
        if (tensor_numel(&a) > 0) {
            for (int i = 0; i < ndim; i++)
                index[i] = test_below(&rng, shape[i]);
            tensor_set(&a, index, dtype == TENSOR_F32 ? 3.4028234e38 : 1.7976931348623157e308);
            ck_assert(tensor_is_finite(a));
            tensor_set(&a, index, bad[round % 3]);
            ck_assert(!tensor_is_finite(a));
        }
        tensor_arena_reset(&arena);
    }
    ck_assert(tensor_is_finite(tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2), 0x7f800000)));
    ck_assert(!tensor_is_finite(tensor_invalid()));
    ck_assert(isnan(tensor_sum_of_squares(tensor_invalid())));
}
END_TEST

/* Sums of [[1, 2], [3, 4]] over a set of axes. */
START_TEST(axes_count_from_the_end_too)
{
    float in[] = {1, 2, 3, 4}, out[2];
    Tensor a = tensor_from(in, TENSOR_F32, TENSOR_SHAPE(2, 2));
    Tensor columns = tensor_from(out, TENSOR_F32, TENSOR_SHAPE(1, 2));
    Tensor rows = tensor_from(out, TENSOR_F32, TENSOR_SHAPE(2, 1));
    Tensor one = tensor_from(out, TENSOR_F32, TENSOR_SHAPE(1, 1));
    ck_assert(tensor_reduce(TENSOR_REDUCE_SUM, rows, a, TENSOR_AXIS(-1)) && out[0] == 3 && out[1] == 7);
    ck_assert(tensor_reduce(TENSOR_REDUCE_SUM, columns, a, TENSOR_AXIS(-2)) && out[0] == 4 && out[1] == 6);
    ck_assert(tensor_reduce(TENSOR_REDUCE_SUM, one, a, TENSOR_AXIS(0) | TENSOR_AXIS(-1)) && out[0] == 10);
    ck_assert(tensor_reduce(TENSOR_REDUCE_MAX, one, a, TENSOR_AXES_ALL) && out[0] == 4);
    static const int beyond[] = {2, 5, 6, 32, 1000, -3, -6, -7, -32, -1000};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
        for (int d = 0; d < 3; d++)
            ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM,
                                     d == 0   ? one
                                     : d == 1 ? rows
                                              : columns,
                                     a, TENSOR_AXIS(beyond[i])));
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_nothing_is_written)
{
    Tensor a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 1), bad = tensor_invalid();
    Tensor out = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(1, 3), 7), before = tensor_copy(&arena, out);
    Tensor i32 = tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2, 3), 1),
           row = tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2), 7);
    Tensor wide = tensor_expand(tensor_slice(out, 1, 0, 1, 1), TENSOR_SHAPE(1, 3));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, out, a, 2) && !tensor_reduce(TENSOR_REDUCE_SUM, out, a, 3));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, out, a, 0) && !tensor_reduce(TENSOR_REDUCE_SUM, out, a, 5));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, out, a, ~0u) && !tensor_reduce((TensorReduceOp)7, out, a, 1));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, out, tensor_cast(&arena, a, TENSOR_F64), 1));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, out, bad, 1) && !tensor_reduce(TENSOR_REDUCE_SUM, bad, a, 1));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, tensor_slice(i32, 0, 0, 1, 1), i32, 1));
    ck_assert(!tensor_reduce(TENSOR_REDUCE_SUM, wide, a, 1) && !tensor_sum_to(wide, a, true));
    ck_assert(!tensor_sum_to(out, tensor_transpose(a, 0, 1), false));
    ck_assert(!tensor_sum_to(tensor_unsqueeze(out, 0), a, false));
    ck_assert(!tensor_sum_to(out, tensor_cast(&arena, a, TENSOR_F64), false));
    ck_assert(!tensor_sum_to(out, bad, false) && !tensor_sum_to(bad, a, false) &&
              !tensor_sum_to(bad, bad, false));
    ck_assert(!tensor_argmax(out, a) && !tensor_argmax(row, i32) && !tensor_argmax(row, bad));
    ck_assert(!tensor_argmax(row, tensor_transpose(a, 0, 1)) && !tensor_argmax(bad, a));
    ck_assert(!tensor_argmax(row, tensor_full(&arena, TENSOR_F32, 0, NULL, 1)));
    ck_assert(!tensor_argmax(tensor_expand(tensor_slice(row, 0, 0, 1, 1), TENSOR_SHAPE(2)), a));
    ck_assert(tensor_equal(out, before) && tensor_i32(row)[0] == 7);
}
END_TEST

Suite *tensor_reduce_suite(void);
Suite *tensor_reduce_suite(void)
{
    Suite *suite = suite_create("tensor/reduce");
    TCase *tcase = tcase_create("reduce");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, reductions_agree_with_plain_loops);
    tcase_add_test(tcase, every_layout_gives_the_same_bits);
    tcase_add_test(tcase, neighbours_do_not_change_a_sum);
    tcase_add_test(tcase, sums_of_many_are_accurate);
    tcase_add_test(tcase, sum_to_is_the_transpose_of_a_broadcast);
    tcase_add_test(tcase, argmax_agrees_with_a_plain_loop);
    tcase_add_test(tcase, max_passes_on_nan_and_infinities);
    tcase_add_test(tcase, sum_of_squares_and_finiteness);
    tcase_add_test(tcase, axes_count_from_the_end_too);
    tcase_add_test(tcase, what_does_not_fit_is_refused_and_nothing_is_written);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "tensor/view.h"
#include "tensor/mem_internal.h"
#include "tests/tensor_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 1;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

/* 0, 1, 2, ... */
static Tensor counting(int ndim, const int64_t *shape)
{
    Tensor t = tensor_new(&arena, TENSOR_F32, ndim, shape);
    for (int64_t i = 0; i < tensor_numel(&t); i++)
        tensor_f32(t)[i] = (float)i;
    return t;
}

static void assert_values(Tensor t, int64_t count, const float *values)
{
    t = tensor_contiguous(&arena, t);
    ck_assert_int_eq(tensor_numel(&t), count);
    for (int64_t i = 0; i < count; i++)
        ck_assert_float_eq(tensor_f32(t)[i], values[i]);
}
#define ASSERT_VALUES(t, ...)                                                                                \
    assert_values(t, (int64_t)(sizeof((float[]){__VA_ARGS__}) / sizeof(float)), (float[]){__VA_ARGS__})

static void assert_shape(Tensor t, int ndim, const int64_t *shape)
{
    ck_assert(tensor_is_valid(t));
    ck_assert_int_eq(t.ndim, ndim);
    for (int i = 0; i < ndim; i++)
        ck_assert_int_eq(t.shape[i], shape[i]);
}

START_TEST(new_tensors_are_contiguous_and_hold_what_is_asked_for)
{
    Tensor t = tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2, 3), -7.9);
    assert_shape(t, TENSOR_SHAPE(2, 3));
    ck_assert_int_eq(t.strides[0], 3);
    ck_assert_int_eq(t.strides[1], 1);
    ck_assert(tensor_is_contiguous(&t) && !tensor_is_broadcast(&t));
    Tensor row = tensor_slice(t, 0, 0, 2, 2), column = tensor_slice(t, 1, 0, 1, 1);
    ck_assert_int_eq(row.shape[0], 1);
    row.strides[0] = -5; /* an axis of size 1 is never stepped along */
    ck_assert(tensor_is_contiguous(&row) && !tensor_is_contiguous(&column));
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(tensor_i32(t)[i], -7);
    t = tensor_zeros(&arena, TENSOR_F64, 0, NULL);
    ck_assert_double_eq(tensor_item(t), 0);
    double value = 5;
    ck_assert_double_eq(tensor_item(tensor_from(&value, TENSOR_F64, 0, NULL)), 5);
    ck_assert(!tensor_is_valid(tensor_from(NULL, TENSOR_F64, TENSOR_SHAPE(1))));
    ck_assert(tensor_is_valid(tensor_from(NULL, TENSOR_F64, TENSOR_SHAPE(3, 0))));
    t = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 0, 3));
    assert_shape(t, TENSOR_SHAPE(2, 0, 3));
    ck_assert_int_eq(tensor_numel(&t), 0);
    ck_assert(isnan(tensor_item(t)));
}
END_TEST

START_TEST(impossible_shapes_are_invalid)
{
    int64_t big = INT64_MAX / 2, seven[7] = {1, 1, 1, 1, 1, 1, 1};
    size_t used = arena.used;
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(big, 4))));
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(big))));
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(0, big, big))));
    ck_assert(
        !tensor_is_valid(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE((int64_t)1 << 32, (int64_t)1 << 32))));
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(-1))));
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_DTYPE_NONE, TENSOR_SHAPE(1))));
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_F32, -1, seven)));
    ck_assert(!tensor_is_valid(tensor_new(&arena, TENSOR_F32, 7, seven)));
    Tensor one = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1));
    ck_assert(!tensor_is_valid(tensor_expand(one, TENSOR_SHAPE(big, big))));
    ck_assert(!tensor_is_valid(tensor_expand(one, 7, seven)));
    ck_assert(!tensor_is_valid(tensor_view_as(one, 7, seven)));
    ck_assert_uint_le(arena.used - used, 64);
}
END_TEST

START_TEST(invalid_tensors_are_passed_on)
{
    Tensor bad = tensor_invalid(), good = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2));
    Tensor pair[2] = {good, bad};
    int axes[1] = {0}, ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    ck_assert(!tensor_is_valid(tensor_copy(&arena, bad)));
    ck_assert(!tensor_is_valid(tensor_contiguous(&arena, bad)));
    ck_assert(!tensor_is_valid(tensor_cast(&arena, bad, TENSOR_F64)));
    ck_assert(!tensor_is_valid(tensor_slice(bad, 0, 0, 1, 1)));
    ck_assert(!tensor_is_valid(tensor_select(bad, 0, 0)));
    ck_assert(!tensor_is_valid(tensor_transpose(bad, 0, 1)));
    ck_assert(!tensor_is_valid(tensor_permute(bad, axes)));
    ck_assert(!tensor_is_valid(tensor_unsqueeze(bad, 0)));
    ck_assert(!tensor_is_valid(tensor_squeeze(bad, 0)));
    ck_assert(!tensor_is_valid(tensor_view_as(bad, TENSOR_SHAPE(0))));
    ck_assert(!tensor_is_valid(tensor_reshape(&arena, bad, TENSOR_SHAPE(0))));
    ck_assert(!tensor_is_valid(tensor_expand(bad, TENSOR_SHAPE(3))));
    ck_assert(!tensor_is_valid(tensor_concat(&arena, pair, 2, 0)));
    ck_assert(!tensor_is_valid(tensor_concat(&arena, pair, 0, 0)));
    ck_assert(!tensor_is_valid(tensor_stack(&arena, pair, 2, 0)));
    ck_assert(!tensor_is_valid(tensor_stack(&arena, pair + 1, 1, 0)));
    ck_assert(!tensor_broadcast_shape(&good, &bad, &ndim, shape));
    ck_assert(!tensor_copy_into(good, bad) && !tensor_copy_into(bad, good) && !tensor_fill(bad, 1));
    ck_assert(!tensor_equal(bad, bad) && isnan(tensor_item(bad)) && tensor_numel(&bad) == 0);
    ck_assert(!tensor_is_contiguous(&bad) && !tensor_is_broadcast(&bad));
}
END_TEST

START_TEST(no_memory_is_invalid)
{
    Tensor t = tensor_transpose(counting(TENSOR_SHAPE(300, 2)), 0, 1);
    TensorArena small;
    tensor_arena_init(&small, 64);
    reel_mem_fail_at(0, 1);
    Tensor results[] = {tensor_copy(&small, t),
                        tensor_contiguous(&small, t),
                        tensor_zeros(&small, TENSOR_F32, TENSOR_SHAPE(300)),
                        tensor_full(&small, TENSOR_F32, TENSOR_SHAPE(300), 1),
                        tensor_cast(&small, t, TENSOR_F64),
                        tensor_reshape(&small, t, TENSOR_SHAPE(600)),
                        tensor_concat(&small, &t, 1, 0),
                        tensor_stack(&small, &t, 1, 0)};
    reel_mem_fail_at(-1, 0);
    tensor_arena_free(&small);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        ck_assert(!tensor_is_valid(results[i]));
}
END_TEST

START_TEST(shapes_as_text)
{
    char text[TENSOR_SHAPE_TEXT_SIZE];
    Tensor bad = tensor_invalid(), t = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3, 4));
    ck_assert_str_eq(tensor_shape_text(&t, text), "[3, 4]");
    ck_assert_str_eq(tensor_shape_text(&bad, text), "[invalid]");
    ck_assert_str_eq(tensor_dims_text(0, NULL, text), "[]");
    int64_t m = INT64_MIN;
    ck_assert_uint_eq(strlen(tensor_dims_text(TENSOR_SHAPE(m, m, m, m, m, m), text)), 6 * 20 + 5 * 2 + 2);
    ck_assert_str_eq(tensor_dtype_name(TENSOR_F32), "f32");
    ck_assert_str_eq(tensor_dtype_name(TENSOR_F64), "f64");
    ck_assert_str_eq(tensor_dtype_name(TENSOR_I32), "i32");
    ck_assert_str_eq(tensor_dtype_name(TENSOR_DTYPE_NONE), "none");
    ck_assert_uint_eq(
        tensor_dtype_size(TENSOR_F32) + tensor_dtype_size(TENSOR_F64) + tensor_dtype_size(TENSOR_I32), 16);
    ck_assert_uint_eq(tensor_dtype_size(TENSOR_DTYPE_NONE), 0);
}
END_TEST

/* Every start, stop and step around the size, against the definition of range(). */
START_TEST(slices_are_those_of_numpy)
{
    const int64_t size = 5, end = TENSOR_END;
    Tensor t = counting(TENSOR_SHAPE(5));
    for (int64_t start = -8; start <= 8; start++)
        for (int64_t stop = -8; stop <= 8; stop++)
            for (int64_t step = -7; step <= 7; step++) {
                Tensor s = tensor_slice(t, 0, start, stop, step);
                if (step == 0) {
                    ck_assert(!tensor_is_valid(s));
                    continue;
                }
                int64_t from = start < 0 ? start + size : start, to = stop < 0 ? stop + size : stop;
                if (step > 0)
                    from = from < 0 ? 0 : from;
                else
                    from = from > size - 1 ? size - 1 : from;
                int64_t count = 0;
                for (int64_t i = from; step > 0 ? i < to && i < size : i > to && i >= 0; i += step)
                    ck_assert_float_eq(tensor_f32(s)[count++ * s.strides[0]], (float)i);
                ck_assert_int_eq(s.shape[0], count);
            }
    ASSERT_VALUES(tensor_slice(t, 0, end, end, -1), 4, 3, 2, 1, 0);
    ASSERT_VALUES(tensor_slice(t, 0, end, end, -2), 4, 2, 0);
    ASSERT_VALUES(tensor_slice(t, -1, 1, end, 2), 1, 3);
    ASSERT_VALUES(tensor_slice(t, 0, 3, end, INT64_MAX), 3);
    ASSERT_VALUES(tensor_slice(t, 0, 3, end, INT64_MIN), 3);
    ASSERT_VALUES(tensor_slice(t, 0, INT64_MIN, end, 1), 0, 1, 2, 3, 4);
    ck_assert_int_eq(tensor_slice(t, 0, INT64_MIN, INT64_MIN + 1, 1).shape[0], 0);
    ck_assert_int_eq(tensor_slice(t, 0, 3, 3, 1).shape[0], 0);
    ck_assert(!tensor_is_valid(tensor_slice(t, 1, 0, 1, 1)));
    ck_assert(!tensor_is_valid(tensor_slice(t, -2, 0, 1, 1)));
    Tensor nothing = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0));
    ck_assert_int_eq(tensor_slice(nothing, 0, 0, end, 1).shape[0], 0);
    ck_assert_int_eq(tensor_slice(nothing, 0, end, end, -1).shape[0], 0);
    /* A slice of a slice. */
    ASSERT_VALUES(tensor_slice(tensor_slice(t, 0, end, end, -2), 0, end, end, -1), 0, 2, 4);
}
END_TEST

START_TEST(select_transpose_permute_and_axes_of_size_one)
{
    Tensor t = counting(TENSOR_SHAPE(2, 3)), cube = counting(TENSOR_SHAPE(2, 3, 4));
    ASSERT_VALUES(tensor_select(t, 0, 1), 3, 4, 5);
    ASSERT_VALUES(tensor_select(t, -1, -1), 2, 5);
    ck_assert_int_eq(tensor_select(tensor_select(t, 0, 1), 0, 2).ndim, 0);
    ck_assert_double_eq(tensor_item(tensor_select(tensor_select(t, 0, 1), 0, 2)), 5);
    ck_assert(!tensor_is_valid(tensor_select(t, 0, 2)) && !tensor_is_valid(tensor_select(t, 0, -3)));
    ck_assert(!tensor_is_valid(tensor_select(t, 2, 0)));
    ASSERT_VALUES(tensor_transpose(t, 0, -1), 0, 3, 1, 4, 2, 5);
    ck_assert(!tensor_is_valid(tensor_transpose(t, 0, 2)));
    Tensor p = tensor_permute(cube, (int[]){2, 0, -2});
    assert_shape(p, TENSOR_SHAPE(4, 2, 3));
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 2; j++)
            for (int64_t k = 0; k < 3; k++)
                ck_assert_double_eq(tensor_get(&p, (int64_t[]){i, j, k}), (double)(j * 12 + k * 4 + i));
    ck_assert(!tensor_is_valid(tensor_permute(cube, (int[]){0, 1, 1})));
    ck_assert(!tensor_is_valid(tensor_permute(cube, (int[]){0, 1, 3})));
    assert_shape(tensor_unsqueeze(t, 0), TENSOR_SHAPE(1, 2, 3));
    assert_shape(tensor_unsqueeze(t, 2), TENSOR_SHAPE(2, 3, 1));
    assert_shape(tensor_unsqueeze(t, -1), TENSOR_SHAPE(2, 3, 1));
    assert_shape(tensor_unsqueeze(t, 1), TENSOR_SHAPE(2, 1, 3));
    ck_assert(!tensor_is_valid(tensor_unsqueeze(t, 3)));
    ASSERT_VALUES(tensor_unsqueeze(tensor_transpose(t, 0, 1), 1), 0, 3, 1, 4, 2, 5);
    assert_shape(tensor_squeeze(tensor_unsqueeze(t, 1), 1), TENSOR_SHAPE(2, 3));
    ck_assert(!tensor_is_valid(tensor_squeeze(t, 0)));
    Tensor six = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(1, 1, 1, 1, 1, 1));
    ck_assert(!tensor_is_valid(tensor_unsqueeze(six, 0)));
}
END_TEST

START_TEST(view_as_gives_a_view_or_refuses)
{
    Tensor t = counting(TENSOR_SHAPE(4, 6)), columns = tensor_transpose(t, 0, 1);
    assert_shape(tensor_view_as(t, TENSOR_SHAPE(2, -1, 3)), TENSOR_SHAPE(2, 4, 3));
    assert_shape(tensor_view_as(t, TENSOR_SHAPE(-1)), TENSOR_SHAPE(24));
    ck_assert(!tensor_is_valid(tensor_view_as(t, TENSOR_SHAPE(5, -1))));
    ck_assert(!tensor_is_valid(tensor_view_as(t, TENSOR_SHAPE(-1, -1))));
    ck_assert(!tensor_is_valid(tensor_view_as(t, TENSOR_SHAPE(25))));
    ck_assert(!tensor_is_valid(tensor_view_as(t, TENSOR_SHAPE(-2, -12))));
    ck_assert(!tensor_is_valid(tensor_view_as(columns, TENSOR_SHAPE(24))));
    assert_shape(tensor_view_as(columns, TENSOR_SHAPE(2, 3, 1, 2, 2)), TENSOR_SHAPE(2, 3, 1, 2, 2));
    ASSERT_VALUES(tensor_view_as(tensor_slice(t, 1, 0, TENSOR_END, 3), TENSOR_SHAPE(8)), 0, 3, 6, 9, 12, 15,
                  18, 21);
    ASSERT_VALUES(tensor_view_as(tensor_slice(counting(TENSOR_SHAPE(4)), 0, TENSOR_END, TENSOR_END, -1),
                                 TENSOR_SHAPE(2, 2)),
                  3, 2, 1, 0);
    Tensor nothing = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0, 3));
    assert_shape(tensor_view_as(nothing, TENSOR_SHAPE(7, 0)), TENSOR_SHAPE(7, 0));
    assert_shape(tensor_view_as(nothing, TENSOR_SHAPE(-1, 3)), TENSOR_SHAPE(0, 3));
    ck_assert(!tensor_is_valid(tensor_view_as(nothing, TENSOR_SHAPE(-1, 0))));
    Tensor scalar = tensor_full(&arena, TENSOR_F32, 0, NULL, 3);
    assert_shape(tensor_view_as(scalar, TENSOR_SHAPE(1, -1, 1)), TENSOR_SHAPE(1, 1, 1));
    assert_shape(tensor_view_as(tensor_view_as(scalar, TENSOR_SHAPE(1, 1)), 0, NULL), 0, NULL);
    ASSERT_VALUES(
        tensor_reshape(&arena, tensor_transpose(counting(TENSOR_SHAPE(2, 3)), 0, 1), TENSOR_SHAPE(2, -1)), 0,
        3, 1, 4, 2, 5);
    ck_assert(!tensor_is_valid(tensor_reshape(&arena, columns, TENSOR_SHAPE(7, -1))));
}
END_TEST

/* Random layouts: a view has the elements of the copy in C order, and is refused only where two elements
 * that would have to be one stride apart are not. */
START_TEST(view_as_keeps_the_order_of_elements)
{
    int views = 0;
    for (int round = 0; round < 3000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], wanted[TENSOR_MAX_DIMS];
        int ndim = test_shape(&rng, 0, 4, 4, shape), count = 0;
        Tensor t = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), TENSOR_F32, ndim, shape);
        for (int i = 0; i < ndim; i++) { /* joins some axes and splits others */
            bool join = count > 0 && test_below(&rng, 2);
            if (join)
                wanted[count - 1] *= shape[i];
            else if (shape[i] == 4 && count < 4) {
                wanted[count++] = 2;
                wanted[count++] = 2;
            } else
                wanted[count++] = shape[i];
        }
        Tensor view = tensor_view_as(t, count, wanted), copy = tensor_copy(&arena, t);
        views += tensor_is_valid(view);
        ck_assert(tensor_is_valid(view) || !tensor_is_contiguous(&t));
        Tensor reshaped = tensor_reshape(&arena, t, count, wanted);
        ck_assert(tensor_equal(reshaped, tensor_view_as(copy, count, wanted)));
        if (tensor_is_valid(view))
            ck_assert_ptr_eq(reshaped.data, t.data);
        tensor_arena_reset(&arena);
    }
    ck_assert_int_gt(views, 1000);
    ck_assert_int_lt(views, 2900);
}
END_TEST

START_TEST(expand_and_broadcast_shapes)
{
    Tensor t = counting(TENSOR_SHAPE(2, 1)), e = tensor_expand(t, TENSOR_SHAPE(3, 2, 2));
    ASSERT_VALUES(e, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1);
    ck_assert(tensor_is_broadcast(&e) && !tensor_is_contiguous(&e));
    ck_assert(!tensor_is_valid(tensor_expand(t, TENSOR_SHAPE(3, 2))));
    ck_assert(!tensor_is_valid(tensor_expand(t, TENSOR_SHAPE(1))));
    assert_shape(tensor_expand(t, TENSOR_SHAPE(2, 0)), TENSOR_SHAPE(2, 0));
    Tensor same = tensor_expand(t, TENSOR_SHAPE(1, 2, 1));
    ck_assert(!tensor_is_broadcast(&same));
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim;
    Tensor row = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(5)),
           scalar = tensor_zeros(&arena, TENSOR_F32, 0, NULL);
    ck_assert(tensor_broadcast_shape(&t, &row, &ndim, shape));
    ck_assert(ndim == 2 && shape[0] == 2 && shape[1] == 5);
    ck_assert(tensor_broadcast_shape(&scalar, &row, &ndim, shape) && ndim == 1 && shape[0] == 5);
    Tensor none = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0)),
           two = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2));
    ck_assert(tensor_broadcast_shape(&t, &none, &ndim, shape) && shape[1] == 0);
    ck_assert(!tensor_broadcast_shape(&two, &none, &ndim, shape));
    ck_assert(!tensor_broadcast_shape(&two, &row, &ndim, shape));
}
END_TEST

START_TEST(copies_convert_broadcast_and_stay_inside)
{
    const TensorDtype dtypes[] = {TENSOR_F32, TENSOR_F64, TENSOR_I32};
    for (int round = 0; round < 2000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], narrower[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = test_shape(&rng, 0, 4, 5, shape), less = test_narrower_shape(&rng, ndim, shape, narrower);
        TensorDtype to = dtypes[test_below(&rng, 3)], from = dtypes[test_below(&rng, 3)];
        Tensor source = test_tensor(&arena, &rng, OP_LAYOUT_BROADCAST, from, less, narrower);
        Tensor target = test_tensor(&arena, &rng, LAYOUT_STRIDED, to, ndim, shape);
        TestBlock block = test_last_block(&arena);
        ck_assert(tensor_copy_into(target, source));
        ck_assert(test_outside_is_unchanged(&block, target));
        Tensor wide = tensor_expand(source, ndim, shape);
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index)) {
            double expected = tensor_get(&wide, index);
            if (to == TENSOR_I32)
                expected = trunc(expected);
            else if (to == TENSOR_F32)
                expected = (float)expected;
            ck_assert_double_eq(tensor_get(&target, index), expected);
        }
        ck_assert(from != to || tensor_equal(target, wide));
        tensor_arena_reset(&arena);
    }
    Tensor t = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2)),
           three = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3));
    ck_assert(!tensor_copy_into(t, three));
    ck_assert(!tensor_copy_into(t, tensor_unsqueeze(t, 0)));
    Tensor broadcast = tensor_expand(tensor_slice(t, 0, 0, 1, 1), TENSOR_SHAPE(3));
    ck_assert(!tensor_copy_into(broadcast, three) && !tensor_fill(broadcast, 1));
    ck_assert_float_eq(tensor_f32(t)[0], 0);
}
END_TEST

START_TEST(conversion_to_i32_is_cut_and_clipped)
{
    double values[] = {1.9, -1.9, NAN, INFINITY, -INFINITY, 2147483646.5, 1e300, -2147483648.5, 2147483648.0};
    int32_t expected[] = {1, -1, 0, INT32_MAX, INT32_MIN, 2147483646, INT32_MAX, INT32_MIN, INT32_MAX};
    Tensor t = tensor_cast(&arena, tensor_from(values, TENSOR_F64, TENSOR_SHAPE(9)), TENSOR_I32);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(tensor_i32(t)[i], expected[i]);
    Tensor single = tensor_cast(&arena, tensor_from(values, TENSOR_F64, TENSOR_SHAPE(5)), TENSOR_F32);
    t = tensor_cast(&arena, single, TENSOR_I32);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(tensor_i32(t)[i], expected[i]);
    ck_assert(tensor_fill(t, NAN) && tensor_i32(t)[4] == 0);
}
END_TEST

START_TEST(concat_and_stack)
{
    Tensor a = counting(TENSOR_SHAPE(2, 2)), b = counting(TENSOR_SHAPE(1, 2)),
           none = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0, 2));
    ASSERT_VALUES(tensor_concat(&arena, (Tensor[]){a, none, b}, 3, 0), 0, 1, 2, 3, 0, 1);
    ASSERT_VALUES(tensor_concat(&arena, (Tensor[]){a, tensor_transpose(a, 0, 1)}, 2, -1), 0, 1, 0, 2, 2, 3, 1,
                  3);
    ASSERT_VALUES(tensor_stack(&arena, (Tensor[]){a, tensor_transpose(a, 0, 1)}, 2, 0), 0, 1, 2, 3, 0, 2, 1,
                  3);
    ASSERT_VALUES(tensor_stack(&arena, (Tensor[]){a, tensor_transpose(a, 0, 1)}, 2, -1), 0, 0, 1, 2, 2, 1, 3,
                  3);
    assert_shape(tensor_stack(&arena, &a, 1, 1), TENSOR_SHAPE(2, 1, 2));
    ck_assert(!tensor_is_valid(tensor_concat(&arena, (Tensor[]){a, b}, 2, 1)));
    ck_assert(!tensor_is_valid(tensor_concat(&arena, (Tensor[]){a, b}, 2, 2)));
    ck_assert(
        !tensor_is_valid(tensor_concat(&arena, (Tensor[]){a, tensor_cast(&arena, b, TENSOR_F64)}, 2, 0)));
    ck_assert(!tensor_is_valid(tensor_stack(&arena, (Tensor[]){a, b}, 2, 0)));
    ck_assert(!tensor_is_valid(tensor_stack(&arena, (Tensor[]){a, a}, 2, 3)));
    Tensor scalar = tensor_full(&arena, TENSOR_F32, 0, NULL, 2);
    ASSERT_VALUES(tensor_stack(&arena, (Tensor[]){scalar, scalar}, 2, 0), 2, 2);
    ck_assert(!tensor_is_valid(tensor_concat(&arena, (Tensor[]){scalar, scalar}, 2, 0)));
}
END_TEST

START_TEST(equality_is_that_of_shapes_dtypes_and_bytes)
{
    Tensor a = counting(TENSOR_SHAPE(2, 2)),
           b = tensor_transpose(tensor_copy(&arena, tensor_transpose(a, 0, 1)), 0, 1);
    ck_assert(tensor_equal(a, b) && tensor_equal(a, a));
    tensor_set(&b, (int64_t[]){1, 0}, 7);
    ck_assert(!tensor_equal(a, b));
    ck_assert(!tensor_equal(a, tensor_cast(&arena, a, TENSOR_F64)));
    ck_assert(!tensor_equal(a, tensor_view_as(a, TENSOR_SHAPE(4))));
    Tensor zero = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(1), 0.0),
           minus = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(1), -0.0);
    Tensor nan = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(1), NAN);
    ck_assert(!tensor_equal(zero, minus) && tensor_equal(nan, nan));
}
END_TEST

Suite *tensor_view_suite(void);
Suite *tensor_view_suite(void)
{
    Suite *suite = suite_create("tensor/view");
    TCase *tcase = tcase_create("view");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, new_tensors_are_contiguous_and_hold_what_is_asked_for);
    tcase_add_test(tcase, impossible_shapes_are_invalid);
    tcase_add_test(tcase, invalid_tensors_are_passed_on);
    tcase_add_test(tcase, no_memory_is_invalid);
    tcase_add_test(tcase, shapes_as_text);
    tcase_add_test(tcase, slices_are_those_of_numpy);
    tcase_add_test(tcase, select_transpose_permute_and_axes_of_size_one);
    tcase_add_test(tcase, view_as_gives_a_view_or_refuses);
    tcase_add_test(tcase, view_as_keeps_the_order_of_elements);
    tcase_add_test(tcase, expand_and_broadcast_shapes);
    tcase_add_test(tcase, copies_convert_broadcast_and_stay_inside);
    tcase_add_test(tcase, conversion_to_i32_is_cut_and_clipped);
    tcase_add_test(tcase, concat_and_stack);
    tcase_add_test(tcase, equality_is_that_of_shapes_dtypes_and_bytes);
    suite_add_tcase(suite, tcase);
    return suite;
}

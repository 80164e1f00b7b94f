#include "tensor/rows.h"
#include "tests/tensor_support.h"

#include <check.h>
#include <string.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 5;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

/* A table [V, ...], an index [N] into it, and rows [N, ...], in random layouts. */
typedef struct Case {
    TensorDtype dtype;
    int ndim;
    int64_t row_shape[TENSOR_MAX_DIMS]; /* shape[0] is the number of rows */
    int64_t table_shape[TENSOR_MAX_DIMS];
    Tensor index;
} Case;

static Case random_case(void)
{
    Case c = {.dtype = test_below(&rng, 2) ? TENSOR_F32 : TENSOR_F64};
    c.ndim = test_shape(&rng, 1, 3, 6, c.row_shape);
    if (c.ndim == 2 && test_below(&rng, 2))
        c.row_shape[1] = 1 + test_below(&rng, 70);
    memcpy(c.table_shape, c.row_shape, sizeof c.row_shape);
    c.table_shape[0] = test_below(&rng, 8);
    if (c.table_shape[0] == 0)
        c.row_shape[0] = 0;
    c.index = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), TENSOR_I32, 1, c.row_shape);
    for (int64_t n = 0; n < c.row_shape[0]; n++)
        tensor_set(&c.index, &n, (double)test_below(&rng, c.table_shape[0]));
    return c;
}

START_TEST(gathered_rows_are_those_of_the_table)
{
    for (int round = 0; round < 3000; round++) {
        Case c = random_case();
        int64_t index[TENSOR_MAX_DIMS], from[TENSOR_MAX_DIMS];
        Tensor table =
            test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), c.dtype, c.ndim, c.table_shape);
        Tensor out = test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), c.dtype, c.ndim, c.row_shape);
        TestBlock block = test_last_block(&arena);
        ck_assert(tensor_gather_rows(out, table, c.index));
        ck_assert(test_outside_is_unchanged(&block, out));
        for (bool more = test_first(c.ndim, c.row_shape, index); more;
             more = test_next(c.ndim, c.row_shape, index)) {
            memcpy(from, index, sizeof from);
            from[0] = (int64_t)tensor_get(&c.index, index);
            ck_assert_double_eq(tensor_get(&out, index), tensor_get(&table, from));
        }
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(scattered_rows_are_added_in_their_order)
{
    for (int round = 0; round < 3000; round++) {
        Case c = random_case();
        int64_t index[TENSOR_MAX_DIMS], to[TENSOR_MAX_DIMS];
        Tensor rows =
            test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), c.dtype, c.ndim, c.row_shape);
        Tensor table =
            test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), c.dtype, c.ndim, c.table_shape);
        TestBlock block = test_last_block(&arena);
        Tensor expected = tensor_copy(&arena, table);
        for (bool more = test_first(c.ndim, c.row_shape, index); more;
             more = test_next(c.ndim, c.row_shape, index)) {
            memcpy(to, index, sizeof to);
            to[0] = (int64_t)tensor_get(&c.index, index);
            tensor_set(&expected, to, tensor_get(&expected, to) + tensor_get(&rows, index));
        }
        ck_assert(tensor_scatter_add_rows(table, rows, c.index));
        ck_assert(test_outside_is_unchanged(&block, table));
        ck_assert(tensor_equal(table, expected)); /* all bits: the order is part of the contract */
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(an_index_out_of_range_is_found_before_anything_is_written)
{
    const int32_t bad[] = {-1, 4, INT32_MIN, INT32_MAX};
    Tensor table = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(4, 2), 1),
           rows = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(3, 2), 2);
    Tensor table_before = tensor_copy(&arena, table), rows_before = tensor_copy(&arena, rows);
    for (int i = 0; i < 4; i++)
        for (int64_t place = 0; place < 3; place++) {
            Tensor index = tensor_zeros(&arena, TENSOR_I32, TENSOR_SHAPE(3));
            ck_assert_int_eq(tensor_index_out_of_range(index, 4), -1);
            tensor_i32(index)[place] = bad[i];
            ck_assert_int_eq(tensor_index_out_of_range(index, 4), place);
            ck_assert_int_eq(tensor_index_out_of_range(tensor_slice(index, 0, TENSOR_END, TENSOR_END, -1), 4),
                             2 - place);
            ck_assert(!tensor_gather_rows(rows, table, index) &&
                      !tensor_scatter_add_rows(table, rows, index));
        }
    ck_assert(tensor_equal(table, table_before) && tensor_equal(rows, rows_before));
    Tensor none = tensor_zeros(&arena, TENSOR_I32, TENSOR_SHAPE(0));
    ck_assert_int_eq(tensor_index_out_of_range(none, 0), -1);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    Tensor table = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(4, 2), 1),
           rows = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(3, 2), 2);
    Tensor index = tensor_zeros(&arena, TENSOR_I32, TENSOR_SHAPE(3)), bad = tensor_invalid();
    Tensor wrong[] = {bad,
                      tensor_cast(&arena, rows, TENSOR_F64),
                      tensor_cast(&arena, rows, TENSOR_I32),
                      tensor_slice(rows, 0, 0, 2, 1),
                      tensor_slice(rows, 1, 0, 1, 1),
                      tensor_select(rows, 1, 0),
                      tensor_unsqueeze(rows, 2)};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert(!tensor_gather_rows(wrong[i], table, index) &&
                  !tensor_scatter_add_rows(table, wrong[i], index));
    Tensor indices[] = {bad, tensor_cast(&arena, index, TENSOR_F32), tensor_unsqueeze(index, 0),
                        tensor_zeros(&arena, TENSOR_I32, TENSOR_SHAPE(2))};
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++)
        ck_assert(!tensor_gather_rows(rows, table, indices[i]) &&
                  !tensor_scatter_add_rows(table, rows, indices[i]));
    ck_assert(!tensor_gather_rows(rows, bad, index) && !tensor_scatter_add_rows(bad, rows, index));
    Tensor one = tensor_slice(table, 0, 0, 1, 1);
    ck_assert(!tensor_gather_rows(tensor_expand(one, TENSOR_SHAPE(3, 2)), table, index));
    ck_assert(!tensor_scatter_add_rows(tensor_expand(one, TENSOR_SHAPE(4, 2)), rows, index));
    ck_assert(tensor_equal(table, tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(4, 2), 1)));
    Tensor scalar = tensor_zeros(&arena, TENSOR_F32, 0, NULL);
    ck_assert(!tensor_gather_rows(scalar, scalar, index));
    /* No rows of an empty table are fine. */
    Tensor none = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0, 2));
    ck_assert(tensor_gather_rows(none, none, tensor_zeros(&arena, TENSOR_I32, TENSOR_SHAPE(0))));
    ck_assert(!tensor_gather_rows(rows, none, index));
}
END_TEST

Suite *tensor_rows_suite(void);
Suite *tensor_rows_suite(void)
{
    Suite *suite = suite_create("tensor/rows");
    TCase *tcase = tcase_create("rows");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, gathered_rows_are_those_of_the_table);
    tcase_add_test(tcase, scattered_rows_are_added_in_their_order);
    tcase_add_test(tcase, an_index_out_of_range_is_found_before_anything_is_written);
    tcase_add_test(tcase, what_does_not_fit_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

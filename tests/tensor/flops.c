#include "tensor/flops.h"
#include "tensor/arena.h"
#include "tensor/matmul.h"
#include "tensor/panels.h"
#include "tensor/pool.h"

#include <check.h>

START_TEST(products_count_two_operations_for_each_multiplication)
{
    Arena arena;
    arena_init(&arena, 0);
    Tensor a = tensor_full(&arena, DTYPE_F32, SHAPE(3, 2, 5), 1);
    Tensor b = tensor_full(&arena, DTYPE_F32, SHAPE(5, 7), 1);
    Tensor out = tensor_zeros(&arena, DTYPE_F32, SHAPE(3, 2, 7));
    uint64_t before = flops_count();
    ck_assert(tensor_matmul(out, 1, a, b, 0));
    ck_assert_uint_eq(flops_count() - before, 2 * 3 * 2 * 5 * 7);
    arena_free(&arena);
}
END_TEST

/* The same with the panels' kernel and with what stands in for it. */
START_TEST(packed_products_count)
{
    Arena arena;
    arena_init(&arena, 0);
    Tensor a = tensor_full(&arena, DTYPE_F32, SHAPE(9, 5), 1);
    Tensor b = tensor_full(&arena, DTYPE_F32, SHAPE(5, 7), 1);
    Tensor out = tensor_zeros(&arena, DTYPE_F32, SHAPE(9, 7));
    Tensor sum = tensor_zeros(&arena, DTYPE_F32, SHAPE(7, 5));
    panels_force_fallback(_i == 1);
    Panels panels = {0};
    ck_assert(panels_pack(&panels, b));
    uint64_t before = flops_count();
    ck_assert(panels_matmul(out, a, &panels, 0, &arena));
    ck_assert_uint_eq(flops_count() - before, 2 * 9 * 5 * 7);
    before = flops_count();
    PanelsPair pairs[2] = {{out, a}, {out, a}};
    ck_assert(panels_accumulate(sum, pairs, 2, 0, &arena));
    ck_assert_uint_eq(flops_count() - before, 2 * (2 * 9) * 5 * 7);
    panels_force_fallback(false);
    panels_free(&panels);
    arena_free(&arena);
}
END_TEST

static void add(void *context, int task)
{
    (void)context;
    flops_add_product(task, 1, 1);
}

START_TEST(all_threads_count)
{
    Pool *pool = pool_new(3);
    uint64_t before = flops_count();
    pool_run(pool, add, NULL, 1000);
    ck_assert_uint_eq(flops_count() - before, 999 * 1000);
    pool_free(pool);
}
END_TEST

Suite *tensor_flops_suite(void);
Suite *tensor_flops_suite(void)
{
    Suite *suite = suite_create("tensor/flops");
    TCase *tcase = tcase_create("flops");
    tcase_add_test(tcase, products_count_two_operations_for_each_multiplication);
    tcase_add_loop_test(tcase, packed_products_count, 0, 2);
    tcase_add_test(tcase, all_threads_count);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "tensor/flops.h"
#include "tensor/arena.h"
#include "tensor/matmul.h"
#include "tensor/panels.h"
#include "tensor/pool.h"
#include "tensor/panels_internal.h"

#include <check.h>

START_TEST(products_count_two_operations_for_each_multiplication)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(3, 2, 5), 1);
    Tensor b = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(5, 7), 1);
    Tensor out = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(3, 2, 7));
    uint64_t before = tensor_flops_count();
    ck_assert(tensor_matmul(out, 1, a, b, 0));
    ck_assert_uint_eq(tensor_flops_count() - before, 2 * 3 * 2 * 5 * 7);
    tensor_arena_free(&arena);
}
END_TEST

/* Of the products out = a b and sum = out^T a. */
static TensorArena arena;
static Tensor a, b, out, sum;

static void make_operands(void)
{
    tensor_arena_init(&arena, 0);
    a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(9, 5), 1);
    b = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(5, 7), 1);
    out = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(9, 7));
    sum = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(7, 5));
}

/* The same with the panels' kernel and with what stands in for it. */
START_TEST(packed_products_count)
{
    make_operands();
    tensor_panels_force_fallback(_i == 1);
    TensorPanels panels = {0};
    ck_assert(tensor_panels_pack(&panels, b));
    uint64_t before = tensor_flops_count();
    ck_assert(tensor_panels_matmul(out, a, &panels, 0, &arena));
    ck_assert_uint_eq(tensor_flops_count() - before, 2 * 9 * 5 * 7);
    before = tensor_flops_count();
    TensorPanelsPair pairs[2] = {{out, a}, {out, a}};
    ck_assert(tensor_panels_accumulate(sum, pairs, 2, 0, &arena));
    ck_assert_uint_eq(tensor_flops_count() - before, 2 * (2 * 9) * 5 * 7);
    tensor_panels_force_fallback(false);
    tensor_panels_free(&panels);
    tensor_arena_free(&arena);
}
END_TEST

static void note(void *context, TensorProductKind kind, int64_t m, int64_t n, int64_t k)
{
    int64_t *seen = context;
    seen[4 * seen[0] + 1] = kind;
    seen[4 * seen[0] + 2] = m;
    seen[4 * seen[0] + 3] = n;
    seen[4 * seen[0] + 4] = k;
    seen[0]++;
}

START_TEST(who_watches_is_told_of_each_product)
{
    make_operands();
    TensorPanels panels = {0};
    ck_assert(tensor_panels_pack(&panels, b));
    int64_t seen[20] = {0};
    tensor_flops_watch(note, seen);
    ck_assert(tensor_matmul(out, 1, a, b, 0));
    ck_assert(tensor_panels_matmul(out, a, &panels, 0, &arena));
    ck_assert(tensor_panels_accumulate(sum, &(TensorPanelsPair){out, a}, 1, 0, &arena));
    tensor_flops_watch(NULL, NULL);
    ck_assert(tensor_matmul(out, 1, a, b, 0));
    const int64_t wanted[13] = {3, TENSOR_PRODUCT_PLAIN, 9, 7, 5, TENSOR_PRODUCT_PANELS, 9, 7,
                                5, TENSOR_PRODUCT_PAIRS, 7, 5, 9};
    ck_assert_mem_eq(seen, wanted, sizeof wanted);
    tensor_panels_free(&panels);
    tensor_arena_free(&arena);
}
END_TEST

static void add(void *context, int task)
{
    (void)context;
    tensor_flops_add_product(TENSOR_PRODUCT_PLAIN, task, 1, 1);
}

START_TEST(all_threads_count)
{
    TensorPool *pool = tensor_pool_new(3);
    uint64_t before = tensor_flops_count();
    tensor_pool_run(pool, add, NULL, 1000);
    ck_assert_uint_eq(tensor_flops_count() - before, 999 * 1000);
    tensor_pool_free(pool);
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
    tcase_add_test(tcase, who_watches_is_told_of_each_product);
    suite_add_tcase(suite, tcase);
    return suite;
}

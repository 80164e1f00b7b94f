#include "tensor/mem.h"
#include "tensor/pool.h"

#include <check.h>
#include <stdatomic.h>
#include <string.h>

enum { MOST = 1000 };

static atomic_int calls[MOST + 1], running;

static void teardown(void)
{
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static void note(void *context, int task)
{
    atomic_fetch_add(&running, 1);
    atomic_fetch_add(&calls[task], *(int *)context);
    atomic_fetch_sub(&running, 1);
}

/* On `pool`, which may be NULL: each task once, and all of them before tensor_pool_run() returns. */
static void run_each(TensorPool *pool)
{
    static const int counts[] = {0, 1, 2, 3, 63, 64, 65, 128, MOST};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        int amount = 7;
        memset(calls, 0, sizeof calls);
        tensor_pool_run(pool, note, &amount, counts[i]);
        ck_assert_int_eq(atomic_load(&running), 0);
        for (int task = 0; task <= MOST; task++)
            ck_assert_int_eq(atomic_load(&calls[task]), task < counts[i] ? 7 : 0);
    }
}

START_TEST(each_task_is_run_once)
{
    run_each(NULL);
    for (int threads = 0; threads <= 5; threads++) {
        TensorPool *pool = tensor_pool_new(threads);
        ck_assert_ptr_nonnull(pool);
        for (int round = 0; round < 4; round++)
            run_each(pool);
        tensor_pool_free(pool);
    }
    tensor_pool_free(NULL);
    ck_assert_int_ge(tensor_pool_processors(), 1);
}
END_TEST

Suite *tensor_pool_suite(void);
Suite *tensor_pool_suite(void)
{
    Suite *suite = suite_create("tensor/pool");
    TCase *c = tcase_create("pool");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, each_task_is_run_once);
    suite_add_tcase(suite, c);
    return suite;
}

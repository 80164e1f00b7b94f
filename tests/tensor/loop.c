#include "tensor/loop_internal.h"
#include "tests/tensor_support.h"

#include <check.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 6;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

START_TEST(axes_that_lie_as_one_become_one)
{
    TensorLoop loop;
    Tensor a = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3, 4)),
           turned = tensor_permute(a, (int[]){2, 0, 1});
    ck_assert(tensor_loop_init(&loop, 1, (const Tensor *[]){&a}));
    ck_assert(loop.ndim == 0 && loop.n == 24 && loop.stride[0] == 1);
    /* The same order in memory, whatever the order of the axes and their direction. */
    turned = tensor_slice(turned, 0, TENSOR_END, TENSOR_END, -1);
    ck_assert(tensor_loop_init(&loop, 2, (const Tensor *[]){&turned, &turned}));
    ck_assert(loop.ndim == 0 && loop.n == 24 && loop.stride[0] == 1 && loop.stride[1] == 1);
    ck_assert_ptr_eq(loop.data[1], a.data);
    /* A row that is broadcast: the inner axis is the row. */
    Tensor row = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(4));
    ck_assert(tensor_loop_init(&loop, 2, (const Tensor *[]){&a, &row}));
    ck_assert(loop.ndim == 1 && loop.n == 4 && loop.shape[0] == 6 && loop.step[1][0] == 0);
    /* A scalar: all of it in one run. */
    Tensor scalar = tensor_zeros(&arena, TENSOR_F32, 0, NULL);
    ck_assert(tensor_loop_init(&loop, 2, (const Tensor *[]){&a, &scalar}));
    ck_assert(loop.ndim == 0 && loop.n == 24 && loop.stride[1] == 0);
}
END_TEST

START_TEST(every_element_comes_once_with_its_partners)
{
    for (int round = 0; round < 1000; round++) {
        int64_t shape[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS], number = 0, seen = 0;
        int ndim = test_shape(&rng, 0, 5, 4, shape);
        Tensor a = test_tensor(&arena, &rng, LAYOUT_STRIDED, TENSOR_I32, ndim, shape);
        Tensor b = test_tensor(&arena, &rng, LAYOUT_STRIDED, TENSOR_F64, ndim, shape);
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index)) {
            tensor_set(&a, index, (double)number);
            tensor_set(&b, index, (double)number++);
        }
        TensorLoop loop;
        ck_assert(tensor_loop_init(&loop, 2, (const Tensor *[]){&a, &b}));
        while (tensor_loop_next(&loop))
            for (int64_t i = 0; i < loop.n; i++, seen++) {
                int32_t *x = (int32_t *)(void *)loop.data[0] + i * loop.stride[0];
                ck_assert_double_eq(*x, *((double *)(void *)loop.data[1] + i * loop.stride[1]));
                *x = -1;
            }
        ck_assert_int_eq(seen, tensor_numel(&a));
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index))
            ck_assert_double_eq(tensor_get(&a, index), -1);
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(what_cannot_be_broadcast_is_refused)
{
    TensorLoop loop;
    Tensor a = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3)), bad = tensor_invalid();
    Tensor others[] = {bad, tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(2)),
                       tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(0)), tensor_unsqueeze(a, 0)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert(!tensor_loop_init(&loop, 2, (const Tensor *[]){&a, &others[i]}));
    ck_assert(!tensor_loop_init(&loop, 2, (const Tensor *[]){&bad, &a}));
}
END_TEST

Suite *tensor_loop_suite(void);
Suite *tensor_loop_suite(void)
{
    Suite *suite = suite_create("tensor/loop");
    TCase *tcase = tcase_create("loop");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, axes_that_lie_as_one_become_one);
    tcase_add_test(tcase, every_element_comes_once_with_its_partners);
    tcase_add_test(tcase, what_cannot_be_broadcast_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

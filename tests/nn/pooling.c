#include "nn/pooling.h"
#include "autograd/gradcheck.h"
#include "tensor/mem.h"

#include <check.h>

/* Texts of 2, 3 and 1 rows, 6 in all, of width 2. */
enum { ROWS = 6, WIDTH = 2 };
static const int32_t lengths[3] = {2, 3, 1};

static Var all_pools(Tape *tape, const Var *inputs, void *context)
{
    (void)tape;
    (void)context;
    NnSequence x = nn_pack_rows(inputs[0], lengths, 3);
    Var scores = var_select(nn_pack_rows(inputs[0], lengths, 3).rows, 1, 0);
    NnSequence windows = nn_windows(x, 1, 2);
    NnSequence padded = nn_unpad(x, var_tanh(nn_pad(x)));
    return var_concat((Var[]){nn_pool_max(windows), nn_pool_mean(padded), nn_pool_weighted(x, scores, NULL)},
                      3, 1);
}

static double values[ROWS * WIDTH] = {1, -2, 3, 4, -5, 6, 7, 8.5, 9, -1.5, 0.5, 2.5};

START_TEST(test_gradients)
{
    Tensor x = tensor_from(values, TENSOR_F64, TENSOR_SHAPE(ROWS, WIDTH));
    TapeGradcheckResult result = tape_gradcheck("pooling", all_pools, NULL, &x, 1, 3);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
    ck_assert_int_eq(result.checked, ROWS * WIDTH);
}
END_TEST

static double at(Var v, int64_t i, int64_t j)
{
    Tensor t = var_value(v);
    return tensor_get(&t, (int64_t[]){i, j});
}

START_TEST(test_values)
{
    Tape *tape = tape_new();
    tape_begin(tape);
    Var rows = tape_constant(tape, tensor_from(values, TENSOR_F64, TENSOR_SHAPE(ROWS, WIDTH)));
    NnSequence x = nn_pack_rows(rows, lengths, 3);
    Var mean = nn_pool_mean(x), max = nn_pool_max(x), windows = nn_unpack(nn_windows(x, 1, 1)),
        padded = nn_pad(x);
    ck_assert_msg(tape_ok(tape), "%s", tape_status(tape)->message);
    ck_assert_double_eq_tol(at(mean, 0, 0), 2, 1e-12);
    ck_assert_double_eq_tol(at(mean, 1, 1), 13.0 / 3, 1e-12);
    ck_assert_double_eq(at(max, 1, 0), 9);
    ck_assert_double_eq(at(max, 2, 1), 2.5);
    /* The first row of text 1: nothing, itself, its next; the only one of text 2 stands alone. */
    const double first[6] = {0, 0, -5, 6, 7, 8.5}, only[6] = {0, 0, 0.5, 2.5, 0, 0};
    for (int j = 0; j < 6; j++) {
        ck_assert_double_eq(at(windows, 2, j), first[j]);
        ck_assert_double_eq(at(windows, 5, j), only[j]);
    }
    ck_assert_int_eq(var_size(padded, 1), 3);
    Tensor p = var_value(padded), mask = var_value(nn_padding_mask(x));
    ck_assert_double_eq(tensor_get(&p, (int64_t[]){0, 1, 1}), 4);
    ck_assert_double_eq(tensor_get(&p, (int64_t[]){0, 2, 0}), 0);
    ck_assert_int_eq((int)tensor_get(&mask, (int64_t[]){0, 0, 1}), 0);
    ck_assert_int_eq((int)tensor_get(&mask, (int64_t[]){0, 0, 2}), 1);
    tape_free(tape);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

Suite *nn_pooling_suite(void);
Suite *nn_pooling_suite(void)
{
    Suite *suite = suite_create("nn/pooling");
    TCase *tcase = tcase_create("pooling");
    tcase_add_test(tcase, test_gradients);
    tcase_add_test(tcase, test_values);
    suite_add_tcase(suite, tcase);
    return suite;
}

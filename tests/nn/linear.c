#include "nn/linear.h"
#include "nn/embedding.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Tensor noise(TensorDtype dtype, int64_t rows, int64_t columns)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(rows, columns));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

/* x W^T + b, element by element. */
static void check(const NnLinear *m, Tensor x, Tensor y)
{
    int64_t out = m->weight.core.value.shape[0], in = m->weight.core.value.shape[1];
    ck_assert(y.ndim == 2 && y.shape[0] == x.shape[0] && y.shape[1] == out);
    for (int64_t n = 0; n < x.shape[0]; n++)
        for (int64_t i = 0; i < out; i++) {
            double sum = m->biased ? tensor_get(&m->bias.core.value, &i) : 0;
            for (int64_t k = 0; k < in; k++)
                sum +=
                    tensor_get(&x, (int64_t[]){n, k}) * tensor_get(&m->weight.core.value, (int64_t[]){i, k});
            ck_assert_double_eq_tol(tensor_get(&y, (int64_t[]){n, i}), sum, 1e-5);
        }
}

START_TEST(it_is_a_product_and_a_bias)
{
    const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 4}, {17, 40, 33}, {64, 5, 70}};
    for (int i = 0; i < 4; i++)
        for (int biased = 0; biased < 2; biased++)
            for (int f64 = 0; f64 < 2; f64++) {
                NnLinear m;
                (biased ? nn_linear_init : nn_linear_init_without_bias)(&m, sizes[i][1], sizes[i][2]);
                ck_assert_ok(f64 ? nn_module_reset_f64(&m.base, 1) : nn_module_reset(&m.base, 1));
                ck_assert_int_eq(nn_module_count(&m.base), sizes[i][2] * (sizes[i][1] + biased));
                Tensor x = noise(f64 ? TENSOR_F64 : TENSOR_F32, sizes[i][0], sizes[i][1]);
                tape_begin(tape);
                check(&m, x, var_value(nn_linear(&m, tape_constant(tape, x))));
                nn_module_free(&m.base);
            }
}
END_TEST

/* Not fmax in the loop: gcc 12.2 for aarch64 fails inside ("in vect_transform_reduction") on its vectors. */
static double largest(Tensor t)
{
    double most = 0;
    for (int64_t i = 0; i < tensor_numel(&t); i++) {
        double x = fabs((double)tensor_f32(t)[i]);
        most = x > most ? x : most;
    }
    return most;
}

START_TEST(first_values_are_pytorchs)
{
    NnLinear m;
    nn_linear_init(&m, 64, 500);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    double most = largest(m.weight.core.value), most_bias = largest(m.bias.core.value);
    ck_assert(most <= 0.125 && most > 0.1249 && most_bias <= 0.125 && most_bias > 0.12);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(repeated_rows_give_the_same_rows)
{
    NnEmbedding table;
    NnLinear m;
    nn_embedding_init(&table, 7, 6);
    nn_linear_init(&m, 6, 9);
    ck_assert_ok(nn_module_reset(&table.base, 1));
    ck_assert_ok(nn_module_reset(&m.base, 1));
    int32_t ids[] = {3, 3, 0, 6, 3, 0, 1, 3, 6};
    Var x = nn_embedding(&table, tape_constant(tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(9))));
    Tensor whole = tensor_copy(&arena, var_value(x));
    Tensor y = var_value(nn_linear(&m, x));
    check(&m, whole, y);
    ck_assert(tensor_equal(y, var_value(nn_linear(&m, tape_constant(tape, whole))))); /* in all bits */
    nn_module_free(&m.base);
    nn_module_free(&table.base);
}
END_TEST

static Var run(Tape *t, Var input, void *context)
{
    (void)t;
    return nn_linear(context, input);
}

START_TEST(backward_agrees_with_differences)
{
    for (int biased = 0; biased < 2; biased++) {
        NnLinear m;
        (biased ? nn_linear_init : nn_linear_init_without_bias)(&m, 4, 3);
        ck_assert_ok(nn_module_reset_f64(&m.base, 1));
        check_module_gradients(&m.base, run, &m, noise(TENSOR_F64, 5, 4));
        nn_module_free(&m.base);
    }
}
END_TEST

/* A module around it, for the path in messages. */
typedef struct Net {
    NnModule base;
    NnLinear fc;
} Net;

START_TEST(shapes_that_do_not_fit_are_errors_with_path_and_place)
{
    Net net;
    nn_module_init(&net.base);
    NN_ADD(&net, fc, nn_linear_init, 4, 3);
    ck_assert_ok(nn_module_reset(&net.base, 1));
    Var y = nn_linear(&net.fc, tape_constant(tape, noise(TENSOR_F32, 5, 6)));
    ck_assert(var_is_empty(y));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "linear([5, 6], [3, 4]");
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "fc");
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/linear.c:");
    ck_assert(var_is_empty(nn_linear(&net.fc, y)));
    tape_begin(tape);
    ck_assert(var_is_empty(nn_linear(&net.fc, tape_constant(tape, noise(TENSOR_F64, 5, 4)))));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "dtypes");
    tape_begin(tape);
    ck_assert(var_is_empty(nn_linear(&net.fc, VAR_NONE)));
    nn_module_free(&net.base);
    NnLinear empty;
    nn_linear_init(&empty, 0, 3);
    ck_assert_failed(nn_module_reset(&empty.base, 0), REEL_STATUS_FAILED, "at least 1");
    nn_module_free(&empty.base);
}
END_TEST

START_TEST(a_sequence_keeps_its_layout)
{
    NnLinear m;
    nn_linear_init(&m, 4, 3);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    Tensor x = noise(TENSOR_F32, 6, 4);
    NnSequence s = nn_pack_rows(tape_constant(tape, x), (int32_t[]){1, 3, 2}, 3);
    NnSequence y = nn_linear_sequence(&m, s);
    ck_assert_ptr_eq(y.packing, s.packing);
    check(&m, x, var_value(nn_unpack(y)));
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_linear_suite(void);
Suite *nn_linear_suite(void)
{
    Suite *suite = suite_create("nn/linear");
    TCase *c = tcase_create("linear");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, it_is_a_product_and_a_bias);
    tcase_add_test(c, first_values_are_pytorchs);
    tcase_add_test(c, repeated_rows_give_the_same_rows);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, shapes_that_do_not_fit_are_errors_with_path_and_place);
    tcase_add_test(c, a_sequence_keeps_its_layout);
    suite_add_tcase(suite, c);
    return suite;
}

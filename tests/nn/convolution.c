#include "nn/convolution.h"
#include "nn/pooling.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

static Tensor noise(TensorDtype dtype, int ndim, const int64_t *shape)
{
    Tensor t = tensor_new(&arena, dtype, ndim, shape);
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

static NnConvOptions options_of(int stride, int padding, int dilation)
{
    return (NnConvOptions){.stride = stride, .padding = padding, .dilation = dilation};
}

/* ---- Against PyTorch ---- */

static Var convolve(Fixture *fixture, Var input, Var memory, void *context)
{
    NnConv *m = context;
    (void)fixture, (void)memory;
    return m->base.forward(&m->base, input);
}

START_TEST(convolutions_are_pytorchs)
{
    NnConv m;
    nn_conv1d_init(&m, 3, 4, 3, options_of(2, 2, 2));
    check_module_with_pytorch("conv1d", &m.base, convolve, &m);
    nn_module_free(&m.base);
    nn_conv2d_init(&m, 2, 3, 3, 2, options_of(2, 1, 2));
    check_module_with_pytorch("conv2d", &m.base, convolve, &m);
    nn_module_free(&m.base);
}
END_TEST

static Var flat(Var x)
{
    int64_t count = 1;
    for (int i = 0; i < var_ndim(x); i++)
        count *= var_size(x, i);
    return var_reshape(x, TENSOR_SHAPE(count));
}

static Var pools(Fixture *fixture, Var x, Var memory, void *context)
{
    (void)fixture, (void)memory, (void)context;
    Var line = var_reshape(x, TENSOR_SHAPE(var_size(x, 0), var_size(x, 1), var_size(x, 2) * var_size(x, 3)));
    Var all[] = {flat(nn_max_pool2d(x, 2, 2, 0)),    flat(nn_max_pool2d(x, 3, 2, 1)),
                 flat(nn_avg_pool2d(x, 3, 2, 1)),    flat(nn_avg_pool2d(x, 2, 1, 0)),
                 flat(nn_max_pool1d(line, 3, 2, 1)), flat(nn_avg_pool1d(line, 4, 3, 2))};
    return var_concat(all, 6, 0);
}

START_TEST(pools_are_pytorchs)
{
    NnModule none;
    nn_module_init(&none);
    check_module_with_pytorch("pools", &none, pools, NULL);
}
END_TEST

START_TEST(first_values_are_pytorchs)
{
    NnConv2d m;
    nn_conv2d_init(&m, 4, 8, 3, 3, nn_conv_options());
    ck_assert_ok(nn_module_reset(&m.base, 1));
    double most = 0;
    for (int64_t i = 0; i < 8 * 4 * 9; i++)
        most = fmax(most, fabs((double)tensor_f32(m.weight.core.value)[i]));
    ck_assert(most <= 1.0 / 6 && most > 0.95 / 6);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Over words ---- */

enum { TEXTS = 3, ROWS = 8 };
static const int32_t lengths[TEXTS] = {3, 1, 4};

/* A text by itself is a line of PyTorch's layout, with the zeros beyond its ends. */
START_TEST(over_words_it_is_the_same_within_each_text)
{
    for (int padding = 0; padding < 3; padding++) {
        NnConv1d m;
        nn_conv1d_init(&m, 2, 3, 3, options_of(1, padding, 1));
        ck_assert_ok(nn_module_reset_f64(&m.base, 1));
        tape_begin(tape);
        Tensor x = noise(TENSOR_F64, 2, (int64_t[]){ROWS, 2});
        NnSequence text = nn_pack_rows(tape_constant(tape, x), lengths, TEXTS);
        Tensor rows = var_value(nn_unpack(nn_conv1d_sequence(&m, text)));
        m.options.padding = 2;
        for (int64_t b = 0, first = 0; b < TEXTS; first += lengths[b++]) {
            Tensor own = tensor_slice(x, 0, first, first + lengths[b], 1); /* [T, 2] */
            Var line =
                var_reshape(var_transpose(tape_constant(tape, own), 0, 1), TENSOR_SHAPE(1, 2, lengths[b]));
            Tensor all = var_value(nn_conv1d(&m, line)); /* [1, 3, T + 2], of windows that begin at -2 */
            ck_assert_tape_ok(tape);
            for (int64_t t = 0; t < lengths[b]; t++)
                for (int64_t k = 0; k < 3; k++)
                    ck_assert_double_eq_tol(tensor_get(&rows, (int64_t[]){first + t, k}),
                                            tensor_get(&all, (int64_t[]){0, k, t + 2 - padding}), 1e-14);
        }
        nn_module_free(&m.base);
    }
}
END_TEST

/* ---- Gradients ---- */

static Var run_conv(Tape *t, Var input, void *context)
{
    NnConv *m = context;
    (void)t;
    return m->base.forward(&m->base, input);
}

static Var run_words(Tape *t, Var input, void *context)
{
    (void)t;
    return nn_conv1d_sequence(context, nn_pack_rows(input, lengths, TEXTS)).rows;
}

START_TEST(backward_agrees_with_differences)
{
    for (int padding = 0; padding < 2; padding++)
        for (int stride = 1; stride < 3; stride++) {
            NnConv m;
            nn_conv2d_init(&m, 2, 3, 2, 3, options_of(stride, padding, 1 + padding));
            ck_assert_ok(nn_module_reset_f64(&m.base, 1));
            check_module_gradients(&m.base, run_conv, &m, noise(TENSOR_F64, 4, (int64_t[]){2, 2, 4, 5}));
            nn_module_free(&m.base);
        }
    NnConv1d m;
    nn_conv1d_init(&m, 2, 3, 3, options_of(1, 1, 1));
    ck_assert_ok(nn_module_reset_f64(&m.base, 1));
    check_module_gradients(&m.base, run_words, &m, noise(TENSOR_F64, 2, (int64_t[]){ROWS, 2}));
    nn_module_free(&m.base);
}
END_TEST

/* ---- Errors ---- */

static void must_fail(Var y, const char *part)
{
    ck_assert(var_is_empty(y));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, part);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/convolution.c:");
    tape_begin(tape);
}

START_TEST(what_does_not_fit_is_an_error)
{
    NnConv2d m;
    nn_conv2d_init(&m, 2, 3, 3, 3, nn_conv_options());
    ck_assert_ok(nn_module_reset(&m.base, 1));
    must_fail(nn_conv2d(&m, tape_constant(tape, noise(TENSOR_F32, 3, (int64_t[]){2, 5, 5}))),
              "4 axes, not 3");
    must_fail(nn_conv2d(&m, tape_constant(tape, noise(TENSOR_F32, 4, (int64_t[]){1, 3, 5, 5}))),
              "3 channels, not 2");
    must_fail(nn_conv2d(&m, tape_constant(tape, noise(TENSOR_F32, 4, (int64_t[]){1, 2, 5, 2}))),
              "a window of 3 x 3 does not fit into 5 x 2");
    m.options.stride = 0;
    must_fail(nn_conv2d(&m, tape_constant(tape, noise(TENSOR_F32, 4, (int64_t[]){1, 2, 5, 5}))),
              "conv2d: the stride is 0 and must be at least 1");
    Tensor line = noise(TENSOR_F32, 3, (int64_t[]){1, 2, 5});
    must_fail(nn_max_pool1d(tape_constant(tape, line), 2, 2, 2), "more than half a kernel of 2");
    must_fail(nn_avg_pool1d(tape_constant(tape, line), 0, 2, 0), "the kernel is 0 and must be at least 1");
    must_fail(nn_avg_pool1d(tape_constant(tape, line), 2000, 1, 0), "must have at most 1024 elements");
    must_fail(nn_avg_pool1d(tape_constant(tape, line), 6, 1, 0), "does not fit");
    nn_module_free(&m.base);
    nn_conv1d_init(&m, 2, 3, 3, options_of(2, 1, 1));
    ck_assert_ok(nn_module_reset(&m.base, 1));
    NnSequence text =
        nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, 2, (int64_t[]){ROWS, 2})), lengths, TEXTS);
    must_fail(nn_conv1d_sequence(&m, text).rows, "stride and dilation of 1");
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_convolution_suite(void);
Suite *nn_convolution_suite(void)
{
    Suite *suite = suite_create("nn/convolution");
    TCase *c = tcase_create("convolution");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, convolutions_are_pytorchs);
    tcase_add_test(c, pools_are_pytorchs);
    tcase_add_test(c, first_values_are_pytorchs);
    tcase_add_test(c, over_words_it_is_the_same_within_each_text);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

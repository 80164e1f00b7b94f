#include "tensor/elementwise.h"
#include "tests/tensor_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

static TensorArena arena;
static TestRandom rng;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
    rng.state = 2;
}

static void teardown(void)
{
    tensor_arena_free(&arena);
}

static double naive_unary(TensorUnaryOp op, double x)
{
    switch (op) {
    case TENSOR_UNARY_NEG:
        return -x;
    case TENSOR_UNARY_EXP:
        return exp(x);
    case TENSOR_UNARY_LOG:
        return log(x);
    case TENSOR_UNARY_SQRT:
        return sqrt(x);
    case TENSOR_UNARY_ABS:
        return fabs(x);
    case TENSOR_UNARY_SIGN:
        return isnan(x) ? x : x > 0 ? 1 : x < 0 ? -1 : 0;
    case TENSOR_UNARY_RELU:
        return isnan(x) ? x : fmax(x, 0);
    case TENSOR_UNARY_TANH:
        return tanh(x);
    case TENSOR_UNARY_SIGMOID:
        return 1 / (1 + exp(-x));
    case TENSOR_UNARY_SOFTPLUS:
        return x > 30 ? x : log1p(exp(x));
    case TENSOR_UNARY_SQUARE:
        return x * x;
    case TENSOR_UNARY_RECIPROCAL:
        return 1 / x;
    case TENSOR_UNARY_RSQRT:
        return 1 / sqrt(x);
    case TENSOR_UNARY_LOG1P:
        return log1p(x);
    case TENSOR_UNARY_EXPM1:
        return expm1(x);
    case TENSOR_UNARY_SIN:
        return sin(x);
    case TENSOR_UNARY_COS:
        return cos(x);
    case TENSOR_UNARY_ERF:
        return erf(x);
    case TENSOR_UNARY_TAN:
        return tan(x);
    case TENSOR_UNARY_ASIN:
        return asin(x);
    case TENSOR_UNARY_ACOS:
        return acos(x);
    case TENSOR_UNARY_ATAN:
        return atan(x);
    case TENSOR_UNARY_SINH:
        return sinh(x);
    case TENSOR_UNARY_COSH:
        return cosh(x);
    case TENSOR_UNARY_ASINH:
        return asinh(x);
    case TENSOR_UNARY_ACOSH:
        return acosh(x);
    case TENSOR_UNARY_ATANH:
        return atanh(x);
    case TENSOR_UNARY_EXP2:
        return exp2(x);
    case TENSOR_UNARY_LOG2:
        return log2(x);
    case TENSOR_UNARY_LOG10:
        return log10(x);
    case TENSOR_UNARY_ERFC:
        return erfc(x);
    case TENSOR_UNARY_FLOOR:
        return floor(x);
    case TENSOR_UNARY_CEIL:
        return ceil(x);
    case TENSOR_UNARY_TRUNC:
        return trunc(x);
    case TENSOR_UNARY_ROUND:
        return rint(x);
    case TENSOR_UNARY_GELU:
        return x * (erfc(-x / sqrt(2)) / 2);
    case TENSOR_UNARY_SILU:
        return x * (x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)));
    case TENSOR_UNARY_LOGSIGMOID:
        return x < -30 ? x : -log1p(exp(-x));
    /* With 0 for parameters, as tensor_unary() has it. */
    case TENSOR_UNARY_SCALE:
        return 0 * x;
    case TENSOR_UNARY_LEAKY_RELU:
        return x > 0 ? x : 0 * x;
    case TENSOR_UNARY_ELU:
        return x > 0 ? x : 0 * expm1(x);
    case TENSOR_UNARY_CLAMP:
        return isnan(x) ? x : 0;
    default:
        ck_abort_msg("function %d has no case", op);
    }
    return NAN;
}

static double naive_binary(TensorBinaryOp op, double x, double y)
{
    switch (op) {
    case TENSOR_BINARY_ADD:
        return x + y;
    case TENSOR_BINARY_SUB:
        return x - y;
    case TENSOR_BINARY_MUL:
        return x * y;
    case TENSOR_BINARY_DIV:
        return x / y;
    case TENSOR_BINARY_POW:
        return pow(x, y);
    case TENSOR_BINARY_MAXIMUM:
        return isnan(x) || isnan(y) ? NAN : fmax(x, y);
    case TENSOR_BINARY_MINIMUM:
        return isnan(x) || isnan(y) ? NAN : fmin(x, y);
    case TENSOR_BINARY_ATAN2:
        return atan2(x, y);
    case TENSOR_BINARY_HYPOT:
        return hypot(x, y);
    case TENSOR_BINARY_GREATER:
        return x > y;
    case TENSOR_BINARY_GREATER_EQUAL:
        return x >= y;
    case TENSOR_BINARY_LESS:
        return x < y;
    case TENSOR_BINARY_LESS_EQUAL:
        return x <= y;
    case TENSOR_BINARY_NOT_EQUAL:
        return x != y;
    case TENSOR_BINARY_EQUAL:
        return x == y;
    default:
        ck_abort_msg("function %d has no case", op);
    }
    return NAN;
}

/* Within a few units in the last place, NaN where NaN is expected. */
static void assert_close(TensorDtype dtype, double value, double expected)
{
    if (isnan(expected) || isinf(expected)) {
        ck_assert(isnan(expected) ? isnan(value) : value == expected);
        return;
    }
    double tolerance =
        (dtype == TENSOR_F32 ? 4e-7 : 1e-14) * fmax(fabs(expected), dtype == TENSOR_F32 ? 1e-30 : 1e-300);
    ck_assert_msg(fabs(value - expected) <= tolerance, "%.17g instead of %.17g", value, expected);
}

/* An operand that can be broadcast to the shape. */
static Tensor random_operand(TensorDtype dtype, int ndim, const int64_t *shape)
{
    int64_t narrower[TENSOR_MAX_DIMS];
    int less = test_narrower_shape(&rng, ndim, shape, narrower);
    return test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 3), dtype, less, narrower);
}

/* 0 and other values, about as often. */
static Tensor random_condition(int ndim, const int64_t *shape)
{
    Tensor t = random_operand(TENSOR_I32, ndim, shape);
    int64_t index[TENSOR_MAX_DIMS];
    for (bool more = test_first(t.ndim, t.shape, index); more; more = test_next(t.ndim, t.shape, index))
        if (test_below(&rng, 2))
            tensor_set(&t, index, 0);
    return t;
}

static TensorDtype random_dtype(void)
{
    return test_below(&rng, 2) ? TENSOR_F32 : TENSOR_F64;
}

static Tensor random_output(TensorDtype dtype, int ndim, const int64_t *shape)
{
    return test_tensor(&arena, &rng, (TestLayout)test_below(&rng, 2), dtype, ndim, shape);
}

START_TEST(unary_functions_agree_with_plain_loops)
{
    for (int round = 0; round < 4000; round++) {
        TensorUnaryOp op = (TensorUnaryOp)(round % TENSOR_UNARY_COUNT);
        TensorDtype dtype = random_dtype();
        int64_t shape[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = round % 10 ? test_shape(&rng, 0, 4, 6, shape) : test_shape(&rng, 1, 1, 1000, shape);
        Tensor a = random_operand(dtype, ndim, shape), out = random_output(dtype, ndim, shape);
        TestBlock block = test_last_block(&arena);
        bool in_place = test_below(&rng, 4) == 0;
        Tensor wide = tensor_copy(&arena, in_place ? out : tensor_expand(a, ndim, shape));
        ck_assert(tensor_unary(op, out, in_place ? out : a));
        ck_assert(test_outside_is_unchanged(&block, out));
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index))
            assert_close(dtype, tensor_get(&out, index), naive_unary(op, tensor_get(&wide, index)));
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(binary_functions_agree_with_plain_loops)
{
    for (int round = 0; round < 6000; round++) {
        TensorBinaryOp op = (TensorBinaryOp)(round % TENSOR_BINARY_COUNT);
        TensorDtype dtype = random_dtype();
        int64_t shape[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = test_shape(&rng, 0, 4, 6, shape), in_place = (int)test_below(&rng, 6);
        Tensor a = random_operand(dtype, ndim, shape), b = random_operand(dtype, ndim, shape);
        if (op == TENSOR_BINARY_EQUAL && test_below(&rng, 2))
            b = a;
        Tensor out = random_output(dtype, ndim, shape);
        TestBlock block = test_last_block(&arena);
        if (in_place & 1)
            a = out;
        if (in_place & 2)
            b = out;
        Tensor wide_a = tensor_copy(&arena, tensor_expand(a, ndim, shape));
        Tensor wide_b = tensor_copy(&arena, tensor_expand(b, ndim, shape));
        ck_assert(tensor_binary(op, out, a, b));
        ck_assert(test_outside_is_unchanged(&block, out));
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index))
            assert_close(dtype, tensor_get(&out, index),
                         naive_binary(op, tensor_get(&wide_a, index), tensor_get(&wide_b, index)));
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(accumulation_and_selection_agree_with_plain_loops)
{
    const double factors[] = {0, 1, -1, 0.3};
    for (int round = 0; round < 4000; round++) {
        TensorDtype dtype = random_dtype();
        int64_t shape[TENSOR_MAX_DIMS], index[TENSOR_MAX_DIMS];
        int ndim = test_shape(&rng, 0, 4, 6, shape), which = round % 3;
        double alpha = factors[test_below(&rng, 4)], beta = factors[test_below(&rng, 4)];
        Tensor a = random_operand(dtype, ndim, shape), b = random_operand(dtype, ndim, shape);
        Tensor condition = random_condition(ndim, shape);
        Tensor out = random_output(dtype, ndim, shape);
        TestBlock block = test_last_block(&arena);
        if (test_below(&rng, 4) == 0)
            a = out;
        Tensor wide_a = tensor_copy(&arena, tensor_expand(a, ndim, shape)), before = tensor_copy(&arena, out);
        Tensor wide_b = tensor_expand(b, ndim, shape), wide_c = tensor_expand(condition, ndim, shape);
        ck_assert(which == 0   ? tensor_axpby(out, alpha, a, beta)
                  : which == 1 ? tensor_addcmul(out, alpha, a, b)
                               : tensor_where(out, condition, a, b));
        ck_assert(test_outside_is_unchanged(&block, out));
        for (bool more = test_first(ndim, shape, index); more; more = test_next(ndim, shape, index)) {
            double x = tensor_get(&wide_a, index), y = tensor_get(&wide_b, index),
                   o = tensor_get(&before, index);
            double expected = which == 0                        ? alpha * x + beta * o
                              : which == 1                      ? o + alpha * x * y
                              : tensor_get(&wide_c, index) != 0 ? x
                                                                : y;
            ck_assert_double_eq_tol(tensor_get(&out, index), expected, dtype == TENSOR_F32 ? 3e-7 : 1e-15);
        }
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(beta_zero_does_not_read_the_output)
{
    Tensor out = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(9), NAN),
           a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(9), 2);
    ck_assert(tensor_axpby(out, 3, a, 0));
    for (int i = 0; i < 9; i++)
        ck_assert_float_eq(tensor_f32(out)[i], 6);
}
END_TEST

/* The bits of a result depend on its operands, not on where they lie. */
START_TEST(every_layout_gives_the_same_bits)
{
    for (int round = 0; round < 3000; round++) {
        TensorDtype dtype = random_dtype();
        int64_t shape[TENSOR_MAX_DIMS];
        int ndim = round % 4 ? test_shape(&rng, 1, 3, 12, shape) : test_shape(&rng, 1, 1, 700, shape);
        Tensor a = random_operand(dtype, ndim, shape), b = random_operand(dtype, ndim, shape);
        Tensor plain_a = tensor_copy(&arena, tensor_expand(a, ndim, shape));
        Tensor plain_b = tensor_copy(&arena, tensor_expand(b, ndim, shape));
        Tensor plain = tensor_zeros(&arena, dtype, ndim, shape);
        Tensor out = test_tensor(&arena, &rng, LAYOUT_STRIDED, dtype, ndim, shape);
        tensor_fill(plain, 0.7);
        tensor_fill(out, 0.7);
        TensorUnaryOp unary = (TensorUnaryOp)(round % TENSOR_UNARY_COUNT);
        TensorBinaryOp binary = (TensorBinaryOp)(round % TENSOR_BINARY_COUNT);
        switch (test_below(&rng, 4)) {
        case 0:
            ck_assert(tensor_unary(unary, plain, plain_a) && tensor_unary(unary, out, a));
            break;
        case 1:
            ck_assert(tensor_binary(binary, plain, plain_a, plain_b) && tensor_binary(binary, out, a, b));
            break;
        case 2:
            ck_assert(tensor_axpby(plain, 0.3, plain_a, 0.1) && tensor_axpby(out, 0.3, a, 0.1));
            break;
        default:
            ck_assert(tensor_addcmul(plain, 0.3, plain_a, plain_b) && tensor_addcmul(out, 0.3, a, b));
        }
        ck_assert(tensor_equal(plain, tensor_copy(&arena, out)));
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(special_values)
{
    const double inf = INFINITY, nan = NAN;
    const double values[] = {0.0, -0.0, 1, -1, 40, -40, 800, -800, inf, -inf, nan};
    for (int d = 0; d < 2; d++) {
        TensorDtype dtype = d ? TENSOR_F64 : TENSOR_F32;
        Tensor x = tensor_cast(&arena, tensor_from((void *)values, TENSOR_F64, TENSOR_SHAPE(11)), dtype);
        Tensor out = tensor_zeros(&arena, dtype, TENSOR_SHAPE(11));
        Tensor grid = tensor_zeros(&arena, dtype, TENSOR_SHAPE(11, 11));
        for (int op = 0; op < TENSOR_UNARY_COUNT; op++) {
            ck_assert(tensor_unary((TensorUnaryOp)op, out, x));
            for (int64_t i = 0; i < 11; i++) {
                double expected = naive_unary((TensorUnaryOp)op, values[i]);
                if (dtype == TENSOR_F32 && fabs(expected) < 1e-37 && expected != 0) /* denormal or zero */
                    ck_assert_double_lt(fabs(tensor_get(&out, &i)), 1e-37);
                else
                    assert_close(dtype, tensor_get(&out, &i),
                                 dtype == TENSOR_F32 ? (float)expected : expected);
            }
        }
        for (int op = 0; op < TENSOR_BINARY_COUNT; op++) {
            ck_assert(tensor_binary((TensorBinaryOp)op, grid, tensor_unsqueeze(x, 1), x));
            for (int64_t i = 0; i < 11; i++)
                for (int64_t j = 0; j < 11; j++) {
                    double expected = naive_binary((TensorBinaryOp)op, values[i], values[j]);
                    assert_close(dtype, tensor_get(&grid, (int64_t[]){i, j}),
                                 dtype == TENSOR_F32 ? (float)expected : expected);
                }
        }
    }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_nothing_is_written)
{
    Tensor a = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 1),
           f64 = tensor_full(&arena, TENSOR_F64, TENSOR_SHAPE(2, 3), 1);
    Tensor i32 = tensor_full(&arena, TENSOR_I32, TENSOR_SHAPE(2, 3), 1), bad = tensor_invalid();
    Tensor out = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(2, 3), 5), expected = tensor_copy(&arena, out);
    Tensor four = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(4), 1);
    Tensor broadcast = tensor_expand(tensor_slice(out, 0, 0, 1, 1), TENSOR_SHAPE(2, 3));
    Tensor wrong[] = {f64, i32, bad, four, tensor_unsqueeze(a, 0), tensor_transpose(a, 0, 1)};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert(!tensor_unary(TENSOR_UNARY_NEG, out, wrong[i]));
        ck_assert(!tensor_binary(TENSOR_BINARY_ADD, out, a, wrong[i]) &&
                  !tensor_binary(TENSOR_BINARY_ADD, out, wrong[i], a));
        ck_assert(!tensor_axpby(out, 1, wrong[i], 1) && !tensor_axpby(out, 2, wrong[i], 1));
        ck_assert(!tensor_addcmul(out, 1, a, wrong[i]) && !tensor_addcmul(out, 1, wrong[i], a));
        ck_assert(!tensor_where(out, i32, a, wrong[i]) && !tensor_where(out, i32, wrong[i], a));
        ck_assert(wrong[i].dtype == TENSOR_I32 || !tensor_where(out, wrong[i], a, a));
    }
    Tensor outputs[] = {broadcast, i32, bad};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        ck_assert(!tensor_unary(TENSOR_UNARY_NEG, outputs[i], outputs[i]));
        ck_assert(!tensor_binary(TENSOR_BINARY_ADD, outputs[i], outputs[i], outputs[i]));
        ck_assert(!tensor_axpby(outputs[i], 1, outputs[i], 1) && !tensor_axpby(outputs[i], 2, outputs[i], 1));
        ck_assert(!tensor_addcmul(outputs[i], 1, outputs[i], outputs[i]));
        ck_assert(!tensor_where(outputs[i], i32, outputs[i], outputs[i]));
    }
    ck_assert(!tensor_unary((TensorUnaryOp)99, out, a) && !tensor_unary((TensorUnaryOp)-1, out, a));
    ck_assert(!tensor_binary((TensorBinaryOp)99, out, a, a));
    ck_assert(tensor_equal(out, expected));
}
END_TEST

Suite *tensor_elementwise_suite(void);
Suite *tensor_elementwise_suite(void)
{
    Suite *suite = suite_create("tensor/elementwise");
    TCase *tcase = tcase_create("elementwise");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, unary_functions_agree_with_plain_loops);
    tcase_add_test(tcase, binary_functions_agree_with_plain_loops);
    tcase_add_test(tcase, accumulation_and_selection_agree_with_plain_loops);
    tcase_add_test(tcase, beta_zero_does_not_read_the_output);
    tcase_add_test(tcase, every_layout_gives_the_same_bits);
    tcase_add_test(tcase, special_values);
    tcase_add_test(tcase, what_does_not_fit_is_refused_and_nothing_is_written);
    suite_add_tcase(suite, tcase);
    return suite;
}

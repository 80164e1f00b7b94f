#include "tests/autograd_support.h"
#include "tensor/random.h"

#include <math.h>

Tensor test_values(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, const double *values)
{
    Tensor t = tensor_new(tape_arena(tape), dtype, ndim, shape);
    for (int64_t i = 0, n = tensor_numel(&t); i < n; i++) {
        if (dtype == TENSOR_F64)
            tensor_f64(t)[i] = values[i];
        else if (dtype == TENSOR_F32)
            tensor_f32(t)[i] = (float)values[i];
        else
            tensor_i32(t)[i] = (int32_t)values[i];
    }
    return t;
}

Tensor test_count_up(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape)
{
    double numbers[1000];
    for (int i = 0; i < 1000; i++)
        numbers[i] = i + 1;
    return test_values(tape, dtype, ndim, shape, numbers);
}

Var test_numbers(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, uint64_t seed)
{
    Tensor t = tensor_new(tape_arena(tape), dtype, ndim, shape);
    TensorRandom random = tensor_random_new(seed, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return tape_leaf(tape, t);
}

void test_expect(const char *place, int line, Tensor t, int count, const double *wanted, double tolerance)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ck_assert_msg(tensor_is_valid(t), "%s:%d: no tensor", place, line);
    Tensor wide = tensor_cast(&arena, t, TENSOR_F64);
    ck_assert_msg(tensor_numel(&wide) == count, "%s:%d: %lld numbers, not %d", place, line,
                  (long long)tensor_numel(&wide), count);
    for (int i = 0; i < count; i++) {
        double got = tensor_f64(wide)[i];
        bool same = (isnan(got) && isnan(wanted[i])) || got == wanted[i] ||
                    fabs(got - wanted[i]) <= tolerance * fmax(1, fabs(wanted[i]));
        ck_assert_msg(same, "%s:%d: number %d is %.10g, not %.10g", place, line, i, got, wanted[i]);
    }
    tensor_arena_free(&arena);
}

void test_expect_same(const char *place, int line, Tensor t, Tensor wanted, double tolerance)
{
    ck_assert_msg(tensor_same_shape(&t, &wanted), "%s:%d: other shapes", place, line);
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor wide = tensor_cast(&arena, wanted, TENSOR_F64);
    test_expect(place, line, t, (int)tensor_numel(&wide), tensor_f64(wide), tolerance);
    tensor_arena_free(&arena);
}

void test_expect_error(const char *place, int line, const Tape *tape, const char *const *parts)
{
    ck_assert_msg(!tape_ok(tape), "%s:%d: no error was recorded", place, line);
    const char *message = tape_status(tape)->message;
    for (; *parts; parts++)
        ck_assert_msg(strstr(message, *parts), "%s:%d: \"%s\" does not say \"%s\"", place, line, message,
                      *parts);
}

/* What the suites of autograd/ share: tensors of given numbers, and comparing with given numbers. */
#ifndef REEL_TESTS_AUTOGRAD_SUPPORT_H
#define REEL_TESTS_AUTOGRAD_SUPPORT_H

#include "autograd/ops.h"

#include <check.h>
#include <string.h>

/* `values` in C order, as f64, f32 or i32, in the arena of the tape's step. */
Tensor test_values(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, const double *values);
/* The numbers 1, 2, 3, ... */
Tensor test_count_up(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape);
/* A leaf of numbers from -1 to 1 that `seed` decides. */
Var test_numbers(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, uint64_t seed);
/* The same values and shape. */
void test_expect_same(const char *place, int line, Tensor t, Tensor wanted, double tolerance);
void test_expect(const char *place, int line, Tensor t, int count, const double *wanted, double tolerance);

#define NUMBERS(...) ((const double[]){__VA_ARGS__})
#define SCALAR       0, NULL
/* A leaf of f64. */
#define LEAF(tape, shape, ...) tape_leaf(tape, test_values(tape, TENSOR_F64, shape, NUMBERS(__VA_ARGS__)))
#define INDEX(tape, shape, ...)                                                                              \
    tape_constant(tape, test_values(tape, TENSOR_I32, shape, NUMBERS(__VA_ARGS__)))
#define expect(t, tolerance, ...)                                                                            \
    test_expect(__FILE__, __LINE__, t, (int)(sizeof NUMBERS(__VA_ARGS__) / sizeof(double)),                  \
                NUMBERS(__VA_ARGS__), tolerance)
#define expect_same(t, wanted, tolerance) test_expect_same(__FILE__, __LINE__, t, wanted, tolerance)
#define assert_ok(tape)                   ck_assert_msg(tape_ok(tape), "%s", tape_status(tape)->message)
/* An error is recorded whose message has all of the parts. */
#define assert_fails(tape, ...)                                                                              \
    test_expect_error(__FILE__, __LINE__, tape, (const char *[]){__VA_ARGS__, NULL})
void test_expect_error(const char *place, int line, const Tape *tape, const char *const *parts);

#endif

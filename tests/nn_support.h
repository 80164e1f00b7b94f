/* What the suites of nn/ and models/ share: fixtures made with PyTorch, gradients by name, and a gradient
 * check over a module's parameters. */
#ifndef REEL_TESTS_NN_SUPPORT_H
#define REEL_TESTS_NN_SUPPORT_H

#include "nn/nn.h"
#include "tensor/storage/npz_reader.h"
#include "tests/text_support.h"

#include <check.h>

/* A file of tests/fixtures/pytorch; its tensors live until fixture_close(). */
typedef struct Fixture {
    TensorNpz *npz;
    TensorArena arena;
} Fixture;

Fixture fixture_open(const char *name);
void fixture_close(Fixture *fixture);
/* Fails the test where there is none. The name is printf-style. */
Tensor fixture_tensor(Fixture *fixture, const char *format, ...) REEL_PRINTF(2, 3);
double fixture_number(Fixture *fixture, const char *name);
bool fixture_has(const Fixture *fixture, const char *name);
/* Asserts that the fixture's parameters have the names, shapes and order of the module's, and copies them. */
void fixture_load(Fixture *fixture, NnModule *module);

/* Compares a module with a fixture, in f32 and in f64: what `function` makes of reel/input (and reel/memory,
 * where there is one) with reel/output, and for reel/grad_output the gradients of both, and of each
 * parameter, with reel/grad_input, reel/grad_memory and reel/grad/NAME. The module is initialised and has no
 * values. */
typedef Var FixtureFunction(Fixture *fixture, Var input, Var memory, void *context);
void check_module_with_pytorch(const char *fixture, NnModule *module, FixtureFunction *function,
                               void *context);

/* The gradient of one named parameter, dense, as f64, in `arena`; zeros where there is none. */
Tensor named_gradient(Tape *tape, const NnNamed *named, TensorArena *arena);

/* The largest |a - b|; infinite where shapes differ or a value is not finite. */
double largest_difference(Tensor a, Tensor b);
/* |a - b|_2 / |b|_2 (|a - b|_2 where b is 0). */
double norm_difference(Tensor a, Tensor b);

#define ck_assert_tape_ok(tape) ck_assert_msg(tape_ok(tape), "%s", tape_status(tape)->message)
#define ck_assert_close(a, b, limit)                                                                         \
    do {                                                                                                     \
        double difference_ = largest_difference(a, b);                                                       \
        ck_assert_msg(difference_ <= (limit), "%s is off by %g, more than %g", #a, difference_,              \
                      (double)(limit));                                                                      \
    } while (0)
#define ck_assert_norm_close(a, b, limit, name)                                                              \
    do {                                                                                                     \
        double difference_ = norm_difference(a, b);                                                          \
        ck_assert_msg(difference_ <= (limit), "%s: off by %g of the norm, more than %g", name, difference_,  \
                      (double)(limit));                                                                      \
    } while (0)

/* Checks backward against central differences (five points) for every element of every parameter of an f64
 * module and of `input` (f64, may be invalid): signed, within 1e-6 of the larger of the two values and of
 * 1e-3 of the largest gradient of that tensor. The function's result is summed with random weights. */
typedef Var ModuleFunction(Tape *tape, Var input, void *context);
void check_module_gradients(NnModule *module, ModuleFunction *function, void *context, Tensor input);

/* How often to try: `full` times, or a tenth of it where sanitizers make all slow. */
int test_rounds(int full);

#endif

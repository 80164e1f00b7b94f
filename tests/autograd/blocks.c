/* Memory of gradients in a walk: what nobody reads any more is used again, and what somebody keeps is not. */
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>
#include <string.h>

enum { NUMBERS = 4096, DEEP = 40 };

static Var wide(double value)
{
    return tape_leaf(tape, tensor_full(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(NUMBERS), value));
}

/* a = sin^n(0.5) and what comes of it: the derivative is the product of all cosines. */
static Var chain(Var a, int count, Var *middle)
{
    for (int i = 0; i < count; i++) {
        a = var_sin(a);
        if (middle && i == count / 2)
            *middle = a;
    }
    return var_sum(a, TENSOR_AXES_ALL, false);
}

static void assert_all(Tensor t, double value)
{
    ck_assert(tensor_is_valid(t));
    for (int64_t i = 0; i < NUMBERS; i++)
        ck_assert_double_eq_tol(tensor_get(&t, &i), value, 1e-12);
}

/* d sin^count / da at 0.5, from step `from` on. */
static double slope_of(int count, int from)
{
    double a = 0.5, slope = 1;
    for (int i = 0; i < count; i++) {
        slope *= i >= from ? cos(a) : 1;
        a = sin(a);
    }
    return slope;
}

START_TEST(gradients_of_a_long_chain_take_the_memory_of_few)
{
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        tape_begin(tape);
        Var a = wide(0.5), loss = chain(a, i ? 2 * DEEP : DEEP, NULL);
        size_t before = tape_arena(tape)->used;
        ck_assert(tape_backward(loss));
        bytes[i] = tape_arena(tape)->used - before;
        assert_all(var_grad(a), slope_of(i ? 2 * DEEP : DEEP, 0));
    }
    ck_assert_msg(bytes[1] < bytes[0] + NUMBERS * sizeof(double), "%zu and %zu bytes", bytes[0], bytes[1]);
    ck_assert_msg(bytes[1] < 6 * NUMBERS * sizeof(double), "%zu bytes", bytes[1]);
}
END_TEST

static Var shown;
static void show(Var gradient, void *context)
{
    (void)context;
    shown = gradient;
}

START_TEST(what_is_kept_stays)
{
    Var a = wide(0.5), middle = VAR_NONE, hooked = VAR_NONE;
    Var loss = chain(a, DEEP, &middle);
    var_retain_grad(middle);
    Var other = chain(var_add(middle, a), DEEP / 2, &hooked);
    var_set_hook(hooked, show, NULL);
    ck_assert(tape_backward(loss));
    double first = slope_of(DEEP, 0), inner = slope_of(DEEP, DEEP / 2 + 1);
    assert_all(var_grad(a), first);
    assert_all(var_grad(middle), inner);
    ck_assert(tape_backward(other)); /* over half of the same values */
    double sum = 0.5;
    for (int i = 0; i <= DEEP / 2; i++)
        sum = sin(sum);
    sum += 0.5; /* middle + a */
    double slope = 1, behind = 1;
    for (int i = 0; i < DEEP / 2; i++) {
        slope *= cos(sum);
        behind *= i > DEEP / 4 ? cos(sum) : 1;
        sum = sin(sum);
    }
    assert_all(var_grad(middle), inner + slope);
    assert_all(var_grad(a), first + slope + slope * slope_of(DEEP / 2 + 1, 0));
    assert_all(var_value(shown), behind);
}
END_TEST

/* Gradients go to several values at once, as they are and as views. */
START_TEST(what_several_read_is_not_used_again_before_the_last)
{
    Var a = wide(0.25), b = wide(0.5), sum = a;
    for (int i = 0; i < DEEP; i++) {
        Var turned = var_reshape(var_transpose(var_reshape(sum, TENSOR_SHAPE(64, NUMBERS / 64)), 0, 1),
                                 TENSOR_SHAPE(NUMBERS));
        sum =
            var_add(var_scale(sum, 0.5, 0), var_scale(var_add(var_tanh(var_scale(turned, 0, 0)), b), 0.5, 0));
    }
    ck_assert(tape_backward(var_sum(sum, TENSOR_AXES_ALL, false)));
    assert_all(var_grad(a), pow(0.5, DEEP));
    assert_all(var_grad(b), 1 - pow(0.5, DEEP));
}
END_TEST

/* Behind tape_backward_last(): gradients are the same, in the memory of what was passed. */
START_TEST(the_last_backward_uses_the_memory_of_values)
{
    size_t bytes[2];
    for (int last = 0; last < 2; last++) {
        tape_begin(tape);
        Var a = wide(0.5), loss = chain(a, DEEP, NULL);
        size_t before = tape_arena(tape)->used;
        ck_assert(last ? tape_backward_last(loss) : tape_backward(loss));
        bytes[last] = tape_arena(tape)->used - before;
        assert_all(var_grad(a), slope_of(DEEP, 0));
        assert_all(var_value(a), 0.5);
        ck_assert(tape_ok(tape) && isfinite(var_item(loss)));
    }
    ck_assert_msg(bytes[1] <= bytes[0], "%zu and %zu bytes", bytes[1], bytes[0]);
    tape_begin(tape);
    Var a = wide(0.5), loss = var_sum(var_mul(chain(a, DEEP, NULL), a), TENSOR_AXES_ALL, false);
    Var b = wide(0.25);
    for (int i = 0; i < DEEP; i++)
        b = var_mul(var_sin(b), a); /* which makes two gradients for each value that it passes */
    loss = var_add(loss, var_sum(b, TENSOR_AXES_ALL, false));
    size_t before = tape_arena(tape)->used;
    ck_assert(tape_backward_last(loss));
    size_t more = tape_arena(tape)->used - before;
    ck_assert_msg(more < 8 * NUMBERS * sizeof(double), "%zu bytes", more);
}
END_TEST

START_TEST(what_was_seen_stays_and_the_rest_is_an_error)
{
    Var a = wide(0.5), middle = VAR_NONE, loss = chain(a, DEEP, &middle);
    Var view = var_reshape(middle, TENSOR_SHAPE(2, NUMBERS / 2));
    double sum = 0.5;
    for (int i = 0; i <= DEEP / 2; i++)
        sum = sin(sum);
    ck_assert(tensor_is_valid(var_value(view)));
    ck_assert(tape_backward_last(loss));
    assert_all(var_value(middle), sum); /* lies where the view does */
    ck_assert(tape_ok(tape));

    tape_begin(tape);
    a = wide(0.5);
    loss = chain(a, DEEP, &middle);
    view = var_reshape(middle, TENSOR_SHAPE(2, NUMBERS / 2));
    ck_assert(tape_backward_last(loss));
    ck_assert(!tensor_is_valid(var_value(view)));
    ck_assert_ptr_nonnull(strstr(tape_status(tape)->message, "tape_backward_last()"));

    tape_begin(tape);
    a = wide(0.5);
    loss = chain(a, DEEP, &middle);
    ck_assert(tape_backward_last(loss));
    ck_assert(var_is_empty(var_neg(middle)));
    ck_assert_ptr_nonnull(strstr(tape_status(tape)->message, "neg: tape_backward_last()"));

    for (int graph = 0; graph < 2; graph++) {
        tape_begin(tape);
        a = wide(0.5);
        loss = chain(a, DEEP, NULL);
        Var other = var_scale(loss, 2, 0), gradient;
        ck_assert(tape_backward_last(loss));
        ck_assert(!(graph ? tape_vjp(&other, NULL, 1, &a, 1, true, &gradient) : tape_backward(other)));
        ck_assert_ptr_nonnull(strstr(tape_status(tape)->message, "use tape_backward() for all"));
    }

    tape_begin(tape);
    a = wide(0.5);
    ck_assert(tape_backward_last(chain(a, DEEP, NULL)));
    loss = chain(a, 1, NULL); /* of a leaf there is another one */
    ck_assert(tape_backward(loss));
    assert_all(var_grad(a), slope_of(DEEP, 0) + cos(0.5));
}
END_TEST

Suite *autograd_blocks_suite(void);
Suite *autograd_blocks_suite(void)
{
    Suite *suite = suite_create("autograd/blocks");
    TCase *cases = tcase_create("blocks");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, gradients_of_a_long_chain_take_the_memory_of_few);
    tcase_add_test(cases, what_is_kept_stays);
    tcase_add_test(cases, what_several_read_is_not_used_again_before_the_last);
    tcase_add_test(cases, the_last_backward_uses_the_memory_of_values);
    tcase_add_test(cases, what_was_seen_stays_and_the_rest_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

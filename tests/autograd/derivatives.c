/* Gradients that are values: of any order, along a path, of ops of every kind. */
#include "autograd/gradcheck.h"
#include "tensor/elementwise.h"
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

enum { SEEDS = 3 };

/* One test for each op: the gradient is differentiated again. */
START_TEST(second_derivatives_are_the_differences_of_first_ones)
{
    const OpKind *op = op_at(_i);
    static const OpLayout layouts[] = {OP_LAYOUT_CONTIGUOUS, OP_LAYOUT_TRANSPOSED, OP_LAYOUT_SLICED,
                                       OP_LAYOUT_BROADCAST,  OP_LAYOUT_SIZE_1,     OP_LAYOUT_BEHIND};
    for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            TapeGradcheckResult result = op_gradcheck_twice(op, layouts[k], seed);
            ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
        }
}
END_TEST

/* Formulas and compositions are checked as gradients, too: by differences of the values. */
START_TEST(formulas_alone_give_the_gradient)
{
    static const OpLayout layouts[] = {OP_LAYOUT_CONTIGUOUS, OP_LAYOUT_BROADCAST, OP_LAYOUT_REPEATED};
    OpKind *op = op_at(_i);
    void (*backward)(OpContext *, OpTerm *) = op->backward;
    op->backward = NULL;
    for (int k = 0; k < 3; k++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            TapeGradcheckResult result = op_gradcheck(op, layouts[k], seed);
            ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
        }
    op->backward = backward;
}
END_TEST

START_TEST(a_gradient_is_a_value_of_the_tape)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 2, 3), g, h;
    Var y = var_sum(var_mul(var_mul(a, a), a), TENSOR_AXES_ALL, false);
    ck_assert(tape_vjp(&y, NULL, 1, &a, 1, true, &g));
    expect(var_value(g), 0, 12, 27);
    Var penalty = var_sum(var_mul(g, g), TENSOR_AXES_ALL, false); /* 9 a^4 */
    ck_assert(tape_vjp(&penalty, NULL, 1, &a, 1, false, &h));
    expect(var_value(h), 1e-12, 36 * 8, 36 * 27);
    ck_assert(tape_backward(penalty));
    expect(var_grad(a), 1e-12, 36 * 8, 36 * 27);
}
END_TEST

START_TEST(the_gradient_of_a_sum_is_said_shortly)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 2, 3), b = LEAF(tape, TENSOR_SHAPE(2), 1, 1);
    Var slope = var_gradient(var_mul(var_mul(a, a), a), a), curve = var_gradient(slope, a);
    expect(var_value(slope), 0, 12, 27);
    expect(var_value(curve), 0, 12, 18);
    expect(var_value(var_gradient(slope, b)), 0, 0, 0); /* it does not depend on it */
    ck_assert(tape_backward(var_sum(curve, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 6, 6);
    ck_assert(var_is_empty(var_gradient(VAR_NONE, a)));
    ck_assert(var_is_empty(var_gradient(a, VAR_NONE)));
    assert_fails(tape, "tape_vjp: input 0 is an empty value");
}
END_TEST

/* exp(sin x) = e (1 - ...) at pi / 2; here by the recurrence of its Taylor series at x. */
static void series(double x, int order, double *derivative)
{
    double u[16], e[16], factorial = 1;
    for (int k = 0; k <= order; k++) {
        u[k] = sin(x + k * acos(-1) / 2) / factorial;
        factorial *= k + 1;
    }
    e[0] = exp(u[0]);
    for (int k = 1; k <= order; k++) {
        e[k] = 0;
        for (int j = 1; j <= k; j++)
            e[k] += j * u[j] * e[k - j] / k;
    }
    factorial = 1;
    for (int k = 0; k <= order; k++) {
        derivative[k] = e[k] * factorial;
        factorial *= k + 1;
    }
}

static bool sine_forward(OpContext *c)
{
    return op_output_like(c, *c->in[0]) && (tensor_f64(*c->out[0])[0] = sin(tensor_f64(*c->in[0])[0]), true);
}
static void sine_formula(const OpUse *use, OpVarTerm *terms);
static const OpKind op_sine = {.name = "sine", .forward = sine_forward, .formula = sine_formula};
static void sine_formula(const OpUse *use, OpVarTerm *terms)
{
    Var shifted = var_scale(use->in[0], 1, acos(-1) / 2);
    op_give_var(&terms[0], var_mul(use->grad[0], op_apply(&op_sine, &shifted, 1, NULL, 0)));
}

START_TEST(derivatives_of_any_order)
{
    enum { ORDER = 10 };
    double wanted[ORDER + 1];
    series(0.7, ORDER, wanted);
    Var x = LEAF(tape, SCALAR, 0.7), y = var_exp(op_apply(&op_sine, &x, 1, NULL, 0));
    for (int k = 1; k <= ORDER; k++) {
        Var dy;
        ck_assert_msg(tape_vjp(&y, NULL, 1, &x, 1, true, &dy), "%s", tape_status(tape)->message);
        y = dy;
        ck_assert_double_le(fabs(var_item(y) - wanted[k]), 1e-9 * fmax(1, fabs(wanted[k])));
    }
}
END_TEST

START_TEST(an_op_with_a_formula_alone_is_enough)
{
    Var x = LEAF(tape, SCALAR, 0.3);
    ck_assert(tape_backward(op_apply(&op_sine, &x, 1, NULL, 0)));
    expect(var_grad(x), 1e-12, cos(0.3));
}
END_TEST

/* sin(x) with the right backward and the formula of another function, 2 sin(x), whose own derivative fits. */
static void double_formula(const OpUse *use, OpVarTerm *terms)
{
    OpVarTerm right[1];
    sine_formula(use, right);
    op_give_var(&terms[0], var_scale(right[0].a, 2, 0));
}
static void sine_backward(OpContext *c, OpTerm *terms)
{
    Tensor da = op_new_like(c, *c->in[0]);
    for (int64_t i = 0, n = tensor_numel(&da); i < n; i++)
        tensor_f64(da)[i] = tensor_f64(*c->grad[0])[i] * cos(tensor_f64(*c->in[0])[i]);
    op_give(&terms[0], da);
}
static OpKind op_inconsistent;
static Var inconsistent_sample(OpSample *s)
{
    Var x = op_sample(s, TENSOR_SHAPE(1), -1, 1);
    return op_apply(&op_inconsistent, &x, 1, NULL, 0);
}

START_TEST(a_formula_that_is_another_functions_is_found)
{
    op_inconsistent = op_sine;
    op_inconsistent.backward = sine_backward;
    op_inconsistent.sample = inconsistent_sample;
    TapeGradcheckResult result = op_gradcheck_twice(&op_inconsistent, OP_LAYOUT_CONTIGUOUS, 1);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
    op_inconsistent.formula = double_formula;
    result = op_gradcheck(&op_inconsistent, OP_LAYOUT_CONTIGUOUS, 1);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
    result = op_gradcheck_twice(&op_inconsistent, OP_LAYOUT_CONTIGUOUS, 1);
    ck_assert_ptr_nonnull(strstr(result.status.message, "the formula gives"));
}
END_TEST

static bool copy_forward(OpContext *c)
{
    return op_output_like(c, *c->in[0]) && tensor_copy_into(*c->out[0], *c->in[0]);
}
static void copy_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->grad[0]);
}
static const OpKind op_once = {.name = "once", .forward = copy_forward, .backward = copy_backward};

START_TEST(an_op_that_cannot_be_differentiated_twice_says_so)
{
    Var x = LEAF(tape, SCALAR, 0.3), y = op_apply(&op_once, &x, 1, NULL, 0), g;
    ck_assert(tape_vjp(&y, NULL, 1, &x, 1, false, &g));
    expect(var_value(g), 0, 1);
    ck_assert(!tape_vjp(&y, NULL, 1, &x, 1, true, &g));
    assert_fails(tape, "once", "cannot be differentiated twice");
}
END_TEST

static Var lstm_like(Var x, Var weight, int steps)
{
    Var h = var_scale(x, 0.1, 0), c = h;
    for (int t = 0; t < steps; t++) {
        Var z = var_linear(x, weight, VAR_NONE);
        h = var_gated_memory_step(z, h, weight, c, (VarGateOrder){0, 1, 2, 3}, &c);
    }
    return var_sum(var_mul(h, h), TENSOR_AXES_ALL, false);
}

/* The first trap: a composition that is walked through must end at the op's own inputs. */
START_TEST(a_hessian_vector_product_through_a_recurrence_is_the_difference_of_gradients)
{
    double numbers[16], h = 1e-5;
    for (int i = 0; i < 16; i++)
        numbers[i] = sin(i + 1);
    Tensor w = test_values(tape, TENSOR_F64, TENSOR_SHAPE(8, 2), numbers), grads[2];
    Var x = LEAF(tape, TENSOR_SHAPE(1, 2), 0.3, -0.7), weight = tape_leaf(tape, w), product;
    Var vector = tape_constant(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(8, 2)));
    Var loss = lstm_like(x, weight, 6);
    ck_assert_msg(tape_hvp(loss, &vector, &weight, 1, &product), "%s", tape_status(tape)->message);
    for (int side = 0; side < 2; side++) {
        Tensor moved = tensor_copy(tape_arena(tape), w);
        tensor_axpby(moved, side ? -h : h, var_value(vector), 1);
        Var at = tape_leaf(tape, moved), g, y = lstm_like(x, at, 6);
        ck_assert(tape_vjp(&y, NULL, 1, &at, 1, false, &g));
        grads[side] = var_value(g);
    }
    Tensor wanted = tensor_copy(tape_arena(tape), grads[0]);
    tensor_axpby(wanted, -1 / (2 * h), grads[1], 1 / (2 * h));
    expect_same(var_value(product), wanted, 1e-6);
}
END_TEST

/* The second trap: of several outputs the node's turn comes at the first, and where a vjp stops at one, all
 * that is pending of it is released. */
START_TEST(a_vjp_may_stop_at_one_of_several_outputs)
{
    Var z = LEAF(tape, TENSOR_SHAPE(1, 4), 0.1, 0.2, 0.3, 0.4), c, h, g[2];
    h = var_gated_memory(z, VAR_NONE, (VarGateOrder){0, 1, 2, 3}, &c);
    Var both[2] = {h, c}, y = var_sum(var_add(var_scale(h, 2, 0), var_mul(c, c)), TENSOR_AXES_ALL, false);
    for (int graph = 0; graph < 2; graph++) {
        ck_assert(tape_vjp(&y, NULL, 1, both, 2, graph, g));
        expect(var_value(g[0]), 0, 2);
        expect(var_value(g[1]), 1e-15, 2 * var_item(c));
        ck_assert(tape_vjp(&y, NULL, 1, &both[1], 1, graph, g));
        expect(var_value(g[0]), 1e-15, 2 * var_item(c));
    }
    /* A gradient of the second output alone reaches the node. */
    Var only = var_sum(c, TENSOR_AXES_ALL, false);
    ck_assert(tape_backward(only));
    ck_assert(tensor_is_valid(var_grad(z)));
}
END_TEST

/* The third trap: arrays grow under a walk that another one runs in. */
static void nested_backward(OpContext *c, OpTerm *terms)
{
    Tensor copy = tensor_copy(op_arena(c), *c->in[0]);
    Var a = tape_leaf(c->tape, copy), y = a, g, seed = tape_constant(c->tape, *c->grad[0]);
    for (int i = 0; i < 3000; i++)
        y = var_scale(y, 1, 0);
    y = var_mul(y, y);
    if (tape_vjp(&y, &seed, 1, &a, 1, false, &g))
        op_give(&terms[0], var_value(g));
    op_give(&terms[1], terms[0].a); /* one tensor for two inputs */
}
static bool square_forward(OpContext *c)
{
    return op_output_like(c, *c->in[0]) && tensor_binary(TENSOR_BINARY_MUL, *c->out[0], *c->in[0], *c->in[0]);
}
static const OpKind op_nested = {.name = "nested", .forward = square_forward, .backward = nested_backward};

START_TEST(a_backward_may_apply_ops_and_walk)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 3, 4), b = LEAF(tape, TENSOR_SHAPE(2), 3, 4);
    Var y = op_apply(&op_nested, (Var[]){var_scale(a, 1, 0), b}, 2, NULL, 0);
    Var loss = var_sum(var_add(y, var_add(var_scale(a, 10, 0), b)), TENSOR_AXES_ALL, false);
    ck_assert_msg(tape_backward(loss), "%s", tape_status(tape)->message);
    expect(var_grad(a), 1e-12, 16, 18);
    expect(var_grad(b), 1e-12, 7, 9);
}
END_TEST

START_TEST(what_is_asked_wrongly_is_an_error)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 3, 4), y = var_mul(a, a), g;
    ck_assert(!tape_vjp(&y, NULL, 1, &a, 1, false, &g));
    assert_fails(tape, "tape_vjp", "not one number");
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(2), 3, 4);
    Var b = LEAF(tape, TENSOR_SHAPE(2), 3, 4), sum = var_sum(a, TENSOR_AXES_ALL, false);
    ck_assert(tape_vjp(&sum, NULL, 1, &b, 1, true, &g));
    ck_assert(var_is_empty(g));
    ck_assert(!tape_vjp(&sum, &a, 1, &b, 1, true, &g));
    assert_fails(tape, "tape_vjp", "shape");
}
END_TEST

Suite *autograd_derivatives_suite(void);
Suite *autograd_derivatives_suite(void)
{
    Suite *suite = suite_create("autograd/derivatives");
    TCase *cases = tcase_create("derivatives");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_loop_test(cases, second_derivatives_are_the_differences_of_first_ones, 0, op_count());
    tcase_add_loop_test(cases, formulas_alone_give_the_gradient, 0, op_count());
    tcase_add_test(cases, a_gradient_is_a_value_of_the_tape);
    tcase_add_test(cases, the_gradient_of_a_sum_is_said_shortly);
    tcase_add_test(cases, derivatives_of_any_order);
    tcase_add_test(cases, an_op_with_a_formula_alone_is_enough);
    tcase_add_test(cases, a_formula_that_is_another_functions_is_found);
    tcase_add_test(cases, an_op_that_cannot_be_differentiated_twice_says_so);
    tcase_add_test(cases, a_hessian_vector_product_through_a_recurrence_is_the_difference_of_gradients);
    tcase_add_test(cases, a_vjp_may_stop_at_one_of_several_outputs);
    tcase_add_test(cases, a_backward_may_apply_ops_and_walk);
    tcase_add_test(cases, what_is_asked_wrongly_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

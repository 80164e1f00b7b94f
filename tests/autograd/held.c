/* Values that are held otherwise than in memory, and what is kept of their gradients. */
#include "autograd/ops.h"
#include "tensor/elementwise.h"
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>
#include <stdio.h>

/* ---- Rows that nobody selected ---- */

START_TEST(no_op_runs_on_rows_that_are_not_in_use)
{
    tape_set_check_finite(tape, true);
    Var a = LEAF(tape, TENSOR_SHAPE(3, 1), 0, 4, 9);
    Var roots = var_sqrt(var_gather_rows(a, INDEX(tape, TENSOR_SHAPE(2), 1, 2)));
    ck_assert(tape_backward(var_sum(roots, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 1e-15, 0, 0.25, 1.0 / 6);
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(3, 1), 0, 4, 9);
    Var rows = var_embedding(a, INDEX(tape, TENSOR_SHAPE(4), 0, 1, 2, 1), -1);
    Var logs = var_log(var_slice(rows, 0, 1, 4, 1));
    ck_assert_msg(tape_backward(var_sum(logs, TENSOR_AXES_ALL, false)), "%s", tape_status(tape)->message);
    expect(var_grad(a), 1e-15, 0, 0.5, 1.0 / 9);
    tape_set_check_finite(tape, false);
}
END_TEST

START_TEST(memory_follows_the_rows_in_use)
{
    Tensor zeros = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(20000, 64));
    int32_t *ids = tensor_arena_alloc(&arena, 1000 * sizeof *ids);
    for (int i = 0; i < 1000; i++)
        ids[i] = 7 * i;
    Var table = tape_leaf(tape, zeros);
    size_t before = tape_arena(tape)->used;
    Var few = var_tanh(var_gather_rows(table, INDEX(tape, TENSOR_SHAPE(5), 1, 2, 3, 4, 1)));
    ck_assert(tape_backward(var_sum(few, TENSOR_AXES_ALL, false)));
    ck_assert_uint_lt(tape_arena(tape)->used - before, 100000); /* the table has 5 MB */
    before = tape_arena(tape)->used;
    Var rows =
            var_embedding(table, tape_constant(tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(1000))), -1),
        sum = VAR_NONE;
    for (int i = 0; i < 1000; i++) {
        Var row = var_sum(var_select(rows, 0, i), TENSOR_AXES_ALL, false);
        sum = i ? var_add(sum, row) : row;
    }
    ck_assert(tape_backward(sum));
    ck_assert_uint_lt(tape_arena(tape)->used - before, 4000000); /* the rows have 256 KB */
}
END_TEST

/* ---- Weights that are rows by index ---- */

START_TEST(a_weight_may_be_made_of_repeated_rows)
{
    static const double table[6] = {1, 2, 30, 40, 500, 600};
    for (int kind = 0; kind < 3; kind++)
        for (int distinct = 2; distinct <= 3; distinct++) {
            tape_begin(tape);
            Var t = tape_leaf(tape, test_values(tape, TENSOR_F64, TENSOR_SHAPE(3, 2), table));
            Var x = LEAF(tape, TENSOR_SHAPE(1, 2), 1, 1);
            Var ids = distinct == 2 ? INDEX(tape, TENSOR_SHAPE(4), 2, 0, 2, 0)
                                    : INDEX(tape, TENSOR_SHAPE(4), 2, 0, 1, 2);
            Var weight = kind == 1 ? var_gather_rows(t, ids) : var_embedding(t, ids, -1), y, c;
            if (kind < 2)
                y = var_addmm(
                    tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(1, 4))), x,
                    weight);
            else
                y = var_linear(x, weight, VAR_NONE);
            if (distinct == 2)
                expect(var_value(y), 0, 1100, 3, 1100, 3);
            else
                expect(var_value(y), 0, 1100, 3, 70, 1100);
            ck_assert_msg(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)), "%s",
                          tape_status(tape)->message);
            if (distinct == 2) {
                expect(var_grad(t), 0, 2, 2, 0, 0, 2, 2);
                expect(var_grad(x), 0, 1002, 1204);
            } else {
                expect(var_grad(t), 0, 1, 1, 1, 1, 2, 2);
            }
            Var z = tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(1, 4)));
            Var whole = var_detach(weight);
            Var h = var_gated_memory_step(z, x, var_scale(weight, 0.01, 0), VAR_NONE,
                                          (VarGateOrder){0, 1, 2, 3}, &c);
            Var same = var_gated_memory(var_scale(var_linear(x, whole, VAR_NONE), 0.01, 0), VAR_NONE,
                                        (VarGateOrder){0, 1, 2, 3}, &c);
            expect_same(var_value(h), var_value(same), 1e-12);
        }
}
END_TEST

/* ---- Gradients that are kept ---- */

START_TEST(any_value_may_retain_its_gradient)
{
    for (int kind = 0; kind < 4; kind++) {
        tape_begin(tape);
        Var t = LEAF(tape, TENSOR_SHAPE(3, 1), 1, 2, 3);
        Var rows = var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 0, 1, 1), -1);
        Var v = kind == 0   ? rows
                : kind == 1 ? var_slice(rows, 0, 1, 3, 1)
                : kind == 2 ? var_exp(rows)
                            : var_gather_rows(rows, INDEX(tape, TENSOR_SHAPE(2), 2, 0));
        var_retain_grad(v);
        int64_t n = var_size(v, 0);
        Tensor factors = tensor_slice(test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(3, 1)), 0, 0, n, 1);
        Var loss = var_sum(var_mul(v, tape_constant(tape, factors)), TENSOR_AXES_ALL, false);
        ck_assert_msg(tape_backward(loss), "%s", tape_status(tape)->message);
        expect_same(var_grad(v), factors, 0);
        if (kind == 1)
            expect(var_grad(t), 0, 0, 3, 0);
    }
}
END_TEST

static void note(Var gradient, void *context)
{
    double *sum = context;
    Tensor t = tensor_contiguous(&arena, var_value(gradient));
    for (int64_t i = 0; i < tensor_numel(&t); i++)
        *sum = 10 * *sum + tensor_f64(t)[i];
}

START_TEST(a_hook_is_shown_the_gradient)
{
    double seen[3] = {0};
    Var t = LEAF(tape, TENSOR_SHAPE(3, 1), 1, 2, 3),
        rows = var_embedding(t, INDEX(tape, TENSOR_SHAPE(3), 0, 1, 1), -1);
    Var loss = var_sum(var_mul(rows, LEAF(tape, TENSOR_SHAPE(3, 1), 4, 5, 6)), TENSOR_AXES_ALL, false), g;
    var_set_hook(rows, note, &seen[0]);
    var_set_hook(t, note, &seen[1]);
    var_set_hook(loss, note, &seen[2]);
    ck_assert(tape_vjp(&loss, NULL, 1, &t, 1, true, &g));
    ck_assert(seen[0] == 456 && seen[1] == 510 && seen[2] == 1); /* t: 4, 5 + 6, 0 */
    seen[0] = seen[1] = seen[2] = 0;
    ck_assert(tape_backward(loss));
    ck_assert(seen[0] == 456 && seen[1] == 510 && seen[2] == 1);
}
END_TEST

START_TEST(a_value_that_is_the_same_has_a_gradient_of_its_own)
{
    for (int kind = 0; kind < 3; kind++) {
        tape_begin(tape);
        Var x = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
        Var y = kind == 0 ? var_slice(x, 0, 0, 2, 1) : kind == 1 ? var_dropout(x, 0) : var_alias(x);
        var_retain_grad(y);
        Var loss =
            var_add(var_scale(var_sum(x, TENSOR_AXES_ALL, false), 10, 0), var_sum(y, TENSOR_AXES_ALL, false));
        ck_assert(tape_backward(loss));
        expect(var_grad(y), 0, 1, 1);
        expect(var_grad(x), 0, 11, 11);
    }
}
END_TEST

START_TEST(gradients_share_no_memory)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), b = LEAF(tape, TENSOR_SHAPE(2), 3, 4);
    ck_assert(tape_backward(var_sum(var_mul(var_add(a, b), a), TENSOR_AXES_ALL, false)));
    Tensor ga = var_grad(a), gb = var_grad(b);
    tensor_axpby(gb, 0.5, gb, 0);
    expect(ga, 0, 5, 8);
    expect(var_grad(b), 0, 0.5, 1);
    ck_assert_ptr_eq(var_grad(b).data, gb.data);
}
END_TEST

START_TEST(a_loss_that_was_rewound_may_be_run_again)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2), loss = var_sum(var_mul(a, a), TENSOR_AXES_ALL, false);
    TapeMark mark = tape_mark(tape);
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(tape_backward(loss), "%s", tape_status(tape)->message);
        expect(var_grad(a), 0, 2, 4);
        tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- Mistakes ---- */

START_TEST(a_parameter_that_was_changed_since_is_an_error)
{
    double number = 3;
    TapeParameter weight;
    TapeScope scope = {.name = "fc"};
    tape_parameter_init(&weight, tensor_from(&number, TENSOR_F64, TENSOR_SHAPE(1)));
    tape_enter(tape, &scope);
    Var w = tape_parameter(tape, &weight);
    tape_leave(tape);
    Var loss = var_sum(var_mul(w, w), TENSOR_AXES_ALL, false);
    number = 4;
    tape_parameter_changed(&weight);
    ck_assert(!tape_backward(loss));
    assert_fails(tape, "a parameter of shape [1] was changed", "in fc");
    tape_parameter_release(&weight);
}
END_TEST

static bool nothing_forward(OpContext *c)
{
    (void)c;
    return true;
}

START_TEST(an_op_that_makes_nothing_or_is_given_nothing_is_named)
{
    static const OpKind op = {.name = "nothing", .forward = nothing_forward};
    Var a = LEAF(tape, TENSOR_SHAPE(1), 1), none = var_concat(&a, 0, 0);
    ck_assert(var_is_empty(op_apply(&op, &a, 1, NULL, 0)));
    assert_fails(tape, "nothing([1])", "made no output");
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(1), 1);
    ck_assert(var_is_empty(var_add(a, none)));
    assert_fails(tape, "add: input 1", "was given no values");
}
END_TEST

START_TEST(axes_of_a_set_count_from_either_end)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    expect(var_value(var_sum(a, TENSOR_AXIS(-1), false)), 0, 6, 15);
    expect(var_value(var_sum(a, TENSOR_AXIS(-2), false)), 0, 5, 7, 9);
    expect(var_value(var_sum(a, TENSOR_AXIS(0) | TENSOR_AXIS(-1), false)), 0, 21);
    ck_assert(var_is_empty(var_sum(a, TENSOR_AXIS(-3), false)));
    assert_fails(tape, "sum([2, 3])", "out of range");
}
END_TEST

START_TEST(literals_in_arguments_live_on)
{
    Var a = tape_leaf(tape, tensor_from((float[]){1, 2, 3}, TENSOR_F32, TENSOR_SHAPE(3)));
    Var b = tape_leaf(tape, tensor_from((float[]){4, 5, 6}, TENSOR_F32, TENSOR_SHAPE(3)));
    Var product = var_sum(var_mul(a, b), TENSOR_AXES_ALL, false);
    ck_assert(tape_backward(product));
    expect(var_value(product), 0, 32);
    expect(var_value(a), 0, 1, 2, 3);
    expect(var_grad(a), 0, 4, 5, 6);
}
END_TEST

/* ---- Rounding ---- */

static void expect_close(Tensor got, const double *wanted)
{
    for (int64_t i = 0; i < tensor_numel(&got); i++) {
        double x = (double)tensor_f32(got)[i];
        ck_assert_msg(fabs(x - wanted[i]) <= 3e-6 * fabs(wanted[i]), "%d: %.9g, not %.9g", (int)i, x,
                      wanted[i]);
    }
}

START_TEST(small_gradients_do_not_cancel)
{
    static const double logits[6] = {-20, -17, -12, 12, 17, 20};
    for (int target = 0; target < 2; target++) {
        tape_begin(tape);
        Var x = tape_leaf(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(6), logits));
        Var t = tape_constant(tape, tensor_full(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(6), target));
        Var loss = var_bce_with_logits(x, t, VAR_NONE, VAR_NONE, VAR_REDUCTION_NONE);
        double gradients[6], losses[6];
        for (int i = 0; i < 6; i++) {
            double z = target ? -logits[i] : logits[i];
            gradients[i] = (target ? -1 : 1) / (1 + exp(-z));
            losses[i] = log1p(exp(z));
        }
        expect_close(var_value(loss), losses);
        ck_assert(tape_backward(var_sum(loss, TENSOR_AXES_ALL, false)));
        expect_close(var_grad(x), gradients);
    }
    tape_begin(tape);
    static const double ends[4] = {-9, -5, 1, 20};
    Var x = tape_leaf(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(4), ends));
    ck_assert(tape_backward(var_sum(var_tanh(x), TENSOR_AXES_ALL, false)));
    double slopes[4];
    for (int i = 0; i < 4; i++)
        slopes[i] = 1 / (cosh(ends[i]) * cosh(ends[i]));
    expect_close(var_grad(x), slopes);
    tape_begin(tape);
    x = tape_leaf(tape, test_values(tape, TENSOR_F32, TENSOR_SHAPE(1, 2), NUMBERS(20, 0)));
    ck_assert(tape_backward(var_cross_entropy(x, INDEX(tape, TENSOR_SHAPE(1), 0), VAR_REDUCTION_SUM)));
    double small = 1 / (1 + exp(20));
    expect_close(var_grad(x), NUMBERS(-small, small));
}
END_TEST

START_TEST(a_maximum_with_nan_has_a_gradient_of_nan)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), NAN, 2), b = LEAF(tape, TENSOR_SHAPE(2), 1, 1);
    ck_assert(tape_backward(var_sum(var_maximum(a, b), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, NAN, 1);
    expect(var_grad(b), 0, NAN, 0);
}
END_TEST

START_TEST(a_chain_of_two_million_ops_runs)
{
    double one = 1;
    Var a = tape_leaf(tape, tensor_from(&one, TENSOR_F64, 0, NULL)), y = a;
    for (int i = 0; i < 2000000; i++)
        y = var_neg(y);
    ck_assert(tape_backward(y));
    expect(var_grad(a), 0, 1);
}
END_TEST

Suite *autograd_held_suite(void);
Suite *autograd_held_suite(void)
{
    Suite *suite = suite_create("autograd/held");
    TCase *cases = tcase_create("held");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, no_op_runs_on_rows_that_are_not_in_use);
    tcase_add_test(cases, memory_follows_the_rows_in_use);
    tcase_add_test(cases, a_weight_may_be_made_of_repeated_rows);
    tcase_add_test(cases, any_value_may_retain_its_gradient);
    tcase_add_test(cases, a_hook_is_shown_the_gradient);
    tcase_add_test(cases, a_value_that_is_the_same_has_a_gradient_of_its_own);
    tcase_add_test(cases, gradients_share_no_memory);
    tcase_add_test(cases, a_loss_that_was_rewound_may_be_run_again);
    tcase_add_test(cases, a_parameter_that_was_changed_since_is_an_error);
    tcase_add_test(cases, an_op_that_makes_nothing_or_is_given_nothing_is_named);
    tcase_add_test(cases, axes_of_a_set_count_from_either_end);
    tcase_add_test(cases, literals_in_arguments_live_on);
    tcase_add_test(cases, small_gradients_do_not_cancel);
    tcase_add_test(cases, a_maximum_with_nan_has_a_gradient_of_nan);
    tcase_add_test(cases, a_chain_of_two_million_ops_runs);
    suite_add_tcase(suite, cases);
    return suite;
}

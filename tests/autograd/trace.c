/* Where errors say that they come from. */
#include "autograd/trace.h"
#include "tests/autograd_support.h"

#include <stdio.h>

START_TEST(calls_nest_as_expressions_do)
{
    ck_assert_ptr_null(tape_trace_site().file);
    tape_trace_push("outer.c", 1);
    tape_trace_push("inner.c", 2);
    ck_assert_str_eq(tape_trace_site().file, "inner.c");
    ck_assert_int_eq(tape_trace_site().line, 2);
    tape_trace_pop();
    ck_assert_str_eq(tape_trace_site().file, "outer.c");
    tape_trace_pop();
    ck_assert_ptr_null(tape_trace_site().file);
}
END_TEST

START_TEST(deep_nests_keep_their_balance)
{
    for (int i = 0; i < 1000; i++)
        tape_trace_push("deep.c", i);
    ck_assert_str_eq(tape_trace_site().file, "deep.c");
    for (int i = 0; i < 1000; i++)
        tape_trace_pop();
    ck_assert_ptr_null(tape_trace_site().file);
}
END_TEST

static int line;

static Var helper(Var a)
{
    line = __LINE__ + 1;
    return var_reshape(var_exp(a), TENSOR_SHAPE(99));
}

START_TEST(the_line_of_the_op_is_named_and_nothing_is_left_behind)
{
    Tape *tape = tape_new();
    tape_begin(tape);
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    var_neg(helper(a));
    char place[200];
    snprintf(place, sizeof place, "called at %s:%d", __FILE__, line);
    assert_fails(tape, place);
    ck_assert_ptr_null(tape_trace_site().file);
    tape_free(tape);
}
END_TEST

Suite *autograd_trace_suite(void);
Suite *autograd_trace_suite(void)
{
    Suite *suite = suite_create("autograd/trace");
    TCase *cases = tcase_create("trace");
    tcase_add_test(cases, calls_nest_as_expressions_do);
    tcase_add_test(cases, deep_nests_keep_their_balance);
    tcase_add_test(cases, the_line_of_the_op_is_named_and_nothing_is_left_behind);
    suite_add_tcase(suite, cases);
    return suite;
}

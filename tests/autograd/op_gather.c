#include "tests/autograd_support.h"
#include "tests/tape_support.h"

START_TEST(elements_are_taken_along_an_axis)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
    Var out = var_gather(a, 1, INDEX(tape, TENSOR_SHAPE(2, 2), 2, 2, 0, 1));
    expect(var_value(out), 0, 3, 3, 4, 5);
    expect(var_value(var_gather(a, -2, INDEX(tape, TENSOR_SHAPE(1, 3), 1, 0, 1))), 0, 4, 2, 6);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 0, 12, 8, 10, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)));
        Var index = i == 0   ? INDEX(tape, TENSOR_SHAPE(1, 1), 3)
                    : i == 1 ? INDEX(tape, TENSOR_SHAPE(1), 0)
                    : i == 2 ? INDEX(tape, TENSOR_SHAPE(3, 1), 0, 0, 0)
                             : a;
        static const char *const says[] = {"index 3 is out of range for size 3", "dimensions", "larger",
                                           "i32"};
        ck_assert(var_is_empty(var_gather(a, 1, index)));
        assert_fails(tape, "gather([2, 3]", says[i]);
    }
}
END_TEST

Suite *autograd_op_gather_suite(void);
Suite *autograd_op_gather_suite(void)
{
    Suite *suite = suite_create("autograd/op_gather");
    TCase *cases = tcase_create("op_gather");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, elements_are_taken_along_an_axis);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

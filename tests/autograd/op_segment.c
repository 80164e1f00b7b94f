#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

START_TEST(segments_are_summed_and_empty_ones_are_0)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(4, 2))),
        s = INDEX(tape, TENSOR_SHAPE(4), 2, 0, 2, 2);
    Var out = var_segment_sum(a, s, 3);
    expect(var_value(out), 0, 3, 4, 0, 0, 1 + 5 + 7, 2 + 6 + 8);
    ck_assert(tape_backward(var_sum(var_mul(out, out), TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 26, 32, 6, 8, 26, 32, 26, 32);
}
END_TEST

START_TEST(softmax_of_segments_is_softmax_of_each)
{
    Var a = LEAF(tape, TENSOR_SHAPE(5), 1000, 1, 1001, 2, -1),
        s = INDEX(tape, TENSOR_SHAPE(5), 0, 1, 0, 1, 1);
    Var b = LEAF(tape, TENSOR_SHAPE(2), 1000, 1001), d = LEAF(tape, TENSOR_SHAPE(3), 1, 2, -1);
    Tensor x = var_value(var_softmax(b, 0)), y = var_value(var_softmax(d, 0));
    expect(var_value(var_segment_softmax(a, s, 2)), 1e-14, tensor_f64(x)[0], tensor_f64(y)[0],
           tensor_f64(x)[1], tensor_f64(y)[1], tensor_f64(y)[2]);
}
END_TEST

START_TEST(softmax_of_segments_does_not_depend_on_an_offset_or_another_segment)
{
    Var s = INDEX(tape, TENSOR_SHAPE(6), 0, 1, 0, 1, 2, 2);
    Var low = LEAF(tape, TENSOR_SHAPE(6), -5000, -7, -5000, -7, 5000, 5000);
    expect(var_value(var_segment_softmax(low, s, 3)), 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5);
    for (int first = 0; first < 2; first++) {
        Var bad = LEAF(tape, TENSOR_SHAPE(6), first ? NAN : 3, 1, first ? 3 : NAN, 1, 2, 2);
        expect(var_value(var_segment_softmax(bad, s, 3)), 0, NAN, 0.5, NAN, 0.5, 0.5, 0.5);
    }
}
END_TEST

START_TEST(the_first_of_equal_maxima_gets_the_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3, 2), 1, 5, 3, 4, 3, 9),
        out = var_segment_max(a, INDEX(tape, TENSOR_SHAPE(3), 0, 0, 0), 1);
    expect(var_value(out), 0, 3, 9);
    ck_assert(tape_backward(var_sum(out, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 0, 1, 0, 0, 1);
}
END_TEST

START_TEST(nan_is_the_largest)
{
    Var a = LEAF(tape, TENSOR_SHAPE(4), 1, NAN, 3, NAN), b = LEAF(tape, TENSOR_SHAPE(2), NAN, 1);
    Var out = var_segment_max(a, INDEX(tape, TENSOR_SHAPE(4), 0, 0, 0, 0), 1);
    expect(var_value(out), 0, NAN);
    expect(var_value(var_segment_max(b, INDEX(tape, TENSOR_SHAPE(2), 0, 0), 1)), 0, NAN);
    ck_assert(tape_backward(out = var_sum(out, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 0, 1, 0, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    Var a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_segment_max(a, INDEX(tape, TENSOR_SHAPE(2), 0, 2), 3)));
    assert_fails(tape, "segment_max([2], [2])", "segment 1 has no rows");
    tape_begin(tape);
    a = tape_leaf(tape, tensor_new(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(0, 2)));
    Var none = tape_constant(tape, tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(0)));
    ck_assert(var_is_empty(var_segment_max(a, none, 2)));
    assert_fails(tape, "segment_max([0, 2], [0])", "segment 0 has no rows");
    tape_begin(tape);
    a = tape_leaf(tape, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 4)));
    ck_assert(var_is_empty(var_segment_max(a, INDEX(tape, TENSOR_SHAPE(2), 0, 0), INT64_MAX / 4)));
    assert_fails(tape, "memory");
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_segment_sum(a, INDEX(tape, TENSOR_SHAPE(2), 0, 3), 3)));
    assert_fails(tape, "segment_sum([2], [2])", "place 1");
    tape_begin(tape);
    a = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    ck_assert(var_is_empty(var_segment_softmax(a, INDEX(tape, TENSOR_SHAPE(3), 0, 1, 0), 3)));
    assert_fails(tape, "segment_softmax([2], [3])");
}
END_TEST

Suite *autograd_op_segment_suite(void);
Suite *autograd_op_segment_suite(void)
{
    Suite *suite = suite_create("autograd/op_segment");
    TCase *cases = tcase_create("op_segment");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, segments_are_summed_and_empty_ones_are_0);
    tcase_add_test(cases, softmax_of_segments_is_softmax_of_each);
    tcase_add_test(cases, softmax_of_segments_does_not_depend_on_an_offset_or_another_segment);
    tcase_add_test(cases, the_first_of_equal_maxima_gets_the_gradient);
    tcase_add_test(cases, nan_is_the_largest);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}

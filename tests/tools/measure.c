#include "autograd/ops.h"
#include "tools/measure.h"

#include <check.h>
#include <string.h>

static OpMeasure m;

START_TEST(every_op_is_measured_in_both_directions)
{
    const OpKind *op = op_at(_i), before = *op;
    ReelStatus status = measure_op(&m, op, 3000, 1, 0);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ck_assert_int_eq(m.forward.count, 5);
    ck_assert_int_eq(m.backward.count, op->backward ? 5 : 0);
    ck_assert_int_ge(m.elements, 300);
    ck_assert_mem_eq(&before, op, sizeof before);
}
END_TEST

START_TEST(bytes_are_those_of_inputs_outputs_and_gradients)
{
    ReelStatus status = measure_op(&m, op_find("exp"), 2048, 1, 0);
    ck_assert(reel_status_is_ok(&status));
    ck_assert_str_eq(m.shapes, "[32, 32]");
    ck_assert_int_eq(m.input_bytes, 32 * 32 * 4);
    ck_assert_int_eq(m.output_bytes, 32 * 32 * 4);
    ck_assert_int_eq(m.grad_bytes, 32 * 32 * 4);
}
END_TEST

START_TEST(views_move_nothing)
{
    ReelStatus status = measure_op(&m, op_find("reshape"), 2048, 1, 0);
    ck_assert(reel_status_is_ok(&status));
    ck_assert_int_eq(m.output_bytes, 0);
    ck_assert_int_eq(m.grad_bytes, 0);
}
END_TEST

START_TEST(an_op_without_a_sample_is_refused)
{
    static const OpKind op = {.name = "nothing"};
    ReelStatus status = measure_op(&m, &op, 100, 1, 0);
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_nonnull(strstr(status.message, "nothing"));
}
END_TEST

Suite *tools_measure_suite(void);
Suite *tools_measure_suite(void)
{
    Suite *suite = suite_create("tools/measure");
    TCase *tcase = tcase_create("measure");
    tcase_add_loop_test(tcase, every_op_is_measured_in_both_directions, 0, op_count());
    tcase_add_test(tcase, bytes_are_those_of_inputs_outputs_and_gradients);
    tcase_add_test(tcase, views_move_nothing);
    tcase_add_test(tcase, an_op_without_a_sample_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

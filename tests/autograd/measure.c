#include "autograd/measure.h"
#include "autograd/ops.h"

#include <check.h>
#include <string.h>

START_TEST(every_op_runs_again_and_again)
{
    const OpKind *op = op_at(_i);
    OpMeasure m;
    ReelStatus status = op_measure_init(&m, op, 3000, 1);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    size_t bytes = tape_peak_bytes(m.tape);
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(op_measure_forward(&m), "%s", tape_status(m.tape)->message);
        ck_assert_msg(op_measure_backward(&m) == (op->backward != NULL), "%s", op->name);
        if (i == 0)
            bytes = tape_peak_bytes(m.tape);
    }
    ck_assert_msg(tape_peak_bytes(m.tape) == bytes, "%s: takes more memory each time", op->name);
    ck_assert_int_ge(m.elements, 300);
    op_measure_free(&m);
}
END_TEST

START_TEST(bytes_are_those_of_inputs_outputs_and_gradients)
{
    OpMeasure m;
    ReelStatus status = op_measure_init(&m, op_find("exp"), 2048, 1);
    ck_assert(reel_status_is_ok(&status));
    char shapes[64];
    op_measure_shapes(&m, shapes, sizeof shapes);
    ck_assert_str_eq(shapes, "[32, 32]");
    ck_assert(op_measure_backward(&m));
    ck_assert_int_eq(m.input_bytes, 32 * 32 * 4);
    ck_assert_int_eq(m.output_bytes, 32 * 32 * 4);
    ck_assert_int_eq(m.grad_bytes, 32 * 32 * 4);
    op_measure_free(&m);
}
END_TEST

START_TEST(views_move_nothing)
{
    OpMeasure m;
    ReelStatus status = op_measure_init(&m, op_find("reshape"), 2048, 1);
    ck_assert(reel_status_is_ok(&status));
    ck_assert(op_measure_backward(&m));
    ck_assert_int_eq(m.output_bytes, 0);
    ck_assert_int_eq(m.grad_bytes, 0);
    op_measure_free(&m);
}
END_TEST

START_TEST(an_op_without_a_sample_is_refused)
{
    static const OpKind op = {.name = "nothing"};
    OpMeasure m;
    ReelStatus status = op_measure_init(&m, &op, 100, 1);
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_nonnull(strstr(status.message, "nothing"));
}
END_TEST

Suite *autograd_measure_suite(void);
Suite *autograd_measure_suite(void)
{
    Suite *suite = suite_create("autograd/measure");
    TCase *tcase = tcase_create("measure");
    tcase_add_loop_test(tcase, every_op_runs_again_and_again, 0, op_count());
    tcase_add_test(tcase, bytes_are_those_of_inputs_outputs_and_gradients);
    tcase_add_test(tcase, views_move_nothing);
    tcase_add_test(tcase, an_op_without_a_sample_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* Every op in every layout; and that the checker finds what is wrong, in every op. */
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tensor/elementwise.h"
#include "tensor/mem_internal.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS = 4 };

START_TEST(every_op_has_a_name_a_backward_and_a_sample)
{
    ck_assert_int_gt(op_count(), 40);
    for (int i = 0; i < op_count(); i++) {
        const OpKind *op = op_at(i);
        ck_assert_ptr_nonnull(op->name);
        ck_assert_msg(op->forward && op->backward && op->sample, "%s is incomplete", op->name);
        ck_assert_msg(op_find(op->name) == op, "%s is not the only op of its name", op->name);
    }
    ck_assert_ptr_null(op_at(-1));
    ck_assert_ptr_null(op_at(op_count()));
    ck_assert_ptr_null(op_find("no such op"));
}
END_TEST

/* One test for each op. */
START_TEST(gradients_are_the_differences_in_every_layout)
{
    const OpKind *op = op_at(_i);
    int64_t checked = 0;
    for (OpLayout layout = 0; layout < OP_LAYOUT_COUNT; layout++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            TapeGradcheckResult result = op_gradcheck(op, layout, seed);
            ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
            checked += result.checked;
            if (layout != OP_LAYOUT_EMPTY)
                ck_assert_msg(result.checked > 0, "%s (%s): nothing was checked", op->name,
                              op_layout_name(layout));
        }
    ck_assert_int_gt(checked, SEEDS * OP_LAYOUT_COUNT);
}
END_TEST

START_TEST(f32_agrees_with_f64)
{
    for (OpLayout layout = 0; layout < OP_LAYOUT_COUNT; layout++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            TapeGradcheckResult result = op_gradcheck_f32(op_at(_i), layout, seed);
            ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
        }
}
END_TEST

START_TEST(an_incomplete_op_is_an_error)
{
    OpKind op = *op_find("mul");
    op.sample = NULL;
    TapeGradcheckResult result = op_gradcheck(&op, OP_LAYOUT_CONTIGUOUS, 0);
    ck_assert_int_eq(result.status.code, REEL_STATUS_FAILED);
    ck_assert_ptr_nonnull(strstr(result.status.message, "no sample"));
    op = *op_find("mul");
    op.backward = NULL;
    op.formula = NULL;
    result = op_gradcheck_f32(&op, OP_LAYOUT_CONTIGUOUS, 0);
    ck_assert_int_eq(result.status.code, REEL_STATUS_FAILED);
    ck_assert_ptr_nonnull(strstr(result.status.message, "no backward"));
}
END_TEST

/* ---- Breaking every registered op ---- */

typedef enum { FLIPPED_SIGN, FACTOR_099, REVERSED, DROPPED, BREAK_COUNT } Break;

static struct {
    void (*backward)(OpContext *c, OpTerm *terms);
    Break how;
    int input; /* for DROPPED */
    int seen;  /* gradients that were changed */
} broken;

/* The contents in reverse order, which transposes a square matrix and more. */
static Tensor reversed(OpContext *c, Tensor grad)
{
    for (int i = 0; i < grad.ndim; i++)
        grad = tensor_slice(grad, i, -1, TENSOR_END, -1);
    return tensor_copy(op_arena(c), grad);
}

static void break_term(OpContext *c, OpTerm *term)
{
    broken.seen++;
    if (broken.how == DROPPED) {
        term->kind = OP_TERM_NONE;
        return;
    }
    if (broken.how == REVERSED) {
        term->a = reversed(c, term->a);
        return;
    }
    Tensor changed = tensor_copy(op_arena(c), term->a);
    tensor_axpby(changed, broken.how == FLIPPED_SIGN ? -1 : 0.99, changed, 0);
    term->a = changed;
}

static void broken_backward(OpContext *c, OpTerm *terms)
{
    broken.backward(c, terms);
    for (int i = 0; i < c->count; i++)
        if (terms[i].kind != OP_TERM_NONE && op_needs_grad(c, i) &&
            (broken.how != DROPPED || i == broken.input))
            break_term(c, &terms[i]);
}

/* The registered op itself is broken, checked, and mended. Returns how many gradients were changed. */
static int check_is_rejected(OpKind *op, Break how, int input, uint64_t seed)
{
    broken.backward = op->backward;
    broken.how = how;
    broken.input = input;
    broken.seen = 0;
    op->backward = broken_backward;
    TapeGradcheckResult result = op_gradcheck(op, OP_LAYOUT_CONTIGUOUS, seed);
    op->backward = broken.backward;
    bool passed = reel_status_is_ok(&result.status);
    ck_assert_msg(!passed || broken.seen == 0,
                  "%s passed with its backward broken (way %d, input %d, seed %d)", op->name, (int)how, input,
                  (int)seed);
    if (!passed)
        ck_assert_msg(strstr(result.status.message, "backward gives"), "%s", result.status.message);
    return broken.seen;
}

START_TEST(a_broken_backward_is_rejected)
{
    OpKind *op = op_at(_i);
    int dropped = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        for (Break how = 0; how < DROPPED; how++)
            ck_assert_int_gt(check_is_rejected(op, how, 0, seed), 0);
        for (int input = 0; input < 6; input++)
            dropped += check_is_rejected(op, DROPPED, input, seed);
        TapeGradcheckResult mended = op_gradcheck(op, OP_LAYOUT_CONTIGUOUS, seed);
        ck_assert_msg(reel_status_is_ok(&mended.status), "%s", mended.status.message);
    }
    ck_assert_int_gt(dropped, 0);
}
END_TEST

/* Right in f64, and 1 % off in f32. */
static void broken_in_f32(OpContext *c, OpTerm *terms)
{
    broken.backward(c, terms);
    if (terms[0].a.dtype == TENSOR_F32)
        break_term(c, &terms[0]);
}

START_TEST(a_backward_that_is_off_in_f32_is_rejected)
{
    OpKind *op = op_at(_i);
    int rejected = 0, seen = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        broken.backward = op->backward;
        broken.how = FACTOR_099;
        broken.seen = 0;
        op->backward = broken_in_f32;
        TapeGradcheckResult result = op_gradcheck_f32(op, OP_LAYOUT_CONTIGUOUS, seed);
        op->backward = broken.backward;
        rejected += !reel_status_is_ok(&result.status);
        seen += broken.seen > 0;
    }
    ck_assert_int_gt(seen, 0);
    ck_assert_msg(rejected == seen, "%s: %d of %d were rejected", op->name, rejected, seen);
}
END_TEST

/* ---- Functions ---- */

static Var squares(Tape *tape, const Var *inputs, void *context)
{
    (void)tape;
    (*(int *)context)++;
    return var_mul(inputs[0], inputs[0]);
}

START_TEST(a_function_is_checked_and_its_inputs_are_restored)
{
    double memory[6] = {1, -2, 3, 0.5, 4, 100};
    Tensor x = tensor_transpose(tensor_from(memory, TENSOR_F64, TENSOR_SHAPE(2, 3)), 0, 1);
    int calls = 0;
    TapeGradcheckResult result = tape_gradcheck("squares", squares, &calls, &x, 1, 7);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
    ck_assert_int_eq(result.checked, 6);
    ck_assert_int_eq(calls, 1 + 4 * 6);
    ck_assert(memory[0] == 1 && memory[1] == -2 && memory[5] == 100);
}
END_TEST

static Var cut_off(Tape *tape, const Var *inputs, void *context)
{
    (void)tape, (void)context;
    return var_add(var_mul(inputs[0], inputs[1]), var_detach(inputs[1]));
}

START_TEST(a_wrong_function_is_named_with_input_index_and_values)
{
    double memory[2][2] = {{1, 2}, {3, 4}};
    Tensor x[2] = {tensor_from(memory[0], TENSOR_F64, TENSOR_SHAPE(2)),
                   tensor_from(memory[1], TENSOR_F64, TENSOR_SHAPE(2))};
    TapeGradcheckResult result = tape_gradcheck("cut off", cut_off, NULL, x, 2, 0);
    ck_assert_int_eq(result.status.code, REEL_STATUS_FAILED);
    ck_assert_ptr_nonnull(strstr(result.status.message, "cut off: input 1 [2] index [0]: backward gives "));
    ck_assert_ptr_nonnull(strstr(result.status.message, ", differences give "));
    ck_assert(result.worst_error > 0.1);
}
END_TEST

/* x^2 and a part of x that gives no gradient. */
static Var a_little_off(Tape *tape, const Var *inputs, void *context)
{
    (void)tape;
    return var_add(var_mul(inputs[0], inputs[0]), var_scale(var_detach(inputs[0]), *(double *)context, 0));
}

START_TEST(what_is_off_by_more_than_the_tolerance_is_rejected)
{
    double memory[3] = {0.5, 0.5, 0.5}, off = 0.5 * TAPE_GRADCHECK_TOLERANCE;
    Tensor x = tensor_from(memory, TENSOR_F64, TENSOR_SHAPE(3));
    ck_assert_double_le(TAPE_GRADCHECK_TOLERANCE, 1e-5);
    TapeGradcheckResult result = tape_gradcheck("off", a_little_off, &off, &x, 1, 0);
    ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
    off = 3 * TAPE_GRADCHECK_TOLERANCE;
    result = tape_gradcheck("off", a_little_off, &off, &x, 1, 0);
    ck_assert_int_eq(result.status.code, REEL_STATUS_FAILED);
}
END_TEST

static Var fails(Tape *tape, const Var *inputs, void *context)
{
    (void)tape, (void)context;
    return var_reshape(inputs[0], TENSOR_SHAPE(7));
}

static Var nothing(Tape *tape, const Var *inputs, void *context)
{
    (void)tape, (void)inputs, (void)context;
    return VAR_NONE;
}

START_TEST(what_cannot_be_checked_is_an_error)
{
    double memory[4] = {1, 2, 3, 4};
    float narrow[4] = {1, 2, 3, 4};
    Tensor x = tensor_from(memory, TENSOR_F64, TENSOR_SHAPE(4));
    int calls = 0;
    struct {
        TapeGradcheckFunction *function;
        Tensor input;
        int count;
        const char *says;
    } cases[] = {
        {fails, x, 1, "reshape([4])"},
        {nothing, x, 1, "no value"},
        {squares, tensor_from(narrow, TENSOR_F32, TENSOR_SHAPE(4)), 1, "must be f64"},
        {squares, tensor_expand(tensor_slice(x, 0, 0, 1, 1), TENSOR_SHAPE(4)), 1, "no broadcast view"},
        {squares, x, 0, "inputs"},
        {squares, x, 1000, "inputs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TapeGradcheckResult result =
            tape_gradcheck("case", cases[i].function, &calls, &cases[i].input, cases[i].count, 0);
        ck_assert_int_eq(result.status.code, REEL_STATUS_FAILED);
        ck_assert_msg(strstr(result.status.message, cases[i].says), "%s", result.status.message);
    }
}
END_TEST

START_TEST(no_memory_is_an_error_and_leaks_nothing)
{
    int64_t live = reel_mem_stats().live_blocks;
    for (int n = 0; n < 20; n++) {
        reel_mem_fail_at(n, 1);
        TapeGradcheckResult result = op_gradcheck(op_find("linear"), OP_LAYOUT_SLICED, 0);
        reel_mem_fail_at(-1, 0);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
        if (reel_status_is_ok(&result.status)) {
            ck_assert_int_gt(n, 2);
            return;
        }
    }
    ck_abort_msg("the check asks for memory without end");
}
END_TEST

Suite *autograd_gradcheck_suite(void);

Suite *autograd_gradcheck_suite(void)
{
    Suite *suite = suite_create("autograd/gradcheck");
    TCase *ops = tcase_create("ops");
    tcase_add_test(ops, every_op_has_a_name_a_backward_and_a_sample);
    tcase_add_loop_test(ops, gradients_are_the_differences_in_every_layout, 0, op_count());
    tcase_add_loop_test(ops, f32_agrees_with_f64, 0, op_count());
    tcase_add_test(ops, an_incomplete_op_is_an_error);
    suite_add_tcase(suite, ops);
    TCase *checker = tcase_create("checker");
    tcase_add_loop_test(checker, a_broken_backward_is_rejected, 0, op_count());
    tcase_add_loop_test(checker, a_backward_that_is_off_in_f32_is_rejected, 0, op_count());
    tcase_add_test(checker, a_function_is_checked_and_its_inputs_are_restored);
    tcase_add_test(checker, a_wrong_function_is_named_with_input_index_and_values);
    tcase_add_test(checker, what_is_off_by_more_than_the_tolerance_is_rejected);
    tcase_add_test(checker, what_cannot_be_checked_is_an_error);
    tcase_add_test(checker, no_memory_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, checker);
    return suite;
}

/* What steps take, by op, by module and by line. */
#include "autograd/profile.h"
#include "autograd/tape_internal.h"
#include "nn/nn.h"
#include "tests/autograd_support.h"
#include "tests/shell_support.h"
#include "tests/tape_support.h"

#include <stdio.h>

static const TapeProfileRow *row(TapeProfileKind kind, const char *name)
{
    int count = 0;
    const TapeProfileRow *rows = tape_profile_rows(tape, kind, &count);
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    ck_abort_msg("no row %s", name);
    return NULL;
}

typedef struct Net {
    NnModule base;
    NnLinear first, second;
} Net;

static int line_of_second;

/* x [4, 3] -> [4, 5] -> [4, 2], and a loss that is run backward. */
static void step(Net *net)
{
    tape_begin(tape);
    Var x = tape_constant(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(4, 3)));
    nn_enter(&net->base, tape);
    Var hidden = var_tanh(nn_linear(&net->first, x));
    line_of_second = __LINE__ + 1;
    Var y = nn_linear(&net->second, hidden);
    nn_leave(tape);
    tape_backward(var_sum(var_square(y), TENSOR_AXES_ALL, false));
    assert_ok(tape);
}

static void net_init(Net *net)
{
    nn_module_init(&net->base);
    NN_ADD(net, first, nn_linear_init, 3, 5);
    NN_ADD(net, second, nn_linear_init, 5, 2);
    ck_assert_int_eq((int)nn_module_reset(&net->base, 1).code, REEL_STATUS_OK);
}

START_TEST(products_are_counted_where_they_are_made)
{
    Net net;
    net_init(&net);
    ck_assert(tape_profile(tape, true));
    step(&net);
    step(&net);
    ck_assert(tape_profile(tape, false));
    step(&net); /* is not measured */
    /* Forward 2 M N K each; backward twice that, but of the first only the weight's: x is a constant. */
    enum { FIRST = 2 * 4 * 5 * 3, SECOND = 2 * 4 * 2 * 5 };
    const TapeProfileRow *linear = row(TAPE_PROFILE_OPS, "linear");
    ck_assert_int_eq(linear->forward.calls, 4);
    ck_assert_int_eq(linear->forward.operations, 2 * (FIRST + SECOND));
    ck_assert_int_eq(linear->backward.operations, 2 * (FIRST + 2 * SECOND));
    ck_assert_int_ge(linear->forward.bytes, 2 * (4 * 5 + 4 * 2) * 4);
    ck_assert_double_gt(linear->forward.seconds, 0);
    ck_assert_double_gt(linear->backward.seconds, 0);
    ck_assert_int_eq(row(TAPE_PROFILE_OPS, "tanh")->forward.operations, 0);
    ck_assert_int_eq(row(TAPE_PROFILE_OPS, "tanh")->forward.calls, 2);
    ck_assert_int_eq(row(TAPE_PROFILE_MODULES, "first")->forward.operations, 2 * FIRST);
    ck_assert_int_eq(row(TAPE_PROFILE_MODULES, "second")->backward.operations, 2 * 2 * SECOND);
    ck_assert_int_eq(row(TAPE_PROFILE_MODULES, "")->forward.operations, 2 * (FIRST + SECOND));
    char place[100];
    snprintf(place, sizeof place, "profile.c:%d", line_of_second);
    ck_assert_int_eq(row(TAPE_PROFILE_LINES, place)->forward.operations, 2 * SECOND);
    ck_assert_int_eq(row(TAPE_PROFILE_LINES, place)->backward.operations, 2 * 2 * SECOND);
    nn_module_free(&net.base);
}
END_TEST

/* The gradient of a gradient is made by ops inside of a walk: what they take is theirs, and backward's. */
START_TEST(ops_within_a_walk_count_once)
{
    ck_assert(tape_profile(tape, true));
    Var x = LEAF(tape, TENSOR_SHAPE(2, 2), 1, 2, 3, 4), y = var_matmul(x, x), gradient;
    Var loss = var_sum(var_mul(y, y), TENSOR_AXES_ALL, false);
    ck_assert(tape_vjp(&loss, NULL, 1, &x, 1, true, &gradient));
    ck_assert(tape_profile(tape, false));
    enum { PRODUCT = 2 * 2 * 2 * 2 };
    const TapeProfileRow *matmul = row(TAPE_PROFILE_OPS, "matmul");
    ck_assert_int_eq(matmul->forward.calls, 1);
    ck_assert_int_eq(matmul->forward.operations, PRODUCT);
    ck_assert_int_eq(matmul->backward.operations, 2 * PRODUCT);
    ck_assert_int_eq(row(TAPE_PROFILE_MODULES, "")->backward.operations, 2 * PRODUCT);
}
END_TEST

static Var squares(Tape *t, const Var *in, int count, void *context)
{
    (void)t;
    (void)count;
    (void)context;
    return var_matmul(in[0], in[0]);
}

START_TEST(a_part_that_is_run_again_counts_again)
{
    ck_assert(tape_profile(tape, true));
    Var x = LEAF(tape, TENSOR_SHAPE(2, 2), 1, 2, 3, 4);
    ck_assert(tape_backward(var_sum(tape_checkpoint(squares, NULL, &x, 1), TENSOR_AXES_ALL, false)));
    ck_assert_int_eq(row(TAPE_PROFILE_OPS, "matmul")->forward.calls, 1);
    /* Forward once more, its gradient, and at x's turn the product that had waited for it, if products wait.
     */
    ck_assert_int_eq(row(TAPE_PROFILE_OPS, "matmul")->backward.calls, REEL_CHAPTERS ? 3 : 2);
    ck_assert_int_eq(row(TAPE_PROFILE_OPS, "matmul")->backward.operations, 3 * 2 * 2 * 2 * 2);
    ck_assert_int_eq(row(TAPE_PROFILE_OPS, "checkpoint")->backward.operations, 0);
}
END_TEST

START_TEST(files)
{
    const char *folder = shell_folder();
    char path[600];
    Net net;
    net_init(&net);
    snprintf(path, sizeof path, "%s/trace.json", folder);
    ck_assert_int_eq((int)tape_profile_save(tape, path).code, REEL_STATUS_USAGE);
    int count = 1;
    ck_assert_ptr_null(tape_profile_rows(tape, TAPE_PROFILE_OPS, &count));
    ck_assert_int_eq(count, 0);
    ck_assert(tape_profile(tape, true));
    step(&net);
    ck_assert_int_eq((int)tape_profile_save(tape, path).code, REEL_STATUS_OK);
    /* Bars lie inside of each other, an op in those of its modules, and as many end as begin. */
    shell_must("tr '{' '\\n' < '%s' | awk -F '\"' '/\"ph\": \"B\"/ { stack[++depth] = $4 }"
               " /\"ph\": \"E\"/ && stack[depth--] != $4 { print \"ends: \" $4 }"
               " /\"module\"/ { path = \"\"; for (i = 1; i <= depth; i++) path = path (i > 1 ? \".\" : \"\") "
               "stack[i];"
               "   if (path != $4) print \"in \" path \": \" $0; sub(/.*operations\": /, \"\"); sum += $0 }"
               " /\"ph\": \"X\"/ { bars++ } END { print depth, sum, (bars > 10) }'",
               path);
    ck_assert_str_eq(shell_output(), "0 480 1\n"); /* 200 forward, and 280 backward */
    snprintf(path, sizeof path, "%s/profile.txt", folder);
    ck_assert_int_eq((int)tape_profile_save(tape, path).code, REEL_STATUS_OK);
    shell_must("grep -q '^linear  *2 ' '%s' && grep -q '^second  *1 ' '%s' && grep -q '^(all) ' '%s' && "
               "grep -q '^profile.c:[0-9]*  *' '%s'",
               path, path, path, path);
    ck_assert_int_ne((int)tape_profile_save(tape, "/no/such/folder/profile.txt").code, REEL_STATUS_OK);
    nn_module_free(&net.base);
    shell_remove_folder(folder);
}
END_TEST

Suite *autograd_profile_suite(void);
Suite *autograd_profile_suite(void)
{
    Suite *suite = suite_create("autograd/profile");
    TCase *cases = tcase_create("profile");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, products_are_counted_where_they_are_made);
    tcase_add_test(cases, ops_within_a_walk_count_once);
    tcase_add_test(cases, a_part_that_is_run_again_counts_again);
    tcase_add_test(cases, files);
    suite_add_tcase(suite, cases);
    return suite;
}

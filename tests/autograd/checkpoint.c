/* A part that is run again gives what it gave, and what it would have given. */
#include "autograd/ops.h"
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

enum { WIDTH = 32, ROWS = 64, LAYERS = 16, VOCABULARY = 40 };

static float memory[2][WIDTH * WIDTH + VOCABULARY * WIDTH];
static TapeParameter weight, table;

static void set_up(void)
{
    tape_set_up();
    for (int i = 0; i < WIDTH * WIDTH; i++)
        memory[0][i] = (float)((i * 7919) % 101 - 50) * 0.004f;
    for (int i = 0; i < VOCABULARY * WIDTH; i++)
        memory[1][i] = (float)((i * 104729) % 97 - 48) * 0.02f;
    tape_parameter_init(&weight, tensor_from(memory[0], TENSOR_F32, TENSOR_SHAPE(WIDTH, WIDTH)));
    tape_parameter_init(&table, tensor_from(memory[1], TENSOR_F32, TENSOR_SHAPE(VOCABULARY, WIDTH)));
}

static void tear_down(void)
{
    tape_parameter_release(&weight);
    tape_parameter_release(&table);
    tape_tear_down();
}

static Var layer(Tape *t, const Var *inputs, int count, void *context)
{
    (void)count, (void)context;
    Var y = var_tanh(var_linear(inputs[0], tape_parameter(t, &weight), VAR_NONE));
    return var_add(inputs[0], var_dropout(y, 0.3));
}

static Var look_up(Tape *t, const Var *inputs, int count, void *context)
{
    (void)count, (void)context;
    return var_tanh(var_embedding(tape_parameter(t, &table), inputs[0], -1));
}

static Var part(TapeFunction *function, bool again, Var input)
{
    return again ? tape_checkpoint(function, NULL, &input, 1) : function(tape, &input, 1, NULL);
}

static size_t step(bool again, Tensor *loss, Tensor *leaf, Tensor *dense, Tensor *rows)
{
    tape_free(tape);
    tape = tape_new();
    tape_begin(tape);
    tape_set_random(tape, tensor_random_new(5, 0));
    Tensor ids = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(ROWS));
    for (int i = 0; i < ROWS; i++)
        tensor_i32(ids)[i] = (i * i) % 23;
    Var x = part(look_up, again, tape_constant(tape, ids));
    Var scale = tape_leaf(tape, tensor_full(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(ROWS, WIDTH), 0.5));
    x = var_mul(x, scale);
    for (int i = 0; i < LAYERS; i++)
        x = part(layer, again, x);
    Var mean = var_mean(var_mul(x, x), TENSOR_AXES_ALL, false);
    ck_assert_msg(tape_backward(mean), "%s", tape_status(tape)->message);
    *loss = tensor_copy(&arena, var_value(mean));
    *leaf = tensor_copy(&arena, var_grad(scale));
    *dense = tensor_copy(&arena, tape_gradient(tape, &weight).dense);
    TapeGradient sparse = tape_gradient(tape, &table);
    ck_assert(!tensor_is_valid(sparse.dense)); /* rows stay rows */
    *rows = tensor_copy(&arena, sparse.rows);
    return tape_peak_bytes(tape);
}

START_TEST(a_part_that_is_run_again_gives_the_same_gradients_in_less_memory)
{
    Tensor loss[2], leaf[2], dense[2], rows[2];
    size_t bytes[2];
    for (int again = 0; again < 2; again++)
        bytes[again] = step(again, &loss[again], &leaf[again], &dense[again], &rows[again]);
    ck_assert(tensor_equal(loss[0], loss[1]));
    ck_assert(tensor_equal(leaf[0], leaf[1]));
    expect_same(dense[1], dense[0], 1e-5); /* its products are summed part by part */
    expect_same(rows[1], rows[0], 1e-5);
    ck_assert_uint_lt(2 * bytes[1], bytes[0]);
}
END_TEST

static Var fails(Tape *t, const Var *inputs, int count, void *context)
{
    (void)t, (void)count, (void)context;
    return var_reshape(inputs[0], TENSOR_SHAPE(99));
}

static Var outside(Tape *t, const Var *inputs, int count, void *context)
{
    (void)t, (void)inputs, (void)count;
    return *(Var *)context;
}

START_TEST(mistakes_in_a_part_are_errors_of_the_tape)
{
    Var a = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2, WIDTH))), g;
    ck_assert(var_is_empty(tape_checkpoint(fails, NULL, &a, 1)));
    assert_fails(tape, "reshape([2, 32])");
    tape_begin(tape);
    a = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2, WIDTH)));
    ck_assert(var_is_empty(tape_checkpoint(outside, &a, &a, 1)));
    assert_fails(tape, "tape_checkpoint", "no value of the tape");
    tape_begin(tape);
    a = tape_leaf(tape, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2, WIDTH)));
    Var y = var_sum(tape_checkpoint(layer, NULL, &a, 1), TENSOR_AXES_ALL, false);
    ck_assert(!tape_vjp(&y, NULL, 1, &a, 1, true, &g));
    assert_fails(tape, "checkpoint cannot be differentiated twice");
}
END_TEST

Suite *autograd_checkpoint_suite(void);
Suite *autograd_checkpoint_suite(void)
{
    Suite *suite = suite_create("autograd/checkpoint");
    TCase *cases = tcase_create("checkpoint");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_part_that_is_run_again_gives_the_same_gradients_in_less_memory);
    tcase_add_test(cases, mistakes_in_a_part_are_errors_of_the_tape);
    suite_add_tcase(suite, cases);
    return suite;
}

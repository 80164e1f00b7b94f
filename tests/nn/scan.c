#include "nn/scan.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

/* A user's cell with two states: after a step, a = x + a / 2 and b = b + a * x. */
static void step(void *self, Var x, const Var *before, Var *after)
{
    int *calls = self;
    ++*calls;
    after[0] = before[0].tape ? var_add(x, var_scale(before[0], 0.5, 0)) : x;
    Var product = var_mul(after[0], x);
    after[1] = before[1].tape ? var_add(before[1], product) : product;
}

static const NnCell cell = {.step = step, .states = 2};

enum { TEXTS = 6, ROWS = 18 };
static const int32_t lengths[TEXTS] = {3, 1, 6, 3, 4, 1};

static Tensor noise(int64_t rows, uint64_t seed)
{
    Tensor t = tensor_new(&arena, TENSOR_F64, TENSOR_SHAPE(rows, 2));
    TensorRandom random = tensor_random_new(seed, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

/* The same by hand, text by text: states after each step, [ROWS, 2] each, in the order of the texts. */
static void by_hand(Tensor x, const Tensor *initial, Tensor *a, Tensor *b)
{
    *a = tensor_zeros(&arena, TENSOR_F64, TENSOR_SHAPE(ROWS, 2));
    *b = tensor_zeros(&arena, TENSOR_F64, TENSOR_SHAPE(ROWS, 2));
    for (int64_t text = 0, row = 0; text < TEXTS; row += lengths[text++])
        for (int64_t k = 0; k < 2; k++) {
            double state = initial ? tensor_get(&initial[0], (int64_t[]){text, k}) : 0;
            double sum = initial ? tensor_get(&initial[1], (int64_t[]){text, k}) : 0;
            for (int64_t t = 0; t < lengths[text]; t++) {
                double value = tensor_get(&x, (int64_t[]){row + t, k});
                state = value + state / 2;
                sum += state * value;
                tensor_set(a, (int64_t[]){row + t, k}, state);
                tensor_set(b, (int64_t[]){row + t, k}, sum);
            }
        }
}

START_TEST(a_cell_runs_over_every_text_by_itself)
{
    Tensor x = noise(ROWS, 1), first[2] = {noise(TEXTS, 2), noise(TEXTS, 3)};
    for (int with_initial = 0; with_initial < 2; with_initial++) {
        tape_begin(tape);
        int calls = 0;
        Var initial[2] = {tape_constant(tape, first[0]), tape_constant(tape, first[1])};
        NnSequence s = nn_pack_rows(tape_constant(tape, x), lengths, TEXTS);
        NnScan scan = nn_scan(&cell, &calls, s, with_initial ? initial : NULL);
        ck_assert_tape_ok(tape);
        ck_assert_int_eq(calls, 6);
        Tensor expected[2];
        by_hand(x, with_initial ? first : NULL, &expected[0], &expected[1]);
        for (int i = 0; i < 2; i++) {
            ck_assert_close(var_value(nn_unpack(nn_scan_sequence(scan, i))), expected[i], 1e-14);
            Tensor last = var_value(nn_scan_last(scan, i));
            ck_assert_int_eq(last.shape[0], TEXTS);
            for (int64_t text = 0, row = 0; text < TEXTS; row += lengths[text++])
                ck_assert_close(tensor_select(last, 0, text),
                                tensor_select(expected[i], 0, row + lengths[text] - 1), 1e-14);
        }
    }
}
END_TEST

START_TEST(texts_that_are_sorted_or_alone_need_no_reordering)
{
    static const int32_t cases[][3] = {{4, 4, 4}, {5, 4, 3}, {12, 0, 0}};
    Tensor x = noise(12, 1);
    for (int i = 0; i < 3; i++) {
        tape_begin(tape);
        int calls = 0;
        NnScan scan =
            nn_scan(&cell, &calls, nn_pack_rows(tape_constant(tape, x), cases[i], i == 2 ? 1 : 3), NULL);
        ck_assert(scan.packing->sorted);
        ck_assert_int_eq(var_value(nn_scan_last(scan, 1)).shape[0], i == 2 ? 1 : 3);
        ck_assert_tape_ok(tape);
    }
}
END_TEST

static Var run(Tape *t, Var input, void *context)
{
    (void)t;
    NnScan scan = nn_scan(&cell, context, nn_pack_rows(input, lengths, TEXTS), NULL);
    return var_concat((Var[]){nn_scan_last(scan, 1), nn_scan_sequence(scan, 0).rows}, 2, 0);
}

START_TEST(backward_agrees_with_differences)
{
    NnModule none;
    nn_module_init(&none);
    int calls = 0;
    check_module_gradients(&none, run, &calls, noise(ROWS, 1));
}
END_TEST

static void broken_step(void *self, Var x, const Var *before, Var *after)
{
    int *calls = self;
    ++*calls;
    after[0] = before[0].tape ? var_matmul(x, before[0]) : x; /* shapes do not fit */
}

static void forgetful_step(void *self, Var x, const Var *before, Var *after)
{
    (void)self;
    after[0] = before[1].tape ? var_add(x, before[1]) : x;
}

static void tall_step(void *self, Var x, const Var *before, Var *after)
{
    (void)self;
    (void)before;
    after[0] = var_concat((Var[]){x, x}, 2, 0);
}

START_TEST(a_cell_that_breaks_its_promise_is_named)
{
    Tensor x = noise(ROWS, 1);
    tape_begin(tape);
    NnScan scan = nn_scan(&(NnCell){.step = forgetful_step, .states = 2}, NULL,
                          nn_pack_rows(tape_constant(tape, x), lengths, TEXTS), NULL);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "state 1 of step 0 empty");
    ck_assert(var_is_empty(nn_scan_last(scan, 0)));
    tape_begin(tape);
    nn_scan(&(NnCell){.step = tall_step, .states = 1}, NULL,
            nn_pack_rows(tape_constant(tape, x), lengths, TEXTS), NULL);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "state 0 of step 0 must have a row for each");
}
END_TEST

START_TEST(a_scan_that_fails_leaves_empty_values)
{
    Tensor x = noise(ROWS, 1);
    int calls = 0;
    NnCell bad = {.step = step, .states = 0};
    for (int i = 0; i < 2; i++) {
        tape_begin(tape);
        bad.states = i ? NN_MAX_STATES + 1 : 0;
        NnScan scan = nn_scan(&bad, &calls, nn_pack_rows(tape_constant(tape, x), lengths, TEXTS), NULL);
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "1 to 4 states");
        ck_assert(var_is_empty(nn_scan_last(scan, 0)) && var_is_empty(nn_scan_sequence(scan, 0).rows));
    }
    ck_assert_int_eq(calls, 0);
    tape_begin(tape);
    NnScan scan = nn_scan(&(NnCell){.step = broken_step, .states = 1}, &calls,
                          nn_pack_rows(tape_constant(tape, x), lengths, TEXTS), NULL);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "matmul");
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/scan.c:");
    ck_assert_int_eq(calls, 2); /* no further than the error */
    ck_assert(var_is_empty(nn_scan_last(scan, 0)) && var_is_empty(nn_scan_sequence(scan, 0).rows));
    /* A state of the scan that does not exist. */
    tape_begin(tape);
    scan = nn_scan(&cell, &calls, nn_pack_rows(tape_constant(tape, x), lengths, TEXTS), NULL);
    ck_assert(var_is_empty(nn_scan_last(scan, 2)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "2 states");
}
END_TEST

Suite *nn_scan_suite(void);
Suite *nn_scan_suite(void)
{
    Suite *suite = suite_create("nn/scan");
    TCase *c = tcase_create("scan");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, a_cell_runs_over_every_text_by_itself);
    tcase_add_test(c, texts_that_are_sorted_or_alone_need_no_reordering);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, a_cell_that_breaks_its_promise_is_named);
    tcase_add_test(c, a_scan_that_fails_leaves_empty_values);
    suite_add_tcase(suite, c);
    return suite;
}

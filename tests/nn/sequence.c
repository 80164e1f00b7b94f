#include "nn/sequence.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

static TensorRandom rng;

static void setup(void)
{
    tape_set_up();
    rng = tensor_random_new(4, 0);
}

enum { MOST = 20 };

/* Random lengths, often equal, sometimes sorted. */
static int32_t draw_lengths(int32_t *lengths, int32_t *total)
{
    int32_t texts = 1 + (int32_t)tensor_random_below(&rng, MOST),
            most = 1 + (int32_t)tensor_random_below(&rng, 9);
    *total = 0;
    for (int32_t b = 0; b < texts; b++) {
        lengths[b] = 1 + (int32_t)tensor_random_below(&rng, (uint32_t)most);
        *total += lengths[b];
    }
    return texts;
}

/* What a packing must be, from the lengths alone. */
static void check_packing(const NnPacking *p, const int32_t *lengths, int32_t texts)
{
    ck_assert_int_eq(p->texts, texts);
    int32_t steps = 0, rows = 0;
    bool sorted = true;
    for (int32_t b = 0; b < texts; b++) {
        ck_assert_int_eq(p->length[b], lengths[b]);
        ck_assert_int_eq(p->text[p->place[b]], b);
        steps = lengths[b] > steps ? lengths[b] : steps;
        rows += lengths[b];
        sorted = sorted && (b == 0 || lengths[b] <= lengths[b - 1]);
    }
    ck_assert_int_eq(p->steps, steps);
    ck_assert_int_eq(p->rows, rows);
    ck_assert_int_eq(p->sorted, sorted);
    for (int32_t i = 1; i < texts; i++) {
        int32_t before = lengths[p->text[i - 1]], here = lengths[p->text[i]];
        ck_assert(before > here ||
                  (before == here && p->text[i - 1] < p->text[i])); /* longest first, stable */
    }
    ck_assert_int_eq(p->first[0], 0);
    for (int32_t t = 0; t < steps; t++) {
        int32_t running = 0;
        for (int32_t b = 0; b < texts; b++)
            running += lengths[b] > t;
        ck_assert_int_eq(nn_running(p, t), running);
    }
    ck_assert_int_eq(nn_running(p, steps), 0);
    ck_assert_int_eq(p->first[steps], rows);
}

START_TEST(texts_are_packed_longest_first_step_after_step)
{
    for (int round = 0; round < 300; round++) {
        int32_t lengths[MOST], total, ids[MOST * 9], offsets[MOST + 1] = {0};
        int32_t texts = draw_lengths(lengths, &total);
        for (int32_t b = 0; b < texts; b++)
            offsets[b + 1] = offsets[b] + lengths[b];
        for (int32_t i = 0; i < total; i++)
            ids[i] = i;
        tape_begin(tape);
        NnSequence s = nn_pack(tape, ids, offsets, texts);
        ck_assert_tape_ok(tape);
        check_packing(s.packing, lengths, texts);
        Tensor rows = var_value(s.rows), text = var_value(nn_text_of_row(s)),
               position = var_value(nn_position_of_row(s));
        for (int64_t row = 0; row < total; row++) {
            int32_t b = tensor_i32(text)[row], t = tensor_i32(position)[row];
            ck_assert_int_eq(tensor_i32(rows)[row], offsets[b] + t);
            ck_assert_int_eq(row, s.packing->first[t] + s.packing->place[b]);
        }
        int32_t seen = 0;
        for (int32_t t = 0; t < s.packing->steps; t++) {
            Tensor step = var_value(nn_step(s, t));
            ck_assert_int_eq(step.shape[0], nn_running(s.packing, t));
            ck_assert_int_eq(tensor_i32(step)[0], tensor_i32(rows)[seen]);
            seen += (int32_t)step.shape[0];
        }
    }
}
END_TEST

START_TEST(unpacking_brings_the_order_of_the_texts_back)
{
    for (int round = 0; round < 200; round++) {
        int32_t lengths[MOST], total;
        int32_t texts = draw_lengths(lengths, &total);
        tape_begin(tape);
        Tensor x = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(total, 3)),
               g = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(total, 3));
        tensor_random_fill_uniform(&rng, x, -1, 1);
        tensor_random_fill_uniform(&rng, g, -1, 1);
        Var leaf = tape_leaf(tape, x);
        NnSequence s = nn_pack_rows(leaf, lengths, texts);
        check_packing(s.packing, lengths, texts);
        Var back = nn_unpack(s), twice = nn_unpack(nn_reverse(nn_reverse(s))),
            reversed = nn_unpack(nn_reverse(s));
        ck_assert(tensor_equal(var_value(back), x));
        ck_assert(tensor_equal(var_value(twice), x));
        int64_t at = 0;
        for (int32_t b = 0; b < texts; at += lengths[b++])
            ck_assert(tensor_equal(
                tensor_contiguous(&arena, tensor_slice(var_value(reversed), 0, at, at + lengths[b], 1)),
                tensor_contiguous(&arena, tensor_slice(tensor_slice(x, 0, at, at + lengths[b], 1), 0,
                                                       TENSOR_END, TENSOR_END, -1))));
        tape_backward(var_sum(var_mul(back, tape_constant(tape, g)), TENSOR_AXES_ALL, false));
        ck_assert_tape_ok(tape);
        ck_assert(tensor_equal(var_grad(leaf), g));
        ck_assert_ptr_eq(nn_with_rows(s, leaf).packing, s.packing);
        tensor_arena_reset(&arena);
    }
}
END_TEST

START_TEST(what_cannot_be_packed_is_an_error)
{
    int32_t ids[] = {1, 2, 3};
    const struct {
        int32_t offsets[4], texts;
        const char *part;
    } bad[] = {{{0, 2, 2, 3}, 3, "text 1 has no tokens"},
               {{0, 3, 1, 3}, 3, "text 1 has no tokens"},
               {{0, 3, 3, 3}, 0, "at least one text"},
               {{0, 3, 3, 3}, -7, "at least one text"}};
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        NnSequence s = nn_pack(tape, ids, bad[i].offsets, bad[i].texts);
        ck_assert_ptr_null(s.packing);
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, bad[i].part);
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/sequence.c:");
        /* Whatever is done with it stays empty. */
        ck_assert(var_is_empty(nn_step(s, 0)) && var_is_empty(nn_unpack(s)) &&
                  var_is_empty(nn_reverse(s).rows));
        ck_assert(var_is_empty(nn_text_of_row(s)) && var_is_empty(nn_position_of_row(s)));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, bad[i].part);
    }
    tape_begin(tape);
    Var rows = tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(5, 2)));
    ck_assert_ptr_null(nn_pack_rows(rows, (int32_t[]){2, 2}, 2).packing);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "add up to 4, but there are 5 rows");
    tape_begin(tape);
    rows = tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(5, 2)));
    ck_assert_ptr_null(nn_pack_rows(rows, (int32_t[]){INT32_MAX, INT32_MAX}, 2).packing);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "at most");
    for (int32_t t = -1; t < 6; t += 6) {
        tape_begin(tape);
        ck_assert(var_is_empty(nn_step(nn_pack(tape, ids, (int32_t[]){0, 1, 3}, 2), t)));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "is out of range for");
    }
    ck_assert_ptr_null(nn_pack_rows(VAR_NONE, (int32_t[]){1}, 1).packing);
}
END_TEST

Suite *nn_sequence_suite(void);
Suite *nn_sequence_suite(void)
{
    Suite *suite = suite_create("nn/sequence");
    TCase *c = tcase_create("sequence");
    tcase_add_checked_fixture(c, setup, tape_tear_down);
    tcase_add_test(c, texts_are_packed_longest_first_step_after_step);
    tcase_add_test(c, unpacking_brings_the_order_of_the_texts_back);
    tcase_add_test(c, what_cannot_be_packed_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

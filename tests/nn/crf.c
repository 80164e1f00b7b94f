/* A chain's loss and best tags against all tags there are, one by one. */
#include "nn/crf.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>
#include <string.h>

enum { TAGS = 3, TEXTS = 4, ROWS = 10, LONGEST = 4 };
static const int32_t lengths[TEXTS] = {2, 4, 1, 3};
static const int32_t given[ROWS] = {0, 2, 1, 1, 0, 2, 1, 2, 2, 0};

static Tensor noise(TensorDtype dtype)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(ROWS, TAGS));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, t, -2, 2);
    return t;
}

static double score_of(const NnCrf *m, Tensor emissions, int64_t first, int32_t length, const int32_t *tags)
{
    int64_t at = tags[0];
    double score = tensor_get(&m->start_transitions.core.value, &at);
    for (int32_t t = 0; t < length; t++) {
        score += tensor_get(&emissions, (int64_t[]){first + t, tags[t]});
        if (t > 0)
            score += tensor_get(&m->transitions.core.value, (int64_t[]){tags[t - 1], tags[t]});
    }
    at = tags[length - 1];
    return score + tensor_get(&m->end_transitions.core.value, &at);
}

/* The log of the sum over all tags, and the best of them. */
static double by_hand(const NnCrf *m, Tensor emissions, int64_t first, int32_t length, int32_t *best)
{
    double sum = 0, most = -INFINITY;
    int all = (int)pow(TAGS, length);
    for (int i = 0; i < all; i++) {
        int32_t tags[LONGEST];
        for (int t = 0, rest = i; t < length; t++, rest /= TAGS)
            tags[t] = rest % TAGS;
        double score = score_of(m, emissions, first, length, tags);
        sum += exp(score);
        if (score > most) {
            most = score;
            memcpy(best, tags, (size_t)length * sizeof *best);
        }
    }
    return log(sum);
}

static void new_crf(NnCrf *m, bool f64)
{
    nn_crf_init(m, TAGS);
    m->transitions.init = nn_init_uniform(2); /* the best way is not that of the best emissions */
    ck_assert_ok(f64 ? nn_module_reset_f64(&m->base, 5) : nn_module_reset(&m->base, 5));
}

/* The tags in the order of the packed rows. */
static Var packed_tags(Tape *t, const int32_t *tags)
{
    Tensor all = tensor_from((void *)(uintptr_t)tags, TENSOR_I32, TENSOR_SHAPE(ROWS));
    int32_t offsets[TEXTS + 1] = {0};
    for (int b = 0; b < TEXTS; b++)
        offsets[b + 1] = offsets[b] + lengths[b];
    return nn_pack(t, tensor_i32(all), offsets, TEXTS).rows;
}

START_TEST(loss_and_tags_are_those_of_all_tags_one_by_one)
{
    for (int f64 = 0; f64 < 2; f64++) {
        NnCrf m;
        new_crf(&m, f64);
        tape_begin(tape);
        Tensor x = noise(f64 ? TENSOR_F64 : TENSOR_F32);
        NnSequence emissions = nn_pack_rows(tape_constant(tape, x), lengths, TEXTS);
        Var tags = packed_tags(tape, given);
        Tensor each = var_value(nn_crf_loss(&m, emissions, tags, VAR_REDUCTION_NONE));
        double sum = var_item(nn_crf_loss(&m, emissions, tags, VAR_REDUCTION_SUM)),
               mean = var_item(nn_crf_loss(&m, emissions, tags, VAR_REDUCTION_MEAN));
        int32_t decoded[ROWS];
        ck_assert(nn_crf_decode(&m, emissions, decoded));
        ck_assert_tape_ok(tape);
        double total = 0, limit = f64 ? 1e-12 : 1e-5;
        for (int64_t b = 0, first = 0; b < TEXTS; first += lengths[b++]) {
            int32_t best[LONGEST];
            double expected =
                by_hand(&m, x, first, lengths[b], best) - score_of(&m, x, first, lengths[b], given + first);
            ck_assert_double_eq_tol(tensor_get(&each, &b), expected, limit);
            ck_assert_mem_eq(decoded + first, best, (size_t)lengths[b] * sizeof *best);
            total += expected;
        }
        ck_assert_double_eq_tol(sum, total, 4 * limit);
        ck_assert_double_eq_tol(mean, total / TEXTS, limit);
        nn_module_free(&m.base);
    }
}
END_TEST

static Var run(Tape *t, Var input, void *context)
{
    return nn_crf_loss(context, nn_pack_rows(input, lengths, TEXTS), packed_tags(t, given),
                       VAR_REDUCTION_NONE);
}

START_TEST(backward_agrees_with_differences)
{
    NnCrf m;
    new_crf(&m, true);
    check_module_gradients(&m.base, run, &m, noise(TENSOR_F64));
    nn_module_free(&m.base);
}
END_TEST

START_TEST(large_scores_do_not_overflow)
{
    NnCrf m;
    new_crf(&m, false);
    Tensor x = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(ROWS, TAGS), 5000);
    Var leaf = tape_leaf(tape, x);
    Var loss =
        nn_crf_loss(&m, nn_pack_rows(leaf, lengths, TEXTS), packed_tags(tape, given), VAR_REDUCTION_SUM);
    ck_assert(tape_backward(loss));
    ck_assert(var_item(loss) > 0 && var_item(loss) < 100);
    for (int64_t i = 0; i < (int64_t)ROWS * TAGS; i++)
        ck_assert(fabs((double)tensor_f32(var_grad(leaf))[i]) <= 1);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    NnCrf m;
    int32_t tags[ROWS], wrong[ROWS];
    new_crf(&m, false);
    for (int i = 0; i < 4; i++) {
        tape_begin(tape);
        Tensor x = noise(TENSOR_F32);
        NnSequence emissions =
            nn_pack_rows(tape_constant(tape, i == 0 ? tensor_slice(x, 1, 0, 2, 1) : x), lengths, TEXTS);
        memcpy(wrong, given, sizeof wrong);
        wrong[3] = i == 1 ? 3 : i == 2 ? -1 : 0;
        Var y = i == 3 ? emissions.rows : packed_tags(tape, wrong);
        ck_assert(var_is_empty(nn_crf_loss(&m, emissions, y, VAR_REDUCTION_SUM)));
        static const char *const parts[] = {"rows of 3 tags", "word 1 of text 1 has tag 3 of 3",
                                            "word 1 of text 1 has tag -1 of 3", "tags must be i32 [10]"};
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, parts[i]);
        ck_assert(!nn_crf_decode(&m, emissions, tags));
    }
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_crf_suite(void);
Suite *nn_crf_suite(void)
{
    Suite *suite = suite_create("nn/crf");
    TCase *c = tcase_create("crf");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, loss_and_tags_are_those_of_all_tags_one_by_one);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, large_scores_do_not_overflow);
    tcase_add_test(c, what_does_not_fit_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

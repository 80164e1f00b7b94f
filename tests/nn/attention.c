#include "nn/attention.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

enum { TEXTS = 4, ROWS = 11, MEMORY = 3, QUERY = 2, HIDDEN = 5 };
static const int32_t lengths[TEXTS] = {3, 1, 5, 2};

static Tensor noise(TensorDtype dtype, int64_t rows, int64_t columns, uint64_t seed)
{
    Tensor t = tensor_new(&arena, dtype, TENSOR_SHAPE(rows, columns));
    TensorRandom random = tensor_random_new(seed, 0);
    tensor_random_fill_uniform(&random, t, -1, 1);
    return t;
}

static double at(Tensor t, int64_t i, int64_t j)
{
    return tensor_get(&t, (int64_t[]){i, j});
}

static double linear(const NnLinear *m, Tensor x, int64_t row, int64_t i)
{
    double sum = tensor_get(&m->bias.core.value, &i);
    for (int64_t k = 0; k < x.shape[1]; k++)
        sum += at(m->weight.core.value, i, k) * at(x, row, k);
    return sum;
}

/* Bahdanau's formula for a query and rows first .. stop of the memory. */
static void by_hand(const NnAdditiveAttention *m, Tensor query, int64_t text, Tensor memory, int64_t first,
                    int64_t stop, double *weights, double *context)
{
    double total = 0;
    for (int64_t row = first; row < stop; row++) {
        double score = 0;
        for (int64_t a = 0; a < HIDDEN; a++)
            score += at(m->v_a.weight.core.value, 0, a) *
                     tanh(linear(&m->W_h, memory, row, a) + linear(&m->W_s, query, text, a));
        weights[row - first] = exp(score);
        total += exp(score);
    }
    for (int64_t k = 0; k < MEMORY; k++)
        context[k] = 0;
    for (int64_t row = first; row < stop; row++) {
        weights[row - first] /= total;
        for (int64_t k = 0; k < MEMORY; k++)
            context[k] += weights[row - first] * at(memory, row, k);
    }
}

static void check_formula(bool f64)
{
    TensorDtype dtype = f64 ? TENSOR_F64 : TENSOR_F32;
    double limit = f64 ? 1e-13 : 2e-6;
    NnAdditiveAttention m;
    nn_additive_attention_init(&m, QUERY, MEMORY, HIDDEN);
    ck_assert_ok(f64 ? nn_module_reset_f64(&m.base, 2) : nn_module_reset(&m.base, 2));
    Tensor memory = noise(dtype, ROWS, MEMORY, 1), query = noise(dtype, TEXTS, QUERY, 2);
    tape_begin(tape);
    NnSequence s = nn_pack_rows(tape_constant(tape, memory), lengths, TEXTS);
    NnAttention out = nn_additive_attention(&m, tape_constant(tape, query), s);
    ck_assert_tape_ok(tape);
    Tensor context = var_value(out.context), weights = var_value(nn_unpack(nn_with_rows(s, out.weights)));
    for (int64_t b = 0, row = 0; b < TEXTS; row += lengths[b++]) {
        double expected[8], sum[MEMORY];
        by_hand(&m, query, b, memory, row, row + lengths[b], expected, sum);
        for (int64_t k = 0; k < MEMORY; k++)
            ck_assert_double_eq_tol(at(context, b, k), sum[k], limit);
        for (int64_t t = 0; t < lengths[b]; t++)
            ck_assert_double_eq_tol(tensor_get(&weights, (int64_t[]){row + t}), expected[t], limit);
    }
    nn_module_free(&m.base);
}

START_TEST(it_is_bahdanaus_formula)
{
    check_formula(false);
    check_formula(true);
}
END_TEST

START_TEST(names_are_the_notebooks)
{
    static const char *const names[] = {"W_h.weight", "W_h.bias", "W_s.weight", "W_s.bias", "v_a.weight"};
    NnAdditiveAttention m;
    nn_additive_attention_init(&m, QUERY, MEMORY, HIDDEN);
    int i = 0;
    for (NnIterator it = nn_iterate(&m.base); nn_next(&it); i++)
        ck_assert_str_eq(it.named.name, names[i]);
    ck_assert_int_eq(i, 5);
    nn_module_free(&m.base);
}
END_TEST

/* The memory as a list of steps: text n's rows are values[s][n]; texts that have ended are not there. */
START_TEST(over_steps_it_is_the_same)
{
    NnAdditiveAttention m;
    nn_additive_attention_init(&m, QUERY, MEMORY, HIDDEN);
    ck_assert_ok(nn_module_reset_f64(&m.base, 2));
    enum { STEPS = 4, RUNNING = 3 };
    Tensor steps[STEPS], query = noise(TENSOR_F64, RUNNING, QUERY, 3);
    Var keys[STEPS], values[STEPS];
    for (int s = 0; s < STEPS; s++) {
        steps[s] =
            noise(TENSOR_F64, RUNNING + STEPS - s, MEMORY, 10 + (uint64_t)s); /* more texts ran earlier */
        values[s] = tape_constant(tape, steps[s]);
        keys[s] = nn_attention_key(&m, values[s]);
    }
    Tensor context = var_value(nn_attention_over_steps(&m, tape_constant(tape, query), keys, values, STEPS));
    ck_assert_tape_ok(tape);
    ck_assert_int_eq(context.shape[0], RUNNING);
    Tensor memory = tensor_zeros(&arena, TENSOR_F64, TENSOR_SHAPE(STEPS, MEMORY));
    for (int64_t n = 0; n < RUNNING; n++) {
        for (int s = 0; s < STEPS; s++)
            tensor_copy_into(tensor_select(memory, 0, s), tensor_select(steps[s], 0, n));
        double weights[STEPS], sum[MEMORY];
        by_hand(&m, query, n, memory, 0, STEPS, weights, sum);
        for (int64_t k = 0; k < MEMORY; k++)
            ck_assert_double_eq_tol(at(context, n, k), sum[k], 1e-13);
    }
    nn_module_free(&m.base);
}
END_TEST

typedef struct Checked {
    NnAdditiveAttention m;
    Tensor memory;
    bool over_steps;
} Checked;

/* The input is the query [TEXTS, QUERY]; the memory goes through a tanh of itself and of the query, so that
 * both ways of the gradient count. */
static Var run(Tape *t, Var input, void *context)
{
    Checked *c = context;
    Var memory = var_tanh(tape_constant(t, c->memory));
    if (!c->over_steps) {
        NnAttention out = nn_additive_attention(&c->m, input, nn_pack_rows(memory, lengths, TEXTS));
        return var_concat((Var[]){var_reshape(out.context, TENSOR_SHAPE(TEXTS * MEMORY)), out.weights}, 2, 0);
    }
    Var keys[2], values[2];
    for (int s = 0; s < 2; s++) {
        values[s] = var_add(var_slice(memory, 0, s, s + 5, 1), var_mean(input, TENSOR_AXES_ALL, false));
        keys[s] = nn_attention_key(&c->m, values[s]);
    }
    return nn_attention_over_steps(&c->m, input, keys, values, 2);
}

START_TEST(backward_agrees_with_differences)
{
    for (int over_steps = 0; over_steps < 2; over_steps++) {
        Checked c = {.memory = noise(TENSOR_F64, ROWS, MEMORY, 5), .over_steps = over_steps};
        nn_additive_attention_init(&c.m, QUERY, MEMORY, HIDDEN);
        ck_assert_ok(nn_module_reset_f64(&c.m.base, 2));
        check_module_gradients(&c.m.base, run, &c, noise(TENSOR_F64, TEXTS, QUERY, 6));
        nn_module_free(&c.m.base);
    }
}
END_TEST

typedef struct Net {
    NnModule base;
    NnAdditiveAttention look;
} Net;

START_TEST(shapes_that_do_not_fit_are_errors_with_path_and_place)
{
    Net net;
    nn_module_init(&net.base);
    NN_ADD(&net, look, nn_additive_attention_init, MEMORY, QUERY, HIDDEN);
    ck_assert_ok(nn_module_reset(&net.base, 0));
    const int64_t wrong[][3] = {
        {TEXTS, QUERY + 1, MEMORY}, {TEXTS, QUERY, MEMORY + 1}, {TEXTS - 1, QUERY, MEMORY}};
    for (int i = 0; i < 3; i++) {
        tape_begin(tape);
        NnSequence s =
            nn_pack_rows(tape_constant(tape, noise(TENSOR_F32, ROWS, wrong[i][2], 1)), lengths, TEXTS);
        Var query = tape_constant(tape, noise(TENSOR_F32, wrong[i][0], wrong[i][1], 2));
        NnAttention out = nn_additive_attention(&net.look, query, s);
        ck_assert(var_is_empty(out.context) && var_is_empty(out.weights));
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "look");
        ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/nn/attention.c:");
        out = nn_additive_attention(&net.look, query, s);
        ck_assert(var_is_empty(out.context));
    }
    tape_begin(tape);
    Var query = tape_constant(tape, noise(TENSOR_F32, TEXTS, QUERY, 2));
    ck_assert(var_is_empty(nn_attention_over_steps(&net.look, query, NULL, NULL, 0)));
    ck_assert(!tape_ok(tape));
    ck_assert(var_is_empty(nn_attention_over_steps(&net.look, VAR_NONE, NULL, NULL, 0)));
    nn_module_free(&net.base);
}
END_TEST

Suite *nn_attention_suite(void);
Suite *nn_attention_suite(void)
{
    Suite *suite = suite_create("nn/attention");
    TCase *c = tcase_create("attention");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, it_is_bahdanaus_formula);
    tcase_add_test(c, names_are_the_notebooks);
    tcase_add_test(c, over_steps_it_is_the_same);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, shapes_that_do_not_fit_are_errors_with_path_and_place);
    suite_add_tcase(suite, c);
    return suite;
}

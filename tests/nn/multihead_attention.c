/* Against PyTorch it is compared in tests/nn/transformer.c, as a part of layers. */
#include "nn/multihead_attention.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <math.h>

enum { WIDTH = 6, HEADS = 3, EACH = WIDTH / HEADS, TEXTS = 3 };
static const int32_t lengths[TEXTS] = {2, 4, 1}, memory_lengths[TEXTS] = {3, 1, 4};

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

/* Row `row` of x by row `i` of a weight, with its bias. */
static double projected(Tensor x, int64_t row, Tensor weight, Tensor bias, int64_t i)
{
    double sum = tensor_get(&bias, &i);
    for (int64_t k = 0; k < WIDTH; k++)
        sum += at(x, row, k) * at(weight, i, k);
    return sum;
}

/* What the heads of one query find in rows first to stop - 1 of the memory. */
static void look(const NnMultiheadAttention *m, Tensor x, int64_t row, Tensor memory, int64_t first,
                 int64_t stop, double *found)
{
    Tensor weight = m->in_proj_weight.core.value, bias = m->in_proj_bias.core.value;
    for (int64_t h = 0; h < HEADS; h++) {
        double total = 0;
        for (int64_t k = 0; k < EACH; k++)
            found[h * EACH + k] = 0;
        for (int64_t s = first; s < stop; s++) {
            double score = 0;
            for (int64_t k = h * EACH; k < (h + 1) * EACH; k++)
                score += projected(x, row, weight, bias, k) * projected(memory, s, weight, bias, WIDTH + k);
            double e = exp(score / sqrt(EACH));
            total += e;
            for (int64_t k = h * EACH; k < (h + 1) * EACH; k++)
                found[k] += e * projected(memory, s, weight, bias, 2 * WIDTH + k);
        }
        for (int64_t k = 0; k < EACH; k++)
            found[h * EACH + k] /= total;
    }
}

static void check_row(const NnMultiheadAttention *m, Tensor y, int64_t row, double *found)
{
    Tensor heads = tensor_from(found, TENSOR_F64, TENSOR_SHAPE(1, WIDTH));
    for (int64_t i = 0; i < WIDTH; i++)
        ck_assert_double_eq_tol(
            at(y, row, i), projected(heads, 0, m->out_proj.weight.core.value, m->out_proj.bias.core.value, i),
            1e-12);
}

START_TEST(it_is_the_papers_formula)
{
    NnMultiheadAttention m;
    nn_multihead_attention_init(&m, WIDTH, HEADS);
    ck_assert_ok(nn_module_reset_f64(&m.base, 2));
    Tensor bias = m.in_proj_bias.core.value;
    for (int64_t i = 0; i < 3 * WIDTH; i++)
        tensor_set(&bias, &i, 0.1 * (double)(i % 5));
    Tensor x = noise(TENSOR_F64, 7, WIDTH, 1), memory = noise(TENSOR_F64, 8, WIDTH, 2);
    NnSequence text = nn_pack_rows(tape_constant(tape, x), lengths, TEXTS),
               other = nn_pack_rows(tape_constant(tape, memory), memory_lengths, TEXTS);
    Tensor self = var_value(nn_unpack(nn_multihead_attention(&m, text, false))),
           causal = var_value(nn_unpack(nn_multihead_attention(&m, text, true))),
           over = var_value(nn_unpack(nn_multihead_attention_over(&m, text, other)));
    ck_assert_tape_ok(tape);
    for (int64_t b = 0, first = 0, first_known = 0; b < TEXTS;
         first += lengths[b], first_known += memory_lengths[b++])
        for (int64_t row = first; row < first + lengths[b]; row++) {
            double found[WIDTH];
            look(&m, x, row, x, first, first + lengths[b], found);
            check_row(&m, self, row, found);
            look(&m, x, row, x, first, row + 1, found);
            check_row(&m, causal, row, found);
            look(&m, x, row, memory, first_known, first_known + memory_lengths[b], found);
            check_row(&m, over, row, found);
        }
    nn_module_free(&m.base);
}
END_TEST

static Var run(Tape *t, Var input, void *context)
{
    (void)t;
    NnSequence x = nn_pack_rows(input, lengths, TEXTS);
    return nn_multihead_attention_over(context, nn_multihead_attention(context, x, true), x).rows;
}

START_TEST(backward_agrees_with_differences)
{
    NnMultiheadAttention m;
    nn_multihead_attention_init(&m, WIDTH, HEADS);
    ck_assert_ok(nn_module_reset_f64(&m.base, 2));
    check_module_gradients(&m.base, run, &m, noise(TENSOR_F64, 7, WIDTH, 1));
    nn_module_free(&m.base);
}
END_TEST

/* Memory grows with the length of a text, backward included, and not with its square. */
START_TEST(memory_is_linear_in_the_length)
{
    static const int32_t longer[] = {256, 2048};
    size_t bytes[2];
    NnMultiheadAttention m;
    nn_multihead_attention_init(&m, 16, 2);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    for (int i = 0; i < 2; i++) {
        Tape *t = tape_new();
        Tensor rows = tensor_full(&arena, TENSOR_F32, TENSOR_SHAPE(longer[i], 16), 0.5);
        NnSequence x = nn_pack_rows(tape_leaf(t, rows), &longer[i], 1);
        Var out = nn_multihead_attention(&m, x, true).rows;
        ck_assert(tape_backward(var_sum(var_square(out), TENSOR_AXES_ALL, false)));
        bytes[i] = tape_peak_bytes(t);
        tape_free(t);
    }
    ck_assert_msg(bytes[1] < 9 * bytes[0], "%zu bytes for 256 rows, %zu for 2048", bytes[0], bytes[1]);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(heads_must_divide_the_width)
{
    static const int wrong[] = {4, 0, -1, 7};
    for (int i = 0; i < 4; i++) {
        NnMultiheadAttention m;
        nn_multihead_attention_init(&m, WIDTH, wrong[i]);
        ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "heads do not divide a width of 6");
        nn_module_free(&m.base);
    }
}
END_TEST

Suite *nn_multihead_attention_suite(void);
Suite *nn_multihead_attention_suite(void)
{
    Suite *suite = suite_create("nn/multihead_attention");
    TCase *c = tcase_create("multihead_attention");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, it_is_the_papers_formula);
    tcase_add_test(c, backward_agrees_with_differences);
    tcase_add_test(c, memory_is_linear_in_the_length);
    tcase_add_test(c, heads_must_divide_the_width);
    suite_add_tcase(suite, c);
    return suite;
}

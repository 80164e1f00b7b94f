/* Attention in blocks, against the plain formula: scores, softmax and sum of each text by itself. */
#include "tensor/random.h"
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

enum { HEADS = 2, SIZE = 5, VALUE_SIZE = 3, TEXTS = 3 };

/* Texts of these numbers of queries and keys; their rows lie in some order. */
typedef struct Case {
    int32_t asks[TEXTS], keys[TEXTS];
    VarAttention options;
} Case;

typedef struct Batch {
    Var query, key, value, layout[4];
} Batch;

static Var noise(TensorDtype dtype, int64_t rows, int64_t columns, uint64_t seed)
{
    Tensor t = tensor_new(tape_arena(tape), dtype, TENSOR_SHAPE(rows, columns));
    TensorRandom random = tensor_random_new(seed, 0);
    tensor_random_fill_uniform(&random, t, -2, 2);
    return tape_leaf(tape, t);
}

/* starts [texts + 1], and rows 0 to n - 1 from the last to the first. */
static int32_t fill_layout(const int32_t *lengths, Var *start, Var *row)
{
    Tensor s = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(TEXTS + 1));
    int32_t n = 0;
    for (int b = 0; b < TEXTS; n += lengths[b++])
        tensor_i32(s)[b] = n;
    tensor_i32(s)[TEXTS] = n;
    Tensor r = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(n));
    for (int32_t i = 0; i < n; i++)
        tensor_i32(r)[i] = n - 1 - i;
    *start = tape_constant(tape, s);
    *row = tape_constant(tape, r);
    return n;
}

static Batch batch_of(const Case *c, TensorDtype dtype)
{
    Batch b;
    int32_t asks = fill_layout(c->asks, &b.layout[0], &b.layout[1]),
            keys = fill_layout(c->keys, &b.layout[2], &b.layout[3]);
    b.query = noise(dtype, asks, HEADS * SIZE, 1);
    b.key = noise(dtype, keys, HEADS * SIZE, 2);
    b.value = noise(dtype, keys, HEADS * VALUE_SIZE, 3);
    return b;
}

static Var attend(const Batch *b, VarAttention options)
{
    return var_multihead_attention(b->query, b->key, b->value, b->layout[0], b->layout[1], b->layout[2],
                                   b->layout[3], options);
}

/* The rows of one text, in order, and of a head their columns. */
static Var head_of(Var x, int32_t total, int32_t first, int32_t rows, int64_t size, int h)
{
    Var own = var_slice(x, 0, total - 1 - first,
                        total - 1 - first - rows >= 0 ? total - 1 - first - rows : TENSOR_END, -1);
    return var_slice(own, 1, h * size, (h + 1) * size, 1);
}

/* The same as attend(), rows in the order of the texts. */
static Var by_formula(const Case *c, const Batch *b)
{
    Var texts[TEXTS];
    int32_t first = 0, first_key = 0, asks = (int32_t)var_size(b->query, 0),
            keys = (int32_t)var_size(b->key, 0);
    int count = 0;
    for (int t = 0; t < TEXTS; first += c->asks[t], first_key += c->keys[t], t++) {
        Var heads[HEADS];
        if (c->asks[t] == 0)
            continue;
        for (int h = 0; h < HEADS; h++) {
            Var q = head_of(b->query, asks, first, c->asks[t], SIZE, h),
                k = head_of(b->key, keys, first_key, c->keys[t], SIZE, h),
                v = head_of(b->value, keys, first_key, c->keys[t], VALUE_SIZE, h);
            Var scores = var_scale(var_matmul(q, var_transpose(k, 0, 1)), 1 / sqrt(SIZE), 0);
            Tensor hidden = tensor_zeros(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(c->asks[t], c->keys[t]));
            for (int64_t i = 0; c->options.causal && i < c->asks[t]; i++)
                for (int64_t j = c->keys[t] - c->asks[t] + i + 1; j < c->keys[t]; j++)
                    tensor_i32(hidden)[i * c->keys[t] + j] = 1;
            scores = var_masked_fill(scores, tape_constant(tape, hidden), -INFINITY);
            heads[h] = var_matmul(var_softmax(scores, 1), v);
        }
        texts[count++] = var_concat(heads, HEADS, 1);
    }
    return var_concat(texts, count, 0);
}

/* The largest difference of two values of f32 or f64. */
static double apart(Tensor a, Tensor b)
{
    double most = 0;
    for (int64_t i = 0, n = tensor_numel(&a); i < n; i++) {
        int64_t at[2] = {i / a.shape[1], i % a.shape[1]};
        double d = fabs(tensor_get(&a, at) - tensor_get(&b, at));
        most = d <= most ? most : d;
    }
    return most;
}

static Tensor gradient(Var loss, Var of)
{
    Var g;
    ck_assert(tape_vjp(&loss, NULL, 1, &of, 1, false, &g));
    return var_value(g);
}

/* More queries than a block has, a text of one, and one with more keys than queries. */
static const Case cases[] = {{{3, 1, 5}, {3, 1, 5}, {.heads = HEADS}},
                             {{3, 1, 5}, {4, 2, 9}, {.heads = HEADS, .causal = true}},
                             {{150, 20, 1}, {150, 20, 1}, {.heads = HEADS, .causal = true}},
                             {{140, 0, 300}, {1100, 7, 300}, {.heads = HEADS}},
                             {{300, 2, 0}, {1300, 2, 4}, {.heads = HEADS, .causal = true}}};
enum { CASES = sizeof cases / sizeof cases[0] };

START_TEST(it_is_the_formula)
{
    const Case *c = &cases[_i / 2];
    TensorDtype dtype = _i % 2 ? TENSOR_F32 : TENSOR_F64;
    double limit = dtype == TENSOR_F32 ? 2e-5 : 1e-12;
    Batch b = batch_of(c, dtype);
    Var out = attend(&b, c->options), expected = by_formula(c, &b);
    assert_ok(tape);
    Var turned = var_slice(out, 0, TENSOR_END, TENSOR_END, -1); /* rows in the order of the texts */
    Tensor weights = var_value(noise(dtype, var_size(out, 0), var_size(out, 1), 9));
    ck_assert_double_le(apart(var_value(turned), var_value(expected)), limit);
    Var loss = var_sum(var_mul(turned, tape_constant(tape, weights)), TENSOR_AXES_ALL, false),
        wanted = var_sum(var_mul(expected, tape_constant(tape, weights)), TENSOR_AXES_ALL, false);
    Var inputs[3] = {b.query, b.key, b.value};
    for (int i = 0; i < 3; i++)
        ck_assert_double_le(apart(gradient(loss, inputs[i]), gradient(wanted, inputs[i])), limit);
}
END_TEST

START_TEST(a_texts_bits_do_not_depend_on_the_others)
{
    const Case both = {{150, 40, 3}, {150, 40, 3}, {.heads = HEADS, .causal = true}};
    Batch b = batch_of(&both, TENSOR_F32);
    Tensor all = var_value(attend(&b, both.options));
    /* The first text alone: its rows are the last 150. */
    Batch alone = b;
    const Case one = {{150, 0, 0}, {150, 0, 0}, both.options};
    Var *in[] = {&alone.query, &alone.key, &alone.value};
    for (int i = 0; i < 3; i++)
        *in[i] = var_slice(*in[i], 0, 43, TENSOR_END, 1);
    fill_layout(one.asks, &alone.layout[0], &alone.layout[1]);
    fill_layout(one.keys, &alone.layout[2], &alone.layout[3]);
    Tensor own = var_value(attend(&alone, both.options));
    assert_ok(tape);
    ck_assert(
        tensor_equal(own, tensor_contiguous(tape_arena(tape), tensor_slice(all, 0, 43, TENSOR_END, 1))));
}
END_TEST

START_TEST(dropout_leaves_out_weights_and_scales_the_others)
{
    enum { KEYS = 400 };
    const double p = 0.25;
    const Case c = {{KEYS, 0, 0}, {KEYS, 0, 0}, {.heads = HEADS, .dropout = p}};
    Batch b = batch_of(&c, TENSOR_F64);
    Tensor ones = tensor_full(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(KEYS, HEADS * VALUE_SIZE), 1);
    b.value = tape_leaf(tape, ones);
    tape_set_random(tape, tensor_random_new(5, 6));
    Tensor out = var_value(attend(&b, c.options));
    double sum = 0;
    for (int64_t i = 0; i < KEYS * HEADS * VALUE_SIZE; i++)
        sum += tensor_f64(out)[i];
    ck_assert_double_eq_tol(sum / (KEYS * HEADS * VALUE_SIZE), 1, 0.01);
    ck_assert_double_gt(fabs(tensor_f64(out)[0] - 1), 1e-6);
    /* Others the next time, the same ones from the same place on; and those that backward takes. */
    Tensor next = var_value(attend(&b, c.options));
    ck_assert(!tensor_equal(out, next));
    tape_set_random(tape, tensor_random_new(5, 6));
    Var again = attend(&b, c.options);
    ck_assert(tensor_equal(out, var_value(again)));
    ck_assert(tape_backward(var_sum(again, TENSOR_AXES_ALL, false)));
    Tensor g = var_grad(b.value); /* of a key the sum of its weights: over a head that of the outputs */
    double weights = 0;
    for (int64_t i = 0; i < KEYS * HEADS * VALUE_SIZE; i++)
        weights += tensor_f64(g)[i];
    ck_assert_double_eq_tol(weights, sum, 1e-9);
}
END_TEST

static size_t bytes_of_a_step(int32_t rows)
{
    Tape *own = tape_new(), *before = tape;
    tape = own;
    tape_begin(tape);
    const Case c = {{rows, 0, 0}, {rows, 0, 0}, {.heads = HEADS, .causal = true, .dropout = 0.1}};
    Batch b = batch_of(&c, TENSOR_F32);
    ck_assert(tape_backward(var_sum(attend(&b, c.options), TENSOR_AXES_ALL, false)));
    size_t bytes = tape_arena(tape)->used;
    tape_free(own);
    tape = before;
    return bytes;
}

START_TEST(memory_grows_with_rows_and_not_with_their_square)
{
    size_t some = bytes_of_a_step(1000), more = bytes_of_a_step(4000);
    ck_assert_msg(more < 5 * some, "%zu bytes for 1000 rows, %zu for 4000", some, more);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    const Case c = {{3, 1, 5}, {3, 1, 5}, {.heads = HEADS}};
    for (int i = 0; i < 7; i++) {
        tape_begin(tape);
        Batch b = batch_of(&c, TENSOR_F64);
        VarAttention options = c.options;
        static const char *const messages[] = {"3 heads do not divide", "dropout is 1",
                                               "starts must rise",      "each query's row must be given once",
                                               "and these be below 9",  "as many texts must ask",
                                               "needs query [N, E]"};
        if (i == 0)
            options.heads = 3;
        if (i == 1)
            options.dropout = 1;
        if (i == 2)
            b.layout[0] = INDEX(tape, TENSOR_SHAPE(4), 0, 5, 4, 9);
        if (i == 3)
            b.layout[1] = INDEX(tape, TENSOR_SHAPE(9), 0, 1, 2, 3, 4, 5, 6, 7, 7);
        if (i == 4)
            b.layout[3] = INDEX(tape, TENSOR_SHAPE(9), 0, 1, 2, 3, 4, 5, 6, 7, 9);
        if (i == 5)
            b.layout[2] = INDEX(tape, TENSOR_SHAPE(3), 0, 5, 9);
        if (i == 6)
            b.value = var_slice(b.value, 0, 0, 8, 1);
        ck_assert(var_is_empty(attend(&b, options)));
        assert_fails(tape, "multihead_attention", messages[i]);
    }
}
END_TEST

Suite *autograd_op_multihead_suite(void);
Suite *autograd_op_multihead_suite(void)
{
    Suite *suite = suite_create("autograd/op_multihead");
    TCase *tests = tcase_create("op_multihead");
    tcase_add_checked_fixture(tests, tape_set_up, tape_tear_down);
    tcase_add_loop_test(tests, it_is_the_formula, 0, 2 * CASES);
    tcase_add_test(tests, a_texts_bits_do_not_depend_on_the_others);
    tcase_add_test(tests, dropout_leaves_out_weights_and_scales_the_others);
    tcase_add_test(tests, memory_grows_with_rows_and_not_with_their_square);
    tcase_add_test(tests, what_does_not_fit_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}

/* How ops are run: ops of one's own, repeated rows, and that nothing that is passed in crashes. */
#include "autograd/op.h"
#include "autograd/sample_internal.h"
#include "tensor/elementwise.h"
#include "tensor/mem_internal.h"
#include "tensor/random.h"
#include "tests/autograd_support.h"
#include "tests/tape_support.h"

#include <math.h>

/* ---- An op that the library does not know: f(a) = (a^3, a^2) ---- */

static bool powers_forward(OpContext *c)
{
    Tensor a = *c->in[0];
    if (a.ndim != *(const int *)c->attributes)
        return op_error(c, "wanted are %d dimensions", *(const int *)c->attributes);
    *c->out[1] = op_new_like(c, a);
    return op_output_like(c, a) && tensor_is_valid(*c->out[1]) &&
           tensor_unary(TENSOR_UNARY_SQUARE, *c->out[1], a) &&
           tensor_binary(TENSOR_BINARY_MUL, *c->out[0], *c->out[1], a);
}

static void powers_backward(OpContext *c, OpTerm *terms)
{
    Tensor a = *c->in[0], da = op_new_like(c, a), factor = op_new_like(c, a);
    tensor_fill(da, 0);
    if (c->grad[0]) {
        tensor_axpby(factor, 3, *c->out[1], 0);
        tensor_addcmul(da, 1, factor, *c->grad[0]);
    }
    if (c->grad[1]) {
        tensor_axpby(factor, 2, a, 0);
        tensor_addcmul(da, 1, factor, *c->grad[1]);
    }
    op_give(&terms[0], da);
}

static Var powers(Var a, int ndim);

static Var powers_sample(OpSample *s)
{
    Var cube = powers(op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1)), -1, 1), 2);
    return var_concat((Var[]){cube, var_output(cube, 1)}, 2, 0);
}

static const OpKind op_powers = {.name = "powers",
                                 .forward = powers_forward,
                                 .backward = powers_backward,
                                 .sample = powers_sample,
                                 .outputs = 2};

static Var powers(Var a, int ndim)
{
    return op_apply(&op_powers, &a, 1, &ndim, sizeof ndim);
}

START_TEST(an_op_of_ones_own_is_like_any_other)
{
    for (OpLayout layout = 0; layout < OP_LAYOUT_COUNT; layout++) {
        TapeGradcheckResult result = op_gradcheck(&op_powers, layout, 1);
        ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
        result = op_gradcheck_f32(&op_powers, layout, 1);
        ck_assert_msg(reel_status_is_ok(&result.status), "%s", result.status.message);
    }
    ck_assert(var_is_empty(powers(LEAF(tape, TENSOR_SHAPE(1), 2), 3)));
    assert_fails(tape, "powers([1]): wanted are 3 dimensions");
}
END_TEST

START_TEST(either_output_alone_gives_a_gradient)
{
    Var a = LEAF(tape, TENSOR_SHAPE(1), 2), b = LEAF(tape, TENSOR_SHAPE(1), 2), cube = powers(a, 1),
        other = powers(b, 1);
    Var square = var_output(other, 1);
    var_retain_grad(square);
    ck_assert(tape_backward(var_sum(cube, 1, false)));
    ck_assert(tape_backward(var_sum(square, 1, false)));
    expect(var_grad(a), 0, 12);
    expect(var_grad(b), 0, 4);
    expect(var_grad(square), 0, 1);
    ck_assert(var_is_empty(var_output(a, 1)));
    ck_assert(var_is_empty(var_output(square, 2)));
    assert_ok(tape);
}
END_TEST

static bool lazy_forward(OpContext *c)
{
    (void)c;
    return false;
}

static void wrong_shape_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], op_new(c, TENSOR_SHAPE(7)));
}

START_TEST(a_second_output_may_be_a_weight)
{
    Var a = LEAF(tape, TENSOR_SHAPE(1, 2), 2, 3), x = LEAF(tape, TENSOR_SHAPE(1, 2), 10, 100);
    Var y = var_linear(x, var_output(powers(a, 2), 1), VAR_NONE);
    expect(var_value(y), 0, 940);
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    expect(var_grad(a), 0, 40, 600);
    expect(var_grad(x), 0, 4, 9);
}
END_TEST

START_TEST(mistakes_of_an_op_are_errors_with_its_name)
{
    const OpKind lazy = {.name = "lazy", .forward = lazy_forward};
    Var a = LEAF(tape, TENSOR_SHAPE(1), 2);
    ck_assert(var_is_empty(op_apply(&lazy, &a, 1, NULL, 0)));
    assert_fails(tape, "lazy");
    tape_begin(tape);
    const OpKind wrong = {
        .name = "wrong", .forward = powers_forward, .backward = wrong_shape_backward, .outputs = 2};
    a = LEAF(tape, TENSOR_SHAPE(2), 2, 3);
    Var out = op_apply(&wrong, &a, 1, &(int){1}, sizeof(int));
    ck_assert(!tape_backward(var_sum(out, TENSOR_AXES_ALL, false)));
    assert_fails(tape, "backward of wrong", "[2]");
}
END_TEST

/* ---- Repeated rows ---- */

typedef Var Unary(Var a);

static Var row_scale(Var a)
{
    return var_scale(a, -2, 1);
}
static Var row_slice_rows(Var a)
{
    return var_slice(a, 0, 1, 6, 2);
}
static Var row_slice_back(Var a)
{
    return var_slice(a, 0, -2, TENSOR_END, -1);
}
static Var row_slice_columns(Var a)
{
    return var_slice(a, 1, 1, 3, 1);
}
static Var row_slice_columns_back(Var a)
{
    return var_slice(a, 1, -1, TENSOR_END, -2);
}
static Var row_slice_twice(Var a)
{
    return var_tanh(var_slice(var_slice(a, 0, 1, TENSOR_END, 1), 0, 0, 4, 1));
}
static Var row_softmax(Var a)
{
    return var_softmax(a, 1);
}
static Var row_select(Var a)
{
    return var_select(a, 0, 2);
}
static Var row_concat(Var a)
{
    return var_concat((Var[]){a, var_slice(a, 0, 0, 3, 1)}, 2, 0);
}
static Var row_linear(Var a)
{
    static double memory[12] = {1, -1, 0.5, 2, -0.25, 0.75, 1.5, -2, 0.1, 0.3, -0.6, 0.9};
    return var_linear(a, tape_leaf(a.tape, tensor_from(memory, TENSOR_F64, TENSOR_SHAPE(3, 4))), VAR_NONE);
}
static Var row_add(Var a)
{
    return var_add(a, var_exp(var_slice(a, 0, 0, 1, 1)));
}
static Var row_gather(Var a)
{
    int32_t *ids = tensor_arena_alloc(tape_arena(a.tape), 4 * sizeof *ids);
    for (int i = 0; i < 4; i++)
        ids[i] = (3 * i + 1) % 7;
    return var_gather_rows(a, tape_constant(a.tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(4))));
}

static Unary *const row_functions[] = {
    var_neg,        var_exp,        var_log,         var_sqrt,          var_abs,
    var_relu,       var_tanh,       var_sigmoid,     var_softplus,      row_scale,
    row_slice_rows, row_slice_back, row_slice_twice, row_slice_columns, row_slice_columns_back,
    row_softmax,    row_select,     row_concat,      row_linear,        row_add,
    row_gather};
enum { ROW_FUNCTIONS = sizeof row_functions / sizeof row_functions[0] };

/* The same function of rows that are held as (rows, index), and of the same rows one by one. */
START_TEST(repeated_rows_are_the_whole_rows)
{
    Tensor values = tensor_new(tape_arena(tape), TENSOR_F64, TENSOR_SHAPE(4, 4));
    TensorRandom random = tensor_random_new(3, 0);
    tensor_random_fill_uniform(&random, values, 0.5, 2);
    Var a = tape_leaf(tape, values), b = tape_leaf(tape, values);
    Var index = INDEX(tape, TENSOR_SHAPE(7), 3, 0, 0, 2, 3, 3, 1);
    Var rows = var_gather_rows(a, index), parts[7];
    for (int i = 0; i < 7; i++)
        parts[i] = var_select(b, 0, tensor_i32(var_value(index))[i]);
    Var whole = var_stack(parts, 7, 0);
    Var one = row_functions[_i](rows), two = row_functions[_i](whole);
    assert_ok(tape);
    expect_same(var_value(one), var_value(two), 1e-14);
    ck_assert_int_eq(var_size(one, 0), var_value(two).shape[0]);
    ck_assert(tape_backward(var_sum(var_mul(one, one), TENSOR_AXES_ALL, false)));
    ck_assert(tape_backward(var_sum(var_mul(two, two), TENSOR_AXES_ALL, false)));
    expect_same(var_grad(a), var_grad(b), 1e-14);
}
END_TEST

START_TEST(repeated_rows_may_be_used_in_several_ways_at_once)
{
    Var a = LEAF(tape, TENSOR_SHAPE(3, 1), 1, 2, 3),
        rows = var_gather_rows(a, INDEX(tape, TENSOR_SHAPE(4), 2, 0, 2, 1));
    Var loss = var_sum(var_scale(rows, 2, 0), TENSOR_AXES_ALL, false);
    loss = var_add(loss, var_sum(var_mul(rows, rows), TENSOR_AXES_ALL, false));
    loss = var_add(loss, var_sum(var_slice(rows, 0, 0, 2, 1), TENSOR_AXES_ALL, false));
    Var again = var_gather_rows(var_exp(var_slice(rows, 0, 1, 4, 1)), INDEX(tape, TENSOR_SHAPE(2), 0, 2));
    loss = var_add(loss, var_sum(again, TENSOR_AXES_ALL, false));
    ck_assert(tape_backward(loss));
    expect(var_grad(a), 1e-12, 2 + 2 + 1 + exp(1), 2 + 4 + exp(2), 2 * (2 + 6) + 1);
    var_retain_grad(rows);
    assert_ok(tape);
}
END_TEST

/* Gives gradients of rows as it is told, to a leaf or to a value that was computed. */
typedef struct GivenRows {
    Tensor rows, ids;
    bool repeat; /* an id may stand there twice */
} GivenRows;

static bool given_rows_forward(OpContext *c)
{
    return op_output(c, 0, NULL) && tensor_fill(*c->out[0], 0);
}

static void given_rows_backward(OpContext *c, OpTerm *terms)
{
    const GivenRows *given = c->attributes;
    op_give_rows(&terms[0], given->rows, given->ids, !given->repeat);
}

static const OpKind op_given_rows = {
    .name = "given_rows", .forward = given_rows_forward, .backward = given_rows_backward};

START_TEST(rows_that_are_given_twice_are_one_for_the_optimizer)
{
    TapeParameter table;
    tape_parameter_init(&table, test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    const GivenRows given = {.rows = test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(3, 2)),
                             .ids = test_values(tape, TENSOR_I32, TENSOR_SHAPE(3), NUMBERS(2, 0, 2)),
                             .repeat = true};
    Var t = tape_parameter(tape, &table);
    ck_assert(tape_backward(op_apply(&op_given_rows, &t, 1, &given, sizeof given)));
    TapeGradient gradient = tape_gradient(tape, &table);
    expect(gradient.ids, 0, 2, 0);
    expect(gradient.rows, 0, 1 + 5, 2 + 6, 3, 4);
    expect(var_grad(t), 0, 3, 4, 0, 0, 6, 8);
    tape_parameter_release(&table);
}
END_TEST

START_TEST(gradients_of_rows_are_checked)
{
    for (int k = 0; k < 12; k++) {
        tape_begin(tape);
        Var a = LEAF(tape, TENSOR_SHAPE(3, 2), 0, 0, 0, 0, 0, 0);
        Tensor rows = test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 2));
        Tensor ids = test_values(tape, TENSOR_I32, TENSOR_SHAPE(3), NUMBERS(0, 9, 2));
        const GivenRows given[6] = {
            {rows, tensor_slice(ids, 0, 0, TENSOR_END, 2), false}, /* fits */
            {rows, tensor_slice(ids, 0, 0, 2, 1), false},          /* an id that is not there */
            {rows, ids, false},
            {rows, test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2)), false},
            {test_count_up(tape, TENSOR_F64, TENSOR_SHAPE(2, 3)), tensor_slice(ids, 0, 0, TENSOR_END, 2),
             false},
            {test_count_up(tape, TENSOR_F32, TENSOR_SHAPE(2, 2)), tensor_slice(ids, 0, 0, TENSOR_END, 2),
             false}};
        Var input = k < 6 ? a : var_scale(a, 2, 0);
        Var loss = op_apply(&op_given_rows, &input, 1, &given[k % 6], sizeof given[0]);
        if (k % 6 == 0) {
            double factor = k ? 2 : 1;
            ck_assert(tape_backward(loss));
            expect(var_grad(a), 0, factor, 2 * factor, 0, 0, 3 * factor, 4 * factor);
        } else {
            ck_assert(!tape_backward(loss));
            assert_fails(tape, "given_rows([3, 2])", "do not fit to input 0");
        }
    }
}
END_TEST

/* ---- Whatever is passed in ---- */

static int64_t pick(TensorRandom *random, int64_t low, int64_t high)
{
    return low + (int64_t)tensor_random_below(random, (uint32_t)(high - low + 1));
}

static Var any_value(TensorRandom *random)
{
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim = (int)pick(random, 0, pick(random, 0, 3) ? 3 : TENSOR_MAX_DIMS);
    for (int i = 0; i < ndim; i++)
        shape[i] = pick(random, 0, 3);
    TensorDtype dtype = pick(random, 0, 3) ? TENSOR_F64 : pick(random, 0, 2) ? TENSOR_I32 : TENSOR_F32;
    Tensor t = test_count_up(tape, dtype, ndim, shape);
    if (dtype == TENSOR_I32)
        for (int64_t i = 0, n = tensor_numel(&t); i < n; i++)
            tensor_i32(t)[i] = (int32_t)pick(random, -1, 3);
    if (ndim && pick(random, 0, 2) == 0)
        t = tensor_transpose(t, 0, -1);
    Var v = dtype == TENSOR_I32 ? tape_constant(tape, t) : tape_leaf(tape, t);
    if (ndim && dtype != TENSOR_I32 && shape[0] > 0 && pick(random, 0, 3) == 0 && t.shape[0] > 0)
        v = var_gather_rows(
            v, tape_constant(tape, test_values(tape, TENSOR_I32, TENSOR_SHAPE(2), NUMBERS(0, 0))));
    return v;
}

static int64_t any_number(TensorRandom *random)
{
    static const int64_t numbers[] = {0, 1, 2, 3, 4, 7, -1, -2, -3, -5, 100, INT64_MAX, INT64_MIN, INT32_MAX};
    return numbers[pick(random, 0, sizeof numbers / sizeof numbers[0] - 1)];
}

/* Of that shape, but now and then of another dtype than f64. */
static Var any_of_shape(TensorRandom *random, int ndim, const int64_t *shape)
{
    int dtype = (int)pick(random, 0, 9);
    if (dtype == 0)
        return tape_constant(tape, test_count_up(tape, TENSOR_I32, ndim, shape));
    return tape_leaf(tape, test_count_up(tape, dtype == 1 ? TENSOR_F32 : TENSOR_F64, ndim, shape));
}

/* Shapes that fit. */
static Var any_gates(TensorRandom *random)
{
    int64_t n = pick(random, 0, 3), hidden = pick(random, 0, 3), width = pick(random, 0, 3);
    Var z = any_of_shape(random, TENSOR_SHAPE(n, 4 * hidden)),
        c_prev = any_of_shape(random, TENSOR_SHAPE(n, hidden)), c;
    if (pick(random, 0, 1))
        return var_gated_memory(z, c_prev, (VarGateOrder){0, 1, 2, 3}, &c);
    Var h = any_of_shape(random, TENSOR_SHAPE(n, width)),
        weight = any_of_shape(random, TENSOR_SHAPE(4 * hidden, width));
    return var_gated_memory_step(z, h, weight, c_prev, (VarGateOrder){0, 1, 2, 3}, &c);
}

static Var any_attention(TensorRandom *random)
{
    int64_t n = pick(random, 0, 3), width = pick(random, 0, 3);
    Var rows[2] = {any_of_shape(random, TENSOR_SHAPE(n, width)),
                   any_of_shape(random, TENSOR_SHAPE(n + 1, width))};
    Var v = any_of_shape(random, TENSOR_SHAPE(width)), query = any_of_shape(random, TENSOR_SHAPE(n, width));
    Tensor zeros = tensor_zeros(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(n));
    Var layout[4] = {any_value(random), any_value(random), any_value(random), any_value(random)};
    if (n > 0 && pick(random, 0, 1)) {
        Tensor start = tensor_zeros(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(2));
        tensor_i32(start)[1] = (int32_t)n;
        layout[0] = layout[2] = tape_constant(tape, start);
        layout[1] = layout[3] = tape_constant(tape, test_count_up(tape, TENSOR_I32, TENSOR_SHAPE(n)));
        for (int64_t i = 0; i < n; i++)
            tensor_i32(var_value(layout[1]))[i]--;
    }
    switch (pick(random, 0, 4)) {
    case 4:
        return var_multihead_attention(query, rows[0], rows[0], layout[0], layout[1], layout[2], layout[3],
                                       (VarAttention){.heads = (int)pick(random, 0, 3),
                                                      .causal = pick(random, 0, 1),
                                                      .dropout = 0.5 * (double)pick(random, 0, 2)});
    case 0:
        return var_additive_score(query, rows, 2, v);
    case 1:
        return var_weighted_sum(any_of_shape(random, TENSOR_SHAPE(n, 2)), rows, 2);
    case 2:
        return var_segment_score(rows[1], query, tape_constant(tape, zeros), v);
    default:
        return var_segment_weighted_sum(any_of_shape(random, TENSOR_SHAPE(n)), query,
                                        tape_constant(tape, zeros), 1);
    }
}

static Var any_composition(TensorRandom *random, Var a, Var b, int axis, unsigned axes, int64_t i, int64_t k)
{
    Var index, parts[8];
    int order[TENSOR_MAX_DIMS];
    for (int d = 0; d < TENSOR_MAX_DIMS; d++)
        order[d] = (int)pick(random, 0, 9) ? d : axis;
    switch (pick(random, 0, 23)) {
    case 0:
        return var_permute(a, order);
    case 1:
        return var_pad(a, axis, i, k, 1);
    case 2:
        return var_cast(a, (TensorDtype)pick(random, 0, 4));
    case 3:
        return var_logsumexp(a, axes, pick(random, 0, 1));
    case 4:
        return var_cumsum(a, axis);
    case 5:
        return var_scatter_add(a, axis, b, a);
    case 6:
        return var_std(a, axes, 1, pick(random, 0, 1));
    case 7:
        return var_norm(a, (double)pick(random, 0, 3), axes, false);
    case 8:
        return var_prod(a, axes, pick(random, 0, 1));
    case 9:
        return var_cosine_similarity(a, b, axis, 1e-8);
    case 10:
        return var_glu(a, axis);
    case 11:
        return var_unsqueeze(a, axis);
    case 12:
        return var_squeeze(a, axis);
    case 13:
        return var_flip(a, axes);
    case 14:
        return var_split(a, axis, (int64_t[]){1, i}, 2, parts) ? parts[1] : parts[0];
    case 15:
        return var_repeat(a, axis, i);
    case 16:
        return var_index_select(a, axis, b);
    case 17:
        return var_index_add(a, axis, b, a);
    case 18:
        return var_triu(a, i);
    case 19:
        return var_topk(a, k, axis, &index);
    case 20:
        return var_argmax(a, axis, pick(random, 0, 1));
    case 21:
        return var_logical_xor(a, b);
    case 22:
        return var_one_hot(b, k, TENSOR_F64);
    default:
        return var_unbind(a, axis, parts) && var_size(a, axis) ? parts[0] : var_min(a, axes, true);
    }
}

static Var any_op(TensorRandom *random)
{
    Var a = any_value(random), b = any_value(random), d = any_value(random), e = VAR_NONE;
    Var list[3] = {a, pick(random, 0, 1) ? a : b, d};
    int64_t i = any_number(random), j = any_number(random), k = any_number(random);
    int64_t shape[TENSOR_MAX_DIMS + 2] = {i, j, k, 1, 1, 1, 1, 1};
    int axis = (int)pick(random, -4, 4), rank = (int)pick(random, -1, 8);
    unsigned axes = pick(random, 0, 3) ? (unsigned)pick(random, 0, 15) : TENSOR_AXES_ALL;
    VarReduction reduction = (VarReduction)pick(random, 0, 3);
    switch (pick(random, 0, 47)) {
    case 0:
        return var_add(a, b);
    case 1:
        return var_div(a, b);
    case 2:
        return var_pow(a, b);
    case 3:
        return var_maximum(a, b);
    case 4:
        return var_sqrt(a);
    case 5:
        return var_tanh(a);
    case 6:
        return var_scale(a, 2, 1);
    case 7:
        return var_where(a, b, d);
    case 8:
        return var_masked_fill(a, b, 1);
    case 9:
        return var_dropout(a, 0.5 * (double)pick(random, -1, 3));
    case 10:
        return var_sum(a, axes, true);
    case 11:
        return var_mean(a, axes, false);
    case 12:
        return var_max(a, axes, false);
    case 13:
        return var_softmax(a, axis);
    case 14:
        return var_log_softmax(a, axis);
    case 15:
        return var_layer_norm(a, b, d, 1e-5);
    case 16:
        return var_layer_norm(a, VAR_NONE, b, 1e-5);
    case 17:
        return var_matmul(a, b);
    case 18:
        return var_linear(a, b, d);
    case 19:
        return var_addmm(a, b, d);
    case 20:
        return var_reshape(a, rank, shape);
    case 21:
        return var_transpose(a, axis, (int)i);
    case 22:
        return var_expand(a, rank, shape);
    case 23:
        return var_slice(a, axis, i, j, k);
    case 24:
        return var_select(a, axis, i);
    case 25:
        return var_concat(list, 3, axis);
    case 26:
        return var_stack(list, 2, axis);
    case 27:
        return var_embedding(a, b, i);
    case 28:
        return var_gather_rows(a, b);
    case 29:
        return var_gather(a, axis, b);
    case 30:
        return var_segment_sum(a, b, k < 1000 ? k : 3);
    case 31:
        return var_segment_max(a, b, k < 1000 ? k : 3);
    case 32:
        return var_segment_softmax(a, b, k < 1000 ? k : 3);
    case 33:
        return var_bce_with_logits(a, b, d, VAR_NONE, reduction);
    case 34:
        return var_cross_entropy(a, b, reduction);
    case 35:
        return var_mse(a, b, reduction);
    case 36:
        return var_segment_score(b, a, any_value(random), d);
    case 37:
        return var_segment_weighted_sum(a, b, d, k < 1000 ? k : 3);
    case 38:
        return var_additive_score(a, list, (int)pick(random, -1, 3), d);
    case 39:
        return var_weighted_sum(a, list, (int)pick(random, -1, 3));
    case 40:
        return var_bce(a, b, pick(random, 0, 1) ? VAR_NONE : d, reduction);
    case 41:
        return any_gates(random);
    case 42:
        return any_attention(random);
    case 43:
    case 44:
    case 45:
    case 46:
        return any_composition(random, a, b, axis, axes, i, k < 1000 ? k : 3);
    default:
        return var_gated_memory(a, b, (VarGateOrder){0, 1, 2, (int)k}, &e);
    }
}

START_TEST(nothing_that_is_passed_in_crashes)
{
    TensorRandom random = tensor_random_new((uint64_t)_i, 9);
    int good = 0, bad = 0;
    for (int round = 0; round < 2000; round++) {
        tape_begin(tape);
        Var out = any_op(&random);
        ck_assert_msg(var_is_empty(out) == !tape_ok(tape), "%s", tape_status(tape)->message);
        if (var_is_empty(out)) {
            bad++;
            ck_assert_msg(!strstr(tape_status(tape)->message, "without saying why"), "%s",
                          tape_status(tape)->message);
            continue;
        }
        good++;
        Tensor value = var_value(out); /* expand may have made it huge */
        if (value.dtype == TENSOR_I32 || tensor_numel(&value) > 10000)
            continue;
        Var loss = var_sum(out, TENSOR_AXES_ALL, false);
        if (!tape_backward(loss))
            assert_fails(tape, "no value that wants a gradient");
    }
    ck_assert_int_gt(good, 200);
    ck_assert_int_gt(bad, 200);
}
END_TEST

/* ---- Memory ---- */

typedef struct Outcome {
    Tensor output, grads[SAMPLE_MAX_INPUTS];
    int count;
} Outcome;

/* Forward and backward of the sum, on a tape that asks the allocator for each block. The results go to
 * `arena`. */
static bool run_sample(const OpKind *op, uint64_t seed, OpLayout layout, Outcome *outcome)
{
    OpSample sample;
    op_sample_init(&sample, tape, &arena, layout, TENSOR_F32, seed);
    tensor_arena_free(tape_arena(tape));
    tape_arena(tape)->chunk_bytes = 1;
    tape_begin(tape);
    tape_set_random(tape, tensor_random_new(seed, 0));
    op_sample_begin(&sample);
    Var out = op->sample(&sample), loss = var_sum(var_mul(out, out), TENSOR_AXES_ALL, false);
    if (!tape_backward(loss))
        return false;
    outcome->output = tensor_copy(&arena, var_value(out));
    outcome->count = sample.leaf_count;
    for (int i = 0; i < sample.leaf_count; i++) {
        outcome->grads[i] = tensor_copy(&arena, var_grad(sample.vars[i]));
        if (tape_ok(tape) && !tensor_is_valid(outcome->grads[i]))
            ck_abort_msg("%s: input %d has no gradient", op->name, i);
    }
    return tape_ok(tape) && tensor_is_valid(outcome->output);
}

/* The same but for rounding: a product without memory for panels is BLIS's, which adds up in another order.
 */
static void expect_same_outcome(const OpKind *op, const Outcome *got, const Outcome *wanted)
{
    ck_assert_msg(got->count == wanted->count, "%s", op->name);
    expect_same(got->output, wanted->output, 1e-5);
    for (int i = 0; i < wanted->count; i++)
        expect_same(got->grads[i], wanted->grads[i], 1e-5);
}

/* Without memory an op says so, or does all that it should: it never goes on with a part. */
START_TEST(every_allocation_of_an_op_may_fail)
{
    const OpKind *op = op_at(_i);
    static const OpLayout layouts[] = {OP_LAYOUT_CONTIGUOUS, OP_LAYOUT_SLICED};
    for (int k = 0; k < 6; k++) {
        Outcome wanted, got;
        ck_assert_ptr_nonnull(tensor_arena_alloc(&arena, 1)); /* later blocks of it are in the same chunk */
        uint64_t before = reel_mem_stats().calls;
        ck_assert_msg(run_sample(op, (uint64_t)k, layouts[k % 2], &wanted), "%s", tape_status(tape)->message);
        int64_t calls = (int64_t)(reel_mem_stats().calls - before);
        ck_assert_int_gt(calls, 4);
        TensorArenaMark mark = tensor_arena_mark(&arena);
        for (int64_t n = 0; n < calls; n++) {
            reel_mem_fail_at(n, 0);
            bool done = run_sample(op, (uint64_t)k, layouts[k % 2], &got);
            reel_mem_fail_at(-1, 0);
            if (done)
                expect_same_outcome(op, &got, &wanted);
            else
                ck_assert_msg(strstr(tape_status(tape)->message, "memory") ||
                                  strstr(tape_status(tape)->message, "allocation"),
                              "%s", tape_status(tape)->message);
            tensor_arena_rewind(&arena, mark);
        }
        tensor_arena_rewind(&arena, (TensorArenaMark){0});
    }
}
END_TEST

Suite *autograd_op_suite(void);
Suite *autograd_op_suite(void)
{
    Suite *suite = suite_create("autograd/op");
    TCase *cases = tcase_create("op");
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, an_op_of_ones_own_is_like_any_other);
    tcase_add_test(cases, either_output_alone_gives_a_gradient);
    tcase_add_test(cases, a_second_output_may_be_a_weight);
    tcase_add_test(cases, mistakes_of_an_op_are_errors_with_its_name);
    tcase_add_loop_test(cases, repeated_rows_are_the_whole_rows, 0, ROW_FUNCTIONS);
    tcase_add_test(cases, repeated_rows_may_be_used_in_several_ways_at_once);
    tcase_add_test(cases, rows_that_are_given_twice_are_one_for_the_optimizer);
    tcase_add_test(cases, gradients_of_rows_are_checked);
    tcase_add_loop_test(cases, nothing_that_is_passed_in_crashes, 0, 8);
    tcase_add_loop_test(cases, every_allocation_of_an_op_may_fail, 0, op_count());
    suite_add_tcase(suite, cases);
    return suite;
}

/* Additive attention (Bahdanau et al. 2015, arXiv 1409.0473), fused, for two layouts of the memory: rows of
 * packed sequences, and a list of steps. tests/nn/attention.c and tests/autograd/op_cell.c compare them with
 * the formula and with compositions. */
#include "autograd/op_support_internal.h"
#include "autograd/ops.h"
#include "tensor/functions.h"
#include "tensor/rows.h"

#include <math.h>
#include <string.h>

/* The inputs of the ops below. */
enum { SCORE_QUERY, SCORE_V, SCORE_KEYS };
enum { SEGMENT_QUERY, SEGMENT_KEYS, SEGMENT_INDEX, SEGMENT_V };
enum { SUM_WEIGHTS, SUM_VALUES, SUM_INDEX };

/* What the kernels call by the type. */
TENSOR_INLINE float tanh_f32(float x, bool fma)
{
    return tensor_tanh_f32(x, fma);
}

TENSOR_INLINE double tanh_f64(double x, bool fma)
{
    (void)fma;
    return tanh(x);
}

TENSOR_INLINE float fused_f32(float a, float b, float c, bool fma)
{
    return tensor_fused(a, b, c, fma);
}

TENSOR_INLINE double fused_f64(double a, double b, double c, bool fma)
{
    (void)fma;
    return a * b + c;
}

#define KERNELS "autograd/op_attention_kernels_internal.h"
#include "tensor/each_real.h"

/* name_f32() in every version that processors need, and name_f64(). */
#define OF_BOTH(name, parameters, ...)                                                                       \
    TENSOR_LEVELS(name##_f32, name##_loop_f32, parameters, __VA_ARGS__)                                      \
    static void name##_f64 parameters                                                                        \
    {                                                                                                        \
        name##_loop_f64(__VA_ARGS__, false);                                                                 \
    }
OF_BOTH(step_scores, (Tensor out, const Tensor *in, Tensor hidden), out, in, hidden)
OF_BOTH(step_score_gradients,
        (Tensor dquery, Tensor dkey, Tensor dv, Tensor g, int64_t s, const Tensor *in, Tensor hidden), dquery,
        dkey, dv, g, s, in, hidden)
OF_BOTH(weighted_sums, (Tensor out, Tensor weights, const Tensor *values), out, weights, values)
OF_BOTH(weighted_sum_gradients,
        (Tensor dweights, Tensor dvalue, Tensor g, Tensor weights, Tensor value, int64_t s), dweights, dvalue,
        g, weights, value, s)
OF_BOTH(segment_scores, (Tensor out, const Tensor *in, Tensor hidden), out, in, hidden)
OF_BOTH(segment_score_gradients,
        (Tensor dkeys, Tensor dquery, Tensor dv, Tensor g, const Tensor *in, Tensor hidden), dkeys, dquery,
        dv, g, in, hidden)
OF_BOTH(segment_sums, (Tensor out, const Tensor *in), out, in)
OF_BOTH(segment_sum_gradients, (Tensor dweights, Tensor dvalues, Tensor g, const Tensor *in), dweights,
        dvalues, g, in)

/* ---- Shared by additive_score and weighted_sum: a list of step values, of which each counts with its
 * first N rows ---- */

static bool check_steps(OpContext *c, int first, int64_t rows, int64_t width)
{
    for (int i = first; i < c->count; i++) {
        Tensor t = *c->in[i];
        if (t.ndim != 2 || t.shape[0] < rows || t.shape[1] != width)
            return op_error(c, "step %d must be [at least %lld, %lld]", i - first, (long long)rows,
                            (long long)width);
    }
    return true;
}

/* Each input with its last axis contiguous. */
static const Tensor *contiguous_inputs(OpContext *c)
{
    Tensor *inputs = op_alloc(c, (size_t)c->count * sizeof *inputs);
    for (int i = 0; inputs && i < c->count; i++) {
        inputs[i] = c->in[i]->ndim == 2 ? op_with_contiguous_rows(c, *c->in[i])
                                        : tensor_contiguous(op_arena(c), *c->in[i]);
        if (!tensor_is_valid(inputs[i]))
            return NULL;
    }
    return inputs;
}

/* ---- additive_score: out[n, s] = v . tanh(query[n] + keys[s][n]) ---- */

static bool additive_score_forward(OpContext *c)
{
    Tensor query = *c->in[SCORE_QUERY], v = *c->in[SCORE_V];
    if (!op_wants_all_real(c, -1))
        return false;
    if (query.ndim != 2 || v.ndim != 1 || v.shape[0] != query.shape[1])
        return op_error(c, "query must be [N, A] and v [A]");
    int64_t rows = query.shape[0], width = query.shape[1];
    int count = c->count - SCORE_KEYS;
    const Tensor *in = contiguous_inputs(c);
    Tensor hidden = op_new(c, TENSOR_SHAPE(width));
    if (!check_steps(c, SCORE_KEYS, rows, width) || !in || !op_output(c, TENSOR_SHAPE(rows, count)) ||
        !tensor_is_valid(hidden))
        return false;
    TENSOR_BY_DTYPE(query.dtype, step_scores)(*c->out[0], in, hidden);
    return true;
}

/* The tanh is computed again: to keep it would take S times the memory of the keys. */
static void additive_score_backward(OpContext *c, OpTerm *terms)
{
    const Tensor *in = contiguous_inputs(c);
    Tensor g = tensor_contiguous(op_arena(c), *c->grad[0]);
    if (!in || !tensor_is_valid(g))
        return;
    int64_t rows = in[SCORE_QUERY].shape[0], width = in[SCORE_QUERY].shape[1];
    int count = c->count - SCORE_KEYS;
    Tensor dquery = tensor_zeros(op_arena(c), g.dtype, TENSOR_SHAPE(rows, width));
    Tensor dv = tensor_zeros(op_arena(c), g.dtype, TENSOR_SHAPE(width));
    Tensor hidden = op_new(c, TENSOR_SHAPE(width));
    if (!tensor_is_valid(dquery) || !tensor_is_valid(dv) || !tensor_is_valid(hidden))
        return;
    Tensor dkey = tensor_new(op_scratch(c), g.dtype, TENSOR_SHAPE(rows, width));
    if (!tensor_is_valid(dkey))
        return;
    for (int s = 0; s < count; s++) {
        TENSOR_BY_DTYPE(g.dtype, step_score_gradients)(dquery, dkey, dv, g, s, in, hidden);
        op_give_part(&terms[SCORE_KEYS + s], dkey, 0, 0, 1);
        op_take_now(c, SCORE_KEYS + s, &terms[SCORE_KEYS + s]);
    }
    op_give(&terms[SCORE_QUERY], dquery);
    op_give(&terms[SCORE_V], dv);
}

static Var additive_score_sample(OpSample *s)
{
    int64_t rows = op_sample_size(s, 0), width = op_sample_size(s, 1);
    Var query = op_sample(s, TENSOR_SHAPE(rows, width), -1, 1), v = op_sample(s, TENSOR_SHAPE(width), -1, 1);
    Var keys[3];
    for (int i = 0; i < 3; i++)
        keys[i] = op_sample(s, TENSOR_SHAPE(rows + (2 - i), width), -1, 1);
    return var_additive_score(query, keys, 3, v);
}

/* The inputs of a list op: `head` first, then the list. */
static Var apply_to_list(OpKind *op, Tape *tape, const Var *head, int head_count, const Var *list, int count)
{
    if (!tape)
        return VAR_NONE;
    if (count < 0)
        return tape_fail(tape, "%s: a list of %d values", op->name, count);
    Var *inputs = tensor_arena_alloc(tape_arena(tape), (size_t)(head_count + count) * sizeof *inputs);
    if (!inputs)
        return (Var){.tape = tape};
    memcpy(inputs, head, (size_t)head_count * sizeof *inputs);
    if (count > 0)
        memcpy(inputs + head_count, list, (size_t)count * sizeof *inputs);
    return op_apply(op, inputs, head_count + count, NULL, 0);
}

Var var_additive_score(Var query, const Var *keys, int count, Var v)
{
    return apply_to_list(&op_additive_score, query.tape, (Var[]){query, v}, 2, keys, count);
}

static void additive_score_composition(const OpUse *use, Var *out)
{
    Tape *tape = use->tape;
    Var query = use->in[SCORE_QUERY];
    int count = use->count - SCORE_KEYS;
    Var *scores = tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *scores);
    if (!scores)
        return;
    for (int s = 0; s < count; s++) {
        Var key = var_slice(use->in[SCORE_KEYS + s], 0, 0, var_size(query, 0), 1);
        scores[s] = var_sum(var_mul(var_tanh(var_add(query, key)), use->in[SCORE_V]), TENSOR_AXIS(1), false);
    }
    *out = count > 0 ? var_stack(scores, count, 1) : use->out[0];
}

OpKind op_additive_score = {.name = "additive_score",
                            .forward = additive_score_forward,
                            .backward = additive_score_backward,
                            .composition = additive_score_composition,
                            .sample = additive_score_sample};

/* ---- weighted_sum: out[n] = sum over s of weights[n, s] values[s][n] ---- */

static bool weighted_sum_forward(OpContext *c)
{
    Tensor weights = *c->in[0];
    int count = c->count - 1;
    if (!op_wants_all_real(c, -1))
        return false;
    if (weights.ndim != 2 || weights.shape[1] != count || count < 1 || c->in[1]->ndim != 2)
        return op_error(c, "weights must be [N, S] for S > 0 values [N, H]");
    int64_t rows = weights.shape[0], width = c->in[1]->shape[1];
    const Tensor *in = contiguous_inputs(c);
    *c->out[0] = tensor_zeros(op_arena(c), weights.dtype, TENSOR_SHAPE(rows, width));
    if (!check_steps(c, 1, rows, width) || !in || !tensor_is_valid(*c->out[0]))
        return false;
    TENSOR_BY_DTYPE(weights.dtype, weighted_sums)(*c->out[0], in[0], in + 1);
    return true;
}

static void weighted_sum_backward(OpContext *c, OpTerm *terms)
{
    const Tensor *in = contiguous_inputs(c);
    Tensor g = op_with_contiguous_rows(c, *c->grad[0]);
    if (!in || !tensor_is_valid(g))
        return;
    int count = c->count - 1;
    int64_t rows = g.shape[0], width = g.shape[1];
    Tensor dweights = op_new(c, TENSOR_SHAPE(rows, count));
    Tensor dvalue = tensor_new(op_scratch(c), g.dtype, TENSOR_SHAPE(rows, width));
    if (!tensor_is_valid(dweights) || !tensor_is_valid(dvalue))
        return;
    for (int s = 0; s < count; s++) {
        TENSOR_BY_DTYPE(g.dtype, weighted_sum_gradients)(dweights, dvalue, g, in[0], in[1 + s], s);
        op_give_part(&terms[1 + s], dvalue, 0, 0, 1);
        op_take_now(c, 1 + s, &terms[1 + s]);
    }
    op_give(&terms[0], dweights);
}

static Var weighted_sum_sample(OpSample *s)
{
    int64_t rows = op_sample_size(s, 0), width = op_sample_size(s, 1);
    Var weights = op_sample(s, TENSOR_SHAPE(rows, 3), -1, 1);
    Var values[3];
    for (int i = 0; i < 3; i++)
        values[i] = op_sample(s, TENSOR_SHAPE(rows + (2 - i), width), -1, 1);
    return var_weighted_sum(weights, values, 3);
}

Var var_weighted_sum(Var weights, const Var *values, int count)
{
    return apply_to_list(&op_weighted_sum, weights.tape, (Var[]){weights}, 1, values, count);
}

static void weighted_sum_composition(const OpUse *use, Var *out)
{
    Var weights = use->in[0];
    for (int s = 0; s < use->count - 1; s++) {
        Var value = var_slice(use->in[1 + s], 0, 0, var_size(weights, 0), 1);
        Var part = var_mul(var_slice(weights, 1, s, s + 1, 1), value);
        *out = s == 0 ? part : var_add(*out, part);
    }
}

OpKind op_weighted_sum = {.name = "weighted_sum",
                          .forward = weighted_sum_forward,
                          .backward = weighted_sum_backward,
                          .composition = weighted_sum_composition,
                          .sample = weighted_sum_sample};

/* ---- segment_score: out[n] = v . tanh(query[segment[n]] + keys[n]) ---- */

static bool segment_score_forward(OpContext *c)
{
    Tensor keys = *c->in[SEGMENT_KEYS], query = *c->in[SEGMENT_QUERY], segment = *c->in[SEGMENT_INDEX],
           v = *c->in[SEGMENT_V];
    if (!op_wants_all_real(c, SEGMENT_INDEX))
        return false;
    if (keys.ndim != 2 || query.ndim != 2 || v.ndim != 1 || keys.shape[1] != query.shape[1] ||
        v.shape[0] != keys.shape[1])
        return op_error(c, "needs query [B, A], keys [N, A] and v [A]");
    if (segment.dtype != TENSOR_I32 || segment.ndim != 1 || segment.shape[0] != keys.shape[0] ||
        tensor_index_out_of_range(segment, query.shape[0]) >= 0)
        return op_error(c, "needs an i32 segment [N] below B");
    int64_t rows = keys.shape[0];
    const Tensor *in = contiguous_inputs(c);
    Tensor *hidden = op_alloc(c, sizeof *hidden);
    if (!in || !hidden || !op_output(c, TENSOR_SHAPE(rows)))
        return false;
    *hidden = op_new_like(c, keys); /* the tanh, for backward */
    if (!tensor_is_valid(*hidden))
        return false;
    c->saved = hidden;
    TENSOR_BY_DTYPE(keys.dtype, segment_scores)(*c->out[0], in, *hidden);
    return true;
}

static void segment_score_backward(OpContext *c, OpTerm *terms)
{
    const Tensor *in = contiguous_inputs(c);
    Tensor hidden = *(const Tensor *)c->saved, g = tensor_contiguous(op_arena(c), *c->grad[0]);
    if (!in || !tensor_is_valid(g))
        return;
    int64_t width = hidden.shape[1], queries = in[SEGMENT_QUERY].shape[0];
    Tensor dkeys = op_new_like(c, hidden);
    Tensor dquery = tensor_zeros(op_arena(c), g.dtype, TENSOR_SHAPE(queries, width));
    Tensor dv = tensor_zeros(op_arena(c), g.dtype, TENSOR_SHAPE(width));
    if (!tensor_is_valid(dkeys) || !tensor_is_valid(dquery) || !tensor_is_valid(dv))
        return;
    TENSOR_BY_DTYPE(g.dtype, segment_score_gradients)(dkeys, dquery, dv, g, in, hidden);
    op_give(&terms[SEGMENT_KEYS], dkeys);
    op_give(&terms[SEGMENT_QUERY], dquery);
    op_give(&terms[SEGMENT_V], dv);
}

static Var segment_score_sample(OpSample *s)
{
    int64_t rows = op_sample_size(s, 0), width = op_sample_size(s, 1), queries = op_sample_size(s, 2);
    Var keys = op_sample(s, TENSOR_SHAPE(rows, width), -1, 1),
        query = op_sample(s, TENSOR_SHAPE(queries, width), -1, 1);
    Var segment = op_sample_index(s, TENSOR_SHAPE(rows), queries);
    return var_segment_score(query, keys, segment, op_sample(s, TENSOR_SHAPE(width), -1, 1));
}

Var var_segment_score(Var query, Var keys, Var segment, Var v)
{
    return op_apply(&op_segment_score, (Var[]){query, keys, segment, v}, 4, NULL, 0);
}

static void segment_score_composition(const OpUse *use, Var *out)
{
    Var query = var_gather_rows(use->in[SEGMENT_QUERY], use->in[SEGMENT_INDEX]);
    Var hidden = var_tanh(var_add(use->in[SEGMENT_KEYS], query));
    *out = var_sum(var_mul(hidden, use->in[SEGMENT_V]), TENSOR_AXIS(1), false);
}

OpKind op_segment_score = {.name = "segment_score",
                           .forward = segment_score_forward,
                           .backward = segment_score_backward,
                           .composition = segment_score_composition,
                           .sample = segment_score_sample};

/* ---- segment_weighted_sum: out[s] = sum of weights[n] values[n] over segment[n] = s ---- */

static bool segment_weighted_sum_forward(OpContext *c)
{
    Tensor weights = *c->in[SUM_WEIGHTS], values = *c->in[SUM_VALUES], segment = *c->in[SUM_INDEX];
    int64_t count = *(const int64_t *)c->attributes;
    if (!op_wants_all_real(c, SUM_INDEX))
        return false;
    if (weights.ndim != 1 || values.ndim != 2 || values.shape[0] != weights.shape[0])
        return op_error(c, "needs weights [N] and values [N, H]");
    if (segment.dtype != TENSOR_I32 || segment.ndim != 1 || segment.shape[0] != weights.shape[0] ||
        count < 0 || tensor_index_out_of_range(segment, count) >= 0)
        return op_error(c, "needs an i32 segment [N] below the count %lld", (long long)count);
    int64_t width = values.shape[1];
    const Tensor *in = contiguous_inputs(c);
    *c->out[0] = tensor_zeros(op_arena(c), weights.dtype, TENSOR_SHAPE(count, width));
    if (!in || !tensor_is_valid(*c->out[0]))
        return false;
    TENSOR_BY_DTYPE(weights.dtype, segment_sums)(*c->out[0], in);
    return true;
}

static void segment_weighted_sum_backward(OpContext *c, OpTerm *terms)
{
    const Tensor *in = contiguous_inputs(c);
    Tensor g = op_with_contiguous_rows(c, *c->grad[0]);
    if (!in || !tensor_is_valid(g))
        return;
    int64_t rows = in[SUM_WEIGHTS].shape[0], width = g.shape[1];
    Tensor dweights = op_new(c, TENSOR_SHAPE(rows)), dvalues = op_new(c, TENSOR_SHAPE(rows, width));
    if (!tensor_is_valid(dweights) || !tensor_is_valid(dvalues))
        return;
    TENSOR_BY_DTYPE(g.dtype, segment_sum_gradients)(dweights, dvalues, g, in);
    op_give(&terms[SUM_WEIGHTS], dweights);
    op_give(&terms[SUM_VALUES], dvalues);
}

static Var segment_weighted_sum_sample(OpSample *s)
{
    int64_t rows = op_sample_size(s, 0), count = op_sample_size(s, 2);
    Var weights = op_sample(s, TENSOR_SHAPE(rows), -1, 1);
    Var values = op_sample(s, TENSOR_SHAPE(rows, op_sample_size(s, 1)), -1, 1);
    return var_segment_weighted_sum(weights, values, op_sample_index(s, TENSOR_SHAPE(rows), count), count);
}

Var var_segment_weighted_sum(Var weights, Var values, Var segment, int64_t count)
{
    return op_apply(&op_segment_weighted_sum, (Var[]){weights, values, segment}, 3, &count, sizeof count);
}

static void segment_weighted_sum_composition(const OpUse *use, Var *out)
{
    Var weights = use->in[SUM_WEIGHTS];
    Var product = var_mul(var_reshape(weights, TENSOR_SHAPE(var_size(weights, 0), 1)), use->in[SUM_VALUES]);
    *out = var_segment_sum(product, use->in[SUM_INDEX], *(const int64_t *)use->attributes);
}

OpKind op_segment_weighted_sum = {.name = "segment_weighted_sum",
                                  .forward = segment_weighted_sum_forward,
                                  .backward = segment_weighted_sum_backward,
                                  .composition = segment_weighted_sum_composition,
                                  .sample = segment_weighted_sum_sample};

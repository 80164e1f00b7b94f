/* The elementwise parts of recurrent cells and of additive attention, fused: each does in one pass over
 * memory what the composition that defines it does in many. tests/autograd/op_cell.c compares the two. */
#include "autograd/op_list.h"
#include "autograd/ops.h"
#include "tensor/vmath.h"

#include <math.h>
#include <string.h>

/* ---- gated_memory: c = s(f) c_prev + s(i) tanh(g), h = s(o) tanh(c) ---- */

typedef struct GatedSaved {
    Tensor gates;  /* [N, 4H] activated, in the order of z */
    Tensor tanh_c; /* [N, H] */
} GatedSaved;

/* The loops of vmath for f64, one unit at a time. */
static double sigmoid_f64(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static void gated_memory_f64(double *i, double *f, double *g, double *o, const double *c_prev, double *c,
                             double *tanh_c, double *h, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        i[k] = sigmoid_f64(i[k]);
        f[k] = sigmoid_f64(f[k]);
        g[k] = tanh(g[k]);
        o[k] = sigmoid_f64(o[k]);
        c[k] = f[k] * (c_prev ? c_prev[k] : 0.0) + i[k] * g[k];
        tanh_c[k] = tanh(c[k]);
        h[k] = o[k] * tanh_c[k];
    }
}

static void gated_memory_backward_f64(const double *i, const double *f, const double *g, const double *o,
                                      const double *c_prev, const double *tanh_c, const double *dh,
                                      const double *dc, double *di, double *df, double *dg, double *do_,
                                      double *dc_prev, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double d_out = dh ? dh[k] : 0.0;
        double d_cell = (dc ? dc[k] : 0.0) + d_out * o[k] * (1 - tanh_c[k] * tanh_c[k]);
        do_[k] = d_out * tanh_c[k] * o[k] * (1 - o[k]);
        di[k] = d_cell * g[k] * i[k] * (1 - i[k]);
        df[k] = d_cell * (c_prev ? c_prev[k] : 0.0) * f[k] * (1 - f[k]);
        dg[k] = d_cell * i[k] * (1 - g[k] * g[k]);
        dc_prev[k] = d_cell * f[k];
    }
}

/* Row r of t as a pointer to its elements; NULL for an invalid t. The last axis must be contiguous. */
static void *row(Tensor t, int64_t r)
{
    if (!tensor_is_valid(t))
        return NULL;
    return (char *)t.data + (size_t)(r * t.strides[0]) * dtype_size(t.dtype);
}

static Tensor with_contiguous_rows(OpContext *c, Tensor t)
{
    if (!tensor_is_valid(t) || t.shape[1] <= 1 || t.strides[1] == 1)
        return t;
    return tensor_contiguous(op_arena(c), t);
}

static bool is_permutation_of_gates(const GateOrder *order)
{
    unsigned seen = 0;
    const int places[4] = {order->input, order->forget, order->cell, order->output};
    for (int k = 0; k < 4; k++)
        if (places[k] >= 0 && places[k] < 4)
            seen |= 1u << places[k];
    return seen == 15u;
}

static bool gated_memory_forward(OpContext *c)
{
    const GateOrder *order = c->attributes;
    Tensor z = c->inputs[0], c_prev = c->input_count == 2 ? c->inputs[1] : tensor_invalid();
    if (z.ndim != 2 || z.shape[1] % 4 != 0 || z.dtype == DTYPE_I32 || !is_permutation_of_gates(order))
        return op_error(c, "z must be [N, 4H] of f32 or f64, and the gates' places a permutation of 0..3");
    int64_t n = z.shape[0], hidden = z.shape[1] / 4;
    if (c->input_count == 2 && (c_prev.ndim != 2 || c_prev.shape[0] != n || c_prev.shape[1] != hidden))
        return op_error(c, "c_prev must be [N, H]");
    GatedSaved *saved = op_alloc(c, sizeof *saved);
    if (!saved)
        return false;
    *saved = (GatedSaved){.gates = op_new_like(c, z), .tanh_c = op_new(c, SHAPE(n, hidden))};
    c->saved = saved;
    c->second = op_new(c, SHAPE(n, hidden));
    c_prev = with_contiguous_rows(c, c_prev);
    if (!op_output(c, SHAPE(n, hidden)) || !tensor_is_valid(c->second) || !tensor_is_valid(saved->tanh_c) ||
        !tensor_copy_into(saved->gates, z))
        return false;
    for (int64_t r = 0; r < n; r++) {
        void *gates = row(saved->gates, r);
        size_t width = (size_t)hidden;
        if (z.dtype == DTYPE_F32) {
            float *g = gates;
            vmath_gated_memory(g + order->input * hidden, g + order->forget * hidden,
                               g + order->cell * hidden, g + order->output * hidden, row(c_prev, r),
                               row(c->second, r), row(saved->tanh_c, r), row(c->output, r), width);
        } else {
            double *g = gates;
            gated_memory_f64(g + order->input * hidden, g + order->forget * hidden, g + order->cell * hidden,
                             g + order->output * hidden, row(c_prev, r), row(c->second, r),
                             row(saved->tanh_c, r), row(c->output, r), width);
        }
    }
    return true;
}

static void gated_memory_backward(OpContext *c)
{
    const GateOrder *order = c->attributes;
    const GatedSaved *saved = c->saved;
    bool has_previous = c->input_count == 2;
    Tensor dz = op_new_like(c, saved->gates), dc_prev = op_new_like(c, saved->tanh_c);
    Tensor c_prev = has_previous ? with_contiguous_rows(c, c->inputs[1]) : tensor_invalid();
    Tensor dh = with_contiguous_rows(c, c->grad), dc = with_contiguous_rows(c, c->second_grad);
    if (!tensor_is_valid(dz) || !tensor_is_valid(dc_prev))
        return;
    int64_t hidden = dc_prev.shape[1];
    int64_t at_i = order->input * hidden, at_f = order->forget * hidden, at_g = order->cell * hidden,
            at_o = order->output * hidden;
    for (int64_t r = 0; r < dz.shape[0]; r++) {
        if (dz.dtype == DTYPE_F32) {
            const float *g = row(saved->gates, r);
            float *d = row(dz, r);
            vmath_gated_memory_backward(g + at_i, g + at_f, g + at_g, g + at_o, row(c_prev, r),
                                        row(saved->tanh_c, r), row(dh, r), row(dc, r), d + at_i, d + at_f,
                                        d + at_g, d + at_o, row(dc_prev, r), (size_t)hidden);
        } else {
            const double *g = row(saved->gates, r);
            double *d = row(dz, r);
            gated_memory_backward_f64(g + at_i, g + at_f, g + at_g, g + at_o, row(c_prev, r),
                                      row(saved->tanh_c, r), row(dh, r), row(dc, r), d + at_i, d + at_f,
                                      d + at_g, d + at_o, row(dc_prev, r), (size_t)hidden);
        }
    }
    op_add_grad(c, 0, dz);
    if (has_previous)
        op_add_grad(c, 1, dc_prev);
}

static Var gated_memory_sample(OpSample *s)
{
    static const GateOrder orders[2] = {{0, 1, 2, 3}, {1, 0, 2, 3}};
    int64_t n = op_sample_size(s, 0), hidden = op_sample_size(s, 1);
    Var z = op_sample(s, SHAPE(n, 4 * hidden), -2, 2);
    Var c_prev = op_sample_choice(s, 3) ? op_sample(s, SHAPE(n, hidden), -1, 1) : VAR_NONE, c;
    Var h = var_gated_memory(z, c_prev, orders[op_sample_choice(s, 2)], &c);
    return var_concat((Var[]){h, c}, 2, 1);
}

Var var_gated_memory(Var z, Var c_prev, GateOrder order, Var *c)
{
    Var h = op_apply(&op_gated_memory, (Var[]){z, c_prev}, c_prev.tape ? 2 : 1, &order, sizeof order);
    *c = op_second(h);
    return h;
}

Op op_gated_memory = {.name = "gated_memory",
                      .forward = gated_memory_forward,
                      .backward = gated_memory_backward,
                      .sample = gated_memory_sample};

/* ---- Shared by additive_score and weighted_sum: a list of step values, of which each counts with its
 * first N rows ---- */

static bool check_steps(OpContext *c, int first, int64_t rows, int64_t width)
{
    for (int i = first; i < c->input_count; i++) {
        Tensor t = c->inputs[i];
        if (t.ndim != 2 || t.shape[0] < rows || t.shape[1] != width)
            return op_error(c, "step %d must be [at least %lld, %lld]", i - first, (long long)rows,
                            (long long)width);
    }
    return true;
}

/* Each input with its last axis contiguous. */
static const Tensor *contiguous_inputs(OpContext *c)
{
    Tensor *inputs = op_alloc(c, (size_t)c->input_count * sizeof *inputs);
    for (int i = 0; inputs && i < c->input_count; i++) {
        inputs[i] = c->inputs[i].ndim == 2 ? with_contiguous_rows(c, c->inputs[i])
                                           : tensor_contiguous(op_arena(c), c->inputs[i]);
        if (!tensor_is_valid(inputs[i]))
            return NULL;
    }
    return inputs;
}

/* ---- additive_score: out[n, s] = v . tanh(query[n] + keys[s][n]) ---- */

static void tanh_f32(float *out, const float *x, size_t n)
{
    vmath_tanh(out, x, n);
}

static void tanh_f64(double *out, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = tanh(x[i]);
}

/* Sums in eight lanes, which compilers vectorise without being allowed to reorder. */
#define DEFINE_SCORE(T, SUFFIX)                                                                              \
    static T dot_##SUFFIX(const T *a, const T *b, int64_t n)                                                 \
    {                                                                                                        \
        T lane[8] = {0};                                                                                     \
        int64_t i = 0;                                                                                       \
        for (; i + 8 <= n; i += 8)                                                                           \
            for (int j = 0; j < 8; j++)                                                                      \
                lane[j] += a[i + j] * b[i + j];                                                              \
        for (; i < n; i++)                                                                                   \
            lane[i & 7] += a[i] * b[i];                                                                      \
        return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));    \
    }                                                                                                        \
    static T score_##SUFFIX(T *hidden, const T *query, const T *key, const T *v, int64_t width)              \
    {                                                                                                        \
        for (int64_t j = 0; j < width; j++)                                                                  \
            hidden[j] = query[j] + key[j];                                                                   \
        tanh_##SUFFIX(hidden, hidden, (size_t)width);                                                        \
        return dot_##SUFFIX(hidden, v, width);                                                               \
    }                                                                                                        \
    /* From the tanh in `hidden`: dv += g hidden; d = g v (1 - hidden^2), to dquery and dkey. */             \
    static void score_backward_##SUFFIX(T g, const T *hidden, const T *v, T *dquery, T *dkey, T *dv,         \
                                        int64_t width)                                                       \
    {                                                                                                        \
        for (int64_t j = 0; j < width; j++) {                                                                \
            T d = g * v[j] * (1 - hidden[j] * hidden[j]);                                                    \
            dv[j] += g * hidden[j];                                                                          \
            dquery[j] += d;                                                                                  \
            dkey[j] = d;                                                                                     \
        }                                                                                                    \
    }                                                                                                        \
    static void add_scaled_##SUFFIX(T *out, T factor, const T *x, int64_t n)                                 \
    {                                                                                                        \
        for (int64_t j = 0; j < n; j++)                                                                      \
            out[j] += factor * x[j];                                                                         \
    }
DEFINE_SCORE(float, f32)
DEFINE_SCORE(double, f64)

enum { SCORE_QUERY, SCORE_V, SCORE_KEYS };

static bool additive_score_forward(OpContext *c)
{
    Tensor query = c->inputs[SCORE_QUERY], v = c->inputs[SCORE_V];
    if (query.ndim != 2 || v.ndim != 1 || v.shape[0] != query.shape[1] || query.dtype == DTYPE_I32)
        return op_error(c, "query must be [N, A] and v [A]");
    int64_t rows = query.shape[0], width = query.shape[1];
    int count = c->input_count - SCORE_KEYS;
    const Tensor *in = contiguous_inputs(c);
    Tensor hidden = op_new(c, SHAPE(width));
    if (!check_steps(c, SCORE_KEYS, rows, width) || !in || !op_output(c, SHAPE(rows, count)) ||
        !tensor_is_valid(hidden))
        return false;
    for (int s = 0; s < count; s++)
        for (int64_t r = 0; r < rows; r++) {
            const void *q = row(in[SCORE_QUERY], r), *key = row(in[SCORE_KEYS + s], r);
            if (query.dtype == DTYPE_F32)
                tensor_f32(c->output)[r * count + s] =
                    score_f32(hidden.data, q, key, in[SCORE_V].data, width);
            else
                tensor_f64(c->output)[r * count + s] =
                    score_f64(hidden.data, q, key, in[SCORE_V].data, width);
        }
    return true;
}

/* The tanh is computed again: to keep it would take S times the memory of the keys. */
static void additive_score_backward(OpContext *c)
{
    const Tensor *in = contiguous_inputs(c);
    Tensor g = tensor_contiguous(op_arena(c), c->grad);
    if (!in || !tensor_is_valid(g))
        return;
    int64_t rows = in[SCORE_QUERY].shape[0], width = in[SCORE_QUERY].shape[1];
    int count = c->input_count - SCORE_KEYS;
    Tensor dquery = tensor_zeros(op_arena(c), g.dtype, SHAPE(rows, width));
    Tensor dv = tensor_zeros(op_arena(c), g.dtype, SHAPE(width));
    Tensor dkey = op_new(c, SHAPE(rows, width)), hidden = op_new(c, SHAPE(width));
    if (!tensor_is_valid(dquery) || !tensor_is_valid(dv) || !tensor_is_valid(dkey) ||
        !tensor_is_valid(hidden))
        return;
    for (int s = 0; s < count; s++) {
        for (int64_t r = 0; r < rows; r++) {
            const void *q = row(in[SCORE_QUERY], r), *key = row(in[SCORE_KEYS + s], r);
            if (g.dtype == DTYPE_F32) {
                score_f32(hidden.data, q, key, in[SCORE_V].data, width);
                score_backward_f32(tensor_f32(g)[r * count + s], hidden.data, in[SCORE_V].data,
                                   row(dquery, r), row(dkey, r), dv.data, width);
            } else {
                score_f64(hidden.data, q, key, in[SCORE_V].data, width);
                score_backward_f64(tensor_f64(g)[r * count + s], hidden.data, in[SCORE_V].data,
                                   row(dquery, r), row(dkey, r), dv.data, width);
            }
        }
        op_add_grad_slice(c, SCORE_KEYS + s, dkey, 0, 0, 1);
    }
    op_add_grad(c, SCORE_QUERY, dquery);
    op_add_grad(c, SCORE_V, dv);
}

static Var additive_score_sample(OpSample *s)
{
    int64_t rows = op_sample_size(s, 0), width = op_sample_size(s, 1);
    Var query = op_sample(s, SHAPE(rows, width), -1, 1), v = op_sample(s, SHAPE(width), -1, 1);
    Var keys[3];
    for (int i = 0; i < 3; i++)
        keys[i] = op_sample(s, SHAPE(rows + (2 - i), width), -1, 1);
    return var_additive_score(query, keys, 3, v);
}

/* The inputs of a list op: `head` first, then the list. */
static Var apply_to_list(Op *op, Tape *tape, const Var *head, int head_count, const Var *list, int count)
{
    if (!tape)
        return VAR_NONE;
    Var *inputs = arena_alloc(tape_arena(tape), (size_t)(head_count + count) * sizeof *inputs);
    if (!inputs)
        return tape_fail(tape, "%s: out of memory", op->name);
    memcpy(inputs, head, (size_t)head_count * sizeof *inputs);
    if (count > 0)
        memcpy(inputs + head_count, list, (size_t)count * sizeof *inputs);
    return op_apply(op, inputs, head_count + count, NULL, 0);
}

Var var_additive_score(Var query, const Var *keys, int count, Var v)
{
    return apply_to_list(&op_additive_score, query.tape, (Var[]){query, v}, 2, keys, count);
}

Op op_additive_score = {.name = "additive_score",
                        .forward = additive_score_forward,
                        .backward = additive_score_backward,
                        .sample = additive_score_sample};

/* ---- weighted_sum: out[n] = sum over s of weights[n, s] values[s][n] ---- */

static bool weighted_sum_forward(OpContext *c)
{
    Tensor weights = c->inputs[0];
    int count = c->input_count - 1;
    if (weights.ndim != 2 || weights.shape[1] != count || count < 1 || c->inputs[1].ndim != 2)
        return op_error(c, "weights must be [N, S] for S > 0 values [N, H]");
    int64_t rows = weights.shape[0], width = c->inputs[1].shape[1];
    const Tensor *in = contiguous_inputs(c);
    c->output = tensor_zeros(op_arena(c), weights.dtype, SHAPE(rows, width));
    if (!check_steps(c, 1, rows, width) || !in || !tensor_is_valid(c->output))
        return false;
    for (int s = 0; s < count; s++)
        for (int64_t r = 0; r < rows; r++) {
            if (weights.dtype == DTYPE_F32)
                add_scaled_f32(row(c->output, r), ((float *)row(in[0], r))[s], row(in[1 + s], r), width);
            else
                add_scaled_f64(row(c->output, r), ((double *)row(in[0], r))[s], row(in[1 + s], r), width);
        }
    return true;
}

static void weighted_sum_backward(OpContext *c)
{
    const Tensor *in = contiguous_inputs(c);
    Tensor g = with_contiguous_rows(c, c->grad);
    if (!in || !tensor_is_valid(g))
        return;
    int count = c->input_count - 1;
    int64_t rows = g.shape[0], width = g.shape[1];
    Tensor dweights = op_new(c, SHAPE(rows, count)), dvalue = op_new(c, SHAPE(rows, width));
    if (!tensor_is_valid(dweights) || !tensor_is_valid(dvalue))
        return;
    for (int s = 0; s < count; s++) {
        tensor_fill(dvalue, 0.0);
        for (int64_t r = 0; r < rows; r++) {
            if (g.dtype == DTYPE_F32) {
                tensor_f32(dweights)[r * count + s] = dot_f32(row(g, r), row(in[1 + s], r), width);
                add_scaled_f32(row(dvalue, r), ((float *)row(in[0], r))[s], row(g, r), width);
            } else {
                tensor_f64(dweights)[r * count + s] = dot_f64(row(g, r), row(in[1 + s], r), width);
                add_scaled_f64(row(dvalue, r), ((double *)row(in[0], r))[s], row(g, r), width);
            }
        }
        op_add_grad_slice(c, 1 + s, dvalue, 0, 0, 1);
    }
    op_add_grad(c, 0, dweights);
}

static Var weighted_sum_sample(OpSample *s)
{
    int64_t rows = op_sample_size(s, 0), width = op_sample_size(s, 1);
    Var weights = op_sample(s, SHAPE(rows, 3), -1, 1);
    Var values[3];
    for (int i = 0; i < 3; i++)
        values[i] = op_sample(s, SHAPE(rows + (2 - i), width), -1, 1);
    return var_weighted_sum(weights, values, 3);
}

Var var_weighted_sum(Var weights, const Var *values, int count)
{
    return apply_to_list(&op_weighted_sum, weights.tape, (Var[]){weights}, 1, values, count);
}

Op op_weighted_sum = {.name = "weighted_sum",
                      .forward = weighted_sum_forward,
                      .backward = weighted_sum_backward,
                      .sample = weighted_sum_sample};

/* The elementwise parts of recurrent cells, fused: in one pass over memory what the composition that
 * defines it does in many. tests/autograd/op_cell.c compares the two. */
#include "autograd/op_list.h"
#include "autograd/op_support_internal.h"
#include "autograd/ops.h"
#include "autograd/op_product_internal.h"
#include "tensor/rows.h"
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

static bool is_permutation_of_gates(const GateOrder *order)
{
    unsigned seen = 0;
    const int places[4] = {order->input, order->forget, order->cell, order->output};
    for (int k = 0; k < 4; k++)
        if (places[k] >= 0 && places[k] < 4)
            seen |= 1u << places[k];
    return seen == 15u;
}

/* What var_gated_memory() and var_gated_memory_step() are given, in this order; -1: absent. */
typedef struct GatedInputs {
    GateOrder order;
    int c_prev, h, weight; /* z is input 0 */
} GatedInputs;

/* gates = z, or z + h W^T. */
static bool fill_gates(OpContext *c, const GatedInputs *in, Tensor gates)
{
    if (!op_write(c, 0, gates))
        return false;
    if (in->h < 0)
        return true;
    return op_times_weight(c, gates, *c->in[in->h], in->weight, 1.0);
}

static bool check_gated_inputs(OpContext *c, const GatedInputs *in, int64_t n, int64_t hidden)
{
    Tensor z = *c->in[0];
    if (!op_wants_all_real(c, -1))
        return false;
    if (z.ndim != 2 || z.shape[1] % 4 != 0 || !is_permutation_of_gates(&in->order))
        return op_error(c, "z must be [N, 4H], and the gates' places a permutation of 0..3");
    if (in->c_prev >= 0) {
        Tensor c_prev = *c->in[in->c_prev];
        if (c_prev.ndim != 2 || c_prev.shape[0] != n || c_prev.shape[1] != hidden)
            return op_error(c, "c_prev must be [N, H]");
    }
    if (in->h >= 0) {
        Tensor h = *c->in[in->h], weight = *c->in[in->weight];
        if (h.ndim != 2 || weight.ndim != 2 || h.shape[0] != n || weight.shape[0] != 4 * hidden ||
            weight.shape[1] != h.shape[1])
            return op_error(c, "h must be [N, in] and the weight [4H, in]");
    }
    return true;
}

static bool gated_memory_forward(OpContext *c)
{
    const GatedInputs *in = c->attributes;
    const GateOrder *order = &in->order;
    Tensor z = *c->in[0];
    int64_t n = z.shape[0], hidden = z.ndim == 2 ? z.shape[1] / 4 : 0;
    if (!check_gated_inputs(c, in, n, hidden))
        return false;
    GatedSaved *saved = op_alloc(c, sizeof *saved);
    if (!saved)
        return false;
    *saved = (GatedSaved){.gates = op_new(c, SHAPE(n, 4 * hidden)), .tanh_c = op_new(c, SHAPE(n, hidden))};
    c->saved = saved;
    *c->out[1] = op_new(c, SHAPE(n, hidden));
    Tensor c_prev = in->c_prev >= 0 ? op_with_contiguous_rows(c, *c->in[in->c_prev]) : tensor_invalid();
    if (!op_output(c, SHAPE(n, hidden)) || !tensor_is_valid(*c->out[1]) || !tensor_is_valid(saved->tanh_c) ||
        !tensor_is_valid(saved->gates) || !fill_gates(c, in, saved->gates))
        return false;
    for (int64_t r = 0; r < n; r++) {
        void *gates = op_row(saved->gates, r);
        size_t width = (size_t)hidden;
        if (z.dtype == DTYPE_F32) {
            float *g = gates;
            vmath_gated_memory(g + order->input * hidden, g + order->forget * hidden,
                               g + order->cell * hidden, g + order->output * hidden, op_row(c_prev, r),
                               op_row(*c->out[1], r), op_row(saved->tanh_c, r), op_row(*c->out[0], r), width);
        } else {
            double *g = gates;
            gated_memory_f64(g + order->input * hidden, g + order->forget * hidden, g + order->cell * hidden,
                             g + order->output * hidden, op_row(c_prev, r), op_row(*c->out[1], r),
                             op_row(saved->tanh_c, r), op_row(*c->out[0], r), width);
        }
    }
    return true;
}

static void gated_memory_backward(OpContext *c, OpTerm *terms)
{
    const GatedInputs *in = c->attributes;
    const GateOrder *order = &in->order;
    const GatedSaved *saved = c->saved;
    Tensor dz = op_new_like(c, saved->gates), dc_prev = op_new_like(c, saved->tanh_c);
    Tensor c_prev = in->c_prev >= 0 ? op_with_contiguous_rows(c, *c->in[in->c_prev]) : tensor_invalid();
    Tensor dh = c->grad[0] ? op_with_contiguous_rows(c, *c->grad[0]) : tensor_invalid(),
           dc = c->grad[1] ? op_with_contiguous_rows(c, *c->grad[1]) : tensor_invalid();
    if (!tensor_is_valid(dz) || !tensor_is_valid(dc_prev))
        return;
    int64_t hidden = dc_prev.shape[1];
    int64_t at_i = order->input * hidden, at_f = order->forget * hidden, at_g = order->cell * hidden,
            at_o = order->output * hidden;
    for (int64_t r = 0; r < dz.shape[0]; r++) {
        if (dz.dtype == DTYPE_F32) {
            const float *g = op_row(saved->gates, r);
            float *d = op_row(dz, r);
            vmath_gated_memory_backward(g + at_i, g + at_f, g + at_g, g + at_o, op_row(c_prev, r),
                                        op_row(saved->tanh_c, r), op_row(dh, r), op_row(dc, r), d + at_i,
                                        d + at_f, d + at_g, d + at_o, op_row(dc_prev, r), (size_t)hidden);
        } else {
            const double *g = op_row(saved->gates, r);
            double *d = op_row(dz, r);
            gated_memory_backward_f64(g + at_i, g + at_f, g + at_g, g + at_o, op_row(c_prev, r),
                                      op_row(saved->tanh_c, r), op_row(dh, r), op_row(dc, r), d + at_i,
                                      d + at_f, d + at_g, d + at_o, op_row(dc_prev, r), (size_t)hidden);
        }
    }
    op_give(&terms[0], dz);
    if (in->c_prev >= 0)
        op_give(&terms[in->c_prev], dc_prev);
    if (in->h >= 0)
        op_give_weight_terms(c, terms, dz, in->h, in->weight);
}

static Var gate(Var z, int place, int64_t hidden)
{
    return var_slice(z, 1, place * hidden, (place + 1) * hidden, 1);
}

static Var gated_memory_sample(OpSample *s)
{
    static const GateOrder orders[2] = {{0, 1, 2, 3}, {1, 0, 2, 3}};
    int64_t n = op_sample_size(s, 0), hidden = op_sample_size(s, 1), width = op_sample_size(s, 2);
    GateOrder order = orders[op_sample_choice(s, 2)];
    Var z = op_sample(s, SHAPE(n, 4 * hidden), -2, 2);
    Var c_prev = op_sample_choice(s, 3) ? op_sample(s, SHAPE(n, hidden), -1, 1) : VAR_NONE, h, c;
    if (op_sample_choice(s, 2)) {
        Var x = op_sample(s, SHAPE(n, width), -1, 1), weight = op_sample(s, SHAPE(4 * hidden, width), -1, 1);
        h = var_gated_memory_step(z, x, weight, c_prev, order, &c);
    } else {
        h = var_gated_memory(z, c_prev, order, &c);
    }
    return var_concat((Var[]){h, c}, 2, 1);
}

static Var apply_gated(Var z, Var h, Var weight, Var c_prev, GateOrder order, Var *c)
{
    Var inputs[4] = {z};
    GatedInputs in = {.order = order, .c_prev = -1, .h = -1, .weight = -1};
    int count = 1;
    if (c_prev.tape)
        inputs[in.c_prev = count++] = c_prev;
    if (h.tape) {
        inputs[in.h = count++] = h;
        inputs[in.weight = count++] = weight;
    }
    Var out = op_apply(&op_gated_memory, inputs, count, &in, sizeof in);
    *c = var_output(out, 1);
    return out;
}

Var var_gated_memory(Var z, Var c_prev, GateOrder order, Var *c)
{
    return apply_gated(z, VAR_NONE, VAR_NONE, c_prev, order, c);
}

Var var_gated_memory_step(Var x, Var h, Var weight, Var c_prev, GateOrder order, Var *c)
{
    return apply_gated(x, h, weight, c_prev, order, c);
}

static void gated_memory_composition(const OpUse *use, Var *out)
{
    const GatedInputs *in = use->attributes;
    Var z = in->h < 0 ? use->in[0] : var_addmm(use->in[0], use->in[in->h], use->in[in->weight]);
    int64_t hidden = var_size(z, 1) / 4;
    Var input = var_sigmoid(gate(z, in->order.input, hidden)),
        forget = var_sigmoid(gate(z, in->order.forget, hidden));
    Var cell = var_tanh(gate(z, in->order.cell, hidden)),
        output = var_sigmoid(gate(z, in->order.output, hidden));
    out[1] = var_mul(input, cell);
    if (in->c_prev >= 0)
        out[1] = var_add(var_mul(forget, use->in[in->c_prev]), out[1]);
    out[0] = var_mul(output, var_tanh(out[1]));
}

OpKind op_gated_memory = {.name = "gated_memory",
                          .forward = gated_memory_forward,
                          .backward = gated_memory_backward,
                          .composition = gated_memory_composition,
                          .sample = gated_memory_sample,
                          .outputs = 2,
                          .lazy_forward = OP_IN(0),
                          .backward_reads = OP_IN(1) | OP_IN(2) | OP_IN(3)};

/* The elementwise parts of recurrent cells, fused: in one pass over memory what the composition that
 * defines it does in many. tests/autograd/op_cell.c compares the two. */
#include "autograd/op_support_internal.h"
#include "autograd/ops.h"
#include "autograd/op_product_internal.h"
#include "tensor/functions.h"
#include "tensor/rows.h"

#include <math.h>

/* ---- gated_memory: c = s(f) c_prev + s(i) tanh(g), h = s(o) tanh(c) ---- */

typedef struct GatedSaved {
    Tensor gates;  /* [N, 4H] activated, in the order of z */
    Tensor tanh_c; /* [N, H] */
} GatedSaved;

/* The loops for f32, in every version that processors need, and for f64. Blocks of units stay in the first
 * cache from one function to the next. */
enum { CELL_BLOCK = 256 };

#define REAL           float
#define NAME(name)     name##_f32
#define FUSED(a, b, c) tensor_fused(a, b, c, fma)
#define SIGMOID(x)     tensor_sigmoid_f32(x, fma)
#define TANH(x)        tensor_tanh_f32(x, fma)
#include "autograd/op_cell_loops_internal.h"
#undef REAL
#undef NAME
#undef FUSED
#undef SIGMOID
#undef TANH
TENSOR_LEVELS(memory_f32, memory_loop_f32,
              (Gates_f32 a, const float *c_prev, float *c, float *tanh_c, float *h, size_t n), a, c_prev, c,
              tanh_c, h, n)
TENSOR_LEVELS(memory_backward_f32, memory_backward_loop_f32,
              (Gates_f32 a, const float *c_prev, const float *tanh_c, const float *dh, const float *dc,
               Gates_f32 d, float *dc_prev, size_t n),
              a, c_prev, tanh_c, dh, dc, d, dc_prev, n)
TENSOR_LEVELS(unit_f32, unit_loop_f32, (Unit_f32 a, Unit_f32 u, const float *h_prev, float *h, size_t n), a,
              u, h_prev, h, n)
TENSOR_LEVELS(unit_backward_f32, unit_backward_loop_f32,
              (Unit_f32 a, const float *u_n, const float *h_prev, const float *dh, Unit_f32 dx, Unit_f32 du,
               float *dh_prev, size_t n),
              a, u_n, h_prev, dh, dx, du, dh_prev, n)

static double sigmoid_f64(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

#define REAL           double
#define NAME(name)     name##_f64
#define FUSED(a, b, c) ((a) * (b) + (c))
#define SIGMOID(x)     sigmoid_f64(x)
#define TANH(x)        tanh(x)
#include "autograd/op_cell_loops_internal.h"
static void memory_f64(Gates_f64 a, const double *c_prev, double *c, double *tanh_c, double *h, size_t n)
{
    memory_loop_f64(a, c_prev, c, tanh_c, h, n, false);
}
static void memory_backward_f64(Gates_f64 a, const double *c_prev, const double *tanh_c, const double *dh,
                                const double *dc, Gates_f64 d, double *dc_prev, size_t n)
{
    memory_backward_loop_f64(a, c_prev, tanh_c, dh, dc, d, dc_prev, n, false);
}

static bool is_permutation_of_gates(const VarGateOrder *order)
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
    VarGateOrder order;
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
    const VarGateOrder *order = &in->order;
    Tensor z = *c->in[0];
    int64_t n = z.shape[0], hidden = z.ndim == 2 ? z.shape[1] / 4 : 0;
    if (!check_gated_inputs(c, in, n, hidden))
        return false;
    GatedSaved *saved = op_alloc(c, sizeof *saved);
    if (!saved)
        return false;
    *saved = (GatedSaved){.gates = op_new(c, TENSOR_SHAPE(n, 4 * hidden)),
                          .tanh_c = op_new(c, TENSOR_SHAPE(n, hidden))};
    c->saved = saved;
    *c->out[1] = op_new(c, TENSOR_SHAPE(n, hidden));
    Tensor c_prev = in->c_prev >= 0 ? op_with_contiguous_rows(c, *c->in[in->c_prev]) : tensor_invalid();
    if (!op_output(c, TENSOR_SHAPE(n, hidden)) || !tensor_is_valid(*c->out[1]) ||
        !tensor_is_valid(saved->tanh_c) || !tensor_is_valid(saved->gates) || !fill_gates(c, in, saved->gates))
        return false;
    for (int64_t r = 0; r < n; r++) {
        void *before = op_row(c_prev, r), *cell = op_row(*c->out[1], r), *squashed = op_row(saved->tanh_c, r);
        if (z.dtype == TENSOR_F32)
            memory_f32(gates_of_f32(saved->gates, r, order), before, cell, squashed, op_row(*c->out[0], r),
                       (size_t)hidden);
        else
            memory_f64(gates_of_f64(saved->gates, r, order), before, cell, squashed, op_row(*c->out[0], r),
                       (size_t)hidden);
    }
    return true;
}

static void gated_memory_backward(OpContext *c, OpTerm *terms)
{
    const GatedInputs *in = c->attributes;
    const VarGateOrder *order = &in->order;
    const GatedSaved *saved = c->saved;
    Tensor dz = op_new_like(c, saved->gates), dc_prev = op_new_like(c, saved->tanh_c);
    Tensor c_prev = in->c_prev >= 0 ? op_with_contiguous_rows(c, *c->in[in->c_prev]) : tensor_invalid();
    Tensor dh = c->grad[0] ? op_with_contiguous_rows(c, *c->grad[0]) : tensor_invalid(),
           dc = c->grad[1] ? op_with_contiguous_rows(c, *c->grad[1]) : tensor_invalid();
    if (!tensor_is_valid(dz) || !tensor_is_valid(dc_prev))
        return;
    int64_t hidden = dc_prev.shape[1];
    for (int64_t r = 0; r < dz.shape[0]; r++) {
        const void *before = op_row(c_prev, r), *squashed = op_row(saved->tanh_c, r);
        if (dz.dtype == TENSOR_F32)
            memory_backward_f32(gates_of_f32(saved->gates, r, order), before, squashed, op_row(dh, r),
                                op_row(dc, r), gates_of_f32(dz, r, order), op_row(dc_prev, r),
                                (size_t)hidden);
        else
            memory_backward_f64(gates_of_f64(saved->gates, r, order), before, squashed, op_row(dh, r),
                                op_row(dc, r), gates_of_f64(dz, r, order), op_row(dc_prev, r),
                                (size_t)hidden);
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
    static const VarGateOrder orders[2] = {{0, 1, 2, 3}, {1, 0, 2, 3}};
    int64_t n = op_sample_size(s, 0), hidden = op_sample_size(s, 1), width = op_sample_size(s, 2);
    VarGateOrder order = orders[op_sample_choice(s, 2)];
    Var z = op_sample(s, TENSOR_SHAPE(n, 4 * hidden), -2, 2);
    Var c_prev = op_sample_choice(s, 3) ? op_sample(s, TENSOR_SHAPE(n, hidden), -1, 1) : VAR_NONE, h, c;
    if (op_sample_choice(s, 2)) {
        Var x = op_sample(s, TENSOR_SHAPE(n, width), -1, 1),
            weight = op_sample(s, TENSOR_SHAPE(4 * hidden, width), -1, 1);
        h = var_gated_memory_step(z, x, weight, c_prev, order, &c);
    } else {
        h = var_gated_memory(z, c_prev, order, &c);
    }
    return var_concat((Var[]){h, c}, 2, 1);
}

static Var apply_gated(Var z, Var h, Var weight, Var c_prev, VarGateOrder order, Var *c)
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

Var var_gated_memory(Var z, Var c_prev, VarGateOrder order, Var *c)
{
    return apply_gated(z, VAR_NONE, VAR_NONE, c_prev, order, c);
}

Var var_gated_memory_step(Var x, Var h, Var weight, Var c_prev, VarGateOrder order, Var *c)
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

/* ---- gated_unit: r = s(x_r + u_r), z = s(x_z + u_z), n = tanh(x_n + r u_n), h = n + z (h_prev - n) ---- */

enum { UNIT_X, UNIT_U, UNIT_H };

static bool check_unit(OpContext *c, int64_t hidden)
{
    const Tensor *x = c->in[UNIT_X], *u = c->in[UNIT_U], *h = c->count > UNIT_H ? c->in[UNIT_H] : NULL;
    if (!op_wants_all_real(c, -1))
        return false;
    if (x->ndim != 2 || x->shape[1] % 3 != 0 || !tensor_same_shape(x, u))
        return op_error(c, "x and u must be [N, 3H]");
    if (h && (h->ndim != 2 || h->shape[0] != x->shape[0] || h->shape[1] != hidden))
        return op_error(c, "h must be [N, H]");
    return true;
}

static Tensor unit_h(OpContext *c)
{
    return c->count > UNIT_H ? op_with_contiguous_rows(c, *c->in[UNIT_H]) : tensor_invalid();
}

static bool gated_unit_forward(OpContext *c)
{
    int64_t n = c->in[UNIT_X]->shape[0], hidden = c->in[UNIT_X]->shape[1] / 3;
    if (!check_unit(c, hidden))
        return false;
    Tensor *gates = op_alloc(c, sizeof *gates); /* [N, 3H] activated */
    if (!gates)
        return false;
    *gates = op_new_like(c, *c->in[UNIT_X]);
    c->saved = gates;
    Tensor u = op_with_contiguous_rows(c, *c->in[UNIT_U]), h = unit_h(c);
    if (!op_output(c, TENSOR_SHAPE(n, hidden)) || !tensor_is_valid(*gates) || !tensor_is_valid(u) ||
        !op_write(c, UNIT_X, *gates))
        return false;
    for (int64_t r = 0; r < n; r++)
        if (gates->dtype == TENSOR_F32)
            unit_f32(unit_of_f32(*gates, r), unit_of_f32(u, r), op_row(h, r), op_row(*c->out[0], r),
                     (size_t)hidden);
        else
            unit_loop_f64(unit_of_f64(*gates, r), unit_of_f64(u, r), op_row(h, r), op_row(*c->out[0], r),
                          (size_t)hidden, false);
    return true;
}

static void gated_unit_backward(OpContext *c, OpTerm *terms)
{
    Tensor gates = *(const Tensor *)c->saved, dx = op_new_like(c, gates), du = op_new_like(c, gates);
    Tensor dh = op_with_contiguous_rows(c, *c->grad[0]), dh_prev = op_new_like(c, *c->out[0]);
    Tensor u = op_with_contiguous_rows(c, *c->in[UNIT_U]), h = unit_h(c);
    if (!tensor_is_valid(dx) || !tensor_is_valid(du) || !tensor_is_valid(dh) || !tensor_is_valid(dh_prev) ||
        !tensor_is_valid(u))
        return;
    int64_t hidden = dh_prev.shape[1];
    for (int64_t r = 0; r < dx.shape[0]; r++)
        if (gates.dtype == TENSOR_F32)
            unit_backward_f32(unit_of_f32(gates, r), unit_of_f32(u, r).n, op_row(h, r), op_row(dh, r),
                              unit_of_f32(dx, r), unit_of_f32(du, r), op_row(dh_prev, r), (size_t)hidden);
        else
            unit_backward_loop_f64(unit_of_f64(gates, r), unit_of_f64(u, r).n, op_row(h, r), op_row(dh, r),
                                   unit_of_f64(dx, r), unit_of_f64(du, r), op_row(dh_prev, r), (size_t)hidden,
                                   false);
    op_give(&terms[UNIT_X], dx);
    op_give(&terms[UNIT_U], du);
    if (c->count > UNIT_H)
        op_give(&terms[UNIT_H], dh_prev);
}

static Var gated_unit_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), hidden = op_sample_size(s, 1);
    Var x = op_sample(s, TENSOR_SHAPE(n, 3 * hidden), -2, 2),
        u = op_sample(s, TENSOR_SHAPE(n, 3 * hidden), -2, 2);
    Var h = op_sample_choice(s, 3) ? op_sample(s, TENSOR_SHAPE(n, hidden), -1, 1) : VAR_NONE;
    return var_gated_unit(x, u, h);
}

Var var_gated_unit(Var x, Var u, Var h)
{
    return op_apply(&op_gated_unit, (Var[]){x, u, h}, h.tape ? 3 : 2, NULL, 0);
}

static void gated_unit_composition(const OpUse *use, Var *out)
{
    Var x = use->in[UNIT_X], u = use->in[UNIT_U];
    int64_t hidden = var_size(x, 1) / 3;
    Var reset = var_sigmoid(var_add(gate(x, 0, hidden), gate(u, 0, hidden))),
        update = var_sigmoid(var_add(gate(x, 1, hidden), gate(u, 1, hidden)));
    Var fresh = var_tanh(var_add(gate(x, 2, hidden), var_mul(reset, gate(u, 2, hidden))));
    Var difference = use->count > UNIT_H ? var_sub(use->in[UNIT_H], fresh) : var_neg(fresh);
    out[0] = var_add(fresh, var_mul(update, difference));
}

OpKind op_gated_unit = {.name = "gated_unit",
                        .forward = gated_unit_forward,
                        .backward = gated_unit_backward,
                        .composition = gated_unit_composition,
                        .sample = gated_unit_sample,
                        .lazy_forward = OP_IN(UNIT_X),
                        .backward_reads = OP_IN(UNIT_U) | OP_IN(UNIT_H)};

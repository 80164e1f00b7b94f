/* Softmax along an axis and layer normalisation. */
#include "autograd/op_support_internal.h"
#include "autograd/row_internal.h"
#include "tensor/elementwise.h"

#include <math.h>

/* ---- Softmax: rows along one axis, which is brought to the back and laid out without gaps ---- */

typedef struct Rows {
    int64_t count, size;
} Rows;

/* What layer_norm keeps of a row: n is made of them again. */
typedef struct RowMoments {
    double mean, r;
} RowMoments;

#define KERNELS "autograd/op_normalize_kernels_internal.h"
#include "tensor/each_real.h"

static Rows rows_of(Tensor t)
{
    int64_t size = t.shape[t.ndim - 1];
    return (Rows){.count = size ? tensor_numel(&t) / size : 0, .size = size};
}

/* The input, its axis at the back, in memory of the output's. */
static bool softmax_begin(OpContext *c, Tensor *y, Rows *rows)
{
    int axis;
    if (!op_wants_real(c, 0) || !op_axis(c, *(const int *)c->attributes, c->in[0]->ndim, &axis))
        return false;
    Tensor a = tensor_transpose(*c->in[0], axis, -1);
    *y = op_new_like(c, a);
    if (!tensor_is_valid(*y) || !tensor_copy_into(*y, a))
        return false;
    *rows = rows_of(*y);
    *c->out[0] = tensor_transpose(*y, axis, -1);
    return true;
}

/* Output and gradient with the axis at the back; the output is so in memory already. */
static bool softmax_backward_begin(OpContext *c, Tensor *y, Tensor *g, Tensor *da)
{
    int axis = *(const int *)c->attributes;
    *y = tensor_transpose(*c->out[0], axis, -1);
    *g = op_dense(c, tensor_transpose(*c->grad[0], axis, -1));
    *da = op_new_like(c, *y);
    return tensor_is_valid(*g) && tensor_is_valid(*da);
}

static Var softmax_sample_input(OpSample *s)
{
    return op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), op_sample_size(s, 2)), -2,
                     2);
}

/* f(a)_i = e^(a_i) / sum_j e^(a_j);  da = f (g - sum_j g_j f_j) */
static bool softmax_forward(OpContext *c)
{
    Tensor y;
    Rows rows;
    if (!softmax_begin(c, &y, &rows))
        return false;
    TENSOR_BY_DTYPE(y.dtype, softmax_rows)(y, rows);
    return true;
}
static void softmax_backward(OpContext *c, OpTerm *terms)
{
    Tensor y, g, da;
    if (!softmax_backward_begin(c, &y, &g, &da))
        return;
    Rows rows = rows_of(y);
    TENSOR_BY_DTYPE(y.dtype, softmax_gradient)(da, y, g, rows);
    op_give(&terms[0], tensor_transpose(da, *(const int *)c->attributes, -1));
}
static Var softmax_sample(OpSample *s)
{
    Var a = softmax_sample_input(s);
    return var_softmax(a, (int)op_sample_choice(s, 3) - 1);
}
static void softmax_formula(const OpUse *use, OpVarTerm *terms)
{
    int axis = *(const int *)use->attributes;
    Var f = use->out[0], g = use->grad[0], dot = var_sum(var_mul(g, f), TENSOR_AXIS(axis), true);
    op_give_var(&terms[0], var_mul(f, var_sub(g, dot)));
}
OpKind op_softmax = {.name = "softmax",
                     .forward = softmax_forward,
                     .backward = softmax_backward,
                     .formula = softmax_formula,
                     .sample = softmax_sample,
                     .backward_reads = OP_OUT(0)};
Var var_softmax(Var a, int axis)
{
    Var vector = op_vector(a);
    return op_as_before(a, op_apply(&op_softmax, &vector, 1, &axis, sizeof axis));
}

/* f(a)_i = a_i - ln sum_j e^(a_j);  da = g - e^f sum_j g_j */
static bool log_softmax_forward(OpContext *c)
{
    Tensor y;
    Rows rows;
    if (!softmax_begin(c, &y, &rows))
        return false;
    Tensor e = op_new(c, TENSOR_SHAPE(row_block(rows.size) * rows.size));
    if (!tensor_is_valid(e))
        return false;
    TENSOR_BY_DTYPE(y.dtype, log_softmax_rows)(y, e, rows);
    return true;
}
static void log_softmax_backward(OpContext *c, OpTerm *terms)
{
    Tensor y, g, da;
    if (!softmax_backward_begin(c, &y, &g, &da) || !tensor_unary(TENSOR_UNARY_EXP, da, y))
        return;
    Rows rows = rows_of(y);
    TENSOR_BY_DTYPE(y.dtype, log_softmax_gradient)(da, g, rows);
    op_give(&terms[0], tensor_transpose(da, *(const int *)c->attributes, -1));
}
static Var log_softmax_sample(OpSample *s)
{
    Var a = softmax_sample_input(s);
    return var_log_softmax(a, (int)op_sample_choice(s, 3) - 1);
}
static void log_softmax_formula(const OpUse *use, OpVarTerm *terms)
{
    int axis = *(const int *)use->attributes;
    Var g = use->grad[0], sum = var_sum(g, TENSOR_AXIS(axis), true);
    op_give_var(&terms[0], var_sub(g, var_mul(var_exp(use->out[0]), sum)));
}
OpKind op_log_softmax = {.name = "log_softmax",
                         .forward = log_softmax_forward,
                         .backward = log_softmax_backward,
                         .formula = log_softmax_formula,
                         .sample = log_softmax_sample,
                         .backward_reads = OP_OUT(0)};
Var var_log_softmax(Var a, int axis)
{
    Var vector = op_vector(a);
    return op_as_before(a, op_apply(&op_log_softmax, &vector, 1, &axis, sizeof axis));
}

/* ---- Layer normalisation ---- */

/* f(a) = n w + b, n = (a - mean) r, r = 1 / sqrt(variance + eps), over the last axis (Ba et al. 2016,
 * arXiv 1607.06450).  With h = g w: da = r (h - mean(h) - n mean(h n)), dw = g n, db = g */
typedef struct LayerNorm {
    double eps;
    int weight, bias; /* numbers of these inputs, or 0 */
} LayerNorm;
static bool layer_norm_check(OpContext *c, int input)
{
    Tensor a = *c->in[0];
    if (input == 0)
        return true;
    if (!op_wants_real(c, input))
        return false;
    if (c->in[input]->ndim != 1 || c->in[input]->shape[0] != a.shape[a.ndim - 1])
        return op_error(c, "weight and bias must have the size of the last axis");
    return true;
}
/* Without gaps; no data where it is not given. */
static Tensor layer_norm_input(OpContext *c, int input)
{
    return input ? op_dense(c, *c->in[input]) : (Tensor){0};
}
static bool layer_norm_forward(OpContext *c)
{
    const LayerNorm *norm = c->attributes;
    if (!op_wants_real(c, 0))
        return false;
    if (c->in[0]->ndim == 0)
        return op_error(c, "there is no axis to normalise over");
    if (!layer_norm_check(c, norm->weight) || !layer_norm_check(c, norm->bias))
        return false;
    Rows rows = rows_of(*c->in[0]);
    Tensor a = op_dense(c, *c->in[0]);
    RowMoments *moments = c->saved = op_alloc(c, (size_t)rows.count * sizeof *moments);
    if (!moments || !tensor_is_valid(a) || !op_output_like(c, a))
        return false;
    Tensor w = layer_norm_input(c, norm->weight), b = layer_norm_input(c, norm->bias);
    TENSOR_BY_DTYPE(a.dtype, layer_norm_rows)(*c->out[0], a, w, b, moments, norm->eps, rows);
    return true;
}
static void layer_norm_backward(OpContext *c, OpTerm *terms)
{
    const LayerNorm *norm = c->attributes;
    Tensor w = layer_norm_input(c, norm->weight), g = op_dense(c, *c->grad[0]), a = op_dense(c, *c->in[0]);
    Tensor da = op_new_like(c, *c->out[0]), dw = norm->weight ? op_new_like(c, da) : (Tensor){0};
    if (!tensor_is_valid(da) || !tensor_is_valid(g) || !tensor_is_valid(a) ||
        (norm->weight && !tensor_is_valid(dw)))
        return;
    TENSOR_BY_DTYPE(da.dtype, layer_norm_gradient)(da, dw, g, a, w, c->saved, rows_of(da));
    op_give(&terms[0], da);
    if (norm->weight)
        op_give(&terms[norm->weight], dw);
    if (norm->bias)
        op_give(&terms[norm->bias], *c->grad[0]);
}
static Var layer_norm_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), d = op_sample_size(s, 1);
    Var a = op_sample(s, TENSOR_SHAPE(n, d), -2, 2), weight = op_sample(s, TENSOR_SHAPE(d), 0.5, 2);
    Var bias = op_sample(s, TENSOR_SHAPE(d), -1, 1);
    switch (op_sample_choice(s, 4)) {
    case 0:
        return var_add(var_layer_norm(a, VAR_NONE, VAR_NONE, 0.1), var_mul(weight, bias));
    case 1:
        return var_mul(var_layer_norm(a, VAR_NONE, bias, 0.1), weight);
    default:
        return var_layer_norm(a, weight, bias, 0.1);
    }
}
static void layer_norm_composition(const OpUse *use, Var *out)
{
    const LayerNorm *norm = use->attributes;
    Var a = use->in[0], d = var_sub(a, var_mean(a, TENSOR_AXIS(-1), true));
    Var variance = var_mean(var_mul(d, d), TENSOR_AXIS(-1), true);
    *out = var_div(d, var_sqrt(var_scale(variance, 1, norm->eps)));
    if (norm->weight)
        *out = var_mul(*out, use->in[norm->weight]);
    if (norm->bias)
        *out = var_add(*out, use->in[norm->bias]);
}
OpKind op_layer_norm = {.name = "layer_norm",
                        .forward = layer_norm_forward,
                        .backward = layer_norm_backward,
                        .composition = layer_norm_composition,
                        .sample = layer_norm_sample};
Var var_layer_norm(Var a, Var weight, Var bias, double eps)
{
    Var inputs[3] = {a};
    int count = 1;
    LayerNorm norm = {.eps = eps};
    if (weight.tape)
        inputs[norm.weight = count++] = weight;
    if (bias.tape)
        inputs[norm.bias = count++] = bias;
    return op_apply(&op_layer_norm, inputs, count, &norm, sizeof norm);
}

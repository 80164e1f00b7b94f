/* Elementwise ops of one operand. They are rowwise: repeated rows stay what they are. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"
#include "tensor/vmath.h"

#include <math.h>

static bool unary_forward(OpContext *c, TensorUnaryOp op)
{
    return op_wants_real(c, 0) && op_output_like(c, *c->in[0]) && tensor_unary(op, *c->out[0], *c->in[0]);
}

/* The gradient g * t or g / t. */
static void give_binary(OpContext *c, OpTerm *terms, TensorBinaryOp op, Tensor t)
{
    Tensor da = op_new_like(c, *c->out[0]);
    if (tensor_is_valid(da) && tensor_binary(op, da, *c->grad[0], t))
        op_give(&terms[0], da);
}

/* The gradient g * op(t). */
static void give_times(OpContext *c, OpTerm *terms, TensorUnaryOp op, Tensor t)
{
    Tensor da = op_new_like(c, *c->out[0]);
    if (tensor_is_valid(da) && tensor_unary(op, da, t) &&
        tensor_binary(TENSOR_BINARY_MUL, da, da, *c->grad[0]))
        op_give(&terms[0], da);
}

static void give_scaled(OpContext *c, OpTerm *terms, double factor)
{
    Tensor da = op_new_like(c, *c->out[0]);
    if (tensor_is_valid(da) && tensor_axpby(da, factor, *c->grad[0], 0))
        op_give(&terms[0], da);
}

static Var sample_matrix(OpSample *s, double low, double high)
{
    return op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1)), low, high);
}

static Var sample_away_from_zero(OpSample *s)
{
    /* Large enough to have both signs. */
    return op_sample_away(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), 4), -2, 2, 0);
}

static Var apply(const OpKind *op, Var a)
{
    return op_apply(op, &a, 1, NULL, 0);
}

/* sign(a), whose own derivative is 0. */
static Var sign_of(Var a)
{
    Tensor t = var_value(a), sign = tensor_new(tape_arena(a.tape), t.dtype, t.ndim, t.shape);
    if (!tensor_is_valid(sign))
        return tape_fail(a.tape, "out of memory");
    tensor_unary(TENSOR_UNARY_SIGN, sign, t);
    return tape_constant(a.tape, sign);
}

/* f(a) = -a */
static bool neg_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_NEG);
}
static void neg_backward(OpContext *c, OpTerm *terms)
{
    give_scaled(c, terms, -1);
}
static Var neg_sample(OpSample *s)
{
    return var_neg(sample_matrix(s, -2, 2));
}
static void neg_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_neg(use->grad[0]));
}
OpKind op_neg = {.name = "neg",
                 .forward = neg_forward,
                 .backward = neg_backward,
                 .formula = neg_formula,
                 .sample = neg_sample,
                 .flags = OP_ROWWISE,
                 .backward_reads = OP_READS_NOTHING};
Var var_neg(Var a)
{
    return apply(&op_neg, a);
}

/* f(a) = e^a;  f' = f */
static bool exp_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_EXP);
}
static void exp_backward(OpContext *c, OpTerm *terms)
{
    give_binary(c, terms, TENSOR_BINARY_MUL, *c->out[0]);
}
static Var exp_sample(OpSample *s)
{
    return var_exp(sample_matrix(s, -1, 1));
}
static void exp_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_mul(use->grad[0], use->out[0]));
}
OpKind op_exp = {.name = "exp",
                 .forward = exp_forward,
                 .backward = exp_backward,
                 .formula = exp_formula,
                 .sample = exp_sample,
                 .flags = OP_ROWWISE,
                 .backward_reads = OP_OUT(0)};
Var var_exp(Var a)
{
    return apply(&op_exp, a);
}

/* f(a) = ln a;  f' = 1 / a */
static bool log_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_LOG);
}
static void log_backward(OpContext *c, OpTerm *terms)
{
    give_binary(c, terms, TENSOR_BINARY_DIV, *c->in[0]);
}
static Var log_sample(OpSample *s)
{
    return var_log(sample_matrix(s, 0.5, 3));
}
static void log_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_div(use->grad[0], use->in[0]));
}
OpKind op_log = {.name = "log",
                 .forward = log_forward,
                 .backward = log_backward,
                 .formula = log_formula,
                 .sample = log_sample,
                 .flags = OP_ROWWISE,
                 .backward_reads = OP_IN(0)};
Var var_log(Var a)
{
    return apply(&op_log, a);
}

/* f(a) = a^(1/2);  f' = 1 / (2 f) */
static bool sqrt_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_SQRT);
}
static void sqrt_backward(OpContext *c, OpTerm *terms)
{
    Tensor da = op_new_like(c, *c->out[0]);
    if (tensor_is_valid(da) && tensor_axpby(da, 2, *c->out[0], 0) &&
        tensor_binary(TENSOR_BINARY_DIV, da, *c->grad[0], da))
        op_give(&terms[0], da);
}
static Var sqrt_sample(OpSample *s)
{
    return var_sqrt(sample_matrix(s, 0.5, 3));
}
static void sqrt_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_div(var_scale(use->grad[0], 0.5, 0), use->out[0]));
}
OpKind op_sqrt = {.name = "sqrt",
                  .forward = sqrt_forward,
                  .backward = sqrt_backward,
                  .formula = sqrt_formula,
                  .sample = sqrt_sample,
                  .flags = OP_ROWWISE,
                  .backward_reads = OP_OUT(0)};
Var var_sqrt(Var a)
{
    return apply(&op_sqrt, a);
}

/* f(a) = |a|;  f' = sign(a) */
static bool abs_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_ABS);
}
static void abs_backward(OpContext *c, OpTerm *terms)
{
    give_times(c, terms, TENSOR_UNARY_SIGN, *c->in[0]);
}
static Var abs_sample(OpSample *s)
{
    return var_abs(sample_away_from_zero(s));
}
static void abs_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_mul(use->grad[0], sign_of(use->in[0])));
}
OpKind op_abs = {.name = "abs",
                 .forward = abs_forward,
                 .backward = abs_backward,
                 .formula = abs_formula,
                 .sample = abs_sample,
                 .flags = OP_ROWWISE,
                 .backward_reads = OP_IN(0)};
Var var_abs(Var a)
{
    return apply(&op_abs, a);
}

/* f(a) = max(a, 0);  f' = sign(f) */
static bool relu_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_RELU);
}
static void relu_backward(OpContext *c, OpTerm *terms)
{
    give_times(c, terms, TENSOR_UNARY_SIGN, *c->out[0]);
}
static Var relu_sample(OpSample *s)
{
    return var_relu(sample_away_from_zero(s));
}
static void relu_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_mul(use->grad[0], sign_of(use->out[0])));
}
OpKind op_relu = {.name = "relu",
                  .forward = relu_forward,
                  .backward = relu_backward,
                  .formula = relu_formula,
                  .sample = relu_sample,
                  .flags = OP_ROWWISE,
                  .backward_reads = OP_OUT(0)};
Var var_relu(Var a)
{
    return apply(&op_relu, a);
}

/* f(a) = tanh a;  f' = 1 - f^2 */
static bool tanh_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_TANH);
}
/* Where 1 - f^2 cancels it is 1 / cosh^2 a = 4 u / (1 + u)^2, u = e^(-2 |a|): of some elements together. */
enum { TANH_BLOCK = 256 };
static const double TANH_CANCELS = 0x1p-10;

static void mend_tanh_f32(float *da, const float *g, const float *f, const float *a, int64_t n)
{
    int64_t at[TANH_BLOCK];
    float u[TANH_BLOCK];
    for (int64_t i = 0, count = 0; i < n; i++) {
        if (1 - f[i] * f[i] < (float)TANH_CANCELS) {
            at[count] = i;
            u[count++] = -2 * fabsf(a[i]);
        }
        if (count < TANH_BLOCK && i + 1 < n)
            continue;
        tensor_vmath_exp(u, u, (size_t)count);
        for (int64_t k = 0; k < count; k++)
            da[at[k]] = g[at[k]] * (4 * u[k] / ((1 + u[k]) * (1 + u[k])));
        count = 0;
    }
}

static void mend_tanh_f64(double *da, const double *g, const double *f, const double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (1 - f[i] * f[i] < TANH_CANCELS) {
            double u = exp(-2 * fabs(a[i]));
            da[i] = g[i] * (4 * u / ((1 + u) * (1 + u)));
        }
}

static void tanh_backward(OpContext *c, OpTerm *terms)
{
    Tensor g = op_dense(c, *c->grad[0]), x = op_dense(c, *c->in[0]), da = op_new_like(c, *c->out[0]);
    if (!tensor_is_valid(g) || !tensor_is_valid(x) || !tensor_is_valid(da))
        return;
    int64_t n = tensor_numel(&da);
    OP_REAL(da.dtype, const real *f = c->out[0]->data, *pg = g.data; real *pda = da.data;
            for (int64_t i = 0; i < n; i++) pda[i] = pg[i] * (1 - f[i] * f[i]););
    if (da.dtype == TENSOR_F32)
        mend_tanh_f32(da.data, g.data, c->out[0]->data, x.data, n);
    else
        mend_tanh_f64(da.data, g.data, c->out[0]->data, x.data, n);
    op_give(&terms[0], da);
}
static Var tanh_sample(OpSample *s)
{
    return var_tanh(sample_matrix(s, -1, 1));
}
static void tanh_formula(const OpUse *use, OpVarTerm *terms)
{
    Var f = use->out[0];
    op_give_var(&terms[0], var_mul(use->grad[0], var_scale(var_mul(f, f), -1, 1)));
}
OpKind op_tanh = {.name = "tanh",
                  .forward = tanh_forward,
                  .backward = tanh_backward,
                  .formula = tanh_formula,
                  .sample = tanh_sample,
                  .flags = OP_ROWWISE,
                  .backward_reads = OP_IN(0) | OP_OUT(0)};
Var var_tanh(Var a)
{
    return apply(&op_tanh, a);
}

/* f(a) = 1 / (1 + e^-a);  f' = f (1 - f) */
static bool sigmoid_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_SIGMOID);
}
static void sigmoid_backward(OpContext *c, OpTerm *terms)
{
    Tensor g = op_dense(c, *c->grad[0]), da = op_new_like(c, *c->out[0]);
    if (!tensor_is_valid(g) || !tensor_is_valid(da))
        return;
    int64_t n = tensor_numel(&da);
    OP_REAL(da.dtype, const real *f = c->out[0]->data, *pg = g.data; real *pda = da.data;
            for (int64_t i = 0; i < n; i++) pda[i] = pg[i] * f[i] * (1 - f[i]););
    op_give(&terms[0], da);
}
static Var sigmoid_sample(OpSample *s)
{
    return var_sigmoid(sample_matrix(s, -2, 2));
}
static void sigmoid_formula(const OpUse *use, OpVarTerm *terms)
{
    Var f = use->out[0];
    op_give_var(&terms[0], var_mul(use->grad[0], var_mul(f, var_scale(f, -1, 1))));
}
OpKind op_sigmoid = {.name = "sigmoid",
                     .forward = sigmoid_forward,
                     .backward = sigmoid_backward,
                     .formula = sigmoid_formula,
                     .sample = sigmoid_sample,
                     .flags = OP_ROWWISE,
                     .backward_reads = OP_OUT(0)};
Var var_sigmoid(Var a)
{
    return apply(&op_sigmoid, a);
}

/* f(a) = ln(1 + e^a);  f' = sigmoid(a) */
static bool softplus_forward(OpContext *c)
{
    return unary_forward(c, TENSOR_UNARY_SOFTPLUS);
}
static void softplus_backward(OpContext *c, OpTerm *terms)
{
    give_times(c, terms, TENSOR_UNARY_SIGMOID, *c->in[0]);
}
static Var softplus_sample(OpSample *s)
{
    return var_softplus(sample_matrix(s, -2, 2));
}
static void softplus_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_mul(use->grad[0], var_sigmoid(use->in[0])));
}
OpKind op_softplus = {.name = "softplus",
                      .forward = softplus_forward,
                      .backward = softplus_backward,
                      .formula = softplus_formula,
                      .sample = softplus_sample,
                      .flags = OP_ROWWISE,
                      .backward_reads = OP_IN(0)};
Var var_softplus(Var a)
{
    return apply(&op_softplus, a);
}

/* f(a) = factor a + offset */
typedef struct Scale {
    double factor, offset;
} Scale;
static bool scale_forward(OpContext *c)
{
    const Scale *scale = c->attributes;
    if (!op_wants_real(c, 0) || !op_output_like(c, *c->in[0]))
        return false;
    Tensor offset = op_number(c, scale->offset);
    return tensor_is_valid(offset) && tensor_axpby(*c->out[0], scale->factor, *c->in[0], 0) &&
           (scale->offset == 0 || tensor_binary(TENSOR_BINARY_ADD, *c->out[0], *c->out[0], offset));
}
static void scale_backward(OpContext *c, OpTerm *terms)
{
    give_scaled(c, terms, ((const Scale *)c->attributes)->factor);
}
static Var scale_sample(OpSample *s)
{
    return var_scale(sample_matrix(s, -2, 2), -1.5, 0.3);
}
static void scale_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_scale(use->grad[0], ((const Scale *)use->attributes)->factor, 0));
}
OpKind op_scale = {.name = "scale",
                   .forward = scale_forward,
                   .backward = scale_backward,
                   .formula = scale_formula,
                   .sample = scale_sample,
                   .flags = OP_ROWWISE,
                   .backward_reads = OP_READS_NOTHING};
Var var_scale(Var a, double factor, double offset)
{
    return op_apply(&op_scale, &a, 1, &(Scale){factor, offset}, sizeof(Scale));
}

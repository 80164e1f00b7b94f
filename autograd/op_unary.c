/* Elementwise ops of one operand. They are rowwise: repeated rows stay what they are. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"

static bool unary_forward(OpContext *c, UnaryOp op)
{
    return op_wants_real(c, 0) && op_output_like(c, c->inputs[0]) &&
           tensor_unary(op, c->output, c->inputs[0]);
}

/* The gradient g * t or g / t. */
static void add_grad_binary(OpContext *c, BinaryOp op, Tensor t)
{
    Tensor da = op_new_like(c, c->output);
    if (tensor_is_valid(da) && tensor_binary(op, da, c->grad, t))
        op_add_grad(c, 0, da);
}

/* The gradient g * op(t). */
static void add_grad_times(OpContext *c, UnaryOp op, Tensor t)
{
    Tensor da = op_new_like(c, c->output);
    if (tensor_is_valid(da) && tensor_unary(op, da, t) && tensor_binary(BINARY_MUL, da, da, c->grad))
        op_add_grad(c, 0, da);
}

static void add_grad_scaled(OpContext *c, double factor)
{
    Tensor da = op_new_like(c, c->output);
    if (tensor_is_valid(da) && tensor_axpby(da, factor, c->grad, 0))
        op_add_grad(c, 0, da);
}

static Var sample_matrix(OpSample *s, double low, double high)
{
    return op_sample(s, SHAPE(op_sample_size(s, 0), op_sample_size(s, 1)), low, high);
}

static Var sample_away_from_zero(OpSample *s)
{
    /* Large enough to have both signs. */
    return op_sample_away(s, SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), 4), -2, 2, 0);
}

static Var apply(const Op *op, Var a)
{
    return op_apply(op, &a, 1, NULL, 0);
}

/* f(a) = -a */
static bool neg_forward(OpContext *c)
{
    return unary_forward(c, UNARY_NEG);
}
static void neg_backward(OpContext *c)
{
    add_grad_scaled(c, -1);
}
static Var neg_sample(OpSample *s)
{
    return var_neg(sample_matrix(s, -2, 2));
}
Op op_neg = {"neg", neg_forward, neg_backward, neg_sample, OP_ROWWISE};
Var var_neg(Var a)
{
    return apply(&op_neg, a);
}

/* f(a) = e^a;  f' = f */
static bool exp_forward(OpContext *c)
{
    return unary_forward(c, UNARY_EXP);
}
static void exp_backward(OpContext *c)
{
    add_grad_binary(c, BINARY_MUL, c->output);
}
static Var exp_sample(OpSample *s)
{
    return var_exp(sample_matrix(s, -1, 1));
}
Op op_exp = {"exp", exp_forward, exp_backward, exp_sample, OP_ROWWISE};
Var var_exp(Var a)
{
    return apply(&op_exp, a);
}

/* f(a) = ln a;  f' = 1 / a */
static bool log_forward(OpContext *c)
{
    return unary_forward(c, UNARY_LOG);
}
static void log_backward(OpContext *c)
{
    add_grad_binary(c, BINARY_DIV, c->inputs[0]);
}
static Var log_sample(OpSample *s)
{
    return var_log(sample_matrix(s, 0.5, 3));
}
Op op_log = {"log", log_forward, log_backward, log_sample, OP_ROWWISE};
Var var_log(Var a)
{
    return apply(&op_log, a);
}

/* f(a) = a^(1/2);  f' = 1 / (2 f) */
static bool sqrt_forward(OpContext *c)
{
    return unary_forward(c, UNARY_SQRT);
}
static void sqrt_backward(OpContext *c)
{
    Tensor da = op_new_like(c, c->output);
    if (tensor_is_valid(da) && tensor_axpby(da, 2, c->output, 0) &&
        tensor_binary(BINARY_DIV, da, c->grad, da))
        op_add_grad(c, 0, da);
}
static Var sqrt_sample(OpSample *s)
{
    return var_sqrt(sample_matrix(s, 0.5, 3));
}
Op op_sqrt = {"sqrt", sqrt_forward, sqrt_backward, sqrt_sample, OP_ROWWISE};
Var var_sqrt(Var a)
{
    return apply(&op_sqrt, a);
}

/* f(a) = |a|;  f' = sign(a) */
static bool abs_forward(OpContext *c)
{
    return unary_forward(c, UNARY_ABS);
}
static void abs_backward(OpContext *c)
{
    add_grad_times(c, UNARY_SIGN, c->inputs[0]);
}
static Var abs_sample(OpSample *s)
{
    return var_abs(sample_away_from_zero(s));
}
Op op_abs = {"abs", abs_forward, abs_backward, abs_sample, OP_ROWWISE};
Var var_abs(Var a)
{
    return apply(&op_abs, a);
}

/* f(a) = max(a, 0);  f' = sign(f) */
static bool relu_forward(OpContext *c)
{
    return unary_forward(c, UNARY_RELU);
}
static void relu_backward(OpContext *c)
{
    add_grad_times(c, UNARY_SIGN, c->output);
}
static Var relu_sample(OpSample *s)
{
    return var_relu(sample_away_from_zero(s));
}
Op op_relu = {"relu", relu_forward, relu_backward, relu_sample, OP_ROWWISE};
Var var_relu(Var a)
{
    return apply(&op_relu, a);
}

/* f(a) = tanh a;  f' = 1 - f^2 */
static bool tanh_forward(OpContext *c)
{
    return unary_forward(c, UNARY_TANH);
}
static void tanh_backward(OpContext *c)
{
    Tensor g = op_dense(c, c->grad), da = op_new_like(c, c->output);
    if (!tensor_is_valid(g) || !tensor_is_valid(da))
        return;
    int64_t n = tensor_numel(&da);
    OP_REAL(da.dtype, const real *f = c->output.data, *pg = g.data; real *pda = da.data;
            for (int64_t i = 0; i < n; i++) pda[i] = pg[i] * (1 - f[i] * f[i]););
    op_add_grad(c, 0, da);
}
static Var tanh_sample(OpSample *s)
{
    return var_tanh(sample_matrix(s, -1, 1));
}
Op op_tanh = {"tanh", tanh_forward, tanh_backward, tanh_sample, OP_ROWWISE};
Var var_tanh(Var a)
{
    return apply(&op_tanh, a);
}

/* f(a) = 1 / (1 + e^-a);  f' = f (1 - f) */
static bool sigmoid_forward(OpContext *c)
{
    return unary_forward(c, UNARY_SIGMOID);
}
static void sigmoid_backward(OpContext *c)
{
    Tensor g = op_dense(c, c->grad), da = op_new_like(c, c->output);
    if (!tensor_is_valid(g) || !tensor_is_valid(da))
        return;
    int64_t n = tensor_numel(&da);
    OP_REAL(da.dtype, const real *f = c->output.data, *pg = g.data; real *pda = da.data;
            for (int64_t i = 0; i < n; i++) pda[i] = pg[i] * f[i] * (1 - f[i]););
    op_add_grad(c, 0, da);
}
static Var sigmoid_sample(OpSample *s)
{
    return var_sigmoid(sample_matrix(s, -2, 2));
}
Op op_sigmoid = {"sigmoid", sigmoid_forward, sigmoid_backward, sigmoid_sample, OP_ROWWISE};
Var var_sigmoid(Var a)
{
    return apply(&op_sigmoid, a);
}

/* f(a) = ln(1 + e^a);  f' = sigmoid(a) */
static bool softplus_forward(OpContext *c)
{
    return unary_forward(c, UNARY_SOFTPLUS);
}
static void softplus_backward(OpContext *c)
{
    add_grad_times(c, UNARY_SIGMOID, c->inputs[0]);
}
static Var softplus_sample(OpSample *s)
{
    return var_softplus(sample_matrix(s, -2, 2));
}
Op op_softplus = {"softplus", softplus_forward, softplus_backward, softplus_sample, OP_ROWWISE};
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
    if (!op_wants_real(c, 0) || !op_output_like(c, c->inputs[0]))
        return false;
    Tensor offset = op_number(c, scale->offset);
    return tensor_is_valid(offset) && tensor_axpby(c->output, scale->factor, c->inputs[0], 0) &&
           (scale->offset == 0 || tensor_binary(BINARY_ADD, c->output, c->output, offset));
}
static void scale_backward(OpContext *c)
{
    add_grad_scaled(c, ((const Scale *)c->attributes)->factor);
}
static Var scale_sample(OpSample *s)
{
    return var_scale(sample_matrix(s, -2, 2), -1.5, 0.3);
}
Op op_scale = {"scale", scale_forward, scale_backward, scale_sample, OP_ROWWISE};
Var var_scale(Var a, double factor, double offset)
{
    return op_apply(&op_scale, &a, 1, &(Scale){factor, offset}, sizeof(Scale));
}

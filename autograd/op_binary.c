/* Elementwise ops of two operands. Both broadcast; the door sums their gradients back. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"

#include <math.h>

static bool binary_output(OpContext *c)
{
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    if (!op_wants_real(c, 0) || !op_wants_real(c, 1))
        return false;
    if (!tensor_broadcast_shape(c->in[0], c->in[1], &ndim, shape))
        return op_error(c, "the shapes do not broadcast");
    return op_output(c, ndim, shape);
}

static bool binary_forward(OpContext *c, BinaryOp op)
{
    return binary_output(c) && tensor_binary(op, *c->out[0], *c->in[0], *c->in[1]);
}

/* A new tensor of the output's shape. */
static Tensor binary(OpContext *c, BinaryOp op, Tensor a, Tensor b)
{
    Tensor out = op_new_like(c, *c->out[0]);
    return tensor_is_valid(out) && tensor_binary(op, out, a, b) ? out : tensor_invalid();
}

static Tensor negated(OpContext *c, Tensor a)
{
    Tensor out = op_new_like(c, *c->out[0]);
    return tensor_is_valid(out) && tensor_unary(UNARY_NEG, out, a) ? out : tensor_invalid();
}

/* A pair of operands whose shapes broadcast against each other in both directions. */
static void sample_pair(OpSample *s, double low, double high, Var *a, Var *b)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    switch (op_sample_choice(s, 3)) {
    case 0:
        *a = op_sample(s, SHAPE(n, m), low, high);
        *b = op_sample(s, SHAPE(n, m), low, high);
        break;
    case 1:
        *a = op_sample(s, SHAPE(n, m, k), low, high);
        *b = op_sample(s, SHAPE(m, k), low, high);
        break;
    default:
        *a = op_sample(s, SHAPE(m, 1), low, high);
        *b = op_sample(s, SHAPE(n, m, k), low, high);
    }
}

/* f(a, b) = a + b */
static bool add_forward(OpContext *c)
{
    return binary_forward(c, BINARY_ADD);
}
static void add_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->grad[0]);
    op_give(&terms[1], *c->grad[0]);
}
static Var add_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, -2, 2, &a, &b);
    return var_add(a, b);
}
OpKind op_add = {.name = "add",
                 .forward = add_forward,
                 .backward = add_backward,
                 .sample = add_sample,
                 .backward_reads = OP_READS_NOTHING};
Var var_add(Var a, Var b)
{
    return op_apply(&op_add, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a - b */
static bool sub_forward(OpContext *c)
{
    return binary_forward(c, BINARY_SUB);
}
static void sub_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->grad[0]);
    if (op_needs_grad(c, 1))
        op_give(&terms[1], negated(c, *c->grad[0]));
}
static Var sub_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, -2, 2, &a, &b);
    return var_sub(a, b);
}
OpKind op_sub = {.name = "sub",
                 .forward = sub_forward,
                 .backward = sub_backward,
                 .sample = sub_sample,
                 .backward_reads = OP_READS_NOTHING};
Var var_sub(Var a, Var b)
{
    return op_apply(&op_sub, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a b;  df/da = b, df/db = a */
static bool mul_forward(OpContext *c)
{
    return binary_forward(c, BINARY_MUL);
}
static void mul_backward(OpContext *c, OpTerm *terms)
{
    for (int i = 0; i < 2; i++)
        if (op_needs_grad(c, i))
            op_give(&terms[i], binary(c, BINARY_MUL, *c->grad[0], *c->in[1 - i]));
}
static Var mul_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, -2, 2, &a, &b);
    return var_mul(a, b);
}
OpKind op_mul = {.name = "mul",
                 .forward = mul_forward,
                 .backward = mul_backward,
                 .sample = mul_sample,
                 .backward_reads = OP_IN(0) | OP_IN(1)};
Var var_mul(Var a, Var b)
{
    return op_apply(&op_mul, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a / b;  df/da = 1 / b, df/db = -f / b */
static bool div_forward(OpContext *c)
{
    return binary_forward(c, BINARY_DIV);
}
static void div_backward(OpContext *c, OpTerm *terms)
{
    Tensor da = binary(c, BINARY_DIV, *c->grad[0], *c->in[1]);
    op_give(&terms[0], da);
    if (op_needs_grad(c, 1) && tensor_is_valid(da)) {
        Tensor db = negated(c, da);
        if (tensor_is_valid(db) && tensor_binary(BINARY_MUL, db, db, *c->out[0]))
            op_give(&terms[1], db);
    }
}
static Var div_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, 0.5, 2, &a, &b);
    return var_div(a, b);
}
OpKind op_div = {.name = "div",
                 .forward = div_forward,
                 .backward = div_backward,
                 .sample = div_sample,
                 .backward_reads = OP_IN(1) | OP_OUT(0)};
Var var_div(Var a, Var b)
{
    return op_apply(&op_div, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a^b;  df/da = b a^(b-1), 0 where b = 0;  df/db = f ln a, 0 where a = 0 <= b */
static bool pow_forward(OpContext *c)
{
    return binary_forward(c, BINARY_POW);
}
static void pow_backward(OpContext *c, OpTerm *terms)
{
    Tensor like = *c->out[0], g = op_dense(c, *c->grad[0]), da = op_new_like(c, like),
           db = op_new_like(c, like);
    Tensor a = op_spread(c, *c->in[0], like), b = op_spread(c, *c->in[1], like);
    if (!tensor_is_valid(g) || !tensor_is_valid(da) || !tensor_is_valid(db) || !tensor_is_valid(a) ||
        !tensor_is_valid(b))
        return;
    int64_t n = tensor_numel(&like);
    OP_REAL(
        like.dtype, const real *pa = a.data, *pb = b.data, *pf = like.data, *pg = g.data;
        real *pda = da.data, *pdb = db.data; for (int64_t i = 0; i < n; i++) {
            double x = (double)pa[i], y = (double)pb[i];
            pda[i] = y == 0 ? 0 : (real)((double)pg[i] * y * pow(x, y - 1));
            pdb[i] = x == 0 && y >= 0 ? 0 : (real)((double)pg[i] * (double)pf[i] * log(x));
        });
    op_give(&terms[0], da);
    op_give(&terms[1], db);
}
static Var pow_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, 0.5, 2, &a, &b);
    return var_pow(a, var_scale(b, 0.5, -0.5));
}
OpKind op_pow = {.name = "pow", .forward = pow_forward, .backward = pow_backward, .sample = pow_sample};
Var var_pow(Var a, Var b)
{
    return op_apply(&op_pow, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = max(a, b);  df/da = 1 where a > b, 1/2 where a = b, else 0 */
static bool maximum_forward(OpContext *c)
{
    return binary_forward(c, BINARY_MAXIMUM);
}
static void maximum_backward(OpContext *c, OpTerm *terms)
{
    Tensor equal = binary(c, BINARY_EQUAL, *c->in[0], *c->in[1]);
    for (int i = 0; i < 2; i++) {
        if (!op_needs_grad(c, i))
            continue;
        Tensor share = binary(c, BINARY_GREATER, *c->in[i], *c->in[1 - i]);
        if (!tensor_is_valid(share) || !tensor_is_valid(equal))
            return;
        tensor_axpby(share, 0.5, equal, 1);
        tensor_binary(BINARY_MUL, share, share, *c->grad[0]);
        op_give(&terms[i], share);
    }
}
static Var maximum_sample(OpSample *s)
{
    /* Far enough apart that no difference quotient crosses the kink. */
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    Var a = op_sample_away(s, SHAPE(n, m, 4), -2, 2, 0), b = op_sample(s, SHAPE(m, 1), -0.02, 0.02);
    return op_sample_choice(s, 2) ? var_maximum(a, b) : var_maximum(b, a);
}
OpKind op_maximum = {.name = "maximum",
                     .forward = maximum_forward,
                     .backward = maximum_backward,
                     .sample = maximum_sample,
                     .backward_reads = OP_IN(0) | OP_IN(1)};
Var var_maximum(Var a, Var b)
{
    return op_apply(&op_maximum, (Var[]){a, b}, 2, NULL, 0);
}

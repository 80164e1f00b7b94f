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

static bool binary_forward(OpContext *c, TensorBinaryOp op)
{
    return binary_output(c) && tensor_binary(op, *c->out[0], *c->in[0], *c->in[1]);
}

/* A new tensor of the output's shape. */
static Tensor binary(OpContext *c, TensorBinaryOp op, Tensor a, Tensor b)
{
    Tensor out = op_new_like(c, *c->out[0]);
    return tensor_is_valid(out) && tensor_binary(op, out, a, b) ? out : tensor_invalid();
}

static Tensor negated(OpContext *c, Tensor a)
{
    Tensor out = op_new_like(c, *c->out[0]);
    return tensor_is_valid(out) && tensor_unary(TENSOR_UNARY_NEG, out, a) ? out : tensor_invalid();
}

/* A pair of operands whose shapes broadcast against each other in both directions. */
static void sample_pair(OpSample *s, double low, double high, Var *a, Var *b)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    switch (op_sample_choice(s, 3)) {
    case 0:
        *a = op_sample(s, TENSOR_SHAPE(n, m), low, high);
        *b = op_sample(s, TENSOR_SHAPE(n, m), low, high);
        break;
    case 1:
        *a = op_sample(s, TENSOR_SHAPE(n, m, k), low, high);
        *b = op_sample(s, TENSOR_SHAPE(m, k), low, high);
        break;
    default:
        *a = op_sample(s, TENSOR_SHAPE(m, 1), low, high);
        *b = op_sample(s, TENSOR_SHAPE(n, m, k), low, high);
    }
}

/* 1 where a is 0, else 0; i32. */
static Var where_zero(Var a)
{
    Tensor t = tensor_contiguous(tape_arena(a.tape), var_value(a));
    Tensor mask = tensor_new(tape_arena(a.tape), TENSOR_I32, t.ndim, t.shape);
    if (!tensor_is_valid(t) || !tensor_is_valid(mask))
        return tape_fail(a.tape, "out of memory");
    for (int64_t i = 0, n = tensor_numel(&t); i < n; i++)
        tensor_i32(mask)[i] = t.dtype == TENSOR_F32 ? tensor_f32(t)[i] == 0 : tensor_f64(t)[i] == 0;
    return tape_constant(a.tape, mask);
}

/* Of maximum(a, b), the share of a: 1 where it is larger, 1/2 where equal, NaN where the maximum is. */
static Tensor share_of(TensorArena *arena, Tensor maximum, Tensor a, Tensor b)
{
    Tensor share = tensor_new(arena, maximum.dtype, maximum.ndim, maximum.shape);
    Tensor equal = tensor_new(arena, maximum.dtype, maximum.ndim, maximum.shape);
    bool done = tensor_is_valid(share) && tensor_is_valid(equal) &&
                tensor_binary(TENSOR_BINARY_GREATER, share, a, b) &&
                tensor_binary(TENSOR_BINARY_EQUAL, equal, a, b) && tensor_axpby(share, 0.5, equal, 1) &&
                tensor_binary(TENSOR_BINARY_EQUAL, equal, maximum, maximum) && /* 0 for NaN */
                tensor_binary(TENSOR_BINARY_DIV, share, share, equal);
    return done ? share : tensor_invalid();
}

/* f(a, b) = a + b */
static bool add_forward(OpContext *c)
{
    return binary_forward(c, TENSOR_BINARY_ADD);
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
static void add_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], use->grad[0]);
    op_give_var(&terms[1], use->grad[0]);
}
OpKind op_add = {.name = "add",
                 .forward = add_forward,
                 .backward = add_backward,
                 .formula = add_formula,
                 .sample = add_sample,
                 .backward_reads = OP_READS_NOTHING};
Var var_add(Var a, Var b)
{
    return op_apply(&op_add, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a - b */
static bool sub_forward(OpContext *c)
{
    return binary_forward(c, TENSOR_BINARY_SUB);
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
static void sub_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], use->grad[0]);
    op_give_var(&terms[1], var_neg(use->grad[0]));
}
OpKind op_sub = {.name = "sub",
                 .forward = sub_forward,
                 .backward = sub_backward,
                 .formula = sub_formula,
                 .sample = sub_sample,
                 .backward_reads = OP_READS_NOTHING};
Var var_sub(Var a, Var b)
{
    return op_apply(&op_sub, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a b;  df/da = b, df/db = a */
static bool mul_forward(OpContext *c)
{
    return binary_forward(c, TENSOR_BINARY_MUL);
}
static void mul_backward(OpContext *c, OpTerm *terms)
{
    for (int i = 0; i < 2; i++)
        if (op_needs_grad(c, i))
            op_give(&terms[i], binary(c, TENSOR_BINARY_MUL, *c->grad[0], *c->in[1 - i]));
}
static Var mul_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, -2, 2, &a, &b);
    return var_mul(a, b);
}
static void mul_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_mul(use->grad[0], use->in[1]));
    op_give_var(&terms[1], var_mul(use->grad[0], use->in[0]));
}
OpKind op_mul = {.name = "mul",
                 .forward = mul_forward,
                 .backward = mul_backward,
                 .formula = mul_formula,
                 .sample = mul_sample,
                 .backward_reads = OP_IN(0) | OP_IN(1)};
Var var_mul(Var a, Var b)
{
    return op_apply(&op_mul, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a / b;  df/da = 1 / b, df/db = -f / b */
static bool div_forward(OpContext *c)
{
    return binary_forward(c, TENSOR_BINARY_DIV);
}
static void div_backward(OpContext *c, OpTerm *terms)
{
    Tensor da = binary(c, TENSOR_BINARY_DIV, *c->grad[0], *c->in[1]);
    op_give(&terms[0], da);
    if (op_needs_grad(c, 1) && tensor_is_valid(da)) {
        Tensor db = negated(c, da);
        if (tensor_is_valid(db) && tensor_binary(TENSOR_BINARY_MUL, db, db, *c->out[0]))
            op_give(&terms[1], db);
    }
}
static Var div_sample(OpSample *s)
{
    Var a, b;
    sample_pair(s, 0.5, 2, &a, &b);
    return var_div(a, b);
}
static void div_formula(const OpUse *use, OpVarTerm *terms)
{
    Var da = var_div(use->grad[0], use->in[1]);
    op_give_var(&terms[0], da);
    op_give_var(&terms[1], var_neg(var_mul(da, use->out[0])));
}
OpKind op_div = {.name = "div",
                 .forward = div_forward,
                 .backward = div_backward,
                 .formula = div_formula,
                 .sample = div_sample,
                 .backward_reads = OP_IN(1) | OP_OUT(0)};
Var var_div(Var a, Var b)
{
    return op_apply(&op_div, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = a^b;  df/da = b a^(b-1), 0 where b = 0;  df/db = f ln a, 0 where a = 0 <= b */
static bool pow_forward(OpContext *c)
{
    return binary_forward(c, TENSOR_BINARY_POW);
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
static void pow_formula(const OpUse *use, OpVarTerm *terms)
{
    Var a = use->in[0], b = use->in[1], g = use->grad[0];
    Var power = var_masked_fill(var_scale(b, 1, -1), where_zero(b), 0); /* b = 0: 0 a^0 */
    op_give_var(&terms[0], var_mul(var_mul(g, b), var_pow(a, power)));
    Var log_a = var_log(var_masked_fill(a, where_zero(a), 1));
    op_give_var(&terms[1], var_mul(var_mul(g, use->out[0]), log_a));
}
OpKind op_pow = {.name = "pow",
                 .forward = pow_forward,
                 .backward = pow_backward,
                 .formula = pow_formula,
                 .sample = pow_sample};
Var var_pow(Var a, Var b)
{
    return op_apply(&op_pow, (Var[]){a, b}, 2, NULL, 0);
}

/* f(a, b) = max(a, b);  df/da = 1 where a > b, 1/2 where a = b, else 0 */
static bool maximum_forward(OpContext *c)
{
    return binary_forward(c, TENSOR_BINARY_MAXIMUM);
}
static void maximum_backward(OpContext *c, OpTerm *terms)
{
    for (int i = 0; i < 2; i++) {
        if (!op_needs_grad(c, i))
            continue;
        Tensor share = share_of(op_arena(c), *c->out[0], *c->in[i], *c->in[1 - i]);
        if (!tensor_is_valid(share))
            return;
        tensor_binary(TENSOR_BINARY_MUL, share, share, *c->grad[0]);
        op_give(&terms[i], share);
    }
}
static Var maximum_sample(OpSample *s)
{
    /* Far enough apart that no difference quotient crosses the kink. */
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    Var a = op_sample_away(s, TENSOR_SHAPE(n, m, 4), -2, 2, 0),
        b = op_sample(s, TENSOR_SHAPE(m, 1), -0.02, 0.02);
    return op_sample_choice(s, 2) ? var_maximum(a, b) : var_maximum(b, a);
}
static void maximum_formula(const OpUse *use, OpVarTerm *terms)
{
    for (int i = 0; i < 2; i++) {
        Tensor like = var_value(use->out[0]), a = var_value(use->in[i]), b = var_value(use->in[1 - i]);
        Tensor share = share_of(tape_arena(use->tape), like, a, b);
        if (!tensor_is_valid(share))
            tape_fail(use->tape, "out of memory");
        else
            op_give_var(&terms[i], var_mul(use->grad[0], tape_constant(use->tape, share)));
    }
}
OpKind op_maximum = {.name = "maximum",
                     .forward = maximum_forward,
                     .backward = maximum_backward,
                     .formula = maximum_formula,
                     .sample = maximum_sample,
                     .backward_reads = OP_IN(0) | OP_IN(1) | OP_OUT(0)};
Var var_maximum(Var a, Var b)
{
    return op_apply(&op_maximum, (Var[]){a, b}, 2, NULL, 0);
}

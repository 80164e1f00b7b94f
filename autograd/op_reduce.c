/* Reductions over a set of axes: sum, mean, max and logsumexp, and what is made of them. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"
#include "tensor/reduce.h"

#include <float.h>
#include <math.h>

typedef struct Reduce {
    unsigned axes;
    bool keepdim;
} Reduce;

/* Bit i for axis i from the front, with a bit too many where an axis is out of range. */
static unsigned axes_of(unsigned axes, int ndim)
{
    tensor_axes(axes, ndim, &axes);
    return axes;
}

static unsigned reduced_axes(const OpContext *c)
{
    return axes_of(((const Reduce *)c->attributes)->axes, c->in[0]->ndim);
}

/* `t` with the reduced axes back in place, of size 1. */
static Tensor with_axes(const OpContext *c, Tensor t)
{
    unsigned axes = reduced_axes(c);
    if (!((const Reduce *)c->attributes)->keepdim)
        for (int i = 0; i < c->in[0]->ndim; i++)
            if (axes & TENSOR_AXIS(i))
                t = tensor_unsqueeze(t, i);
    return t;
}

static Tensor spread(const OpContext *c, Tensor t)
{
    return tensor_expand(with_axes(c, t), c->in[0]->ndim, c->in[0]->shape);
}

/* Makes the output, with the reduced axes; *count: how many elements each of its own is of. */
static bool reduced_output(OpContext *c, int64_t *count)
{
    Tensor a = *c->in[0];
    unsigned axes = reduced_axes(c);
    if (!op_wants_real(c, 0))
        return false;
    if (axes >> a.ndim)
        return op_error(c, "the axes (bits %#x) are out of range for %d dimensions", axes, a.ndim);
    int64_t shape[TENSOR_MAX_DIMS];
    *count = 1;
    for (int i = 0; i < a.ndim; i++) {
        shape[i] = axes & TENSOR_AXIS(i) ? 1 : a.shape[i];
        *count *= axes & TENSOR_AXIS(i) ? a.shape[i] : 1;
    }
    return op_output(c, a.ndim, shape);
}

/* Takes the reduced axes out of the output, unless they are kept. */
static void drop_axes(OpContext *c)
{
    unsigned axes = reduced_axes(c);
    if (!((const Reduce *)c->attributes)->keepdim)
        for (int i = c->in[0]->ndim; i-- > 0;)
            if (axes & TENSOR_AXIS(i))
                *c->out[0] = tensor_squeeze(*c->out[0], i);
}

static bool reduce_forward(OpContext *c, TensorReduceOp op, bool average)
{
    int64_t count;
    if (!reduced_output(c, &count))
        return false;
    if (op == TENSOR_REDUCE_MAX && count == 0)
        return op_error(c, "there is no maximum of nothing");
    if (!tensor_reduce(op, *c->out[0], *c->in[0], reduced_axes(c)))
        return false;
    Tensor divisor = average ? op_number(c, (double)count) : tensor_invalid();
    if (average &&
        (!tensor_is_valid(divisor) || !tensor_binary(TENSOR_BINARY_DIV, *c->out[0], *c->out[0], divisor)))
        return false;
    drop_axes(c);
    return true;
}

static double count_of(Var v)
{
    double count = 1;
    for (int i = 0; i < var_ndim(v); i++)
        count *= (double)var_size(v, i);
    return count;
}

/* A reduced value in the shape of the input. */
static Var spread_var(const OpUse *use, Var v)
{
    Var a = use->in[0];
    int ndim = var_ndim(a);
    int64_t kept[TENSOR_MAX_DIMS], shape[TENSOR_MAX_DIMS];
    unsigned axes = axes_of(((const Reduce *)use->attributes)->axes, ndim);
    for (int i = 0; i < ndim; i++) {
        shape[i] = var_size(a, i);
        kept[i] = axes & TENSOR_AXIS(i) ? 1 : shape[i];
    }
    return var_expand(var_reshape(v, ndim, kept), ndim, shape);
}

static Var sample_cube(OpSample *s)
{
    return op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), op_sample_size(s, 2)), -2,
                     2);
}

/* Two axes of three at most, so that the gradient is not the same everywhere. */
static unsigned sample_axes(OpSample *s)
{
    static const unsigned choices[] = {TENSOR_AXIS(0), TENSOR_AXIS(1), TENSOR_AXIS(2),
                                       TENSOR_AXIS(0) | TENSOR_AXIS(2), TENSOR_AXIS(1) | TENSOR_AXIS(2)};
    return choices[op_sample_choice(s, 5)];
}

static Var reduce(const OpKind *op, Var a, unsigned axes, bool keepdim)
{
    return op_apply(op, &a, 1, &(Reduce){.axes = axes, .keepdim = keepdim}, sizeof(Reduce));
}

/* f(a) = sum of a;  df/da = 1 */
static bool sum_forward(OpContext *c)
{
    return reduce_forward(c, TENSOR_REDUCE_SUM, false);
}
static void sum_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], spread(c, *c->grad[0]));
}
static Var sum_sample(OpSample *s)
{
    return var_sum(sample_cube(s), sample_axes(s), op_sample_choice(s, 2));
}
static void sum_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], spread_var(use, use->grad[0]));
}
OpKind op_sum = {.name = "sum",
                 .forward = sum_forward,
                 .backward = sum_backward,
                 .formula = sum_formula,
                 .sample = sum_sample,
                 .backward_reads = OP_READS_NOTHING};
Var var_sum(Var a, unsigned axes, bool keepdim)
{
    return reduce(&op_sum, a, axes, keepdim);
}

/* f(a) = sum of a / n (NaN where n = 0);  df/da = 1 / n */
static bool mean_forward(OpContext *c)
{
    return reduce_forward(c, TENSOR_REDUCE_SUM, true);
}
static void mean_backward(OpContext *c, OpTerm *terms)
{
    Tensor share = op_new_like(c, *c->out[0]);
    int64_t outputs = tensor_numel(c->out[0]), inputs = tensor_numel(c->in[0]);
    if (tensor_is_valid(share) &&
        tensor_axpby(share, inputs ? (double)outputs / (double)inputs : 0, *c->grad[0], 0))
        op_give(&terms[0], spread(c, share));
}
static Var mean_sample(OpSample *s)
{
    return var_mean(sample_cube(s), sample_axes(s), op_sample_choice(s, 2));
}
static void mean_formula(const OpUse *use, OpVarTerm *terms)
{
    double outputs = count_of(use->out[0]), inputs = count_of(use->in[0]);
    op_give_var(&terms[0], spread_var(use, var_scale(use->grad[0], inputs > 0 ? outputs / inputs : 0, 0)));
}
OpKind op_mean = {.name = "mean",
                  .forward = mean_forward,
                  .backward = mean_backward,
                  .formula = mean_formula,
                  .sample = mean_sample,
                  .backward_reads = OP_READS_NOTHING};
Var var_mean(Var a, unsigned axes, bool keepdim)
{
    return reduce(&op_mean, a, axes, keepdim);
}

/* f(a) = max of a;  df/da = 1 / k where a is one of k equal maxima, else 0 */
static bool max_forward(OpContext *c)
{
    return reduce_forward(c, TENSOR_REDUCE_MAX, false);
}
static void max_backward(OpContext *c, OpTerm *terms)
{
    Tensor a = *c->in[0], largest = with_axes(c, *c->out[0]);
    Tensor da = op_new_like(c, a), ties = op_new_like(c, largest);
    if (tensor_is_valid(da) && tensor_is_valid(ties) && tensor_binary(TENSOR_BINARY_EQUAL, da, a, largest) &&
        tensor_reduce(TENSOR_REDUCE_SUM, ties, da, reduced_axes(c)) &&
        tensor_binary(TENSOR_BINARY_DIV, ties, with_axes(c, *c->grad[0]), ties) &&
        tensor_binary(TENSOR_BINARY_MUL, da, da, ties))
        op_give(&terms[0], da);
}
static Var max_sample(OpSample *s)
{
    /* The middle axis is never empty. Steps between its rows keep the difference quotients from ties. */
    Var a = sample_cube(s);
    int64_t n = var_size(a, 1);
    Tensor steps = tensor_new(tape_arena(op_sample_tape(s)), var_value(a).dtype, TENSOR_SHAPE(n, 1));
    if (!tensor_is_valid(steps))
        return (Var){.tape = op_sample_tape(s)};
    for (int64_t i = 0; i < n; i++)
        tensor_set(&steps, (int64_t[]){i, 0}, 50.0 * (double)((3 * i + 1) % 7));
    Var apart = var_add(a, tape_constant(op_sample_tape(s), steps));
    return var_max(apart, TENSOR_AXIS(1), op_sample_choice(s, 2));
}
static void max_formula(const OpUse *use, OpVarTerm *terms)
{
    /* Each maximum's share is constant while the same elements are the largest. */
    Tape *tape = use->tape;
    Tensor a = var_value(use->in[0]), largest = var_value(spread_var(use, use->out[0]));
    Tensor share = tensor_new(tape_arena(tape), a.dtype, a.ndim, a.shape);
    if (!tensor_is_valid(share) || !tensor_binary(TENSOR_BINARY_EQUAL, share, a, largest))
        return;
    Var equal = tape_constant(tape, share);
    Var ties = var_sum(equal, ((const Reduce *)use->attributes)->axes, true);
    op_give_var(&terms[0], var_mul(spread_var(use, use->grad[0]), var_div(equal, ties)));
}
OpKind op_max = {.name = "max",
                 .forward = max_forward,
                 .backward = max_backward,
                 .formula = max_formula,
                 .sample = max_sample};
Var var_max(Var a, unsigned axes, bool keepdim)
{
    return reduce(&op_max, a, axes, keepdim);
}

/* f(a) = ln sum of e^a (-infinity of nothing);  df/da = e^(a - f) */
static bool logsumexp_forward(OpContext *c)
{
    int64_t count;
    if (!reduced_output(c, &count))
        return false;
    Tensor a = *c->in[0], f = *c->out[0], largest = op_new_like(c, f), e = op_new_like(c, a);
    unsigned axes = reduced_axes(c);
    /* Of infinities alone the largest number is as good, and its difference from them is a number or
     * infinite. */
    double most = a.dtype == TENSOR_F32 ? FLT_MAX : DBL_MAX;
    if (!tensor_is_valid(largest) || !tensor_is_valid(e))
        return false;
    bool done =
        count == 0
            ? tensor_fill(f, -INFINITY)
            : tensor_reduce(TENSOR_REDUCE_MAX, largest, a, axes) &&
                  tensor_unary_with(TENSOR_UNARY_CLAMP, largest, largest, (double[]){-most, most}) &&
                  tensor_binary(TENSOR_BINARY_SUB, e, a, largest) && tensor_unary(TENSOR_UNARY_EXP, e, e) &&
                  tensor_reduce(TENSOR_REDUCE_SUM, f, e, axes) && tensor_unary(TENSOR_UNARY_LOG, f, f) &&
                  tensor_binary(TENSOR_BINARY_ADD, f, f, largest);
    drop_axes(c);
    return done;
}
static void logsumexp_backward(OpContext *c, OpTerm *terms)
{
    Tensor a = *c->in[0], f = with_axes(c, *c->out[0]), da = op_new_like(c, a), low = op_new_like(c, f);
    double most = a.dtype == TENSOR_F32 ? FLT_MAX : DBL_MAX;
    if (tensor_is_valid(da) && tensor_is_valid(low) &&
        tensor_unary_with(TENSOR_UNARY_CLAMP, low, f, (double[]){-most, INFINITY}) &&
        tensor_binary(TENSOR_BINARY_SUB, da, a, low) && tensor_unary(TENSOR_UNARY_EXP, da, da) &&
        tensor_binary(TENSOR_BINARY_MUL, da, da, with_axes(c, *c->grad[0])))
        op_give(&terms[0], da);
}
static Var logsumexp_sample(OpSample *s)
{
    return var_logsumexp(sample_cube(s), sample_axes(s), op_sample_choice(s, 2));
}
static void logsumexp_formula(const OpUse *use, OpVarTerm *terms)
{
    Var low = var_clamp(spread_var(use, use->out[0]), -FLT_MAX, INFINITY);
    op_give_var(&terms[0], var_mul(spread_var(use, use->grad[0]), var_exp(var_sub(use->in[0], low))));
}
OpKind op_logsumexp = {.name = "logsumexp",
                       .forward = logsumexp_forward,
                       .backward = logsumexp_backward,
                       .formula = logsumexp_formula,
                       .sample = logsumexp_sample};
Var var_logsumexp(Var a, unsigned axes, bool keepdim)
{
    return reduce(&op_logsumexp, a, axes, keepdim);
}

/* ---- Made of these ---- */

Var var_min(Var a, unsigned axes, bool keepdim)
{
    return var_neg(var_max(var_neg(a), axes, keepdim));
}

/* Of how many elements each of a reduction's is. */
static double reduced_count(Var a, unsigned axes)
{
    double count = 1;
    axes = axes_of(axes, var_ndim(a));
    for (int i = 0; i < var_ndim(a); i++)
        count *= axes & TENSOR_AXIS(i) ? (double)var_size(a, i) : 1;
    return count;
}

Var var_var(Var a, unsigned axes, double correction, bool keepdim)
{
    Var distance = var_sub(a, var_mean(a, axes, true));
    double freedom = reduced_count(a, axes) - correction;
    return var_scale(var_sum(var_square(distance), axes, keepdim), 1 / (freedom > 0 ? freedom : 0), 0);
}

/* a^power, and where a is 0 the gradient 0. */
static Var power_but_0(Var a, double power)
{
    Var zero = var_equal(a, tape_scalar(a, 0)), positive = var_masked_fill(a, zero, 1);
    Var root = power == 0.5 ? var_sqrt(positive) : var_pow(positive, tape_scalar(a, power));
    return var_masked_fill(root, zero, 0);
}

Var var_std(Var a, unsigned axes, double correction, bool keepdim)
{
    return power_but_0(var_var(a, axes, correction, keepdim), 0.5);
}

Var var_norm(Var a, double p, unsigned axes, bool keepdim)
{
    if (p == 2)
        return power_but_0(var_sum(var_square(a), axes, keepdim), 0.5);
    Var size = var_abs(a);
    if (p == 1)
        return var_sum(size, axes, keepdim);
    if (isinf(p))
        return p > 0 ? var_max(size, axes, keepdim) : var_min(size, axes, keepdim);
    if (p == 0) /* how many are not 0 */
        return var_sum(var_abs(var_sign(a)), axes, keepdim);
    return power_but_0(var_sum(power_but_0(size, p), axes, keepdim), 1 / p);
}

Var var_normalize(Var a, double p, int axis, double eps)
{
    return var_div(a, var_clamp(var_norm(a, p, TENSOR_AXIS(axis), true), eps, INFINITY));
}

Var var_cosine_similarity(Var a, Var b, int axis, double eps)
{
    Tensor of_a = var_value(a), of_b = var_value(b);
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim;
    if (tensor_broadcast_shape(&of_a, &of_b, &ndim,
                               shape)) { /* each by itself, the norms would be of fewer */
        a = var_expand(a, ndim, shape);
        b = var_expand(b, ndim, shape);
    }
    Var both = var_mul(var_normalize(a, 2, axis, eps), var_normalize(b, 2, axis, eps));
    return var_sum(both, TENSOR_AXIS(axis), false);
}

/* The product of the last axis [N, n], a half times the other until one is left: no quotient by what may be
 * 0. */
static Var product_of_rows(Var a, int64_t rows, int64_t n)
{
    Var rest = var_expand(tape_scalar(a, 1), TENSOR_SHAPE(rows, 1));
    for (; n > 1; n /= 2) {
        if (n % 2)
            rest = var_mul(rest, var_slice(a, 1, n - 1, n, 1));
        a = var_mul(var_slice(a, 1, 0, n / 2, 1), var_slice(a, 1, n / 2, n / 2 * 2, 1));
    }
    return n ? var_mul(a, rest) : rest;
}

Var var_prod(Var a, unsigned axes, bool keepdim)
{
    int ndim = var_ndim(a), order[TENSOR_MAX_DIMS], kept = 0, at = 0;
    int64_t shape[TENSOR_MAX_DIMS], rows = 1;
    unsigned found = 0;
    if (!var_is_empty(a) && !tensor_axes(axes, ndim, &found))
        return tape_fail(a.tape, "prod: the axes (bits %#x) are out of range for %d dimensions", axes, ndim);
    for (int i = 0; i < ndim; i++)
        if (!(found & TENSOR_AXIS(i))) {
            order[at++] = i;
            rows *= var_size(a, i);
        }
    for (int i = 0; i < ndim; i++) {
        bool goes = found & TENSOR_AXIS(i);
        if (goes)
            order[at++] = i;
        if (!goes || keepdim)
            shape[kept++] = goes ? 1 : var_size(a, i);
    }
    int64_t n = (int64_t)reduced_count(a, found);
    Var flat = var_reshape(var_permute(a, order), TENSOR_SHAPE(rows, n));
    return var_reshape(product_of_rows(flat, rows, n), kept, shape);
}

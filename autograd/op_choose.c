/* Ops that take an element or leave it. */
#include "autograd/op_support_internal.h"
#include "autograd/row_internal.h"
#include "tensor/elementwise.h"
#include "tensor/random.h"

#define KERNELS "autograd/op_choose_kernels_internal.h"
#include "tensor/each_real.h"

/* The gradient where(condition, a, b). */
static void give_where(OpContext *c, OpTerm *terms, int input, Tensor condition, Tensor a, Tensor b)
{
    Tensor grad = op_needs_grad(c, input) ? op_new_like(c, *c->out[0]) : tensor_invalid();
    if (tensor_is_valid(grad) && tensor_is_valid(a) && tensor_is_valid(b) &&
        tensor_where(grad, condition, a, b))
        op_give(&terms[input], grad);
}

/* f(a, b) = condition ? a : b. The condition is input 2. */
static bool where_forward(OpContext *c)
{
    Tensor pair = tensor_invalid();
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    if (!op_wants_real(c, 0) || !op_wants_real(c, 1) || !op_wants_i32(c, 2))
        return false;
    pair.dtype = c->in[0]->dtype;
    if (!tensor_broadcast_shape(c->in[0], c->in[1], &pair.ndim, pair.shape) ||
        !tensor_broadcast_shape(&pair, c->in[2], &ndim, shape))
        return op_error(c, "the shapes (the last is the condition's) do not broadcast");
    return op_output(c, ndim, shape) && tensor_where(*c->out[0], *c->in[2], *c->in[0], *c->in[1]);
}
static void where_backward(OpContext *c, OpTerm *terms)
{
    Tensor zero = op_number(c, 0);
    give_where(c, terms, 0, *c->in[2], *c->grad[0], zero);
    give_where(c, terms, 1, *c->in[2], zero, *c->grad[0]);
}
static Var where_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    /* An axis of 4, so that both are taken somewhere. */
    Var a = op_sample(s, TENSOR_SHAPE(n, m, 4), -2, 2), b = op_sample(s, TENSOR_SHAPE(k, n, m, 4), -2, 2);
    return var_where(op_sample_index(s, TENSOR_SHAPE(k, 1, m, 4), 2), a, b);
}
static void where_formula(const OpUse *use, OpVarTerm *terms)
{
    Var condition = use->in[2], g = use->grad[0], zero = tape_scalar(g, 0);
    op_give_var(&terms[0], var_where(condition, g, zero));
    op_give_var(&terms[1], var_where(condition, zero, g));
}
OpKind op_where = {.name = "where",
                   .forward = where_forward,
                   .backward = where_backward,
                   .formula = where_formula,
                   .sample = where_sample,
                   .backward_reads = OP_IN(2)};
Var var_where(Var condition, Var a, Var b)
{
    return op_apply(&op_where, (Var[]){a, b, condition}, 3, NULL, 0);
}

/* f(a) = mask ? value : a */
static bool masked_fill_forward(OpContext *c)
{
    Tensor a = *c->in[0], mask = *c->in[1];
    if (!op_wants_real(c, 0) || !op_wants_i32(c, 1))
        return false;
    if (!tensor_is_valid(tensor_expand(mask, a.ndim, a.shape)))
        return op_error(c, "the mask does not broadcast to the value");
    Tensor value = op_number(c, *(const double *)c->attributes);
    return tensor_is_valid(value) && op_output_like(c, a) && tensor_where(*c->out[0], mask, value, a);
}
static void masked_fill_backward(OpContext *c, OpTerm *terms)
{
    give_where(c, terms, 0, *c->in[1], op_number(c, 0), *c->grad[0]);
}
static Var masked_fill_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    Var a = op_sample(s, TENSOR_SHAPE(k, n, m, 4), -2, 2),
        mask = op_sample_index(s, TENSOR_SHAPE(n, m, 4), 2);
    return var_masked_fill(a, mask, -3);
}
static void masked_fill_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_masked_fill(use->grad[0], use->in[1], 0));
}
OpKind op_masked_fill = {.name = "masked_fill",
                         .forward = masked_fill_forward,
                         .backward = masked_fill_backward,
                         .formula = masked_fill_formula,
                         .sample = masked_fill_sample,
                         .backward_reads = OP_IN(1)};
Var var_masked_fill(Var a, Var mask, double value)
{
    return op_apply(&op_masked_fill, (Var[]){a, mask}, 2, &value, sizeof value);
}

/* f(a) = a k / (1 - p), k = 0 with probability p, else 1 (Srivastava et al. 2014). One 32-bit number is
 * drawn for each element, in either dtype. What is saved is k, a byte each. */
static bool dropout_forward(OpContext *c)
{
    double p = *(const double *)c->attributes;
    if (!op_wants_real(c, 0))
        return false;
    if (!(p >= 0 && p < 1))
        return op_error(c, "the probability is %g, but must lie in [0, 1)", p);
    Tensor a = op_dense(c, *c->in[0]);
    uint8_t *kept = c->saved = op_alloc(c, (size_t)tensor_numel(&a));
    if (!kept || !tensor_is_valid(a) || !op_output_like(c, a))
        return false;
    TENSOR_BY_DTYPE(a.dtype, drop)(*c->out[0], kept, a, p, tape_random(c->tape));
    return true;
}
static void dropout_backward(OpContext *c, OpTerm *terms)
{
    Tensor g = op_dense(c, *c->grad[0]), da = op_new_like(c, *c->out[0]);
    if (!tensor_is_valid(g) || !tensor_is_valid(da))
        return;
    TENSOR_BY_DTYPE(da.dtype, times_kept)(da, g, c->saved, *(const double *)c->attributes);
    op_give(&terms[0], da);
}
static Var dropout_sample(OpSample *s)
{
    return var_dropout(op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), 4), -2, 2), 0.3);
}
static void dropout_formula(const OpUse *use, OpVarTerm *terms)
{
    Tensor g = var_value(use->grad[0]),
           keep = tensor_full(tape_arena(use->tape), g.dtype, g.ndim, g.shape, 1);
    if (!tensor_is_valid(keep))
        return;
    TENSOR_BY_DTYPE(keep.dtype, times_kept)(keep, keep, use->saved, *(const double *)use->attributes);
    op_give_var(&terms[0], var_mul(use->grad[0], tape_constant(use->tape, keep)));
}
OpKind op_dropout = {.name = "dropout",
                     .forward = dropout_forward,
                     .backward = dropout_backward,
                     .formula = dropout_formula,
                     .sample = dropout_sample,
                     .backward_reads = OP_READS_NOTHING};
Var var_dropout(Var a, double p)
{
    return p == 0 ? var_alias(a) : op_apply(&op_dropout, &a, 1, &p, sizeof p);
}

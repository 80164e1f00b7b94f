/* Matrix products. Those with a parameter run on panels that were packed once for its version. */
#include "autograd/op_product_internal.h"
#include "autograd/op_support_internal.h"
#include "tensor/matmul.h"

/* ---- matmul: out = a b over batches ---- */

static Tensor matrix_transpose(Tensor t)
{
    return tensor_transpose(t, -2, -1);
}

/* out = a b, or a b^T, on the panels of a matrix b that is a parameter; false where it is none. */
static bool times_parameter(OpContext *c, Tensor out, Tensor a, bool transposed)
{
    const TensorPanels *panels = a.ndim == 2 && c->in[1]->ndim == 2 ? op_panels(c, 1, transposed) : NULL;
    return panels && tensor_panels_matmul(out, a, panels, 0.0, op_arena(c));
}

static bool matmul_forward(OpContext *c)
{
    Tensor a = *c->in[0], b = *c->in[1];
    if (!op_wants_all_real(c, -1))
        return false;
    if (a.ndim < 2 || b.ndim < 2)
        return op_error(c, "both operands need at least two axes");
    if (a.shape[a.ndim - 1] != b.shape[b.ndim - 2])
        return op_error(c, "the inner sizes differ (%lld and %lld)", (long long)a.shape[a.ndim - 1],
                        (long long)b.shape[b.ndim - 2]);
    Tensor batch_a = a, batch_b = b;
    batch_a.ndim -= 2;
    batch_b.ndim -= 2;
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    if (!tensor_broadcast_shape(&batch_a, &batch_b, &ndim, shape))
        return op_error(c, "the leading axes do not broadcast");
    shape[ndim] = a.shape[a.ndim - 2];
    shape[ndim + 1] = b.shape[b.ndim - 1];
    return op_output(c, ndim + 2, shape) &&
           (times_parameter(c, *c->out[0], a, false) || tensor_matmul(*c->out[0], 1.0, a, b, 0.0));
}

/* The gradient of an operand over the whole batch: the engine sums where it was broadcast. */
static void give_matmul(OpContext *c, OpTerm *terms, int input, Tensor x, Tensor y)
{
    const Tensor *operand = c->in[input];
    int64_t shape[TENSOR_MAX_DIMS];
    int ndim = c->grad[0]->ndim;
    for (int i = 0; i < ndim - 2; i++)
        shape[i] = c->grad[0]->shape[i];
    shape[ndim - 2] = operand->shape[operand->ndim - 2];
    shape[ndim - 1] = operand->shape[operand->ndim - 1];
    Tensor grad = op_new(c, ndim, shape);
    if (tensor_is_valid(grad) &&
        ((input == 0 && times_parameter(c, grad, x, true)) || tensor_matmul(grad, 1.0, x, y, 0.0)))
        op_give(&terms[input], grad);
}

static void matmul_backward(OpContext *c, OpTerm *terms)
{
    if (op_needs_grad(c, 0))
        give_matmul(c, terms, 0, *c->grad[0], matrix_transpose(*c->in[1]));
    if (op_needs_grad(c, 1) && c->in[0]->ndim == 2 && c->in[1]->ndim == 2)
        op_give_product(&terms[1], *c->in[0], *c->grad[0]);
    else if (op_needs_grad(c, 1))
        give_matmul(c, terms, 1, matrix_transpose(*c->in[0]), *c->grad[0]);
}

static Var matmul_sample(OpSample *s)
{
    int64_t batch = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2),
            n = op_sample_size(s, 3);
    Var a = op_sample(s, TENSOR_SHAPE(batch, m, k), -1, 1);
    Var b = op_sample(s, TENSOR_SHAPE(k, n), -1, 1);
    return var_matmul(a, b);
}

/* x with its leading axes as one, for a product of [.., in] with a matrix, and back again. */
static Var as_matrix(Var x)
{
    int64_t rows = 1;
    for (int i = 0; i < var_ndim(x) - 1; i++)
        rows *= var_size(x, i);
    return var_reshape(x, TENSOR_SHAPE(rows, var_size(x, -1)));
}

static Var with_leading_axes(Var product, Var x)
{
    int64_t shape[TENSOR_MAX_DIMS] = {0};
    int ndim = var_ndim(x);
    for (int i = 0; i < ndim - 1; i++)
        shape[i] = var_size(x, i);
    shape[ndim - 1] = var_size(product, 1);
    return var_reshape(product, ndim, shape);
}

Var var_matmul(Var a, Var b)
{
    if (var_ndim(a) > 0 && var_ndim(b) == 1)
        return var_squeeze(var_matmul(a, var_unsqueeze(b, 1)), -1);
    if (var_ndim(a) == 1 && var_ndim(b) > 0)
        return var_squeeze(var_matmul(var_unsqueeze(a, 0), b), -2);
    if (var_ndim(a) > 2 && var_ndim(b) == 2 && var_size(a, -1) == var_size(b, 0))
        return with_leading_axes(var_matmul(as_matrix(a), b), a);
    return op_apply(&op_matmul, (Var[]){a, b}, 2, NULL, 0);
}

static void matmul_formula(const OpUse *use, OpVarTerm *terms)
{
    Var a = use->in[0], b = use->in[1], g = use->grad[0];
    op_give_var(&terms[0], var_matmul(g, var_transpose(b, -2, -1)));
    op_give_var(&terms[1], var_matmul(var_transpose(a, -2, -1), g));
}

OpKind op_matmul = {.name = "matmul",
                    .forward = matmul_forward,
                    .backward = matmul_backward,
                    .formula = matmul_formula,
                    .sample = matmul_sample,
                    .backward_reads = OP_IN(0) | OP_IN(1)};

/* ---- Shared by linear and addmm: products with a weight [out, in] ---- */

bool op_times_weight(OpContext *c, Tensor out, Tensor x, int weight, double beta)
{
    TapeParameter *parameter = op_parameter(c, weight);
    if (parameter && parameter->bytes_version == parameter->version &&
        tensor_byte_panels_matmul(out, x, &parameter->bytes, beta, op_arena(c)))
        return true;
    const TensorPanels *panels = op_panels(c, weight, true);
    if (panels && tensor_panels_matmul(out, x, panels, beta, op_arena(c)))
        return true;
    return tensor_matmul(out, 1.0, x, tensor_transpose(*c->in[weight], 0, 1), beta);
}

void op_give_weight_terms(OpContext *c, OpTerm *terms, Tensor dy, int x, int weight)
{
    if (op_needs_grad(c, x)) {
        const TensorPanels *panels = op_panels(c, weight, false);
        Tensor dx = op_new(c, TENSOR_SHAPE(dy.shape[0], c->in[weight]->shape[1]));
        bool done =
            tensor_is_valid(dx) && ((panels && tensor_panels_matmul(dx, dy, panels, 0.0, op_arena(c))) ||
                                    tensor_matmul(dx, 1.0, dy, *c->in[weight], 0.0));
        if (done)
            op_give(&terms[x], dx);
    }
    if (op_needs_grad(c, weight))
        op_give_product(&terms[weight], dy, *c->in[x]);
}

static bool check_weight(OpContext *c, Tensor x, Tensor weight)
{
    if (!op_wants_all_real(c, -1))
        return false;
    if (x.ndim != 2 || weight.ndim != 2)
        return op_error(c, "x must be [N, in] and the weight [out, in]");
    if (x.shape[1] != weight.shape[1])
        return op_error(c, "x has %lld columns, the weight %lld", (long long)x.shape[1],
                        (long long)weight.shape[1]);
    return true;
}

/* ---- linear: out = x W^T + b ---- */

static bool linear_forward(OpContext *c)
{
    Tensor x = *c->in[0], weight = *c->in[1];
    if (!check_weight(c, x, weight))
        return false;
    bool biased = c->count == 3;
    if (biased && (c->in[2]->ndim != 1 || c->in[2]->shape[0] != weight.shape[0]))
        return op_error(c, "the bias must be [out]");
    if (!op_output(c, TENSOR_SHAPE(x.shape[0], weight.shape[0])))
        return false;
    if (biased)
        tensor_copy_into(*c->out[0], *c->in[2]);
    return op_times_weight(c, *c->out[0], x, 1, biased ? 1.0 : 0.0);
}

static void linear_backward(OpContext *c, OpTerm *terms)
{
    op_give_weight_terms(c, terms, *c->grad[0], 0, 1);
    if (c->count == 3)
        op_give(&terms[2], *c->grad[0]);
}

static Var linear_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), in = op_sample_size(s, 1), out = op_sample_size(s, 2);
    Var x = op_sample(s, TENSOR_SHAPE(n, in), -1, 1);
    Var weight = op_sample(s, TENSOR_SHAPE(out, in), -1, 1);
    Var bias = op_sample_choice(s, 2) ? op_sample(s, TENSOR_SHAPE(out), -1, 1) : VAR_NONE;
    return var_linear(x, weight, bias);
}

Var var_linear(Var x, Var weight, Var bias)
{
    if (var_ndim(x) != 0 && var_ndim(x) != 2 && var_ndim(weight) == 2)
        return with_leading_axes(var_linear(as_matrix(x), weight, bias), x);
    return op_apply(&op_linear, (Var[]){x, weight, bias}, bias.tape ? 3 : 2, NULL, 0);
}

static void linear_formula(const OpUse *use, OpVarTerm *terms)
{
    Var g = use->grad[0];
    op_give_var(&terms[0], var_matmul(g, use->in[1]));
    op_give_var_product(&terms[1], g, use->in[0]);
    if (use->count == 3)
        op_give_var(&terms[2], g);
}

OpKind op_linear = {.name = "linear",
                    .forward = linear_forward,
                    .backward = linear_backward,
                    .formula = linear_formula,
                    .sample = linear_sample,
                    .flags = OP_ROWWISE,
                    .backward_reads = OP_IN(0) | OP_IN(1)};

/* ---- addmm: out = base + x W^T ---- */

static bool addmm_forward(OpContext *c)
{
    const Tensor *base = c->in[0], *x = c->in[1], *weight = c->in[2];
    if (!check_weight(c, *x, *weight))
        return false;
    if (base->ndim != 2 || base->shape[0] != x->shape[0] || base->shape[1] != weight->shape[0])
        return op_error(c, "the base must be [N, out]");
    return op_output_like(c, *base) && op_write(c, 0, *c->out[0]) &&
           op_times_weight(c, *c->out[0], *x, 2, 1.0);
}

static void addmm_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->grad[0]);
    op_give_weight_terms(c, terms, *c->grad[0], 1, 2);
}

static Var addmm_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), in = op_sample_size(s, 1), out = op_sample_size(s, 2);
    Var base = op_sample(s, TENSOR_SHAPE(n, out), -1, 1);
    Var x = op_sample(s, TENSOR_SHAPE(n, in), -1, 1);
    return var_addmm(base, x, op_sample(s, TENSOR_SHAPE(out, in), -1, 1));
}

Var var_addmm(Var base, Var x, Var weight)
{
    return op_apply(&op_addmm, (Var[]){base, x, weight}, 3, NULL, 0);
}

static void addmm_formula(const OpUse *use, OpVarTerm *terms)
{
    Var g = use->grad[0];
    op_give_var(&terms[0], g);
    op_give_var(&terms[1], var_matmul(g, use->in[2]));
    op_give_var_product(&terms[2], g, use->in[1]);
}

OpKind op_addmm = {.name = "addmm",
                   .forward = addmm_forward,
                   .backward = addmm_backward,
                   .formula = addmm_formula,
                   .sample = addmm_sample,
                   .lazy_forward = OP_IN(0),
                   .backward_reads = OP_IN(1) | OP_IN(2)};

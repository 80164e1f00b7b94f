/* Losses: a number for each element (or row), then their mean, their sum, or all of them. Weights get no
 * gradient. */
#include "autograd/op_support_internal.h"
#include "autograd/row_internal.h"
#include "tensor/elementwise.h"

#include <math.h>

typedef struct Loss {
    VarReduction reduction;
    int weight, pos_weight; /* numbers of these inputs, or 0 */
} Loss;

/* The softmax of a row of logits is e^(x - most) factor. */
typedef struct ClassRow {
    double most, factor;
} ClassRow;

/* PyTorch's bound for the logarithms of bce. */
static const double LOG_FLOOR = -100;

/* How many elements' logarithms are taken together. */
enum { BLOCK = 256 };

#define KERNELS "autograd/op_loss_kernels_internal.h"
#include "tensor/each_real.h"

/* ---- What losses share ---- */

/* `input` (0: not given) broadcast to the shape of x; *t is invalid where it is not given. */
static bool spread_weight(OpContext *c, int input, const char *name, Tensor x, Tensor *t)
{
    *t = tensor_invalid();
    if (input == 0)
        return true;
    if (!op_wants_real(c, input))
        return false;
    if (op_needs_grad(c, input))
        return op_error(c, "%s gets no gradient here; pass var_detach() of it", name);
    if (!tensor_is_valid(tensor_expand(*c->in[input], x.ndim, x.shape)))
        return op_error(c, "%s does not broadcast to the first operand", name);
    *t = op_spread(c, *c->in[input], x);
    return tensor_is_valid(*t);
}

/* x and target without gaps, of one shape. */
static bool check_pair(OpContext *c, Tensor *x, Tensor *target)
{
    if (!op_wants_real(c, 0) || !op_wants_real(c, 1))
        return false;
    if (!tensor_same_shape(c->in[0], c->in[1]))
        return op_error(c, "the target must have the shape of the first operand");
    *x = op_dense(c, *c->in[0]);
    *target = op_dense(c, *c->in[1]);
    return tensor_is_valid(*x) && tensor_is_valid(*target);
}

/* Makes the output of the losses of all elements, which have no gaps. */
static bool reduce_losses(OpContext *c, Tensor losses)
{
    VarReduction reduction = ((const Loss *)c->attributes)->reduction;
    if (reduction == VAR_REDUCTION_NONE) {
        *c->out[0] = losses;
        return true;
    }
    if (reduction != VAR_REDUCTION_MEAN && reduction != VAR_REDUCTION_SUM)
        return op_error(c, "%d is not a reduction", (int)reduction);
    double sum = TENSOR_BY_DTYPE(losses.dtype, sum_of)(losses);
    return op_output(c, 0, NULL) &&
           tensor_fill(*c->out[0],
                       reduction == VAR_REDUCTION_MEAN ? sum / (double)tensor_numel(&losses) : sum);
}

/* The gradient of each element's loss. */
static Tensor spread_grad(OpContext *c, Tensor losses)
{
    VarReduction reduction = ((const Loss *)c->attributes)->reduction;
    if (reduction == VAR_REDUCTION_NONE)
        return op_dense(c, *c->grad[0]);
    double g = tensor_item(*c->grad[0]);
    Tensor grad = op_new_like(c, losses);
    if (tensor_is_valid(grad))
        tensor_fill(grad, reduction == VAR_REDUCTION_MEAN ? g / (double)tensor_numel(&losses) : g);
    return grad;
}

/* The gradient of each element's loss, times its weight, as a value. */
static Var loss_grad(const OpUse *use)
{
    const Loss *loss = use->attributes;
    Var x = use->in[0], g = use->grad[0];
    if (loss->reduction != VAR_REDUCTION_NONE) {
        int64_t shape[TENSOR_MAX_DIMS], n = 1;
        for (int i = 0; i < var_ndim(x); i++)
            n *= shape[i] = var_size(x, i);
        if (loss->reduction == VAR_REDUCTION_MEAN)
            g = var_scale(g, 1 / (double)n, 0);
        g = var_expand(g, var_ndim(x), shape);
    }
    return loss->weight ? var_mul(g, use->in[loss->weight]) : g;
}

static VarReduction sample_reduction(OpSample *s)
{
    static const VarReduction choices[] = {VAR_REDUCTION_MEAN, VAR_REDUCTION_SUM, VAR_REDUCTION_NONE};
    return choices[op_sample_choice(s, 3)];
}

/* ---- bce ---- */

/* f(p, t) = -w (t ln p + (1 - t) ln(1 - p)), the logarithms at least -100 as in PyTorch.
 * df/dp = w (p - t) / (p (1 - p)), df/dt = w (ln(1 - p) - ln p) */
static bool bce_forward(OpContext *c)
{
    Tensor p, t, w;
    if (!check_pair(c, &p, &t) || !spread_weight(c, ((const Loss *)c->attributes)->weight, "weight", p, &w))
        return false;
    Tensor losses = op_new_like(c, p);
    if (!tensor_is_valid(losses))
        return false;
    if (!TENSOR_BY_DTYPE(p.dtype, bce_losses)(losses, p, t, w))
        return op_error(c, "a probability lies outside of [0, 1]; apply var_sigmoid(), or use "
                           "bce_with_logits");
    return reduce_losses(c, losses);
}
static void bce_backward(OpContext *c, OpTerm *terms)
{
    Tensor p, t, w;
    if (!check_pair(c, &p, &t) || !spread_weight(c, ((const Loss *)c->attributes)->weight, "weight", p, &w))
        return;
    Tensor g = spread_grad(c, p), dp = op_new_like(c, p);
    if (!tensor_is_valid(g) || !tensor_is_valid(dp))
        return;
    TENSOR_BY_DTYPE(p.dtype, bce_gradient)(dp, g, p, t, w);
    op_give(&terms[0], dp);
    Tensor dt = op_needs_grad(c, 1) ? op_new_like(c, p) : tensor_invalid();
    if (!tensor_is_valid(dt))
        return;
    TENSOR_BY_DTYPE(p.dtype, bce_target_gradient)(dt, g, p, w);
    op_give(&terms[1], dt);
}
static Var bce_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    /* Probabilities from 0.27 to 0.73, however large the values of the sample. */
    Var p = var_sigmoid(var_tanh(op_sample(s, TENSOR_SHAPE(n, m), -1, 1))),
        t = op_sample(s, TENSOR_SHAPE(n, m), 0, 1);
    Var w = op_sample_choice(s, 2) ? op_sample_constant(s, TENSOR_SHAPE(m), 0.5, 2) : VAR_NONE;
    return var_bce(p, t, w, sample_reduction(s));
}
static void bce_formula(const OpUse *use, OpVarTerm *terms)
{
    Var p = use->in[0], t = use->in[1], g = loss_grad(use), rest = var_scale(p, -1, 1);
    Var most = var_maximum(var_mul(p, rest), tape_scalar(p, 1e-12)), floor = tape_scalar(p, LOG_FLOOR);
    op_give_var(&terms[0], var_mul(g, var_div(var_sub(p, t), most)));
    op_give_var(&terms[1],
                var_mul(g, var_sub(var_maximum(var_log(rest), floor), var_maximum(var_log(p), floor))));
}
OpKind op_bce = {.name = "bce",
                 .forward = bce_forward,
                 .backward = bce_backward,
                 .formula = bce_formula,
                 .sample = bce_sample};
Var var_bce(Var p, Var target, Var weight, VarReduction reduction)
{
    Loss loss = {.reduction = reduction, .weight = weight.tape ? 2 : 0};
    return op_apply(&op_bce, (Var[]){p, target, weight}, weight.tape ? 3 : 2, &loss, sizeof loss);
}

/* ---- bce_with_logits ---- */

/* f(x, t) = w ((1 - t) x + (1 + (q - 1) t) softplus(-x)), q the weight of the positive class.
 * df/dx = w ((1 - t) sigmoid(x) - q t sigmoid(-x)), df/dt = w (-x + (q - 1) softplus(-x)) */
static bool spread_weights(OpContext *c, Tensor x, Tensor *w, Tensor *q)
{
    const Loss *loss = c->attributes;
    return spread_weight(c, loss->weight, "weight", x, w) &&
           spread_weight(c, loss->pos_weight, "pos_weight", x, q);
}
/* op(-|x|): at both ends of the logits the functions lose nothing so. */
static Tensor of_minus_magnitude(OpContext *c, TensorUnaryOp op, Tensor x)
{
    Tensor out = op_new_like(c, x);
    bool ok = tensor_is_valid(out) && tensor_unary(TENSOR_UNARY_ABS, out, x) &&
              tensor_unary(TENSOR_UNARY_NEG, out, out) && tensor_unary(op, out, out);
    return ok ? out : tensor_invalid();
}
static bool bce_with_logits_forward(OpContext *c)
{
    Tensor x, t, w, q;
    if (!check_pair(c, &x, &t) || !spread_weights(c, x, &w, &q))
        return false;
    Tensor losses = of_minus_magnitude(c, TENSOR_UNARY_SOFTPLUS, x);
    if (!tensor_is_valid(losses))
        return false;
    TENSOR_BY_DTYPE(x.dtype, logits_losses)(losses, x, t, w, q);
    return reduce_losses(c, losses);
}
static void bce_with_logits_backward(OpContext *c, OpTerm *terms)
{
    Tensor x, t, w, q;
    if (!check_pair(c, &x, &t) || !spread_weights(c, x, &w, &q))
        return;
    Tensor g = spread_grad(c, x), dx = of_minus_magnitude(c, TENSOR_UNARY_SIGMOID, x);
    if (!tensor_is_valid(g) || !tensor_is_valid(dx))
        return;
    TENSOR_BY_DTYPE(x.dtype, logits_gradient)(dx, g, x, t, w, q);
    op_give(&terms[0], dx);
    Tensor dt = op_needs_grad(c, 1) ? of_minus_magnitude(c, TENSOR_UNARY_SOFTPLUS, x) : tensor_invalid();
    if (!tensor_is_valid(dt))
        return;
    TENSOR_BY_DTYPE(x.dtype, logits_target_gradient)(dt, g, x, w, q);
    op_give(&terms[1], dt);
}
static Var bce_with_logits_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    Var x = op_sample(s, TENSOR_SHAPE(n, m), -2, 2), t = op_sample(s, TENSOR_SHAPE(n, m), 0, 1);
    Var q = op_sample_choice(s, 2) ? op_sample_constant(s, TENSOR_SHAPE(m), 0.5, 3) : VAR_NONE;
    Var w = op_sample_choice(s, 2) ? op_sample_constant(s, TENSOR_SHAPE(n, 1), 0.5, 2) : VAR_NONE;
    return var_bce_with_logits(x, t, q, w, sample_reduction(s));
}
static void bce_with_logits_formula(const OpUse *use, OpVarTerm *terms)
{
    const Loss *loss = use->attributes;
    Var x = use->in[0], t = use->in[1], g = loss_grad(use), positive = var_sigmoid(x),
        negative = var_sigmoid(var_neg(x));
    Var yes = loss->pos_weight ? var_mul(t, use->in[loss->pos_weight]) : t;
    Var dx = var_sub(var_mul(var_scale(t, -1, 1), positive), var_mul(yes, negative));
    op_give_var(&terms[0], var_mul(g, dx));
    if (!use->wants[1])
        return;
    Var dt = var_neg(x);
    if (loss->pos_weight)
        dt = var_add(dt, var_mul(var_scale(use->in[loss->pos_weight], 1, -1), var_softplus(var_neg(x))));
    op_give_var(&terms[1], var_mul(g, dt));
}
OpKind op_bce_with_logits = {.name = "bce_with_logits",
                             .forward = bce_with_logits_forward,
                             .backward = bce_with_logits_backward,
                             .formula = bce_with_logits_formula,
                             .sample = bce_with_logits_sample};
Var var_bce_with_logits(Var x, Var target, Var pos_weight, Var weight, VarReduction reduction)
{
    Var inputs[4] = {x, target};
    int count = 2;
    Loss loss = {.reduction = reduction};
    if (pos_weight.tape)
        inputs[loss.pos_weight = count++] = pos_weight;
    if (weight.tape)
        inputs[loss.weight = count++] = weight;
    return op_apply(&op_bce_with_logits, inputs, count, &loss, sizeof loss);
}

/* ---- cross_entropy ---- */

/* f(x, k)_n = -x[n, k_n] + ln sum_j e^x[n, j];  df_n/dx[n, j] = softmax(x_n)_j - (j = k_n). What is saved is
 * the softmax [N, C]. */
static bool check_classes(OpContext *c)
{
    Tensor x = *c->in[0], k = *c->in[1];
    if (!op_wants_real(c, 0) || !op_wants_i32(c, 1))
        return false;
    if (x.ndim != 2 || k.ndim != 1 || k.shape[0] != x.shape[0])
        return op_error(c, "wanted are logits [N, C] and classes [N]");
    for (int64_t n = 0; n < k.shape[0]; n++) {
        int32_t class = tensor_i32(k)[n * k.strides[0]];
        if (class < 0 || class >= x.shape[1])
            return op_error(c, "class %d of row %lld is out of range for %lld classes", (int)class,
                            (long long)n, (long long)x.shape[1]);
    }
    return true;
}
static bool cross_entropy_forward(OpContext *c)
{
    if (!check_classes(c))
        return false;
    Tensor x = op_dense(c, *c->in[0]), k = *c->in[1];
    int64_t rows = x.shape[0];
    ClassRow *row = c->saved = op_alloc(c, (size_t)rows * sizeof *row);
    Tensor losses = op_new(c, 1, &rows);
    if (!row || !tensor_is_valid(x) || !tensor_is_valid(losses))
        return false;
    TensorArenaMark mark = tensor_arena_mark(op_arena(c));
    Tensor e = op_new(c, 1, &x.shape[1]);
    if (!tensor_is_valid(e))
        return false;
    TENSOR_BY_DTYPE(x.dtype, class_losses)(losses, row, e, x, k);
    tensor_arena_rewind(op_arena(c), mark);
    return reduce_losses(c, losses);
}
static void cross_entropy_backward(OpContext *c, OpTerm *terms)
{
    Tensor k = *c->in[1], x = op_dense(c, *c->in[0]), dx = op_new_like(c, *c->in[0]);
    Tensor rows_like = dx;
    rows_like.ndim = 1;
    Tensor g = spread_grad(c, rows_like);
    if (!tensor_is_valid(x) || !tensor_is_valid(dx) || !tensor_is_valid(g))
        return;
    TENSOR_BY_DTYPE(dx.dtype, class_gradient)(dx, g, c->saved, x, k);
    op_give(&terms[0], dx);
}
static Var cross_entropy_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    Var x = op_sample(s, TENSOR_SHAPE(n, m + 1), -2, 2);
    return var_cross_entropy(x, op_sample_index(s, TENSOR_SHAPE(n), m + 1), sample_reduction(s));
}
static void cross_entropy_composition(const OpUse *use, Var *out)
{
    Var x = use->in[0], classes = use->in[1];
    int64_t n = var_size(x, 0);
    Var picked = var_gather(var_log_softmax(x, 1), 1, var_reshape(classes, TENSOR_SHAPE(n, 1)));
    Var losses = var_neg(var_reshape(picked, TENSOR_SHAPE(n)));
    VarReduction reduction = ((const Loss *)use->attributes)->reduction;
    *out = reduction == VAR_REDUCTION_NONE   ? losses
           : reduction == VAR_REDUCTION_MEAN ? var_mean(losses, TENSOR_AXES_ALL, false)
                                             : var_sum(losses, TENSOR_AXES_ALL, false);
}
OpKind op_cross_entropy = {.name = "cross_entropy",
                           .forward = cross_entropy_forward,
                           .backward = cross_entropy_backward,
                           .composition = cross_entropy_composition,
                           .sample = cross_entropy_sample};
Var var_cross_entropy(Var logits, Var classes, VarReduction reduction)
{
    return op_apply(&op_cross_entropy, (Var[]){logits, classes}, 2, &(Loss){.reduction = reduction},
                    sizeof(Loss));
}

/* ---- mse ---- */

/* f(x, t) = (x - t)^2;  df/dx = 2 (x - t), df/dt = -df/dx */
static bool mse_forward(OpContext *c)
{
    Tensor x, t;
    if (!check_pair(c, &x, &t))
        return false;
    Tensor losses = op_new_like(c, x);
    return tensor_is_valid(losses) && tensor_binary(TENSOR_BINARY_SUB, losses, x, t) &&
           tensor_unary(TENSOR_UNARY_SQUARE, losses, losses) && reduce_losses(c, losses);
}
static void mse_backward(OpContext *c, OpTerm *terms)
{
    Tensor x = *c->in[0], g = spread_grad(c, x), dx = op_new_like(c, x);
    if (!tensor_is_valid(g) || !tensor_is_valid(dx) || !tensor_binary(TENSOR_BINARY_SUB, dx, x, *c->in[1]) ||
        !tensor_binary(TENSOR_BINARY_MUL, dx, dx, g) || !tensor_axpby(dx, 2, dx, 0))
        return;
    op_give(&terms[0], dx);
    Tensor dt = op_needs_grad(c, 1) ? op_new_like(c, x) : tensor_invalid();
    if (tensor_is_valid(dt) && tensor_unary(TENSOR_UNARY_NEG, dt, dx))
        op_give(&terms[1], dt);
}
static Var mse_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    Var x = op_sample(s, TENSOR_SHAPE(n, m), -2, 2), t = op_sample(s, TENSOR_SHAPE(n, m), -2, 2);
    return var_mse(x, t, sample_reduction(s));
}
static void mse_formula(const OpUse *use, OpVarTerm *terms)
{
    Var dx = var_scale(var_mul(loss_grad(use), var_sub(use->in[0], use->in[1])), 2, 0);
    op_give_var(&terms[0], dx);
    op_give_var(&terms[1], var_neg(dx));
}
OpKind op_mse = {.name = "mse",
                 .forward = mse_forward,
                 .backward = mse_backward,
                 .formula = mse_formula,
                 .sample = mse_sample};
Var var_mse(Var x, Var target, VarReduction reduction)
{
    return op_apply(&op_mse, (Var[]){x, target}, 2, &(Loss){.reduction = reduction}, sizeof(Loss));
}

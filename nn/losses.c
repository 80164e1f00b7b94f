#include "nn/losses.h"

static Var reduced(Var each, VarReduction reduction)
{
    switch (reduction) {
    case VAR_REDUCTION_MEAN:
        return var_mean(each, TENSOR_AXES_ALL, false);
    case VAR_REDUCTION_SUM:
        return var_sum(each, TENSOR_AXES_ALL, false);
    case VAR_REDUCTION_NONE:
        break;
    }
    return each;
}

/* ---- Of classes ---- */

NnClassOptions nn_class_options(void)
{
    return (NnClassOptions){.ignored = -100, .reduction = VAR_REDUCTION_MEAN};
}

/* The rows' classes with an ignored one replaced by 0, and where those are. */
typedef struct Rows {
    Var classes, ignored; /* i32 [N] */
} Rows;

static bool look_at_rows(Rows *rows, Var log_p, Var classes, int ignored)
{
    Tape *tape = log_p.tape;
    if (var_is_empty(log_p) || var_is_empty(classes))
        return false;
    Tensor given = var_value(classes);
    int64_t n = given.ndim == 1 ? given.shape[0] : -1;
    if (given.dtype != TENSOR_I32 || var_ndim(log_p) != 2 || n != var_size(log_p, 0)) {
        tape_fail(tape, "a loss of classes needs values [N, C] and i32 [N] of classes");
        return false;
    }
    int32_t *known = tensor_arena_alloc(tape_arena(tape), (size_t)n * sizeof *known);
    int32_t *is_ignored = tensor_arena_alloc(tape_arena(tape), (size_t)n * sizeof *is_ignored);
    if (!known || !is_ignored) {
        tape_fail(tape, "a loss of classes: out of memory");
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        known[i] = (int32_t)tensor_get(&given, &i);
        is_ignored[i] = known[i] == ignored;
        known[i] = is_ignored[i] ? 0 : known[i];
        if (known[i] < 0 || known[i] >= var_size(log_p, 1)) {
            tape_fail(tape, "a loss of classes: row %lld is of class %d of %lld", (long long)i, known[i],
                      (long long)var_size(log_p, 1));
            return false;
        }
    }
    rows->classes = tape_constant(tape, tensor_from(known, TENSOR_I32, TENSOR_SHAPE(n)));
    rows->ignored = tape_constant(tape, tensor_from(is_ignored, TENSOR_I32, TENSOR_SHAPE(n)));
    return true;
}

/* a[n, class of row n]: [N]. */
static Var of_class(Var a, Var classes)
{
    return var_select(var_gather(a, 1, var_reshape(classes, TENSOR_SHAPE(var_size(classes, 0), 1))), 1, 0);
}

static Var class_loss(Var log_p, Var classes, NnClassOptions options)
{
    Rows rows;
    if (!look_at_rows(&rows, log_p, classes, options.ignored))
        return (Var){.tape = log_p.tape};
    bool weighted = options.weight.tape;
    Var one = tape_scalar(log_p, 1);
    Var weights = weighted ? var_gather_rows(options.weight, rows.classes)
                           : var_expand(one, TENSOR_SHAPE(var_size(log_p, 0)));
    weights = var_masked_fill(weights, rows.ignored, 0); /* [N] */
    Var each = var_mul(var_neg(of_class(log_p, rows.classes)), weights);
    if (options.label_smoothing != 0) {
        Var all = var_neg(var_sum(weighted ? var_mul(log_p, options.weight) : log_p, TENSOR_AXIS(1), false));
        double share = options.label_smoothing / (double)var_size(log_p, 1);
        each = var_add(var_scale(each, 1 - options.label_smoothing, 0),
                       var_scale(var_masked_fill(all, rows.ignored, 0), share, 0));
    }
    each = var_masked_fill(each, rows.ignored, 0); /* also where the product was not a number */
    if (options.reduction != VAR_REDUCTION_MEAN)
        return reduced(each, options.reduction);
    Var total = var_sum(weights, TENSOR_AXES_ALL, false);
    bool counts = !var_is_empty(total) && var_item(total) != 0;
    return var_div(var_sum(each, TENSOR_AXES_ALL, false), counts ? total : one);
}

Var(nn_cross_entropy)(Var logits, Var classes, NnClassOptions options)
{
    if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
        return tape_fail(logits.tape, "nn_cross_entropy: label_smoothing must lie in [0, 1], not %g",
                         options.label_smoothing);
    return class_loss(var_log_softmax(logits, -1), classes, options);
}

Var(nn_nll)(Var log_probabilities, Var classes, NnClassOptions options)
{
    options.label_smoothing = 0;
    return class_loss(log_probabilities, classes, options);
}

/* ---- Of numbers ---- */

Var(nn_gaussian_nll)(Var x, Var target, Var variance, VarReduction reduction)
{
    Var v = var_maximum(variance, tape_scalar(variance, 1e-6)), difference = var_sub(x, target);
    Var each = var_add(var_log(v), var_div(var_mul(difference, difference), v));
    return reduced(var_scale(each, 0.5, 0), reduction);
}

Var(nn_l1)(Var x, Var target, VarReduction reduction)
{
    return reduced(var_abs(var_sub(x, target)), reduction);
}

Var(nn_huber)(Var x, Var target, double delta, VarReduction reduction)
{
    Var distance = var_abs(var_sub(x, target));
    /* c = min(|d|, delta): c^2 / 2 + delta (|d| - c). */
    Var near = var_neg(var_maximum(var_neg(distance), tape_scalar(distance, -delta)));
    Var beyond = var_scale(var_sub(distance, near), delta, 0);
    return reduced(var_add(var_scale(var_mul(near, near), 0.5, 0), beyond), reduction);
}

Var(nn_kl_divergence)(Var x, Var target, VarReduction reduction)
{
    Var zero = var_equal(target, tape_scalar(target, 0)); /* 0 log 0 is 0; below there is no logarithm */
    Var logarithm = var_log(var_masked_fill(target, zero, 1));
    return reduced(var_mul(target, var_sub(logarithm, x)), reduction);
}

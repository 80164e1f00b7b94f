/* Checks backward against differences. The op, or the function, is evaluated on a tape of its own; its
 * output is summed with random weights, which makes one number of it whose gradient depends on every
 * output differently. */
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/sample_internal.h"
#include "tensor/elementwise.h"
#include "tensor/reduce.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WEIGHT_STREAM = 3, SECOND_STREAM = 4, MAX_INPUTS = 64 };

/* What is checked: a function of given inputs, or an op's sample. */
typedef struct Check {
    char name[80];
    Tape *tape;
    TensorArena arena; /* what outlives a step */
    uint64_t seed;
    TapeGradcheckFunction *function;
    void *context;
    const Tensor *inputs;
    int count;
    Var vars[MAX_INPUTS]; /* of the inputs, in the evaluation that is running */
    const OpKind *op;
    OpSample sample;
    Tensor weights; /* of the output's shape, without gaps */
    double largest_output;
    bool graph;  /* gradients come from formulas */
    bool second; /* what is checked is the gradient, differentiated again */
} Check;

static const char *const layout_names[OP_LAYOUT_COUNT] = {
    "contiguous", "transposed", "sliced", "broadcast", "size-1", "empty", "behind", "repeated", "large"};

const char *op_layout_name(OpLayout layout)
{
    return (unsigned)layout < OP_LAYOUT_COUNT ? layout_names[layout] : "unknown";
}

static ReelStatus check_init(Check *check, const char *name, uint64_t seed)
{
    memset(check, 0, sizeof *check);
    snprintf(check->name, sizeof check->name, "%s", name ? name : "");
    check->seed = seed;
    tensor_arena_init(&check->arena, 0);
    check->tape = tape_new();
    return check->tape ? reel_status_ok() : reel_status_no_memory(0, "a tape");
}

static void check_free(Check *check)
{
    tape_free(check->tape);
    tensor_arena_free(&check->arena);
}

/* ---- The loss ---- */

/* f(a, w) = sum of a w. Not made of registered ops: a sign that mul has wrong would cancel with the same
 * wrong sign in the op that is checked. */
static bool weigh_forward(OpContext *c)
{
    Tensor product = op_new_like(c, *c->in[0]);
    return op_output(c, 0, NULL) && tensor_is_valid(product) &&
           tensor_binary(TENSOR_BINARY_MUL, product, *c->in[0], *c->in[1]) &&
           tensor_sum_to(*c->out[0], product, false);
}

static void weigh_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->in[1]);
}

static const OpKind op_weigh = {.name = "weigh", .forward = weigh_forward, .backward = weigh_backward};

/* ---- One evaluation ---- */

/* All gradients of the weighted sum of a value in a row, as a value that may be differentiated. */
static Var gradients_of(Check *check, Var out)
{
    Tape *tape = check->tape;
    Var found[MAX_INPUTS], parts[MAX_INPUTS];
    Tensor like = var_value(out), weights = tensor_new(tape_arena(tape), like.dtype, like.ndim, like.shape);
    if (!tensor_is_valid(weights))
        return (Var){.tape = tape};
    TensorRandom random = tensor_random_new(check->seed, SECOND_STREAM);
    for (int64_t i = 0, n = tensor_numel(&weights); i < n; i++)
        tensor_f64(weights)[i] = 0.5 + tensor_random_uniform_f64(&random);
    Var seed = tape_constant(tape, weights);
    if (!tape_vjp(&out, &seed, 1, check->vars, check->count, true, found))
        return (Var){.tape = tape};
    int count = 0;
    for (int i = 0; i < check->count; i++)
        if (!var_is_empty(found[i]))
            parts[count++] = var_reshape(found[i], TENSOR_SHAPE(-1));
    return count ? var_concat(parts, count, 0) : var_expand(tape_scalar(out, 0), TENSOR_SHAPE(1));
}

/* The output on a new step; empty with an error on the tape. */
static Var evaluate(Check *check)
{
    tape_begin(check->tape);
    tape_set_random(check->tape, tensor_random_new(check->seed, 0));
    if (check->op) {
        op_sample_begin(&check->sample);
        Var out = check->op->sample(&check->sample);
        check->inputs = check->sample.leaves;
        check->count = check->sample.leaf_count;
        memcpy(check->vars, check->sample.vars, sizeof check->sample.vars);
        return check->second ? gradients_of(check, out) : out;
    }
    for (int i = 0; i < check->count; i++)
        check->vars[i] = tape_leaf(check->tape, check->inputs[i]);
    return check->function(check->tape, check->vars, check->context);
}

static ReelStatus status_of(const Check *check)
{
    if (tape_ok(check->tape))
        return reel_status_failed("%s: no value came back, and no error", check->name);
    return reel_status_failed("%s: %s", check->name, tape_status(check->tape)->message);
}

/* Weights from 0.5 to 1.5 with random signs; rounded to f32, so that they are the same in both dtypes. */
static bool make_weights(Check *check, Tensor out)
{
    check->weights = tensor_new(&check->arena, out.dtype, out.ndim, out.shape);
    if (!tensor_is_valid(check->weights))
        return false;
    TensorRandom random = tensor_random_new(check->seed, WEIGHT_STREAM);
    int64_t n = tensor_numel(&out);
    for (int64_t i = 0; i < n; i++) {
        double w = (float)(0.5 + tensor_random_uniform_f64(&random));
        w = tensor_random_below(&random, 2) ? w : -w;
        if (out.dtype == TENSOR_F32)
            tensor_f32(check->weights)[i] = (float)w;
        else
            tensor_f64(check->weights)[i] = w;
    }
    return true;
}

/* The gradients of the weighted output as the check finds them; invalid: none. */
static bool find_gradients(Check *check, Var out, Tensor *found)
{
    Var weights = tape_constant(check->tape, check->weights), graph[MAX_INPUTS];
    if (check->graph) {
        bool done = tape_vjp(&out, &weights, 1, check->vars, check->count, true, graph);
        for (int i = 0; i < check->count && done; i++)
            found[i] = var_value(graph[i]);
        return done && tape_ok(check->tape);
    }
    Var loss = op_apply(&op_weigh, (Var[]){out, weights}, 2, NULL, 0);
    /* The gradient of a linear op is constant, and so has none. */
    if (!(check->second && !var_wants_grad(loss)) && !tape_backward(loss))
        return false;
    for (int i = 0; i < check->count; i++)
        found[i] = var_grad(check->vars[i]);
    return true;
}

/* Evaluates and runs backward; gradients [count] and the output go to the check's arena. A value on which the
 * output does not depend has gradient 0. */
static ReelStatus analytic(Check *check, Tensor *gradients, Tensor *output)
{
    Var out = evaluate(check);
    if (var_is_empty(out))
        return status_of(check);
    Tensor value = var_value(out);
    if (value.dtype == TENSOR_I32)
        return reel_status_failed("%s: the output is i32", check->name);
    *output = tensor_copy(&check->arena, value);
    if (!tensor_is_valid(*output) || !make_weights(check, value))
        return reel_status_no_memory(0, "a gradient check");
    check->largest_output = 0;
    for (int64_t i = 0, n = tensor_numel(output); i < n; i++) {
        double x = output->dtype == TENSOR_F32 ? (double)tensor_f32(*output)[i] : tensor_f64(*output)[i];
        check->largest_output = fmax(check->largest_output, fabs(x));
    }
    Tensor found[MAX_INPUTS];
    if (!find_gradients(check, out, found))
        return status_of(check);
    for (int i = 0; i < check->count; i++) {
        Tensor grad = found[i], like = check->inputs[i];
        if (tensor_is_valid(grad) && !tensor_same_shape(&grad, &like))
            return reel_status_failed("%s: the gradient of input %d has another shape than the input",
                                      check->name, i);
        gradients[i] = tensor_is_valid(grad) ? tensor_copy(&check->arena, grad)
                                             : tensor_zeros(&check->arena, like.dtype, like.ndim, like.shape);
        if (!tensor_is_valid(gradients[i]))
            return reel_status_no_memory(0, "a gradient check");
    }
    return reel_status_ok();
}

/* ---- Differences ---- */

/* Adds factor * output to sums [elements of the output]. */
static ReelStatus add_output(Check *check, double *sums, double factor)
{
    Var out = evaluate(check);
    if (var_is_empty(out))
        return status_of(check);
    Tensor value = tensor_contiguous(tape_arena(check->tape), var_value(out));
    if (!tensor_is_valid(value) || !tensor_same_shape(&value, &check->weights))
        return reel_status_failed("%s: the output's shape changed between evaluations", check->name);
    for (int64_t i = 0, n = tensor_numel(&value); i < n; i++)
        sums[i] += factor * tensor_f64(value)[i];
    return reel_status_ok();
}

/* f' = (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h + O(h^4), output by output before they are summed:
 * those that do not depend on x cancel to exactly 0. */
static ReelStatus difference(Check *check, double *x, double *sums, double *derivative)
{
    static const double steps[4] = {1, -1, 2, -2}, factors[4] = {8, -8, -1, 1};
    int64_t n = tensor_numel(&check->weights);
    if (isnan(*x)) { /* of a row that is not in use */
        *derivative = 0;
        return reel_status_ok();
    }
    double before = *x, h = ldexp(1, -10) * fmax(1, fabs(before) / 100);
    memset(sums, 0, (size_t)n * sizeof *sums);
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < 4 && reel_status_is_ok(&status); i++) {
        *x = before + steps[i] * h;
        status = add_output(check, sums, factors[i]);
    }
    *x = before;
    *derivative = 0;
    for (int64_t i = 0; i < n; i++)
        *derivative += tensor_f64(check->weights)[i] * sums[i] / (12 * h);
    return status;
}

static int64_t offset_of(const Tensor *t, int64_t element, int64_t *index)
{
    int64_t offset = 0;
    for (int d = t->ndim; d-- > 0;) {
        index[d] = element % t->shape[d];
        element /= t->shape[d];
        offset += index[d] * t->strides[d];
    }
    return offset;
}

static ReelStatus numeric(Check *check, int input, double *out)
{
    Tensor t = check->inputs[input];
    int64_t n = tensor_numel(&t), index[TENSOR_MAX_DIMS];
    double *sums = tensor_arena_alloc(&check->arena, (size_t)tensor_numel(&check->weights) * sizeof *sums);
    if (!sums)
        return reel_status_no_memory(0, "a gradient check");
    for (int64_t i = 0; i < n; i++) {
        ReelStatus status = difference(check, tensor_f64(t) + offset_of(&t, i, index), sums, &out[i]);
        if (!reel_status_is_ok(&status))
            return status;
    }
    return reel_status_ok();
}

/* ---- Comparing ---- */

static ReelStatus mismatch(const Check *check, int input, const int64_t *index, double got, double wanted,
                           double error)
{
    char shape[TENSOR_SHAPE_TEXT_SIZE], at[TENSOR_SHAPE_TEXT_SIZE];
    Tensor t = check->inputs[input];
    return reel_status_failed("%s: input %d %s index %s: %s gives %.9g, differences give %.9g (relative "
                              "error %.3g)",
                              check->name, input, tensor_shape_text(&t, shape),
                              tensor_dims_text(t.ndim, index, at), check->graph ? "the formula" : "backward",
                              got, wanted, error);
}

static void compare(Check *check, int input, Tensor gradient, const double *wanted,
                    TapeGradcheckResult *result)
{
    int64_t n = tensor_numel(&gradient), index[TENSOR_MAX_DIMS];
    const double *got = tensor_f64(gradient);
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fmax(fabs(got[i]), fabs(wanted[i])));
    double scale = fmax(1e-3 * largest, 1e-5 * check->largest_output);
    if (check->second) /* gradients, of values of order 1, that cancel to 0 */
        scale = fmax(scale, 1e-8);
    for (int64_t i = 0; i < n; i++) {
        double size = fmax(fmax(fabs(got[i]), fabs(wanted[i])), scale);
        double error = got[i] == wanted[i] ? 0 : fabs(got[i] - wanted[i]) / size;
        result->checked++;
        if (!(error <= result->worst_error))
            result->worst_error = error;
        if (!(error <= TAPE_GRADCHECK_TOLERANCE) && reel_status_is_ok(&result->status)) {
            offset_of(&gradient, i, index);
            result->status = mismatch(check, input, index, got[i], wanted[i], error);
        }
    }
}

static TapeGradcheckResult run(Check *check)
{
    TapeGradcheckResult result = {0};
    Tensor gradients[MAX_INPUTS], output;
    result.status = analytic(check, gradients, &output);
    int count = check->count;
    for (int i = 0; i < count && reel_status_is_ok(&result.status); i++) {
        double *wanted =
            tensor_arena_alloc(&check->arena, (size_t)tensor_numel(&gradients[i]) * sizeof *wanted);
        ReelStatus status = wanted ? numeric(check, i, wanted) : reel_status_no_memory(0, "a gradient check");
        if (reel_status_is_ok(&status))
            compare(check, i, gradients[i], wanted, &result);
        else
            result.status = status;
    }
    return result;
}

/* ---- Public ---- */

TapeGradcheckResult tape_gradcheck(const char *name, TapeGradcheckFunction *function, void *context,
                                   const Tensor *inputs, int count, uint64_t seed)
{
    Check check;
    TapeGradcheckResult result = {.status = check_init(&check, name, seed)};
    if (count < 1 || count > MAX_INPUTS)
        result.status =
            reel_status_failed("%s: %d inputs; there may be 1 to %d", check.name, count, MAX_INPUTS);
    for (int i = 0; i < count && reel_status_is_ok(&result.status); i++)
        if (inputs[i].dtype != TENSOR_F64 || tensor_is_broadcast(&inputs[i]))
            result.status =
                reel_status_failed("%s: input %d must be f64 and no broadcast view", check.name, i);
    if (reel_status_is_ok(&result.status)) {
        check.function = function;
        check.context = context;
        check.inputs = inputs;
        check.count = count;
        result = run(&check);
    }
    check_free(&check);
    return result;
}

static ReelStatus check_init_op(Check *check, const OpKind *op, OpLayout layout, TensorDtype dtype,
                                uint64_t seed)
{
    char name[sizeof check->name];
    snprintf(name, sizeof name, "%s (%s, %s)", op->name, op_layout_name(layout), tensor_dtype_name(dtype));
    ReelStatus status = check_init(check, name, seed);
    if (!(op->backward || op->formula || op->composition) || !op->sample)
        return reel_status_failed("%s: the op has no %s", op->name, op->sample ? "backward" : "sample");
    check->op = op;
    op_sample_init(&check->sample, check->tape, &check->arena, layout, dtype, seed);
    return status;
}

TapeGradcheckResult op_gradcheck(const OpKind *op, OpLayout layout, uint64_t seed)
{
    Check check;
    TapeGradcheckResult result = {.status = check_init_op(&check, op, layout, TENSOR_F64, seed)};
    if (reel_status_is_ok(&result.status))
        result = run(&check);
    check_free(&check);
    return result;
}

TapeGradcheckResult op_gradcheck_twice(const OpKind *op, OpLayout layout, uint64_t seed)
{
    Check check;
    TapeGradcheckResult result = {.status = check_init_op(&check, op, layout, TENSOR_F64, seed)};
    check.graph = true; /* a formula that is wrong may still be the integral of its own derivative */
    if (reel_status_is_ok(&result.status))
        result = run(&check);
    check.graph = false;
    check.second = true;
    if (reel_status_is_ok(&result.status)) {
        TapeGradcheckResult second = run(&check);
        second.checked += result.checked;
        second.worst_error = fmax(second.worst_error, result.worst_error);
        result = second;
    }
    check_free(&check);
    return result;
}

/* Largest difference of two tensors, f32 and f64, over the largest value of the second (`floor` at least). */
static double distance(Tensor narrow, Tensor wide, double floor)
{
    double largest = floor, worst = 0;
    int64_t n = tensor_numel(&wide);
    for (int64_t i = 0; i < n; i++) {
        double a = (double)tensor_f32(narrow)[i], b = tensor_f64(wide)[i];
        largest = fmax(largest, fabs(b));
        double apart = (isnan(a) && isnan(b)) || a == b ? 0 : fabs(a - b);
        if (!(apart <= worst))
            worst = apart;
    }
    return worst == 0 ? 0 : worst / largest;
}

TapeGradcheckResult op_gradcheck_f32(const OpKind *op, OpLayout layout, uint64_t seed)
{
    Check narrow, wide;
    Tensor narrow_grads[MAX_INPUTS], wide_grads[MAX_INPUTS];
    Tensor narrow_out = tensor_invalid(), wide_out = tensor_invalid();
    TapeGradcheckResult result = {.status = check_init_op(&narrow, op, layout, TENSOR_F32, seed)};
    ReelStatus other = check_init_op(&wide, op, layout, TENSOR_F64, seed);
    if (reel_status_is_ok(&result.status))
        result.status = other;
    if (reel_status_is_ok(&result.status))
        result.status = analytic(&narrow, narrow_grads, &narrow_out);
    if (reel_status_is_ok(&result.status))
        result.status = analytic(&wide, wide_grads, &wide_out);
    if (reel_status_is_ok(&result.status)) {
        result.worst_error = distance(narrow_out, wide_out, 0);
        if (!(result.worst_error <= 1e-5))
            result.status =
                reel_status_failed("%s: the output is off by %.3g of f64's", narrow.name, result.worst_error);
    }
    for (int i = 0; i < wide.count && reel_status_is_ok(&result.status); i++) {
        double error = distance(narrow_grads[i], wide_grads[i], 0.1 * wide.largest_output);
        result.checked += tensor_numel(&wide_grads[i]);
        result.worst_error = fmax(result.worst_error, error);
        if (!(error <= 1e-4))
            result.status = reel_status_failed("%s: the gradient of input %d is off by %.3g of f64's",
                                               narrow.name, i, error);
    }
    check_free(&narrow);
    check_free(&wide);
    return result;
}

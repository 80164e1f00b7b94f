/* Reductions over segments: rows that belong together by an index, such as the tokens of one text in a
 * packed batch. The rows of a segment are visited in their order, so a segment's result does not depend on
 * the others. */
#include "autograd/ops.h"
#include "tensor/elementwise.h"
#include "tensor/levels.h"
#include "tensor/rows.h"

#include <math.h>
#include <string.h>

#define KERNELS "autograd/op_segment_kernels_internal.h"
#include "tensor/each_real.h"
TENSOR_LEVELS(take_max_f32, take_max_loop_f32,
              (Tensor result, int32_t *winner, Tensor a, Tensor segment, int64_t width), result, winner, a,
              segment, width)
static void take_max_f64(Tensor result, int32_t *winner, Tensor a, Tensor segment, int64_t width)
{
    take_max_loop_f64(result, winner, a, segment, width, false);
}

static int64_t segment_count(const OpContext *c)
{
    return *(const int64_t *)c->attributes;
}

static bool check_segment(OpContext *c)
{
    Tensor a = *c->in[0], segment = *c->in[1];
    if (a.ndim < 1 || a.dtype == TENSOR_I32 || segment.dtype != TENSOR_I32 || segment.ndim != 1 ||
        segment.shape[0] != a.shape[0])
        return op_error(c, "needs a [N, ...] of f32 or f64 and an i32 segment [N]");
    if (segment_count(c) < 0)
        return op_error(c, "the number of segments is negative");
    int64_t wrong = tensor_index_out_of_range(segment, segment_count(c));
    if (wrong >= 0)
        return op_error(c, "the segment at place %lld is not below the count %lld", (long long)wrong,
                        (long long)segment_count(c));
    return true;
}

static Tensor new_per_segment(OpContext *c, double value)
{
    Tensor a = *c->in[0];
    a.shape[0] = segment_count(c);
    Tensor t = op_new_like(c, a);
    tensor_fill(t, value);
    return t;
}

/* ---- segment_sum: out[s] = sum of a[n] over segment[n] = s ---- */

static bool segment_sum_forward(OpContext *c)
{
    if (!check_segment(c))
        return false;
    *c->out[0] = new_per_segment(c, 0.0);
    return tensor_is_valid(*c->out[0]) && tensor_scatter_add_rows(*c->out[0], *c->in[0], *c->in[1]);
}

static void segment_sum_backward(OpContext *c, OpTerm *terms)
{
    Tensor grad = op_new_like(c, *c->in[0]);
    if (tensor_is_valid(grad) && tensor_gather_rows(grad, *c->grad[0], *c->in[1]))
        op_give(&terms[0], grad);
}

static Var segment_sum_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), count = op_sample_size(s, 1);
    Var a = op_sample(s, TENSOR_SHAPE(n, op_sample_size(s, 2)), -1, 1);
    return var_segment_sum(a, op_sample_index(s, TENSOR_SHAPE(n), count), count);
}

Var var_segment_sum(Var a, Var segment, int64_t count)
{
    return op_apply(&op_segment_sum, (Var[]){a, segment}, 2, &count, sizeof count);
}

static void segment_sum_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], var_gather_rows(use->grad[0], use->in[1]));
}

OpKind op_segment_sum = {.name = "segment_sum",
                         .forward = segment_sum_forward,
                         .backward = segment_sum_backward,
                         .formula = segment_sum_formula,
                         .sample = segment_sum_sample,
                         .backward_reads = OP_IN(1)};

/* ---- segment_softmax: out[n] = exp(a[n] - max) / sum of exp over the segment of n ---- */

static bool segment_softmax_forward(OpContext *c)
{
    if (!check_segment(c))
        return false;
    if (c->in[0]->ndim != 1)
        return op_error(c, "a must be [N]");
    Tensor a = tensor_contiguous(op_arena(c), *c->in[0]);
    Tensor segment = tensor_contiguous(op_arena(c), *c->in[1]);
    Tensor largest = new_per_segment(c, -INFINITY), sum = new_per_segment(c, 0.0);
    Tensor per_row = op_new_like(c, a);
    if (!tensor_is_valid(a) || !tensor_is_valid(segment) || !op_output_like(c, a) ||
        !tensor_is_valid(per_row) || !tensor_is_valid(sum) || !tensor_is_valid(largest))
        return false;
    TENSOR_BY_DTYPE(a.dtype, segment_largest)(largest, a, segment);
    return tensor_gather_rows(per_row, largest, segment) &&
           tensor_binary(TENSOR_BINARY_SUB, *c->out[0], a, per_row) &&
           tensor_unary(TENSOR_UNARY_EXP, *c->out[0], *c->out[0]) &&
           tensor_scatter_add_rows(sum, *c->out[0], segment) && tensor_gather_rows(per_row, sum, segment) &&
           tensor_binary(TENSOR_BINARY_DIV, *c->out[0], *c->out[0], per_row);
}

/* da = y (g - sum over the segment of g y) */
static void segment_softmax_backward(OpContext *c, OpTerm *terms)
{
    Tensor y = *c->out[0], g = *c->grad[0], segment = *c->in[1];
    Tensor product = op_new_like(c, y), sum = new_per_segment(c, 0.0), grad = op_new_like(c, y);
    if (tensor_is_valid(product) && tensor_is_valid(grad) &&
        tensor_binary(TENSOR_BINARY_MUL, product, g, y) && tensor_scatter_add_rows(sum, product, segment) &&
        tensor_gather_rows(grad, sum, segment) && tensor_binary(TENSOR_BINARY_SUB, grad, g, grad) &&
        tensor_binary(TENSOR_BINARY_MUL, grad, grad, y))
        op_give(&terms[0], grad);
}

static Var segment_softmax_sample(OpSample *s)
{
    int64_t n = 3 * op_sample_size(s, 0), count = op_sample_size(s, 1);
    Var a = op_sample(s, TENSOR_SHAPE(n), -2, 2);
    return var_segment_softmax(a, op_sample_index(s, TENSOR_SHAPE(n), count), count);
}

Var var_segment_softmax(Var a, Var segment, int64_t count)
{
    return op_apply(&op_segment_softmax, (Var[]){a, segment}, 2, &count, sizeof count);
}

static void segment_softmax_formula(const OpUse *use, OpVarTerm *terms)
{
    Var y = use->out[0], g = use->grad[0], segment = use->in[1];
    Var dot = var_segment_sum(var_mul(g, y), segment, *(const int64_t *)use->attributes);
    op_give_var(&terms[0], var_mul(y, var_sub(g, var_gather_rows(dot, segment))));
}

OpKind op_segment_softmax = {.name = "segment_softmax",
                             .forward = segment_softmax_forward,
                             .backward = segment_softmax_backward,
                             .formula = segment_softmax_formula,
                             .sample = segment_softmax_sample,
                             .backward_reads = OP_IN(1) | OP_OUT(0)};

/* ---- segment_max: out[s][j] = max of a[n][j] over segment[n] = s ---- */

static bool segment_max_forward(OpContext *c)
{
    if (!check_segment(c))
        return false;
    Tensor a = tensor_contiguous(op_arena(c), *c->in[0]);
    Tensor segment = tensor_contiguous(op_arena(c), *c->in[1]);
    *c->out[0] = new_per_segment(c, 0.0);
    if (!tensor_is_valid(*c->out[0]) || !tensor_is_valid(a) || !tensor_is_valid(segment))
        return false;
    int64_t count = segment_count(c);
    int64_t size = tensor_numel(c->out[0]), width = count ? size / count : 0;
    int32_t *winner = op_alloc(c, (size_t)size * sizeof *winner);
    if (!winner)
        return false;
    memset(winner, -1, (size_t)size * sizeof *winner);
    TENSOR_BY_DTYPE(a.dtype, take_max)(*c->out[0], winner, a, segment, width);
    for (int64_t i = 0; i < size; i++)
        if (winner[i] < 0)
            return op_error(c, "segment %lld has no rows", (long long)(i / width));
    c->saved = winner;
    return true;
}

static void segment_max_backward(OpContext *c, OpTerm *terms)
{
    Tensor g = tensor_contiguous(op_arena(c), *c->grad[0]);
    Tensor dx = tensor_zeros(op_arena(c), g.dtype, c->in[0]->ndim, c->in[0]->shape);
    if (!tensor_is_valid(g) || !tensor_is_valid(dx))
        return;
    int64_t size = tensor_numel(&g), width = g.shape[0] ? size / g.shape[0] : 0;
    TENSOR_BY_DTYPE(g.dtype, give_back)(dx, c->saved, g, width);
    op_give(&terms[0], dx);
}

static Var segment_max_sample(OpSample *s)
{
    /* Row i is in segment i % count, so that each has one. Steps keep the difference quotients from ties. */
    int64_t n = 2 * op_sample_size(s, 0), width = op_sample_size(s, 2), count = n < 3 ? n : 3;
    Var a = op_sample(s, TENSOR_SHAPE(n, width), -2, 2);
    TensorArena *arena = tape_arena(op_sample_tape(s));
    Tensor steps = tensor_new(arena, var_value(a).dtype, TENSOR_SHAPE(n, width));
    Tensor segment = tensor_new(arena, TENSOR_I32, TENSOR_SHAPE(n));
    if (!tensor_is_valid(steps) || !tensor_is_valid(segment))
        return (Var){.tape = op_sample_tape(s)};
    for (int64_t i = 0; i < n; i++) {
        tensor_i32(segment)[i] = (int32_t)(i % count);
        for (int64_t j = 0; j < width; j++)
            tensor_set(&steps, (int64_t[]){i, j}, 50.0 * (double)((7 * i + 3 * j) % 11));
    }
    Var apart = var_add(a, tape_constant(op_sample_tape(s), steps));
    return var_segment_max(apart, tape_constant(op_sample_tape(s), segment), count);
}

Var var_segment_max(Var a, Var segment, int64_t count)
{
    return op_apply(&op_segment_max, (Var[]){a, segment}, 2, &count, sizeof count);
}

static void segment_max_composition(const OpUse *use, Var *out)
{
    Tape *tape = use->tape;
    const int32_t *winner = use->saved;
    Tensor like = var_value(use->out[0]), a = var_value(use->in[0]);
    int64_t n = tensor_numel(&like), width = like.shape[0] ? n / like.shape[0] : 0;
    Tensor places = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(n));
    if (!tensor_is_valid(places))
        return;
    for (int64_t i = 0; i < n; i++)
        tensor_i32(places)[i] = (int32_t)(winner[i] * width + i % width);
    Var flat =
        var_gather_rows(var_reshape(use->in[0], TENSOR_SHAPE(tensor_numel(&a))), tape_constant(tape, places));
    *out = var_reshape(flat, like.ndim, like.shape);
}

OpKind op_segment_max = {.name = "segment_max",
                         .forward = segment_max_forward,
                         .backward = segment_max_backward,
                         .composition = segment_max_composition,
                         .sample = segment_max_sample,
                         .backward_reads = OP_READS_NOTHING};

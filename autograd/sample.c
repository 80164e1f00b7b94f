/* Random inputs in the layouts that gradient checks go through. */
#include "autograd/sample_internal.h"
#include "autograd/ops.h"

#include <math.h>
#include <string.h>

enum { CHOICE_STREAM = 1, SIZE_STREAM = 2, INPUT_STREAM = 100, MAX_TRIES = 1000 };

/* How far from a kink values stay, and what OP_LAYOUT_BEHIND multiplies by. */
static const double KINK_DISTANCE = 0.05, BEHIND_FACTOR = 0.7;

void op_sample_init(OpSample *s, Tape *tape, TensorArena *arena, OpLayout layout, TensorDtype dtype,
                    uint64_t seed)
{
    *s = (OpSample){.tape = tape, .arena = arena, .layout = layout, .dtype = dtype, .seed = seed};
    TensorRandom random = tensor_random_new(seed, SIZE_STREAM);
    for (int i = 0; i < SAMPLE_SIZES; i++)
        s->sizes[i] = layout == OP_LAYOUT_SIZE_1 ? 1 : 2 + tensor_random_below(&random, 4);
    if (layout == OP_LAYOUT_EMPTY)
        s->sizes[0] = 0;
}

void op_sample_begin(OpSample *s)
{
    s->choices = tensor_random_new(s->seed, CHOICE_STREAM);
    s->next = s->next_leaf = 0;
}

Var op_gradcheck_draw(const OpKind *op, Tape *tape, TensorArena *arena, int64_t size, uint64_t seed,
                      Var *leaves, int *count)
{
    OpSample sample;
    op_sample_init(&sample, tape, arena, OP_LAYOUT_CONTIGUOUS, TENSOR_F32, seed);
    for (int i = 0; i < SAMPLE_SIZES; i++)
        sample.sizes[i] = size;
    op_sample_begin(&sample);
    Var out = op->sample(&sample);
    *count = sample.leaf_count;
    memcpy(leaves, sample.vars, (size_t)sample.leaf_count * sizeof *leaves);
    return out;
}

Tape *op_sample_tape(OpSample *s)
{
    return s->tape;
}

int64_t op_sample_size(OpSample *s, int which)
{
    return s->sizes[which & (SAMPLE_SIZES - 1)];
}

int64_t op_sample_choice(OpSample *s, int64_t limit)
{
    return limit > 0 ? tensor_random_below(&s->choices, (uint32_t)limit) : 0;
}

/* ---- Memory in the layout ---- */

/* Memory of the shape, laid out as the layout says. What lies between the elements is NaN (i32: huge), so
 * that reading it shows. */
static Tensor new_in_layout(OpSample *s, TensorDtype dtype, int ndim, const int64_t *shape)
{
    int64_t outer[TENSOR_MAX_DIMS] = {0};
    if (ndim > 0)
        memcpy(outer, shape, (size_t)ndim * sizeof *shape);
    if (s->layout == OP_LAYOUT_TRANSPOSED && ndim >= 2) {
        outer[ndim - 2] = shape[ndim - 1];
        outer[ndim - 1] = shape[ndim - 2];
        return tensor_transpose(tensor_new(s->arena, dtype, ndim, outer), -2, -1);
    }
    if (s->layout == OP_LAYOUT_BROADCAST && ndim >= 1 && shape[0] > 0)
        outer[0] = 1;
    if (s->layout != OP_LAYOUT_SLICED)
        return tensor_new(s->arena, dtype, ndim, outer);
    for (int i = 0; i < ndim; i++)
        outer[i] *= 2;
    Tensor t = tensor_full(s->arena, dtype, ndim, outer, dtype == TENSOR_I32 ? 1e9 : NAN);
    for (int i = 0; i < ndim; i++)
        t = i == ndim - 1 ? tensor_slice(t, i, -1, TENSOR_END, -2) : tensor_slice(t, i, 0, TENSOR_END, 2);
    return t;
}

typedef struct Range {
    double low, high, kink, distance;
} Range;

/* Rounded to f32, so that checks in both dtypes have the same values. */
static double draw(TensorRandom *random, Range range)
{
    double x = 0;
    for (int i = 0; i < MAX_TRIES; i++) {
        x = (float)(range.low + (range.high - range.low) * tensor_random_uniform_f64(random));
        if (!(fabs(x - range.kink) < range.distance))
            break;
    }
    return x;
}

/* The next input's tensor. */
static Tensor next_input(OpSample *s, TensorDtype dtype, int ndim, const int64_t *shape, Range range)
{
    if (s->next < s->count)
        return s->inputs[s->next++];
    if (s->count == SAMPLE_MAX_INPUTS) {
        tape_fail(s->tape, "a sample draws more than %d inputs", SAMPLE_MAX_INPUTS);
        return tensor_invalid();
    }
    Tensor t = new_in_layout(s, dtype, ndim, shape);
    TensorRandom random = tensor_random_new(s->seed, INPUT_STREAM + (uint64_t)s->count);
    Tensor values = tensor_new(s->arena, dtype, t.ndim, t.shape);
    if (!tensor_is_valid(t) || !tensor_is_valid(values))
        return tensor_invalid();
    int64_t n = tensor_numel(&values);
    for (int64_t i = 0; i < n; i++) {
        double x = draw(&random, range);
        if (dtype == TENSOR_I32)
            tensor_i32(values)[i] = (int32_t)floor(x);
        else if (dtype == TENSOR_F32)
            tensor_f32(values)[i] = (float)x;
        else
            tensor_f64(values)[i] = x;
    }
    tensor_copy_into(t, values);
    s->inputs[s->count++] = t;
    s->next = s->count;
    return t;
}

/* ---- What samples call ---- */

static Range range_of(const OpSample *s, double low, double high)
{
    Range range = {.low = low, .high = high, .kink = NAN};
    if (s->layout == OP_LAYOUT_LARGE) {
        range.low = low < 0 ? 10 * low : low;
        range.high = high > 0 ? 10 * high : high;
    }
    return range;
}

/* index[i] = i modulo `rows`, n of them. */
static Var rows_in_turn(OpSample *s, int64_t n, int64_t rows)
{
    Tensor index = tensor_new(tape_arena(s->tape), TENSOR_I32, TENSOR_SHAPE(n));
    if (!tensor_is_valid(index))
        return (Var){.tape = s->tape};
    for (int64_t i = 0; i < n; i++)
        tensor_i32(index)[i] = (int32_t)(i % rows);
    return tape_constant(s->tape, index);
}

/* How many rows the leaf has behind n that are drawn: fewer, which repeat, or two more, which are not in use.
 */
static bool has_poison(const OpSample *s)
{
    return s->seed % 2 == 0;
}

static int64_t leaf_rows(const OpSample *s, int64_t n)
{
    return has_poison(s) ? n + 2 : (n + 1) / 2;
}

static Var repeat_rows(OpSample *s, Var leaf, int64_t n)
{
    int64_t rows = leaf_rows(s, n);
    if (!has_poison(s))
        return var_gather_rows(leaf, rows_in_turn(s, n, rows));
    Var all = var_gather_rows(leaf, rows_in_turn(s, 2 * rows, rows)); /* is held as the leaf and an index */
    return var_gather_rows(all, rows_in_turn(s, n, n));
}

/* OP_LAYOUT_BEHIND shrinks towards `center`, which keeps the values in their range. */
static Var sample_leaf(OpSample *s, int ndim, const int64_t *shape, Range range, double center)
{
    bool repeats = s->layout == OP_LAYOUT_REPEATED && ndim > 0 && shape[0] > 0;
    int64_t own[TENSOR_MAX_DIMS] = {0};
    if (ndim > 0)
        memcpy(own, shape, (size_t)ndim * sizeof *shape);
    if (repeats)
        own[0] = leaf_rows(s, shape[0]);
    Tensor t = next_input(s, s->dtype, ndim, own, range);
    if (repeats && has_poison(s))
        tensor_fill(tensor_slice(t, 0, shape[0], TENSOR_END, 1), NAN);
    Var leaf = tape_leaf(s->tape, t);
    if (var_is_empty(leaf))
        return leaf;
    s->leaves[s->next_leaf] = t;
    s->vars[s->next_leaf++] = leaf;
    s->leaf_count = s->next_leaf;
    if (repeats)
        return repeat_rows(s, leaf, shape[0]);
    if (s->layout == OP_LAYOUT_BROADCAST)
        return var_expand(leaf, ndim, shape);
    if (s->layout == OP_LAYOUT_BEHIND)
        return var_scale(leaf, BEHIND_FACTOR, (1 - BEHIND_FACTOR) * center);
    return leaf;
}

Var op_sample(OpSample *s, int ndim, const int64_t *shape, double low, double high)
{
    return sample_leaf(s, ndim, shape, range_of(s, low, high), (low + high) / 2);
}

Var op_sample_away(OpSample *s, int ndim, const int64_t *shape, double low, double high, double kink)
{
    Range range = range_of(s, low, high);
    range.kink = kink;
    range.distance = KINK_DISTANCE;
    if (s->layout == OP_LAYOUT_LARGE && kink == 0)
        range.distance *= 10;
    if (s->layout == OP_LAYOUT_BEHIND)
        range.distance /= BEHIND_FACTOR;
    return sample_leaf(s, ndim, shape, range, fmin(fmax(kink, low), high));
}

static Var sample_constant(OpSample *s, TensorDtype dtype, int ndim, const int64_t *shape, Range range)
{
    Tensor t = next_input(s, dtype, ndim, shape, range);
    if (s->layout == OP_LAYOUT_BROADCAST)
        t = tensor_expand(t, ndim, shape);
    return tape_constant(s->tape, t);
}

Var op_sample_constant(OpSample *s, int ndim, const int64_t *shape, double low, double high)
{
    return sample_constant(s, s->dtype, ndim, shape, range_of(s, low, high));
}

Var op_sample_index(OpSample *s, int ndim, const int64_t *shape, int64_t limit)
{
    return sample_constant(s, TENSOR_I32, ndim, shape,
                           (Range){.low = 0, .high = (double)limit - 1e-6, .kink = NAN});
}

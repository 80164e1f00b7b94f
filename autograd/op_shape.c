/* Ops that only look at their input in another way: no element is computed. Outputs are views of the
 * input's memory, but for concat, stack, and a reshape that no view can do. */
#include "autograd/op_support_internal.h"
#include "autograd/held_internal.h"

#include <string.h>

typedef struct Shape {
    int ndim;
    int64_t sizes[TENSOR_MAX_DIMS];
} Shape;

static Shape shape_of(int ndim, const int64_t *sizes)
{
    Shape shape = {.ndim = ndim};
    if (sizes && ndim > 0 && ndim <= TENSOR_MAX_DIMS)
        memcpy(shape.sizes, sizes, (size_t)ndim * sizeof *sizes);
    return shape;
}

static bool check_rank(OpContext *c, int ndim)
{
    if (ndim >= 0 && ndim <= TENSOR_MAX_DIMS)
        return true;
    return op_error(c, "the new shape has %d dimensions; there may be 0 to %d", ndim, TENSOR_MAX_DIMS);
}

static Shape sizes_of(Var v)
{
    Shape shape = {.ndim = var_ndim(v)};
    for (int i = 0; i < shape.ndim; i++)
        shape.sizes[i] = var_size(v, i);
    return shape;
}

static Var sample_cube(OpSample *s)
{
    return op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1), op_sample_size(s, 2)), -2,
                     2);
}

/* f(a) = a in another shape; one size may be -1 */
static bool infer_shape(OpContext *c, Shape *shape)
{
    char text[TENSOR_SHAPE_TEXT_SIZE];
    int open = -1;
    int64_t have = tensor_numel(c->in[0]), known = 1;
    if (!check_rank(c, shape->ndim))
        return false;
    tensor_dims_text(shape->ndim, shape->sizes, text);
    for (int i = 0; i < shape->ndim; i++) {
        if (shape->sizes[i] == -1 && open < 0)
            open = i;
        else if (shape->sizes[i] < 0 || __builtin_mul_overflow(known, shape->sizes[i], &known))
            return op_error(c, "%s is not a valid shape", text);
    }
    if (open >= 0 && known > 0 && have % known == 0)
        known *= shape->sizes[open] = have / known;
    else if (open >= 0)
        known = -1;
    if (known != have)
        return op_error(c, "the elements do not fit into %s", text);
    return true;
}
static bool reshape_forward(OpContext *c)
{
    Shape shape = *(const Shape *)c->attributes;
    if (!infer_shape(c, &shape))
        return false;
    *c->out[0] = tensor_reshape(op_arena(c), *c->in[0], shape.ndim, shape.sizes);
    return tensor_is_valid(*c->out[0]) || op_error(c, "there is no memory for a result of that size");
}
static void reshape_backward(OpContext *c, OpTerm *terms)
{
    Tensor da = tensor_reshape(op_arena(c), *c->grad[0], c->in[0]->ndim, c->in[0]->shape);
    op_give(&terms[0], da);
}
static Var reshape_sample(OpSample *s)
{
    Var a = sample_cube(s);
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    return op_sample_choice(s, 2) ? var_reshape(a, TENSOR_SHAPE(n * m, k))
                                  : var_reshape(a, TENSOR_SHAPE(k, -1, m));
}
static void reshape_formula(const OpUse *use, OpVarTerm *terms)
{
    Shape shape = sizes_of(use->in[0]);
    op_give_var(&terms[0], var_reshape(use->grad[0], shape.ndim, shape.sizes));
}
OpKind op_reshape = {.name = "reshape",
                     .forward = reshape_forward,
                     .backward = reshape_backward,
                     .formula = reshape_formula,
                     .sample = reshape_sample,
                     .backward_reads = OP_READS_NOTHING};
Var var_reshape(Var a, int ndim, const int64_t *shape)
{
    Shape wanted = shape_of(ndim, shape);
    return op_apply(&op_reshape, &a, 1, &wanted, sizeof wanted);
}

/* f(a) = a with two axes exchanged */
static bool transpose_forward(OpContext *c)
{
    const int *axes = c->attributes;
    int a, b;
    if (!op_axis(c, axes[0], c->in[0]->ndim, &a) || !op_axis(c, axes[1], c->in[0]->ndim, &b))
        return false;
    *c->out[0] = tensor_transpose(*c->in[0], a, b);
    return true;
}
static void transpose_backward(OpContext *c, OpTerm *terms)
{
    const int *axes = c->attributes;
    op_give(&terms[0], tensor_transpose(*c->grad[0], axes[0], axes[1]));
}
static Var transpose_sample(OpSample *s)
{
    Var a = sample_cube(s);
    return var_transpose(a, (int)op_sample_choice(s, 3), -1);
}
static void transpose_formula(const OpUse *use, OpVarTerm *terms)
{
    const int *axes = use->attributes;
    op_give_var(&terms[0], var_transpose(use->grad[0], axes[0], axes[1]));
}
OpKind op_transpose = {.name = "transpose",
                       .forward = transpose_forward,
                       .backward = transpose_backward,
                       .formula = transpose_formula,
                       .sample = transpose_sample,
                       .backward_reads = OP_READS_NOTHING};
Var var_transpose(Var a, int axis_a, int axis_b)
{
    Var vector = op_vector(a);
    return op_as_before(a, op_apply(&op_transpose, &vector, 1, (int[]){axis_a, axis_b}, 2 * sizeof(int)));
}

/* f(a) = a repeated along new axes in front and axes of size 1 */
static bool expand_forward(OpContext *c)
{
    const Shape *shape = c->attributes;
    char text[TENSOR_SHAPE_TEXT_SIZE];
    if (!check_rank(c, shape->ndim))
        return false;
    *c->out[0] = tensor_expand(*c->in[0], shape->ndim, shape->sizes);
    if (!tensor_is_valid(*c->out[0]))
        return op_error(c, "does not broadcast to %s", tensor_dims_text(shape->ndim, shape->sizes, text));
    return true;
}
static void expand_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->grad[0]); /* the door sums over what was broadcast */
}
static Var expand_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    Var a = op_sample(s, TENSOR_SHAPE(m, 1), -2, 2);
    return var_expand(a, TENSOR_SHAPE(n, m, k));
}
static void expand_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], use->grad[0]); /* summed over what was broadcast */
}
OpKind op_expand = {.name = "expand",
                    .forward = expand_forward,
                    .backward = expand_backward,
                    .formula = expand_formula,
                    .sample = expand_sample,
                    .backward_reads = OP_READS_NOTHING};
Var var_expand(Var a, int ndim, const int64_t *shape)
{
    Shape wanted = shape_of(ndim, shape);
    return op_apply(&op_expand, &a, 1, &wanted, sizeof wanted);
}

/* f(a) = a[start : stop : step] along an axis. Steps of a batch of repeated rows are such slices, along
 * axis 0: the output then has the same distinct rows and a slice of the index. */
typedef struct Slice {
    int axis;
    int64_t start, stop, step;
} Slice;
static bool slice_forward(OpContext *c)
{
    const Slice *s = c->attributes;
    int axis;
    if (!op_axis(c, s->axis, c->in[0]->ndim, &axis))
        return false;
    if (s->step == 0)
        return op_error(c, "the step is 0");
    if (axis == 0 && tape_repeated_slice(c, s->start, s->stop, s->step))
        return true;
    Tensor a = op_whole(c, 0);
    *c->out[0] = tensor_slice(a, axis, s->start, s->stop, s->step);
    return tensor_is_valid(*c->out[0]);
}
static void slice_backward(OpContext *c, OpTerm *terms)
{
    const Slice *s = c->attributes;
    int axis = s->axis < 0 ? s->axis + c->out[0]->ndim : s->axis;
    int64_t size = c->in[0]->shape[axis], start = s->start < 0 ? s->start + size : s->start;
    if (c->out[0]->shape[axis] == size && s->step == 1)
        op_give(&terms[0], *c->grad[0]);
    else if (tensor_numel(c->out[0]) > 0) /* clipped as tensor_slice() does */
        op_give_part(&terms[0], *c->grad[0], axis, start < 0 ? 0 : start >= size ? size - 1 : start, s->step);
}
static Var slice_sample(OpSample *s)
{
    static const Slice choices[] = {{.axis = 0, .start = 1, .stop = TENSOR_END, .step = 1},
                                    {.axis = 1, .start = 0, .stop = -1, .step = 1},
                                    {.axis = 2, .start = -1, .stop = TENSOR_END, .step = -2},
                                    {.axis = -2, .start = 0, .stop = TENSOR_END, .step = 2}};
    Var a = sample_cube(s);
    Slice choice = choices[op_sample_choice(s, 4)];
    /* A second use: gradients of slices add to what has come before. */
    Var part = var_slice(a, choice.axis, choice.start, choice.stop, choice.step);
    return var_add(part, var_sum(var_mul(a, a), TENSOR_AXIS(0) | TENSOR_AXIS(1) | TENSOR_AXIS(2), true));
}
static void slice_formula(const OpUse *use, OpVarTerm *terms)
{
    const Slice *s = use->attributes;
    int axis = s->axis < 0 ? s->axis + var_ndim(use->out[0]) : s->axis;
    int64_t size = var_size(use->in[0], axis), start = s->start < 0 ? s->start + size : s->start;
    if (var_size(use->out[0], axis) > 0) /* clipped as tensor_slice() does */
        op_give_var_part(&terms[0], use->grad[0], axis,
                         start < 0       ? 0
                         : start >= size ? size - 1
                                         : start,
                         s->step);
}
OpKind op_slice = {.name = "slice",
                   .forward = slice_forward,
                   .backward = slice_backward,
                   .formula = slice_formula,
                   .sample = slice_sample,
                   .lazy_forward = OP_IN(0),
                   .backward_reads = OP_READS_NOTHING};
Var var_slice(Var a, int axis, int64_t start, int64_t stop, int64_t step)
{
    return op_apply(&op_slice, &a, 1, &(Slice){axis, start, stop, step}, sizeof(Slice));
}

/* f(a) = a, a value of its own: with a gradient that is not that of all uses of a */
static bool alias_forward(OpContext *c)
{
    if (tape_repeated_slice(c, 0, TENSOR_END, 1))
        return true;
    *c->out[0] = op_whole(c, 0);
    return tensor_is_valid(*c->out[0]);
}
static void alias_backward(OpContext *c, OpTerm *terms)
{
    op_give(&terms[0], *c->grad[0]);
}
static Var alias_sample(OpSample *s)
{
    return var_alias(sample_cube(s));
}
static void alias_formula(const OpUse *use, OpVarTerm *terms)
{
    op_give_var(&terms[0], use->grad[0]);
}
OpKind op_alias = {.name = "alias",
                   .forward = alias_forward,
                   .backward = alias_backward,
                   .formula = alias_formula,
                   .sample = alias_sample,
                   .lazy_forward = OP_IN(0),
                   .backward_reads = OP_READS_NOTHING};
Var var_alias(Var a)
{
    return op_apply(&op_alias, &a, 1, NULL, 0);
}

/* f(a) = a[index] along an axis, which goes */
typedef struct Select {
    int axis;
    int64_t index;
} Select;
static bool select_forward(OpContext *c)
{
    const Select *s = c->attributes;
    int axis;
    if (!op_axis(c, s->axis, c->in[0]->ndim, &axis))
        return false;
    *c->out[0] = tensor_select(*c->in[0], axis, s->index);
    if (!tensor_is_valid(*c->out[0]))
        return op_error(c, "index %lld is out of range for size %lld of axis %d", (long long)s->index,
                        (long long)c->in[0]->shape[axis], axis);
    return true;
}
static void select_backward(OpContext *c, OpTerm *terms)
{
    const Select *s = c->attributes;
    int axis = s->axis < 0 ? s->axis + c->in[0]->ndim : s->axis;
    int64_t index = s->index < 0 ? s->index + c->in[0]->shape[axis] : s->index;
    op_give_part(&terms[0], tensor_unsqueeze(*c->grad[0], axis), axis, index, 1);
}
static Var select_sample(OpSample *s)
{
    Var a = sample_cube(s);
    int axis = 1 + (int)op_sample_choice(s, 2);
    return var_select(a, axis, op_sample_choice(s, 2) ? -1 : 0);
}
static void select_formula(const OpUse *use, OpVarTerm *terms)
{
    const Select *s = use->attributes;
    Shape shape = sizes_of(use->in[0]);
    int axis = s->axis < 0 ? s->axis + shape.ndim : s->axis;
    int64_t index = s->index < 0 ? s->index + shape.sizes[axis] : s->index;
    shape.sizes[axis] = 1;
    op_give_var_part(&terms[0], var_reshape(use->grad[0], shape.ndim, shape.sizes), axis, index, 1);
}
OpKind op_select = {.name = "select",
                    .forward = select_forward,
                    .backward = select_backward,
                    .formula = select_formula,
                    .sample = select_sample,
                    .backward_reads = OP_READS_NOTHING};
Var var_select(Var a, int axis, int64_t index)
{
    return op_apply(&op_select, &a, 1, &(Select){axis, index}, sizeof(Select));
}

/* Whether all inputs have one dtype and the sizes of input 0, but along `except` (-1: nowhere). */
static bool check_parts(OpContext *c, int except)
{
    for (int i = 1; i < c->count; i++) {
        Tensor a = *c->in[0], b = *c->in[i];
        if (a.dtype != b.dtype)
            return op_error(c, "parts of different dtypes (%s and %s)", tensor_dtype_name(a.dtype),
                            tensor_dtype_name(b.dtype));
        if (except >= 0 && a.ndim == b.ndim)
            b.shape[except] = a.shape[except];
        if (!tensor_same_shape(&a, &b))
            return op_error(c, "part %d does not fit to part 0", i);
    }
    return true;
}

static Tensor *copy_inputs(OpContext *c)
{
    Tensor *inputs = op_alloc(c, (size_t)c->count * sizeof *inputs);
    for (int i = 0; inputs && i < c->count; i++)
        inputs[i] = *c->in[i];
    return inputs;
}

/* f(a, b, ...) = the parts one after the other along an axis */
static bool concat_forward(OpContext *c)
{
    int axis;
    if (!op_axis(c, *(const int *)c->attributes, c->in[0]->ndim, &axis) || !check_parts(c, axis))
        return false;
    Tensor *inputs = copy_inputs(c);
    if (!inputs)
        return false;
    *c->out[0] = tensor_concat(op_arena(c), inputs, c->count, axis);
    return tensor_is_valid(*c->out[0]);
}
static void concat_backward(OpContext *c, OpTerm *terms)
{
    int axis = *(const int *)c->attributes;
    axis = axis < 0 ? axis + c->out[0]->ndim : axis;
    int64_t at = 0;
    for (int i = 0; i < c->count; i++) {
        int64_t size = c->in[i]->shape[axis];
        op_give(&terms[i], tensor_slice(*c->grad[0], axis, at, at + size, 1));
        at += size;
    }
}
static Var concat_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = op_sample_size(s, 2);
    Var parts[3];
    parts[0] = op_sample(s, TENSOR_SHAPE(n, m), -2, 2);
    parts[1] = op_sample(s, TENSOR_SHAPE(n, k), -2, 2);
    parts[2] = op_sample(s, TENSOR_SHAPE(n, 1), -2, 2);
    return var_concat(parts, 3, op_sample_choice(s, 2) ? 1 : -1);
}
static void concat_formula(const OpUse *use, OpVarTerm *terms)
{
    int axis = *(const int *)use->attributes;
    int64_t at = 0;
    for (int i = 0; i < use->count; i++) {
        int64_t size = var_size(use->in[i], axis);
        op_give_var(&terms[i], var_slice(use->grad[0], axis, at, at + size, 1));
        at += size;
    }
}
OpKind op_concat = {.name = "concat",
                    .forward = concat_forward,
                    .backward = concat_backward,
                    .formula = concat_formula,
                    .sample = concat_sample,
                    .backward_reads = OP_READS_NOTHING};
Var var_concat(const Var *parts, int count, int axis)
{
    return op_apply(&op_concat, parts, count, &axis, sizeof axis);
}

/* f(a, b, ...) = the parts one after the other along a new axis */
static bool stack_forward(OpContext *c)
{
    int axis;
    if (!op_axis(c, *(const int *)c->attributes, c->in[0]->ndim + 1, &axis) || !check_parts(c, -1))
        return false;
    if (c->in[0]->ndim == TENSOR_MAX_DIMS)
        return op_error(c, "there may be at most %d dimensions", TENSOR_MAX_DIMS);
    Tensor *inputs = copy_inputs(c);
    if (!inputs)
        return false;
    *c->out[0] = tensor_stack(op_arena(c), inputs, c->count, axis);
    return tensor_is_valid(*c->out[0]);
}
static void stack_backward(OpContext *c, OpTerm *terms)
{
    for (int i = 0; i < c->count; i++)
        op_give(&terms[i], tensor_select(*c->grad[0], *(const int *)c->attributes, i));
}
static Var stack_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    Var parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = op_sample(s, TENSOR_SHAPE(n, m), -2, 2);
    return var_stack(parts, 3, (int)op_sample_choice(s, 4) - 1);
}
static void stack_formula(const OpUse *use, OpVarTerm *terms)
{
    for (int i = 0; i < use->count; i++)
        op_give_var(&terms[i], var_select(use->grad[0], *(const int *)use->attributes, i));
}
OpKind op_stack = {.name = "stack",
                   .forward = stack_forward,
                   .backward = stack_backward,
                   .formula = stack_formula,
                   .sample = stack_sample,
                   .backward_reads = OP_READS_NOTHING};
Var var_stack(const Var *parts, int count, int axis)
{
    return op_apply(&op_stack, parts, count, &axis, sizeof axis);
}

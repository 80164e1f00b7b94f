/* How ops are run: the checks that all have in common, forward, backward, and what an op's code calls. */
#include "autograd/tape_internal.h"
#include "tensor/elementwise.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* More inputs than this are put into the arena. */
enum { FEW_INPUTS = 8 };

/* Makes an error of an allocation that failed: an op's code may have gone on without what it did not get. */
static void note_no_memory(Tape *tape)
{
    if (tape->arena.failed)
        tape_fail_memory(tape);
}

/* ---- Forward ---- */

/* The node of each input; NULL where one is missing, with the reason recorded if it is news. */
static bool resolve_inputs(const Op *op, Tape *tape, const Var *inputs, int count, uint32_t *nodes)
{
    for (int i = 0; i < count; i++) {
        if (inputs[i].tape && inputs[i].tape != tape) {
            tape_fail(tape, "%s: input %d is a handle of another tape", op->name, i);
            return false;
        }
        if (!inputs[i].tape) {
            tape_fail(tape, "%s: input %d is not a value of a tape", op->name, i);
            return false;
        }
        const Node *node = tape_node(inputs[i], op->name);
        if (!node) {
            if (tape_ok(tape))
                tape_fail(tape, "%s: input %d is an empty value", op->name, i);
            return false;
        }
        nodes[i] = inputs[i].index;
    }
    return true;
}

/* Fills c->inputs and c->index, in the form that the op's flags ask for. */
static bool fetch_inputs(OpContext *c, Tensor *values, Tensor *indices)
{
    Tape *tape = c->tape;
    Dtype dtype = DTYPE_NONE;
    for (int i = 0; i < c->input_count; i++) {
        Node *node = &tape->nodes[c->input_nodes[i]];
        bool distinct = tensor_is_valid(node->index) &&
                        ((c->op->flags & OP_GETS_ROWS) || (i == 0 && (c->op->flags & OP_ROWWISE)));
        indices[i] = distinct ? node->index : tensor_invalid();
        bool late = i == 0 && node->parameter && (c->op->flags & OP_READS_LATE);
        values[i] = distinct || late ? node->value : tape_readable(tape, node);
        if (!tensor_is_valid(values[i]))
            return false;
        if (values[i].dtype == DTYPE_I32)
            continue;
        if (dtype != DTYPE_NONE && values[i].dtype != dtype)
            return op_error(c, "inputs of different dtypes (%s and %s)", dtype_name(dtype),
                            dtype_name(values[i].dtype));
        dtype = values[i].dtype;
    }
    c->inputs = values;
    c->index = indices;
    return true;
}

static bool check_finite(OpContext *c)
{
    Tensor out = c->output, second = c->second;
    if (!c->tape->check_finite || out.dtype == DTYPE_I32)
        return true;
    if (tensor_is_finite(out) && (!tensor_is_valid(second) || tensor_is_finite(second)))
        return true;
    return op_error(c, "made a NaN or an infinity");
}

static bool any_wants_grad(const Tape *tape, const uint32_t *nodes, int count)
{
    for (int i = 0; i < count; i++)
        if (tape->nodes[nodes[i]].wants_grad)
            return true;
    return false;
}

static Var record(OpContext *c)
{
    Tape *tape = c->tape;
    uint32_t *inputs = arena_memdup(&tape->arena, c->input_nodes, (size_t)c->input_count * sizeof *inputs);
    Node *node = inputs ? tape_add_node(tape) : NULL;
    if (!node) {
        tape_fail_memory(tape);
        return tape_empty(tape);
    }
    node->op = c->op;
    node->value = c->output;
    node->index = c->output_index;
    node->inputs = inputs;
    node->input_count = c->input_count;
    node->attributes = c->attributes;
    node->saved = c->saved;
    node->same_rows = c->same_rows;
    node->wants_grad = tape->grad_enabled && c->op->backward && c->output.dtype != DTYPE_I32 &&
                       any_wants_grad(tape, inputs, c->input_count);
    Var handle = tape_handle(tape, node);
    if (tensor_is_valid(c->second)) {
        node->has_second = true;
        bool wants_grad = node->wants_grad;
        Node *second = tape_add_node(tape);
        if (!second)
            return tape_empty(tape);
        second->op = c->op;
        second->is_second = true;
        second->value = c->second;
        if (c->op->flags & OP_ROWWISE)
            second->index = c->output_index;
        second->wants_grad = wants_grad;
    }
    return handle;
}

static Tape *tape_of(const Var *inputs, int count)
{
    for (int i = 0; i < count; i++)
        if (inputs[i].tape)
            return inputs[i].tape;
    return NULL;
}

Var(op_apply)(const Op *op, const Var *inputs, int count, const void *attributes, size_t size)
{
    Tape *tape = tape_of(inputs, count);
    if (!tape)
        return (Var){0};
    if (!tape_ok(tape))
        return tape_empty(tape);
    uint32_t few_nodes[FEW_INPUTS], *nodes = few_nodes;
    Tensor few_values[2 * FEW_INPUTS], *values = few_values;
    if (count > FEW_INPUTS) {
        nodes = arena_alloc(&tape->arena, (size_t)count * sizeof *nodes);
        values = arena_alloc(&tape->arena, 2 * (size_t)count * sizeof *values);
    }
    void *copy = size ? arena_memdup(&tape->arena, attributes, size) : NULL;
    if (!nodes || !values || (size && !copy)) {
        tape_fail_memory(tape);
        return tape_empty(tape);
    }
    OpContext c = {.tape = tape, .attributes = copy, .input_count = count, .op = op, .input_nodes = nodes};
    if (!resolve_inputs(op, tape, inputs, count, nodes) || !fetch_inputs(&c, values, values + count))
        return tape_empty(tape);
    if ((op->flags & OP_ROWWISE) && count > 0)
        c.output_index = c.index[0];
    bool done = op->forward(&c);
    note_no_memory(tape);
    if (!done || !tape_ok(tape) || !check_finite(&c)) {
        if (tape_ok(tape))
            tape_fail(tape, "%s: failed without saying why", op->name);
        return tape_empty(tape);
    }
    return record(&c);
}

bool op_rerun_forward(Tape *tape, uint32_t index)
{
    const Node *node = &tape->nodes[index];
    Tensor *values = arena_alloc(&tape->arena, 2 * (size_t)node->input_count * sizeof *values);
    OpContext c = {.tape = tape,
                   .attributes = node->attributes,
                   .input_count = node->input_count,
                   .op = node->op,
                   .node = index,
                   .input_nodes = node->inputs};
    if (!values || !fetch_inputs(&c, values, values + node->input_count))
        return false;
    if ((node->op->flags & OP_ROWWISE) && node->input_count > 0)
        c.output_index = c.index[0];
    return node->op->forward(&c);
}

Var op_second(Var first)
{
    const Node *node = tape_node(first, "op_second");
    if (!node || !node->has_second)
        return tape_empty(first.tape);
    return tape_handle(first.tape, node + 1);
}

/* ---- Backward ---- */

static void keep_gradient(Tape *tape, Node *node)
{
    if (!node->retain || !tensor_is_valid(node->grad))
        return;
    Tensor grad = node->grad;
    if (tensor_is_valid(node->index)) {
        tape_fail(tape, "var_retain_grad: a repeated-rows value has no gradient of its own");
        return;
    }
    if (!tensor_is_valid(node->kept)) {
        node->kept = grad;
        return;
    }
    Tensor sum = tensor_new(&tape->arena, grad.dtype, grad.ndim, grad.shape);
    if (tensor_is_valid(sum))
        tensor_binary(BINARY_ADD, sum, node->kept, grad);
    node->kept = sum;
}

static void forget_gradient(Node *node)
{
    node->grad = tensor_invalid();
    node->grad_owned = false;
}

static void call_backward(Tape *tape, uint32_t index)
{
    Node *node = &tape->nodes[index];
    Tensor few_values[2 * FEW_INPUTS], *values = few_values;
    if (node->input_count > FEW_INPUTS) {
        values = arena_alloc(&tape->arena, 2 * (size_t)node->input_count * sizeof *values);
        if (!values) {
            tape_fail_memory(tape);
            return;
        }
    }
    OpContext c = {.tape = tape,
                   .attributes = node->attributes,
                   .input_count = node->input_count,
                   .output = node->value,
                   .output_index = node->index,
                   .grad = node->grad,
                   .saved = node->saved,
                   .op = node->op,
                   .node = index,
                   .input_nodes = node->inputs};
    if (node->has_second) {
        c.second = tape->nodes[index + 1].value;
        c.second_grad = tape->nodes[index + 1].grad;
    }
    const TapeScope *scope = tape->scope;
    tape->scope = node->scope;
    trace_push(node->site.file, node->site.line);
    if (fetch_inputs(&c, values, values + node->input_count))
        node->op->backward(&c);
    note_no_memory(tape);
    trace_pop();
    tape->scope = scope;
}

void op_run_backward(Tape *tape, uint32_t index)
{
    Node *node = &tape->nodes[index];
    if (!node->wants_grad)
        return;
    tape_flush_pairs(tape, node);
    if (!node->op || node->is_second)
        return;
    bool reached =
        tensor_is_valid(node->grad) || (node->has_second && tensor_is_valid(tape->nodes[index + 1].grad));
    if (!reached || node->same_rows)
        return;
    call_backward(tape, index);
    keep_gradient(tape, node);
    forget_gradient(node);
    if (node->has_second) {
        keep_gradient(tape, node + 1);
        forget_gradient(node + 1);
    }
}

/* ---- What an op's code calls ---- */

bool op_error(OpContext *c, const char *format, ...)
{
    char text[200], shapes[300] = "", shape[SHAPE_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t used = 0;
    for (int i = 0; i < c->input_count && used < sizeof shapes - SHAPE_TEXT_SIZE; i++) {
        Node *node = &c->tape->nodes[c->input_nodes[i]];
        Tensor like = node->value;
        if (tensor_is_valid(node->index))
            like.shape[0] = node->index.shape[0];
        used += (size_t)snprintf(shapes + used, sizeof shapes - used, "%s%s", i ? ", " : "",
                                 tensor_shape_text(&like, shape));
    }
    tape_fail(c->tape, "%s(%s): %s", c->op->name, shapes, text);
    return false;
}

Tensor op_new(OpContext *c, int ndim, const int64_t *shape)
{
    Tensor t = tensor_new(&c->tape->arena, c->inputs[0].dtype, ndim, shape);
    if (!tensor_is_valid(t))
        tape_fail_memory(c->tape);
    return t;
}

Tensor op_new_like(OpContext *c, Tensor t)
{
    return op_new(c, t.ndim, t.shape);
}

bool op_output(OpContext *c, int ndim, const int64_t *shape)
{
    c->output = op_new(c, ndim, shape);
    return tensor_is_valid(c->output);
}

bool op_output_like(OpContext *c, Tensor t)
{
    return op_output(c, t.ndim, t.shape);
}

void *op_alloc(OpContext *c, size_t bytes)
{
    void *block = arena_alloc(&c->tape->arena, bytes);
    if (!block)
        tape_fail_memory(c->tape);
    return block;
}

Arena *op_arena(OpContext *c)
{
    return &c->tape->arena;
}

static Node *input_node(const OpContext *c, int input)
{
    return &c->tape->nodes[c->input_nodes[input]];
}

bool op_needs_grad(const OpContext *c, int input)
{
    return input_node(c, input)->wants_grad;
}

void op_add_grad(OpContext *c, int input, Tensor grad)
{
    if (c->filter && !c->filter(c, input, &grad))
        return;
    bool rows = input == 0 && (c->op->flags & OP_ROWWISE) && tensor_is_valid(c->index[0]);
    tape_add_grad(c->tape, input_node(c, input), grad, rows, c->op->name);
}

void op_add_grad_slice(OpContext *c, int input, Tensor grad, int axis, int64_t start, int64_t step)
{
    Node *node = input_node(c, input);
    if (!node->wants_grad || (c->filter && !c->filter(c, input, &grad)))
        return;
    tape_add_grad_slice(c->tape, node, grad, axis, start, step, c->op->name);
}

void op_add_grad_product(OpContext *c, int input, Tensor dy, Tensor x)
{
    Node *node = input_node(c, input);
    if (!node->wants_grad)
        return;
    bool fits = dy.shape[0] == x.shape[0] && dy.shape[1] == node->value.shape[0] &&
                x.shape[1] == node->value.shape[1];
    if (fits && !c->filter && !node->same_rows && !tensor_is_valid(node->index)) {
        tape_add_pair(c->tape, node, dy, x);
        return;
    }
    Tensor product = op_new_like(c, node->value);
    if (tensor_is_valid(product) && tensor_matmul(product, 1.0, tensor_transpose(dy, 0, 1), x, 0.0))
        op_add_grad(c, input, product);
    else
        op_error(c, "backward: the product for input %d does not fit", input);
}

/* Whether rows [U, ...] and ids i32 [U] are a part of a gradient of the shape of `like`. */
static bool rows_fit(Tensor like, Tensor rows, Tensor ids)
{
    if (ids.dtype != DTYPE_I32 || ids.ndim != 1 || rows.dtype != like.dtype || rows.ndim < 1 ||
        rows.shape[0] != ids.shape[0] || tensor_index_out_of_range(ids, like.shape[0]) >= 0)
        return false;
    like.shape[0] = rows.shape[0];
    return tensor_same_shape(&like, &rows);
}

void op_add_grad_rows(OpContext *c, int input, Tensor rows, Tensor ids)
{
    Node *node = input_node(c, input);
    if (!node->wants_grad || !tensor_is_valid(rows))
        return;
    if (c->filter && !c->filter(c, input, &rows))
        return;
    if (c->tape->check_finite && !tensor_is_finite(rows)) {
        op_error(c, "backward made a NaN or an infinity");
        return;
    }
    Tensor like = node->value;
    if (tensor_is_valid(node->index))
        like.shape[0] = node->index.shape[0];
    if (!rows_fit(like, rows, ids)) {
        op_error(c, "backward: the rows do not fit to input %d", input);
        return;
    }
    if (node->op) {
        Tensor dense = tensor_zeros(&c->tape->arena, rows.dtype, like.ndim, like.shape);
        if (tensor_is_valid(dense) && tensor_scatter_add_rows(dense, rows, ids))
            tape_add_grad(c->tape, node, dense, false, c->op->name);
        return;
    }
    ids = tensor_contiguous(&c->tape->arena, ids);
    RowGradient *part = op_alloc(c, sizeof *part);
    if (!part || !tensor_is_valid(ids))
        return;
    *part = (RowGradient){.rows = rows, .ids = ids, .next = node->row_gradients};
    node->row_gradients = part;
}

Tensor op_whole(OpContext *c, int input)
{
    return tape_readable(c->tape, input_node(c, input));
}

Parameter *op_parameter(const OpContext *c, int input)
{
    Parameter *parameter = input_node(c, input)->parameter;
    bool late = parameter && parameter->read && !(input == 0 && (c->op->flags & OP_READS_LATE));
    return late ? NULL : parameter;
}

int32_t *op_slots(OpContext *c, int64_t size)
{
    return tape_slots(c->tape, size);
}

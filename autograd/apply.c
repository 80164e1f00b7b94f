/* Applying an op: the checks that all have in common, forward, recording; and what forward calls. */
#include "autograd/profile_internal.h"
#include "autograd/walk_internal.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

#include <string.h>

/* More inputs or outputs than these are put into the arena. */
enum { FEW_INPUTS = 8, FEW_OUTPUTS = 4 };

/* The index of the Var without a tape that an op of no values returns. */
enum { OF_NOTHING = 1 };

/* ---- Checks ---- */

/* The value of an input; NULL with the reason recorded if it is news. */
static Value *resolve(const OpKind *op, Tape *tape, Var input, int i)
{
    if (input.tape && input.tape != tape) {
        tape_fail(tape, "%s: input %d is a handle of another tape", op->name, i);
        return NULL;
    }
    if (!input.tape) {
        tape_fail(tape, "%s: input %d is not a value of a tape%s", op->name, i,
                  input.index == OF_NOTHING ? ", but the result of an op that was given no values" : "");
        return NULL;
    }
    Value *value = tape_find(input, op->name);
    if (!value && tape_ok(tape))
        tape_fail(tape, "%s: input %d is an empty value", op->name, i);
    return value && tape_is_there(tape, value, op->name) ? value : NULL;
}

static bool check_dtypes(OpContext *c)
{
    TensorDtype dtype = TENSOR_DTYPE_NONE;
    for (int i = 0; i < c->count; i++) {
        if (c->in[i]->dtype == TENSOR_I32 || c->in[i]->dtype == dtype)
            continue;
        if (dtype != TENSOR_DTYPE_NONE)
            return op_error(c, "inputs of different dtypes (%s and %s)", tensor_dtype_name(dtype),
                            tensor_dtype_name(c->in[i]->dtype));
        dtype = c->in[i]->dtype;
    }
    return true;
}

bool op_check_outputs(OpContext *c)
{
    if (!tensor_is_valid(*c->out[0]))
        return op_error(c, "made no output");
    for (int k = 0; c->tape->check_finite && k < c->outputs; k++) {
        const Value *value = tape_value(c->tape, tape_node(c->tape, c->node)->first_output + (uint32_t)k);
        const Tensor *t = value->held && !value->t.data ? value->held->kind->like(value->held) : c->out[k];
        if (t->dtype != TENSOR_I32 && tensor_is_valid(*t) && !tensor_is_finite(*t))
            return op_error(c, "made a NaN or an infinity");
    }
    return true;
}

/* ---- Forward ---- */

/* What is held and not read lazily is put into memory. */
static bool make_whole(OpContext *c, unsigned lazy)
{
    const Node *node = tape_node(c->tape, c->node);
    for (int i = 0; i < c->count; i++) {
        Value *value = tape_value(c->tape, node_input(c->tape, node, i));
        if (value->held && !value->t.data && !(lazy & OP_IN(i)) && !tape_whole(c->tape, value))
            return false;
    }
    return true;
}

static const Held *held_by(const OpContext *c, int input)
{
    return tape_value(c->tape, node_input(c->tape, tape_node(c->tape, c->node), input))->held;
}

static bool forward(OpContext *c)
{
    const Held *held = c->count > 0 ? held_by(c, 0) : NULL;
    bool done = false;
    if (held && held->kind->apply && (c->op->flags & OP_ROWWISE) &&
        (!make_whole(c, OP_IN(0)) || !held->kind->apply(c, held, &done)))
        return false;
    return done || (make_whole(c, c->op->lazy_forward) && c->op->forward(c) && op_check_outputs(c));
}

static bool run_forward(OpContext *c)
{
    if (!c->tape->profile)
        return forward(c);
    tape_profile_begin(c->tape, c->op, c->node, false);
    bool done = forward(c);
    tape_profile_end(c->tape);
    return done;
}

static Tape *tape_of(const Var *inputs, int count)
{
    for (int i = 0; i < count; i++)
        if (inputs[i].tape)
            return inputs[i].tape;
    return NULL;
}

/* Fills the context's lists from the node. */
static void point_at_values(OpContext *c)
{
    const Node *node = tape_node(c->tape, c->node);
    for (int i = 0; i < c->count; i++)
        c->in[i] = &tape_value(c->tape, node_input(c->tape, node, i))->t;
    for (int k = 0; k < c->outputs; k++)
        c->out[k] = &tape_value(c->tape, node->first_output + (uint32_t)k)->t;
}

static Var fail(OpContext *c)
{
    Tape *tape = c->tape;
    if (tape_ok(tape))
        tape_fail(tape, "%s: failed without saying why", c->op->name);
    tape_drop_node(tape, c->node);
    return tape_empty(tape);
}

/* The node is there before forward runs, which writes into the values of its outputs. */
Var(op_apply)(const OpKind *op, const Var *inputs, int count, const void *attributes, size_t size)
{
    Tape *tape = tape_of(inputs, count);
    if (!tape) /* there is no tape to record an error on; the op that gets this does it */
        return (Var){.index = OF_NOTHING};
    if (!tape_ok(tape))
        return tape_empty(tape);
    Tensor *few_in[FEW_INPUTS], *few_out[FEW_OUTPUTS];
    OpContext c = {.tape = tape, .op = op, .count = count, .in = few_in, .out = few_out};
    c.outputs = op->outputs ? op->outputs : 1;
    c.node = tape_add_node(tape, op, count, c.outputs);
    if (c.node == UINT32_MAX)
        return tape_empty(tape);
    Node *node = tape_node(tape, c.node);
    bool wants = false;
    for (int i = 0; i < count; i++) {
        const Value *value = resolve(op, tape, inputs[i], i);
        if (!value)
            return fail(&c);
        wants |= value->wants;
        tape->inputs[node->first_input + (uint32_t)i] = inputs[i].index;
    }
    if (count > FEW_INPUTS)
        c.in = op_alloc(&c, (size_t)count * sizeof *c.in);
    if (c.outputs > FEW_OUTPUTS)
        c.out = op_alloc(&c, (size_t)c.outputs * sizeof *c.out);
    c.attributes = size ? tensor_arena_memdup(&tape->arena, attributes, size) : NULL;
    if (!c.in || !c.out || (size && !c.attributes))
        return fail(&c);
    point_at_values(&c);
    if (!check_dtypes(&c) || !run_forward(&c) || !tape_ok(tape))
        return fail(&c);
    node->attributes = c.attributes;
    node->saved = c.saved;
    wants = wants && tape->grad_enabled && (op->backward || op->formula || op->composition);
    bool will_pass = wants; /* what is held may be read in other ways */
    for (int k = 0; k < c.outputs; k++) {
        Value *value = tape_value(tape, node->first_output + (uint32_t)k);
        value->stamp = tensor_is_valid(value->t) ? tape->stamp : 0;
        value->wants = wants && value->t.dtype != TENSOR_I32;
        will_pass = will_pass && !value->held;
    }
    tape_blocks_end_forward(tape, c.node, will_pass);
    return tape_handle(tape, node->first_output);
}

Var var_output(Var v, int which)
{
    if (!tape_find(v, "var_output"))
        return tape_empty(v.tape);
    const Node *node = tape_node(v.tape, tape_value(v.tape, v.index)->maker);
    if (which < 0 || which >= node->outputs)
        return tape_empty(v.tape);
    return tape_handle(v.tape, node->first_output + (uint32_t)which);
}

/* ---- What an op's code calls ---- */

Tensor op_new(OpContext *c, int ndim, const int64_t *shape)
{
    TensorDtype dtype = c->in[0]->dtype;
    Tensor t = c->walk ? tape_blocks_new(c->walk, dtype, ndim, shape)
                       : tensor_new(&c->tape->arena, dtype, ndim, shape);
    if (!tensor_is_valid(t))
        op_error(c, "there is no memory for a result of that size");
    else if (!c->walk)
        tape_blocks_note(c, &t);
    return t;
}

Tensor op_new_like(OpContext *c, Tensor t)
{
    return op_new(c, t.ndim, t.shape);
}

bool op_output(OpContext *c, int ndim, const int64_t *shape)
{
    *c->out[0] = op_new(c, ndim, shape);
    return tensor_is_valid(*c->out[0]);
}

bool op_output_like(OpContext *c, Tensor t)
{
    return op_output(c, t.ndim, t.shape);
}

void *op_alloc(OpContext *c, size_t bytes)
{
    void *block = tensor_arena_alloc(&c->tape->arena, bytes);
    return block;
}

TensorArena *op_arena(OpContext *c)
{
    return &c->tape->arena;
}

static Value *input_value(const OpContext *c, int input)
{
    return tape_value(c->tape, node_input(c->tape, tape_node(c->tape, c->node), input));
}

Tensor op_whole(OpContext *c, int input)
{
    Tensor *t = tape_whole(c->tape, input_value(c, input));
    return t ? *t : tensor_invalid();
}

bool op_write(OpContext *c, int input, Tensor out)
{
    const Value *value = input_value(c, input);
    return value->t.data || !value->held ? tensor_copy_into(out, value->t)
                                         : value->held->kind->write(value->held, out);
}

bool op_read_rows(OpContext *c, int input, Tensor ids, Tensor out)
{
    const Value *value = input_value(c, input);
    return value->t.data || !value->held ? tensor_gather_rows(out, value->t, ids)
                                         : value->held->kind->read_rows(value->held, ids, out);
}

TapeParameter *op_parameter(const OpContext *c, int input)
{
    const Value *value = input_value(c, input);
    return value->record && !value->held ? c->tape->records[value->record - 1].parameter : NULL;
}

/* The columns of a parameter that an inner value is a view of, if it is one of whole columns. */
static TapeParameter *columns_behind(const OpContext *c, const Value *value, int64_t *first)
{
    const Node *maker = tape_node(c->tape, value->maker);
    if (maker->count != 1 || value->held || value->t.ndim != 2)
        return NULL;
    const Value *whole = tape_value(c->tape, node_input(c->tape, maker, 0));
    TapeParameter *parameter =
        whole->record && !whole->held ? c->tape->records[whole->record - 1].parameter : NULL;
    const Tensor *t = &value->t, *all = parameter ? &parameter->value : NULL;
    if (!all || all->ndim != 2 || all->dtype != TENSOR_F32 || t->dtype != TENSOR_F32 ||
        all->strides[1] != 1 || t->shape[0] != all->shape[0] || t->strides[0] != all->strides[0] ||
        t->strides[1] != 1)
        return NULL;
    *first = (const float *)t->data - (const float *)all->data;
    return *first >= 0 && *first + t->shape[1] <= all->shape[1] ? parameter : NULL;
}

const TensorPanels *op_panels(const OpContext *c, int input, bool transposed)
{
    TapeParameter *parameter = op_parameter(c, input);
    if (parameter)
        return tape_parameter_panels(parameter, transposed);
    const Value *value = input_value(c, input);
    int64_t first;
    parameter = columns_behind(c, value, &first);
    return parameter ? tape_parameter_columns_panels(parameter, first, value->t.shape[1], transposed) : NULL;
}

const TapeParameter *op_parameter_behind(const OpContext *c, int input)
{
    const Value *value = input_value(c, input);
    return value->record ? c->tape->records[value->record - 1].parameter : NULL;
}

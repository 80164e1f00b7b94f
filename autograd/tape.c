/* The tape: values, nodes, handles, steps. How ops are applied is in autograd/apply.c, how a gradient is
 * found in autograd/walk.c. */
#include "autograd/held_internal.h"
#include "autograd/profile_internal.h"
#include "tensor/mem.h"

#include <string.h>

enum { TAPE_CHUNK_BYTES = 4 << 20, SCRATCH_CHUNK_BYTES = 1 << 16 };

/* ---- Life ---- */

Tape *tape_new(void)
{
    Tape *tape = reel_mem_calloc(1, sizeof *tape);
    if (!tape)
        return NULL;
    tensor_arena_init(&tape->arena, TAPE_CHUNK_BYTES);
    tensor_arena_init(&tape->scratch, SCRATCH_CHUNK_BYTES);
    tape->stamp = 1;
    tape->grad_enabled = true;
    tape->status = reel_status_ok();
    tape->random = tensor_random_new(0, 0);
    return tape;
}

static void free_blocks(Blocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++)
        reel_mem_free(blocks->blocks[i]);
    reel_mem_free(blocks->blocks);
}

void tape_free(Tape *tape)
{
    if (!tape)
        return;
    tape_free(tape->child);
    tape_profile_free(tape->measured);
    tensor_arena_free(&tape->arena);
    tensor_arena_free(&tape->scratch);
    free_blocks(&tape->values);
    free_blocks(&tape->nodes);
    reel_mem_free(tape->inputs);
    reel_mem_free(tape->made);
    reel_mem_free(tape->records);
    reel_mem_free(tape->scopes);
    reel_mem_free(tape->slots);
    reel_mem_free(tape->parameter_values);
    reel_mem_free(tape);
}

static void next_stamp(Tape *tape)
{
    if (++tape->stamp == 0)
        tape->stamp = 1;
}

void tape_begin(Tape *tape)
{
    tape->was_disabled = !tape->grad_enabled;
    tensor_arena_reset(&tape->arena);
    tensor_arena_reset(&tape->scratch);
    tape->value_count = tape->node_count = 0;
    tape->input_count = tape->made_count = 0;
    tape->closed = 0;
    tape->scope_count = 0;
    tape->scope = NULL;
    tape->status = reel_status_ok();
    tape->differentiated = NULL;
    tape_records_rewind(tape);
    next_stamp(tape);
}

TapeMark tape_mark(const Tape *tape)
{
    return (TapeMark){.arena = tensor_arena_mark(&tape->arena),
                      .values = tape->value_count,
                      .nodes = tape->node_count,
                      .inputs = tape->input_count};
}

void tape_rewind(Tape *tape, TapeMark mark)
{
    tensor_arena_rewind(&tape->arena, mark.arena);
    tape->value_count = mark.values;
    tape->node_count = mark.nodes;
    tape->input_count = mark.inputs;
    while (tape->made_count && tape->made[tape->made_count - 1].node >= mark.nodes)
        tape->made_count--;
    tape->closed = tape->closed < mark.nodes ? tape->closed : mark.nodes;
    /* Memory that a held value has got may lie behind the mark. */
    for (uint32_t i = 0; i < mark.values; i++)
        if (tape_value(tape, i)->held)
            tape_value(tape, i)->t.data = NULL;
    tape_records_rewind(tape);
    next_stamp(tape);
}

size_t tape_peak_bytes(const Tape *tape)
{
    return tape->arena.peak + tape->scratch.peak + (tape->child ? tape_peak_bytes(tape->child) : 0);
}

TensorArena *tape_arena(Tape *tape)
{
    return &tape->arena;
}

/* ---- Nodes and handles ---- */

/* Makes room for element i. */
static bool reach(Tape *tape, Blocks *blocks, uint32_t i, size_t element_size)
{
    if ((i >> BLOCK_BITS) < blocks->count)
        return true;
    char **list = reel_mem_grow(blocks->blocks, blocks->count, &blocks->capacity, sizeof *list);
    if (list)
        blocks->blocks = list;
    char *block = list ? reel_mem_alloc(BLOCK_SIZE * element_size) : NULL;
    if (!block) {
        tape->arena.failed = true;
        return false;
    }
    list[blocks->count++] = block;
    return true;
}

static bool reserve_inputs(Tape *tape, int count)
{
    if (tape->input_count + (size_t)count <= tape->input_capacity)
        return true;
    uint32_t *inputs = reel_mem_reserve(tape->inputs, tape->input_count, (size_t)count, &tape->input_capacity,
                                        sizeof *inputs);
    if (!inputs) {
        tape->arena.failed = true;
        return false;
    }
    tape->inputs = inputs;
    return true;
}

uint32_t tape_add_node(Tape *tape, const OpKind *op, int count, int outputs)
{
    uint32_t number = tape->node_count, value = tape->value_count;
    if (!reach(tape, &tape->nodes, number, sizeof(Node)) || !reserve_inputs(tape, count))
        return UINT32_MAX;
    TapeTraceSite site = tape_trace_site();
    *tape_node(tape, number) = (Node){.op = op,
                                      .scope = tape->scope,
                                      .file = site.file,
                                      .line = (uint32_t)site.line,
                                      .first_input = (uint32_t)tape->input_count,
                                      .count = (uint32_t)count,
                                      .first_output = value,
                                      .outputs = (uint16_t)outputs};
    for (int k = 0; k < outputs; k++, value++) {
        if (!reach(tape, &tape->values, value, sizeof(Value)))
            return UINT32_MAX;
        Value *v = tape_value(tape, value);
        v->t.data = NULL;
        v->t.dtype = TENSOR_DTYPE_NONE;
        v->held = NULL;
        v->maker = number;
        v->stamp = v->record = 0;
        v->wants = v->seen = v->gone = false;
    }
    tape->node_count++;
    tape->value_count = value;
    tape->input_count += (size_t)count;
    return number;
}

void tape_drop_node(Tape *tape, uint32_t number)
{
    const Node *node = tape_node(tape, number);
    for (uint32_t k = 0; k < node->outputs; k++)
        tape_value(tape, node->first_output + k)->stamp = 0;
    if (number + 1 < tape->node_count)
        return;
    tape->node_count = number;
    tape->value_count = node->first_output;
    tape->input_count = node->first_input;
}

Var tape_handle(Tape *tape, uint32_t value)
{
    return (Var){.tape = tape, .index = value, .stamp = tape_value(tape, value)->stamp};
}

bool var_is_empty(Var v)
{
    return v.stamp == 0;
}

/* ---- Leaves ---- */

static Var add_leaf(Tape *tape, const Tensor *t, bool wants, const char *user)
{
    if (!tape_ok(tape))
        return tape_empty(tape);
    if (!tensor_is_valid(*t))
        return tape_fail(tape, "%s: the tensor is not valid (did an allocation or a view fail?)", user);
    uint32_t number = tape_add_node(tape, NULL, 0, 1);
    if (number == UINT32_MAX)
        return tape_empty(tape);
    uint32_t index = tape_node(tape, number)->first_output;
    Value *value = tape_value(tape, index);
    value->t = *t;
    value->stamp = tape->stamp;
    value->wants = wants;
    return tape_handle(tape, index);
}

Var(tape_constant)(Tape *tape, Tensor value)
{
    return add_leaf(tape, &value, false, "tape_constant");
}

Var(tape_leaf)(Tape *tape, Tensor value)
{
    if (value.dtype == TENSOR_I32)
        return tape_fail(tape, "tape_leaf: an i32 tensor has no gradient; use tape_constant");
    return add_leaf(tape, &value, tape->grad_enabled, "tape_leaf");
}

Var tape_scalar(Var like, double value)
{
    Value *v = tape_find(like, "tape_scalar");
    if (!v)
        return tape_empty(like.tape);
    return tape_constant(like.tape, tensor_full(&like.tape->arena, v->t.dtype, 0, NULL, value));
}

/* A constant of the shape; invalid without one, or another dtype than f32 and f64: an error. */
static Tensor new_random(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape)
{
    bool real = dtype == TENSOR_F32 || dtype == TENSOR_F64;
    Tensor t = real ? tensor_new(&tape->arena, dtype, ndim, shape) : tensor_invalid();
    if (!tensor_is_valid(t))
        tape_fail(tape, "there are no random numbers of this shape and dtype (%s)", tensor_dtype_name(dtype));
    return t;
}

Var(tape_normal)(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, double mean, double deviation)
{
    Tensor t = new_random(tape, dtype, ndim, shape);
    tensor_random_fill_normal(&tape->random, t, mean, deviation);
    return tensor_is_valid(t) ? (tape_constant)(tape, t) : tape_empty(tape);
}

Var(tape_uniform)(Tape *tape, TensorDtype dtype, int ndim, const int64_t *shape, double low, double high)
{
    Tensor t = new_random(tape, dtype, ndim, shape);
    tensor_random_fill_uniform(&tape->random, t, low, high);
    return tensor_is_valid(t) ? (tape_constant)(tape, t) : tape_empty(tape);
}

Var(tape_parameter)(Tape *tape, TapeParameter *parameter)
{
    if (!tape_ok(tape))
        return tape_empty(tape);
    bool wants = tape->grad_enabled && !parameter->frozen;
    Value *known = tape_find_parameter(tape, parameter);
    if (known) {
        known->wants |= wants; /* its first use may have been without gradients */
        return tape_handle(tape, tape_node(tape, known->maker)->first_output);
    }
    if (!tensor_is_valid(parameter->value))
        return tape_fail(tape,
                         "a parameter has no value yet: call nn_module_reset() or load a checkpoint first");
    Var leaf = add_leaf(tape, &parameter->value, wants, "tape_parameter");
    if (var_is_empty(leaf) || !tape_records_add_parameter(tape, leaf.index, parameter))
        return tape_empty(tape);
    if (parameter->read && !tape_late_hold(tape, tape_value(tape, leaf.index), parameter))
        return tape_empty(tape);
    return leaf;
}

Var(var_detach)(Var v)
{
    Value *value = tape_find(v, "var_detach");
    if (!value || !tape_is_there(v.tape, value, "var_detach"))
        return tape_empty(v.tape);
    Var cut = add_leaf(v.tape, &value->t, false, "var_detach");
    if (!var_is_empty(cut))
        tape_value(v.tape, cut.index)->held = value->held;
    return cut;
}

bool tape_set_grad_enabled(Tape *tape, bool enabled)
{
    bool before = tape->grad_enabled;
    tape->grad_enabled = enabled;
    tape->was_disabled |= !enabled;
    return before;
}

void tape_set_check_finite(Tape *tape, bool check)
{
    tape->check_finite = check;
}

void tape_set_owner(Tape *tape, void *owner)
{
    tape->owner = owner;
}

void *tape_owner(const Tape *tape)
{
    return tape->owner;
}

bool tape_is_repeating(const Tape *tape)
{
    return tape->is_repeating;
}

void tape_set_random(Tape *tape, TensorRandom random)
{
    tape->random = random;
}

TensorRandom *tape_random(Tape *tape)
{
    return &tape->random;
}

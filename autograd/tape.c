/* The tape: nodes, leaves, handles, and the walk backward. How ops are run is in autograd/op.c, how
 * gradients are added up in autograd/gradient.c. */
#include "autograd/tape_internal.h"
#include "tensor/mem.h"
#include "tensor/rows.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TAPE_CHUNK_BYTES = 4 << 20 };

/* ---- Life ---- */

Tape *tape_new(void)
{
    Tape *tape = mem_calloc(1, sizeof *tape);
    if (!tape)
        return NULL;
    arena_init(&tape->arena, TAPE_CHUNK_BYTES);
    tape->stamp = 1;
    tape->grad_enabled = true;
    tape->status = status_ok();
    tape->random = random_new(0, 0);
    return tape;
}

void tape_free(Tape *tape)
{
    if (!tape)
        return;
    arena_free(&tape->arena);
    mem_free(tape->nodes);
    mem_free(tape->scopes);
    mem_free(tape->slots);
    mem_free(tape->parameter_nodes);
    mem_free(tape);
}

static void next_stamp(Tape *tape)
{
    if (++tape->stamp == 0)
        tape->stamp = 1;
}

void tape_begin(Tape *tape)
{
    arena_reset(&tape->arena);
    tape->count = 0;
    tape->scope_count = 0;
    tape->scope = NULL;
    tape->status = status_ok();
    if (tape->parameter_count > 0)
        memset(tape->parameter_nodes, 0, tape->parameter_capacity * sizeof *tape->parameter_nodes);
    tape->parameter_count = 0;
    next_stamp(tape);
}

TapeMark tape_mark(const Tape *tape)
{
    return (TapeMark){.arena = arena_mark(&tape->arena), .count = tape->count};
}

static void forget_parameters(Tape *tape);

void tape_rewind(Tape *tape, TapeMark mark)
{
    arena_rewind(&tape->arena, mark.arena);
    tape->count = mark.count;
    /* What a node that stays has got since (its whole value, gradients) lay behind the mark. */
    for (uint32_t i = 0; i < tape->count; i++) {
        Node *node = &tape->nodes[i];
        node->whole = node->grad = node->kept = tensor_invalid();
        node->row_gradients = NULL;
        node->pairs = (PairList){0};
        node->grad_owned = false;
    }
    forget_parameters(tape);
    next_stamp(tape);
}

size_t tape_peak_bytes(const Tape *tape)
{
    return tape->arena.peak;
}

Arena *tape_arena(Tape *tape)
{
    return &tape->arena;
}

/* ---- Errors ---- */

const Status *tape_status(const Tape *tape)
{
    return &tape->status;
}

bool tape_ok(const Tape *tape)
{
    return status_is_ok(&tape->status);
}

static size_t path_text(const TapeScope *scope, char *text, size_t size)
{
    size_t used = scope->parent ? path_text(scope->parent, text, size) : 0;
    const char *name = scope->name ? scope->name : "";
    int written = snprintf(text + used, size - used, "%s%s", used && *name ? "." : "", name);
    return written < 0 || used + (size_t)written >= size ? size - 1 : used + (size_t)written;
}

void tape_place_text(const Tape *tape, const TapeScope *scope, TraceSite site, char *text, size_t size)
{
    (void)tape;
    char path[200] = "";
    if (scope)
        path_text(scope, path, sizeof path);
    text[0] = '\0';
    if (*path && site.file)
        snprintf(text, size, " (in %s, called at %s:%d)", path, site.file, site.line);
    else if (*path)
        snprintf(text, size, " (in %s)", path);
    else if (site.file)
        snprintf(text, size, " (called at %s:%d)", site.file, site.line);
}

Var tape_fail(Tape *tape, const char *format, ...)
{
    if (tape_ok(tape)) {
        char text[400], place[300];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        tape_place_text(tape, tape->scope, trace_site(), place, sizeof place);
        tape->status = status_failed("%s%s", text, place);
    }
    return tape_empty(tape);
}

void tape_fail_memory(Tape *tape)
{
    tape_fail(tape, "out of memory: the step holds %zu MB", tape->arena.used >> 20);
}

/* ---- Nodes and handles ---- */

Var tape_empty(Tape *tape)
{
    return (Var){.tape = tape};
}

Var tape_handle(Tape *tape, const Node *node)
{
    return (Var){.tape = tape, .index = (uint32_t)(node - tape->nodes), .stamp = node->stamp};
}

bool var_is_empty(Var v)
{
    return v.stamp == 0;
}

Node *tape_node(Var v, const char *user)
{
    if (!v.tape || v.stamp == 0)
        return NULL;
    if (v.index < v.tape->count && v.tape->nodes[v.index].stamp == v.stamp)
        return &v.tape->nodes[v.index];
    tape_fail(v.tape, "%s: a stale handle: the value belongs to an earlier step of this tape", user);
    return NULL;
}

Node *tape_add_node(Tape *tape)
{
    Node *nodes = mem_grow(tape->nodes, tape->count, &tape->capacity, sizeof *nodes);
    if (!nodes) {
        tape_fail_memory(tape);
        return NULL;
    }
    tape->nodes = nodes;
    Node *node = &nodes[tape->count++];
    memset(node, 0, sizeof *node);
    node->stamp = tape->stamp;
    node->scope = tape->scope;
    node->site = trace_site();
    return node;
}

/* ---- Leaves ---- */

static Var add_leaf(Tape *tape, Tensor value, bool wants_grad, const char *user)
{
    if (!tape_ok(tape))
        return tape_empty(tape);
    if (!tensor_is_valid(value))
        return tape_fail(tape, "%s: the tensor is not valid (did an allocation or a view fail?)", user);
    Node *node = tape_add_node(tape);
    if (!node)
        return tape_empty(tape);
    node->value = value;
    node->wants_grad = wants_grad;
    return tape_handle(tape, node);
}

Var(tape_constant)(Tape *tape, Tensor value)
{
    return add_leaf(tape, value, false, "tape_constant");
}

Var(tape_leaf)(Tape *tape, Tensor value)
{
    if (value.dtype == DTYPE_I32)
        return tape_fail(tape, "tape_leaf: an i32 tensor has no gradient; use tape_constant");
    return add_leaf(tape, value, tape->grad_enabled, "tape_leaf");
}

Var tape_scalar(Var like, double value)
{
    Node *node = tape_node(like, "tape_scalar");
    if (!node)
        return tape_empty(like.tape);
    return tape_constant(like.tape, tensor_full(&like.tape->arena, node->value.dtype, 0, NULL, value));
}

static size_t parameter_slot(const Tape *tape, const Parameter *parameter)
{
    size_t mask = tape->parameter_capacity - 1;
    size_t slot = (size_t)(((uintptr_t)parameter >> 4) * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (tape->parameter_nodes[slot] && tape->nodes[tape->parameter_nodes[slot] - 1].parameter != parameter)
        slot = (slot + 1) & mask;
    return slot;
}

Node *tape_find_parameter(const Tape *tape, const Parameter *parameter)
{
    if (tape->parameter_count == 0)
        return NULL;
    uint32_t found = tape->parameter_nodes[parameter_slot(tape, parameter)];
    return found ? &tape->nodes[found - 1] : NULL;
}

/* Puts every parameter node that is on the tape into a table of `capacity` slots (a power of two). */
static bool rehash_parameters(Tape *tape, size_t capacity)
{
    if (capacity != tape->parameter_capacity) {
        uint32_t *table = mem_alloc(capacity * sizeof *table);
        if (!table)
            return false;
        mem_free(tape->parameter_nodes);
        tape->parameter_nodes = table;
        tape->parameter_capacity = capacity;
    }
    if (capacity > 0)
        memset(tape->parameter_nodes, 0, capacity * sizeof *tape->parameter_nodes);
    tape->parameter_count = 0;
    for (uint32_t i = 0; i < tape->count; i++)
        if (tape->nodes[i].parameter) {
            tape->parameter_nodes[parameter_slot(tape, tape->nodes[i].parameter)] = i + 1;
            tape->parameter_count++;
        }
    return true;
}

static void forget_parameters(Tape *tape)
{
    rehash_parameters(tape, tape->parameter_capacity);
}

Var(tape_parameter)(Tape *tape, Parameter *parameter)
{
    if (!tape_ok(tape))
        return tape_empty(tape);
    bool wants_grad = tape->grad_enabled && !parameter->frozen;
    Node *known = tape_find_parameter(tape, parameter);
    if (known) {
        known->wants_grad |= wants_grad; /* its first use may have been without gradients */
        return tape_handle(tape, known);
    }
    if (!tensor_is_valid(parameter->value))
        return tape_fail(tape,
                         "a parameter has no value yet: call nn_module_reset() or load a checkpoint first");
    if (2 * (tape->parameter_count + 1) > tape->parameter_capacity &&
        !rehash_parameters(tape, tape->parameter_capacity ? 2 * tape->parameter_capacity : 64)) {
        tape_fail_memory(tape);
        return tape_empty(tape);
    }
    Var leaf = add_leaf(tape, parameter->value, wants_grad, "tape_parameter");
    if (var_is_empty(leaf))
        return leaf;
    tape->parameter_nodes[parameter_slot(tape, parameter)] = leaf.index + 1;
    tape->parameter_count++;
    tape->nodes[leaf.index].parameter = parameter;
    return leaf;
}

/* ---- Values ---- */

Tensor tape_whole(Tape *tape, Node *node)
{
    if (!tensor_is_valid(node->index))
        return node->value;
    if (!tensor_is_valid(node->whole)) {
        int64_t shape[TENSOR_MAX_DIMS];
        memcpy(shape, node->value.shape, sizeof shape);
        shape[0] = node->index.shape[0];
        node->whole = tensor_new(&tape->arena, node->value.dtype, node->value.ndim, shape);
        if (tensor_is_valid(node->whole))
            tensor_gather_rows(node->whole, node->value, node->index);
        else
            tape_fail_memory(tape);
    }
    return node->whole;
}

Tensor tape_readable(Tape *tape, Node *node)
{
    if (!node->parameter || !node->parameter->read)
        return tape_whole(tape, node);
    if (!tensor_is_valid(node->whole)) {
        node->whole = parameter_snapshot(node->parameter, &tape->arena);
        if (!tensor_is_valid(node->whole))
            tape_fail_memory(tape);
    }
    return node->whole;
}

Tensor(var_value)(Var v)
{
    Node *node = tape_node(v, "var_value");
    return node ? tape_readable(v.tape, node) : tensor_invalid();
}

int var_ndim(Var v)
{
    Node *node = tape_node(v, "var_ndim");
    return node ? node->value.ndim : 0;
}

int64_t var_size(Var v, int axis)
{
    Node *node = tape_node(v, "var_size");
    if (!node)
        return 0;
    if (axis < 0)
        axis += node->value.ndim;
    if (axis < 0 || axis >= node->value.ndim)
        return 0;
    return axis == 0 && tensor_is_valid(node->index) ? node->index.shape[0] : node->value.shape[axis];
}

double var_item(Var v)
{
    Node *node = tape_node(v, "var_item");
    return node ? tensor_item(tape_readable(v.tape, node)) : NAN;
}

Var(var_detach)(Var v)
{
    Node *node = tape_node(v, "var_detach");
    if (!node)
        return tape_empty(v.tape);
    Tensor value = node->parameter ? tape_readable(v.tape, node) : node->value, index = node->index;
    Var cut = add_leaf(v.tape, value, false, "var_detach");
    if (!var_is_empty(cut))
        v.tape->nodes[cut.index].index = index;
    return cut;
}

bool tape_set_grad_enabled(Tape *tape, bool enabled)
{
    bool before = tape->grad_enabled;
    tape->grad_enabled = enabled;
    return before;
}

/* ---- Backward ---- */

bool(tape_backward)(Var loss)
{
    Tape *tape = loss.tape;
    Node *start = tape_node(loss, "tape_backward");
    if (!start && tape && tape_ok(tape))
        tape_fail(tape, "tape_backward: the loss is an empty value");
    if (!start || !tape_ok(tape))
        return false;
    char shape[SHAPE_TEXT_SIZE];
    if (tensor_numel(&start->value) != 1 || tensor_is_valid(start->index)) {
        tape_fail(tape,
                  "tape_backward: the loss must be one number, but has shape %s; use var_sum or var_mean",
                  tensor_shape_text(&start->value, shape));
        return false;
    }
    if (!start->wants_grad) {
        tape_fail(tape, "tape_backward: the loss depends on no value that wants a gradient");
        return false;
    }
    if (start->backward_run) {
        tape_fail(tape, "tape_backward: backward has already been run from this loss in this step");
        return false;
    }
    start->backward_run = true;
    Tensor one = tensor_full(&tape->arena, start->value.dtype, start->value.ndim, start->value.shape, 1.0);
    if (!tensor_is_valid(one))
        tape_fail_memory(tape);
    tape_add_grad(tape, start, one, false, "tape_backward");
    for (uint32_t i = loss.index + 1; i-- > 0 && tape_ok(tape);)
        op_run_backward(tape, i);
    return tape_ok(tape);
}

void var_retain_grad(Var v)
{
    Node *node = tape_node(v, "var_retain_grad");
    if (node)
        node->retain = true;
}

/* ---- Running ---- */

void tape_enter(Tape *tape, const TapeScope *scope)
{
    const TapeScope **scopes =
        mem_grow(tape->scopes, tape->scope_count, &tape->scope_capacity, sizeof *scopes);
    if (!scopes) {
        tape_fail_memory(tape);
        tape->scope_count++; /* keeps enter and leave in step; the path of messages is then too short */
        return;
    }
    tape->scopes = scopes;
    if (tape->scope_count < tape->scope_capacity)
        scopes[tape->scope_count] = tape->scope;
    tape->scope_count++;
    tape->scope = scope;
}

void tape_leave(Tape *tape)
{
    if (tape->scope_count == 0)
        return;
    tape->scope_count--;
    if (tape->scope_count < tape->scope_capacity)
        tape->scope = tape->scopes[tape->scope_count];
}

void tape_set_check_finite(Tape *tape, bool check)
{
    tape->check_finite = check;
}

void tape_set_random(Tape *tape, Random random)
{
    tape->random = random;
}

Random *tape_random(Tape *tape)
{
    return &tape->random;
}

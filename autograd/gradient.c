/* The door: every gradient is added to a node here, and nowhere else. */
#include "autograd/tape_internal.h"
#include "autograd/trace.h"
#include "tensor/elementwise.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

#include <string.h>

/* `grad` summed down to the shape of `like`, itself where the shapes agree. */
static Tensor sum_to_shape(Tape *tape, Tensor grad, const Tensor *like)
{
    if (tensor_same_shape(&grad, like))
        return grad;
    Tensor sum = tensor_new(&tape->arena, like->dtype, like->ndim, like->shape);
    if (!tensor_is_valid(sum)) {
        tape_fail_memory(tape);
        return sum;
    }
    return tensor_sum_to(sum, grad, false) ? sum : tensor_invalid();
}

/* Makes node->grad memory of its own that may be added to; zeros if there was nothing. */
static bool own_gradient(Tape *tape, Node *node)
{
    if (node->grad_owned)
        return true;
    Tensor own = tensor_is_valid(node->grad)
                     ? tensor_copy(&tape->arena, node->grad)
                     : tensor_zeros(&tape->arena, node->value.dtype, node->value.ndim, node->value.shape);
    if (!tensor_is_valid(own)) {
        tape_fail_memory(tape);
        return false;
    }
    node->grad = own;
    node->grad_owned = true;
    return true;
}

static void add_same_shape(Tape *tape, Node *node, Tensor grad)
{
    if (!tensor_is_valid(node->grad)) {
        node->grad = grad; /* kept, not copied: the giver does not write it again */
        return;
    }
    if (node->grad_owned) {
        tensor_binary(BINARY_ADD, node->grad, node->grad, grad);
        return;
    }
    Tensor sum = tensor_new(&tape->arena, node->value.dtype, node->value.ndim, node->value.shape);
    if (!tensor_is_valid(sum)) {
        tape_fail_memory(tape);
        return;
    }
    tensor_binary(BINARY_ADD, sum, node->grad, grad);
    node->grad = sum;
    node->grad_owned = true;
}

static bool check_grad_finite(Tape *tape, Tensor grad, const char *op_name)
{
    char shape[SHAPE_TEXT_SIZE];
    if (!tape->check_finite || tensor_is_finite(grad))
        return true;
    tape_fail(tape, "backward of %s: made a NaN or an infinity in a gradient of shape %s", op_name,
              tensor_shape_text(&grad, shape));
    return false;
}

void tape_add_grad(Tape *tape, Node *node, Tensor grad, bool rows, const char *op_name)
{
    if (!node->wants_grad || !tensor_is_valid(grad) || !tape_ok(tape))
        return;
    if (!check_grad_finite(tape, grad, op_name))
        return;
    char wanted[SHAPE_TEXT_SIZE];
    Tensor index = node->index;
    if (tensor_is_valid(index) && !rows) {
        Node *owner = node;
        while (owner->same_rows)
            owner = &tape->nodes[owner->inputs[0]];
        Tensor like = owner->value;
        like.shape[0] = index.shape[0];
        grad = sum_to_shape(tape, grad, &like);
        if (tensor_is_valid(grad) && own_gradient(tape, owner) &&
            tensor_scatter_add_rows(owner->grad, grad, index))
            return;
    } else {
        while (node->same_rows)
            node = &tape->nodes[node->inputs[0]];
        grad = sum_to_shape(tape, grad, &node->value);
        if (tensor_is_valid(grad)) {
            add_same_shape(tape, node, grad);
            return;
        }
    }
    if (tape_ok(tape))
        tape_fail(tape, "backward of %s: a gradient does not fit its value of shape %s", op_name,
                  tensor_shape_text(&node->value, wanted));
}

/* Indices start, start + step, ... of an axis, as many as `grad` has there. */
static Tensor part_for(Tensor t, Tensor grad, int axis, int64_t start, int64_t step)
{
    if (grad.shape[axis] == 0)
        return tensor_slice(t, axis, 0, 0, 1);
    int64_t last = start + step * (grad.shape[axis] - 1), stop = step > 0 ? last + 1 : last - 1;
    return tensor_slice(t, axis, start, stop < 0 ? TENSOR_END : stop, step);
}

void tape_add_grad_slice(Tape *tape, Node *node, Tensor grad, int axis, int64_t start, int64_t step,
                         const char *op_name)
{
    if (!node->wants_grad || !tensor_is_valid(grad) || !tape_ok(tape) ||
        !check_grad_finite(tape, grad, op_name))
        return;
    if (tensor_is_valid(node->index)) {
        /* Rare: a part of a repeated-rows value. The whole gradient with zeros elsewhere is scattered. */
        Tensor like = node->value;
        like.shape[0] = node->index.shape[0];
        Tensor whole = tensor_zeros(&tape->arena, like.dtype, like.ndim, like.shape);
        if (!tensor_is_valid(whole))
            tape_fail_memory(tape);
        else if (tensor_copy_into(part_for(whole, grad, axis, start, step), grad))
            tape_add_grad(tape, node, whole, false, op_name);
        return;
    }
    if (!own_gradient(tape, node))
        return;
    char got[SHAPE_TEXT_SIZE], wanted[SHAPE_TEXT_SIZE];
    Tensor part = part_for(node->grad, grad, axis, start, step);
    if (!tensor_same_shape(&part, &grad) || !tensor_binary(BINARY_ADD, part, part, grad))
        tape_fail(tape, "backward of %s: a gradient of shape %s does not fit a part of %s", op_name,
                  tensor_shape_text(&grad, got), tensor_shape_text(&node->value, wanted));
}

/* ---- Products that are put off ---- */

void tape_add_pair(Tape *tape, Node *leaf, Tensor dy, Tensor x)
{
    PairList *list = &leaf->pairs;
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 8;
        PanelsPair *pairs = arena_alloc(&tape->arena, (size_t)capacity * sizeof *pairs);
        if (!pairs) {
            tape_fail_memory(tape);
            return;
        }
        if (list->count)
            memcpy(pairs, list->pairs, (size_t)list->count * sizeof *pairs);
        list->pairs = pairs;
        list->capacity = capacity;
    }
    list->pairs[list->count++] = (PanelsPair){.dy = dy, .x = x};
}

void tape_flush_pairs(Tape *tape, Node *leaf)
{
    PairList list = leaf->pairs;
    if (list.count == 0)
        return;
    leaf->pairs = (PairList){0};
    Tensor sum = tensor_new(&tape->arena, leaf->value.dtype, leaf->value.ndim, leaf->value.shape);
    if (!tensor_is_valid(sum)) {
        tape_fail_memory(tape);
        return;
    }
    bool done = sum.dtype == DTYPE_F32 && panels_accumulate(sum, list.pairs, list.count, 0.0, &tape->arena);
    for (int64_t i = 0, ok = !done; i < list.count && ok; i++)
        ok = done = tensor_matmul(sum, 1.0, tensor_transpose(list.pairs[i].dy, 0, 1), list.pairs[i].x,
                                  i == 0 ? 0.0 : 1.0);
    /* An error is told to be where the leaf came to be: for a weight, in the module that uses it. */
    const TapeScope *scope = tape->scope;
    tape->scope = leaf->scope;
    trace_push(leaf->site.file, leaf->site.line);
    if (done)
        tape_add_grad(tape, leaf, sum, false, "linear");
    else
        tape_fail_memory(tape);
    trace_pop();
    tape->scope = scope;
}

/* ---- Gradients of some rows ---- */

int32_t *tape_slots(Tape *tape, int64_t size)
{
    if (size > tape->slot_count) {
        int32_t *slots = mem_calloc((size_t)size, sizeof *slots);
        if (!slots) {
            tape_fail_memory(tape);
            return NULL;
        }
        mem_free(tape->slots);
        tape->slots = slots;
        tape->slot_count = size;
    }
    return tape->slots;
}

/* All row gradients of a leaf as one list in which no id stands twice, in the order of first
 * appearance. */
static bool coalesce_rows(Tape *tape, Node *leaf)
{
    RowGradient *list = leaf->row_gradients;
    if (!list || !list->next)
        return true;
    int64_t total = 0;
    for (RowGradient *part = list; part; part = part->next)
        total += part->ids.shape[0];
    Tensor ids = tensor_new(&tape->arena, DTYPE_I32, SHAPE(total));
    Tensor place = tensor_new(&tape->arena, DTYPE_I32, SHAPE(total));
    int32_t *slots = tape_slots(tape, leaf->value.shape[0]);
    if (!tensor_is_valid(ids) || !tensor_is_valid(place) || !slots)
        return false;
    int32_t distinct = 0;
    int64_t at = 0;
    for (RowGradient *part = list; part; part = part->next)
        for (int64_t i = 0; i < part->ids.shape[0]; i++, at++) {
            int32_t id = tensor_i32(part->ids)[i], slot = slots[id];
            if (slot < 0 || slot >= distinct || tensor_i32(ids)[slot] != id) {
                slot = slots[id] = distinct;
                tensor_i32(ids)[distinct++] = id;
            }
            tensor_i32(place)[at] = slot;
        }
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, leaf->value.shape, sizeof shape);
    shape[0] = distinct;
    Tensor rows = tensor_zeros(&tape->arena, leaf->value.dtype, leaf->value.ndim, shape);
    if (!tensor_is_valid(rows))
        return false;
    at = 0;
    for (RowGradient *part = list; part; part = part->next) {
        int64_t n = part->ids.shape[0];
        tensor_scatter_add_rows(rows, part->rows, tensor_slice(place, 0, at, at + n, 1));
        at += n;
    }
    list->rows = rows;
    list->ids = tensor_slice(ids, 0, 0, distinct, 1);
    list->next = NULL;
    return true;
}

/* Adds the row gradients to the dense gradient. */
static bool densify_rows(Tape *tape, Node *leaf)
{
    if (!leaf->row_gradients)
        return true;
    if (!own_gradient(tape, leaf))
        return false;
    for (RowGradient *part = leaf->row_gradients; part; part = part->next)
        tensor_scatter_add_rows(leaf->grad, part->rows, part->ids);
    leaf->row_gradients = NULL;
    return true;
}

/* A leaf's dense gradient without gaps: what came through the door may be a broadcast view. */
static Tensor dense_gradient(Tape *tape, Node *leaf)
{
    if (!tensor_is_valid(leaf->grad) || tensor_is_contiguous(&leaf->grad))
        return leaf->grad;
    leaf->grad_owned = false;
    return own_gradient(tape, leaf) ? leaf->grad : tensor_invalid();
}

Tensor var_grad(Var v)
{
    Node *node = tape_node(v, "var_grad");
    if (!node || !tape_ok(v.tape))
        return tensor_invalid();
    if (node->op)
        return node->kept;
    if (!densify_rows(v.tape, node))
        return tensor_invalid();
    return dense_gradient(v.tape, node);
}

TapeGradient tape_gradient(Tape *tape, const Parameter *parameter)
{
    TapeGradient gradient = {0};
    if (!tape_ok(tape))
        return gradient;
    Node *leaf = tape_find_parameter(tape, parameter);
    if (!leaf)
        return gradient;
    bool ok = tensor_is_valid(leaf->grad) ? densify_rows(tape, leaf) : coalesce_rows(tape, leaf);
    if (!ok) {
        tape_fail_memory(tape);
        return gradient;
    }
    if (leaf->row_gradients) {
        gradient.rows = leaf->row_gradients->rows;
        gradient.ids = leaf->row_gradients->ids;
    } else {
        gradient.dense = dense_gradient(tape, leaf);
    }
    return gradient;
}

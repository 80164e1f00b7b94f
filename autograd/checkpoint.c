/* Recomputation (Chen et al. 2016, arXiv 1604.06174): a part of a model whose values are not kept. Its
 * forward runs on a tape of its own, which is used again by the next part, and once more when backward comes
 * to it. */
#include "autograd/walk_internal.h"

#include <string.h>

/* One use of a part. */
typedef struct ModelCheckpoint {
    TapeFunction *function;
    void *context;
    int count; /* of its inputs; the parameters that it read are further ones */
    TensorRandom random;
    Tensor result; /* of forward */
} ModelCheckpoint;

static Tape *child_of(Tape *tape)
{
    if (!tape->child)
        tape->child = tape_new();
    tape->arena.failed |= !tape->child;
    return tape->child;
}

/* The part's output on the child's new step; empty with an error on the tape. `in`: values of its inputs. */
static Var run(Tape *tape, Tape *child, const ModelCheckpoint *part, Tensor **in, const bool *wants,
               Var *leaves)
{
    tape_begin(child);
    child->scope = tape->scope;
    child->profile = tape->profile;
    child->check_finite = tape->check_finite;
    child->owner = tape->owner;
    child->is_repeating = wants || tape->is_repeating;
    tape_set_random(child, part->random);
    for (int i = 0; i < part->count; i++)
        leaves[i] = wants && wants[i] ? tape_leaf(child, *in[i]) : tape_constant(child, *in[i]);
    Var out = part->function(child, leaves, part->count, part->context);
    if (!tape_find(out, "tape_checkpoint") || out.tape != child || !tape_ok(child)) {
        if (tape_ok(child))
            tape_fail(child, "tape_checkpoint: no value of the tape it was given came back");
        tape_fail(tape, "%s", tape_status(child)->message);
        return tape_empty(child);
    }
    return out;
}

/* ---- The op ---- */

static bool checkpoint_forward(OpContext *c)
{
    *c->out[0] = ((const ModelCheckpoint *)c->attributes)->result;
    return true;
}

/* In memory that the walk uses again. */
static Tensor copy_of(OpContext *c, Tensor gradient)
{
    Tensor copy = tape_blocks_new(c->walk, gradient.dtype, gradient.ndim, gradient.shape);
    if (tensor_is_valid(copy))
        tensor_copy_into(copy, gradient);
    return copy;
}

/* What child's memory holds is gone at its next step. */
static void give_copy(OpContext *c, OpTerm *term, TapeGradient gradient)
{
    if (tensor_is_valid(gradient.rows))
        op_give_rows(term, tensor_copy(op_arena(c), gradient.rows), tensor_copy(op_arena(c), gradient.ids),
                     true);
    else if (tensor_is_valid(gradient.dense))
        op_give(term, copy_of(c, gradient.dense));
}

static void checkpoint_backward(OpContext *c, OpTerm *terms)
{
    const ModelCheckpoint *part = c->attributes;
    Tape *tape = c->tape, *child = child_of(tape);
    Var *leaves = op_alloc(c, (size_t)part->count * sizeof *leaves);
    bool *wants = op_alloc(c, (size_t)part->count + 1);
    if (!child || !leaves || !wants)
        return;
    for (int i = 0; i < part->count; i++)
        wants[i] = op_needs_grad(c, i);
    Var out = run(tape, child, part, c->in, wants, leaves);
    if (var_is_empty(out) || !tape_backward_from(out, *c->grad[0])) {
        tape_fail(tape, "%s", tape_status(child)->message);
        return;
    }
    for (int i = 0; i < part->count; i++)
        give_copy(c, &terms[i], (TapeGradient){.dense = wants[i] ? var_grad(leaves[i]) : tensor_invalid()});
    for (int i = part->count; i < c->count; i++)
        give_copy(c, &terms[i], tape_gradient(child, op_parameter_behind(c, i)));
}

static const OpKind op_checkpoint = {.name = "checkpoint",
                                     .forward = checkpoint_forward,
                                     .backward = checkpoint_backward,
                                     .lazy_forward = ~0u,
                                     .backward_reads = OP_IN(0) | OP_IN(1) | OP_IN(2) | OP_IN(3)};

/* ---- Applying it ---- */

/* The inputs and, behind them, the parameters that the child has read. */
static Var *with_parameters(Tape *tape, const Tape *child, const Var *inputs, int count, int *all)
{
    Var *list = tensor_arena_alloc(&tape->arena, ((size_t)count + child->record_count) * sizeof *list);
    if (!list)
        return NULL;
    memcpy(list, inputs, (size_t)count * sizeof *list);
    *all = count;
    for (size_t i = 0; i < child->record_count; i++)
        if (child->records[i].parameter)
            list[(*all)++] = tape_parameter(tape, child->records[i].parameter);
    return list;
}

Var(tape_checkpoint)(TapeFunction *function, void *context, const Var *inputs, int count)
{
    Tape *tape = count > 0 ? inputs[0].tape : NULL;
    if (!tape || !tape_ok(tape))
        return tape_empty(tape);
    Tape *child = child_of(tape);
    ModelCheckpoint part = {
        .function = function, .context = context, .count = count, .random = *tape_random(tape)};
    Tensor **in = tensor_arena_alloc(&tape->arena, (size_t)count * sizeof *in);
    Var *leaves = tensor_arena_alloc(&tape->arena, (size_t)count * sizeof *leaves), *list = NULL;
    if (!child || !in || !leaves)
        return tape_empty(tape);
    for (int i = 0; i < count; i++) {
        Value *value = inputs[i].tape == tape ? tape_find(inputs[i], "tape_checkpoint") : NULL;
        if (!value)
            return tape_fail(tape, "tape_checkpoint: input %d is an empty value, or of another tape", i);
        if (!(in[i] = tape_whole(tape, value)))
            return tape_empty(tape);
    }
    Var out = run(tape, child, &part, in, NULL, leaves);
    if (var_is_empty(out))
        return tape_empty(tape);
    part.result = tensor_copy(&tape->arena, (var_value)(out));
    *tape_random(tape) = *tape_random(child);
    int all = 0;
    if (tensor_is_valid(part.result))
        list = with_parameters(tape, child, inputs, count, &all);
    return list ? op_apply(&op_checkpoint, list, all, &part, sizeof part) : tape_empty(tape);
}

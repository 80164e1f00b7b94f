/* What gradients that are values of the tape are made of: the ops that graph.c asks for. The sum of the terms
 * of a value is one recorded op. */
#include "autograd/ops.h"
#include "autograd/walk_internal.h"

#include <string.h>

/* What the sum is of: its inputs are, for each term, `a`, and for rows also the ids. */
typedef struct Sum {
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    int count;
    struct {
        OpTermKind kind;
        OpPart part;
        int input;
    } terms[];
} Sum;

static bool sum_forward(OpContext *c)
{
    const Sum *sum = c->attributes;
    Tape *tape = c->tape;
    TapeWalk walk = {.tape = tape};
    Pending pending = {.sum = {0}};
    Tensor like = {.dtype = c->in[0]->dtype, .ndim = sum->ndim};
    memcpy(like.shape, sum->shape, sizeof sum->shape);
    for (int i = 0; i < sum->count; i++) {
        const Tensor *a = c->in[sum->terms[i].input];
        bool done = sum->terms[i].kind == OP_TERM_PART
                        ? tape_fold_part(&walk, &pending, &like, a, sum->terms[i].part)
                    : sum->terms[i].kind == OP_TERM_ROWS
                        ? tape_fold_rows(&walk, &pending, &like, a, *c->in[sum->terms[i].input + 1])
                        : tape_fold_dense(&walk, &pending, &like, a);
        if (!done)
            return op_error(c, "a gradient does not fit to its value");
    }
    tape_fold_finish(&pending);
    *c->out[0] = pending.sum;
    return true;
}

/* The indices of `g` that a part with the sizes of `like` is of. */
static Var slice_for(Var g, Var like, OpPart part)
{
    int64_t n = var_size(like, part.axis);
    if (n == 0)
        return var_slice(g, part.axis, 0, 0, 1);
    int64_t last = part.start + part.step * (n - 1), stop = part.step > 0 ? last + 1 : last - 1;
    return var_slice(g, part.axis, part.start, stop < 0 ? TENSOR_END : stop, part.step);
}

static void sum_formula(const OpUse *use, OpVarTerm *terms)
{
    const Sum *sum = use->attributes;
    Var g = use->grad[0];
    for (int i = 0; i < sum->count; i++) {
        int input = sum->terms[i].input;
        Var a = use->in[input];
        int64_t shape[TENSOR_MAX_DIMS];
        for (int d = 0; d < var_ndim(a); d++)
            shape[d] = var_size(a, d);
        if (sum->terms[i].kind == OP_TERM_PART)
            op_give_var(&terms[input], slice_for(g, a, sum->terms[i].part));
        else if (sum->terms[i].kind == OP_TERM_ROWS)
            op_give_var(&terms[input], var_gather_rows(g, use->in[input + 1]));
        else
            op_give_var(&terms[input], var_expand(g, var_ndim(a), shape));
    }
}

static const OpKind op_sum_of_terms = {
    .name = "sum_of_terms", .forward = sum_forward, .formula = sum_formula};

Var tape_graph_sum(Tape *tape, const Tensor *like, const OpVarTerm *terms, int count)
{
    if (!tape_ok(tape))
        return tape_empty(tape);
    if (count == 1 && terms[0].kind == OP_TERM_DENSE) {
        const Value *only = tape_find(terms[0].a, "tape_vjp");
        if (!only || tensor_same_shape(&only->t, like))
            return terms[0].a;
    }
    size_t bytes = sizeof(Sum) + (size_t)count * sizeof(((Sum *)0)->terms[0]);
    Sum *sum = tensor_arena_calloc(&tape->arena, bytes);
    Var *inputs = tensor_arena_alloc(&tape->arena, 2 * (size_t)count * sizeof *inputs);
    if (!sum || !inputs)
        return tape_empty(tape);
    sum->ndim = like->ndim;
    memcpy(sum->shape, like->shape, sizeof like->shape);
    sum->count = count;
    int used = 0;
    for (int i = 0; i < count; i++) {
        sum->terms[i].kind = terms[i].kind;
        sum->terms[i].part = terms[i].part;
        sum->terms[i].input = used;
        inputs[used++] = terms[i].a;
        if (terms[i].kind == OP_TERM_ROWS)
            inputs[used++] = terms[i].b;
    }
    return op_apply(&op_sum_of_terms, inputs, used, sum, bytes);
}

Var tape_graph_products(Tape *tape, const OpVarTerm *terms, int count)
{
    Var *dy = tensor_arena_alloc(&tape->arena, 2 * (size_t)count * sizeof *dy), *x = dy + count;
    if (!dy)
        return tape_empty(tape);
    for (int i = 0; i < count; i++) {
        dy[i] = terms[i].a;
        x[i] = terms[i].b;
    }
    Var left = count == 1 ? dy[0] : var_concat(dy, count, 0),
        right = count == 1 ? x[0] : var_concat(x, count, 0);
    return var_matmul(var_transpose(left, 0, 1), right);
}

Var tape_graph_alias(Var v)
{
    return var_alias(v);
}

/* A chapter of speed: values whose rows repeat. A batch of 4,096 tokens holds some 1,500 different ones; its
 * embedding is held as the distinct rows [U, ...] and an index [N], meaning rows[index[n]].
 *
 * - A rowwise op is run on the distinct rows, where each of them is in use and there are no more of them than
 *   rows. Its output is held by the same index. An op that has only a formula is not: formulas see whole
 * values.
 * - Other ops get the value in memory, or read it straight into memory of their own (op_write()).
 * - Gradients of such a value, and of selections of its rows, are summed in the form of the distinct rows, at
 *   the value that first held them (the root): first summed, then multiplied.
 *
 * A walk that is asked for the gradient of such a value itself runs plain: values count as in memory. */
#include "autograd/walk_internal.h"
#include "tensor/rows.h"

#include <string.h>

typedef struct Repeated {
    Held held;
    Tensor rows, index;
    uint32_t root;                  /* the value that first held these rows */
    enum { UNKNOWN, NO, YES } pays; /* to work on the distinct rows */
} Repeated;

static const HeldKind repeated_kind;

static Repeated *repeated_of(const Value *value)
{
    return value->held && value->held->kind == &repeated_kind ? (Repeated *)(void *)value->held : NULL;
}

static uint32_t first_output(const OpContext *c)
{
    return tape_node(c->tape, c->node)->first_output;
}

static Repeated *input_held(const OpContext *c)
{
    return repeated_of(tape_value(c->tape, node_input(c->tape, tape_node(c->tape, c->node), 0)));
}

/* Whether each distinct row is in use, and there are no more of them than rows. */
static bool pays(Tape *tape, Repeated *r)
{
    if (r->pays != UNKNOWN)
        return r->pays == YES;
    int64_t count = r->rows.shape[0];
    r->pays = NO;
    if (count > r->index.shape[0])
        return false;
    TensorArenaMark mark = tensor_arena_mark(&tape->arena);
    int32_t *slots = tape_slots(tape, count),
            *used = tensor_arena_alloc(&tape->arena, (size_t)count * sizeof *used);
    if (slots && used && tensor_number_ids(slots, r->index, NULL, used, 0) == count)
        r->pays = YES;
    tensor_arena_rewind(&tape->arena, mark);
    return r->pays == YES;
}

/* ---- Reading ---- */

static bool write(const Held *held, Tensor out)
{
    const Repeated *r = (const Repeated *)(const void *)held;
    return tensor_gather_rows(out, r->rows, r->index);
}

static bool read_rows(const Held *held, Tensor ids, Tensor out)
{
    const Repeated *r = (const Repeated *)(const void *)held;
    for (int64_t i = 0; i < ids.shape[0]; i++) { /* one at a time: few are read so */
        int64_t at = tensor_i32(ids)[i * ids.strides[0]];
        Tensor id = tensor_slice(r->index, 0, at, at + 1, 1);
        if (!tensor_gather_rows(tensor_slice(out, 0, i, i + 1, 1), r->rows, id))
            return false;
    }
    return true;
}

/* ---- Making ---- */

/* Turns output k into the value that is `rows` by `index`. */
static bool hold(OpContext *c, int k, Tensor rows, Tensor index, uint32_t root, bool known_to_pay)
{
    Value *value = tape_value(c->tape, first_output(c) + (uint32_t)k);
    Repeated *r = op_alloc(c, sizeof *r);
    if (!r)
        return false;
    *r = (Repeated){.held = {&repeated_kind},
                    .rows = rows,
                    .index = index,
                    .root = root,
                    .pays = known_to_pay ? YES : UNKNOWN};
    value->held = &r->held;
    value->t = (Tensor){.dtype = rows.dtype, .ndim = rows.ndim};
    memcpy(value->t.shape, rows.shape, sizeof rows.shape);
    value->t.shape[0] = index.shape[0];
    return true;
}

bool tape_repeated_hold(OpContext *c, Tensor rows, Tensor index)
{
    if (REEL_CHAPTERS && c->op->backward)
        return hold(c, 0, rows, index, first_output(c), false);
    Tensor like = rows;
    like.shape[0] = index.shape[0];
    return op_output_like(c, like) && tensor_gather_rows(*c->out[0], rows, index);
}

bool tape_repeated_worth(OpContext *c, const Tensor *rows, Tensor index)
{
    Repeated r = {.rows = *rows, .index = index};
    return REEL_CHAPTERS && pays(c->tape, &r);
}

bool tape_repeated_gather(OpContext *c, Tensor index)
{
    const Repeated *r = input_held(c);
    if (!r)
        return false;
    Tensor composed = tensor_new(op_arena(c), TENSOR_I32, TENSOR_SHAPE(index.shape[0]));
    if (!tensor_is_valid(composed))
        return false;
    for (int64_t i = 0; i < index.shape[0]; i++)
        tensor_i32(composed)[i] =
            tensor_i32(r->index)[r->index.strides[0] * tensor_i32(index)[i * index.strides[0]]];
    return hold(c, 0, r->rows, composed, r->root, false);
}

bool tape_repeated_slice(OpContext *c, int64_t start, int64_t stop, int64_t step)
{
    const Repeated *r = input_held(c);
    if (!r)
        return false;
    Tensor index = tensor_slice(r->index, 0, start, stop, step);
    return tensor_is_valid(index) && hold(c, 0, r->rows, index, r->root, false);
}

/* ---- Rowwise ops ---- */

static bool apply(OpContext *c, const Held *held, bool *done)
{
    Repeated *r = (Repeated *)(void *)(uintptr_t)held;
    *done = c->op->backward && pays(c->tape, r);
    if (!*done)
        return true;
    Tensor *whole = c->in[0];
    c->in[0] = &r->rows;
    bool ok = c->op->forward(c) && op_check_outputs(c);
    for (int k = 0; ok && k < c->outputs; k++) {
        Tensor rows = *c->out[k];
        if (!tensor_is_valid(rows))
            continue;
        if (rows.ndim < 1 || rows.shape[0] != r->rows.shape[0])
            ok = op_error(c, "is said to be rowwise, but its output has another number of rows");
        else
            ok = hold(c, k, rows, r->index, first_output(c) + (uint32_t)k, true);
    }
    c->in[0] = whole;
    return ok;
}

/* ---- Backward ---- */

bool tape_repeated_is_distinct(const OpContext *c)
{
    const Repeated *r = repeated_of(tape_value(c->tape, first_output(c)));
    return r && r->root == first_output(c) && c->walk && !c->walk->plain;
}

static const Tensor *like(const Held *held)
{
    return &((const Repeated *)(const void *)held)->rows;
}

static void backward(OpContext *c, OpTerm *terms)
{
    Repeated *in = input_held(c);
    if (!c->op->backward) {
        tape_graph_backward(c, terms);
        return;
    }
    if (!in || !(c->op->flags & OP_ROWWISE)) { /* the op that made the rows knows what it has */
        if (tape_walk_fetch(c, OP_OUT(0)))
            c->op->backward(c, terms);
        return;
    }
    c->in[0] = &in->rows;
    for (int k = 0; k < c->outputs; k++) {
        Repeated *out = repeated_of(tape_value(c->tape, first_output(c) + (uint32_t)k));
        if (out)
            c->out[k] = &out->rows;
    }
    if (!tape_walk_fetch(c, OP_IN(0) | 0x7fff0000u))
        return;
    c->op->backward(c, terms);
    terms[0].of_held = true;
}

/* A term of some of the rows by their places, as one of the distinct rows. */
static bool add_by_index(TapeWalk *walk, const Repeated *r, const Tensor *grad, Tensor index)
{
    Pending *pending = tape_walk_pending(walk, r->root);
    return pending && tape_fold_rows(walk, pending, &r->rows, grad, index);
}

static bool take_rows(TapeWalk *walk, const Repeated *r, const Tensor *rows, Tensor ids)
{
    Tensor index = tensor_new(&walk->tape->arena, TENSOR_I32, TENSOR_SHAPE(ids.shape[0]));
    if (!tensor_is_valid(index))
        return false;
    for (int64_t i = 0; i < ids.shape[0]; i++)
        tensor_i32(index)[i] =
            tensor_i32(r->index)[r->index.strides[0] * tensor_i32(ids)[i * ids.strides[0]]];
    return add_by_index(walk, r, rows, index);
}

static bool take_part(TapeWalk *walk, const Repeated *r, const OpTerm *term)
{
    if (term->part.axis == 0)
        return add_by_index(walk, r, &term->a, tape_part_of(r->index, &term->a, term->part));
    Pending *pending = tape_walk_pending(walk, r->root);
    if (!pending || !tape_fold_own(walk, pending, &r->rows))
        return false;
    return tensor_scatter_add_rows(tape_part_of(pending->sum, &term->a, term->part), term->a, r->index);
}

/* A dense term, of which each row is the gradient of a row by the index, or a product. */
static bool take_whole(TapeWalk *walk, const Repeated *r, const Tensor *t, const OpTerm *term)
{
    Tensor sum = term->a;
    bool is_whole = term->kind == OP_TERM_DENSE && tensor_same_shape(&sum, t);
    return (is_whole || tape_walk_whole_term(walk, t, term, &sum)) && add_by_index(walk, r, &sum, r->index);
}

static bool take(TapeWalk *walk, uint32_t index, const OpTerm *term)
{
    const Value *value = tape_value(walk->tape, index);
    const Repeated *r = repeated_of(value);
    if (term->of_held)
        return tape_term_check(walk, &r->rows, term) && tape_walk_add(walk, r->root, &r->rows, term);
    if (!tape_term_check(walk, &value->t, term))
        return false;
    switch (term->kind) {
    case OP_TERM_PART:
        return take_part(walk, r, term);
    case OP_TERM_ROWS:
        return take_rows(walk, r, &term->a, term->b);
    default:
        return take_whole(walk, r, &value->t, term);
    }
}

static const HeldKind repeated_kind = {
    .write = write, .read_rows = read_rows, .apply = apply, .take = take, .backward = backward, .like = like};

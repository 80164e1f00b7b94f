/* The walk: from the newest node to the oldest, each node's terms go to its inputs. */
#include "autograd/profile_internal.h"
#include "autograd/walk_internal.h"

#include <string.h>

/* More inputs or outputs than these are put into the scratch arena. */
enum { FEW_INPUTS = 8, FEW_OUTPUTS = 4 };

bool tape_walk_begin(TapeWalk *walk, Tape *tape, const Path *path)
{
    *walk = (TapeWalk){.tape = tape, .plain = tape->retained_held > 0};
    walk->path = path ? *path : (Path){.limit = tape->value_count};
    walk->pending =
        tensor_arena_calloc(&tape->arena, (walk->path.limit - walk->path.base) * sizeof *walk->pending);
    return walk->pending != NULL;
}

/* ---- Terms ---- */

static bool add_rows(TapeWalk *walk, Pending *pending, const OpTerm *term)
{
    TensorArena *arena = &walk->tape->arena;
    RowGradient *part = tensor_arena_alloc(arena, sizeof *part);
    if (part) {
        *part = (RowGradient){.next = pending->rows,
                              .rows = tensor_contiguous(arena, term->a),
                              .ids = tensor_contiguous(arena, term->b),
                              .distinct = term->distinct};
        pending->rows = part;
        tape_blocks_keep(walk, &part->rows);
        tape_blocks_keep(walk, &part->ids);
    }
    return part && tensor_is_valid(part->rows) && tensor_is_valid(part->ids);
}

static bool add(TapeWalk *walk, Pending *pending, const Tensor *like, const OpTerm *term)
{
    switch (term->kind) {
    case OP_TERM_DENSE:
        return tape_fold_dense(walk, pending, like, &term->a);
    case OP_TERM_PART:
        return tape_fold_part(walk, pending, like, &term->a, term->part);
    case OP_TERM_ROWS:
        return add_rows(walk, pending, term);
    default:
        return tape_products_take(walk, pending, like, term);
    }
}

bool tape_walk_add(TapeWalk *walk, uint32_t value, const Tensor *like, const OpTerm *term)
{
    Pending *pending = tape_walk_pending(walk, value);
    return pending && add(walk, pending, like, term);
}

bool tape_walk_whole_term(TapeWalk *walk, const Tensor *like, const OpTerm *term, Tensor *sum)
{
    Pending only = {.sum = {0}};
    bool done = add(walk, &only, like, term) && tape_products_finish(walk, &only, like);
    tape_fold_finish(&only);
    *sum = only.sum;
    return done;
}

bool tape_walk_take(TapeWalk *walk, uint32_t index, const OpTerm *term)
{
    if (term->kind == OP_TERM_NONE || !walk_wants(walk, index))
        return tape_ok(walk->tape);
    const Value *value = tape_value(walk->tape, index);
    if (value->held && value->held->kind->take && !walk->plain)
        return value->held->kind->take(walk, index, term);
    return tape_term_check(walk, &value->t, term) && tape_walk_add(walk, index, &value->t, term);
}

static bool is_leaf(const TapeWalk *walk, const Value *value)
{
    return !tape_node(walk->tape, value->maker)->op;
}

/* Adds what waits to the sum: products, and rows unless the value is a leaf. */
static bool finish_value(TapeWalk *walk, uint32_t index)
{
    const Value *value = tape_value(walk->tape, index);
    Pending *pending = *walk_place(walk, index);
    const Tensor *like = value->held && value->held->kind->like && !walk->plain
                             ? value->held->kind->like(value->held)
                             : &value->t;
    tape_fold_finish(pending);
    if (!tape_products_finish(walk, pending, like))
        return false;
    if (!pending->rows || (is_leaf(walk, value) && !walk->arrive))
        return true;
    RowGradient *first = NULL; /* in the order in which they came */
    for (RowGradient *part = pending->rows, *next; part; part = next) {
        next = part->next;
        part->next = first;
        first = part;
    }
    for (pending->rows = NULL; first; first = first->next)
        if (!tape_fold_rows(walk, pending, like, &first->rows, first->ids))
            return false;
    return true;
}

/* ---- Nodes ---- */

bool tape_walk_fetch(OpContext *c, unsigned except)
{
    Tape *tape = c->tape;
    const Node *node = tape_node(tape, c->node);
    unsigned reads = (c->op->backward_reads ? c->op->backward_reads : ~0u) & ~except;
    for (int i = 0; i < c->count; i++) {
        Value *value = tape_value(tape, node_input(tape, node, i));
        if (value->held && !value->t.data && (reads & OP_IN(i)) && !tape_whole(tape, value))
            return false;
    }
    for (int k = 0; k < c->outputs; k++) {
        Value *value = tape_value(tape, node->first_output + (uint32_t)k);
        if (value->held && !value->t.data && (reads & OP_OUT(k)) && !tape_whole(tape, value))
            return false;
    }
    return true;
}

static void call_backward(OpContext *c, OpTerm *terms)
{
    const Held *held = tape_value(c->tape, tape_node(c->tape, c->node)->first_output)->held;
    if (held && held->kind->backward && !c->walk->plain)
        held->kind->backward(c, terms);
    else if (!c->op->backward)
        tape_graph_backward(c, terms);
    else if (tape_walk_fetch(c, 0))
        c->op->backward(c, terms);
}

static void run_backward(TapeWalk *walk, uint32_t number)
{
    Tape *tape = walk->tape;
    const Node *node = tape_node(tape, number);
    Tensor *few_in[FEW_INPUTS], *few_out[2 * FEW_OUTPUTS];
    OpTerm few_terms[FEW_INPUTS], *terms = few_terms;
    int count = (int)node->count, outputs = node->outputs;
    OpContext c = {.tape = tape,
                   .op = node->op,
                   .attributes = node->attributes,
                   .saved = node->saved,
                   .count = count,
                   .outputs = outputs,
                   .in = few_in,
                   .out = few_out,
                   .walk = walk,
                   .node = number};
    TensorArenaMark mark = tensor_arena_mark(&tape->scratch);
    if (count > FEW_INPUTS) {
        c.in = tensor_arena_alloc(&tape->scratch, (size_t)count * sizeof *c.in);
        terms = tensor_arena_alloc(&tape->scratch, (size_t)count * sizeof *terms);
    }
    if (outputs > FEW_OUTPUTS)
        c.out = tensor_arena_alloc(&tape->scratch, 2 * (size_t)outputs * sizeof *c.out);
    if (!c.in || !c.out || !terms)
        return;
    c.grad = c.out + outputs;
    for (int i = 0; i < count; i++) {
        c.in[i] = &tape_value(tape, node_input(tape, node, i))->t;
        terms[i].kind = OP_TERM_NONE;
    }
    for (int k = 0; k < outputs; k++) {
        uint32_t value = node->first_output + (uint32_t)k;
        Pending *pending = *walk_place(walk, value);
        c.out[k] = &tape_value(tape, value)->t;
        c.grad[k] = pending && tensor_is_valid(pending->sum) ? &pending->sum : NULL;
    }
    bool reached = false;
    for (int k = 0; k < outputs; k++)
        reached |= c.grad[k] != NULL;
    if (reached) {
        call_backward(&c, terms);
        tape_blocks_end_backward(walk);
    }
    OpContext *outer = walk->running;
    walk->running = &c;
    for (walk->input = 0; walk->input < count; walk->input++)
        if (!tape_walk_take(walk, node_input(tape, node, walk->input), &terms[walk->input]))
            break;
    walk->running = outer;
    tensor_arena_rewind(&tape->scratch, mark);
}

/* The gradient of a leaf, or of a value whose gradient is retained, outlives the walk. */
static void keep(TapeWalk *walk, uint32_t index)
{
    Tape *tape = walk->tape;
    Value *value = tape_value(tape, index);
    Pending *pending = *walk_place(walk, index);
    bool leaf = is_leaf(walk, value);
    if (!leaf && !(value->record && tape->records[value->record - 1].retain))
        return;
    Record *record = tape_record(tape, index);
    if (!record)
        return;
    if (!leaf && tensor_is_valid(record->grad)) { /* of another loss */
        Pending sum = {.sum = record->grad, .owned = record->grad_owned};
        tape_fold_dense(walk, &sum, &value->t, &pending->sum);
        record->grad = sum.sum;
        record->grad_owned = sum.owned;
        return;
    }
    record->grad = pending->sum;
    record->grad_owned = leaf && pending->owned; /* an inner value's has been lent to its inputs */
    RowGradient **end = &pending->rows;
    while (*end)
        end = &(*end)->next;
    *end = record->rows;
    record->rows = pending->rows;
}

/* Shows the gradient to the value's hook. */
static void show(TapeWalk *walk, uint32_t index)
{
    Tape *tape = walk->tape;
    const Value *value = tape_value(tape, index);
    const Pending *pending = *walk_place(walk, index);
    if (!pending || !value->record || !tape->records[value->record - 1].hook)
        return;
    Pending sum = {.sum = pending->sum}; /* with the rows of a leaf */
    for (const RowGradient *part = pending->rows; part; part = part->next)
        if (!tape_fold_rows(walk, &sum, &value->t, &part->rows, part->ids))
            return;
    if (tensor_is_valid(sum.sum))
        tape_record_call_hook(tape, index, tape_constant(tape, sum.sum));
}

static bool any_wanted(const TapeWalk *walk, const Node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (walk_wants(walk, walk->tape->inputs[node->first_input + i]))
            return true;
    return false;
}

/* The op whose products wait for a leaf's turn, or NULL. */
static const OpKind *giver_of(const TapeWalk *walk, uint32_t leaf)
{
    const Pending *pending = *walk_place(walk, leaf);
    return pending->products.count > 0 ? pending->giver : NULL;
}

/* Runs a node, if it has been reached. */
static void run_node(TapeWalk *walk, uint32_t number)
{
    Tape *tape = walk->tape;
    const Node *node = tape_node(tape, number);
    uint32_t first = node->first_output, end = first + node->outputs;
    bool reached = false;
    for (uint32_t value = first; value < end; value++)
        reached |= *walk_place(walk, value) != NULL;
    if (!reached || !tape_is_open(tape, number))
        return;
    const TapeScope *scope = tape->scope;
    tape->scope = node->scope;
    tape_trace_push(node->file, (int)node->line);
    if (tape->profile)
        tape_profile_begin(tape, node->op ? node->op : giver_of(walk, first), number, true);
    for (uint32_t value = first; value < end && tape_ok(tape); value++)
        if (*walk_place(walk, value) && !finish_value(walk, value))
            tape_fail(tape, "a gradient's terms cannot be added");
    for (uint32_t value = first; value < end && tape_ok(tape); value++)
        show(walk, value);
    if (tape_ok(tape) && any_wanted(walk, node))
        run_backward(walk, number);
    for (uint32_t value = first; value < end && tape_ok(tape); value++)
        if (*walk_place(walk, value)) {
            if (walk->arrive)
                walk->arrive(walk, value, *walk_place(walk, value));
            else
                keep(walk, value);
            tape_walk_release(walk, value, tape_value(tape, value)->record != 0);
        }
    tape_blocks_end_turn(walk);
    tape_blocks_pass(walk, number);
    if (tape->profile)
        tape_profile_end(tape);
    tape_trace_pop();
    tape->scope = scope;
}

bool tape_walk_run(TapeWalk *walk, uint32_t first, uint32_t last)
{
    for (uint32_t number = first + 1; number-- > last && tape_ok(walk->tape);)
        run_node(walk, number);
    return tape_ok(walk->tape);
}

/* ---- What an op's backward calls ---- */

bool op_needs_grad(const OpContext *c, int input)
{
    uint32_t value = node_input(c->tape, tape_node(c->tape, c->node), input);
    return c->walk ? walk_wants(c->walk, value) : tape_value(c->tape, value)->wants;
}

void op_take_now(OpContext *c, int input, OpTerm *term)
{
    TapeWalk *walk = c->walk;
    OpContext *outer = walk->running;
    walk->running = c;
    walk->input = input;
    tape_walk_take(walk, node_input(c->tape, tape_node(c->tape, c->node), input), term);
    walk->running = outer;
    term->kind = OP_TERM_NONE;
}

TensorArena *op_scratch(OpContext *c)
{
    return &c->tape->scratch;
}

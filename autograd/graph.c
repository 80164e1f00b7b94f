/* Gradients that are values of the tape: the walk over formulas. Terms keep their kinds; the sum of a value's
 * terms is one recorded op, whose gradient is a slice for each part and a gather for rows, so that nothing is
 * padded or scattered on the way. */
#include "autograd/profile_internal.h"
#include "autograd/walk_internal.h"

#include <string.h>

/* ---- What is pending ---- */

typedef struct TermList {
    OpVarTerm *terms;
    int count, capacity;
} TermList;

typedef struct Graph {
    Tape *tape;
    Path path;
    TermList *pending; /* by value, from path.base */
} Graph;

static bool add_term(Graph *graph, uint32_t value, const OpVarTerm *term)
{
    if (term->kind == OP_TERM_NONE || !path_has(&graph->path, value))
        return tape_ok(graph->tape);
    TermList *list = &graph->pending[value - graph->path.base];
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 2;
        OpVarTerm *terms = tensor_arena_alloc(&graph->tape->arena, (size_t)capacity * sizeof *terms);
        if (!terms)
            return false;
        if (list->count)
            memcpy(terms, list->terms, (size_t)list->count * sizeof *terms);
        list->terms = terms;
        list->capacity = capacity;
    }
    list->terms[list->count++] = *term;
    return true;
}

/* Brings the products to the front, and puts one in their place. */
static bool join_products(Graph *graph, TermList *list)
{
    int count = 0;
    for (int i = 0; i < list->count; i++)
        if (list->terms[i].kind == OP_TERM_PRODUCT) {
            OpVarTerm product = list->terms[i];
            memmove(list->terms + count + 1, list->terms + count, (size_t)(i - count) * sizeof product);
            list->terms[count++] = product;
        }
    if (count == 0)
        return true;
    Var sum = tape_graph_products(graph->tape, list->terms, count);
    list->count -= count;
    memmove(list->terms, list->terms + count, (size_t)list->count * sizeof *list->terms);
    op_give_var(&list->terms[list->count++], sum);
    return !var_is_empty(sum);
}

/* The gradient of a value. */
static Var sum_terms(Graph *graph, uint32_t value)
{
    TermList *list = &graph->pending[value - graph->path.base];
    if (!join_products(graph, list))
        return tape_empty(graph->tape);
    return tape_graph_sum(graph->tape, &tape_value(graph->tape, value)->t, list->terms, list->count);
}

/* ---- Nodes ---- */

/* The terms of an op that names the composition which defines it: the composition is applied to aliases of
 * the inputs, so that the walk through it ends there and does not go on through their history. */
static void compose(const OpUse *use, bool create_graph, OpVarTerm *terms)
{
    Tape *tape = use->tape;
    size_t count = (size_t)use->count, outputs = (size_t)use->outputs;
    Var *alias = tensor_arena_alloc(&tape->arena, 2 * count * sizeof *alias);
    Var *out = tensor_arena_calloc(&tape->arena, 2 * outputs * sizeof *out);
    if (!alias || !out)
        return;
    Var *gradients = alias + count, *seeds = out + outputs;
    for (int i = 0; i < use->count; i++) {
        alias[i] = use->wants[i] ? tape_graph_alias(use->in[i]) : use->in[i];
        gradients[i] = tape_empty(tape);
    }
    OpUse inner = *use;
    inner.in = alias;
    use->op->composition(&inner, out);
    int reached = 0, wanted = 0;
    for (int k = 0; k < use->outputs; k++)
        if (!var_is_empty(use->grad[k]) && !var_is_empty(out[k])) {
            out[reached] = out[k];
            seeds[reached++] = use->grad[k];
        }
    for (int i = 0; i < use->count; i++)
        if (use->wants[i])
            alias[wanted++] = alias[i];
    if (!tape_ok(tape) || !tape_vjp(out, seeds, reached, alias, wanted, create_graph, gradients))
        return;
    for (int i = 0, j = 0; i < use->count; i++)
        if (use->wants[i])
            op_give_var(&terms[i], gradients[j++]);
}

/* The terms of one use, by its op's formula or composition. */
static bool make_terms(const OpUse *use, bool create_graph, OpVarTerm *terms)
{
    Tape *tape = use->tape;
    memset(terms, 0, (size_t)use->count * sizeof *terms);
    bool before = tape_set_grad_enabled(tape, create_graph || !use->op->formula);
    const OpKind *outer = tape->differentiated;
    tape->differentiated = use->op;
    if (use->op->formula)
        use->op->formula(use, terms);
    else if (use->op->composition)
        compose(use, create_graph, terms);
    else
        tape_fail(tape, "%s cannot be differentiated twice: it has neither a formula nor a composition",
                  use->op->name);
    tape->differentiated = outer;
    tape_set_grad_enabled(tape, before);
    return tape_ok(tape);
}

/* The use of an op that a node stands for. */
static bool find_use(OpUse *use, Tape *tape, uint32_t number, const Path *path)
{
    const Node *node = tape_node(tape, number);
    Var *vars = tensor_arena_alloc(&tape->arena, (node->count + 2 * (size_t)node->outputs) * sizeof *vars);
    bool *wants = tensor_arena_alloc(&tape->arena, node->count + 1);
    if (!vars || !wants)
        return false;
    for (uint32_t i = 0; i < node->count; i++) {
        uint32_t input = tape->inputs[node->first_input + i];
        vars[i] = tape_handle(tape, input);
        wants[i] = path ? path_has(path, input) : tape_value(tape, input)->wants;
    }
    for (uint32_t k = 0; k < node->outputs; k++) {
        vars[node->count + k] = tape_handle(tape, node->first_output + k);
        vars[node->count + node->outputs + k] = tape_empty(tape);
    }
    *use = (OpUse){.op = node->op,
                   .tape = tape,
                   .attributes = node->attributes,
                   .saved = node->saved,
                   .count = (int)node->count,
                   .outputs = node->outputs,
                   .in = vars,
                   .out = vars + node->count,
                   .grad = vars + node->count + node->outputs,
                   .wants = wants};
    return true;
}

static bool run_node(Graph *graph, uint32_t number, const Var *inputs, int m, Var *gradients)
{
    Tape *tape = graph->tape;
    const Node *node = tape_node(tape, number);
    uint32_t first = node->first_output, base = graph->path.base;
    OpUse use;
    bool reached = false, passes_on = false;
    for (uint32_t k = 0; k < node->outputs; k++)
        reached |= graph->pending[first + k - base].count > 0;
    if (!reached)
        return true;
    if (!tape_is_open(tape, number))
        return false;
    if (!find_use(&use, tape, number, &graph->path))
        return false;
    for (int i = 0; i < use.count; i++)
        passes_on |= use.wants[i];
    for (uint32_t k = 0; k < node->outputs && tape_ok(tape); k++) {
        if (graph->pending[first + k - base].count == 0)
            continue;
        Var sum = sum_terms(graph, first + k);
        tape_record_call_hook(tape, first + k, sum);
        ((Var *)(uintptr_t)use.grad)[k] = sum;
        for (int j = 0; j < m; j++)
            if (inputs[j].index == first + k)
                gradients[j] = sum;
    }
    if (!passes_on || !tape_ok(tape))
        return tape_ok(tape);
    OpVarTerm *terms = tensor_arena_alloc(&tape->arena, node->count * sizeof *terms);
    if (!terms)
        return false;
    bool done = make_terms(&use, true, terms);
    for (int i = 0; i < use.count && done; i++)
        done = add_term(graph, node_input(tape, node, i), &terms[i]);
    return done;
}

bool tape_graph_vjp(Tape *tape, const Path *path, const Var *outputs, const Var *seeds, int n,
                    const Var *inputs, int m, Var *gradients)
{
    Graph graph = {.tape = tape, .path = *path};
    graph.pending = tensor_arena_calloc(&tape->arena, (path->limit - path->base) * sizeof *graph.pending);
    if (!graph.pending)
        return false;
    uint32_t last = 0;
    for (int i = 0; i < n; i++) {
        OpVarTerm seed = {.kind = OP_TERM_DENSE, .a = seeds[i]};
        if (!add_term(&graph, outputs[i].index, &seed))
            return false;
        uint32_t maker = tape_value(tape, outputs[i].index)->maker;
        last = maker > last ? maker : last;
    }
    for (uint32_t number = last + 1; number-- > path->first_node && tape_ok(tape);) {
        const Node *node = tape_node(tape, number);
        const TapeScope *scope = tape->scope;
        tape->scope = node->scope;
        tape_trace_push(node->file, (int)node->line);
        if (tape->profile)
            tape_profile_begin(tape, node->op, number, true);
        run_node(&graph, number, inputs, m, gradients);
        if (tape->profile)
            tape_profile_end(tape);
        tape_trace_pop();
        tape->scope = scope;
    }
    return tape_ok(tape);
}

void tape_graph_backward(OpContext *c, OpTerm *terms)
{
    Tape *tape = c->tape;
    OpUse use;
    OpVarTerm *found = tensor_arena_alloc(&tape->arena, (size_t)c->count * sizeof *found);
    if (!found || !find_use(&use, tape, c->node, NULL))
        return;
    for (int i = 0; i < c->count; i++)
        ((bool *)(uintptr_t)use.wants)[i] = op_needs_grad(c, i);
    for (int k = 0; k < c->outputs; k++)
        if (c->grad[k])
            ((Var *)(uintptr_t)use.grad)[k] = tape_constant(tape, *c->grad[k]);
    if (!make_terms(&use, false, found))
        return;
    for (int i = 0; i < c->count; i++) {
        if (found[i].kind == OP_TERM_NONE)
            continue;
        const Value *a = tape_find(found[i].a, c->op->name);
        op_give(&terms[i], a ? *tape_whole(tape, tape_value(tape, found[i].a.index)) : tensor_invalid());
        if (found[i].kind == OP_TERM_ROWS || found[i].kind == OP_TERM_PRODUCT)
            terms[i].b = *tape_whole(tape, tape_value(tape, found[i].b.index));
        terms[i].kind = found[i].kind;
        terms[i].part = found[i].part;
    }
}

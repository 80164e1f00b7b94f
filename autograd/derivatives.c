/* What walks are for: the gradients of a loss. */
#include "autograd/walk_internal.h"
#include "tensor/rows.h"

/* A parameter that was written since it came onto the tape would give the gradient of neither value. */
static bool check_versions(Tape *tape, const char *user)
{
    for (size_t i = 0; i < tape->record_count; i++) {
        const Record *record = &tape->records[i];
        if (!record->parameter || record->version == record->parameter->version)
            continue;
        const Value *value = tape_value(tape, record->value);
        const Node *node = tape_node(tape, value->maker);
        if (!value->wants)
            continue;
        char shape[TENSOR_SHAPE_TEXT_SIZE];
        const TapeScope *scope = tape->scope;
        tape->scope = node->scope;
        tape_trace_push(node->file, (int)node->line);
        tape_fail(tape, "%s: a parameter of shape %s was changed after the step had read it", user,
                  tensor_shape_text(&value->t, shape));
        tape_trace_pop();
        tape->scope = scope;
        return false;
    }
    return true;
}

/* ---- Backward ---- */

static bool check_loss(Var loss, const Value *value)
{
    Tape *tape = loss.tape;
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    if (tensor_numel(&value->t) != 1)
        tape_fail(tape,
                  "tape_backward: the loss must be one number, but has shape %s; use var_sum or var_mean",
                  tensor_shape_text(&value->t, shape));
    else if (!value->wants)
        tape_fail(tape, "tape_backward: the loss depends on no value that wants a gradient%s",
                  tape->was_disabled ? "; in this step gradients were off: tape_set_grad_enabled(tape, true) "
                                       "turns them on again"
                                     : "");
    else if (value->record && tape->records[value->record - 1].backward_run)
        tape_fail(tape, "tape_backward: backward has already been run from this loss in this step");
    return tape_ok(tape) && check_versions(tape, "tape_backward");
}

static bool run_backward(Var loss, bool is_last)
{
    Tape *tape = loss.tape;
    const Value *value = tape_find(loss, "tape_backward");
    if (!value && tape && tape_ok(tape))
        tape_fail(tape, "tape_backward: the loss is an empty value");
    if (!value || !tape_ok(tape) || !check_loss(loss, value))
        return false;
    Record *record = tape_record(tape, loss.index);
    TapeWalk walk;
    if (!record || !tape_walk_begin(&walk, tape, NULL))
        return false;
    record->backward_run = true;
    walk.reuses = true;
    OpTerm one = {.kind = OP_TERM_DENSE};
    one.a = tensor_full(&tape->arena, value->t.dtype, value->t.ndim, value->t.shape, 1.0);
    if (!tape_ok(tape) || (is_last && !tape_blocks_lend(&walk)))
        return false;
    if (tape_walk_take(&walk, loss.index, &one))
        tape_walk_run(&walk, value->maker, 0);
    if (is_last)
        tape_blocks_close(&walk);
    return tape_ok(tape);
}

bool(tape_backward)(Var loss)
{
    return run_backward(loss, false);
}

bool(tape_backward_last)(Var loss)
{
    return run_backward(loss, true);
}

bool tape_backward_from(Var output, Tensor gradient)
{
    Tape *tape = output.tape;
    const Value *value = tape_find(output, "tape_backward");
    OpTerm seed = {.kind = OP_TERM_DENSE, .a = gradient};
    TapeWalk walk;
    if (!value || !tape_ok(tape))
        return false;
    if (!value->wants)
        return true;
    if (!tape_walk_begin(&walk, tape, NULL))
        return false;
    walk.reuses = true;
    return tape_blocks_lend(&walk) && tape_walk_take(&walk, output.index, &seed) &&
           tape_walk_run(&walk, value->maker, 0);
}

/* ---- Reading gradients ---- */

static bool own(Tape *tape, Record *record)
{
    const Tensor *like = &tape_value(tape, record->value)->t;
    if (record->grad_owned && tensor_is_contiguous(&record->grad))
        return true;
    Tensor copy = tensor_is_valid(record->grad)
                      ? tensor_copy(&tape->arena, record->grad)
                      : tensor_zeros(&tape->arena, like->dtype, like->ndim, like->shape);
    if (!tensor_is_valid(copy))
        return false;
    record->grad = copy;
    return record->grad_owned = true;
}

/* Adds the row gradients to the dense gradient. */
static bool densify(Tape *tape, Record *record)
{
    if (!record->rows)
        return true;
    if (!own(tape, record))
        return false;
    for (RowGradient *part = record->rows; part; part = part->next)
        if (!tensor_scatter_add_rows(record->grad, part->rows, part->ids))
            return false;
    record->rows = NULL;
    return true;
}

Tensor var_grad(Var v)
{
    const Value *value = tape_find(v, "var_grad");
    if (!value || !tape_ok(v.tape) || !value->record)
        return tensor_invalid();
    Record *record = &v.tape->records[value->record - 1];
    if (!tensor_is_valid(record->grad) && !record->rows)
        return tensor_invalid();
    return densify(v.tape, record) && own(v.tape, record) ? record->grad : tensor_invalid();
}

TapeGradient tape_gradient(Tape *tape, const TapeParameter *parameter)
{
    TapeGradient gradient = {0};
    const Value *leaf = tape_ok(tape) ? tape_find_parameter(tape, parameter) : NULL;
    if (!leaf)
        return gradient;
    Record *record = &tape->records[leaf->record - 1];
    bool sparse = !tensor_is_valid(record->grad);
    if (!(sparse ? tape_coalesce_rows(tape, record, &leaf->t) : densify(tape, record)))
        return gradient;
    if (record->rows)
        gradient = (TapeGradient){.rows = record->rows->rows, .ids = record->rows->ids};
    else if (tensor_is_valid(record->grad) && own(tape, record))
        gradient.dense = record->grad;
    return gradient;
}

/* ---- Vector-Jacobian products ---- */

/* Marks what depends on the inputs. */
static bool find_path(Tape *tape, const Var *inputs, int m, Path *path)
{
    uint32_t first = UINT32_MAX;
    for (int i = 0; i < m; i++) {
        const Value *value = tape_find(inputs[i], "tape_vjp");
        if (!value)
            return false;
        first = value->maker < first ? value->maker : first;
    }
    uint32_t base = m ? tape_node(tape, first)->first_output : 0, limit = tape->value_count;
    bool *on = tensor_arena_calloc(&tape->arena, limit - base + 1);
    if (!on)
        return false;
    for (int i = 0; i < m; i++)
        on[inputs[i].index - base] = tape_value(tape, inputs[i].index)->wants;
    for (uint32_t number = first; m && number < tape->node_count; number++) {
        const Node *node = tape_node(tape, number);
        bool depends = false;
        for (uint32_t i = 0; i < node->count && !depends; i++) {
            uint32_t input = tape->inputs[node->first_input + i];
            depends = input >= base && on[input - base];
        }
        for (uint32_t k = 0; k < node->outputs && depends; k++)
            on[node->first_output + k - base] |= tape_value(tape, node->first_output + k)->wants;
    }
    *path = (Path){.on = on, .base = base, .limit = limit, .first_node = m ? first : 0};
    return true;
}

typedef struct Wanted {
    const Var *inputs;
    int count;
    Tensor *gradients;
} Wanted;

static bool arrive(TapeWalk *walk, uint32_t value, Pending *pending)
{
    const Wanted *wanted = walk->context;
    for (int i = 0; i < wanted->count; i++)
        if (wanted->inputs[i].index == value)
            wanted->gradients[i] = pending->sum;
    return true;
}

static bool tensor_vjp(Tape *tape, const Path *path, const Var *outputs, const Var *seeds, int n,
                       const Var *inputs, int m, Var *gradients)
{
    TapeWalk walk;
    Tensor *found = tensor_arena_calloc(&tape->arena, (size_t)m * sizeof *found);
    if (!found || !tape_walk_begin(&walk, tape, path))
        return false;
    Wanted wanted = {inputs, m, found};
    walk.arrive = arrive;
    walk.context = &wanted;
    for (int i = 0; i < m; i++)
        walk.plain |= tape_value(tape, inputs[i].index)->held != NULL;
    uint32_t last = 0;
    for (int i = 0; i < n; i++) {
        Tensor *t = tape_whole(tape, tape_value(tape, seeds[i].index));
        OpTerm seed = {.kind = OP_TERM_DENSE};
        if (!t)
            return false;
        seed.a = *t;
        if (!tape_walk_take(&walk, outputs[i].index, &seed))
            return false;
        uint32_t maker = tape_value(tape, outputs[i].index)->maker;
        last = maker > last ? maker : last;
    }
    if (!tape_walk_run(&walk, last, path->first_node))
        return false;
    for (int i = 0; i < m; i++)
        gradients[i] = tensor_is_valid(found[i]) ? tape_constant(tape, found[i]) : tape_empty(tape);
    return tape_ok(tape);
}

/* The seed of an output: what is given, or 1 for a number. */
static Var seed_of(Tape *tape, Var output, const Var *seeds, int i)
{
    const Value *value = tape_find(output, "tape_vjp");
    if (!value)
        return tape_fail(tape, "tape_vjp: output %d is an empty value", i);
    if (seeds) {
        const Value *seed = tape_find(seeds[i], "tape_vjp");
        if (!seed || !tensor_same_shape(&seed->t, &value->t))
            return tape_fail(tape, "tape_vjp: seed %d has not the shape of its output", i);
        return seeds[i];
    }
    if (tensor_numel(&value->t) != 1)
        return tape_fail(tape, "tape_vjp: output %d is not one number and has no seed", i);
    return tape_constant(tape, tensor_full(&tape->arena, value->t.dtype, value->t.ndim, value->t.shape, 1.0));
}

bool(tape_vjp)(const Var *outputs, const Var *seeds, int n, const Var *inputs, int m, bool create_graph,
               Var *gradients)
{
    Tape *tape = n > 0 ? outputs[0].tape : m > 0 ? inputs[0].tape : NULL;
    Path path;
    for (int i = 0; i < m; i++)
        gradients[i] = (Var){.tape = tape};
    if (!tape || !tape_ok(tape) || !check_versions(tape, "tape_vjp"))
        return false;
    for (int i = 0; i < m; i++)
        if (inputs[i].tape != tape || var_is_empty(inputs[i]))
            tape_fail(tape, "tape_vjp: input %d is an empty value, or of another tape", i);
    Var *starts = tensor_arena_alloc(&tape->arena, (size_t)n * sizeof *starts);
    for (int i = 0; i < n && tape_ok(tape); i++)
        starts[i] = seed_of(tape, outputs[i], seeds, i);
    if (!tape_ok(tape) || !find_path(tape, inputs, m, &path))
        return false;
    return (create_graph ? tape_graph_vjp : tensor_vjp)(tape, &path, outputs, starts, n, inputs, m,
                                                        gradients);
}

Var(var_gradient)(Var y, Var x)
{
    Var seed = (Var){.tape = y.tape}, gradient = seed;
    Tensor of_y = var_value(y), of_x = var_value(x);
    if (!var_is_empty(y))
        seed = tape_constant(y.tape, tensor_full(&y.tape->arena, of_y.dtype, of_y.ndim, of_y.shape, 1));
    if (!tape_vjp(&y, &seed, 1, &x, 1, true, &gradient) || !var_is_empty(gradient))
        return gradient;
    return tape_constant(x.tape, tensor_zeros(&x.tape->arena, of_x.dtype, of_x.ndim, of_x.shape));
}

bool(tape_hvp)(Var loss, const Var *vectors, const Var *inputs, int m, Var *products)
{
    Tape *tape = loss.tape;
    Var *outputs = tape ? tensor_arena_alloc(&tape->arena, 2 * (size_t)m * sizeof *outputs) : NULL;
    if (!outputs || !tape_vjp(&loss, NULL, 1, inputs, m, true, outputs))
        return false;
    Var *seeds = outputs + m;
    int n = 0;
    for (int i = 0; i < m; i++)
        if (!var_is_empty(outputs[i])) {
            outputs[n] = outputs[i];
            seeds[n++] = vectors[i];
        }
    return tape_vjp(outputs, seeds, n, inputs, m, false, products);
}

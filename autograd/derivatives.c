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
        char shape[SHAPE_TEXT_SIZE];
        const TapeScope *scope = tape->scope;
        tape->scope = node->scope;
        trace_push(node->file, (int)node->line);
        tape_fail(tape, "%s: a parameter of shape %s was changed after the step had read it", user,
                  tensor_shape_text(&value->t, shape));
        trace_pop();
        tape->scope = scope;
        return false;
    }
    return true;
}

/* ---- Backward ---- */

static bool check_loss(Var loss, const Value *value)
{
    Tape *tape = loss.tape;
    char shape[SHAPE_TEXT_SIZE];
    if (tensor_numel(&value->t) != 1)
        tape_fail(tape,
                  "tape_backward: the loss must be one number, but has shape %s; use var_sum or var_mean",
                  tensor_shape_text(&value->t, shape));
    else if (!value->wants)
        tape_fail(tape, "tape_backward: the loss depends on no value that wants a gradient");
    else if (value->record && tape->records[value->record - 1].backward_run)
        tape_fail(tape, "tape_backward: backward has already been run from this loss in this step");
    return tape_ok(tape) && check_versions(tape, "tape_backward");
}

bool(tape_backward)(Var loss)
{
    Tape *tape = loss.tape;
    const Value *value = tape_find(loss, "tape_backward");
    if (!value && tape && tape_ok(tape))
        tape_fail(tape, "tape_backward: the loss is an empty value");
    if (!value || !tape_ok(tape) || !check_loss(loss, value))
        return false;
    Record *record = tape_record(tape, loss.index);
    Walk walk;
    if (!record || !walk_begin(&walk, tape))
        return false;
    record->backward_run = true;
    OpTerm one = {.kind = OP_TERM_DENSE};
    one.a = tensor_full(&tape->arena, value->t.dtype, value->t.ndim, value->t.shape, 1.0);
    if (!tensor_is_valid(one.a))
        tape_fail_memory(tape);
    return tape_ok(tape) && walk_take(&walk, loss.index, &one) && walk_run(&walk, value->maker, 0);
}

void var_retain_grad(Var v)
{
    const Value *value = tape_find(v, "var_retain_grad");
    Record *record = value ? tape_record(v.tape, v.index) : NULL;
    if (!record || record->retain)
        return;
    record->retain = true;
    v.tape->retained_held += value->held != NULL;
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
    if (!tensor_is_valid(copy)) {
        tape_fail_memory(tape);
        return false;
    }
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

TapeGradient tape_gradient(Tape *tape, const Parameter *parameter)
{
    TapeGradient gradient = {0};
    const Value *leaf = tape_ok(tape) ? tape_find_parameter(tape, parameter) : NULL;
    if (!leaf)
        return gradient;
    Record *record = &tape->records[leaf->record - 1];
    bool sparse = !tensor_is_valid(record->grad);
    if (!(sparse ? coalesce_rows(tape, record, &leaf->t) : densify(tape, record))) {
        tape_fail_memory(tape);
        return gradient;
    }
    if (record->rows) {
        gradient.rows = record->rows->rows;
        gradient.ids = record->rows->ids;
    } else if (tensor_is_valid(record->grad) && (tensor_is_contiguous(&record->grad) || own(tape, record))) {
        gradient.dense = record->grad;
    }
    return gradient;
}

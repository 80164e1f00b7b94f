/* The values that handles stand for. */
#include "autograd/held_internal.h"

#include <math.h>

Value *tape_find(Var v, const char *user)
{
    if (!v.tape || v.stamp == 0)
        return NULL;
    if (v.index < v.tape->value_count && tape_value(v.tape, v.index)->stamp == v.stamp)
        return tape_value(v.tape, v.index);
    tape_fail(v.tape, "%s: a stale handle: the value belongs to an earlier step of this tape", user);
    return NULL;
}

bool tape_is_there(Tape *tape, const Value *value, const char *user)
{
    if (value->gone)
        tape_fail(tape,
                  "%s: tape_backward_last() has used the value's memory again; call var_value() before it",
                  user);
    return !value->gone;
}

bool tape_is_open(Tape *tape, uint32_t node)
{
    if (node < tape->closed && tape_node(tape, node)->op)
        tape_fail(
            tape,
            "%s: tape_backward_last() has gone through what this depends on; use tape_backward() for all "
            "losses but the last",
            tape_node(tape, node)->op->name);
    return tape_ok(tape);
}

Tensor *tape_whole(Tape *tape, Value *value)
{
    if (value->t.data || !value->held)
        return &value->t;
    Tensor t = tensor_new(&tape->arena, value->t.dtype, value->t.ndim, value->t.shape);
    if (!tensor_is_valid(t) || !value->held->kind->write(value->held, t))
        return NULL; /* out of memory */
    value->t = t;
    return &value->t;
}

Tensor(var_value)(Var v)
{
    Value *value = tape_find(v, "var_value");
    if (!value || !tape_is_there(v.tape, value, "var_value"))
        return tensor_invalid();
    value->seen = true;
    Tensor *t = tape_whole(v.tape, value);
    return t ? *t : tensor_invalid();
}

int var_ndim(Var v)
{
    Value *value = tape_find(v, "var_ndim");
    return value ? value->t.ndim : 0;
}

int64_t var_size(Var v, int axis)
{
    Value *value = tape_find(v, "var_size");
    if (!value)
        return 0;
    if (axis < 0)
        axis += value->t.ndim;
    return axis < 0 || axis >= value->t.ndim ? 0 : value->t.shape[axis];
}

double(var_item)(Var v)
{
    Tensor t = (var_value)(v);
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    if (tensor_is_valid(t) && tensor_numel(&t) != 1)
        tape_fail(v.tape, "var_item: the value must be one number, but has shape %s",
                  tensor_shape_text(&t, shape));
    return tensor_is_valid(t) ? tensor_item(t) : NAN;
}

bool var_wants_grad(Var v)
{
    const Value *value = tape_find(v, "var_wants_grad");
    return value && value->wants;
}

/* A chapter of speed: parameters whose rows are updated late, when they are read (nn/optimizer.h). Such a
 * leaf is held by its parameter's reader: an embedding reads its rows by it, other ops get a copy of the
 * whole value that is up to date. */
#include "autograd/held_internal.h"

typedef struct Late {
    Held held;
    Tape *tape;
    const TapeParameter *parameter;
} Late;

static bool write(const Held *held, Tensor out)
{
    const Late *late = (const Late *)(const void *)held;
    TensorArena *arena = &late->tape->arena;
    TensorArenaMark mark = tensor_arena_mark(arena);
    Tensor ids = tensor_new(arena, TENSOR_I32, TENSOR_SHAPE(out.shape[0]));
    if (!tensor_is_valid(ids))
        return false;
    for (int64_t i = 0; i < out.shape[0]; i++)
        tensor_i32(ids)[i] = (int32_t)i;
    tape_parameter_read_rows(late->parameter, ids, out);
    tensor_arena_rewind(arena, mark);
    return true;
}

static bool read_rows(const Held *held, Tensor ids, Tensor out)
{
    tape_parameter_read_rows(((const Late *)(const void *)held)->parameter, ids, out);
    return true;
}

static const HeldKind late_kind = {.write = write, .read_rows = read_rows};

bool tape_late_hold(Tape *tape, Value *value, const TapeParameter *parameter)
{
    Late *late = tensor_arena_alloc(&tape->arena, sizeof *late);
    if (!late)
        return false;
    *late = (Late){{&late_kind}, tape, parameter};
    value->held = &late->held;
    value->t.data = NULL;
    return REEL_CHAPTERS || tape_whole(tape, value);
}

#include "autograd/parameter.h"
#include "tensor/rows.h"

#include <pthread.h>
#include <string.h>

/* Packing is rare (once per version and direction), so one lock serves all parameters. */
static pthread_mutex_t packing_lock = PTHREAD_MUTEX_INITIALIZER;

void tape_parameter_init(TapeParameter *parameter, Tensor value)
{
    memset(parameter, 0, sizeof *parameter);
    parameter->value = value;
    parameter->version = 1;
}

void tape_parameter_release(TapeParameter *parameter)
{
    tensor_panels_free(&parameter->by_column.panels);
    tensor_panels_free(&parameter->by_row.panels);
    tensor_byte_panels_free(&parameter->bytes);
    parameter->bytes_version = 0;
    atomic_store(&parameter->by_column.version, 0);
    atomic_store(&parameter->by_row.version, 0);
}

void tape_parameter_changed(TapeParameter *parameter)
{
    parameter->version++;
    parameter->is_lost = parameter->is_lost || parameter->is_behind;
}

void tape_parameter_settle(TapeParameter *parameter)
{
    if (parameter->settle && tensor_is_valid(parameter->value))
        parameter->settle(parameter->read_context);
    parameter->is_behind = false;
}

const TensorPanels *tape_parameter_panels(TapeParameter *parameter, bool transposed)
{
    if (parameter->value.dtype != TENSOR_F32 || parameter->value.ndim != 2)
        return NULL;
    TapeParameterPanels *side = transposed ? &parameter->by_column : &parameter->by_row;
    if (atomic_load_explicit(&side->version, memory_order_acquire) == parameter->version)
        return &side->panels;
    pthread_mutex_lock(&packing_lock);
    bool packed = true;
    if (atomic_load_explicit(&side->version, memory_order_relaxed) != parameter->version) {
        Tensor b = transposed ? tensor_transpose(parameter->value, 0, 1) : parameter->value;
        packed = tensor_panels_pack(&side->panels, b);
        atomic_store(&side->wanted, true);
        if (packed)
            atomic_store_explicit(&side->version, parameter->version, memory_order_release);
    }
    pthread_mutex_unlock(&packing_lock);
    return packed ? &side->panels : NULL;
}

bool tape_parameter_use_bytes(TapeParameter *parameter)
{
    if (parameter->bytes_version == parameter->version)
        return true;
    bool ok = tensor_byte_panels_pack(&parameter->bytes, parameter->value);
    parameter->bytes_version = parameter->bytes.data ? parameter->version : 0;
    return ok;
}

bool tape_parameter_prepare(TapeParameter *parameter)
{
    bool ok = true;
    if (atomic_load(&parameter->by_column.wanted))
        ok = tape_parameter_panels(parameter, true) != NULL;
    if (atomic_load(&parameter->by_row.wanted))
        ok = tape_parameter_panels(parameter, false) != NULL && ok;
    return ok;
}

void tape_parameter_read_rows(const TapeParameter *parameter, Tensor ids, Tensor out)
{
    if (parameter->read)
        parameter->read(parameter->read_context, ids, out);
    else
        tensor_gather_rows(out, parameter->value, ids);
}

Tensor tape_parameter_snapshot(const TapeParameter *parameter, TensorArena *arena)
{
    if (!parameter->read || parameter->value.ndim == 0)
        return tensor_copy(arena, parameter->value);
    Tensor copy = tensor_new(arena, parameter->value.dtype, parameter->value.ndim, parameter->value.shape);
    if (!tensor_is_valid(copy))
        return copy;
    TensorArenaMark mark = tensor_arena_mark(arena);
    Tensor ids = tensor_new(arena, TENSOR_I32, TENSOR_SHAPE(copy.shape[0]));
    if (!tensor_is_valid(ids))
        return tensor_invalid();
    for (int64_t i = 0; i < copy.shape[0]; i++)
        tensor_i32(ids)[i] = (int32_t)i;
    parameter->read(parameter->read_context, ids, copy);
    tensor_arena_rewind(arena, mark);
    return copy;
}

#include "autograd/parameter.h"
#include "tensor/rows.h"

#include <pthread.h>
#include <string.h>

/* Packing is rare (once per version and direction), so one lock serves all parameters. */
static pthread_mutex_t packing_lock = PTHREAD_MUTEX_INITIALIZER;

void parameter_init(Parameter *parameter, Tensor value)
{
    memset(parameter, 0, sizeof *parameter);
    parameter->value = value;
    parameter->version = 1;
}

void parameter_release(Parameter *parameter)
{
    panels_free(&parameter->by_column.panels);
    panels_free(&parameter->by_row.panels);
    atomic_store(&parameter->by_column.version, 0);
    atomic_store(&parameter->by_row.version, 0);
}

void parameter_changed(Parameter *parameter)
{
    parameter->version++;
    parameter->is_lost = parameter->is_lost || parameter->is_behind;
}

void parameter_settle(Parameter *parameter)
{
    if (parameter->settle && tensor_is_valid(parameter->value))
        parameter->settle(parameter->read_context);
    parameter->is_behind = false;
}

const Panels *parameter_panels(Parameter *parameter, bool transposed)
{
    if (parameter->value.dtype != DTYPE_F32 || parameter->value.ndim != 2)
        return NULL;
    ParameterPanels *side = transposed ? &parameter->by_column : &parameter->by_row;
    if (atomic_load_explicit(&side->version, memory_order_acquire) == parameter->version)
        return &side->panels;
    pthread_mutex_lock(&packing_lock);
    bool packed = true;
    if (atomic_load_explicit(&side->version, memory_order_relaxed) != parameter->version) {
        Tensor b = transposed ? tensor_transpose(parameter->value, 0, 1) : parameter->value;
        packed = panels_pack(&side->panels, b);
        atomic_store(&side->wanted, true);
        if (packed)
            atomic_store_explicit(&side->version, parameter->version, memory_order_release);
    }
    pthread_mutex_unlock(&packing_lock);
    return packed ? &side->panels : NULL;
}

bool parameter_prepare(Parameter *parameter)
{
    bool ok = true;
    if (atomic_load(&parameter->by_column.wanted))
        ok = parameter_panels(parameter, true) != NULL;
    if (atomic_load(&parameter->by_row.wanted))
        ok = parameter_panels(parameter, false) != NULL && ok;
    return ok;
}

void parameter_read_rows(const Parameter *parameter, Tensor ids, Tensor out)
{
    if (parameter->read)
        parameter->read(parameter->read_context, ids, out);
    else
        tensor_gather_rows(out, parameter->value, ids);
}

Tensor parameter_snapshot(const Parameter *parameter, Arena *arena)
{
    Tensor copy = tensor_copy(arena, parameter->value);
    if (!parameter->read || !tensor_is_valid(copy) || copy.ndim == 0)
        return copy;
    ArenaMark mark = arena_mark(arena);
    Tensor ids = tensor_new(arena, DTYPE_I32, SHAPE(copy.shape[0]));
    if (!tensor_is_valid(ids))
        return tensor_invalid();
    for (int64_t i = 0; i < copy.shape[0]; i++)
        tensor_i32(ids)[i] = (int32_t)i;
    parameter->read(parameter->read_context, ids, copy);
    arena_rewind(arena, mark);
    return copy;
}

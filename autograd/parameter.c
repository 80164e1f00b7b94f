#include "autograd/parameter.h"
#include "tensor/mem.h"
#include "tensor/rows.h"

#include <pthread.h>
#include <string.h>

/* Cells have two or three. */
enum { MOST_PARTS = 8 };

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
    for (TapeParameterColumns *part = parameter->columns, *next; part; part = next) {
        next = part->next;
        tensor_panels_free(&part->by_column.panels);
        tensor_panels_free(&part->by_row.panels);
        reel_mem_free(part);
    }
    parameter->columns = NULL;
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

static bool is_packed(TapeParameterPanels *side, const TapeParameter *parameter)
{
    return atomic_load_explicit(&side->version, memory_order_acquire) == parameter->version;
}

/* Under the lock. */
static bool pack(TapeParameterPanels *side, const TapeParameter *parameter, Tensor weight, bool transposed)
{
    if (is_packed(side, parameter))
        return true;
    atomic_store(&side->wanted, true);
    if (!tensor_panels_pack(&side->panels, transposed ? tensor_transpose(weight, 0, 1) : weight))
        return false;
    atomic_store_explicit(&side->version, parameter->version, memory_order_release);
    return true;
}

static bool is_matrix(const TapeParameter *parameter)
{
    return parameter->value.dtype == TENSOR_F32 && parameter->value.ndim == 2;
}

const TensorPanels *tape_parameter_panels(TapeParameter *parameter, bool transposed)
{
    if (!is_matrix(parameter))
        return NULL;
    TapeParameterPanels *side = transposed ? &parameter->by_column : &parameter->by_row;
    if (is_packed(side, parameter))
        return &side->panels;
    pthread_mutex_lock(&packing_lock);
    bool packed = pack(side, parameter, parameter->value, transposed);
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

/* Under the lock: the part, made if need be; NULL where there is no memory, or are MOST_PARTS others: whoever
 * cuts a weight anew at each step would pack, and keep, them all. */
static TapeParameterColumns *columns_of(TapeParameter *parameter, int64_t first, int64_t count)
{
    int parts = 0;
    for (TapeParameterColumns *part = parameter->columns; part; part = part->next, parts++)
        if (part->first == first && part->count == count)
            return part;
    TapeParameterColumns *part = parts < MOST_PARTS ? reel_mem_calloc(1, sizeof *part) : NULL;
    if (part) {
        part->next = parameter->columns;
        part->first = first;
        part->count = count;
        parameter->columns = part;
    }
    return part;
}

static bool pack_columns(TapeParameterColumns *part, const TapeParameter *parameter, bool transposed)
{
    return pack(transposed ? &part->by_column : &part->by_row, parameter,
                tensor_slice(parameter->value, 1, part->first, part->first + part->count, 1), transposed);
}

const TensorPanels *tape_parameter_columns_panels(TapeParameter *parameter, int64_t first, int64_t count,
                                                  bool transposed)
{
    if (!is_matrix(parameter))
        return NULL;
    pthread_mutex_lock(&packing_lock);
    TapeParameterColumns *part = columns_of(parameter, first, count);
    bool packed = part && pack_columns(part, parameter, transposed);
    pthread_mutex_unlock(&packing_lock);
    return !packed ? NULL : transposed ? &part->by_column.panels : &part->by_row.panels;
}

bool tape_parameter_prepare(TapeParameter *parameter)
{
    bool ok = true;
    if (atomic_load(&parameter->by_column.wanted))
        ok = tape_parameter_panels(parameter, true) != NULL;
    if (atomic_load(&parameter->by_row.wanted))
        ok = tape_parameter_panels(parameter, false) != NULL && ok;
    pthread_mutex_lock(&packing_lock);
    for (TapeParameterColumns *part = parameter->columns; part; part = part->next) {
        if (atomic_load(&part->by_column.wanted))
            ok = pack_columns(part, parameter, true) && ok;
        if (atomic_load(&part->by_row.wanted))
            ok = pack_columns(part, parameter, false) && ok;
    }
    pthread_mutex_unlock(&packing_lock);
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

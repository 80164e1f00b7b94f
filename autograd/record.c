/* What only few values have: a parameter behind them, a gradient that outlives its walk. */
#include "autograd/tape_internal.h"
#include "tensor/mem.h"

#include <string.h>

Record *tape_record(Tape *tape, uint32_t value)
{
    Value *v = tape_value(tape, value);
    if (v->record)
        return &tape->records[v->record - 1];
    Record *records =
        reel_mem_grow(tape->records, tape->record_count, &tape->record_capacity, sizeof *records);
    if (!records) {
        tape->arena.failed = true;
        return NULL;
    }
    tape->records = records;
    v->record = (uint32_t)++tape->record_count;
    Record *record = &records[tape->record_count - 1];
    memset(record, 0, sizeof *record);
    record->value = value;
    return record;
}

/* ---- Gradients that are looked at ---- */

/* The record of a value whose own gradient is asked for. */
static Record *watch(Var v, const char *user)
{
    const Value *value = tape_find(v, user);
    Record *record = value ? tape_record(v.tape, v.index) : NULL;
    if (record && !record->retain && !record->hook)
        v.tape->retained_held += value->held != NULL;
    return record;
}

void var_retain_grad(Var v)
{
    Record *record = watch(v, "var_retain_grad");
    if (record)
        record->retain = true;
}

void var_set_hook(Var v, VarHook *hook, void *context)
{
    Record *record = watch(v, "var_set_hook");
    if (record) {
        record->hook = hook;
        record->hook_context = context;
    }
}

void tape_record_call_hook(Tape *tape, uint32_t value, Var gradient)
{
    const Value *v = tape_value(tape, value);
    if (v->record && tape->records[v->record - 1].hook && tape_ok(tape)) {
        const Record *record = &tape->records[v->record - 1];
        record->hook(gradient, record->hook_context);
    }
}

/* ---- Parameters, found by their address ---- */

static const TapeParameter *parameter_of(const Tape *tape, uint32_t value)
{
    return tape->records[tape_value(tape, value)->record - 1].parameter;
}

static size_t slot_of(const Tape *tape, const TapeParameter *parameter)
{
    size_t mask = tape->parameter_capacity - 1;
    size_t slot = (size_t)(((uintptr_t)parameter >> 4) * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (tape->parameter_values[slot] && parameter_of(tape, tape->parameter_values[slot] - 1) != parameter)
        slot = (slot + 1) & mask;
    return slot;
}

Value *tape_find_parameter(const Tape *tape, const TapeParameter *parameter)
{
    if (tape->parameter_count == 0)
        return NULL;
    uint32_t found = tape->parameter_values[slot_of(tape, parameter)];
    return found ? tape_value(tape, found - 1) : NULL;
}

/* Puts every parameter that has a record into a table of `capacity` slots (a power of two). */
static bool rehash(Tape *tape, size_t capacity)
{
    if (capacity != tape->parameter_capacity) {
        uint32_t *table = reel_mem_alloc(capacity * sizeof *table);
        if (!table)
            return false;
        reel_mem_free(tape->parameter_values);
        tape->parameter_values = table;
        tape->parameter_capacity = capacity;
    }
    if (capacity > 0)
        memset(tape->parameter_values, 0, capacity * sizeof *tape->parameter_values);
    tape->parameter_count = 0;
    for (size_t i = 0; i < tape->record_count; i++)
        if (tape->records[i].parameter) {
            tape->parameter_values[slot_of(tape, tape->records[i].parameter)] = tape->records[i].value + 1;
            tape->parameter_count++;
        }
    return true;
}

bool tape_records_add_parameter(Tape *tape, uint32_t value, TapeParameter *parameter)
{
    Record *record = NULL;
    if (2 * (tape->parameter_count + 1) > tape->parameter_capacity &&
        !rehash(tape, tape->parameter_capacity ? 2 * tape->parameter_capacity : 64))
        tape->arena.failed = true;
    else
        record = tape_record(tape, value);
    if (!record)
        return false;
    size_t slot = slot_of(tape, parameter);
    record->parameter = parameter;
    record->version = parameter->version;
    tape->parameter_values[slot] = value + 1;
    tape->parameter_count++;
    return true;
}

/* ---- Rewinding ---- */

/* What a value that stays has got since, gradients, lay behind the mark; and what was differentiated may be
 * so again. */
void tape_records_rewind(Tape *tape)
{
    size_t kept = 0, before = tape->record_count;
    tape->retained_held = 0;
    for (size_t i = 0; i < before; i++) {
        const Record *old = &tape->records[i];
        if (old->value >= tape->value_count)
            continue;
        Value *value = tape_value(tape, old->value);
        tape->records[kept++] = (Record){
            .value = old->value, .parameter = old->parameter, .version = old->version, .retain = old->retain};
        value->record = (uint32_t)kept;
        tape->retained_held += old->retain && value->held;
    }
    tape->record_count = kept;
    if (before > 0)
        rehash(tape, tape->parameter_capacity);
}

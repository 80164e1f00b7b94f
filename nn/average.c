#include "nn/average.h"
#include "nn/module_internal.h"

#include <math.h>
#include <string.h>

static bool same_shape(const NnParameter *a, const NnParameter *b)
{
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}

static ReelStatus differ(const char *from, const char *to)
{
    return reel_status_usage(
        "the values of %s cannot become those of %s: the two modules are not of one kind and size", from, to);
}

static ReelStatus check_same_buffers(NnModule *to, NnModule *from)
{
    NnIterator a = nn_iterate(to), b = nn_iterate(from);
    bool more = nn_next_buffer(&a), other = nn_next_buffer(&b);
    for (; more && other; more = nn_next_buffer(&a), other = nn_next_buffer(&b))
        if (strcmp(a.named.name, b.named.name) != 0 || !same_shape(a.named.parameter, b.named.parameter) ||
            a.named.parameter->dtype != b.named.parameter->dtype)
            return differ(b.named.name, a.named.name);
    return more == other ? reel_status_ok()
                         : reel_status_usage("one of two modules has more buffers than the other");
}

static ReelStatus check_same(NnModule *to, NnModule *from)
{
    NnParameter *a = nn_first_parameter(to), *b = nn_first_parameter(from);
    for (; a && b; a = nn_next_parameter(to, a), b = nn_next_parameter(from, b)) {
        char name[NN_NAME_SIZE], other[NN_NAME_SIZE];
        nn_parameter_name(to, a, name);
        nn_parameter_name(from, b, other);
        if (strcmp(name, other) != 0 || !same_shape(a, b))
            return differ(other, name);
    }
    return !a && !b ? check_same_buffers(to, from)
                    : reel_status_usage("one of two modules has more parameters than the other");
}

static void blend_values(Tensor to, Tensor from, double weight)
{
    int64_t n = tensor_numel(&to);
    if (to.dtype == TENSOR_F32)
        for (int64_t i = 0; i < n; i++)
            tensor_f32(to)[i] += (float)weight * (tensor_f32(from)[i] - tensor_f32(to)[i]);
    else
        for (int64_t i = 0; i < n; i++)
            tensor_f64(to)[i] += weight * (tensor_f64(from)[i] - tensor_f64(to)[i]);
}

static ReelStatus blend_parameter(NnParameter *to, const NnParameter *from, double weight, TensorArena *arena)
{
    ReelStatus status = nn_parameter_status(from);
    if (reel_status_is_ok(&status) && weight != 1)
        status = nn_parameter_status(to);
    if (!reel_status_is_ok(&status))
        return status;
    Tensor value = nn_parameter_read(from, arena);
    if (weight != 1 && tensor_is_valid(value)) {
        Tensor other = tensor_cast(arena, value, to->core.value.dtype);
        value = nn_parameter_read(to, arena);
        if (tensor_is_valid(value) && tensor_is_valid(other))
            blend_values(value, other, weight);
        else
            value = tensor_invalid();
    }
    if (!tensor_is_valid(value))
        return reel_status_failed("out of memory for a copy of a parameter");
    return nn_parameter_write(to, value);
}

ReelStatus nn_module_blend(NnModule *to, NnModule *from, double weight)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ReelStatus status = check_same(to, from);
    NnParameter *a = nn_first_parameter(to), *b = nn_first_parameter(from);
    for (; a && reel_status_is_ok(&status); a = nn_next_parameter(to, a), b = nn_next_parameter(from, b)) {
        tensor_arena_reset(&arena);
        status = blend_parameter(a, b, weight, &arena);
    }
    NnIterator it = nn_iterate(to), other = nn_iterate(from);
    while (reel_status_is_ok(&status) && nn_next_buffer(&it) && nn_next_buffer(&other))
        status = blend_parameter(it.named.parameter, other.named.parameter, 1, &arena);
    tensor_arena_free(&arena);
    return status;
}

ReelStatus nn_module_copy(NnModule *to, NnModule *from)
{
    return nn_module_blend(to, from, 1);
}

NnEarlyStopping nn_early_stopping_new(int patience, double least)
{
    return (NnEarlyStopping){.patience = patience, .least = least, .best = INFINITY};
}

bool nn_early_stopping_look(NnEarlyStopping *stopping, double loss, bool *improved)
{
    bool is_best = loss < stopping->best - stopping->least;
    stopping->looks++;
    if (is_best) {
        stopping->best = loss;
        stopping->best_look = stopping->looks;
    }
    if (improved)
        *improved = is_best;
    return stopping->looks - stopping->best_look >= stopping->patience;
}

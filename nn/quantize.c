/* Writes weights of 8 bits (quantized.c reads them). */
#include "nn/quantized_internal.h"
#include "nn/state_dict.h"

#include <math.h>
#include <stdio.h>

/* Rows shorter than this are left alone: a scale for each would be as large as what is saved. */
enum { LEAST_WIDTH = 16, MOST = 127 };

static int64_t width_of(Tensor t)
{
    return t.ndim > 1 && t.shape[0] > 0 ? tensor_numel(&t) / t.shape[0] : 0;
}

/* Returns the scale; NAN: the row has a number that is not finite. */
static float quantize_row(const float *from, int64_t width, int8_t *to)
{
    float most = 0;
    for (int64_t i = 0; i < width; i++) {
        if (!isfinite(from[i]))
            return NAN;
        most = fmaxf(most, fabsf(from[i]));
    }
    for (int64_t i = 0; i < width; i++)
        to[i] = (int8_t)(most > 0 ? lrintf(from[i] / most * MOST) : 0);
    return most / MOST;
}

static ReelStatus quantize(NnSnapshot *snapshot, const char *name, Tensor value, TensorArena *arena)
{
    int64_t width = width_of(value), rows = value.shape[0];
    int8_t *bytes = tensor_arena_alloc(arena, (size_t)(rows * width));
    Tensor scales = tensor_new(arena, TENSOR_F32, TENSOR_SHAPE(rows));
    char of_scales[NN_NAME_SIZE + sizeof NN_SCALES];
    if (!bytes || !tensor_is_valid(scales))
        return reel_status_no_memory((size_t)(rows * width), name);
    for (int64_t r = 0; r < rows; r++) {
        float scale = quantize_row(tensor_f32(value) + r * width, width, bytes + r * width);
        if (isnan(scale))
            return reel_status_failed(
                "%s: row %lld has a number that is not finite, and cannot be of 8 bits; "
                "train it again",
                name, (long long)r);
        tensor_f32(scales)[r] = scale;
    }
    snprintf(of_scales, sizeof of_scales, NN_SCALES "%s", name);
    nn_snapshot_array(snapshot, name, 'i', 1, value.ndim, value.shape, bytes);
    nn_snapshot_tensor(snapshot, of_scales, scales);
    return reel_status_ok();
}

void nn_snapshot_quantized(NnSnapshot *snapshot, NnModule *module)
{
    TensorArena arena;
    ReelStatus status = nn_module_status(module);
    tensor_arena_init(&arena, 0);
    for (NnIterator it = nn_iterate(module); nn_next(&it) && reel_status_is_ok(&status);) {
        const NnNamed *named = &it.named;
        Tensor value = nn_parameter_read(named->parameter, &arena);
        if (value.ndim > 0)
            value = tensor_slice(value, 0, named->first, named->first + named->rows, 1);
        if (!tensor_is_valid(value))
            status = reel_status_failed("%s: out of memory for a copy of the parameter", named->name);
        else if (value.dtype == TENSOR_F32 && width_of(value) >= LEAST_WIDTH)
            status = quantize(snapshot, named->name, value, &arena);
        else
            nn_snapshot_tensor(snapshot, named->name, value);
        tensor_arena_reset(&arena);
    }
    tensor_arena_free(&arena);
    if (reel_status_is_ok(&snapshot->status))
        snapshot->status = status;
}

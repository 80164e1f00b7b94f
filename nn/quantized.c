/* Weights of 8 bits: row r of a matrix is scale[r] times whole numbers from -127 to 127, where scale[r] is
 * the row's largest magnitude over 127. A row is a word of an embedding, or what makes one output of a
 * product. */
#include "nn/quantized_internal.h"
#include "tensor/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct NnQuantized {
    const int8_t *rows;  /* [shape[0], width] */
    const float *scales; /* [shape[0]] */
    int64_t width;
    TensorArena arena; /* of what is not in the file's memory */
};

bool nn_is_quantized(const TensorNpzMember *member)
{
    return member->is_array && !member->unreadable && member->array.kind == 'i' &&
           member->array.item_bytes == 1 && member->array.ndim > 1 && member->array.shape[0] > 0;
}

static ReelStatus open_scales(NnQuantized *q, const TensorNpz *npz, const char *name, int64_t rows)
{
    char of_scales[2 * NN_NAME_SIZE + sizeof NN_SCALES];
    Tensor scales;
    snprintf(of_scales, sizeof of_scales, NN_SCALES "%s", name);
    const TensorNpzMember *member = tensor_npz_find(npz, of_scales);
    if (!member)
        return reel_status_failed("%s: parameter '%s' is of 8 bits and has no %s; export the model again",
                                  tensor_npz_path(npz), name, of_scales);
    if (!tensor_npz_view(npz, member, &scales)) {
        ReelStatus status = tensor_npz_read_tensor(npz, member, &q->arena, &scales);
        if (!reel_status_is_ok(&status))
            return status;
    }
    bool sound = scales.dtype == TENSOR_F32 && scales.ndim == 1 && scales.shape[0] == rows;
    for (int64_t r = 0; sound && r < rows; r++)
        sound = tensor_f32(scales)[r] >= 0 && isfinite(tensor_f32(scales)[r]);
    if (!sound)
        return reel_status_failed(
            "%s: %s is not one number, 0 or more, for each of the %lld rows; export the "
            "model again",
            tensor_npz_path(npz), of_scales, (long long)rows);
    q->scales = scales.data;
    return reel_status_ok();
}

ReelStatus nn_quantized_open(NnQuantized **out, const TensorNpz *npz, const TensorNpzMember *rows,
                             const char *name)
{
    NnQuantized *q = *out = reel_mem_calloc(1, sizeof *q);
    const void *data;
    size_t size;
    if (!q)
        return reel_status_no_memory(sizeof *q, name);
    tensor_arena_init(&q->arena, 64);
    q->width = rows->array.count / rows->array.shape[0];
    ReelStatus status = open_scales(q, npz, name, rows->array.shape[0]);
    if (reel_status_is_ok(&status) && !tensor_npz_view_bytes(npz, rows, &data))
        status = tensor_npz_read_bytes(npz, rows, &q->arena, &data, &size);
    if (reel_status_is_ok(&status)) {
        q->rows = data;
        return status;
    }
    nn_quantized_free(q);
    *out = NULL;
    return status;
}

void nn_quantized_free(NnQuantized *q)
{
    if (!q)
        return;
    tensor_arena_free(&q->arena);
    reel_mem_free(q);
}

static void read_row(const NnQuantized *q, int64_t row, float *restrict out)
{
    const int8_t *restrict from = q->rows + row * q->width;
    float scale = q->scales[row];
    for (int64_t i = 0; i < q->width; i++)
        out[i] = scale * (float)from[i];
}

void nn_quantized_read(const NnQuantized *q, Tensor out)
{
    for (int64_t r = 0; r < out.shape[0]; r++)
        read_row(q, r, tensor_f32(out) + r * q->width);
}

/* ---- A parameter that is one ---- */

static void read_rows(const void *context, Tensor ids, Tensor out)
{
    for (int64_t i = 0; i < ids.shape[0]; i++)
        read_row(context, tensor_i32(ids)[i * ids.strides[0]], tensor_f32(out) + i * out.strides[0]);
}

void nn_quantized_keep(NnParameter *p, NnQuantized *q)
{
    nn_quantized_drop(p);
    p->quantized = q;
    p->core.value = tensor_from((void *)(uintptr_t)q->rows, TENSOR_F32, p->ndim, p->shape);
    p->core.value.data = NULL; /* a shape without numbers */
    p->core.read = read_rows;
    p->core.read_context = q;
    tape_parameter_changed(&p->core);
}

void nn_quantized_drop(NnParameter *p)
{
    if (!p->quantized)
        return;
    nn_quantized_free(p->quantized);
    p->quantized = NULL;
    p->core.value = tensor_invalid();
    p->core.read = NULL;
    p->core.read_context = NULL;
}

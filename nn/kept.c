/* Gradients that are accumulated over several backward passes. */
#include "nn/parallel_internal.h"
#include "tensor/mem.h"
#include "tensor/rows.h"

#include <string.h>

static Tensor view_of_rows(const KeptGradient *kept, Tensor value)
{
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, value.shape, sizeof shape);
    shape[0] = kept->count;
    return tensor_from(kept->rows, value.dtype, value.ndim, shape);
}

static Tensor view_of_ids(const KeptGradient *kept)
{
    return tensor_from(kept->ids, TENSOR_I32, TENSOR_SHAPE(kept->count));
}

static bool begin_dense(KeptGradient *kept, Tensor value)
{
    if (!tensor_is_valid(kept->dense)) {
        void *data = reel_mem_alloc((size_t)tensor_numel(&value) * tensor_dtype_size(value.dtype));
        if (!data)
            return false;
        kept->dense = tensor_from(data, value.dtype, value.ndim, value.shape);
    }
    tensor_fill(kept->dense, 0);
    kept->has_dense = true;
    if (!kept->has_rows)
        return true;
    kept->has_rows = false;
    return tensor_scatter_add_rows(kept->dense, view_of_rows(kept, value), view_of_ids(kept));
}

static bool add_dense(KeptGradient *kept, Tensor gradient, Tensor value)
{
    int64_t size = tensor_numel(&value);
    bool first = !kept->has_dense && !kept->has_rows;
    if (!kept->has_dense && !begin_dense(kept, value))
        return false;
    if (first)
        tensor_copy_into(kept->dense, gradient);
    else
        nn_sum_into(kept->dense.data, value.dtype, (Addend[]){{0, kept->dense.data}, {1, gradient.data}}, 2,
                    0, 2, 0, size);
    return true;
}

static bool reserve_rows(KeptGradient *kept, int64_t more, size_t row_bytes, int64_t table)
{
    int32_t *ids =
        reel_mem_reserve(kept->ids, (size_t)kept->count, (size_t)more, &kept->id_capacity, sizeof *ids);
    if (ids)
        kept->ids = ids;
    char *rows =
        reel_mem_reserve(kept->rows, (size_t)kept->count, (size_t)more, &kept->row_capacity, row_bytes);
    if (rows)
        kept->rows = rows;
    if (!kept->slots)
        kept->slots = reel_mem_calloc((size_t)table, sizeof *kept->slots);
    return ids && rows && kept->slots;
}

static bool add_rows(KeptGradient *kept, const TapeGradient *gradient, Tensor value)
{
    int64_t width = value.ndim > 0 && value.shape[0] > 0 ? tensor_numel(&value) / value.shape[0] : 1;
    size_t row_bytes = (size_t)width * tensor_dtype_size(value.dtype);
    Tensor ids = gradient->ids;
    if (kept->has_dense)
        return tensor_scatter_add_rows(kept->dense, gradient->rows, ids);
    if (!kept->has_rows)
        kept->count = 0;
    kept->has_rows = true;
    if (!reserve_rows(kept, ids.shape[0], row_bytes, value.shape[0]))
        return false;
    for (int64_t i = 0; i < ids.shape[0]; i++) {
        int32_t id = tensor_i32(ids)[i * ids.strides[0]], count = (int32_t)kept->count;
        int32_t slot = tensor_number_id(kept->slots, id, kept->ids, &count);
        const char *row = (const char *)gradient->rows.data + (size_t)i * row_bytes;
        if (slot < kept->count) {
            char *sum = kept->rows + (size_t)slot * row_bytes;
            nn_sum_into(sum, value.dtype, (Addend[]){{0, sum}, {1, row}}, 2, 0, 2, 0, width);
            continue;
        }
        memcpy(kept->rows + (size_t)kept->count++ * row_bytes, row, row_bytes);
    }
    return true;
}

bool nn_kept_add(KeptGradient *kept, const TapeGradient *gradient, Tensor value)
{
    if (tensor_is_valid(gradient->dense))
        return add_dense(kept, gradient->dense, value);
    return !tensor_is_valid(gradient->rows) || add_rows(kept, gradient, value);
}

TapeGradient nn_kept_view(const KeptGradient *kept, Tensor value)
{
    TapeGradient view = {0};
    if (kept->has_dense)
        view.dense = kept->dense;
    else if (kept->has_rows)
        view = (TapeGradient){.rows = view_of_rows(kept, value), .ids = view_of_ids(kept)};
    return view;
}

void nn_kept_clear(KeptGradient *kept)
{
    kept->has_dense = kept->has_rows = false;
    kept->count = 0;
}

void nn_kept_free(KeptGradient *kept)
{
    reel_mem_free(kept->dense.data);
    reel_mem_free(kept->ids);
    reel_mem_free(kept->rows);
    reel_mem_free(kept->slots);
}

#include "tensor/rows.h"
#include "tensor/elementwise.h"
#include "tensor/vmath.h"

#include <string.h>

int64_t tensor_index_out_of_range(Tensor index, int64_t limit)
{
    if (index.dtype != TENSOR_I32 || index.ndim != 1)
        return 0;
    const int32_t *values = tensor_i32(index);
    for (int64_t n = 0; n < index.shape[0]; n++) {
        int32_t value = values[n * index.strides[0]];
        if (value < 0 || value >= limit)
            return n;
    }
    return -1;
}

/* Whether rows [N, ...] and table [V, ...] belong together and every index is good. */
static bool rows_fit(const Tensor *rows, const Tensor *table, const Tensor *index)
{
    if ((table->dtype != TENSOR_F32 && table->dtype != TENSOR_F64) || rows->dtype != table->dtype ||
        index->dtype != TENSOR_I32 || index->ndim != 1 || rows->ndim != table->ndim || rows->ndim < 1 ||
        rows->shape[0] != index->shape[0])
        return false;
    for (int d = 1; d < rows->ndim; d++)
        if (rows->shape[d] != table->shape[d])
            return false;
    return tensor_index_out_of_range(*index, table->shape[0]) < 0;
}

/* One row of a table, and how to get from it to the others. */
typedef struct Row {
    Tensor view;  /* row 0 */
    int64_t step; /* bytes to the next one */
} Row;

static Row first_row(Tensor t)
{
    Row row = {.view = t, .step = t.strides[0] * (int64_t)tensor_dtype_size(t.dtype)};
    row.view.ndim--;
    for (int d = 0; d < row.view.ndim; d++) {
        row.view.shape[d] = t.shape[d + 1];
        row.view.strides[d] = t.strides[d + 1];
    }
    return row;
}

static Tensor row_at(const Row *row, int64_t i)
{
    Tensor view = row->view;
    view.data = (char *)view.data + i * row->step;
    return view;
}

bool tensor_gather_rows(Tensor out, Tensor table, Tensor index)
{
    if (!rows_fit(&out, &table, &index) || tensor_is_broadcast(&out))
        return false;
    if (tensor_numel(&out) == 0)
        return true;
    Row to = first_row(out), from = first_row(table);
    bool plain = tensor_is_contiguous(&to.view) && tensor_is_contiguous(&from.view);
    size_t bytes = (size_t)tensor_numel(&to.view) * tensor_dtype_size(out.dtype);
    const int32_t *values = tensor_i32(index);
    for (int64_t n = 0; n < index.shape[0]; n++) {
        int64_t source = values[n * index.strides[0]];
        if (plain && bytes == sizeof(float)) /* numbers: a call would take longer than they do */
            memcpy((char *)out.data + n * to.step, (const char *)table.data + source * from.step,
                   sizeof(float));
        else if (plain)
            memcpy((char *)out.data + n * to.step, (const char *)table.data + source * from.step, bytes);
        else
            tensor_copy_into(row_at(&to, n), row_at(&from, source));
    }
    return true;
}

bool tensor_scatter_add_rows(Tensor table, Tensor rows, Tensor index)
{
    if (!rows_fit(&rows, &table, &index) || tensor_is_broadcast(&table))
        return false;
    if (tensor_numel(&rows) == 0)
        return true;
    Row to = first_row(table), from = first_row(rows);
    bool plain =
        table.dtype == TENSOR_F32 && tensor_is_contiguous(&to.view) && tensor_is_contiguous(&from.view);
    size_t size = (size_t)tensor_numel(&to.view);
    const int32_t *values = tensor_i32(index);
    for (int64_t n = 0; n < index.shape[0]; n++) {
        int64_t target = values[n * index.strides[0]];
        if (plain) {
            float *sum = (float *)(void *)((char *)table.data + target * to.step);
            const float *row = (const float *)(const void *)((const char *)rows.data + n * from.step);
            if (size == 1)
                *sum += *row;
            else
                tensor_vmath_add(sum, sum, row, size);
        } else {
            tensor_axpby(row_at(&to, target), 1, row_at(&from, n), 1);
        }
    }
    return true;
}

int32_t tensor_number_ids(int32_t *slots, Tensor ids, int32_t *place, int32_t *distinct, int32_t count)
{
    for (int64_t i = 0; i < ids.shape[0]; i++) {
        int32_t number = tensor_number_id(slots, tensor_i32(ids)[i * ids.strides[0]], distinct, &count);
        if (place)
            place[i] = number;
    }
    return count;
}

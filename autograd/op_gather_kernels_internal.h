/* The kernels of op_gather.c: see tensor/each_real.h. */

/* out = the elements of a that the index names along `axis`. */
static void FN(gather)(Tensor out, Tensor a, Tensor index, int axis)
{
    int64_t at[TENSOR_MAX_DIMS] = {0}, offset = 0;
    for (int64_t i = 0, n = tensor_numel(&index); i < n; i++) {
        ((REAL *)out.data)[i] = ((const REAL *)a.data)[offset + tensor_i32(index)[i] * a.strides[axis]];
        next_place(&index, &a, axis, at, &offset);
    }
}

/* Adds g to them. */
static void FN(scatter_add)(Tensor da, Tensor g, Tensor index, int axis)
{
    int64_t at[TENSOR_MAX_DIMS] = {0}, offset = 0;
    for (int64_t i = 0, n = tensor_numel(&index); i < n; i++) {
        ((REAL *)da.data)[offset + tensor_i32(index)[i] * da.strides[axis]] += ((const REAL *)g.data)[i];
        next_place(&index, &da, axis, at, &offset);
    }
}

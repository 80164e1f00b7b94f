#include "tensor/matmul.h"
#include "tensor/blis_internal.h"
#include "tensor/elementwise.h"
#include "tensor/flops.h"
#include "tensor/loop_internal.h"
#include "tensor/small_product_internal.h"

/* One matrix operand: its strides in elements, never 0 for an axis of size 1 (what is stored there is of
 * no matter, and BLIS takes a zero for an order to choose strides itself). */
typedef struct Matrix {
    int64_t rows, columns, row_stride, column_stride;
} Matrix;

static Matrix matrix_of(const Tensor *t)
{
    int last = t->ndim - 1;
    Matrix m = {t->shape[last - 1], t->shape[last], t->strides[last - 1], t->strides[last]};
    if (m.columns == 1)
        m.column_stride = m.row_stride == 1 ? m.rows : 1;
    if (m.rows == 1)
        m.row_stride = m.column_stride == 1 ? m.columns : 1;
    return m;
}

/* The batch axes alone. */
static Tensor batches_of(const Tensor *t)
{
    Tensor batches = *t;
    batches.ndim -= 2;
    return batches;
}

/* c = alpha a b + beta c, where beta is 0 or 1. */
static void multiply(TensorDtype dtype, double alpha, const void *a, const Matrix *a_as, const void *b,
                     const Matrix *b_as, double beta, void *c, const Matrix *c_as)
{
    int64_t m = c_as->rows, n = c_as->columns, k = a_as->columns;
    if (dtype == TENSOR_F32 && alpha == 1 &&
        tensor_small_product(m, n, k, (TensorSmallMatrix){a, a_as->row_stride, a_as->column_stride},
                             (TensorSmallMatrix){b, b_as->row_stride, b_as->column_stride}, beta != 0, c,
                             c_as->row_stride, c_as->column_stride))
        return;
    tensor_blis_multiply(dtype, m, n, k, alpha, a, a_as->row_stride, a_as->column_stride, b, b_as->row_stride,
                         b_as->column_stride, beta, c, c_as->row_stride, c_as->column_stride);
}

/* Whether `n` matrices that lie `stride` elements apart are one matrix of n times as many rows. */
static bool stacks(const Matrix *m, int64_t stride)
{
    return m->rows == 1 || stride == m->rows * m->row_stride;
}

static void stack(Matrix *m, int64_t n, int64_t stride)
{
    if (m->rows == 1)
        m->row_stride = stride;
    m->rows *= n;
}

static bool multiply_batches(Tensor out, double alpha, Tensor a, Tensor b, double beta)
{
    Matrix a_as = matrix_of(&a), b_as = matrix_of(&b), out_as = matrix_of(&out);
    Tensor out_batches = batches_of(&out), a_batches = batches_of(&a), b_batches = batches_of(&b);
    TensorLoop loop;
    if (!tensor_loop_init(&loop, 3, (const Tensor *[]){&out_batches, &a_batches, &b_batches}))
        return false;
    /* [B, M, K] x [K, N] is one product of B M rows. */
    bool one_product = loop.ndim == 0 && loop.n > 1 && loop.stride[2] == 0 && loop.stride[1] != 0 &&
                       stacks(&out_as, loop.stride[0]) && stacks(&a_as, loop.stride[1]);
    if (one_product) {
        stack(&out_as, loop.n, loop.stride[0]);
        stack(&a_as, loop.n, loop.stride[1]);
        loop.n = 1;
    }
    int64_t size = (int64_t)tensor_dtype_size(out.dtype);
    tensor_flops_add_product(TENSOR_PRODUCT_PLAIN, tensor_numel(&out) / out_as.columns, out_as.columns,
                             a_as.columns);
    while (tensor_loop_next(&loop))
        for (int64_t i = 0; i < loop.n; i++)
            multiply(out.dtype, alpha, loop.data[1] + i * loop.stride[1] * size, &a_as,
                     loop.data[2] + i * loop.stride[2] * size, &b_as, beta,
                     loop.data[0] + i * loop.stride[0] * size, &out_as);
    return true;
}

/* Whether the batch axes of `t` can be broadcast to those of `out`. */
static bool batches_fit(const Tensor *out, const Tensor *t)
{
    for (int d = 3; d <= t->ndim; d++)
        if (d > out->ndim ||
            (t->shape[t->ndim - d] != out->shape[out->ndim - d] && t->shape[t->ndim - d] != 1))
            return false;
    return true;
}

bool tensor_matmul(Tensor out, double alpha, Tensor a, Tensor b, double beta)
{
    if ((out.dtype != TENSOR_F32 && out.dtype != TENSOR_F64) || a.dtype != out.dtype ||
        b.dtype != out.dtype || out.ndim < 2 || a.ndim < 2 || b.ndim < 2 || tensor_is_broadcast(&out))
        return false;
    int64_t k = a.shape[a.ndim - 1];
    if (a.shape[a.ndim - 2] != out.shape[out.ndim - 2] || b.shape[b.ndim - 2] != k ||
        b.shape[b.ndim - 1] != out.shape[out.ndim - 1] || !batches_fit(&out, &a) || !batches_fit(&out, &b))
        return false;
    if (tensor_numel(&out) == 0)
        return true;
    /* BLIS rounds beta * c + a b once where a tile is full and twice at the edges, so that a row's bits
     * would depend on its place: it only gets to see the factors 0 and 1, for which both are the same. */
    if (beta != 0 && beta != 1) {
        tensor_axpby(out, beta, out, 0);
        beta = 1;
    }
    if (k == 0)
        return beta != 0 || tensor_fill(out, 0);
    return multiply_batches(out, alpha, a, b, beta);
}

#include "tensor/reduce.h"
#include "tensor/levels.h"
#include "tensor/elementwise.h"
#include "tensor/loop_internal.h"

#include <math.h>
#include <string.h>

/* How a reduction adds up. The reduced elements of one result are a sequence, in the C order of their
 * indices. Element number i goes to partial sum i mod LANES, a double; at the end the partial sums are
 * added in pairs. Nothing else decides about the order, so a result has the same bits in every layout,
 * whether the sequence lies side by side (rows) or one below the other (columns), which are added up in
 * tiles of TILE columns at once. */
enum { LANES = 8, TILE = 256 };

/* ---- Adding up: into the partial sums of one sequence, or of a tile of sequences ---- */

/* Takes the next n elements of a sequence, of which `position` went before, into its LANES partial sums. */
typedef void RunFunction(double *lanes, int64_t position, const void *in, int64_t stride, int64_t n);
/* The same of several sequences, which begin `apart` elements from each other. */
typedef void ColumnsFunction(double (*sums)[TILE], int64_t position, const void *in, int64_t stride,
                             int64_t n, int64_t apart, int64_t columns);

/* The results of `rows` sequences of n elements side by side, which begin `apart` elements from each other.
 */
typedef void RowsFunction(double *results, const void *in, int64_t apart, int64_t n, int64_t rows);
/* The results of n sequences from their partial sums. */
typedef void JoinFunction(double *results, double (*sums)[TILE], int64_t n);

typedef struct Folding {
    RunFunction *run;
    ColumnsFunction *columns;
    RowsFunction *rows;
    JoinFunction *join;
    double start;
} Folding;

/* Takes one more element into a partial sum, and joins two partial sums. */
typedef double Fold(double sum, double x);
typedef double Join(double sum, double other);

TENSOR_INLINE double add(double sum, double x)
{
    return sum + x;
}

TENSOR_INLINE double add_square(double sum, double x)
{
    return sum + x * x;
}

/* A NaN in x is taken by the second test; one in sum stays, because x > NaN is false. */
TENSOR_INLINE double larger(double sum, double x)
{
    double y = x > sum ? x : sum;
    return x != x ? x : y;
}

/* TENSOR_LEVELS() of names that are macros. */
#define AT_LEVELS(name, loop, parameters, ...) TENSOR_LEVELS(name, loop, parameters, __VA_ARGS__)
#define KERNELS                                "tensor/reduce_kernels_internal.h"
#include "tensor/each_real.h"

/* ---- Walking ---- */

/* The results of `rows` sequences, at most TILE; the stride is in elements of `size` bytes. */
static void fold_rows(const Folding *folding, const TensorLoop *sequence, char *start, int64_t stride,
                      int64_t size, int64_t rows, double *results)
{
    if (sequence->ndim == 0 && (sequence->stride[0] == 1 || sequence->n == 1)) {
        folding->rows(results, start, stride, sequence->n, rows);
        return;
    }
    double sums[LANES][TILE];
    for (int64_t r = 0; r < rows; r++) {
        double lanes[LANES];
        TensorLoop loop = *sequence;
        for (int l = 0; l < LANES; l++)
            lanes[l] = folding->start;
        loop.data[0] = start + r * stride * size;
        for (int64_t position = 0; tensor_loop_next(&loop); position += loop.n)
            folding->run(lanes, position, loop.data[0], loop.stride[0], loop.n);
        for (int l = 0; l < LANES; l++)
            sums[l][r] = lanes[l];
    }
    folding->join(results, sums, rows);
}

/* The results of `columns` sequences side by side, at most TILE. */
static void fold_columns(const Folding *folding, const TensorLoop *sequence, char *start, int64_t stride,
                         int64_t columns, double *results)
{
    double lanes[LANES][TILE];
    TensorLoop loop = *sequence;
    for (int l = 0; l < LANES; l++)
        for (int64_t c = 0; c < columns; c++)
            lanes[l][c] = folding->start;
    loop.data[0] = start;
    for (int64_t position = 0; tensor_loop_next(&loop); position += loop.n)
        folding->columns(lanes, position, loop.data[0], loop.stride[0], loop.n, stride, columns);
    folding->join(results, lanes, columns);
}

static void store(char *place, TensorDtype dtype, double value, bool accumulate)
{
    if (dtype == TENSOR_F32) {
        float *out = (float *)(void *)place;
        *out = accumulate ? *out + (float)value : (float)value;
    } else {
        double *out = (double *)(void *)place;
        *out = accumulate ? *out + value : value;
    }
}

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

/* `out` has the axes of `a`, of size 1 where bit i of `folded_axes` is set; checked by the callers. */
static void fold(const Folding *folding, const Tensor *out, const Tensor *a, unsigned folded_axes,
                 bool accumulate)
{
    Tensor kept = *a, folded = *a; /* along those axes alone */
    for (int d = 0; d < a->ndim; d++)
        *(folded_axes >> d & 1 ? &kept.shape[d] : &folded.shape[d]) = 1;
    TensorLoop loop, sequence;
    if (!tensor_loop_init(&loop, 2, (const Tensor *[]){&kept, out}) ||
        !tensor_loop_init_in_order(&sequence, &folded))
        return;
    int64_t in = loop.stride[0], size = (int64_t)tensor_dtype_size(a->dtype);
    bool by_columns = loop.n > 1 && (sequence.n == 1 || magnitude(in) < magnitude(sequence.stride[0]));
    double results[TILE];
    while (tensor_loop_next(&loop))
        for (int64_t c = 0; c < loop.n; c += TILE) {
            char *start = loop.data[0] + c * in * size;
            int64_t count = loop.n - c < TILE ? loop.n - c : TILE;
            if (by_columns)
                fold_columns(folding, &sequence, start, in, count, results);
            else
                fold_rows(folding, &sequence, start, in, size, count, results);
            for (int64_t i = 0; i < count; i++)
                store(loop.data[1] + (c + i) * loop.stride[1] * size, a->dtype, results[i], accumulate);
        }
}

/* ---- The interface ---- */

static bool is_real(TensorDtype dtype)
{
    return dtype == TENSOR_F32 || dtype == TENSOR_F64;
}

bool tensor_axes(unsigned axes, int ndim, unsigned *found)
{
    unsigned all = (1u << ndim) - 1;
    if (ndim == 0 && axes != TENSOR_AXES_ALL) /* axis 0 of a scalar is all of it */
        axes &= ~(TENSOR_AXIS(0) | TENSOR_AXIS(-1));
    *found = axes == TENSOR_AXES_ALL ? all : axes & ~(~0u << (32 - TENSOR_MAX_DIMS));
    for (int i = 1; axes != TENSOR_AXES_ALL && i <= TENSOR_MAX_DIMS; i++)
        if (axes & TENSOR_AXIS(-i))
            *found |= TENSOR_AXIS(i <= ndim ? ndim - i : TENSOR_MAX_DIMS);
    return (*found & ~all) == 0;
}

bool tensor_reduce(TensorReduceOp op, Tensor out, Tensor a, unsigned axes)
{
    if (!is_real(a.dtype) || out.dtype != a.dtype || out.ndim != a.ndim ||
        !tensor_axes(axes, a.ndim, &axes) || tensor_is_broadcast(&out) ||
        (op != TENSOR_REDUCE_SUM && op != TENSOR_REDUCE_MAX))
        return false;
    bool empty = false;
    for (int d = 0; d < a.ndim; d++) {
        bool folded = axes >> d & 1;
        if (out.shape[d] != (folded ? 1 : a.shape[d]))
            return false;
        empty |= folded && a.shape[d] == 0;
    }
    if (op == TENSOR_REDUCE_MAX && empty)
        return false;
    const Folding *most = a.dtype == TENSOR_F32 ? &most_f32 : &most_f64;
    fold(op == TENSOR_REDUCE_MAX ? most : TENSOR_BY_DTYPE(a.dtype, &sum), &out, &a, axes, false);
    return true;
}

bool tensor_sum_to(Tensor out, Tensor a, bool accumulate)
{
    if (!is_real(a.dtype) || out.dtype != a.dtype || out.ndim > a.ndim || tensor_is_broadcast(&out))
        return false;
    Tensor keep = {.data = out.data, .dtype = out.dtype, .ndim = a.ndim}; /* out with the axes of a */
    unsigned axes = 0;
    for (int d = 0; d < a.ndim; d++) {
        int own = d - (a.ndim - out.ndim);
        keep.shape[d] = own < 0 ? 1 : out.shape[own];
        keep.strides[d] = own < 0 ? 0 : out.strides[own];
        if (keep.shape[d] != a.shape[d] && keep.shape[d] != 1)
            return false;
        if (keep.shape[d] != a.shape[d])
            axes |= 1u << d;
    }
    if (axes == 0)
        return tensor_axpby(keep, 1, a, accumulate ? 1 : 0);
    fold(TENSOR_BY_DTYPE(a.dtype, &sum), &keep, &a, axes, accumulate);
    return true;
}

bool tensor_argmax(Tensor out, Tensor a)
{
    int last = a.ndim - 1;
    if (!is_real(a.dtype) || out.dtype != TENSOR_I32 || last < 0 || tensor_is_broadcast(&out))
        return false;
    Tensor first = tensor_select(a, last, 0);
    int64_t n = a.shape[last];
    if (n > INT32_MAX || !tensor_is_valid(first) || !tensor_same_shape(&first, &out))
        return false;
    TensorLoop loop;
    if (!tensor_loop_init(&loop, 2, (const Tensor *[]){&out, &first}))
        return false;
    while (tensor_loop_next(&loop))
        for (int64_t i = 0; i < loop.n; i++)
            ((int32_t *)(void *)loop.data[0])[i * loop.stride[0]] =
                TENSOR_BY_DTYPE(a.dtype, argmax)(loop.data[1], i * loop.stride[1], a.strides[last], n);
    return true;
}

double tensor_sum_of_squares(Tensor a)
{
    TensorLoop sequence;
    if (!is_real(a.dtype) || !tensor_loop_init_in_order(&sequence, &a))
        return NAN;
    const Folding squares = TENSOR_BY_DTYPE(a.dtype, squares);
    double sum;
    fold_rows(&squares, &sequence, a.data, 0, (int64_t)tensor_dtype_size(a.dtype), 1, &sum);
    return sum;
}

bool tensor_is_finite(Tensor a)
{
    TensorLoop loop;
    if (!tensor_loop_init(&loop, 1, (const Tensor *[]){&a}))
        return false;
    if (a.dtype == TENSOR_I32)
        return true;
    while (tensor_loop_next(&loop))
        if (!TENSOR_BY_DTYPE(a.dtype, finite)(loop.data[0], loop.stride[0], loop.n))
            return false;
    return true;
}

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
/* Takes one element of each of n sequences into sums[0] to sums[n - 1]. */
typedef void ColumnsFunction(double *sums, const void *in, int64_t stride, int64_t n);

typedef struct Folding {
    RunFunction *run;
    ColumnsFunction *columns;
    double (*join)(double, double); /* two partial sums into one */
    double start;
} Folding;

/* Takes one more element into a partial sum. */
typedef double Fold(double sum, double x);

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
    return ((x > sum) | (x != x)) ? x : sum;
}

/* TENSOR_LEVELS() of names that are macros. */
#define AT_LEVELS(name, loop, parameters, ...) TENSOR_LEVELS(name, loop, parameters, __VA_ARGS__)
#define KERNELS                                "tensor/reduce_kernels_internal.h"
#include "tensor/each_real.h"

/* The hot case, bias gradients, with the widest vectors there are. */
static void sum_columns_fast(double *sums, const void *in, int64_t stride, int64_t n)
{
    if (stride == 1)
        tensor_vmath_accumulate(sums, in, (size_t)n);
    else
        sum_columns_f32(sums, in, stride, n);
}

static const Folding *sum_of(TensorDtype dtype)
{
    static const Folding fast = {sum_run_f32, sum_columns_fast, add, 0};
    return dtype == TENSOR_F32 ? &fast : &sum_f64;
}

/* The partial sums lanes[0], lanes[step], ... into one. */
static double join_lanes(const Folding *folding, const double *lanes, int step)
{
    double joined[LANES];
    for (int l = 0; l < LANES; l++)
        joined[l] = lanes[l * step];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            joined[l] = folding->join(joined[l], joined[l + half]);
    return joined[0];
}

/* ---- Walking ---- */

/* The result of the sequence from `start`. */
static double fold_row(const Folding *folding, const TensorLoop *sequence, char *start)
{
    double lanes[LANES];
    for (int l = 0; l < LANES; l++)
        lanes[l] = folding->start;
    if (sequence->ndim == 0) {
        folding->run(lanes, 0, start, sequence->stride[0], sequence->n);
        return join_lanes(folding, lanes, 1);
    }
    TensorLoop loop = *sequence;
    loop.data[0] = start;
    for (int64_t position = 0; tensor_loop_next(&loop); position += loop.n)
        folding->run(lanes, position, loop.data[0], loop.stride[0], loop.n);
    return join_lanes(folding, lanes, 1);
}

/* The results of `columns` sequences side by side, at most TILE; the stride is in elements of `size` bytes.
 */
static void fold_tile(const Folding *folding, const TensorLoop *sequence, char *start, int64_t stride,
                      int64_t size, int64_t columns, double *results)
{
    double lanes[LANES][TILE];
    TensorLoop loop = *sequence;
    int64_t position = 0;
    for (int l = 0; l < LANES; l++)
        for (int64_t c = 0; c < columns; c++)
            lanes[l][c] = folding->start;
    loop.data[0] = start;
    while (tensor_loop_next(&loop))
        for (int64_t j = 0; j < loop.n; j++, position++)
            folding->columns(lanes[position % LANES], loop.data[0] + j * loop.stride[0] * size, stride,
                             columns);
    for (int64_t c = 0; c < columns; c++)
        results[c] = join_lanes(folding, &lanes[0][c], TILE);
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
    int64_t tile = by_columns ? TILE : 1;
    double results[TILE];
    while (tensor_loop_next(&loop))
        for (int64_t c = 0; c < loop.n; c += tile) {
            char *start = loop.data[0] + c * in * size;
            int64_t count = loop.n - c < tile ? loop.n - c : tile;
            if (by_columns)
                fold_tile(folding, &sequence, start, in, size, count, results);
            else
                results[0] = fold_row(folding, &sequence, start);
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
    fold(op == TENSOR_REDUCE_MAX ? most : sum_of(a.dtype), &out, &a, axes, false);
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
    fold(sum_of(a.dtype), &keep, &a, axes, accumulate);
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
    return fold_row(&squares, &sequence, a.data);
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

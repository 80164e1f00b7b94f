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

/* Some axes of the input; their offsets in elements. */
typedef struct Axes {
    int count;
    int64_t numel;
    int64_t shape[TENSOR_MAX_DIMS], in[TENSOR_MAX_DIMS], out[TENSOR_MAX_DIMS];
} Axes;

static void axes_add(Axes *axes, int64_t size, int64_t in, int64_t out)
{
    axes->numel *= size;
    int last = axes->count - 1;
    if (size == 1)
        return;
    if (last >= 0 && axes->in[last] == size * in && axes->out[last] == size * out) {
        axes->shape[last] *= size;
        axes->in[last] = in;
        axes->out[last] = out;
        return;
    }
    axes->shape[++last] = size;
    axes->in[last] = in;
    axes->out[last] = out;
    axes->count++;
}

/* The offset of element number `i` in C order, by the strides `strides` (axes->in or axes->out). */
static int64_t axes_offset(const Axes *axes, const int64_t *strides, int64_t i)
{
    int64_t offset = 0;
    for (int d = axes->count - 1; d > 0; d--) {
        offset += i % axes->shape[d] * strides[d];
        i /= axes->shape[d];
    }
    return axes->count ? offset + i * strides[0] : 0;
}

/* Takes the last axis off (size 1, if there is none). */
static void axes_pop(Axes *axes, int64_t *size, int64_t *in, int64_t *out)
{
    *size = 1;
    *in = *out = 0;
    if (axes->count == 0)
        return;
    int last = --axes->count;
    *size = axes->shape[last];
    *in = axes->in[last];
    *out = axes->out[last];
    axes->numel /= *size;
}

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

static inline double add(double sum, double x)
{
    return sum + x;
}

static inline double add_square(double sum, double x)
{
    return sum + x * x;
}

/* A NaN in x is taken by the second test; one in sum stays, because x > NaN is false. */
static inline double larger(double sum, double x)
{
    return ((x > sum) | (x != x)) ? x : sum;
}

#define KERNELS "tensor/reduce_kernels_internal.h"
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

/* One reduction, laid out for walking. The outer axes are in `kept` and `folded`; the innermost of each
 * kind has fields of its own. Its strides are those of the input and of the output. */
typedef struct TapeWalk {
    Folding folding;
    TensorDtype dtype;
    const char *in;
    char *out;
    bool accumulate;
    Axes kept, folded;
    int64_t columns, column_in, column_out;
    int64_t run, run_in;
} TapeWalk;

static const char *input_at(const TapeWalk *walk, int64_t offset)
{
    return walk->in + offset * (int64_t)tensor_dtype_size(walk->dtype);
}

static void store(const TapeWalk *walk, int64_t offset, double value)
{
    if (walk->dtype == TENSOR_F32) {
        float *place = (float *)(void *)walk->out + offset;
        *place = walk->accumulate ? *place + (float)value : (float)value;
    } else {
        double *place = (double *)(void *)walk->out + offset;
        *place = walk->accumulate ? *place + value : value;
    }
}

/* The result of the sequence that starts `offset` elements into the input. */
static double fold_row(const TapeWalk *walk, int64_t offset)
{
    double lanes[LANES];
    for (int l = 0; l < LANES; l++)
        lanes[l] = walk->folding.start;
    for (int64_t i = 0; i < walk->folded.numel; i++) {
        const char *in = input_at(walk, offset + axes_offset(&walk->folded, walk->folded.in, i));
        walk->folding.run(lanes, i * walk->run, in, walk->run_in, walk->run);
    }
    return join_lanes(&walk->folding, lanes, 1);
}

/* The results of `columns` sequences side by side, at most TILE. */
static void fold_tile(const TapeWalk *walk, int64_t in_offset, int64_t out_offset, int64_t columns)
{
    double lanes[LANES][TILE];
    int64_t position = 0;
    for (int l = 0; l < LANES; l++)
        for (int64_t c = 0; c < columns; c++)
            lanes[l][c] = walk->folding.start;
    for (int64_t i = 0; i < walk->folded.numel; i++) {
        int64_t offset = in_offset + axes_offset(&walk->folded, walk->folded.in, i);
        for (int64_t j = 0; j < walk->run; j++, position++)
            walk->folding.columns(lanes[position % LANES], input_at(walk, offset + j * walk->run_in),
                                  walk->column_in, columns);
    }
    for (int64_t c = 0; c < columns; c++)
        store(walk, out_offset + c * walk->column_out, join_lanes(&walk->folding, &lanes[0][c], TILE));
}

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

static void fold_all(const TapeWalk *walk)
{
    bool by_columns =
        walk->columns > 1 && (walk->run == 1 || magnitude(walk->column_in) < magnitude(walk->run_in));
    int64_t tile = by_columns ? TILE : 1;
    for (int64_t i = 0; i < walk->kept.numel; i++) {
        int64_t in = axes_offset(&walk->kept, walk->kept.in, i);
        int64_t out = axes_offset(&walk->kept, walk->kept.out, i);
        for (int64_t c = 0; c < walk->columns; c += tile) {
            int64_t left = walk->columns - c, in_c = in + c * walk->column_in,
                    out_c = out + c * walk->column_out;
            if (by_columns)
                fold_tile(walk, in_c, out_c, left < TILE ? left : TILE);
            else
                store(walk, out_c, fold_row(walk, in_c));
        }
    }
}

/* Puts the kept axis along which the input is densest last. */
static void densest_last(Axes *axes)
{
    int last = axes->count - 1, densest = last;
    for (int d = 0; d < last; d++)
        if (magnitude(axes->in[d]) < magnitude(axes->in[densest]))
            densest = d;
    if (densest == last)
        return;
    int64_t size = axes->shape[densest], in = axes->in[densest], out = axes->out[densest];
    for (int d = densest; d < last; d++) {
        axes->shape[d] = axes->shape[d + 1];
        axes->in[d] = axes->in[d + 1];
        axes->out[d] = axes->out[d + 1];
    }
    axes->shape[last] = size;
    axes->in[last] = in;
    axes->out[last] = out;
}

/* `out` has the axes of `a`, of size 1 where bit i of `folded_axes` is set; checked by the callers. */
static void fold(const Folding *folding, const Tensor *out, const Tensor *a, unsigned folded_axes,
                 bool accumulate)
{
    int64_t unused;
    TapeWalk walk = {.folding = *folding,
                     .dtype = a->dtype,
                     .in = a->data,
                     .out = out->data,
                     .accumulate = accumulate,
                     .kept = {.numel = 1},
                     .folded = {.numel = 1}};
    for (int d = 0; d < a->ndim; d++) {
        bool is_folded = folded_axes >> d & 1;
        axes_add(is_folded ? &walk.folded : &walk.kept, a->shape[d], a->strides[d],
                 is_folded ? 0 : out->strides[d]);
    }
    densest_last(&walk.kept);
    if (walk.kept.numel == 0)
        return;
    if (walk.folded.numel == 0) {
        walk.folded = (Axes){.count = 0, .numel = 0};
        walk.run = 0;
    } else {
        axes_pop(&walk.folded, &walk.run, &walk.run_in, &unused);
    }
    axes_pop(&walk.kept, &walk.columns, &walk.column_in, &walk.column_out);
    fold_all(&walk);
}

/* ---- The interface ---- */

static bool is_real(TensorDtype dtype)
{
    return dtype == TENSOR_F32 || dtype == TENSOR_F64;
}

bool tensor_reduce(TensorReduceOp op, Tensor out, Tensor a, unsigned axes)
{
    if (!is_real(a.dtype) || out.dtype != a.dtype || out.ndim != a.ndim || axes >> a.ndim ||
        tensor_is_broadcast(&out) || (op != TENSOR_REDUCE_SUM && op != TENSOR_REDUCE_MAX))
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
    Axes rows = {.numel = 1};
    for (int d = 0; d < last; d++)
        axes_add(&rows, a.shape[d], a.strides[d], out.strides[d]);
    for (int64_t i = 0; i < rows.numel; i++) {
        int64_t offset = axes_offset(&rows, rows.in, i);
        tensor_i32(out)[axes_offset(&rows, rows.out, i)] =
            TENSOR_BY_DTYPE(a.dtype, argmax)(a.data, offset, a.strides[last], n);
    }
    return true;
}

double tensor_sum_of_squares(Tensor a)
{
    double lanes[LANES] = {0};
    if (!is_real(a.dtype))
        return NAN;
    TapeWalk walk = {
        .folding = TENSOR_BY_DTYPE(a.dtype, squares), .dtype = a.dtype, .in = a.data, .folded = {.numel = 1}};
    int64_t unused;
    for (int d = 0; d < a.ndim; d++)
        axes_add(&walk.folded, a.shape[d], a.strides[d], 0);
    if (walk.folded.numel == 0)
        return join_lanes(&walk.folding, lanes, 1);
    axes_pop(&walk.folded, &walk.run, &walk.run_in, &unused);
    return fold_row(&walk, 0);
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

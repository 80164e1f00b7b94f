#include "nn/convolution.h"
#include "nn/sequence.h"

#include <math.h>

/* ---- Windows: x [B, C, H, W] to [B, C, window, H', W'], a view of x for each element of a window ---- */

enum { MOST_WINDOW = 1024 };

typedef struct Window {
    const char *name; /* of who asks, for messages */
    int kernel[2], stride[2], padding[2], dilation[2];
} Window;

/* Notes what is wrong with a window; true where nothing is. */
static bool check_window(Tape *tape, const Window *w)
{
    for (int i = 0; i < 2; i++) {
        const struct {
            const char *name;
            int value, least;
        } sizes[] = {{"kernel", w->kernel[i], 1},
                     {"stride", w->stride[i], 1},
                     {"padding", w->padding[i], 0},
                     {"dilation", w->dilation[i], 1}};
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            if (sizes[k].value < sizes[k].least) {
                tape_fail(tape, "%s: the %s is %d and must be at least %d", w->name, sizes[k].name,
                          sizes[k].value, sizes[k].least);
                return false;
            }
    }
    if (w->kernel[0] <= MOST_WINDOW && w->kernel[1] <= MOST_WINDOW / w->kernel[0])
        return true;
    tape_fail(tape, "%s: the kernel is %d x %d and must have at most %d elements", w->name, w->kernel[0],
              w->kernel[1], MOST_WINDOW);
    return false;
}

/* How many windows there are along an axis of `size` elements; less than 1: it is too short. */
static int64_t windows_along(const Window *w, int axis, int64_t size)
{
    int64_t reach = (int64_t)w->dilation[axis] * (w->kernel[axis] - 1) + 1;
    return size + 2 * w->padding[axis] < reach ? 0
                                               : (size + 2 * w->padding[axis] - reach) / w->stride[axis] + 1;
}

/* The batch is the last axis of what windows are taken from, so that an element of a window is a whole row: a
 * gather copies long runs, and its gradient adds them. [C, H', W', B] as [B, C, H', W']. */
static Var batch_first(Var x)
{
    return var_permute(x, (int[]){3, 0, 1, 2});
}

/* Where the elements of windows lie among the rows [C H W], i32 [window C H' W'], channels first where
 * `by_channel`: [C window H' W']. Padding is the row behind all. Invalid: no memory, or too many rows. */
static Tensor places_of(Tape *tape, const Window *w, const int64_t *size, int64_t rows, int64_t columns,
                        bool by_channel)
{
    int64_t height = size[1], width = size[2], window = (int64_t)w->kernel[0] * w->kernel[1];
    if (size[0] * height * width >= INT32_MAX)
        return tensor_invalid();
    Tensor places = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(size[0] * window * rows * columns));
    if (!tensor_is_valid(places))
        return places;
    int32_t *at = tensor_i32(places);
    int64_t outer = by_channel ? size[0] : window, inner = by_channel ? window : size[0];
    for (int64_t a = 0; a < outer; a++)
        for (int64_t b = 0; b < inner; b++) {
            int64_t channel = by_channel ? a : b, element = by_channel ? b : a;
            int64_t down = element / w->kernel[1] * w->dilation[0] - w->padding[0],
                    right = element % w->kernel[1] * w->dilation[1] - w->padding[1];
            for (int64_t i = 0; i < rows; i++)
                for (int64_t k = 0; k < columns; k++) {
                    int64_t y = i * w->stride[0] + down, z = k * w->stride[1] + right;
                    bool inside = y >= 0 && y < height && z >= 0 && z < width;
                    *at++ = (int32_t)(inside ? (channel * height + y) * width + z : size[0] * height * width);
                }
        }
    return places;
}

/* The elements of all windows of x [B, C, H, W]: rows [window C H' W', B], or [C window H' W', B]; their H'
 * and W'. */
static Var windows_of(Var x, const Window *w, double padding, bool by_channel, int64_t *rows,
                      int64_t *columns)
{
    Tape *tape = x.tape;
    if (var_is_empty(x))
        return x;
    if (!check_window(tape, w))
        return (Var){.tape = tape};
    *rows = windows_along(w, 0, var_size(x, 2));
    *columns = windows_along(w, 1, var_size(x, 3));
    if (*rows < 1 || *columns < 1)
        return tape_fail(tape, "%s: a window of %d x %d does not fit into %lld x %lld", w->name, w->kernel[0],
                         w->kernel[1], (long long)var_size(x, 2), (long long)var_size(x, 3));
    int64_t size[] = {var_size(x, 1), var_size(x, 2), var_size(x, 3)}, batch = var_size(x, 0);
    Var all =
        var_reshape(var_permute(x, (int[]){1, 2, 3, 0}), TENSOR_SHAPE(size[0] * size[1] * size[2], batch));
    if (w->padding[0] > 0 || w->padding[1] > 0) {
        Var behind = var_expand(tape_scalar(x, padding), TENSOR_SHAPE(1, batch));
        all = var_concat((Var[]){all, behind}, 2, 0);
    }
    Tensor places = places_of(tape, w, size, *rows, *columns, by_channel);
    if (!tensor_is_valid(places))
        return tape_fail(tape, "%s: out of memory, or more than 2^31 elements an example", w->name);
    return var_gather_rows(all, tape_constant(tape, places));
}

/* x [B, C, L] as [B, C, 1, L], and back. */
static Var with_height(Var x)
{
    return var_is_empty(x) ? x
                           : var_reshape(x, TENSOR_SHAPE(var_size(x, 0), var_size(x, 1), 1, var_size(x, 2)));
}

static Var without_height(Var x)
{
    return var_is_empty(x) ? x : var_select(x, 2, 0);
}

static bool has_axes(Var x, int axes, const char *name)
{
    if (var_is_empty(x))
        return false;
    if (var_ndim(x) != axes + 2)
        tape_fail(x.tape, "%s: takes [B, C, ...] of %d axes, not %d", name, axes + 2, var_ndim(x));
    return var_ndim(x) == axes + 2;
}

/* ---- Convolution ---- */

NnConvOptions nn_conv_options(void)
{
    return nn_conv_padded(0);
}

NnConvOptions nn_conv_padded(int padding)
{
    return (NnConvOptions){.stride = 1, .padding = padding, .dilation = 1};
}

static Var forward_1d(NnModule *module, Var x)
{
    return nn_conv1d((NnConv *)(void *)module, x);
}

static Var forward_2d(NnModule *module, Var x)
{
    return nn_conv2d((NnConv *)(void *)module, x);
}

static void init(NnConv *m, int64_t in, int64_t out, int height, int width, int axes, NnConvOptions options)
{
    nn_module_init(&m->base);
    m->base.forward = axes == 1 ? forward_1d : forward_2d;
    m->in = in;
    m->out = out;
    m->kernel[0] = height;
    m->kernel[1] = width;
    m->axes = axes;
    m->options = options;
    NnInit uniform = nn_init_linear(in * height * width);
    if (axes == 1)
        nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(out, in, width), uniform);
    else
        nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(out, in, height, width),
                                uniform);
    nn_module_add_parameter(&m->base, &m->bias, "bias", TENSOR_SHAPE(out), uniform);
}

void nn_conv1d_init(NnConv1d *m, int64_t in, int64_t out, int kernel, NnConvOptions options)
{
    init(m, in, out, 1, kernel, 1, options);
}

void nn_conv2d_init(NnConv2d *m, int64_t in, int64_t out, int kernel_height, int kernel_width,
                    NnConvOptions options)
{
    init(m, in, out, kernel_height, kernel_width, 2, options);
}

/* x [B, C, H, W]: the windows as columns [C window, H' W' B], multiplied by [out, C window]. */
static Var convolve(NnConv *m, Var x, const char *name)
{
    Tape *tape = x.tape;
    NnConvOptions o = m->options;
    bool flat = m->axes == 1;
    Window window = {.name = name,
                     .kernel = {m->kernel[0], m->kernel[1]},
                     .stride = {flat ? 1 : o.stride, o.stride},
                     .padding = {flat ? 0 : o.padding, o.padding},
                     .dilation = {flat ? 1 : o.dilation, o.dilation}};
    int64_t rows, columns, inner = m->in * m->kernel[0] * m->kernel[1];
    if (!var_is_empty(x) && var_size(x, 1) != m->in)
        return tape_fail(tape, "%s: x has %lld channels, not %lld", name, (long long)var_size(x, 1),
                         (long long)m->in);
    Var all = windows_of(x, &window, 0, true, &rows, &columns);
    if (var_is_empty(all))
        return all;
    int64_t batch = var_size(all, 1);
    Var weight = var_reshape(nn_var(&m->weight, tape), TENSOR_SHAPE(m->out, inner));
    Var y = var_matmul(weight, var_reshape(all, TENSOR_SHAPE(inner, rows * columns * batch)));
    y = var_add(y, var_reshape(nn_var(&m->bias, tape), TENSOR_SHAPE(m->out, 1)));
    return batch_first(var_reshape(y, TENSOR_SHAPE(m->out, rows, columns, batch)));
}

Var(nn_conv1d)(NnConv1d *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = has_axes(x, 1, "nn_conv1d") ? without_height(convolve(m, with_height(x), "nn_conv1d"))
                                        : (Var){.tape = x.tape};
    nn_leave(x.tape);
    return y;
}

Var(nn_conv2d)(NnConv2d *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = has_axes(x, 2, "nn_conv2d") ? convolve(m, x, "nn_conv2d") : (Var){.tape = x.tape};
    nn_leave(x.tape);
    return y;
}

/* Which rows each row's window has, i32 [N, kernel]; beyond a text's ends the one behind all. */
static Var rows_of_windows(NnSequence x, int before, int kernel)
{
    const NnPacking *packing = x.packing;
    Tensor rows = tensor_new(tape_arena(x.rows.tape), TENSOR_I32, TENSOR_SHAPE(packing->rows, kernel));
    if (!tensor_is_valid(rows))
        return tape_fail(x.rows.tape, "nn_conv1d_sequence: out of memory");
    int32_t *at = tensor_i32(rows);
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t place = 0; place < nn_running(packing, t); place++)
            for (int j = 0; j < kernel; j++) {
                int32_t from = t - before + j;
                bool is_there = from >= 0 && from < packing->length[packing->text[place]];
                *at++ = is_there ? packing->first[from] + place : packing->rows;
            }
    return tape_constant(x.rows.tape, rows);
}

static Var convolve_rows(NnConv1d *m, NnSequence x, int before)
{
    Tape *tape = x.rows.tape;
    int kernel = m->kernel[1];
    Var weight = var_permute(nn_var(&m->weight, tape), (int[]){0, 2, 1}); /* [out, kernel, in] */
    return var_window_linear(x.rows, rows_of_windows(x, before, kernel),
                             var_reshape(weight, TENSOR_SHAPE(m->out, kernel * m->in)),
                             nn_var(&m->bias, tape));
}

NnSequence(nn_conv1d_sequence)(NnConv1d *m, NnSequence x)
{
    Tape *tape = x.rows.tape;
    int before = m->options.padding, after = m->kernel[1] - 1 - before;
    nn_enter(&m->base, tape);
    if (tape && (m->options.stride != 1 || m->options.dilation != 1 || before < 0 || after < 0))
        tape_fail(
            tape,
            "nn_conv1d_sequence: needs a stride and dilation of 1 and a padding of less than the kernel");
    Var y = var_is_empty(x.rows) || !x.packing ? (Var){.tape = tape} : convolve_rows(m, x, before);
    nn_leave(tape);
    return nn_with_rows(x, y);
}

/* ---- Pooling ---- */

static Var pool(Var x, int axes, int kernel, int stride, int padding, bool largest, const char *name)
{
    if (!has_axes(x, axes, name))
        return (Var){.tape = x.tape};
    bool flat = axes == 1;
    Window window = {.name = name,
                     .kernel = {flat ? 1 : kernel, kernel},
                     .stride = {flat ? 1 : stride, stride},
                     .padding = {flat ? 0 : padding, padding},
                     .dilation = {1, 1}};
    if (padding > kernel / 2)
        return tape_fail(x.tape, "%s: a padding of %d is more than half a kernel of %d", name, padding,
                         kernel);
    int64_t rows, columns, channels = var_size(x, 1);
    Var all = windows_of(flat ? with_height(x) : x, &window, largest ? -INFINITY : 0, false, &rows, &columns);
    if (var_is_empty(all))
        return all;
    int64_t batch = var_size(all, 1), count = (int64_t)window.kernel[0] * kernel;
    all = var_reshape(all, TENSOR_SHAPE(count, channels * rows * columns * batch));
    Var y = largest ? var_max(all, TENSOR_AXIS(0), false) : var_mean(all, TENSOR_AXIS(0), false);
    y = batch_first(var_reshape(y, TENSOR_SHAPE(channels, rows, columns, batch)));
    return flat ? without_height(y) : y;
}

Var(nn_max_pool1d)(Var x, int kernel, int stride, int padding)
{
    return pool(x, 1, kernel, stride, padding, true, "nn_max_pool1d");
}

Var(nn_max_pool2d)(Var x, int kernel, int stride, int padding)
{
    return pool(x, 2, kernel, stride, padding, true, "nn_max_pool2d");
}

Var(nn_avg_pool1d)(Var x, int kernel, int stride, int padding)
{
    return pool(x, 1, kernel, stride, padding, false, "nn_avg_pool1d");
}

Var(nn_avg_pool2d)(Var x, int kernel, int stride, int padding)
{
    return pool(x, 2, kernel, stride, padding, false, "nn_avg_pool2d");
}

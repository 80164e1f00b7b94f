/* Products of windows of rows with a weight: a convolution over the rows of texts. Windows are put together a
 * few at a time, in the cache, so that no copy of each row for each place of a window is ever in memory. */
#include "autograd/op_support_internal.h"
#include "tensor/matmul.h"
#include "tensor/rows.h"
#include "tensor/vmath.h"

#include <string.h>

/* So many windows are put together at a time: as many as the products read at once. */
enum { BLOCK = 192 };

/* One use: the rows x [N, in], where each window has its rows, and how many there are. */
typedef struct Windows {
    Tensor x, index; /* index i32 [R, taps] without gaps; N: a row of zeros */
    int64_t count, taps, width;
} Windows;

static bool read_windows(OpContext *c, Windows *w)
{
    Tensor *saved = c->saved;
    *w = (Windows){.x = op_with_contiguous_rows(c, *c->in[0]), .index = *saved};
    if (!tensor_is_valid(w->x))
        return false;
    w->count = w->index.shape[0];
    w->taps = w->index.shape[1];
    w->width = w->x.shape[1];
    return true;
}

static const int32_t *window_at(const Windows *w, int64_t i)
{
    return tensor_i32(w->index) + i * w->taps;
}

/* out [rows, taps in] = the windows from `first` on. */
static void put_together(const Windows *w, int64_t first, Tensor out)
{
    size_t bytes = (size_t)w->width * tensor_dtype_size(out.dtype);
    char *to = out.data;
    for (int64_t i = 0; i < out.shape[0]; i++)
        for (int64_t j = 0; j < w->taps; j++, to += bytes) {
            int32_t row = window_at(w, first + i)[j];
            if (row < w->x.shape[0])
                memcpy(to, op_row(w->x, row), bytes);
            else
                memset(to, 0, bytes);
        }
}

/* to[n] += from[n] */
static void add_numbers(TensorDtype dtype, void *to, const void *from, int64_t n)
{
    if (dtype == TENSOR_F32) {
        tensor_vmath_add(to, to, from, (size_t)n);
        return;
    }
    double *sum = to;
    const double *x = from;
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

static bool is_zero(Tensor t, int64_t row)
{
    size_t bytes = (size_t)t.shape[1] * tensor_dtype_size(t.dtype);
    const char *from = op_row(t, row);
    return bytes == 0 || (from[0] == 0 && memcmp(from, from + 1, bytes - 1) == 0);
}

/* dx += the gradient of the windows from `first` on, dwindows [rows, taps in], where that of what was made of
 * them, dy, is not all 0. */
static void take_apart(const Windows *w, int64_t first, Tensor dwindows, Tensor dy, Tensor dx)
{
    size_t size = tensor_dtype_size(dx.dtype);
    for (int64_t i = 0; i < dwindows.shape[0]; i++) {
        const char *from = op_row(dwindows, i);
        if (is_zero(dy, i))
            continue;
        for (int64_t j = 0; j < w->taps; j++, from += (size_t)w->width * size) {
            int32_t row = window_at(w, first + i)[j];
            if (row < dx.shape[0])
                add_numbers(dx.dtype, op_row(dx, row), from, w->width);
        }
    }
}

/* The weight in panels, those of a parameter or in memory of the step; none: not f32. */
static const TensorPanels *panels_of(OpContext *c, bool transposed, TensorPanels *own)
{
    TapeParameter *parameter = op_parameter(c, 2);
    if (parameter)
        return tape_parameter_panels(parameter, transposed);
    Tensor weight = transposed ? tensor_transpose(*c->in[2], 0, 1) : *c->in[2];
    return tensor_panels_pack_into(own, weight, op_arena(c)) ? own : NULL;
}

/* out = a b + beta out, b being the weight or, `transposed`, its transpose. */
static bool times_weight(OpContext *c, Tensor out, Tensor a, const TensorPanels *panels, bool transposed,
                         double beta)
{
    if (panels)
        return tensor_panels_matmul(out, a, panels, beta, op_arena(c));
    Tensor weight = transposed ? tensor_transpose(*c->in[2], 0, 1) : *c->in[2];
    return tensor_matmul(out, 1.0, a, weight, beta);
}

static Tensor rows_from(Tensor t, int64_t first, int64_t rows)
{
    return tensor_slice(t, 0, first, first + rows, 1);
}

static bool check(OpContext *c, Tensor *index)
{
    Tensor x = *c->in[0], weight = *c->in[2];
    if (!op_wants_real(c, 0) || !op_wants_i32(c, 1) || !op_wants_real(c, 2))
        return false;
    if (x.ndim != 2 || c->in[1]->ndim != 2 || weight.ndim != 2)
        return op_error(c, "x must be [N, in], the index [R, taps] and the weight [out, taps in]");
    if (weight.shape[1] != c->in[1]->shape[1] * x.shape[1])
        return op_error(c, "a window has %lld numbers, the weight %lld columns",
                        (long long)(c->in[1]->shape[1] * x.shape[1]), (long long)weight.shape[1]);
    if (c->count == 4 && (c->in[3]->ndim != 1 || c->in[3]->shape[0] != weight.shape[0]))
        return op_error(c, "the bias must be [out]");
    *index = op_dense(c, *c->in[1]);
    if (!tensor_is_valid(*index))
        return false;
    int64_t size = tensor_numel(index),
            wrong = tensor_index_out_of_range(tensor_view_as(*index, 1, &size), x.shape[0] + 1);
    return wrong < 0 || op_error(c, "index %d is out of range for %lld rows and the one of zeros",
                                 (int)tensor_i32(*index)[wrong], (long long)x.shape[0]);
}

static bool window_linear_forward(OpContext *c)
{
    Tensor *index = c->saved = op_alloc(c, sizeof *index);
    Windows w;
    if (!index || !check(c, index) || !read_windows(c, &w) ||
        !op_output(c, TENSOR_SHAPE(w.count, c->in[2]->shape[0])))
        return false;
    bool biased = c->count == 4;
    if (biased)
        tensor_copy_into(*c->out[0], *c->in[3]);
    TensorArenaMark mark = tensor_arena_mark(op_arena(c));
    TensorPanels own = {0};
    const TensorPanels *panels = panels_of(c, true, &own);
    Tensor windows = op_new(c, TENSOR_SHAPE(w.count < BLOCK ? w.count : BLOCK, w.taps * w.width));
    bool ok = tensor_is_valid(windows);
    for (int64_t first = 0; ok && first < w.count; first += BLOCK) {
        int64_t rows = w.count - first < BLOCK ? w.count - first : BLOCK;
        Tensor block = rows_from(windows, 0, rows);
        put_together(&w, first, block);
        ok = times_weight(c, rows_from(*c->out[0], first, rows), block, panels, true, biased ? 1.0 : 0.0);
    }
    tensor_arena_rewind(op_arena(c), mark);
    return ok;
}

static void window_linear_backward(OpContext *c, OpTerm *terms)
{
    Windows w;
    Tensor dy = op_with_contiguous_rows(c, *c->grad[0]);
    if (!tensor_is_valid(dy) || !read_windows(c, &w))
        return;
    bool wants_x = op_needs_grad(c, 0), wants_weight = op_needs_grad(c, 2);
    Tensor dx = wants_x ? op_new_like(c, *c->in[0]) : tensor_invalid(),
           dweight = wants_weight ? op_new_like(c, *c->in[2]) : tensor_invalid();
    TensorArenaMark mark = tensor_arena_mark(op_arena(c));
    TensorPanels own = {0};
    const TensorPanels *panels = wants_x ? panels_of(c, false, &own) : NULL;
    Tensor windows =
        tensor_new(op_arena(c), dy.dtype, TENSOR_SHAPE(w.count < BLOCK ? w.count : BLOCK, w.taps * w.width));
    bool ok = tensor_is_valid(windows) && (!wants_x || tensor_fill(dx, 0)) &&
              (!wants_weight || tensor_fill(dweight, 0));
    for (int64_t first = 0; ok && first < w.count; first += BLOCK) {
        int64_t rows = w.count - first < BLOCK ? w.count - first : BLOCK;
        Tensor block = rows_from(windows, 0, rows), g = rows_from(dy, first, rows);
        if (wants_weight) {
            put_together(&w, first, block);
            ok = (dweight.dtype == TENSOR_F32 &&
                  tensor_panels_accumulate(dweight, &(TensorPanelsPair){g, block}, 1, 1.0, op_arena(c))) ||
                 tensor_matmul(dweight, 1.0, tensor_transpose(g, 0, 1), block, 1.0);
        }
        if (ok && wants_x) {
            ok = times_weight(c, block, g, panels, false, 0.0);
            take_apart(&w, first, block, g, dx);
        }
    }
    tensor_arena_rewind(op_arena(c), mark);
    if (!ok)
        return;
    op_give(&terms[0], dx);
    op_give(&terms[2], dweight);
    if (c->count == 4)
        op_give(&terms[3], *c->grad[0]);
}

static Var window_linear_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), in = op_sample_size(s, 1), out = op_sample_size(s, 2), taps = 3;
    Var x = op_sample(s, TENSOR_SHAPE(n, in), -1, 1);
    Var weight = op_sample(s, TENSOR_SHAPE(out, taps * in), -1, 1);
    Var bias = op_sample_choice(s, 2) ? op_sample(s, TENSOR_SHAPE(out), -1, 1) : VAR_NONE;
    return var_window_linear(x, op_sample_index(s, TENSOR_SHAPE(n + 1, taps), n + 1), weight, bias);
}

Var var_window_linear(Var x, Var index, Var weight, Var bias)
{
    return op_apply(&op_window_linear, (Var[]){x, index, weight, bias}, bias.tape ? 4 : 3, NULL, 0);
}

static void window_linear_composition(const OpUse *use, Var *out)
{
    Tensor index = *(const Tensor *)use->saved;
    int64_t width = var_size(use->in[0], 1), places = tensor_numel(&index);
    Var zeros = var_expand(tape_scalar(use->in[0], 0), TENSOR_SHAPE(1, width));
    Var rows = var_gather_rows(var_concat((Var[]){use->in[0], zeros}, 2, 0),
                               tape_constant(use->tape, tensor_view_as(index, TENSOR_SHAPE(places))));
    rows = var_reshape(rows, TENSOR_SHAPE(index.shape[0], index.shape[1] * width));
    *out = var_linear(rows, use->in[2], use->count == 4 ? use->in[3] : VAR_NONE);
}

OpKind op_window_linear = {.name = "window_linear",
                           .forward = window_linear_forward,
                           .backward = window_linear_backward,
                           .composition = window_linear_composition,
                           .sample = window_linear_sample,
                           .backward_reads = OP_IN(0) | OP_IN(2)};

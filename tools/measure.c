/* The registered op is replaced while it is measured by one that looks at the clock. */
#include "tools/measure.h"
#include "tensor/clock.h"
#include "tensor/flops.h"

#include <math.h>
#include <stdio.h>

enum { AT_LEAST = 5 };

/* The one that is measured: an op's functions have no context of their own. */
static OpMeasure *running;

static int64_t bytes_of(const Tensor *t)
{
    return tensor_numel(t) * (int64_t)tensor_dtype_size(t->dtype);
}

static bool is_view_of(const Tensor *view, const Tensor *t)
{
    const char *at = view->data, *start = t->data;
    return at >= start && at < start + bytes_of(t);
}

static bool goes_on(const MeasureCost *cost, double begun, double seconds)
{
    return cost->count < MEASURE_REPEATS &&
           (cost->count < AT_LEAST || reel_clock_seconds() - begun < seconds);
}

/* ---- Forward ---- */

static void note_sizes(OpMeasure *m, const OpContext *c)
{
    size_t used = 0;
    bool view = false;
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    m->input_bytes = m->output_bytes = 0;
    for (int i = 0; i < c->count; i++) {
        if (used < sizeof m->shapes)
            used += (size_t)snprintf(m->shapes + used, sizeof m->shapes - used, "%s%s", i ? " " : "",
                                     tensor_shape_text(c->in[i], shape));
        m->input_bytes += bytes_of(c->in[i]);
        view = view || is_view_of(c->out[0], c->in[i]);
    }
    for (int k = 0; k < c->outputs && !view; k++)
        m->output_bytes += bytes_of(c->out[k]);
    m->elements = tensor_numel(c->out[0]);
}

static bool forward(OpContext *c)
{
    OpMeasure *m = running;
    MeasureCost *cost = &m->forward;
    if (m->runs) {
        uint64_t flops = tensor_flops_count();
        cost->count = 0;
        for (double begun = reel_clock_seconds(); goes_on(cost, begun, m->seconds);) {
            TensorArenaMark mark = tensor_arena_mark(op_arena(c));
            double start = reel_clock_seconds();
            if (!m->real.forward(c))
                return false;
            cost->times[cost->count++] = reel_clock_seconds() - start;
            tensor_arena_rewind(op_arena(c), mark);
        }
        cost->gflop = 1e-9 * (double)(tensor_flops_count() - flops) / cost->count;
    }
    if (!m->real.forward(c))
        return false;
    note_sizes(m, c);
    return true;
}

/* ---- Backward ---- */

static void backward(OpContext *c, OpTerm *terms)
{
    running->entered = reel_clock_seconds();
    running->real.backward(c, terms);
    running->grad_bytes = 0;
    for (int i = 0; i < c->count; i++) {
        const OpTerm *term = &terms[i];
        if (term->kind == OP_TERM_NONE)
            continue;
        bool is_grad = !tensor_is_valid(term->a) || tensor_is_broadcast(&term->a);
        for (int k = 0; k < c->outputs && !is_grad; k++)
            is_grad = c->grad[k] && is_view_of(&term->a, c->grad[k]);
        bool sums = term->kind == OP_TERM_PRODUCT ||
                    (term->kind == OP_TERM_DENSE && !tensor_same_shape(&term->a, c->in[i]));
        if (sums) /* what the walk makes of it */
            running->grad_bytes += bytes_of(c->in[i]);
        else if (!is_grad)
            running->grad_bytes += bytes_of(&term->a);
    }
}

static Var random_like(OpMeasure *m, Var like, TensorRandom *random)
{
    Tensor shape = var_value(like), t = tensor_new(tape_arena(m->tape), shape.dtype, shape.ndim, shape.shape);
    if (!tensor_is_valid(t))
        return tape_fail(m->tape, "out of memory");
    tensor_random_fill_uniform(random, t, -1, 1);
    return tape_constant(m->tape, t);
}

/* From the moment at which the op's backward is called: what came before is of the sample. */
static void op_measure_backward(OpMeasure *m, Var out, const Var *leaves, int count, uint64_t seed)
{
    MeasureCost *cost = &m->backward;
    TensorRandom random = tensor_random_new(seed, tensor_random_stream("measure"));
    Var grad = random_like(m, out, &random), found[MEASURE_INPUTS];
    uint64_t flops = tensor_flops_count();
    for (double begun = reel_clock_seconds(); goes_on(cost, begun, m->seconds);) {
        TapeMark mark = tape_mark(m->tape);
        m->entered = 0;
        if (!tape_vjp(&out, &grad, 1, leaves, count, false, found) || m->entered == 0)
            return;
        cost->times[cost->count++] = reel_clock_seconds() - m->entered;
        tape_rewind(m->tape, mark);
    }
    cost->gflop = 1e-9 * (double)(tensor_flops_count() - flops) / cost->count;
}

/* ---- Sizes ---- */

/* Evaluates the sample with every size n; empty with an error. */
static Var draw(OpMeasure *m, int64_t n, uint64_t seed, bool runs, Var *leaves, int *count)
{
    tensor_arena_reset(&m->arena);
    tape_begin(m->tape);
    m->elements = 0;
    m->runs = runs;
    return op_gradcheck_draw(m->op, m->tape, &m->arena, n, seed, leaves, count);
}

static ReelStatus draw_alone(OpMeasure *m, int64_t n, uint64_t seed)
{
    Var leaves[MEASURE_INPUTS];
    int count;
    draw(m, n, seed, false, leaves, &count);
    m->elements += m->input_bytes / (int64_t)sizeof(float);
    if (tape_ok(m->tape) && !m->shapes[0])
        return reel_status_failed("%s: its sample does not use it", m->op->name);
    return *tape_status(m->tape);
}

/* The size at which the inputs have `wanted` elements, if they grow as they do from size 4 to 8. */
static int64_t size_for(int64_t wanted, int64_t at_4, int64_t at_8)
{
    double power = fmax(log2((double)at_8 / (double)at_4), 0.5);
    int64_t n = (int64_t)(8 * pow((double)wanted / (double)at_8, 1 / power));
    return n < 8 ? 8 : n / 8 * 8;
}

static ReelStatus run(OpMeasure *m, int64_t elements, uint64_t seed)
{
    Var leaves[MEASURE_INPUTS];
    int count;
    ReelStatus status = draw_alone(m, 4, seed);
    int64_t at_4 = m->elements;
    if (reel_status_is_ok(&status))
        status = draw_alone(m, 8, seed);
    if (!reel_status_is_ok(&status))
        return status;
    Var out = draw(m, size_for(elements, at_4, m->elements), seed, true, leaves, &count);
    m->elements += m->input_bytes / (int64_t)sizeof(float);
    if (!var_is_empty(out) && m->real.backward && var_wants_grad(out))
        op_measure_backward(m, out, leaves, count, seed);
    return *tape_status(m->tape);
}

ReelStatus measure_op(OpMeasure *m, const OpKind *op, int64_t elements, uint64_t seed, double seconds)
{
    if (!op->sample)
        return reel_status_failed("%s: the op has no sample", op->name);
    *m = (OpMeasure){.op = (OpKind *)op, .real = *op, .seconds = seconds, .tape = tape_new()};
    if (!m->tape)
        return reel_status_no_memory(0, "a tape");
    tensor_arena_init(&m->arena, 0);
    running = m;
    m->op->forward = forward;
    m->op->backward = op->backward ? backward : NULL;
    ReelStatus status = run(m, elements, seed);
    m->op->forward = m->real.forward;
    m->op->backward = m->real.backward;
    tape_free(m->tape);
    tensor_arena_free(&m->arena);
    return status;
}

#include "autograd/measure.h"
#include "autograd/sample_internal.h"
#include "autograd/walk_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const Node *node_of(const OpMeasure *measure)
{
    return tape_node(measure->tape, measure->node);
}

static const Tensor *output_of(const OpMeasure *measure, int k)
{
    return &tape_value(measure->tape, node_of(measure)->first_output + (uint32_t)k)->t;
}

static Value *input_of(const OpMeasure *measure, int i)
{
    return tape_value(measure->tape, node_input(measure->tape, node_of(measure), i));
}

/* ---- Drawing ---- */

/* Evaluates the sample with every size n and finds the op's node. */
static ReelStatus draw(OpMeasure *m, const OpKind *op, int64_t n, uint64_t seed)
{
    OpSample sample;
    tensor_arena_reset(&m->arena);
    op_sample_init(&sample, m->tape, &m->arena, OP_LAYOUT_CONTIGUOUS, TENSOR_F32, seed);
    for (int i = 0; i < SAMPLE_SIZES; i++)
        sample.sizes[i] = n;
    tape_begin(m->tape);
    op_sample_begin(&sample);
    op->sample(&sample);
    if (!tape_ok(m->tape))
        return *tape_status(m->tape);
    m->elements = 0;
    for (int i = 0; i < sample.count; i++)
        m->elements += tensor_numel(&sample.inputs[i]);
    for (m->node = m->tape->node_count; m->node-- > 0;)
        if (node_of(m)->op == op) {
            m->elements += tensor_numel(output_of(m, 0));
            return reel_status_ok();
        }
    return reel_status_failed("%s: its sample does not use it", op->name);
}

static int64_t bytes_of(const Tensor *t)
{
    return tensor_numel(t) * (int64_t)tensor_dtype_size(t->dtype);
}

static bool is_view_of(const Tensor *view, const Tensor *t)
{
    const char *at = view->data, *start = t->data;
    return at >= start && at < start + bytes_of(t);
}

static bool draw_gradients(OpMeasure *m, uint64_t seed)
{
    TensorRandom random = tensor_random_new(seed, tensor_random_stream("measure"));
    bool done = node_of(m)->outputs <= OP_MEASURE_MAX_OUTPUTS;
    for (int k = 0; k < node_of(m)->outputs && done; k++) {
        const Tensor *like = output_of(m, k);
        m->grads[k] = tensor_new(&m->arena, like->dtype, like->ndim, like->shape);
        tensor_random_fill_uniform(&random, m->grads[k], -1, 1);
        done = tensor_is_valid(m->grads[k]);
    }
    return done;
}

static void count_bytes(OpMeasure *m)
{
    bool view = false;
    for (uint32_t i = 0; i < node_of(m)->count; i++) {
        const Tensor *input = &input_of(m, (int)i)->t;
        m->input_bytes += bytes_of(input);
        view = view || is_view_of(output_of(m, 0), input);
    }
    for (int k = 0; k < node_of(m)->outputs && !view; k++)
        m->output_bytes += bytes_of(output_of(m, k));
}

/* The size at which the inputs have `wanted` elements, if they grow as they do from size 4 to 8. */
static int64_t size_for(int64_t wanted, int64_t at_4, int64_t at_8)
{
    double power = fmax(log2((double)at_8 / (double)at_4), 0.5);
    int64_t n = (int64_t)(8 * pow((double)wanted / (double)at_8, 1 / power));
    return n < 8 ? 8 : n / 8 * 8;
}

ReelStatus op_measure_init(OpMeasure *m, const OpKind *op, int64_t elements, uint64_t seed)
{
    *m = (OpMeasure){.tape = tape_new()};
    tensor_arena_init(&m->arena, 0);
    ReelStatus status = reel_status_ok();
    if (!m->tape)
        status = reel_status_no_memory(0, "a tape");
    else if (!op->sample)
        status = reel_status_failed("%s: the op has no sample", op->name);
    int64_t at_4 = 0;
    if (reel_status_is_ok(&status))
        status = draw(m, op, 4, seed);
    at_4 = m->elements;
    if (reel_status_is_ok(&status))
        status = draw(m, op, 8, seed);
    if (reel_status_is_ok(&status))
        status = draw(m, op, size_for(elements, at_4, m->elements), seed);
    if (reel_status_is_ok(&status) && !draw_gradients(m, seed))
        status = reel_status_no_memory(0, "gradients");
    if (reel_status_is_ok(&status))
        count_bytes(m);
    else
        op_measure_free(m);
    return status;
}

void op_measure_free(OpMeasure *m)
{
    tape_free(m->tape);
    tensor_arena_free(&m->arena);
    *m = (OpMeasure){0};
}

void op_measure_shapes(const OpMeasure *m, char *text, size_t size)
{
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < node_of(m)->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "",
                                 tensor_shape_text(&input_of(m, (int)i)->t, shape));
}

/* ---- Running ---- */

bool op_measure_forward(OpMeasure *m)
{
    TensorArenaMark mark = tensor_arena_mark(&m->tape->arena);
    bool done = op_rerun_forward(m->tape, m->node);
    tensor_arena_rewind(&m->tape->arena, mark);
    return done;
}

static void count_gradient(OpMeasure *m, const Pending *pending)
{
    bool of_grad = false;
    for (int k = 0; k < node_of(m)->outputs; k++)
        of_grad = of_grad || is_view_of(&pending->sum, &m->grads[k]);
    if (tensor_is_valid(pending->sum) && !tensor_is_broadcast(&pending->sum) && !of_grad)
        m->grad_bytes += bytes_of(&pending->sum);
    for (const RowGradient *part = pending->rows; part; part = part->next)
        m->grad_bytes += bytes_of(&part->rows);
}

bool op_measure_backward(OpMeasure *m)
{
    const Node *node = node_of(m);
    uint32_t first = node->first_output;
    if (!tape_value(m->tape, first)->wants)
        return false;
    TensorArenaMark mark = tensor_arena_mark(&m->tape->arena);
    TapeWalk walk;
    bool done = tape_walk_begin(&walk, m->tape, NULL);
    for (uint32_t k = 0; k < node->outputs && done; k++) {
        OpTerm grad = {.kind = OP_TERM_DENSE, .a = m->grads[k]};
        done = tape_walk_take(&walk, first + k, &grad);
    }
    if (done)
        tape_walk_node(&walk, m->node);
    m->grad_bytes = 0;
    for (uint32_t i = 0; i < node->count && done; i++) {
        uint32_t input = node_input(m->tape, node, (int)i);
        if (!*walk_place(&walk, input))
            continue;
        done = tape_walk_finish(&walk, input);
        count_gradient(m, *walk_place(&walk, input));
        tape_walk_release(&walk, input);
    }
    tensor_arena_rewind(&m->tape->arena, mark);
    return done && tape_ok(m->tape);
}

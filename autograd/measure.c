#include "autograd/measure.h"
#include "autograd/sample_internal.h"
#include "autograd/tape_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const Node *node_of(const Measure *measure)
{
    return &measure->tape->nodes[measure->node];
}

/* ---- Drawing ---- */

/* Evaluates the sample with every size n and finds the op's node. */
static Status draw(Measure *m, const Op *op, int64_t n, uint64_t seed)
{
    OpSample sample;
    arena_reset(&m->arena);
    sample_init(&sample, m->tape, &m->arena, LAYOUT_CONTIGUOUS, DTYPE_F32, seed);
    for (int i = 0; i < SAMPLE_SIZES; i++)
        sample.sizes[i] = n;
    tape_begin(m->tape);
    sample_begin(&sample);
    op->sample(&sample);
    if (!tape_ok(m->tape))
        return *tape_status(m->tape);
    m->elements = 0;
    for (int i = 0; i < sample.count; i++)
        m->elements += tensor_numel(&sample.inputs[i]);
    for (m->node = m->tape->count; m->node-- > 0;)
        if (node_of(m)->op == op && !node_of(m)->is_second) {
            m->elements += tensor_numel(&node_of(m)->value);
            return status_ok();
        }
    return status_failed("%s: its sample does not use it", op->name);
}

static int64_t bytes_of(const Tensor *t)
{
    return tensor_numel(t) * (int64_t)dtype_size(t->dtype);
}

static bool is_view_of(const Tensor *view, const Tensor *t)
{
    const char *at = view->data, *start = t->data;
    return at >= start && at < start + bytes_of(t);
}

static bool draw_gradients(Measure *m, uint64_t seed)
{
    const Node *node = node_of(m);
    Random random = random_new(seed, random_stream("measure"));
    m->grad = tensor_new(&m->arena, node->value.dtype, node->value.ndim, node->value.shape);
    random_fill_uniform(&random, m->grad, -1, 1);
    if (node->has_second) {
        m->second_grad = tensor_new(&m->arena, node[1].value.dtype, node[1].value.ndim, node[1].value.shape);
        random_fill_uniform(&random, m->second_grad, -1, 1);
    }
    return tensor_is_valid(m->grad) && (!node->has_second || tensor_is_valid(m->second_grad));
}

static void count_bytes(Measure *m)
{
    const Node *node = node_of(m);
    bool view = false;
    for (int i = 0; i < node->input_count; i++) {
        const Node *input = &m->tape->nodes[node->inputs[i]];
        m->input_bytes += bytes_of(&input->value);
        view = view || is_view_of(&node->value, &input->value);
    }
    if (!view)
        m->output_bytes = bytes_of(&node->value) + (node->has_second ? bytes_of(&node[1].value) : 0);
}

/* The size at which the inputs have `wanted` elements, if they grow as they do from size 4 to 8. */
static int64_t size_for(int64_t wanted, int64_t at_4, int64_t at_8)
{
    double power = fmax(log2((double)at_8 / (double)at_4), 0.5);
    int64_t n = (int64_t)(8 * pow((double)wanted / (double)at_8, 1 / power));
    return n < 8 ? 8 : n / 8 * 8;
}

Status measure_init(Measure *m, const Op *op, int64_t elements, uint64_t seed)
{
    *m = (Measure){.tape = tape_new()};
    arena_init(&m->arena, 0);
    Status status = status_ok();
    if (!m->tape)
        status = status_no_memory(0, "a tape");
    else if (!op->sample)
        status = status_failed("%s: the op has no sample", op->name);
    int64_t at_4 = 0;
    if (status_is_ok(&status))
        status = draw(m, op, 4, seed);
    at_4 = m->elements;
    if (status_is_ok(&status))
        status = draw(m, op, 8, seed);
    if (status_is_ok(&status))
        status = draw(m, op, size_for(elements, at_4, m->elements), seed);
    if (status_is_ok(&status) && !draw_gradients(m, seed))
        status = status_no_memory(0, "gradients");
    if (status_is_ok(&status))
        count_bytes(m);
    else
        measure_free(m);
    return status;
}

void measure_free(Measure *m)
{
    tape_free(m->tape);
    arena_free(&m->arena);
    *m = (Measure){0};
}

void measure_shapes(const Measure *m, char *text, size_t size)
{
    const Node *node = node_of(m);
    char shape[SHAPE_TEXT_SIZE];
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < node->input_count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "",
                                 tensor_shape_text(&m->tape->nodes[node->inputs[i]].value, shape));
}

/* ---- Running ---- */

bool measure_forward(Measure *m)
{
    ArenaMark mark = arena_mark(&m->tape->arena);
    bool done = op_rerun_forward(m->tape, m->node);
    arena_rewind(&m->tape->arena, mark);
    return done;
}

static void count_gradients(Measure *m)
{
    m->grad_bytes = 0;
    for (int i = 0; i < node_of(m)->input_count; i++) {
        const Node *input = &m->tape->nodes[node_of(m)->inputs[i]];
        if (tensor_is_valid(input->grad) && !tensor_is_broadcast(&input->grad) &&
            !is_view_of(&input->grad, &m->grad))
            m->grad_bytes += bytes_of(&input->grad);
        for (const RowGradient *part = input->row_gradients; part; part = part->next)
            m->grad_bytes += bytes_of(&part->rows);
    }
}

static void forget_gradients(Measure *m)
{
    for (int i = 0; i < node_of(m)->input_count; i++) {
        Node *input = &m->tape->nodes[node_of(m)->inputs[i]];
        input->grad = tensor_invalid();
        input->grad_owned = false;
        input->row_gradients = NULL;
        input->pairs = (PairList){0};
    }
}

bool measure_backward(Measure *m)
{
    Node *node = &m->tape->nodes[m->node];
    if (!node->wants_grad)
        return false;
    forget_gradients(m);
    ArenaMark mark = arena_mark(&m->tape->arena);
    node->grad = m->grad;
    if (node->has_second)
        node[1].grad = m->second_grad;
    op_run_backward(m->tape, m->node);
    for (int i = 0; i < node->input_count; i++)
        tape_flush_pairs(m->tape, &m->tape->nodes[node->inputs[i]]);
    count_gradients(m);
    forget_gradients(m);
    arena_rewind(&m->tape->arena, mark);
    return tape_ok(m->tape);
}

#include "nn/layers.h"

#include <string.h>

/* ---- Activations ---- */

/* The functions below as a module's `forward`. */
#define DEFINE_FORWARD(name, type)                                                                           \
    static Var name##_forward(NnModule *module, Var x)                                                       \
    {                                                                                                        \
        return nn_##name((type *)(void *)module, x);                                                         \
    }
DEFINE_FORWARD(tanh, NnTanh)
DEFINE_FORWARD(sigmoid, NnSigmoid)
DEFINE_FORWARD(relu, NnRelu)
DEFINE_FORWARD(softmax, NnSoftmax)
DEFINE_FORWARD(dropout, NnDropout)
DEFINE_FORWARD(layer_norm, NnLayerNorm)
DEFINE_FORWARD(sequential, NnSequential)

static void init_activation(NnActivation *m, NnForward *forward, int axis)
{
    nn_module_init(&m->base);
    m->base.forward = forward;
    m->axis = axis;
}

void nn_tanh_init(NnTanh *m)
{
    init_activation(m, tanh_forward, 0);
}

void nn_sigmoid_init(NnSigmoid *m)
{
    init_activation(m, sigmoid_forward, 0);
}

void nn_relu_init(NnRelu *m)
{
    init_activation(m, relu_forward, 0);
}

void nn_softmax_init(NnSoftmax *m, int axis)
{
    init_activation(m, softmax_forward, axis);
}

Var(nn_tanh)(NnTanh *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = var_tanh(x);
    nn_leave(x.tape);
    return y;
}

Var(nn_sigmoid)(NnSigmoid *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = var_sigmoid(x);
    nn_leave(x.tape);
    return y;
}

Var(nn_relu)(NnRelu *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = var_relu(x);
    nn_leave(x.tape);
    return y;
}

Var(nn_softmax)(NnSoftmax *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = var_softmax(x, m->axis);
    nn_leave(x.tape);
    return y;
}

/* ---- Dropout ---- */

void nn_dropout_init(NnDropout *m, double p)
{
    nn_module_init(&m->base);
    m->base.forward = dropout_forward;
    m->p = p;
    if (!(p >= 0 && p < 1))
        nn_module_fail(&m->base, reel_status_failed("nn_dropout: p must lie in [0, 1), not %g", p));
}

Var(nn_dropout)(NnDropout *m, Var x)
{
    if (!m->base.training || m->p == 0)
        return x;
    nn_enter(&m->base, x.tape);
    Var y = var_dropout(x, m->p);
    nn_leave(x.tape);
    return y;
}

NnSequence(nn_dropout_sequence)(NnDropout *m, NnSequence x)
{
    return nn_with_rows(x, nn_dropout(m, x.rows));
}

/* ---- Layer normalisation ---- */

void nn_layer_norm_init(NnLayerNorm *m, int64_t width)
{
    nn_module_init(&m->base);
    m->base.forward = layer_norm_forward;
    m->eps = 1e-5;
    nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(width), nn_init_constant(1.0));
    nn_module_add_parameter(&m->base, &m->bias, "bias", TENSOR_SHAPE(width), nn_init_constant(0.0));
}

Var(nn_layer_norm)(NnLayerNorm *m, Var x)
{
    if (!x.tape)
        return x;
    nn_enter(&m->base, x.tape);
    Var y = var_layer_norm(x, nn_var(&m->weight, x.tape), nn_var(&m->bias, x.tape), m->eps);
    nn_leave(x.tape);
    return y;
}

/* ---- Sequential ---- */

void nn_sequential_init(NnSequential *m)
{
    nn_module_init(&m->base);
    m->base.forward = sequential_forward;
    m->count = 0;
}

void nn_sequential_add(NnSequential *m, NnModule *part)
{
    static const char *const names[NN_SEQUENTIAL_MAX] = {
        "0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",  "10", "11", "12", "13", "14", "15",
        "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31"};
    if (m->count == NN_SEQUENTIAL_MAX) {
        nn_module_fail(&m->base, reel_status_failed("nn_sequential: at most %d parts", NN_SEQUENTIAL_MAX));
        return;
    }
    nn_module_add(&m->base, part, names[m->count]);
    if (!part->forward)
        nn_module_fail(&m->base,
                       reel_status_usage("nn_sequential: part %s has no function of one value: its init "
                                         "function sets base.forward",
                                         names[m->count]));
    m->parts[m->count++] = part;
}

Var(nn_sequential)(NnSequential *m, Var x)
{
    Tape *tape = x.tape;
    nn_enter(&m->base, tape);
    for (int i = 0; i < m->count; i++)
        x = m->parts[i]->forward ? m->parts[i]->forward(m->parts[i], x)
                                 : tape_fail(tape, "nn_sequential: part %d has no function of one value", i);
    nn_leave(tape);
    return x;
}

/* ---- Losses ---- */

void nn_bce_init(NnBce *m)
{
    nn_module_init(&m->base);
    m->reduction = VAR_REDUCTION_MEAN;
    m->pos_weight = tensor_invalid();
}

void nn_bce_with_logits_init(NnBceWithLogits *m)
{
    nn_bce_init(m);
}

Var(nn_bce)(NnBce *m, Var p, Var target)
{
    nn_enter(&m->base, p.tape);
    Var loss = var_bce(p, target, VAR_NONE, m->reduction);
    nn_leave(p.tape);
    return loss;
}

Var(nn_bce_with_logits)(NnBceWithLogits *m, Var x, Var target)
{
    if (!x.tape)
        return x;
    nn_enter(&m->base, x.tape);
    Var pos_weight = tensor_is_valid(m->pos_weight) ? tape_constant(x.tape, m->pos_weight) : VAR_NONE;
    Var loss = var_bce_with_logits(x, target, pos_weight, VAR_NONE, m->reduction);
    nn_leave(x.tape);
    return loss;
}

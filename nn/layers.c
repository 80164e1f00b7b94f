#include "nn/layers.h"
#include "tensor/mem.h"

/* ---- Activations ---- */

/* The functions below as a module's `forward`. */
#define DEFINE_FORWARD(name, type)                                                                           \
    static Var name##_forward(NnModule *module, Var x)                                                       \
    {                                                                                                        \
        return nn_##name((type *)(void *)module, x);                                                         \
    }
DEFINE_FORWARD(activation, NnActivation)
DEFINE_FORWARD(softmax, NnSoftmax)
DEFINE_FORWARD(dropout, NnDropout)
DEFINE_FORWARD(layer_norm, NnLayerNorm)
DEFINE_FORWARD(rms_norm, NnRmsNorm)
DEFINE_FORWARD(sequential, NnSequential)

void nn_activation_init(NnActivation *m, Var (*function)(Var x))
{
    nn_module_init(&m->base);
    m->base.forward = activation_forward;
    m->function = function;
}

void nn_tanh_init(NnTanh *m)
{
    nn_activation_init(m, var_tanh);
}

void nn_sigmoid_init(NnSigmoid *m)
{
    nn_activation_init(m, var_sigmoid);
}

void nn_relu_init(NnRelu *m)
{
    nn_activation_init(m, var_relu);
}

void nn_softmax_init(NnSoftmax *m, int axis)
{
    nn_module_init(&m->base);
    m->base.forward = softmax_forward;
    m->axis = axis;
}

Var(nn_activation)(NnActivation *m, Var x)
{
    nn_enter(&m->base, x.tape);
    Var y = m->function(x);
    nn_leave(x.tape);
    return y;
}

Var(nn_tanh)(NnTanh *m, Var x)
{
    return nn_activation(m, x);
}

Var(nn_sigmoid)(NnSigmoid *m, Var x)
{
    return nn_activation(m, x);
}

Var(nn_relu)(NnRelu *m, Var x)
{
    return nn_activation(m, x);
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

NnSequence(nn_dropout_locked)(NnDropout *m, NnSequence x)
{
    Tape *tape = x.rows.tape;
    if (!m->base.training || m->p == 0 || !x.packing || !tape || !tape_ok(tape))
        return x;
    nn_enter(&m->base, tape);
    int64_t texts = x.packing->texts, width = var_size(x.rows, -1);
    Var mask = var_dropout(var_expand(tape_scalar(x.rows, 1), TENSOR_SHAPE(texts, width)), m->p); /* [B, D] */
    NnSequence y = nn_with_rows(x, var_mul(x.rows, var_gather_rows(mask, nn_text_of_row(x))));
    nn_leave(tape);
    return y;
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

/* ---- Root mean square normalisation ---- */

void nn_rms_norm_init(NnRmsNorm *m, int64_t width)
{
    nn_module_init(&m->base);
    m->base.forward = rms_norm_forward;
    m->eps = 0x1p-23; /* PyTorch's for f32 */
    nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(width), nn_init_constant(1.0));
}

Var(nn_rms_norm)(NnRmsNorm *m, Var x)
{
    if (!x.tape)
        return x;
    nn_enter(&m->base, x.tape);
    Var square = var_mean(var_mul(x, x), TENSOR_AXIS(-1), true);
    Var y = var_mul(var_div(x, var_sqrt(var_scale(square, 1, m->eps))), nn_var(&m->weight, x.tape));
    nn_leave(x.tape);
    return y;
}

/* ---- Sequential ---- */

static void release_held(NnModule *module)
{
    NnSequential *m = (NnSequential *)(void *)module;
    for (int i = 0; i < m->held_count; i++)
        reel_mem_free(m->held[i]);
    m->held_count = 0;
}

void nn_sequential_init(NnSequential *m)
{
    nn_module_init(&m->base);
    m->base.forward = sequential_forward;
    m->base.release = release_held;
    m->count = m->held_count = 0;
}

static void fail_full(NnSequential *m)
{
    nn_module_fail(&m->base, reel_status_failed("nn_sequential: at most %d parts", NN_SEQUENTIAL_MAX));
}

void *nn_sequential_hold(NnSequential *m, size_t size)
{
    if (m->held_count == NN_SEQUENTIAL_MAX) {
        fail_full(m);
        return NULL;
    }
    void *part = reel_mem_calloc(1, size);
    if (part)
        m->held[m->held_count++] = part;
    else
        nn_module_fail(&m->base, reel_status_no_memory(size, "a part"));
    return part;
}

void nn_sequential_add(NnSequential *m, NnModule *part)
{
    if (m->count == NN_SEQUENTIAL_MAX) {
        fail_full(m);
        return;
    }
    nn_module_add_at(&m->base, part, "", m->count);
    if (!part->forward)
        nn_module_fail(&m->base,
                       reel_status_usage("nn_sequential: part %d has no function of one value: its init "
                                         "function sets base.forward",
                                         m->count));
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

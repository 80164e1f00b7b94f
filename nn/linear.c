#include "nn/linear.h"

#include <math.h>

NnInit nn_init_linear(int64_t in)
{
    return nn_init_uniform(1.0 / sqrt((double)in));
}

static Var forward(NnModule *module, Var x)
{
    return nn_linear((NnLinear *)(void *)module, x);
}

static void init(NnLinear *m, int64_t in, int64_t out, bool biased)
{
    nn_module_init(&m->base);
    m->base.forward = forward;
    NnInit uniform = nn_init_linear(in);
    m->biased = biased;
    nn_module_add_parameter(&m->base, &m->weight, "weight", TENSOR_SHAPE(out, in), uniform);
    if (biased)
        nn_module_add_parameter(&m->base, &m->bias, "bias", TENSOR_SHAPE(out), uniform);
}

void nn_linear_init(NnLinear *m, int64_t in, int64_t out)
{
    init(m, in, out, true);
}

void nn_linear_init_without_bias(NnLinear *m, int64_t in, int64_t out)
{
    init(m, in, out, false);
}

Var(nn_linear)(NnLinear *m, Var x)
{
    if (!x.tape)
        return x;
    nn_enter(&m->base, x.tape);
    Var bias = m->biased ? nn_var(&m->bias, x.tape) : VAR_NONE;
    Var y = var_linear(x, nn_var(&m->weight, x.tape), bias);
    nn_leave(x.tape);
    return y;
}

NnSequence(nn_linear_sequence)(NnLinear *m, NnSequence x)
{
    return nn_with_rows(x, nn_linear(m, x.rows));
}

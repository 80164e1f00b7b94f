#include "nn/transformer.h"

#include <math.h>

NnTransformerOptions nn_transformer_options(int heads, int64_t hidden)
{
    return (NnTransformerOptions){
        .heads = heads, .hidden = hidden, .dropout = 0.1, .inner_dropout = 0.1, .activation = var_relu};
}

/* ---- Halves ---- */

/* What a half reads, and what stands when it has added its rows, with the norm on one side or the other. */
static NnSequence before_half(const NnTransformerOptions *options, NnLayerNorm *norm, NnSequence x)
{
    return options->norm_first ? nn_with_rows(x, nn_layer_norm(norm, x.rows)) : x;
}

static NnSequence after_half(const NnTransformerOptions *options, NnLayerNorm *norm, NnDropout *dropout,
                             NnSequence x, Var added)
{
    Var sum = var_add(x.rows, nn_dropout(dropout, added));
    return nn_with_rows(x, options->norm_first ? sum : nn_layer_norm(norm, sum));
}

static Var feed_forward(const NnTransformerOptions *options, NnLinear *linear1, NnDropout *dropout,
                        NnLinear *linear2, Var x)
{
    return nn_linear(linear2, nn_dropout(dropout, options->activation(nn_linear(linear1, x))));
}

/* ---- Encoder ---- */

void nn_transformer_encoder_layer_init(NnTransformerEncoderLayer *m, int64_t width,
                                       NnTransformerOptions options)
{
    nn_module_init(&m->base);
    m->options = options;
    NN_ADD(m, self_attn, nn_multihead_attention_init, width, options.heads);
    m->self_attn.dropout.p = options.inner_dropout;
    NN_ADD(m, linear1, nn_linear_init, width, options.hidden);
    NN_ADD(m, dropout, nn_dropout_init, options.inner_dropout);
    NN_ADD(m, linear2, nn_linear_init, options.hidden, width);
    NN_ADD(m, norm1, nn_layer_norm_init, width);
    NN_ADD(m, norm2, nn_layer_norm_init, width);
    NN_ADD(m, dropout1, nn_dropout_init, options.dropout);
    NN_ADD(m, dropout2, nn_dropout_init, options.dropout);
}

NnSequence(nn_transformer_encoder_layer)(NnTransformerEncoderLayer *m, NnSequence x)
{
    Tape *tape = x.rows.tape;
    const NnTransformerOptions *options = &m->options;
    nn_enter(&m->base, tape);
    NnSequence seen = before_half(options, &m->norm1, x);
    Var mixed = nn_multihead_attention(&m->self_attn, seen, options->causal).rows;
    x = after_half(options, &m->norm1, &m->dropout1, x, mixed);
    seen = before_half(options, &m->norm2, x);
    Var fed = feed_forward(options, &m->linear1, &m->dropout, &m->linear2, seen.rows);
    x = after_half(options, &m->norm2, &m->dropout2, x, fed);
    nn_leave(tape);
    return x;
}

/* ---- Decoder ---- */

void nn_transformer_decoder_layer_init(NnTransformerDecoderLayer *m, int64_t width,
                                       NnTransformerOptions options)
{
    nn_module_init(&m->base);
    m->options = options;
    NN_ADD(m, self_attn, nn_multihead_attention_init, width, options.heads);
    NN_ADD(m, multihead_attn, nn_multihead_attention_init, width, options.heads);
    m->self_attn.dropout.p = m->multihead_attn.dropout.p = options.inner_dropout;
    NN_ADD(m, linear1, nn_linear_init, width, options.hidden);
    NN_ADD(m, dropout, nn_dropout_init, options.inner_dropout);
    NN_ADD(m, linear2, nn_linear_init, options.hidden, width);
    NN_ADD(m, norm1, nn_layer_norm_init, width);
    NN_ADD(m, norm2, nn_layer_norm_init, width);
    NN_ADD(m, norm3, nn_layer_norm_init, width);
    NN_ADD(m, dropout1, nn_dropout_init, options.dropout);
    NN_ADD(m, dropout2, nn_dropout_init, options.dropout);
    NN_ADD(m, dropout3, nn_dropout_init, options.dropout);
}

NnSequence(nn_transformer_decoder_layer)(NnTransformerDecoderLayer *m, NnSequence x, NnSequence memory)
{
    Tape *tape = x.rows.tape;
    const NnTransformerOptions *options = &m->options;
    nn_enter(&m->base, tape);
    NnSequence seen = before_half(options, &m->norm1, x);
    x = after_half(options, &m->norm1, &m->dropout1, x,
                   nn_multihead_attention(&m->self_attn, seen, true).rows);
    seen = before_half(options, &m->norm2, x);
    Var asked = nn_multihead_attention_over(&m->multihead_attn, seen, memory).rows;
    x = after_half(options, &m->norm2, &m->dropout2, x, asked);
    seen = before_half(options, &m->norm3, x);
    Var fed = feed_forward(options, &m->linear1, &m->dropout, &m->linear2, seen.rows);
    x = after_half(options, &m->norm3, &m->dropout3, x, fed);
    nn_leave(tape);
    return x;
}

/* ---- Positions ---- */

Var(nn_sinusoids)(NnSequence x, bool interleaved)
{
    Tape *tape = x.rows.tape;
    const NnPacking *packing = x.packing;
    if (!packing || var_is_empty(x.rows))
        return (Var){.tape = tape};
    int64_t width = var_size(x.rows, 1), half = (width + 1) / 2;
    Tensor angles = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(packing->rows, width));
    if (!tensor_is_valid(angles))
        return tape_fail(tape, "nn_sinusoids: out of memory");
    float *at = tensor_f32(angles);
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t row = packing->first[t]; row < packing->first[t + 1]; row++)
            for (int64_t i = 0; i < width; i++) {
                int64_t frequency = interleaved ? i / 2 : i % half;
                double angle = t * pow(10000.0, -2.0 * (double)frequency / (double)width);
                bool is_sine = interleaved ? i % 2 == 0 : i < half;
                *at++ = (float)(is_sine ? sin(angle) : cos(angle));
            }
    TensorDtype dtype = var_value(tape_scalar(x.rows, 0)).dtype;
    return tape_constant(tape, tensor_cast(tape_arena(tape), angles, dtype));
}

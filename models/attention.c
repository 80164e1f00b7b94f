/* The notebook's attention over an LSTM's outputs: for a step t, score(t, s) = v_a . tanh(W_h h_s + W_s h_t)
 * over s <= t, a = softmax, c_t = sum of a h_s, h~_t = tanh(W_c [h_t ; c_t]); logits = fc(h~_T). The loss
 * depends on the last step alone, so that is all that is computed. `stacked` is the same over several layers.
 */
#include "models/model.h"

typedef struct Attention {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnLstm lstm;
    NnAdditiveAttention attention; /* W_h, W_s, v_a: parts without a path of their own */
    NnLinear W_c;
    NnLinear fc;
} Attention;

static void build(Model *model)
{
    Attention *m = (Attention *)model;
    const ModelConfig *config = &model->config;
    NnRecurrentOptions options = model_recurrent_options(model);
    options.layers = config->layers;
    model_add_embedding(model, &m->embedding);
    NN_ADD(m, lstm, nn_lstm_init_with, config->embed, config->hidden, options);
    nn_additive_attention_init(&m->attention, config->hidden, config->hidden, config->hidden);
    nn_module_add(&m->base, &m->attention.base, "");
    NN_ADD(m, W_c, nn_linear_init, 2 * config->hidden, config->hidden);
    NN_ADD(m, fc, nn_linear_init, config->hidden, config->labels);
    model->output = &m->fc;
    model->recurrent = &m->lstm;
}

static NnRecurrentOutput encode(Model *model, NnSequence text)
{
    Attention *m = (Attention *)model;
    return nn_lstm(&m->lstm, model_embed(model, &m->embedding, text));
}

static NnSequence all_states(Model *model, NnSequence text)
{
    return nn_recurrent_sequence(encode(model, text));
}

static ModelOutput forward(Model *model, ModelInput input)
{
    Attention *m = (Attention *)model;
    NnRecurrentOutput encoded = encode(model, input.text);
    NnSequence states = nn_recurrent_sequence(encoded); /* [N, H] */
    NnAttention attended = nn_additive_attention(&m->attention, encoded.last, states);
    Var joined = var_concat((Var[]){encoded.last, attended.context}, 2, 1); /* [B, 2H] */
    Var mixed = var_tanh(nn_linear(&m->W_c, joined));                       /* [B, H] */
    ModelOutput out = model_output(model, mixed);
    out.attention = attended.weights;
    return out;
}

extern const ModelKind model_attention_model, model_stacked_model;
const ModelKind model_attention_model = {.name = "attention",
                                         .description = "LSTM, additive attention over its outputs",
                                         .size = sizeof(Attention),
                                         .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                                         .build = build,
                                         .forward = forward,
                                         .states = all_states,
                                         .has_attention = true,
                                         .several_layers = true};
const ModelKind model_stacked_model = {.name = "stacked",
                                       .description = "the same over two LSTM layers, smaller",
                                       .size = sizeof(Attention),
                                       .defaults = {.embed = 100, .hidden = 64, .layers = 2},
                                       .build = build,
                                       .forward = forward,
                                       .states = all_states,
                                       .has_attention = true,
                                       .several_layers = true};

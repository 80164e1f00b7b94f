/* The notebook's RNN: h_t = tanh(W x_t + U h_{t-1} + b_h), h_0 = 0, logits = V h_T + b_o. */
#include "models/model.h"

typedef struct Rnn {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnRnn rnn;
    NnLinear output_layer;
} Rnn;

/* The notebook's names, order and first values. */
static void name_parameters(Rnn *m, const ModelConfig *config)
{
    NnRecurrentLayer *layer = m->rnn.layers;
    if (!layer)
        return;
    layer->bias_ih.init = nn_init_constant(0.0);
    layer->weight_ih.init = nn_init_linear(config->embed);
    NnName names[] = {nn_name("bias_h", &layer->bias_ih),
                      nn_name("embedding.weight", &m->embedding.weight),
                      nn_name("input_linear.weight", &layer->weight_ih),
                      nn_name("hidden_linear.weight", &layer->weight_hh),
                      nn_name("output_layer.weight", &m->output_layer.weight),
                      nn_name("output_layer.bias", &m->output_layer.bias)};
    nn_module_rename(&m->base, names, sizeof names / sizeof names[0]);
}

static void build(Model *model)
{
    Rnn *m = (Rnn *)model;
    const ModelConfig *config = &model->config;
    NnRecurrentOptions options = model_recurrent_options(model);
    options.biases = 1;
    model_add_embedding(model, &m->embedding);
    NN_ADD(m, rnn, nn_rnn_init_with, config->embed, config->hidden, options);
    NN_ADD(m, output_layer, nn_linear_init, config->hidden, config->labels);
    model->output = &m->output_layer;
    model->recurrent = &m->rnn;
    name_parameters(m, config);
}

static NnRecurrentOutput encode(Model *model, NnSequence text)
{
    Rnn *m = (Rnn *)model;
    return nn_rnn(&m->rnn, model_embed(model, &m->embedding, text));
}

static NnSequence states(Model *model, NnSequence text)
{
    return nn_recurrent_sequence(encode(model, text));
}

static ModelOutput forward(Model *model, ModelInput input)
{
    return model_output(model, encode(model, input.text).last); /* [B, H] */
}

extern const ModelKind model_rnn_model;
const ModelKind model_rnn_model = {.name = "rnn",
                                   .description = "tanh RNN, last state",
                                   .size = sizeof(Rnn),
                                   .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                                   .build = build,
                                   .forward = forward,
                                   .states = states};

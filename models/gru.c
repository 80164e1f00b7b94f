/* A GRU's last state (Cho et al. 2014). */
#include "models/model.h"

typedef struct Gru {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnGru gru;
    NnLinear fc;
} Gru;

static void build(Model *model)
{
    Gru *m = (Gru *)model;
    const ModelConfig *config = &model->config;
    NnRecurrentOptions options = model_recurrent_options(model);
    options.layers = config->layers;
    model_add_embedding(model, &m->embedding);
    NN_ADD(m, gru, nn_gru_init_with, config->embed, config->hidden, options);
    NN_ADD(m, fc, nn_linear_init, config->hidden, config->labels);
    model->output = &m->fc;
    model->recurrent = &m->gru;
}

static NnRecurrentOutput encode(Model *model, NnSequence text)
{
    Gru *m = (Gru *)model;
    return nn_gru(&m->gru, model_embed(model, &m->embedding, text));
}

static NnSequence states(Model *model, NnSequence text)
{
    return nn_recurrent_sequence(encode(model, text));
}

static ModelOutput forward(Model *model, ModelInput input)
{
    return model_output(model, encode(model, input.text).last); /* [B, H] */
}

extern const ModelKind model_gru_model;
const ModelKind model_gru_model = {.name = "gru",
                                   .description = "GRU, last state",
                                   .size = sizeof(Gru),
                                   .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                                   .build = build,
                                   .forward = forward,
                                   .states = states,
                                   .several_layers = true};

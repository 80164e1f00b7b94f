/* A small transformer encoder with the normalisation in front (nn/transformer.h), its positions sinusoids;
 * logits from the mean and maximum of the normed outputs. */
#include "models/model.h"

#include <stdio.h>

enum { MOST_HEADS = 4, MOST_LAYERS = 8 };

typedef struct Transformer {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnTransformerEncoderLayer layers[MOST_LAYERS];
    char names[MOST_LAYERS][20];
    NnLayerNorm norm;
    NnLinear fc;
} Transformer;

/* Four heads where they divide the width, else two, else one. */
static int heads_of(int64_t embed)
{
    return embed % MOST_HEADS == 0 ? MOST_HEADS : embed % 2 == 0 ? 2 : 1;
}

/* The names and first values that a layer has in this zoo. */
static void name_parameters(NnTransformerEncoderLayer *m, int64_t embed)
{
    NnMultiheadAttention *attention = &m->self_attn;
    NnParameter *linear[] = {&attention->in_proj_weight, &attention->in_proj_bias, &attention->out_proj.bias};
    for (int i = 0; i < 3; i++)
        linear[i]->init = nn_init_linear(embed);
    const NnName names[] = {nn_name("norm_1.weight", &m->norm1.weight),
                            nn_name("norm_1.bias", &m->norm1.bias),
                            nn_name("in_proj.weight", &attention->in_proj_weight),
                            nn_name("in_proj.bias", &attention->in_proj_bias),
                            nn_name("out_proj.weight", &attention->out_proj.weight),
                            nn_name("out_proj.bias", &attention->out_proj.bias),
                            nn_name("norm_2.weight", &m->norm2.weight),
                            nn_name("norm_2.bias", &m->norm2.bias),
                            nn_name("linear_1.weight", &m->linear1.weight),
                            nn_name("linear_1.bias", &m->linear1.bias),
                            nn_name("linear_2.weight", &m->linear2.weight),
                            nn_name("linear_2.bias", &m->linear2.bias)};
    nn_module_rename(&m->base, names, sizeof names / sizeof names[0]);
}

static void build(Model *model)
{
    Transformer *m = (Transformer *)model;
    const ModelConfig *config = &model->config;
    NnTransformerOptions options = nn_transformer_options(heads_of(config->embed), config->hidden);
    options.norm_first = true;
    options.dropout = config->embed_dropout;
    options.inner_dropout = 0;
    if (config->layers > MOST_LAYERS)
        nn_module_fail(&m->base, reel_status_failed("transformer: at most %d layers", MOST_LAYERS));
    model_add_embedding(model, &m->embedding);
    for (int i = 0; i < config->layers && i < MOST_LAYERS; i++) {
        nn_transformer_encoder_layer_init(&m->layers[i], config->embed, options);
        name_parameters(&m->layers[i], config->embed);
        snprintf(m->names[i], sizeof m->names[i], "layer_%d", i);
        nn_module_add(&m->base, &m->layers[i].base, m->names[i]);
    }
    NN_ADD(m, norm, nn_layer_norm_init, config->embed);
    NN_ADD(m, fc, nn_linear_init, 2 * config->embed, config->labels);
    model->output = &m->fc;
}

static ModelOutput forward(Model *model, ModelInput input)
{
    Transformer *m = (Transformer *)model;
    NnSequence x = nn_embedding_sequence(&m->embedding, input.text);
    x.rows = nn_dropout(&model->embed_dropout, var_add(x.rows, nn_sinusoids(x, false)));
    for (int i = 0; i < model->config.layers; i++)
        x = nn_transformer_encoder_layer(&m->layers[i], x);
    NnSequence out = nn_with_rows(x, nn_layer_norm(&m->norm, x.rows));
    Var pooled = var_concat((Var[]){nn_pool_mean(out), nn_pool_max(out)}, 2, 1); /* [B, 2E] */
    return model_output(model, pooled);
}

extern const ModelKind model_transformer_model;
const ModelKind model_transformer_model = {
    .name = "transformer",
    .description = "small transformer encoder, mean and maximum over the text",
    .size = sizeof(Transformer),
    .defaults = {.embed = 128, .hidden = 256, .layers = 2, .embed_dropout = 0.1, .dropout = 0.5},
    .build = build,
    .forward = forward,
    .several_layers = true};

/* A small transformer encoder (Vaswani et al. 2017, arXiv 1706.03762) with the normalisation in front (Xiong
 * et al. 2020, arXiv 2002.04745): x += Attention(Norm(x)), x += W relu(V Norm(x)); logits from the mean and
 * maximum of the normed outputs. Positions are the sinusoids of the paper. Only attention needs the texts
 * padded. */
#include "models/model.h"

#include <math.h>
#include <stdio.h>

enum { MOST_HEADS = 4, MOST_LAYERS = 8 };

typedef struct Block {
    NnModule base;
    NnLayerNorm norm_1, norm_2;
    NnLinear in_proj, out_proj; /* [3E, E], [E, E] */
    NnLinear linear_1, linear_2;
    char name[20];
} Block;

typedef struct Transformer {
    MODEL_HEAD;
    NnEmbedding embedding;
    Block blocks[MOST_LAYERS];
    NnLayerNorm norm;
    NnLinear fc;
} Transformer;

/* Four heads where they divide the width, else two, else one. */
static int64_t heads_of(int64_t embed)
{
    return embed % MOST_HEADS == 0 ? MOST_HEADS : embed % 2 == 0 ? 2 : 1;
}

static void block_init(Block *m, int64_t embed, int64_t hidden)
{
    nn_module_init(&m->base);
    NN_ADD(m, norm_1, nn_layer_norm_init, embed);
    NN_ADD(m, in_proj, nn_linear_init, embed, 3 * embed);
    NN_ADD(m, out_proj, nn_linear_init, embed, embed);
    NN_ADD(m, norm_2, nn_layer_norm_init, embed);
    NN_ADD(m, linear_1, nn_linear_init, embed, hidden);
    NN_ADD(m, linear_2, nn_linear_init, hidden, embed);
}

static void build(Model *model)
{
    Transformer *m = (Transformer *)model;
    const ModelConfig *config = &model->config;
    if (config->layers > MOST_LAYERS)
        nn_module_fail(&m->base, reel_status_failed("transformer: at most %d layers", MOST_LAYERS));
    model_add_embedding(model, &m->embedding);
    for (int i = 0; i < config->layers && i < MOST_LAYERS; i++) {
        Block *block = &m->blocks[i];
        block_init(block, config->embed, config->hidden);
        snprintf(block->name, sizeof block->name, "layer_%d", i);
        nn_module_add(&m->base, &block->base, block->name);
    }
    NN_ADD(m, norm, nn_layer_norm_init, config->embed);
    NN_ADD(m, fc, nn_linear_init, 2 * config->embed, config->labels);
    model->output_bias = &m->fc.bias;
}

/* sin(t w_i) and cos(t w_i) with w_i = 10000^(-2i/E), the sines first: [N, E] in the dtype of `like`. */
static Var positions(NnSequence text, Var like, int64_t embed)
{
    Tape *tape = like.tape;
    int64_t half = (embed + 1) / 2;
    TensorDtype dtype = var_value(tape_scalar(like, 0)).dtype;
    Tensor angles = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(text.packing->rows, embed));
    if (!tensor_is_valid(angles))
        return tape_fail(tape, "transformer: out of memory");
    const NnPacking *packing = text.packing;
    float *at = tensor_f32(angles);
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t row = packing->first[t]; row < packing->first[t + 1]; row++)
            for (int64_t i = 0; i < embed; i++) {
                double angle = t * pow(10000.0, -2.0 * (double)(i % half) / (double)embed);
                *at++ = (float)(i < half ? sin(angle) : cos(angle));
            }
    return tape_constant(tape, tensor_cast(tape_arena(tape), angles, dtype));
}

/* [B, T, E] -> [B, heads, T, E / heads], of one of the three parts of the projection. */
static Var head(Var projected, int part)
{
    int64_t texts = var_size(projected, 0), steps = var_size(projected, 1),
            embed = var_size(projected, 2) / 3;
    Var own = var_slice(projected, 2, part * embed, (part + 1) * embed, 1);
    return var_transpose(
        var_reshape(own, TENSOR_SHAPE(texts, steps, heads_of(embed), embed / heads_of(embed))), 1, 2);
}

/* softmax(Q K^T / sqrt(d)) V over the words of each text, no weight on padding. */
static Var attend(Block *m, NnSequence x)
{
    Var projected = nn_pad(nn_linear_sequence(&m->in_proj, x)); /* [B, T, 3E] */
    if (var_is_empty(projected))
        return projected;
    int64_t texts = var_size(projected, 0), steps = var_size(projected, 1),
            embed = var_size(projected, 2) / 3;
    Var query = head(projected, 0), key = head(projected, 1), value = head(projected, 2);
    Var scores = var_scale(var_matmul(query, var_transpose(key, 2, 3)),
                           1 / sqrt((double)(embed / heads_of(embed))), 0); /* [B, heads, T, T] */
    Var mask = var_expand(var_reshape(nn_padding_mask(x), TENSOR_SHAPE(texts, 1, 1, steps)),
                          TENSOR_SHAPE(texts, heads_of(embed), steps, steps));
    Var mixed = var_matmul(var_softmax(var_masked_fill(scores, mask, -1e9), 3), value);
    Var joined = var_reshape(var_transpose(mixed, 1, 2), TENSOR_SHAPE(texts, steps, embed));
    return nn_linear(&m->out_proj, nn_unpad(x, joined).rows);
}

static Var forward(Model *model, NnSequence text, Var *attention)
{
    (void)attention;
    Transformer *m = (Transformer *)model;
    NnDropout *dropout = &model->embed_dropout;
    NnSequence x = nn_embedding_sequence(&m->embedding, text);
    if (var_is_empty(x.rows))
        return x.rows;
    x.rows = nn_dropout(dropout, var_add(x.rows, positions(text, x.rows, model->config.embed)));
    for (int i = 0; i < model->config.layers; i++) {
        Block *block = &m->blocks[i];
        NnSequence normed = nn_with_rows(x, nn_layer_norm(&block->norm_1, x.rows));
        x.rows = var_add(x.rows, nn_dropout(dropout, attend(block, normed)));
        Var inner = var_relu(nn_linear(&block->linear_1, nn_layer_norm(&block->norm_2, x.rows)));
        x.rows = var_add(x.rows, nn_dropout(dropout, nn_linear(&block->linear_2, inner)));
    }
    NnSequence out = nn_with_rows(x, nn_layer_norm(&m->norm, x.rows));
    Var pooled = var_concat((Var[]){nn_pool_mean(out), nn_pool_max(out)}, 2, 1); /* [B, 2E] */
    return nn_linear(&m->fc, nn_dropout(&model->dropout, pooled));
}

extern const ModelKind transformer_model;
const ModelKind transformer_model = {
    .name = "transformer",
    .description = "small transformer encoder, mean and maximum over the text",
    .size = sizeof(Transformer),
    .defaults = {.embed = 128, .hidden = 256, .layers = 2, .embed_dropout = 0.1, .dropout = 0.5},
    .build = build,
    .forward = forward,
    .several_layers = true};

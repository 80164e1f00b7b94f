/* No order at all: logits = V [mean of the words' vectors ; their maximum], the mean weighted by a softmax of
 * one learnt score for each word, which starts at the word's inverse document frequency. */
#include "models/model.h"

typedef struct Bag {
    MODEL_HEAD;
    NnEmbedding embedding, word_score; /* [V, E], [V, 1] */
    NnLinear fc;
} Bag;

static void build(Model *model)
{
    Bag *m = (Bag *)model;
    const ModelConfig *config = &model->config;
    model_add_embedding(model, &m->embedding);
    model_add_word_scores(model, &m->word_score);
    NN_ADD(m, fc, nn_linear_init, 2 * config->embed, config->labels);
    model->output = &m->fc;
}

static void begin(Model *model, const int64_t *frequencies, int64_t texts)
{
    model_set_word_scores(&((Bag *)model)->word_score, frequencies, texts);
}

static ModelOutput forward(Model *model, ModelInput input)
{
    Bag *m = (Bag *)model;
    Var attention;
    NnSequence x = model_embed(model, &m->embedding, input.text);                 /* [N, E] */
    Var scores = var_select(nn_embedding(&m->word_score, input.text.rows), 1, 0); /* [N] */
    Var pooled[2] = {nn_pool_weighted(x, scores, &attention), nn_pool_max(x)};    /* [B, E] each */
    ModelOutput out = model_output(model, var_concat(pooled, 2, 1));
    out.attention = attention;
    return out;
}

extern const ModelKind model_bag_model;
const ModelKind model_bag_model = {.name = "bag",
                                   .description = "weighted mean and maximum of the words' vectors",
                                   .size = sizeof(Bag),
                                   .defaults = {.embed = 256, .hidden = 1, .layers = 1, .dropout = 0.5},
                                   .build = build,
                                   .forward = forward,
                                   .begin = begin,
                                   .has_attention = true};

/* Hardly any order, as a linear model on TF-IDF sees a text, with one hidden layer between:
 *
 *   x_w = (1 + ln n_w) s_w / norm              norm makes x a unit vector; n_w: models/text/words.h
 *   logits = V relu(16 sum_w x_w E_w + b)
 *
 * A layer this wide on TF-IDF beats many models that read the words in order (Galke & Scherp 2022,
 * "Bag-of-Words vs. Graph vs. Sequence in Text Classification", arXiv 2109.03777). s_w starts at the word's
 * inverse document frequency and is learnt. A unit vector's elements are small, and the factor 16 makes up
 * for it: it lets E move 16^2 times as fast under plain gradient descent, which must not be Adam: that moves
 * a word seen once as far as one seen in every batch, and rare words are most of the table. */
#include "models/model.h"

#define GAIN 16.0

typedef struct Wide {
    MODEL_HEAD;
    NnEmbedding word_score, embedding; /* [V, 1]: ln s; [V, E] */
    NnParameter bias;                  /* [E] */
    NnLinear fc;
} Wide;

static void build(Model *model)
{
    Wide *m = (Wide *)model;
    const ModelConfig *config = &model->config;
    model_add_word_scores(model, &m->word_score);
    model_add_embedding(model, &m->embedding);
    nn_module_add_parameter(&m->base, &m->bias, "bias", TENSOR_SHAPE(config->embed), nn_init_constant(0.0));
    NN_ADD(m, fc, nn_linear_init, config->embed, config->labels);
    model->output = &m->fc;
}

static void begin(Model *model, const int64_t *frequencies, int64_t texts)
{
    model_set_word_scores(&((Wide *)model)->word_score, frequencies, texts);
}

static ModelOutput forward(Model *model, ModelInput input)
{
    Wide *m = (Wide *)model;
    int64_t texts = input.text.packing->texts;
    Var scores = var_select(nn_embedding(&m->word_score, input.words), 1, 0); /* [M] */
    Var x = var_exp(var_add(scores, input.word_weights));                     /* [M] */
    Var squares = var_segment_sum(var_mul(x, x), input.word_texts, texts);    /* [B] */
    Var norm = var_sqrt(var_scale(squares, 1, 1e-12));                        /* a text may have no word */
    x = var_div(x, var_gather_rows(norm, input.word_texts));                  /* [M] */
    Var rows = nn_embedding(&m->embedding, input.words);                      /* [M, E] */
    Var sum = var_segment_weighted_sum(x, rows, input.word_texts, texts);     /* [B, E] */
    Var hidden = var_relu(var_add(var_scale(sum, GAIN, 0), nn_var(&m->bias, x.tape))); /* [B, E] */
    return model_output(model, hidden);
}

extern const ModelKind model_wide_model;
const ModelKind model_wide_model = {
    .name = "wide",
    .description = "a hidden layer on TF-IDF of words; what --models best trains",
    .size = sizeof(Wide),
    .defaults = {.embed = 256, .hidden = 1, .layers = 1, .embed_scale = 0.02, .dropout = 0.5},
    .build = build,
    .forward = forward,
    .begin = begin,
    .reads_words = true};

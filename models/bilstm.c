/* An LSTM in both directions over the text, pooled over all its states beside the words' vectors themselves:
 * by their maximum, and (bilstm_attention) by a mean whose weights are a softmax of v . tanh(W [h_t ; x_t] +
 * b) (as Yang et al. 2016, "Hierarchical Attention Networks", without the hierarchy). */
#include "models/model.h"

typedef struct Bilstm {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear keys, score; /* [H, 2H + E], [1, H]: bilstm_attention only */
    NnLinear fc;
} Bilstm;

static void build(Model *model)
{
    Bilstm *m = (Bilstm *)model;
    const ModelConfig *config = &model->config;
    NnRecurrentOptions options = model_recurrent_options(model);
    int64_t width = 2 * config->hidden + config->embed;
    options.layers = config->layers;
    options.bidirectional = true;
    model_add_embedding(model, &m->embedding);
    NN_ADD(m, lstm, nn_lstm_init_with, config->embed, config->hidden, options);
    if (model->kind->has_attention) {
        NN_ADD(m, keys, nn_linear_init, width, config->hidden);
        NN_ADD(m, score, nn_linear_init_without_bias, config->hidden, 1);
    }
    NN_ADD(m, fc, nn_linear_init, model->kind->has_attention ? 2 * width : width, config->labels);
    model->output = &m->fc;
    model->recurrent = &m->lstm;
}

static NnSequence all_states(Model *model, NnSequence text)
{
    Bilstm *m = (Bilstm *)model;
    return nn_recurrent_sequence(nn_lstm(&m->lstm, model_embed(model, &m->embedding, text)));
}

static ModelOutput forward(Model *model, ModelInput input)
{
    Bilstm *m = (Bilstm *)model;
    Var attention = VAR_NONE;
    NnSequence x = model_embed(model, &m->embedding, input.text); /* [N, E] */
    NnSequence states = nn_recurrent_sequence(nn_lstm(&m->lstm, x));
    NnSequence both = nn_with_rows(x, var_concat((Var[]){states.rows, x.rows}, 2, 1)); /* [N, 2H + E] */
    Var pooled = nn_pool_max(both);
    if (model->kind->has_attention) {
        Var scores =
            var_select(nn_linear(&m->score, var_tanh(nn_linear(&m->keys, both.rows))), 1, 0); /* [N] */
        pooled = var_concat((Var[]){pooled, nn_pool_weighted(both, scores, &attention)}, 2, 1);
    }
    ModelOutput out = model_output(model, pooled);
    out.attention = attention;
    return out;
}

extern const ModelKind model_bilstm_model, model_bilstm_attention_model;
const ModelKind model_bilstm_model = {.name = "bilstm",
                                      .description = "LSTM both ways, maximum over states and words",
                                      .size = sizeof(Bilstm),
                                      .defaults = {.embed = 128, .hidden = 128, .layers = 1, .dropout = 0.5},
                                      .build = build,
                                      .forward = forward,
                                      .states = all_states,
                                      .both_ways = true,
                                      .several_layers = true};
const ModelKind model_bilstm_attention_model = {
    .name = "bilstm_attention",
    .description = "the same, beside a mean weighted by attention",
    .size = sizeof(Bilstm),
    .defaults = {.embed = 128, .hidden = 128, .layers = 1, .dropout = 0.5},
    .build = build,
    .forward = forward,
    .states = all_states,
    .both_ways = true,
    .has_attention = true,
    .several_layers = true};

/* The notebook's RNN: h_t = tanh(W x_t + U h_{t-1} + b_h), h_0 = 0, logits = V h_T + b_o. */
#include "models/model.h"

typedef struct Rnn {
    MODEL_HEAD;
    NnParameter bias_h; /* [H] */
    NnEmbedding embedding;
    NnLinear input_linear, hidden_linear; /* W, U: no biases of their own */
    NnLinear output_layer;
} Rnn;

static void build(Model *model)
{
    Rnn *m = (Rnn *)model;
    const ModelConfig *config = &model->config;
    nn_module_add_parameter(&m->base, &m->bias_h, "bias_h", TENSOR_SHAPE(config->hidden),
                            nn_init_constant(0.0));
    model_add_embedding(model, &m->embedding);
    NN_ADD(m, input_linear, nn_linear_init_without_bias, config->embed, config->hidden);
    NN_ADD(m, hidden_linear, nn_linear_init_without_bias, config->hidden, config->hidden);
    if (config->orthogonal)
        m->hidden_linear.weight.init = nn_init_orthogonal(1.0);
    NN_ADD(m, output_layer, nn_linear_init, config->hidden, config->labels);
    model->output_bias = &m->output_layer.bias;
}

/* x [n, H] is W x_t + b_h already. */
static void step(void *self, Var x, const Var *before, Var *after)
{
    const Var *hidden_weight = self;
    after[0] = var_tanh(before[0].tape ? var_addmm(x, before[0], *hidden_weight) : x);
}

static Var forward(Model *model, NnSequence text, Var *attention)
{
    (void)attention;
    static const NnCell cell = {.step = step, .states = 1};
    Rnn *m = (Rnn *)model;
    Tape *tape = text.rows.tape;
    NnSequence x = model_embed(model, &m->embedding, text);
    Var projected = var_linear(x.rows, nn_var(&m->input_linear.weight, tape), nn_var(&m->bias_h, tape));
    Var hidden_weight = nn_var(&m->hidden_linear.weight, tape);
    NnScan scan =
        nn_scan(&cell, &hidden_weight, nn_scan_input(nn_with_rows(x, projected), hidden_weight), NULL);
    return nn_linear(&m->output_layer, nn_dropout(&model->dropout, nn_scan_last(scan, 0)));
}

extern const ModelKind rnn_model;
const ModelKind rnn_model = {.name = "rnn",
                             .description = "tanh RNN, last state",
                             .size = sizeof(Rnn),
                             .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                             .build = build,
                             .forward = forward};

/* The notebook's LSTM: gates f, i, c, o, each W_g x_t + U_g h_{t-1} with two biases. The sixteen parameters
 * are rows of an NnLstm's four, so that a step is one product. */
#include "models/model.h"

typedef struct Lstm {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnLstm lstm;
    NnLinear fc;
} Lstm;

static const VarGateOrder notebook_gates = {.forget = 0, .input = 1, .cell = 2, .output = 3};

/* The notebook's names, order and first values of the gates' parameters. */
static void name_gates(NnLstm *lstm, const ModelConfig *config)
{
    static const char *const names[4][4] = {
        {"W_f.weight", "W_f.bias", "U_f.weight", "U_f.bias"},
        {"W_i.weight", "W_i.bias", "U_i.weight", "U_i.bias"},
        {"W_c.weight", "W_c.bias", "U_c.weight", "U_c.bias"},
        {"W_o.weight", "W_o.bias", "U_o.weight", "U_o.bias"},
    };
    NnRecurrentLayer *layer = lstm->layers;
    if (!layer)
        return;
    NnParameter *const of_all[4] = {&layer->weight_ih, &layer->bias_ih, &layer->weight_hh, &layer->bias_hh};
    NnInit of_x = nn_init_linear(config->embed),
           inits[4] = {of_x, of_x, layer->weight_hh.init, layer->bias_hh.init};
    NnName map[16];
    for (int i = 0; i < 16; i++) {
        int gate = i / 4, kind = i % 4;
        map[i] =
            (NnName){names[gate][kind], of_all[kind], gate * config->hidden, config->hidden, inits[kind]};
    }
    nn_module_rename(&lstm->base, map, 16);
}

static void build(Model *model)
{
    Lstm *m = (Lstm *)model;
    const ModelConfig *config = &model->config;
    NnRecurrentOptions options = model_recurrent_options(model);
    options.gates = notebook_gates;
    model_add_embedding(model, &m->embedding);
    nn_lstm_init_with(&m->lstm, config->embed, config->hidden, options);
    name_gates(&m->lstm, config);
    nn_module_add(&m->base, &m->lstm.base, ""); /* the notebook's cell is the model itself */
    NN_ADD(m, fc, nn_linear_init, config->hidden, config->labels);
    model->output = &m->fc;
    model->recurrent = &m->lstm;
}

static NnRecurrentOutput encode(Model *model, NnSequence text)
{
    Lstm *m = (Lstm *)model;
    return nn_lstm(&m->lstm, model_embed(model, &m->embedding, text));
}

static NnSequence states(Model *model, NnSequence text)
{
    return nn_recurrent_sequence(encode(model, text));
}

static ModelOutput forward(Model *model, ModelInput input)
{
    return model_output(model, encode(model, input.text).last); /* [B, H] */
}

extern const ModelKind model_lstm_model, model_lstm_matched_model;
const ModelKind model_lstm_model = {.name = "lstm",
                                    .description = "LSTM, last state",
                                    .size = sizeof(Lstm),
                                    .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                                    .build = build,
                                    .forward = forward,
                                    .states = states};
/* Without the embedding 138,749 parameters at K = 29, against the RNN's 138,781. */
const ModelKind model_lstm_matched_model = {.name = "lstm_matched",
                                            .description = "LSTM with the RNN's number of parameters",
                                            .size = sizeof(Lstm),
                                            .defaults = {.embed = 256, .hidden = 96, .layers = 1},
                                            .build = build,
                                            .forward = forward,
                                            .states = states};

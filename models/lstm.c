/* The notebook's LSTM: gates f, i, c, o, each W_g x_t + U_g h_{t-1} with two biases. The eight matrices are
 * slices of two blocks, so that a step is one product. */
#include "models/model.h"

#include <math.h>

enum { GATES = 4 };

/* The gates; a part without a name of its own, since the notebook's cell is the model itself. */
typedef struct Gates {
    NnModule base;
    NnParameter W, W_bias, U, U_bias; /* [4H, E], [4H], [4H, H], [4H] in the order f, i, c, o */
    NnSlice slices[GATES][4];
} Gates;

typedef struct Lstm {
    MODEL_HEAD;
    NnEmbedding embedding;
    Gates gates;
    NnLinear fc;
} Lstm;

static const VarGateOrder notebook_order = {.forget = 0, .input = 1, .cell = 2, .output = 3};

static void gates_init(Gates *m, const ModelConfig *config)
{
    int64_t embed = config->embed, hidden = config->hidden;
    static const char *const names[GATES][4] = {
        {"W_f.weight", "W_f.bias", "U_f.weight", "U_f.bias"},
        {"W_i.weight", "W_i.bias", "U_i.weight", "U_i.bias"},
        {"W_c.weight", "W_c.bias", "U_c.weight", "U_c.bias"},
        {"W_o.weight", "W_o.bias", "U_o.weight", "U_o.bias"},
    };
    nn_module_init(&m->base);
    nn_module_add_block(&m->base, &m->W, TENSOR_SHAPE(GATES * hidden, embed));
    nn_module_add_block(&m->base, &m->W_bias, TENSOR_SHAPE(GATES * hidden));
    nn_module_add_block(&m->base, &m->U, TENSOR_SHAPE(GATES * hidden, hidden));
    nn_module_add_block(&m->base, &m->U_bias, TENSOR_SHAPE(GATES * hidden));
    NnInit of_x = nn_init_uniform(1 / sqrt((double)embed)), of_h = nn_init_uniform(1 / sqrt((double)hidden));
    enum { FORGET = 0, W_BIAS = 1, U_WEIGHT = 2 };
    for (int g = 0; g < GATES; g++) {
        NnParameter *const blocks[4] = {&m->W, &m->W_bias, &m->U, &m->U_bias};
        NnInit inits[4] = {of_x, of_x, of_h, of_h};
        if (config->orthogonal)
            inits[U_WEIGHT] = nn_init_orthogonal(1.0);
        if (g == FORGET && config->forget_bias != 0)
            inits[W_BIAS] = nn_init_constant(config->forget_bias);
        for (int i = 0; i < 4; i++)
            nn_module_add_slice(&m->base, &m->slices[g][i], names[g][i], blocks[i], g * hidden, hidden,
                                inits[i]);
    }
}

static void build(Model *model)
{
    Lstm *m = (Lstm *)model;
    const ModelConfig *config = &model->config;
    model_add_embedding(model, &m->embedding);
    gates_init(&m->gates, config);
    nn_module_add(&m->base, &m->gates.base, "");
    NN_ADD(m, fc, nn_linear_init, config->hidden, config->labels);
    model->output_bias = &m->fc.bias;
}

/* x [n, 4H] is W x_t with both biases already. */
static void step(void *self, Var x, const Var *before, Var *after)
{
    const Var *U = self;
    after[0] = var_gated_memory_step(x, before[0], *U, before[1], notebook_order, &after[1]);
}

static Var forward(Model *model, NnSequence text, Var *attention)
{
    (void)attention;
    static const NnCell cell = {.step = step, .states = 2};
    Lstm *m = (Lstm *)model;
    Tape *tape = text.rows.tape;
    NnSequence x = model_embed(model, &m->embedding, text);
    Var bias = var_add(nn_var(&m->gates.W_bias, tape), nn_var(&m->gates.U_bias, tape));
    Var projected = var_linear(x.rows, nn_var(&m->gates.W, tape), bias); /* [N, 4H] */
    Var U = nn_var(&m->gates.U, tape);
    NnScan scan = nn_scan(&cell, &U, nn_scan_input(nn_with_rows(x, projected), U), NULL);
    return nn_linear(&m->fc, nn_dropout(&model->dropout, nn_scan_last(scan, 0)));
}

extern const ModelKind lstm_model, lstm_matched_model;
const ModelKind lstm_model = {.name = "lstm",
                              .description = "LSTM, last state",
                              .size = sizeof(Lstm),
                              .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                              .build = build,
                              .forward = forward};
/* Without the embedding 138,749 parameters at K = 29, against the RNN's 138,781. */
const ModelKind lstm_matched_model = {.name = "lstm_matched",
                                      .description = "LSTM with the RNN's number of parameters",
                                      .size = sizeof(Lstm),
                                      .defaults = {.embed = 256, .hidden = 96, .layers = 1},
                                      .build = build,
                                      .forward = forward};

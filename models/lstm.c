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

static const GateOrder notebook_order = {.forget = 0, .input = 1, .cell = 2, .output = 3};

static void gates_init(Gates *m, int64_t embed, int64_t hidden)
{
    static const char *const names[GATES][4] = {
        {"W_f.weight", "W_f.bias", "U_f.weight", "U_f.bias"},
        {"W_i.weight", "W_i.bias", "U_i.weight", "U_i.bias"},
        {"W_c.weight", "W_c.bias", "U_c.weight", "U_c.bias"},
        {"W_o.weight", "W_o.bias", "U_o.weight", "U_o.bias"},
    };
    nn_module_init(&m->base);
    nn_module_add_block(&m->base, &m->W, SHAPE(GATES * hidden, embed));
    nn_module_add_block(&m->base, &m->W_bias, SHAPE(GATES * hidden));
    nn_module_add_block(&m->base, &m->U, SHAPE(GATES * hidden, hidden));
    nn_module_add_block(&m->base, &m->U_bias, SHAPE(GATES * hidden));
    NnInit of_x = nn_init_uniform(1 / sqrt((double)embed)), of_h = nn_init_uniform(1 / sqrt((double)hidden));
    for (int g = 0; g < GATES; g++) {
        NnParameter *const blocks[4] = {&m->W, &m->W_bias, &m->U, &m->U_bias};
        for (int i = 0; i < 4; i++)
            nn_module_add_slice(&m->base, &m->slices[g][i], names[g][i], blocks[i], g * hidden, hidden,
                                i < 2 ? of_x : of_h);
    }
}

static void build(Model *model)
{
    Lstm *m = (Lstm *)model;
    const ModelConfig *config = &model->config;
    NN_ADD(m, embedding, nn_embedding_init, config->vocabulary, config->embed);
    gates_init(&m->gates, config->embed, config->hidden);
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
    NnSequence x = nn_embedding_sequence(&m->embedding, text);
    Var bias = var_add(nn_var(&m->gates.W_bias, tape), nn_var(&m->gates.U_bias, tape));
    Var projected = var_linear(x.rows, nn_var(&m->gates.W, tape), bias); /* [N, 4H] */
    Var U = nn_var(&m->gates.U, tape);
    NnScan scan = nn_scan(&cell, &U, nn_with_rows(x, projected), NULL);
    return nn_linear(&m->fc, nn_scan_last(scan, 0));
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

/* Attention inside the encoder, as the assignment words it ("each LSTM block looks at the outputs of all
 * previous blocks") and as Bahdanau et al. 2015 (arXiv 1409.0473) feed the context: ctx_1 = 0, ctx_t = sum
 * over s < t of a_ts h_s with the query h_{t-1}; the cell's input is [x_t ; ctx_t]; logits = fc(h_T). */
#include "models/model.h"

typedef struct AttentionFed {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnLstm lstm; /* whose input is [x_t ; ctx_t] */
    NnAdditiveAttention attention;
    NnLinear fc;
} AttentionFed;

static void build(Model *model)
{
    AttentionFed *m = (AttentionFed *)model;
    const ModelConfig *config = &model->config;
    model_add_embedding(model, &m->embedding);
    NN_ADD(m, lstm, nn_lstm_init_with, config->embed + config->hidden, config->hidden,
           model_recurrent_options(model));
    nn_additive_attention_init(&m->attention, config->hidden, config->hidden, config->hidden);
    nn_module_add(&m->base, &m->attention.base, "");
    NN_ADD(m, fc, nn_linear_init, config->hidden, config->labels);
    model->output = &m->fc;
    model->recurrent = &m->lstm;
}

/* What one run of the cell knows: the weights' parts, and all earlier outputs with their keys. */
typedef struct Run {
    AttentionFed *m;
    Var weight_context; /* [4H, H]: the columns of weight_ih that meet the context */
    Var weight_hh;
    Var *keys, *values; /* [steps] */
    int count;
} Run;

/* x [n, 4H] is the projection of x_t with both biases. */
static void step(void *self, Var x, const Var *before, Var *after)
{
    static const VarGateOrder order = {.input = 0, .forget = 1, .cell = 2, .output = 3};
    Run *run = self;
    Var z = x;
    if (run->count > 0) {
        Var context =
            nn_attention_over_steps(&run->m->attention, before[0], run->keys, run->values, run->count);
        z = var_addmm(var_addmm(x, before[0], run->weight_hh), context, run->weight_context);
    }
    after[0] = var_gated_memory(z, before[1], order, &after[1]);
    run->values[run->count] = after[0];
    run->keys[run->count++] = nn_attention_key(&run->m->attention, after[0]);
}

static NnScan encode(Model *model, NnSequence text)
{
    static const NnCell cell = {.step = step, .states = 2};
    AttentionFed *m = (AttentionFed *)model;
    NnRecurrentLayer *layer = m->lstm.layers;
    Tape *tape = text.rows.tape;
    int64_t embed = model->config.embed, hidden = model->config.hidden;
    size_t list = (size_t)text.packing->steps * sizeof(Var);
    Var weight_ih = nn_var(&layer->weight_ih, tape);
    Run run = {.m = m,
               .weight_context = var_slice(weight_ih, 1, embed, embed + hidden, 1),
               .weight_hh = nn_var(&layer->weight_hh, tape),
               .keys = tensor_arena_alloc(tape_arena(tape), list),
               .values = tensor_arena_alloc(tape_arena(tape), list)};
    if (!run.keys || !run.values) {
        tape_fail(tape, "attention_fed: out of memory");
        return (NnScan){.tape = tape};
    }
    NnSequence x = model_embed(model, &m->embedding, text);
    Var bias = var_add(nn_var(&layer->bias_ih, tape), nn_var(&layer->bias_hh, tape));
    Var projected = var_linear(x.rows, var_slice(weight_ih, 1, 0, embed, 1), bias); /* [N, 4H] */
    return nn_scan(&cell, &run, nn_scan_input(nn_with_rows(x, projected), run.weight_hh), NULL);
}

static NnSequence states(Model *model, NnSequence text)
{
    return nn_scan_sequence(encode(model, text), 0);
}

static ModelOutput forward(Model *model, ModelInput input)
{
    return model_output(model, nn_scan_last(encode(model, input.text), 0));
}

extern const ModelKind model_attention_fed_model;
const ModelKind model_attention_fed_model = {.name = "attention_fed",
                                             .description =
                                                 "LSTM whose input holds attention over its earlier outputs",
                                             .size = sizeof(AttentionFed),
                                             .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                                             .build = build,
                                             .forward = forward,
                                             .states = states};

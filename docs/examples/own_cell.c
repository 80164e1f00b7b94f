/* A recurrent cell of one's own, run by the scan, in a model of one's own, trained on all cores: public
 * headers only.
 *
 *   cc own_cell.c $(pkg-config --cflags --libs reel)
 *
 * The cell is an LSTM whose gates also look at the memory, through peepholes (Gers & Schmidhuber 2000,
 * "Recurrent nets that time and count"; here all gates look at c_{t-1}):
 *
 *   z_t = W x_t + U h_{t-1} + b + p * [c_{t-1}; c_{t-1}; c_{t-1}; c_{t-1}]
 *   c_t = sigmoid(z_f) * c_{t-1} + sigmoid(z_i) * tanh(z_g),   h_t = sigmoid(z_o) * tanh(c_t)
 *
 * The task: does a text hold word 7 before word 9? */
#include <reel/reel.h>

#include <math.h>
#include <stdio.h>

typedef struct Peephole {
    MODEL_HEAD;
    NnEmbedding embedding;
    NnLinear input;                  /* W, b: [4H, E], [4H] */
    NnParameter recurrent, peephole; /* U [4H, H], p [4, H] */
    NnLinear fc;
} Peephole;

/* Declares the parts; their names are the members'. */
static void build(Model *model)
{
    Peephole *m = (Peephole *)model;
    int64_t embed = model->config.embed, hidden = model->config.hidden;
    NnInit uniform = nn_init_uniform(1 / sqrt((double)hidden));
    NN_ADD(m, embedding, nn_embedding_init, model->config.vocabulary, embed);
    NN_ADD(m, input, nn_linear_init, embed, 4 * hidden);
    nn_module_add_parameter(&m->base, &m->recurrent, "recurrent", TENSOR_SHAPE(4 * hidden, hidden), uniform);
    nn_module_add_parameter(&m->base, &m->peephole, "peephole", TENSOR_SHAPE(4, hidden), uniform);
    NN_ADD(m, fc, nn_linear_init, hidden, model->config.labels);
    model->output = &m->fc;
}

/* One step for the n texts that still run: x [n, 4H] is W x_t + b already. */
static void step(void *self, Var x, const Var *before, Var *after)
{
    static const VarGateOrder order = {.input = 0, .forget = 1, .cell = 2, .output = 3};
    const Peephole *m = self;
    Tape *tape = x.tape;
    Var z = x;
    if (before[0].tape) {
        Var h = before[0], c = before[1];
        int64_t n = var_size(c, 0), hidden = var_size(c, 1);
        Var seen =
            var_mul(var_reshape(c, TENSOR_SHAPE(n, 1, hidden)), nn_var((NnParameter *)&m->peephole, tape));
        z = var_add(var_addmm(x, h, nn_var((NnParameter *)&m->recurrent, tape)),
                    var_reshape(seen, TENSOR_SHAPE(n, 4 * hidden)));
    }
    after[0] = var_gated_memory(z, before[1], order, &after[1]);
}

static ModelOutput forward(Model *model, ModelInput input)
{
    static const NnCell cell = {.step = step, .states = 2};
    Peephole *m = (Peephole *)model;
    NnSequence x = nn_embedding_sequence(&m->embedding, input.text);
    x = nn_with_rows(x, nn_linear(&m->input, x.rows));        /* for all steps at once */
    x = nn_scan_input(x, nn_var(&m->recurrent, x.rows.tape)); /* of texts of one token, it takes part too */
    NnScan scan = nn_scan(&cell, m, x, NULL);
    return model_output(model, nn_scan_last(scan, 0));
}

extern const ModelKind own_cell_model;
const ModelKind own_cell_model = {.name = "own_cell",
                                  .description = "an LSTM with peepholes, written outside the library",
                                  .size = sizeof(Peephole),
                                  .defaults = {.embed = 256, .hidden = 256, .layers = 1},
                                  .build = build,
                                  .forward = forward};

#ifndef OWN_CELL_WITHOUT_MAIN /* the bench measures the model, and has a main() of its own */

enum { TEXTS = 64, LENGTH = 12, WORDS = 20, STEPS = 300 };

static bool is_positive(const int32_t *ids)
{
    for (int i = 0; i < LENGTH; i++)
        if (ids[i] == 7 || ids[i] == 9)
            return ids[i] == 7;
    return 0;
}

static ModelBatch draw(TensorRandom *random)
{
    static const int32_t positive = 0; /* the one label */
    static int32_t ids[TEXTS][LENGTH];
    static NnIds texts[TEXTS], labels[TEXTS];
    for (int i = 0; i < TEXTS; i++) {
        for (int t = 0; t < LENGTH; t++)
            ids[i][t] = (int32_t)tensor_random_below(random, WORDS);
        texts[i] = (NnIds){ids[i], LENGTH};
        labels[i] = (NnIds){&positive, is_positive(ids[i])};
    }
    return (ModelBatch){.size = TEXTS, .num_ids = TEXTS * LENGTH, .texts = texts, .labels = labels};
}

int main(void)
{
    Model *model = NULL;
    ModelTrainer *trainer = NULL;
    ModelConfig config = {.vocabulary = WORDS, .labels = 1, .embed = 16, .hidden = 32};
    ModelTrainerOptions options = model_trainer_defaults();
    options.threads = options.shards = 2;
    ReelStatus status = model_new(&model, &own_cell_model, config, 1);
    if (reel_status_is_ok(&status))
        status = model_trainer_new(&trainer, model, &options);
    TensorRandom random = tensor_random_new(1, tensor_random_stream("texts"));
    for (int i = 1; i <= STEPS && reel_status_is_ok(&status); i++) {
        double loss;
        ModelBatch batch = draw(&random);
        status = model_trainer_step(trainer, &batch, &loss);
        if (i % 50 == 0)
            printf("step %3d: loss %.4f\n", i, loss);
    }
    if (!reel_status_is_ok(&status))
        fprintf(stderr, "own_cell: %s\n", status.message);
    model_trainer_free(trainer);
    model_free(model);
    return (int)status.code;
}
#endif

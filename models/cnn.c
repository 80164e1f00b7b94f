/* Kim 2014 (arXiv 1408.5882): filters over windows of 1, 3 and 5 words, each one's maximum over the text:
 * logits = V relu(max_t (W [x_t-k ; ... ; x_t+k] + b)). Beyond a text's ends are zeros. */
#include "models/model.h"

enum { WIDTHS = 3 };

typedef struct Cnn {
    MODEL_HEAD;
    NnEmbedding embedding;
    /* [H, (2k + 1) E], k = 0, 1, 2: nn_conv1d_sequence() with the weight as the product takes it, so that
     * what products save, their gradients' zero rows for one, is saved. */
    NnLinear filters[WIDTHS];
    NnLinear fc;
} Cnn;

static void build(Model *model)
{
    static const char *const names[WIDTHS] = {"filters_1", "filters_3", "filters_5"};
    Cnn *m = (Cnn *)model;
    const ModelConfig *config = &model->config;
    model_add_embedding(model, &m->embedding);
    for (int k = 0; k < WIDTHS; k++) {
        nn_linear_init(&m->filters[k], (2 * k + 1) * config->embed, config->hidden);
        nn_module_add(&m->base, &m->filters[k].base, names[k]);
    }
    NN_ADD(m, fc, nn_linear_init, WIDTHS * config->hidden, config->labels);
    model->output = &m->fc;
}

static ModelOutput forward(Model *model, ModelInput input)
{
    Cnn *m = (Cnn *)model;
    NnSequence x = model_embed(model, &m->embedding, input.text); /* [N, E] */
    Var pooled[WIDTHS];                                           /* [B, H] each */
    for (int k = 0; k < WIDTHS; k++)
        pooled[k] = nn_pool_max(nn_linear_sequence(&m->filters[k], nn_windows(x, k, k)));
    Var features = var_relu(var_concat(pooled, WIDTHS, 1)); /* relu and max may change places */
    return model_output(model, features);
}

extern const ModelKind model_cnn_model;
const ModelKind model_cnn_model = {.name = "cnn",
                                   .description = "convolutions over 1, 3 and 5 words, maximum over the text",
                                   .size = sizeof(Cnn),
                                   .defaults = {.embed = 128, .hidden = 128, .layers = 1, .dropout = 0.5},
                                   .build = build,
                                   .forward = forward};

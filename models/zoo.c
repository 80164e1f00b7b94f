/* The list of models, and what they have in common. */
#include "models/model.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

/* Each kind is defined in a file of its own. */
extern const ModelKind rnn_model, lstm_model, lstm_matched_model, attention_model, attention_fed_model,
    stacked_model;

static const ModelKind *const kinds[] = {
    &rnn_model, &lstm_model, &lstm_matched_model, &attention_model, &attention_fed_model, &stacked_model,
};

int zoo_count(void)
{
    return (int)(sizeof kinds / sizeof kinds[0]);
}

const ModelKind *zoo_kind(int i)
{
    return i >= 0 && i < zoo_count() ? kinds[i] : NULL;
}

const ModelKind *zoo_find(const char *name)
{
    for (int i = 0; i < zoo_count(); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

Status model_new_without_values(Model **out, const ModelKind *kind, ModelConfig config)
{
    *out = NULL;
    Model *model = mem_calloc(1, kind->size);
    if (!model)
        return status_no_memory(kind->size, kind->name);
    config.embed = config.embed ? config.embed : kind->defaults.embed;
    config.hidden = config.hidden ? config.hidden : kind->defaults.hidden;
    config.layers = config.layers && kind->several_layers ? config.layers : kind->defaults.layers;
    nn_module_init(&model->base);
    model->kind = kind;
    model->config = config;
    kind->build(model);
    *out = model;
    return status_ok();
}

Status model_new(Model **out, const ModelKind *kind, ModelConfig config, uint64_t seed)
{
    Status status = model_new_without_values(out, kind, config);
    if (status_is_ok(&status))
        status = nn_module_reset(&(*out)->base, seed);
    if (!status_is_ok(&status)) {
        model_free(*out);
        *out = NULL;
    }
    return status;
}

void model_free(Model *model)
{
    if (!model)
        return;
    nn_module_free(&model->base);
    mem_free(model);
}

Var(model_forward)(Model *model, NnSequence text, Var *attention)
{
    nn_enter(&model->base, text.rows.tape);
    Var logits = model->kind->forward(model, text, attention);
    nn_leave(text.rows.tape);
    return logits;
}

int64_t model_count(Model *model)
{
    return nn_module_count(&model->base);
}

int64_t model_count_without_embedding(Model *model)
{
    int64_t count = model_count(model);
    for (NnParameter *p = nn_first_parameter(&model->base); p; p = nn_next_parameter(&model->base, p))
        if (p->sparse)
            count -= p->shape[0] * p->shape[1];
    return count;
}

void model_set_output_bias(Model *model, const int64_t *counts, int64_t examples)
{
    Tensor bias = model->output_bias->core.value;
    for (int64_t k = 0; k < bias.shape[0]; k++) {
        double count = (double)counts[k], n = (double)examples;
        count = count < 0.5 ? 0.5 : count > n - 0.5 ? n - 0.5 : count;
        tensor_set(&bias, (int64_t[]){k}, log(count / (n - count)));
    }
    parameter_changed(&model->output_bias->core);
}

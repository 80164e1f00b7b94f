/* What all models have in common. */
#include "models/model.h"
#include "tensor/mem.h"

#include <math.h>

ReelStatus model_new_without_values(Model **out, const ModelKind *kind, ModelConfig config)
{
    *out = NULL;
    if (config.first_piece > 0 && !kind->reads_words)
        return reel_status_usage(
            "--char-ngrams: %s reads the words in their order, and has no place for pieces of "
            "them; choose --models wide or best, or leave it out",
            kind->name);
    Model *model = reel_mem_calloc(1, kind->size);
    if (!model)
        return reel_status_no_memory(kind->size, kind->name);
    config.embed = config.embed ? config.embed : kind->defaults.embed;
    config.hidden = config.hidden ? config.hidden : kind->defaults.hidden;
    config.layers = config.layers && kind->several_layers ? config.layers : kind->defaults.layers;
    const ModelConfig *own = &kind->defaults;
    config.embed_scale = config.embed_scale != 0 ? config.embed_scale : own->embed_scale;
    config.forget_bias = config.forget_bias != 0 ? config.forget_bias : own->forget_bias;
    config.orthogonal = config.orthogonal || own->orthogonal;
    config.embed_dropout = config.embed_dropout >= 0 ? config.embed_dropout : own->embed_dropout;
    config.dropout = config.dropout >= 0 ? config.dropout : own->dropout;
    nn_module_init(&model->base);
    model->scope.name = kind->name;
    model->base.scope.parent = &model->scope;
    nn_dropout_init(&model->embed_dropout, config.embed_dropout);
    nn_dropout_init(&model->dropout, config.dropout);
    nn_module_add(&model->base, &model->embed_dropout.base, "embed_dropout");
    nn_module_add(&model->base, &model->dropout.base, "dropout");
    model->kind = kind;
    model->config = config;
    kind->build(model);
    *out = model;
    return reel_status_ok();
}

ReelStatus model_new(Model **out, const ModelKind *kind, ModelConfig config, uint64_t seed)
{
    ReelStatus status = model_new_without_values(out, kind, config);
    if (reel_status_is_ok(&status))
        status = nn_module_reset(&(*out)->base, seed);
    if (!reel_status_is_ok(&status)) {
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
    reel_mem_free(model);
}

ModelOutput model_output(Model *model, Var vectors)
{
    return (ModelOutput){.logits = nn_linear(model->output, nn_dropout(&model->dropout, vectors)),
                         .vectors = vectors};
}

/* The words of the texts in the dtype of the model. */
static void add_words(ModelInput *input, const Model *model, Tape *tape, const NnIds *texts, int32_t count)
{
    TensorArena *arena = tape_arena(tape);
    ModelTextWords words;
    TensorDtype dtype = model->output->bias.core.value.dtype;
    if (!model_text_words(&words, arena, texts, count, model->config.first_piece)) {
        input->text.rows = tape_fail(tape, "%s: out of memory", model->kind->name);
        return;
    }
    Tensor weights = tensor_from(words.log_weights, TENSOR_F64, TENSOR_SHAPE(words.count));
    input->words = tape_constant(tape, tensor_from(words.ids, TENSOR_I32, TENSOR_SHAPE(words.count)));
    input->word_texts = tape_constant(tape, tensor_from(words.texts, TENSOR_I32, TENSOR_SHAPE(words.count)));
    input->word_weights = tape_constant(tape, tensor_cast(arena, weights, dtype));
}

ModelInput(model_input)(const Model *model, Tape *tape, const NnIds *texts, int32_t count)
{
    ModelInput input = {.text = nn_pack_texts(tape, texts, count)};
    if (model->kind->reads_words && tape_ok(tape))
        add_words(&input, model, tape, texts, count);
    return input;
}

ModelOutput(model_forward)(Model *model, ModelInput input)
{
    Tape *tape = input.text.rows.tape;
    nn_enter(&model->base, tape);
    ModelOutput output =
        tape_ok(tape) ? model->kind->forward(model, input) : (ModelOutput){.logits.tape = tape};
    nn_leave(tape);
    return output;
}

NnSequence model_states(Model *model, NnSequence text)
{
    Tape *tape = text.rows.tape;
    nn_enter(&model->base, tape);
    NnSequence states =
        tape_ok(tape) ? model->kind->states(model, text) : nn_with_rows(text, (Var){.tape = tape});
    nn_leave(tape);
    return states;
}

int64_t model_count(Model *model)
{
    return nn_module_count(&model->base);
}

NnParameter *model_embedding(Model *model)
{
    NnNamed named;
    return nn_find(&model->base, "embedding.weight", &named) ? named.parameter : NULL;
}

int model_depth(const Model *model)
{
    return 1 + (model->recurrent ? model->recurrent->options.layers : 0);
}

int model_depth_of(Model *model, const NnParameter *parameter)
{
    const NnRecurrent *r = model->recurrent;
    int directions = r && r->options.bidirectional ? 2 : 1;
    for (int i = 0; r && r->layers && i < r->options.layers * directions; i++) {
        const NnRecurrentLayer *layer = &r->layers[i];
        if (parameter == &layer->weight_ih || parameter == &layer->weight_hh ||
            parameter == &layer->bias_ih || parameter == &layer->bias_hh)
            return r->options.layers - i / directions;
    }
    return parameter == model_embedding(model) ? model_depth(model) : 0;
}

int64_t model_count_without_embedding(Model *model)
{
    int64_t count = model_count(model);
    for (NnParameter *p = nn_first_parameter(&model->base); p; p = nn_next_parameter(&model->base, p))
        if (p->sparse)
            count -= p->shape[0] * p->shape[1];
    return count;
}

int64_t model_width(const Model *model)
{
    return model->output->weight.shape[1];
}

void model_set_output_bias(Model *model, const int64_t *counts, int64_t examples)
{
    Tensor bias = model->output->bias.core.value;
    for (int64_t k = 0; k < bias.shape[0]; k++) {
        double count = (double)counts[k], n = (double)examples;
        count = count < 0.5 ? 0.5 : count > n - 0.5 ? n - 0.5 : count;
        tensor_set(&bias, (int64_t[]){k}, log(count / (n - count)));
    }
    tape_parameter_changed(&model->output->bias.core);
}

void model_set_word_scores(NnEmbedding *scores, const int64_t *frequencies, int64_t texts)
{
    Tensor values = scores->weight.core.value;
    for (int64_t v = 0; v < values.shape[0]; v++) {
        double rarity = log((1.0 + (double)texts) / (1.0 + (double)frequencies[v])) + 1;
        tensor_set(&values, (int64_t[]){v, 0}, log(rarity));
    }
    tape_parameter_changed(&scores->weight.core);
}

void model_add_embedding(Model *model, NnEmbedding *embedding)
{
    const ModelConfig *config = &model->config;
    nn_embedding_init(embedding, config->vocabulary, config->embed);
    if (config->embed_scale != 0)
        embedding->weight.init = nn_init_normal(config->embed_scale);
    nn_module_add(&model->base, &embedding->base, "embedding");
}

void model_add_word_scores(Model *model, NnEmbedding *scores)
{
    nn_embedding_init(scores, model->config.vocabulary, 1);
    scores->weight.init = nn_init_constant(0.0);
    nn_module_add(&model->base, &scores->base, "word_score");
}

NnSequence model_embed(Model *model, NnEmbedding *embedding, NnSequence text)
{
    return nn_dropout_sequence(&model->embed_dropout, nn_embedding_sequence(embedding, text));
}

NnRecurrentOptions model_recurrent_options(const Model *model)
{
    NnRecurrentOptions options = nn_recurrent_options();
    options.orthogonal = model->config.orthogonal;
    if (model->config.forget_bias != 0)
        options.forget_bias = model->config.forget_bias;
    return options;
}

#include "models/language/awd_lstm.h"

void model_awd_lstm_init(ModelAwdLstm *m, ModelAwdLstmOptions options)
{
    nn_module_init(&m->base);
    if (options.layers < 1 || options.layers > MODEL_AWD_LSTM_MAX_LAYERS) {
        nn_module_fail(&m->base, reel_status_usage("an AWD-LSTM has 1 to %d layers, not %d",
                                                   MODEL_AWD_LSTM_MAX_LAYERS, options.layers));
        options.layers = 1;
    }
    m->options = options;
    NnRecurrentOptions lstm = nn_recurrent_options();
    lstm.weight_dropout = options.weight_dropout;
    NN_ADD(m, words, nn_dropout_init, options.word_dropout);
    NN_ADD(m, input, nn_dropout_init, options.embed_dropout);
    NN_ADD(m, between, nn_dropout_init, options.hidden_dropout);
    NN_ADD(m, embedding, nn_embedding_init, options.ids, options.embed);
    m->embedding.weight.init = nn_init_normal(0.1);
    for (int l = 0; l < options.layers; l++)
        NN_ADD_AT(m, lstm, l, nn_lstm_init_with, l == 0 ? options.embed : options.hidden, options.hidden,
                  lstm);
}

/* The vectors of the words, those of some words 0 wherever they stand. */
static NnSequence embed(ModelAwdLstm *m, NnSequence ids)
{
    NnSequence x = nn_embedding_sequence(&m->embedding, ids);
    if (!m->base.training || m->options.word_dropout == 0 || !tape_ok(x.rows.tape))
        return x;
    Var ones = var_expand(tape_scalar(x.rows, 1), TENSOR_SHAPE(m->options.ids));
    Var mask = var_gather_rows(nn_dropout(&m->words, ones), ids.rows); /* [N] */
    return nn_with_rows(x, var_mul(x.rows, var_reshape(mask, TENSOR_SHAPE(var_size(mask, 0), 1))));
}

static NnSequence states(void *context, NnSequence ids)
{
    ModelAwdLstm *m = context;
    NnSequence x = nn_dropout_locked(&m->input, embed(m, ids));
    for (int l = 0; l < m->options.layers; l++) {
        if (l > 0)
            x = nn_dropout_locked(&m->between, x);
        x = nn_recurrent_sequence(nn_lstm(&m->lstm[l], x));
    }
    return x;
}

ModelLanguageEncoder model_awd_lstm_encoder(ModelAwdLstm *m)
{
    return (ModelLanguageEncoder){
        .module = &m->base, .states = states, .context = m, .width = m->options.hidden};
}

Var model_awd_lstm_step(ModelAwdLstm *m, Var ids, NnRecurrentState *state)
{
    Var x = nn_embedding(&m->embedding, ids);
    for (int l = 0; l < m->options.layers; l++)
        x = nn_recurrent_step(&m->lstm[l], x, &state[l]);
    return x;
}

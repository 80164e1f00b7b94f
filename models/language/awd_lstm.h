/* The encoder of reel-lm: an embedding and layers of LSTMs with the dropouts of AWD-LSTM (Merity et al. 2017,
 * arXiv 1708.02182), each of which is the same at all steps of a text. */
#ifndef REEL_MODELS_AWD_LSTM_H
#define REEL_MODELS_AWD_LSTM_H

#include "models/language/language.h"

REEL_BEGIN_DECLS

enum { MODEL_AWD_LSTM_MAX_LAYERS = 8 };

/* The sizes and dropouts of a model. */
typedef struct ModelAwdLstmOptions {
    int32_t ids; /* V */
    int64_t embed, hidden;
    int layers;
    /* While training: of whole words; of the embedding's outputs; of the states between layers; of the
     * numbers of the recurrent weights. */
    double word_dropout, embed_dropout, hidden_dropout, weight_dropout;
} ModelAwdLstmOptions;

/* An embedding and layers of LSTMs, whose last states a language model predicts the next id from. */
typedef struct ModelAwdLstm {
    NnModule base;
    NnEmbedding embedding;
    NnLstm lstm[MODEL_AWD_LSTM_MAX_LAYERS]; /* a layer each */
    NnDropout words, input, between;
    ModelAwdLstmOptions options;
} ModelAwdLstm;

/* Errors, which nn_module_reset() returns: more than MODEL_AWD_LSTM_MAX_LAYERS layers, none, a dropout that
 * is not in [0, 1). */
void model_awd_lstm_init(ModelAwdLstm *m, ModelAwdLstmOptions options);
/* As a language model takes it. */
ModelLanguageEncoder model_awd_lstm_encoder(ModelAwdLstm *m);
/* The states after one more id of each of B texts, ids i32 [B]: [B, H]. states[l] is layer l's, all VAR_NONE
 * at the start. */
Var model_awd_lstm_step(ModelAwdLstm *m, Var ids, NnRecurrentState *states);

REEL_END_DECLS

#endif

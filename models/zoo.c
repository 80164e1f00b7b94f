/* The list of models. */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

/* Each kind is defined in a file of its own. */
extern const ModelKind model_rnn_model, model_lstm_model, model_lstm_matched_model, model_attention_model,
    model_attention_fed_model, model_stacked_model, model_bag_model, model_cnn_model, model_gru_model,
    model_bilstm_model, model_bilstm_attention_model, model_transformer_model, model_wide_model;

static const ModelKind *const kinds[] = {
    &model_rnn_model,
    &model_lstm_model,
    &model_lstm_matched_model,
    &model_attention_model,
    &model_attention_fed_model,
    &model_stacked_model,
    &model_bag_model,
    &model_cnn_model,
    &model_gru_model,
    &model_bilstm_model,
    &model_bilstm_attention_model,
    &model_transformer_model,
    &model_wide_model,
};

int model_zoo_count(void)
{
    return (int)(sizeof kinds / sizeof kinds[0]);
}

const ModelKind *model_zoo_kind(int i)
{
    return i >= 0 && i < model_zoo_count() ? kinds[i] : NULL;
}

const ModelKind *model_zoo_find(const char *name)
{
    for (int i = 0; i < model_zoo_count(); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static ReelStatus choose(const ModelKind *kind, const char *name, const ModelKind **kinds, int most,
                         int *count)
{
    if (!kind)
        return reel_status_usage("--models: there is no model '%s'; the zoo has those of reel-train --list",
                                 name);
    if (*count == most)
        return reel_status_usage("--models: more than %d models", most);
    kinds[(*count)++] = kind;
    return reel_status_ok();
}

ReelStatus model_zoo_choose(const char *list, const ModelKind *own, const ModelKind **kinds, int most,
                            int *count)
{
    ReelStatus status = reel_status_ok();
    bool all = strcmp(list, "all") == 0;
    *count = 0;
    for (int i = 0; all && i < model_zoo_count() && reel_status_is_ok(&status); i++)
        status = choose(model_zoo_kind(i), "", kinds, most, count);
    for (const char *at = list; !all && *at && reel_status_is_ok(&status);) {
        size_t length = strcspn(at, ",");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        status = choose(own && strcmp(name, own->name) == 0 ? own : model_zoo_find(name), name, kinds, most,
                        count);
        at += length + (at[length] == ',');
    }
    if (reel_status_is_ok(&status) && *count == 0)
        status = reel_status_usage("--models: no model is named");
    return status;
}

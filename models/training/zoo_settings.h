/* What a run of the zoo can be told: the table of its settings, their defaults, and what they ask for. */
#ifndef REEL_MODELS_ZOO_SETTINGS_H
#define REEL_MODELS_ZOO_SETTINGS_H

#include "models/text/dataset.h"
#include "models/model.h"
#include "models/training/run_init.h"
#include "models/training/settings.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum { MODEL_ZOO_MAX_MODELS = 64, MODEL_ZOO_MAX_OPTIONS = 80 };

/* Folders within --out: of the seeds behind the first, and of the first training of --refit. */
#define MODEL_ZOO_SEED_FOLDER   "seed-%" PRIu64
#define MODEL_ZOO_CHOICE_FOLDER "choice"

/* What becomes of a setting when a run goes on (--resume). */
typedef enum ModelSettingUse {
    MODEL_SETTING_COMMAND, /* it is the command's, not the run's */
    MODEL_SETTING_FREE,    /* changes no model: may be another one */
    MODEL_SETTING_LENGTH,  /* how long training goes on: may be another one */
    MODEL_SETTING_FILE,    /* a path: what is in the file counts */
    MODEL_SETTING_MODEL    /* must be the same */
} ModelSettingUse;

/* Whom a setting is for. */
typedef enum ModelSettingReach {
    MODEL_SETTING_FOR_ALL,  /* train_zoo, and a classifier of texts in memory (classifier.h) */
    MODEL_SETTING_FOR_FILES /* train_zoo alone: it is about files, or about several runs */
} ModelSettingReach;

/* A row of the table of settings. */
typedef struct ModelSetting {
    ModelOption option;
    ModelSettingUse use;
    const char *before; /* its value in a run whose files lack it: they were written before there was this
                           setting. Stays when the default changes. NULL: no run depends on it */
    ModelSettingReach reach;
} ModelSetting;

/* The value of each option (model_zoo_settings() says what it means). */
typedef struct ModelZooSettings {
    const char *data, *models, *out, *stop_words, *output_bias, *optimizer, *schedule, *init, *init_prefix,
        *resume, *tokenizer, *label_separator, *input_format, *text, *labels, *label_columns, *id, *vectors,
        *pretrain, *clean, *split, *group, *task, *loss, *metric, *cache, *char_ngrams;
    ModelOptionPart valid, test;
    int min_label_count;
    int epochs, batch, shuffle_block, max_len, embed, hidden, layers, threads, ranks, shards, min_df,
        ngram_min_df, warmup, vocab, seeds;
    int freeze_vectors, pretrain_epochs, unfreeze, checkpoint_every, keep, compress, patience;
    double shrinkage, dropout, embed_dropout, word_dropout, bpe_dropout, embed_scale, forget_bias, pos_weight;
    bool orthogonal, keep_digits, refit, ensemble;
    double rank_timeout, lr, vectors_lr, pretrain_lr, pretrain_dropout, layer_rate, max_df, weight_decay,
        clip;
    uint64_t seed;
    bool notebook, check_finite, quiet, list, compare;
} ModelZooSettings;

/* The homework's. */
ModelZooSettings model_zoo_defaults(void);
/* Those of --models best. */
ModelZooSettings model_zoo_best(void);
/* Gives all that was not given the values of --models best. Where that leaves out its --refit, returns the
 * option that excludes it; otherwise NULL. */
const char *model_zoo_use_best(ModelZooSettings *s, const bool *given);
/* The table of settings, with their places in `s`; returns how many. */
int model_zoo_settings(ModelZooSettings *s, ModelSetting settings[MODEL_ZOO_MAX_OPTIONS]);
/* Describes each option, with its place in `s`; returns how many. */
int model_zoo_options(ModelZooSettings *s, ModelOption options[MODEL_ZOO_MAX_OPTIONS]);
/* The models that --models names. */
ReelStatus model_zoo_choose_models(const char *list, const ModelKind *kinds[MODEL_ZOO_MAX_MODELS],
                                   int *count);
/* How to train, but for the files. */
ReelStatus model_zoo_run_options(const ModelZooSettings *s, ModelRunOptions *run);
/* The stop words that --stop-words names. */
void model_zoo_stop_words(ModelDatasetOptions *options, const char *name);
/* How to read the texts. model_zoo_run_options() must have found nothing wrong. */
ReelStatus model_zoo_dataset_options(const ModelZooSettings *s, ModelDatasetOptions *options);
/* Begins with a model (model_run_read_init(); NULL: none, or weights alone), which must live as long as data
 * are read: the run gets its sizes, `options` its way from texts to ids. Errors: those of
 * model_run_take_init(); an option that asks for another way. */
ReelStatus model_zoo_begin(const ModelZooSettings *s, const ModelCheckpoint *first, const ModelKind *kind,
                           ModelRunOptions *run, ModelDatasetOptions *options);
/* The data to train on from a corpus, and with --refit, in *choice, with a validation part; `name` stands for
 * its file in messages. */
ReelStatus model_zoo_datasets(const ModelZooSettings *s, const ModelCorpus *corpus, const char *name,
                              ModelDatasetOptions options, ModelDataset **dataset, ModelDataset **choice);

REEL_END_DECLS

#endif

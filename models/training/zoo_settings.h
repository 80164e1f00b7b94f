/* What a run of the zoo can be told: the table of its settings, their defaults, and what they ask for. */
#ifndef REEL_MODELS_ZOO_SETTINGS_H
#define REEL_MODELS_ZOO_SETTINGS_H

#include "models/text/dataset.h"
#include "models/model.h"
#include "models/training/run.h"
#include "models/training/settings.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

enum { ZOO_MAX_MODELS = 64, ZOO_MAX_OPTIONS = 80 };

/* Folders within --out: of the seeds behind the first, and of the first training of --refit. */
#define ZOO_SEED_FOLDER   "seed-%" PRIu64
#define ZOO_CHOICE_FOLDER "choice"

/* What becomes of a setting when a run goes on (--resume). */
typedef enum SettingUse {
    SETTING_COMMAND, /* it is the command's, not the run's */
    SETTING_FREE,    /* changes no model: may be another one */
    SETTING_LENGTH,  /* how long training goes on: may be another one */
    SETTING_FILE,    /* a path: what is in the file counts */
    SETTING_MODEL    /* must be the same */
} SettingUse;

/* A row of the table of settings. */
typedef struct Setting {
    Option option;
    SettingUse use;
    const char *before; /* its value in a run whose files lack it: they were written before there was this
                           setting. Stays when the default changes. NULL: no run depends on it */
} Setting;

/* The value of each option (zoo_settings() says what it means). */
typedef struct ZooSettings {
    const char *data, *models, *out, *stop_words, *output_bias, *optimizer, *schedule, *init, *init_prefix,
        *resume, *tokenizer, *label_separator, *input_format, *text, *labels, *label_columns, *id, *vectors,
        *clean, *split, *group;
    OptionPart valid, test;
    int min_label_count;
    int epochs, batch, max_len, embed, hidden, layers, threads, ranks, shards, min_df, warmup, vocab, seeds;
    int freeze_vectors, checkpoint_every, keep, compress, patience;
    double shrinkage, dropout, embed_dropout, word_dropout, bpe_dropout, embed_scale, forget_bias, pos_weight;
    bool orthogonal, keep_digits, refit, ensemble;
    double rank_timeout, lr, max_df, weight_decay, clip;
    uint64_t seed;
    bool notebook, check_finite, quiet, list, compare;
} ZooSettings;

ZooSettings zoo_defaults(void);
/* Those of --models best. */
ZooSettings zoo_best(void);
/* Gives all that was not given the values of --models best. Where that leaves out its --refit, returns the
 * option that excludes it; otherwise NULL. */
const char *zoo_use_best(ZooSettings *s, const bool *given);
/* The table of settings, with their places in `s`; returns how many. */
int zoo_settings(ZooSettings *s, Setting settings[ZOO_MAX_OPTIONS]);
/* Describes each option, with its place in `s`; returns how many. */
int zoo_options(ZooSettings *s, Option options[ZOO_MAX_OPTIONS]);
/* The models that --models names. */
ReelStatus zoo_choose_models(const char *list, const ModelKind *kinds[ZOO_MAX_MODELS], int *count);
/* How to train, but for the files. */
ReelStatus zoo_run_options(const ZooSettings *s, RunOptions *run);
/* The stop words that --stop-words names. */
void zoo_stop_words(DatasetOptions *options, const char *name);
/* How to read the texts, but for a tokenizer that must be learned. */
DatasetOptions zoo_dataset_options(const ZooSettings *s);

REEL_END_DECLS

#endif

/* The command line of train_zoo: its options, their defaults, and what they ask for. */
#ifndef REEL_TOOLS_ZOO_SETTINGS_H
#define REEL_TOOLS_ZOO_SETTINGS_H

#include "models/text/dataset.h"
#include "models/model.h"
#include "models/training/run.h"
#include "tools/options.h"

#include <stdbool.h>
#include <stdint.h>

enum { ZOO_MAX_MODELS = 64, ZOO_MAX_OPTIONS = 64 };

/* The value of each option (zoo_options() says what it means). */
typedef struct ZooSettings {
    const char *data, *models, *out, *stop_words, *output_bias, *optimizer, *schedule, *init, *resume,
        *tokenizer, *label_separator;
    int epochs, batch, max_len, embed, hidden, layers, threads, shards, min_df, warmup, vocab, seeds;
    int checkpoint_every, keep, compress, patience;
    double valid, shrinkage, dropout, embed_dropout, word_dropout, bpe_dropout, embed_scale, forget_bias,
        pos_weight;
    bool orthogonal, keep_digits, refit, ensemble;
    double lr, max_df, weight_decay, clip;
    uint64_t seed;
    bool notebook, check_finite, quiet, help, list, compare;
} ZooSettings;

ZooSettings zoo_defaults(void);
/* Those of --models best. */
ZooSettings zoo_best(void);
/* Describes each option, with its place in `s`; returns how many. */
int zoo_options(ZooSettings *s, Option options[ZOO_MAX_OPTIONS]);
/* The models that --models names. */
Status zoo_choose_models(const char *list, const ModelKind *kinds[ZOO_MAX_MODELS], int *count);
/* How to train, but for the files. */
Status zoo_run_options(const ZooSettings *s, RunOptions *run);
/* How to read the texts, but for a tokenizer that must be learned. */
DatasetOptions zoo_dataset_options(const ZooSettings *s);

#endif

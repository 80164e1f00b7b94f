/* A training run of one model: epochs of shuffled batches, quality on the test part after each, the best
 * epoch. */
#ifndef REEL_MODELS_RUN_H
#define REEL_MODELS_RUN_H

#include "models/language/language.h"
#include "models/text/dataset.h"
#include "models/training/label_loss.h"
#include "models/training/predictions.h"
#include "models/training/selection.h"
#include "models/training/trainer.h"
#include "models/vectors/pretrained.h"
#include "nn/state_dict.h"

REEL_BEGIN_DECLS

enum { MODEL_RUN_ID_SIZE = 9 };

/* A setting that the weights depend on, as text. */
typedef struct ModelRunSetting {
    const char *name, *value;
    const char *before; /* the value that a file means which lacks it; NULL: "" */
    bool is_file;       /* a path, where another will do: what is in the file counts elsewhere */
} ModelRunSetting;

/* The checkpoints of a run: FOLDER/<model>.last.npz, from which it goes on exactly, and
 * FOLDER/<model>.best.npz, the weights after the best epoch. They are written by a thread of their own. */
typedef struct ModelRunFiles {
    const char *folder;              /* NULL: none. Of several ranks, only rank 0 writes */
    const ModelRunSetting *settings; /* [num_settings]: a run goes on only from files with the same */
    int num_settings;
    char id[MODEL_RUN_ID_SIZE]; /* the same for files that name no settings */
    int every; /* write `last` after so many batches; 0: after each epoch; MODEL_RUN_EVERY_SO_OFTEN: ... */
    double seconds; /* ... when so many seconds have passed since the last time, and at the end of the run */
    int keep;       /* also FOLDER/<model>.epoch-E.npz, the weights after each of the last `keep` epochs */
    int level;      /* of compression, 0 to 9 */
    bool resume;    /* go on from `last` where there is one; of another run it is an error */
    NnSnapshot *kept; /* NULL, or what gets the members of `best` in memory, with or without a folder */
    const char *init; /* NULL, or a file with the weights to begin with (models/training/run_init.h) */
    const char *init_prefix; /* NULL, or what stands before their names in it: "module.", "_orig_mod." */
} ModelRunFiles;

enum { MODEL_RUN_EVERY_SO_OFTEN = -1 };

/* What a model's embedding and recurrent layers learn a language from before they learn labels. */
typedef struct ModelPretraining {
    ModelLanguageTexts texts; /* as ids of the data set */
    int epochs;
    double lr, dropout; /* of embeddings and states, instead of the model's own */
} ModelPretraining;

/* Parts of a batch unless another number is asked for: the same on every machine, as the results depend on
 * it. */
enum { MODEL_RUN_SHARDS = 2 };

/* What a run is told. */
typedef struct ModelRunOptions {
    int epochs;
    int batch;
    int shuffle_block;  /* of the training part (models/text/loader.h), whose ids must be in a file; 0: off */
    ModelConfig config; /* all but vocabulary and labels */
    ModelTrainerOptions trainer;
    uint64_t seed;      /* of first values, shuffling and dropout */
    bool notebook;      /* pad every batch and read the state after the padding; the output bias starts as
                           PyTorch's */
    bool log_odds_bias; /* the output bias starts at the labels' log-odds in the training part */
    ModelSelectionOptions selection; /* where the data set has a validation part */
    const ModelSelection
        *selected; /* NULL, or an earlier run's choice: train up to its epoch, use its thresholds */
    double
        pos_weight; /* the loss's weight of a label's true examples is ((1 - p) / p) to this power; 0: off */
    double
        bpe_dropout; /* cut the training texts anew for each epoch (models/text/subword_dropout.h); 0: off */
    ModelLossKind loss;
    ModelLossForm form; /* of the loss */
    double rate;        /* what the learning rate is multiplied by at first: an earlier run's */
    /* NULL, or rows of word vectors that the embedding begins with; it does not change in the first
     * `freeze_vectors` epochs. */
    const ModelPretrained *vectors;
    int freeze_vectors;
    const ModelPretraining *pretraining; /* NULL: none */
    /* Epochs after which the next layer down is trained as well: at first what makes the output alone, last
     * the embedding; 0: all from the start. */
    int unfreeze;
    ModelRunFiles files;
} ModelRunOptions;

/* The homework's: 50 epochs, batches of 64, lr 2e-3, seed 0; sizes, first values and dropout as each kind has
 * them; the state at the last real token, log-odds bias; a sum over labels; MODEL_RUN_SHARDS shards on all
 * processors; no files, and once a minute where there are. */
ModelRunOptions model_run_defaults(void);

/* What an epoch came to. */
typedef struct ModelRunEpoch {
    int epoch;         /* from 1 */
    double train_loss; /* mean over the epoch's decisions, each before its update */
    double test_f1; /* macro F1 on the test part at threshold 0.5; NAN, as all of it: there is no such part */
    double test_micro_f1;
    double test_accuracy; /* part of its texts whose labels are exactly the true ones */
    double seconds;       /* training and evaluation */
} ModelRunEpoch;

/* What a run came to. */
typedef struct ModelRunResult {
    const char *name;
    uint64_t seed;
    int64_t params, params_without_embedding;
    int count;             /* epochs that were finished, before it was interrupted too */
    ModelRunEpoch *epochs; /* [count] */
    double best_f1;        /* the homework's maximum over epochs, on the test part */
    int best_epoch;        /* from 1; 0: none; the last where there is no test part */
    double last_f1, last_micro_f1, last_accuracy; /* of the last epoch */
    double seconds;
    double peak_rss_mb;
    bool interrupted;
    ModelLossForm form;
    double rate; /* what the learning rate was multiplied by; below 1: the loss grew, see model_run_model() */
    ModelMetrics metrics;    /* on the test part, after the last epoch */
    ModelPredictions test;   /* what they were counted from; or what model_run_ask_delivered() made of it */
    ModelSelection selected; /* by the validation part; epoch 0: there is none */
} ModelRunResult;

/* What a watcher sees, after each batch and after each epoch. */
typedef struct ModelRunProgress {
    const char *model;
    bool pretraining;              /* as a language model: losses are for each word, nothing else is known */
    int epoch, epochs;             /* from 1 */
    int64_t batch, batches;        /* of this epoch */
    int64_t tokens;                /* trained on in this epoch */
    double seconds;                /* since this epoch began */
    double seconds_left;           /* of this model, as far as can be told; negative: not yet */
    double batch_loss;             /* of this batch */
    double loss;                   /* mean of this epoch so far */
    double best_f1;                /* of the finished epochs, an earlier process's too: on the test part */
    int best_epoch;                /* 0: none yet */
    const ModelRunEpoch *finished; /* not NULL: the epoch has ended with this */
    const char
        *again; /* not NULL: why the model is trained anew from here, at `rate` times the learning rate */
    double rate;
    int chosen; /* not 0: the best epoch on the validation part, up to which the model is trained from here on
                   all texts (models/training/refit.h) */
} ModelRunProgress;

/* Who looks on, and may end a run. */
typedef struct ModelRunWatcher {
    void *context;
    void (*progress)(void *context, const ModelRunProgress *progress); /* may be NULL */
    bool (*stop)(void *context); /* asked after each batch; true ends the run in good order; may be NULL */
} ModelRunWatcher;

/* Trains a new model of `kind`. Its loss may be no number, or grow: to twice what it was at first or in any
 * epoch before, and more than half of what the labels' frequencies alone come to; or to more than that, once
 * it was below 0.9 of it. Then the model is trained anew at half the learning rate, up to ten times. On
 * success the caller has the result (model_run_result_free) and, where `model` is not NULL, the model
 * (model_free). An error: a loss, the logits of the test part or, at the end, a weight is not finite. */
ReelStatus model_run_model(ModelRunResult *result, Model **model, const ModelKind *kind,
                           const ModelDataset *dataset, const ModelRunOptions *options,
                           const ModelRunWatcher *watcher);
void model_run_result_free(ModelRunResult *result);
/* Asks the model that the run has delivered, its best.npz, about the test part, where it is not that of the
 * last epoch: result->test. Errors: no such file, no memory. */
ReelStatus model_run_ask_delivered(ModelRunResult *result, const ModelKind *kind, const ModelDataset *dataset,
                                   const ModelRunOptions *options);

/* An error where a kind of model, with so many layers (0: its own), cannot learn a language. */
ReelStatus model_run_check_pretraining(const ModelKind *kind, int layers);

REEL_END_DECLS

#endif

#include "models/training/zoo_settings.h"

#include "models/bpe/bpe.h"
#include "models/training/results.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/pool.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

ModelZooSettings model_zoo_defaults(void)
{
    return (ModelZooSettings){.models = "all",
                              .seeds = 1,
                              .output_bias = "log-odds",
                              .optimizer = "adam",
                              .schedule = "constant",
                              .metric = "macro-f1",
                              .loss = "sigmoid",
                              .tokenizer = "words",
                              .vocab = 8000,
                              .epochs = 50,
                              .batch = 64,
                              .max_len = 64,
                              .threads = tensor_pool_processors(),
                              .shards = MODEL_RUN_SHARDS,
                              .ranks = 1,
                              .rank_timeout = 60,
                              .min_df = 2,
                              .char_ngrams = "none",
                              .ngram_min_df = model_ngrams_defaults().min_df,
                              .test = {.size = 0.2},
                              .checkpoint_every = MODEL_RUN_EVERY_SO_OFTEN,
                              .compress = 1,
                              .shrinkage = INFINITY,
                              .dropout = -1,
                              .embed_dropout = -1,
                              .max_df = 0.9,
                              .pretrain_epochs = 3,
                              .pretrain_lr = 2e-3,
                              .layer_rate = 1,
                              .lr = 2e-3};
}

/* Chosen on validation parts of the default corpus: docs/results.md. */
ModelZooSettings model_zoo_best(void)
{
    ModelZooSettings s = model_zoo_defaults();
    s.models = "wide";
    s.optimizer = "sgd";
    s.lr = 20;
    s.schedule = "cosine";
    s.epochs = 24;
    s.max_len = 512;
    s.min_df = 1;
    s.char_ngrams = "auto";
    s.keep_digits = true;
    s.stop_words = "none";
    s.valid.size = 0.2;
    s.refit = true;
    s.shrinkage = 40;
    s.embed_scale = 0.02; /* wide's own; that of --vectors would be too large for this rate */
    return s;
}

int model_zoo_settings(ModelZooSettings *s, ModelSetting settings[MODEL_ZOO_MAX_OPTIONS])
{
    /* clang-format off */
    const ModelSetting all[] = {
        {{"data", "FILE", MODEL_OPTION_TEXT, &s->data, 0, 0,
          "texts with labels: TSV, CSV, JSON lines or fastText's format, also of gzip; - is the standard input (required)"},
         MODEL_SETTING_FILE, NULL, MODEL_SETTING_FOR_FILES},
        {{"input-format", "KIND", MODEL_OPTION_TEXT, &s->input_format, 0, 0,
          "tsv, csv, jsonl or fasttext (what name and content say)"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"text", "COLUMN", MODEL_OPTION_TEXT, &s->text, 0, 0,
          "column of the texts; several are separated by commas and joined (text, comment_text, content, body, sentence)"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"labels", "COLUMN", MODEL_OPTION_TEXT, &s->labels, 0, 0,
          "column of the labels (labels, label, category, class, target, tags)"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"label-columns", "LIST", MODEL_OPTION_TEXT, &s->label_columns, 0, 0,
          "a column of 0 and 1 for each label; '*': all others that hold nothing else"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"id", "COLUMN", MODEL_OPTION_TEXT, &s->id, 0, 0,
          "column that names the rows, and is no label"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"task", "KIND", MODEL_OPTION_TEXT, &s->task, 0, 0,
          "multilabel (any number of labels a text) or single (exactly one) (single where every row has exactly one)"},
         MODEL_SETTING_MODEL, "multilabel", MODEL_SETTING_FOR_ALL},
        {{"cache", "DIR", MODEL_OPTION_TEXT, &s->cache, 0, 0,
          "keep the ids of the texts in files there, or with none in memory (OUT/cache where the data are larger than half of the memory)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_FILES},
        {{"models", "LIST", MODEL_OPTION_TEXT, &s->models, 0, 0,
          "names separated by commas, all (see --list), or best: the recommended one with its own defaults (all)"},
         MODEL_SETTING_MODEL, "all", MODEL_SETTING_FOR_ALL},
        {{"epochs", "N", MODEL_OPTION_INTEGER, &s->epochs, 1, 1e6,
          "passes over the training part (50)"},
         MODEL_SETTING_LENGTH, "50", MODEL_SETTING_FOR_ALL},
        {{"batch", "N", MODEL_OPTION_INTEGER, &s->batch, 1, 1e6,
          "texts a batch (64)"},
         MODEL_SETTING_MODEL, "64", MODEL_SETTING_FOR_ALL},
        {{"shuffle-block", "N", MODEL_OPTION_INTEGER, &s->shuffle_block, 0, 1e9,
          "shuffle blocks of so many texts, and the texts of some blocks at a time: for a --cache on a slow disk (0: all texts)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_FILES},
        {{"lr", "X", MODEL_OPTION_NUMBER, &s->lr, 1e-12, 1e3,
          "learning rate (2e-3)"},
         MODEL_SETTING_MODEL, "0.002", MODEL_SETTING_FOR_ALL},
        {{"max-len", "N", MODEL_OPTION_INTEGER, &s->max_len, 3, 1e6,
          "ids a text, bos and eos included (64)"},
         MODEL_SETTING_MODEL, "64", MODEL_SETTING_FOR_ALL},
        {{"embed", "N", MODEL_OPTION_INTEGER, &s->embed, 0, 1 << 20,
          "width of the embedding (0: the model's own)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"hidden", "N", MODEL_OPTION_INTEGER, &s->hidden, 0, 1 << 20,
          "width of the state (0: the model's own)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"layers", "N", MODEL_OPTION_INTEGER, &s->layers, 0, 1000,
          "layers, of models that can have several (0: the model's own)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"seed", "N", MODEL_OPTION_SEED, &s->seed, 0, 0,
          "of first values, shuffling, dropout (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"seeds", "N", MODEL_OPTION_INTEGER, &s->seeds, 1, MODEL_RESULTS_MAX_SEEDS,
          "train each model from N seeds, --seed and on: mean and spread (1)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_FILES},
        {{"threads", "N", MODEL_OPTION_INTEGER, &s->threads, 1, 1024,
          "threads (all processors)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_ALL},
        {{"ranks", "N", MODEL_OPTION_INTEGER, &s->ranks, 1, 1024,
          "processes that train together, each with its threads; under mpirun as many as it starts (1)"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
        {{"rank-timeout", "S", MODEL_OPTION_NUMBER, &s->rank_timeout, 0, 1e6,
          "seconds that ranks wait for one that does not answer; 0: for ever (60)"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
        {{"shards", "N", MODEL_OPTION_INTEGER, &s->shards, 0, 1024,
          "parts of a batch, each for a thread; the results depend on it (2; 0: as many as threads on all ranks)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"notebook", NULL, MODEL_OPTION_FLAG, &s->notebook, 0, 0,
          "read the state after the padding and start as PyTorch does, as the homework's notebook"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_ALL},
        {{"output-bias", "KIND", MODEL_OPTION_TEXT, &s->output_bias, 0, 0,
          "log-odds (of the labels in the training part) or default (PyTorch's) (log-odds)"},
         MODEL_SETTING_MODEL, "log-odds", MODEL_SETTING_FOR_ALL},
        {{"optimizer", "KIND", MODEL_OPTION_TEXT, &s->optimizer, 0, 0,
          "adam, adamw, rmsprop, adagrad or sgd (adam)"},
         MODEL_SETTING_MODEL, "adam", MODEL_SETTING_FOR_ALL},
        {{"weight-decay", "X", MODEL_OPTION_NUMBER, &s->weight_decay, 0, 10,
          "weight decay (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"clip", "X", MODEL_OPTION_NUMBER, &s->clip, 0, 1e9,
          "clip gradients to this global norm (0: off)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"schedule", "KIND", MODEL_OPTION_TEXT, &s->schedule, 0, 0,
          "constant or cosine (constant)"},
         MODEL_SETTING_MODEL, "constant", MODEL_SETTING_FOR_ALL},
        {{"warmup", "N", MODEL_OPTION_INTEGER, &s->warmup, 0, 1e9,
          "updates over which the learning rate rises (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"valid", "X|FILE", MODEL_OPTION_PART, &s->valid, 0, 0.9,
          "part of the training texts kept for validation, or a file of others: chooses epoch and threshold (0: none)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"test", "X|FILE", MODEL_OPTION_PART, &s->test, 0, 0.9,
          "part of the texts kept for testing, or a file of others; 0: none, and no scores (0.2)"},
         MODEL_SETTING_MODEL, "0.2", MODEL_SETTING_FOR_FILES},
        {{"split", "COLUMN", MODEL_OPTION_TEXT, &s->split, 0, 0,
          "column that says train, valid or test of each row"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"group", "COLUMN", MODEL_OPTION_TEXT, &s->group, 0, 0,
          "column whose rows of one value stay in one part"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"min-label-count", "N", MODEL_OPTION_INTEGER, &s->min_label_count, 0, 1e9,
          "leave out labels of fewer training texts; the texts stay (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"refit", NULL, MODEL_OPTION_FLAG, &s->refit, 0, 0,
          "then train again on all training texts, up to that epoch and with that threshold"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_ALL},
        {{"ensemble", NULL, MODEL_OPTION_FLAG, &s->ensemble, 0, 0,
          "also all models and seeds together: the mean of their logits (needs --valid)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_FILES},
        {{"patience", "N", MODEL_OPTION_INTEGER, &s->patience, 0, 1e6,
          "end after N epochs without a better one on the validation part (0: never)"},
         MODEL_SETTING_LENGTH, "0", MODEL_SETTING_FOR_ALL},
        {{"metric", "KIND", MODEL_OPTION_TEXT, &s->metric, 0, 0,
          "what the validation part chooses epoch and thresholds by: macro-f1, micro-f1, accuracy (texts without a "
          "wrong label) or log-loss (macro-f1)"},
         MODEL_SETTING_MODEL, "macro-f1", MODEL_SETTING_FOR_ALL},
        {{"shrinkage", "X", MODEL_OPTION_NUMBER, &s->shrinkage, 0, INFINITY,
          "a threshold for each label, drawn to the common one with X examples' strength (inf: one for all)"},
         MODEL_SETTING_MODEL, "inf", MODEL_SETTING_FOR_ALL},
        {{"dropout", "X", MODEL_OPTION_NUMBER, &s->dropout, -1, 0.99,
          "of what the output layer reads (-1: the model's own)"},
         MODEL_SETTING_MODEL, "-1", MODEL_SETTING_FOR_ALL},
        {{"embed-dropout", "X", MODEL_OPTION_NUMBER, &s->embed_dropout, -1, 0.99,
          "of the embeddings (-1: the model's own)"},
         MODEL_SETTING_MODEL, "-1", MODEL_SETTING_FOR_ALL},
        {{"word-dropout", "X", MODEL_OPTION_NUMBER, &s->word_dropout, 0, 0.99,
          "words replaced by <unk> while training (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"bpe-dropout", "X", MODEL_OPTION_NUMBER, &s->bpe_dropout, 0, 1,
          "merges left out while training, drawn anew for each epoch, with --tokenizer bpe (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"embed-scale", "X", MODEL_OPTION_NUMBER, &s->embed_scale, 0, 1e3,
          "deviation of the embeddings' first values (0: the model's own, or that of --vectors)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"vectors", "FILE", MODEL_OPTION_TEXT, &s->vectors, 0, 0,
          "word vectors that the embedding begins with: word2vec's, GloVe's or fastText's file, or .npz"},
         MODEL_SETTING_FILE, NULL, MODEL_SETTING_FOR_ALL},
        {{"freeze-vectors", "N", MODEL_OPTION_INTEGER, &s->freeze_vectors, 0, 1e6,
          "epochs in which they stay as they are (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"vectors-lr", "X", MODEL_OPTION_NUMBER, &s->vectors_lr, 0, 1e3,
          "their learning rate, which follows --schedule as that of the other weights does (0: --lr)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"pretrain", "FILES", MODEL_OPTION_TEXT, &s->pretrain, 0, 0,
          "texts, one a line, commas between files: with those of the training part the model first learns their language"},
         MODEL_SETTING_FILE, NULL, MODEL_SETTING_FOR_FILES},
        {{"pretrain-epochs", "N", MODEL_OPTION_INTEGER, &s->pretrain_epochs, 1, 1e6,
          "passes over them (3)"},
         MODEL_SETTING_MODEL, "3", MODEL_SETTING_FOR_FILES},
        {{"pretrain-lr", "X", MODEL_OPTION_NUMBER, &s->pretrain_lr, 1e-12, 1e3,
          "learning rate of these passes, of Adam, led down by half a cosine (2e-3)"},
         MODEL_SETTING_MODEL, "0.002", MODEL_SETTING_FOR_FILES},
        {{"pretrain-dropout", "X", MODEL_OPTION_NUMBER, &s->pretrain_dropout, 0, 0.99,
          "of the embeddings and of the states in these passes (0)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_FILES},
        {{"layer-rate", "X", MODEL_OPTION_NUMBER, &s->layer_rate, 1e-6, 1,
          "a layer's learning rate is this times that of the layer above it; lowest is the embedding (1)"},
         MODEL_SETTING_MODEL, "1", MODEL_SETTING_FOR_ALL},
        {{"unfreeze", "N", MODEL_OPTION_INTEGER, &s->unfreeze, 0, 1e6,
          "train the output alone, and every N epochs the next layer down as well, last the embedding (0: all at once)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"forget-bias", "X", MODEL_OPTION_NUMBER, &s->forget_bias, -100, 100,
          "first value of forget gates' biases (0: the model's own)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"orthogonal", NULL, MODEL_OPTION_FLAG, &s->orthogonal, 0, 0,
          "orthogonal first values of recurrent weights"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_ALL},
        {{"loss", "KIND", MODEL_OPTION_TEXT, &s->loss, 0, 0,
          "sigmoid (each label by itself), or softmax where a text has one label (sigmoid)"},
         MODEL_SETTING_MODEL, "sigmoid", MODEL_SETTING_FOR_ALL},
        {{"pos-weight", "X", MODEL_OPTION_NUMBER, &s->pos_weight, 0, 10,
          "weight of a label's true examples: its odds against to the power X (0: 1)"},
         MODEL_SETTING_MODEL, "0", MODEL_SETTING_FOR_ALL},
        {{"stop-words", "FILE", MODEL_OPTION_TEXT, &s->stop_words, 0, 0,
          "file of words to drop, none, or default: scikit-learn's English ones but no, not (default)"},
         MODEL_SETTING_FILE, NULL, MODEL_SETTING_FOR_ALL},
        {{"label-separator", "S", MODEL_OPTION_TEXT, &s->label_separator, 0, 0,
          "what separates the labels of a row (a comma and a space)"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_FILES},
        {{"clean", "KIND", MODEL_OPTION_TEXT, &s->clean, 0, 0,
          "ascii (words of a-z) or unicode (of all letters, marks and digits) (ascii where nearly all letters are)"},
         MODEL_SETTING_MODEL, "ascii", MODEL_SETTING_FOR_ALL},
        {{"keep-digits", NULL, MODEL_OPTION_FLAG, &s->keep_digits, 0, 0,
          "words of the letters a-z and the digits 0-9"},
         MODEL_SETTING_MODEL, NULL, MODEL_SETTING_FOR_ALL},
        {{"tokenizer", "KIND|FILE", MODEL_OPTION_TEXT, &s->tokenizer, 0, 0,
          "words; bpe: byte pairs of the training part; or byte pairs that are there, in a file tokenizer.json (words)"},
         MODEL_SETTING_MODEL, "words", MODEL_SETTING_FOR_ALL},
        {{"vocab", "N", MODEL_OPTION_INTEGER, &s->vocab, 8, MODEL_BPE_MAX_TOKENS,
          "ids of bpe, special ones and letters included (8000)"},
         MODEL_SETTING_MODEL, "8000", MODEL_SETTING_FOR_ALL},
        {{"min-df", "N", MODEL_OPTION_INTEGER, &s->min_df, 1, 1e9,
          "drop words in fewer training texts (2)"},
         MODEL_SETTING_MODEL, "2", MODEL_SETTING_FOR_ALL},
        {{"max-df", "X", MODEL_OPTION_NUMBER, &s->max_df, 1e-9, 1,
          "drop words in more than this part of them (0.9)"},
         MODEL_SETTING_MODEL, "0.9", MODEL_SETTING_FOR_ALL},
        {{"char-ngrams", "MIN-MAX", MODEL_OPTION_TEXT, &s->char_ngrams, 0, 0,
          "also read pieces of so many characters of each word, such as 3-5, with a model that sees no order; none, or auto: "
          "where words are not of a-z alone (none)"},
         MODEL_SETTING_MODEL, "none", MODEL_SETTING_FOR_ALL},
        {{"ngram-min-df", "N", MODEL_OPTION_INTEGER, &s->ngram_min_df, 1, 1e9,
          "drop pieces in fewer training texts (3)"},
         MODEL_SETTING_MODEL, "3", MODEL_SETTING_FOR_ALL},
        {{"init", "FILE", MODEL_OPTION_TEXT, &s->init, 0, 0,
          "begin with the model in this .npz file: its words and labels stay, new ones are added; or with the weights in a .npz or "
          ".safetensors file"},
         MODEL_SETTING_FILE, NULL, MODEL_SETTING_FOR_ALL},
        {{"init-prefix", "TEXT", MODEL_OPTION_TEXT, &s->init_prefix, 0, 0,
          "what stands before the names in it, such as module. or _orig_mod."},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_ALL},
        {{"out", "DIR", MODEL_OPTION_TEXT, &s->out, 0, 0,
          "folder for all that is written (runs/zoo)"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
        {{"checkpoint-every", "N", MODEL_OPTION_INTEGER, &s->checkpoint_every, -1, 1e9,
          "save what --resume needs every N batches; 0: after each epoch; -1: once a minute (-1)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_FILES},
        {{"keep", "N", MODEL_OPTION_INTEGER, &s->keep, 0, 1e6,
          "also keep the weights of N last epochs (0)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_FILES},
        {{"compress", "N", MODEL_OPTION_INTEGER, &s->compress, 0, 9,
          "compression of checkpoints, 0-9 (1)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_ALL},
        {{"resume", "DIR", MODEL_OPTION_TEXT, &s->resume, 0, 0,
          "go on with the run in this folder; of its settings those may be new that leave the model as it is"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
        {{"compare", NULL, MODEL_OPTION_FLAG, &s->compare, 0, 0,
          "train nothing: put the finished runs in the folders RUN... side by side"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
        {{"check-finite", NULL, MODEL_OPTION_FLAG, &s->check_finite, 0, 0,
          "stop at the first NaN or infinity and name its op and module (slower)"},
         MODEL_SETTING_FREE, NULL, MODEL_SETTING_FOR_ALL},
        {{"quiet", NULL, MODEL_OPTION_FLAG, &s->quiet, 0, 0,
          "no progress, only the table"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
        {{"list", NULL, MODEL_OPTION_FLAG, &s->list, 0, 0,
          "list the models and exit"},
         MODEL_SETTING_COMMAND, NULL, MODEL_SETTING_FOR_FILES},
    };
    /* clang-format on */
    static_assert(sizeof all / sizeof all[0] <= MODEL_ZOO_MAX_OPTIONS, "MODEL_ZOO_MAX_OPTIONS is too small");
    memcpy(settings, all, sizeof all);
    return (int)(sizeof all / sizeof all[0]);
}

int model_zoo_options(ModelZooSettings *s, ModelOption options[MODEL_ZOO_MAX_OPTIONS])
{
    ModelSetting settings[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_settings(s, settings);
    for (int i = 0; i < count; i++)
        options[i] = settings[i].option;
    return count;
}

/* Whether --tokenizer names a file. */
static bool has_own_tokenizer(const ModelZooSettings *s)
{
    return reel_path_ends(s->tokenizer, ".json");
}

/* Whether there is, or may be, a validation part. */
static bool has_valid(const ModelZooSettings *s)
{
    return s->valid.size > 0 || s->valid.file || s->split;
}

/* Why --refit of --models best, which was not asked for, cannot be; NULL: it can. */
static const char *no_refit(const ModelZooSettings *s)
{
    return !has_valid(s) ? "--valid 0" : strcmp(s->tokenizer, "bpe") == 0 ? "--tokenizer bpe" : NULL;
}

const char *model_zoo_use_best(ModelZooSettings *s, const bool *given)
{
    ModelZooSettings best = model_zoo_best();
    ModelOption options[MODEL_ZOO_MAX_OPTIONS], others[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_options(s, options);
    const char *excluded = NULL;
    model_zoo_options(&best, others);
    for (int i = 0; i < count; i++)
        if (!given[i] || options[i].value == &s->models)
            model_options_copy(&options[i], &others[i]);
    for (int i = 0; i < count; i++)
        if (options[i].value == &s->refit && !given[i] && (excluded = no_refit(s)))
            s->refit = false;
    return excluded;
}

ReelStatus model_zoo_choose_models(const char *list, const ModelKind *kinds[MODEL_ZOO_MAX_MODELS], int *count)
{
    ReelStatus status = model_zoo_choose(list, NULL, kinds, MODEL_ZOO_MAX_MODELS, count);
    for (int i = 0; i < *count; i++)
        for (int j = 0; j < i && reel_status_is_ok(&status); j++) /* their files would have the same names */
            if (kinds[i] == kinds[j])
                status = reel_status_usage("--models: %s is named twice", kinds[i]->name);
    return status;
}

static NnOptimizerKind choose_optimizer(const char *name, ReelStatus *status)
{
    const char *names[NN_ADAGRAD + 2];
    int count = 0;
    do
        names[count] = nn_optimizer_kind_name((NnOptimizerKind)count);
    while (names[count++]);
    return (NnOptimizerKind)model_options_choose("optimizer", name, names, status);
}

ReelStatus model_zoo_run_options(const ModelZooSettings *s, ModelRunOptions *run)
{
    static const char *const biases[] = {"log-odds", "default", NULL};
    static const char *const losses[] = {
        [MODEL_LOSS_SIGMOID] = "sigmoid", [MODEL_LOSS_SOFTMAX] = "softmax", NULL};
    static const char *const metrics[] = {[MODEL_METRIC_MACRO_F1] = "macro-f1",
                                          [MODEL_METRIC_MICRO_F1] = "micro-f1",
                                          [MODEL_METRIC_ACCURACY] = "accuracy",
                                          [MODEL_METRIC_LOG_LOSS] = "log-loss",
                                          NULL};
    static const char *const schedules[] = {"constant", "cosine", NULL};
    ReelStatus status = reel_status_ok();
    *run = model_run_defaults();
    run->epochs = s->epochs;
    run->batch = s->batch;
    run->shuffle_block = s->shuffle_block;
    run->config = (ModelConfig){.embed = s->embed,
                                .hidden = s->hidden,
                                .layers = s->layers,
                                .embed_scale = s->embed_scale,
                                .forget_bias = s->forget_bias,
                                .orthogonal = s->orthogonal,
                                .embed_dropout = s->embed_dropout,
                                .dropout = s->dropout};
    run->selection = (ModelSelectionOptions){.patience = s->patience, .strength = s->shrinkage};
    run->pos_weight = s->pos_weight;
    run->trainer.word_dropout = s->word_dropout;
    run->bpe_dropout = s->bpe_dropout;
    if (s->seed > (uint64_t)(INT64_MAX - s->seeds)) /* results.json holds them as signed integers */
        return reel_status_usage("--seed %llu: the last seed must be below 2^63",
                                 (unsigned long long)s->seed);
    run->seed = s->seed;
    run->notebook = s->notebook;
    run->trainer.threads = s->threads;
    run->trainer.shards = s->shards;
    run->trainer.check_finite = s->check_finite;
    run->log_odds_bias = model_options_choose("output-bias", s->output_bias, biases, &status) == 0;
    run->loss = (ModelLossKind)model_options_choose("loss", s->loss, losses, &status);
    run->selection.metric = (ModelMetric)model_options_choose("metric", s->metric, metrics, &status);
    if (s->init_prefix && !s->init)
        return reel_status_usage("--init-prefix: is of the names in the file of --init, which is missing");
    if (s->vectors && (strcmp(s->tokenizer, "words") != 0 || s->init))
        return reel_status_usage("--vectors: holds words, which do not go with %s",
                                 s->init ? "--init" : "byte pairs");
    if ((s->freeze_vectors > 0 || s->vectors_lr > 0) && !s->vectors)
        return reel_status_usage("--%s: is of --vectors, which are missing",
                                 s->freeze_vectors > 0 ? "freeze-vectors" : "vectors-lr");
    run->freeze_vectors = s->freeze_vectors;
    run->unfreeze = s->unfreeze;
    run->trainer.embedding_rate = s->vectors_lr / s->lr;
    run->trainer.layer_rate = s->layer_rate < 1 ? s->layer_rate : 0;
    if (s->pretrain && s->init)
        return reel_status_usage("--pretrain: gives first weights, and so does --init; choose one");
    if ((s->refit || s->ensemble) && !has_valid(s))
        return reel_status_usage("--%s needs a validation part; add --valid",
                                 s->refit ? "refit" : "ensemble");
    run->trainer.optimizer = nn_optimizer_options(choose_optimizer(s->optimizer, &status));
    run->trainer.optimizer.weight_decay = s->weight_decay;
    run->trainer.optimizer.clip_norm = s->clip;
    bool constant = model_options_choose("schedule", s->schedule, schedules, &status) == 0;
    run->trainer.schedule =
        (NnSchedule){.kind = constant ? NN_CONSTANT : NN_COSINE, .lr = s->lr, .warmup = s->warmup};
    return status;
}

void model_zoo_stop_words(ModelDatasetOptions *options, const char *name)
{
    options->clean.stop_words = name && strcmp(name, "default") == 0 ? NULL : name;
}

/* What --char-ngrams asks for. "auto" steps back where ids are all the words' or byte pairs'. */
static ReelStatus ngram_options(const ModelZooSettings *s, ModelNgramOptions *ngrams)
{
    int end = 0;
    const char *asked = s->char_ngrams;
    const char *other = s->vectors                           ? "--vectors"
                        : s->init                            ? "--init"
                        : strcmp(s->tokenizer, "words") != 0 ? "--tokenizer"
                                                             : NULL;
    *ngrams = (ModelNgramOptions){.min_df = s->ngram_min_df}; /* a model to begin with may have pieces */
    if (strcmp(asked, "none") == 0 || (strcmp(asked, "auto") == 0 && other))
        return reel_status_ok();
    *ngrams = model_ngrams_defaults();
    ngrams->min_df = s->ngram_min_df;
    if (strcmp(asked, "auto") == 0)
        return reel_status_ok();
    if (other)
        return reel_status_usage(
            "--char-ngrams: are pieces of a word vocabulary's words, and do not go with %s", other);
    ngrams->unless_ascii = false;
    if (sscanf(asked, "%2d-%2d%n", &ngrams->least, &ngrams->most, &end) != 2 || asked[end] ||
        ngrams->least < 1 || ngrams->most < ngrams->least || ngrams->most > MODEL_NGRAMS_LONGEST)
        return reel_status_usage(
            "--char-ngrams %.40s: must be none, auto or MIN-MAX, such as 3-5, both from 1 to %d", asked,
            MODEL_NGRAMS_LONGEST);
    return reel_status_ok();
}

ReelStatus model_zoo_dataset_options(const ModelZooSettings *s, ModelDatasetOptions *options)
{
    static const char *const letters[] = {
        [MODEL_CLEAN_ASCII] = "ascii", [MODEL_CLEAN_UNICODE] = "unicode", NULL};
    static const char *const tasks[] = {
        [MODEL_TASK_MULTILABEL] = "multilabel", [MODEL_TASK_SINGLE] = "single", NULL};
    ReelStatus status = reel_status_ok();
    *options = model_dataset_defaults();
    options->corpus = (ModelCorpusOptions){.label_separator = s->label_separator,
                                           .columns = {.text = s->text,
                                                       .labels = s->labels,
                                                       .label_columns = s->label_columns,
                                                       .id = s->id,
                                                       .split = s->split,
                                                       .group = s->group}};
    if (s->input_format)
        status = model_format_named(s->input_format, &options->corpus.format);
    model_zoo_stop_words(options, s->stop_words);
    options->clean.letters =
        s->clean ? (ModelClean)model_options_choose("clean", s->clean, letters, &status) : MODEL_CLEAN_AUTO;
    options->clean.keep_digits = s->keep_digits;
    options->task =
        s->task ? (ModelTask)model_options_choose("task", s->task, tasks, &status) : MODEL_TASK_AUTO;
    options->vocabulary.min_df = s->min_df;
    options->vocabulary.max_df = s->max_df;
    options->max_len = s->max_len;
    options->threads = s->threads;
    options->valid_size = s->valid.file ? 0 : s->valid.size;
    options->valid_file = s->valid.file;
    if (!s->test.file)
        options->test_size = s->test.size;
    options->test_file = s->test.file;
    options->min_label_count = s->min_label_count;
    bool learned = strcmp(s->tokenizer, "bpe") == 0;
    if (!learned && !has_own_tokenizer(s) && strcmp(s->tokenizer, "words") != 0)
        return reel_status_usage("--tokenizer %.200s: must be words, bpe or a file that ends in .json",
                                 s->tokenizer);
    options->byte_pairs = learned || has_own_tokenizer(s) ? s->vocab : 0;
    if (learned && s->refit)
        return reel_status_usage("--refit: works with words only, not with byte pairs");
    if (options->byte_pairs == 0 && s->bpe_dropout > 0)
        return reel_status_usage("--bpe-dropout is for byte pairs; add --tokenizer bpe");
    options->keep_texts = s->bpe_dropout > 0;
    return reel_status_is_ok(&status) ? ngram_options(s, &options->ngrams) : status;
}

/* Reads one, and looks whether texts can be cut by it. */
static ReelStatus load_tokenizer(ModelBpeTokenizer **own, const char *path)
{
    ModelSubwords subwords = {0};
    ModelTokenizer handle;
    ReelStatus status = model_bpe_load(own, path);
    if (!reel_status_is_ok(&status))
        return status;
    status = model_subwords_copy(&subwords, *own, &handle);
    model_subwords_free(&subwords);
    return reel_status_is_ok(&status)
               ? status
               : reel_status_failed("%.200s: %.300s; learn it with --special '<pad>,<unk>,<bos>,<eos>'", path,
                                    status.message);
}

/* Why the model to begin with does not read texts as an option asks for; NULL: it does. */
static const char *contradiction(const ModelZooSettings *s, const ModelPipeline *begin, const char **option)
{
    bool pairs = begin->tokenizer.bpe != NULL, words = strcmp(s->tokenizer, "words") == 0;
    *option = "tokenizer";
    if (has_own_tokenizer(s))
        return "brings its own tokenizer";
    if (!pairs && !words)
        return "reads words";
    *option = "clean";
    if (s->clean && (strcmp(s->clean, "unicode") == 0) != begin->cleaner.unicode)
        return begin->cleaner.unicode ? "reads Unicode's letters" : "reads ASCII letters";
    return NULL;
}

ReelStatus model_zoo_begin(const ModelZooSettings *s, const ModelCheckpoint *first, const ModelKind *kind,
                           ModelRunOptions *run, ModelDatasetOptions *options)
{
    const char *option, *why = first ? contradiction(s, &first->text, &option) : NULL;
    if (!first)
        return s->refit && run->files.init
                   ? reel_status_usage(
                         "--refit: %.300s holds weights without words and labels, which fit one "
                         "vocabulary of the two; leave --refit out (--models wide for best)",
                         run->files.init)
                   : reel_status_ok();
    if (why)
        return reel_status_usage("--%s: the model in %.300s %s; leave the option out", option,
                                 run->files.init, why);
    options->begin = &first->text;
    return model_run_take_init(run, kind, first);
}

ReelStatus model_zoo_datasets(const ModelZooSettings *s, const ModelCorpus *corpus, const char *name,
                              ModelDatasetOptions options, ModelDataset **dataset, ModelDataset **choice)
{
    ModelBpeTokenizer *own = NULL;
    *dataset = *choice = NULL;
    ReelStatus status = has_own_tokenizer(s) ? load_tokenizer(&own, s->tokenizer) : reel_status_ok();
    if (own)
        options.bpe = own; /* of which the data set keeps a copy */
    if (reel_status_is_ok(&status) && s->refit)
        status = model_dataset_new(choice, corpus, name, &options);
    options.join_valid = s->refit; /* what was for the choice is trained on */
    if (reel_status_is_ok(&status))
        status = model_dataset_new(dataset, corpus, name, &options);
    model_bpe_tokenizer_free(own);
    return status;
}

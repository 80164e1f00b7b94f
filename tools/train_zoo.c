/* Trains models of the zoo on a labelled corpus and compares them. */
#include "models/checkpoint.h"
#include "models/json_writer.h"
#include "models/report.h"
#include "models/report_data.h"
#include "models/results.h"
#include "models/subwords.h"
#include "models/run.h"
#include "models/text_file.h"
#include "nn/atomic_file.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { MAX_MODELS = 64 };

/* The command line. */
typedef struct Settings {
    const char *data, *models, *out, *stop_words, *output_bias, *optimizer, *schedule, *init, *resume,
        *tokenizer;
    int epochs, batch, max_len, embed, hidden, layers, threads, shards, min_df, warmup, vocab, seeds;
    int checkpoint_every, keep, compress, patience;
    double valid, shrinkage, dropout, embed_dropout, word_dropout, embed_scale, forget_bias, pos_weight;
    bool orthogonal;
    double lr, max_df, weight_decay, clip;
    uint64_t seed;
    bool notebook, check_finite, quiet, help, list, compare;
} Settings;

static Settings defaults(void)
{
    return (Settings){.models = "all",
                      .out = "runs/zoo",
                      .seeds = 1,
                      .output_bias = "log-odds",
                      .optimizer = "adam",
                      .schedule = "constant",
                      .tokenizer = "words",
                      .vocab = 8000,
                      .epochs = 50,
                      .batch = 64,
                      .max_len = 64,
                      .threads = pool_processors(),
                      .min_df = 2,
                      .checkpoint_every = RUN_EVERY_SO_OFTEN,
                      .compress = 1,
                      .shrinkage = INFINITY,
                      .dropout = -1,
                      .embed_dropout = -1,
                      .max_df = 0.9,
                      .lr = 2e-3};
}

#define SETTINGS_OPTIONS(s)                                                                                    \
    {                                                                                                          \
        {"data", "FILE", OPTION_TEXT, &(s)->data, 0, 0, "TSV with the columns text and labels (required)"},    \
            {"models",                                                                                         \
             "LIST",                                                                                           \
             OPTION_TEXT,                                                                                      \
             &(s)->models,                                                                                     \
             0,                                                                                                \
             0,                                                                                                \
             "names separated by commas, or all (see --list)"},                                                \
            {"epochs", "N", OPTION_INTEGER, &(s)->epochs, 1, 1e6, "passes over the training part (50)"},       \
            {"batch", "N", OPTION_INTEGER, &(s)->batch, 1, 1e6, "texts a batch (64)"},                         \
            {"lr", "X", OPTION_NUMBER, &(s)->lr, 1e-12, 1e3, "learning rate (2e-3)"},                          \
            {"max-len", "N", OPTION_INTEGER, &(s)->max_len, 3, 1e6, "ids a text, bos and eos included (64)"},  \
            {"embed",                                                                                          \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->embed,                                                                                      \
             1,                                                                                                \
             1 << 20,                                                                                          \
             "width of the embedding (the model's own)"},                                                      \
            {"hidden", "N", OPTION_INTEGER, &(s)->hidden, 1, 1 << 20, "width of the state (the model's own)"}, \
            {"layers",                                                                                         \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->layers,                                                                                     \
             1,                                                                                                \
             1000,                                                                                             \
             "LSTM layers of attention and stacked (the model's own)"},                                        \
            {"seed", "N", OPTION_SEED, &(s)->seed, 0, 0, "of first values, shuffling, dropout (0)"},           \
            {"seeds",                                                                                          \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->seeds,                                                                                      \
             1,                                                                                                \
             RESULTS_MAX_SEEDS,                                                                                \
             "train each model from N seeds, --seed and on: mean and spread (1)"},                             \
            {"threads", "N", OPTION_INTEGER, &(s)->threads, 1, 1024, "threads (all processors)"},              \
            {"shards",                                                                                         \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->shards,                                                                                     \
             1,                                                                                                \
             1024,                                                                                             \
             "parts of a batch; the results depend on it, not on threads (threads)"},                          \
            {"notebook",                                                                                       \
             NULL,                                                                                             \
             OPTION_FLAG,                                                                                      \
             &(s)->notebook,                                                                                   \
             0,                                                                                                \
             0,                                                                                                \
             "read the state after the padding and start as PyTorch does, as the homework's notebook"},        \
            {"output-bias",                                                                                    \
             "KIND",                                                                                           \
             OPTION_TEXT,                                                                                      \
             &(s)->output_bias,                                                                                \
             0,                                                                                                \
             0,                                                                                                \
             "log-odds (of the labels in the training part) or default (PyTorch's)"},                          \
            {"optimizer", "KIND", OPTION_TEXT, &(s)->optimizer, 0, 0, "adam, adamw or sgd (adam)"},            \
            {"weight-decay", "X", OPTION_NUMBER, &(s)->weight_decay, 0, 10, "weight decay (0)"},               \
            {"clip", "X", OPTION_NUMBER, &(s)->clip, 0, 1e9, "clip gradients to this global norm (0: off)"},   \
            {"schedule", "KIND", OPTION_TEXT, &(s)->schedule, 0, 0, "constant or cosine (constant)"},          \
            {"warmup",                                                                                         \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->warmup,                                                                                     \
             0,                                                                                                \
             1e9,                                                                                              \
             "updates over which the learning rate rises (0)"},                                                \
            {"valid",                                                                                          \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->valid,                                                                                      \
             0,                                                                                                \
             0.9,                                                                                              \
             "part of the training texts kept for validation: chooses epoch and threshold (0: none)"},         \
            {"patience",                                                                                       \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->patience,                                                                                   \
             0,                                                                                                \
             1000000.0,                                                                                        \
             "end after N epochs without a better one on the validation part (0: never)"},                     \
            {"shrinkage",                                                                                      \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->shrinkage,                                                                                  \
             0,                                                                                                \
             INFINITY,                                                                                         \
             "a threshold for each label, drawn to the common one with X examples' strength (inf: one for "    \
             "all)"},                                                                                          \
            {"dropout",                                                                                        \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->dropout,                                                                                    \
             -1,                                                                                               \
             0.99,                                                                                             \
             "of what the output layer reads (the model's own)"},                                              \
            {"embed-dropout",                                                                                  \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->embed_dropout,                                                                              \
             -1,                                                                                               \
             0.99,                                                                                             \
             "of the embeddings (the model's own)"},                                                           \
            {"word-dropout",                                                                                   \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->word_dropout,                                                                               \
             0,                                                                                                \
             0.99,                                                                                             \
             "words replaced by <unk> while training (0)"},                                                    \
            {"embed-scale",                                                                                    \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->embed_scale,                                                                                \
             0,                                                                                                \
             1000.0,                                                                                           \
             "deviation of the embeddings' first values (0: the model's own)"},                                \
            {"forget-bias",                                                                                    \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->forget_bias,                                                                                \
             -100,                                                                                             \
             100,                                                                                              \
             "first value of forget gates' biases (0: the model's own)"},                                      \
            {"orthogonal",                                                                                     \
             NULL,                                                                                             \
             OPTION_FLAG,                                                                                      \
             &(s)->orthogonal,                                                                                 \
             0,                                                                                                \
             0,                                                                                                \
             "orthogonal first values of recurrent weights"},                                                  \
            {"pos-weight",                                                                                     \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->pos_weight,                                                                                 \
             0,                                                                                                \
             10,                                                                                               \
             "weight of a label's true examples: its odds against to the power X (0: 1)"},                     \
            {"stop-words",                                                                                     \
             "FILE",                                                                                           \
             OPTION_TEXT,                                                                                      \
             &(s)->stop_words,                                                                                 \
             0,                                                                                                \
             0,                                                                                                \
             "file of words to drop, or none (scikit-learn's English list but no, not)"},                      \
            {"tokenizer",                                                                                      \
             "KIND",                                                                                           \
             OPTION_TEXT,                                                                                      \
             &(s)->tokenizer,                                                                                  \
             0,                                                                                                \
             0,                                                                                                \
             "words, or bpe: byte pairs of the training part (words)"},                                        \
            {"vocab",                                                                                          \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->vocab,                                                                                      \
             8,                                                                                                \
             BPE_MAX_TOKENS,                                                                                   \
             "ids of bpe, special ones and letters included (8000)"},                                          \
            {"min-df", "N", OPTION_INTEGER, &(s)->min_df, 1, 1e9, "drop words in fewer training texts (2)"},   \
            {"max-df",                                                                                         \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->max_df,                                                                                     \
             1e-9,                                                                                             \
             1,                                                                                                \
             "drop words in more than this part of them (0.9)"},                                               \
            {"init", "FILE", OPTION_TEXT, &(s)->init, 0, 0, "begin with the weights of this .npz file"},       \
            {"out", "DIR", OPTION_TEXT, &(s)->out, 0, 0, "folder for all that is written (runs/zoo)"},         \
            {"checkpoint-every",                                                                               \
             "N",                                                                                              \
             OPTION_INTEGER,                                                                                   \
             &(s)->checkpoint_every,                                                                           \
             -1,                                                                                               \
             1e9,                                                                                              \
             "save what --resume needs every N batches; 0: after each epoch; -1: once a minute (-1)"},         \
            {"keep", "N", OPTION_INTEGER, &(s)->keep, 0, 1e6, "also keep the weights of N last epochs (0)"},   \
            {"compress", "N", OPTION_INTEGER, &(s)->compress, 0, 9, "compression of checkpoints, 0-9 (1)"},    \
            {"resume",                                                                                         \
             "DIR",                                                                                            \
             OPTION_TEXT,                                                                                      \
             &(s)->resume,                                                                                     \
             0,                                                                                                \
             0,                                                                                                \
             "go on with the run in this folder, with its settings"},                                          \
            {"compare",                                                                                        \
             NULL,                                                                                             \
             OPTION_FLAG,                                                                                      \
             &(s)->compare,                                                                                    \
             0,                                                                                                \
             0,                                                                                                \
             "train nothing: put the finished runs in the folders RUN... side by side"},                       \
            {"check-finite",                                                                                   \
             NULL,                                                                                             \
             OPTION_FLAG,                                                                                      \
             &(s)->check_finite,                                                                               \
             0,                                                                                                \
             0,                                                                                                \
             "stop at the first NaN or infinity and name its op and module (slower)"},                         \
            {"quiet", NULL, OPTION_FLAG, &(s)->quiet, 0, 0, "no progress, only the table"},                    \
            {"list", NULL, OPTION_FLAG, &(s)->list, 0, 0, "list the models and exit"},                         \
            {"help", NULL, OPTION_FLAG, &(s)->help, 0, 0, "this text"},                                        \
    }

/* ---- What is asked for ---- */

static Status choose_models(const char *list, const ModelKind **kinds, int *count)
{
    *count = 0;
    if (strcmp(list, "all") == 0) {
        while (*count < zoo_count()) {
            kinds[*count] = zoo_kind(*count);
            ++*count;
        }
        return status_ok();
    }
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ",");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        const ModelKind *kind = zoo_find(name);
        if (!kind)
            return status_usage("--models: there is no model '%s' (--list names them)", name);
        if (*count == MAX_MODELS)
            return status_usage("--models: more than %d models", MAX_MODELS);
        kinds[(*count)++] = kind;
        at += length + (at[length] == ',');
    }
    return *count ? status_ok() : status_usage("--models: no model is named");
}

static Status to_run_options(const Settings *s, RunOptions *run)
{
    *run = run_defaults();
    run->epochs = s->epochs;
    run->batch = s->batch;
    run->config = (ModelConfig){.embed = s->embed,
                                .hidden = s->hidden,
                                .layers = s->layers,
                                .embed_scale = s->embed_scale,
                                .forget_bias = s->forget_bias,
                                .orthogonal = s->orthogonal,
                                .embed_dropout = s->embed_dropout,
                                .dropout = s->dropout};
    run->selection = (SelectionOptions){.patience = s->patience, .strength = s->shrinkage};
    run->pos_weight = s->pos_weight;
    run->trainer.word_dropout = s->word_dropout;
    run->seed = s->seed;
    run->notebook = s->notebook;
    run->trainer.threads = s->threads;
    run->trainer.shards = s->shards ? s->shards : s->threads;
    run->trainer.check_finite = s->check_finite;
    if (strcmp(s->output_bias, "log-odds") != 0 && strcmp(s->output_bias, "default") != 0)
        return status_usage("--output-bias %s: must be log-odds or default", s->output_bias);
    run->log_odds_bias = strcmp(s->output_bias, "log-odds") == 0;
    static const char *const optimizers[] = {[NN_SGD] = "sgd", [NN_ADAM] = "adam", [NN_ADAMW] = "adamw"};
    int kind = 0;
    while (kind < 3 && strcmp(s->optimizer, optimizers[kind]) != 0)
        kind++;
    if (kind == 3)
        return status_usage("--optimizer %s: must be adam, adamw or sgd", s->optimizer);
    run->trainer.optimizer = nn_optimizer_options((NnOptimizerKind)kind);
    run->trainer.optimizer.weight_decay = s->weight_decay;
    run->trainer.optimizer.clip_norm = s->clip;
    if (strcmp(s->schedule, "constant") != 0 && strcmp(s->schedule, "cosine") != 0)
        return status_usage("--schedule %s: must be constant or cosine", s->schedule);
    run->trainer.schedule = (NnSchedule){.kind = strcmp(s->schedule, "cosine") == 0 ? NN_COSINE : NN_CONSTANT,
                                         .lr = s->lr,
                                         .warmup = s->warmup};
    return status_ok();
}

static DatasetOptions to_dataset_options(const Settings *s)
{
    DatasetOptions options = dataset_defaults();
    options.clean.stop_words = s->stop_words;
    options.vocabulary.min_df = s->min_df;
    options.vocabulary.max_df = s->max_df;
    options.max_len = s->max_len;
    options.valid_size = s->valid;
    return options;
}

/* Makes a folder and those above it. */
static Status make_folder(const char *path)
{
    char part[1024];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return status_failed("%s: the path is too long", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return status_failed("%s: cannot make the folder: %s; choose another with --out", part,
                                 strerror(errno));
        if (!slash)
            break;
        *slash = '/';
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return status_failed("%s: is not a folder; choose another with --out", path);
    if (access(path, W_OK | X_OK) != 0)
        return status_failed("%s: cannot be written: %s; choose another with --out", path, strerror(errno));
    return status_ok();
}

/* ---- While it runs ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static bool asked_to_stop(void *context)
{
    (void)context;
    return interrupted != 0;
}

static void show(void *context, const RunProgress *progress)
{
    progress_show(context, progress);
}

static void print_head(const Settings *s, const RunOptions *run, const Dataset *dataset)
{
    printf("%s: %lld rows (hash %s), %lld to train, %lld to test, %d labels, %d different ids, %.1f ids a "
           "text\n",
           s->data, (long long)(dataset->train.count + dataset->test.count), dataset->hash,
           (long long)dataset->train.count, (long long)dataset->test.count, dataset_num_classes(dataset),
           dataset->tokenizer.vocab_size,
           (double)dataset->train.offsets[dataset->train.count] / (double)dataset->train.count);
    printf("%d epochs, batches of %d, lr %g, seed %llu, %d threads, %d shards%s\n", s->epochs, s->batch,
           s->lr, (unsigned long long)s->seed, s->threads, run->trainer.shards,
           s->notebook ? ", as the notebook reads" : "");
}

static void print_table(const RunResult *results, int count, bool several_seeds)
{
    printf("\n%-16s %s%11s %8s %6s %8s %9s %9s %8s\n", "model", several_seeds ? " seed " : "", "parameters",
           "best F1*", "epoch", "last F1", "micro F1", "seconds", "peak MB");
    for (int i = 0; i < count; i++) {
        const RunResult *r = &results[i];
        const RunEpoch *last = r->count ? &r->epochs[r->count - 1] : NULL;
        printf("%-16s ", r->name);
        if (several_seeds)
            printf("%5llu ", (unsigned long long)r->seed);
        printf("%11lld %8.4f %6d %8.4f %9.4f %9.1f %8.0f%s\n", (long long)r->params, r->best_f1,
               r->best_epoch, last ? last->test_f1 : 0.0, last ? last->test_micro_f1 : 0.0, r->seconds,
               r->peak_rss_mb, r->interrupted ? "  (interrupted)" : "");
    }
    for (int i = 0; i < count; i++) {
        const Selection *chosen = &results[i].selected;
        if (chosen->epoch)
            printf("%-16s epoch %d, threshold %.3f: macro F1 %.4f on the validation part, %.4f on the test "
                   "part\n",
                   results[i].name, chosen->epoch, 1 / (1 + exp(-chosen->threshold)), chosen->valid_f1,
                   chosen->tuned_f1);
    }
    printf("* macro F1, the homework's maximum over epochs on the test part\n");
}

/* ---- The folder ---- */

/* What the folder of a run holds about it as a whole, in settings.json. */
typedef struct Folder {
    const char *data_path, *stop_words_path, *init_path; /* absolute, of what was given */
    const char *data_hash, *fingerprint;
    Arena arena;       /* of strings that were read */
    Subwords subwords; /* what --tokenizer bpe has learned */
    int lock;          /* held while the run is on; -1: none */
} Folder;

/* What in settings.json is no option. */
#define FOLDER_OPTIONS(f)                                                                                    \
    {                                                                                                        \
        {"data_path", "", OPTION_TEXT, &(f)->data_path, 0, 0, ""},                                           \
            {"stop_words_path", "", OPTION_TEXT, &(f)->stop_words_path, 0, 0, ""},                           \
            {"init_path", "", OPTION_TEXT, &(f)->init_path, 0, 0, ""},                                       \
            {"data_hash", "", OPTION_TEXT, &(f)->data_hash, 0, 0, ""},                                       \
            {"fingerprint", "", OPTION_TEXT, &(f)->fingerprint, 0, 0, ""},                                   \
    }

/* Of an option of this command, not of the run. */
static bool is_of_command(const char *name)
{
    return strcmp(name, "resume") == 0 || strcmp(name, "quiet") == 0 || strcmp(name, "help") == 0 ||
           strcmp(name, "list") == 0 || strcmp(name, "out") == 0 || strcmp(name, "compare") == 0;
}

/* Two runs in one folder would overwrite each other's files. One that was killed may still be on its way out
 * while the disk is busy, which is worth a few seconds of patience. */
static Status lock_folder(Folder *folder, const char *path)
{
    enum { TRIES = 50 };
    const struct timespec pause = {.tv_nsec = 100000000};
    folder->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; folder->lock >= 0 && flock(folder->lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            break; /* a file system that knows no locks */
        if (i == TRIES || interrupted)
            return status_failed(
                "%s: another train_zoo is at work in this folder; wait for it or choose another", path);
        nanosleep(&pause, NULL);
    }
    return status_ok();
}

static void folder_free(Folder *folder)
{
    subwords_free(&folder->subwords);
    if (folder->lock >= 0)
        close(folder->lock);
    arena_free(&folder->arena);
}

static const char *absolute(Folder *folder, const char *path)
{
    char *full = path ? realpath(path, NULL) : NULL;
    const char *copy = full ? arena_memdup(&folder->arena, full, strlen(full) + 1) : path;
    free(full);
    return copy;
}

static Status settings_path(const char *folder, char *path, size_t size)
{
    if (snprintf(path, size, "%s/settings.json", folder) >= (int)size)
        return status_failed("%.200s: the path is too long; choose a shorter one", folder);
    return status_ok();
}

/* The settings as text: what the run depends on. */
static const char *settings_text(JsonWriter *json, const Settings *s, Folder *folder)
{
    Settings copy = *s;
    const Option options[] = SETTINGS_OPTIONS(&copy), more[] = FOLDER_OPTIONS(folder);
    json_begin_object(json, NULL);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (!is_of_command(options[i].name))
            settings_write(json, &options[i]);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        settings_write(json, &more[i]);
    json_end_object(json);
    return json_finish(json);
}

/* Writes settings.json (of a new run), or checks that it says what is so (of one that goes on); either way
 * `files` gets the run's id. */
static Status settle(const Settings *s, Folder *folder, const Dataset *dataset, RunFiles *files)
{
    char path[PATH_MAX], hash[CORPUS_HASH_SIZE], fingerprint[CORPUS_HASH_SIZE];
    snprintf(hash, sizeof hash, "%s", dataset->hash);
    dataset_fingerprint(dataset, fingerprint);
    if (s->resume && strcmp(folder->data_hash, hash) != 0)
        return status_failed(
            "%s: has hash %s, and the run in %s was trained on data with hash %s; put the data "
            "back, or start a new run",
            folder->data_path, hash, s->out, folder->data_hash);
    if (s->resume && strcmp(folder->fingerprint, fingerprint) != 0)
        return status_failed("%s: gives other ids than when the run in %s began; put the file of stop words "
                             "back, or start a new run",
                             folder->data_path, s->out);
    if (!s->resume) {
        folder->data_path = absolute(folder, s->data);
        folder->stop_words_path = absolute(folder, s->stop_words);
        folder->init_path = absolute(folder, s->init);
        folder->data_hash = hash;
        folder->fingerprint = fingerprint;
    }
    JsonWriter json = {0};
    const char *text = settings_text(&json, s, folder);
    Status status = text ? settings_path(s->out, path, sizeof path) : status_no_memory(0, "the settings");
    if (status_is_ok(&status)) {
        uLong crc = crc32_z(0, (const Bytef *)text, json.size);
        snprintf(files->id, sizeof files->id, "%08lx", crc & 0xffffffff);
        if (!s->resume)
            status = atomic_file_put(path, text, json.size);
    }
    json_free(&json);
    return status;
}

/* Replaces the settings by those of the folder. */
static Status read_settings(Settings *s, Folder *folder)
{
    char path[PATH_MAX];
    char *text;
    size_t size;
    Settings given = *s, standard = defaults();
    const Option options[] = SETTINGS_OPTIONS(s), other[] = SETTINGS_OPTIONS(&standard);
    const Option more[] = FOLDER_OPTIONS(folder);
    int count = (int)(sizeof options / sizeof options[0]);
    for (int i = 0; i < count; i++)
        if ((!is_of_command(options[i].name) || strcmp(options[i].name, "out") == 0) &&
            !settings_same(&options[i], &other[i]))
            return status_usage(
                "--resume goes on with the settings in %s; leave out --%s, or start a new run", given.resume,
                options[i].name);
    Status status = settings_path(given.resume, path, sizeof path);
    if (status_is_ok(&status))
        status = text_file_read(path, &text, &size);
    if (!status_is_ok(&status))
        return status_failed("%.350s; --resume needs the folder of a run (--out)", status.message);
    status = settings_read(options, count, path, text, size, &folder->arena);
    if (status_is_ok(&status))
        status = settings_read(more, (int)(sizeof more / sizeof more[0]), path, text, size, &folder->arena);
    mem_free(text);
    if (status_is_ok(&status) &&
        (!s->data || !folder->data_path || !folder->data_hash || !folder->fingerprint))
        status = status_failed("%s: does not name the data; it is not of a run", path);
    s->out = s->resume = given.resume;
    s->quiet = given.quiet;
    return status;
}

/* ---- Beginning with given weights ---- */

static Status same_names(const char *path, const char *what, const StringTable *in_file,
                         const StringTable *in_data)
{
    if (in_file->count != in_data->count)
        return status_failed("%s: has %d %s and the data %d; begin with a model of the same data", path,
                             in_file->count, what, in_data->count);
    for (int32_t i = 0; i < in_file->count; i++)
        if (strcmp(string_table_text(in_file, i), string_table_text(in_data, i)) != 0)
            return status_failed(
                "%s: number %d of its %s is '%.80s' and in the data '%.80s'; begin with a model "
                "of the same data",
                path, i, what, string_table_text(in_file, i), string_table_text(in_data, i));
    return status_ok();
}

/* Where the file says more than weights, that must fit. Sizes are taken from it. */
static Status check_init(const char *path, const ModelKind **kinds, int count, RunOptions *run,
                         const Dataset *dataset)
{
    Npz *npz;
    Checkpoint *checkpoint = NULL;
    Status status = npz_open(&npz, path);
    if (status_is_ok(&status) && npz_find(npz, "reel/config.json"))
        status = checkpoint_load_from(&checkpoint, npz);
    npz_close(npz);
    if (!status_is_ok(&status) || !checkpoint)
        return status;
    for (int i = 0; i < count && status_is_ok(&status); i++)
        if (kinds[i] != checkpoint->model->kind)
            status =
                status_failed("%s: holds the model %s and cannot begin %s; choose --models %s", path,
                              checkpoint->model->kind->name, kinds[i]->name, checkpoint->model->kind->name);
    if (status_is_ok(&status) && checkpoint->text.notebook != run->notebook)
        status = status_failed("%s: was trained %s; %s --notebook", path,
                               run->notebook ? "to read the last word" : "as the notebook reads",
                               run->notebook ? "leave out" : "add");
    if (status_is_ok(&status) && (checkpoint->text.bpe || dataset->tokenizer.bpe))
        status = status_failed("%s: --init works with words only, not with byte pairs", path);
    if (status_is_ok(&status))
        status = same_names(path, "words", &checkpoint->vocabulary.words, &dataset->vocabulary.words);
    if (status_is_ok(&status))
        status = same_names(path, "labels", &checkpoint->labels, &dataset->classes);
    run->config = checkpoint->model->config;
    checkpoint_free(checkpoint);
    return status;
}

/* ---- Training ---- */

/* A run of several models, each from several seeds. */
typedef struct Zoo {
    const Settings *settings;
    const Dataset *dataset;
    RunOptions options;
    RunWatcher watcher;
    Progress progress;
    ReportRun report;   /* what report.json is to hold */
    RunResult *results; /* [done], the seeds of a model one after another */
    int done;
} Zoo;

/* After each model: results.json, report.json and the page made from them. */
static Status write_results(Zoo *zoo)
{
    const Settings *s = zoo->settings;
    char path[PATH_MAX];
    Results all = {.data = s->data,
                   .dataset = zoo->dataset,
                   .seed = s->seed,
                   .threads = s->threads,
                   .shards = zoo->options.trainer.shards,
                   .batch = s->batch,
                   .lr = s->lr,
                   .notebook = s->notebook,
                   .models = zoo->results,
                   .count = zoo->done};
    snprintf(path, sizeof path, "%s/results.json", s->out);
    Status status = results_write(&all, path);
    snprintf(path, sizeof path, "%s/report.json", s->out);
    if (status_is_ok(&status))
        status = report_data_write(&zoo->report, path);
    snprintf(path, sizeof path, "%s/report.html", s->out);
    return status_is_ok(&status) ? report_write(&s->out, 1, path) : status;
}

/* One model from one seed, the first of which also gives the report its details. The checkpoints of the
 * others are in folders of their own. */
static Status train_one(Zoo *zoo, const ModelKind *kind, int seed)
{
    const Settings *s = zoo->settings;
    char folder[PATH_MAX];
    RunOptions options = zoo->options;
    Model *model = NULL;
    Status status = status_ok();
    options.seed = s->seed + (uint64_t)seed;
    if (seed > 0) {
        if (snprintf(folder, sizeof folder, "%s/seed-%llu", s->out, (unsigned long long)options.seed) >=
            (int)sizeof folder)
            return status_failed("%.200s: the path is too long; choose a shorter one", s->out);
        options.files.folder = folder;
        status = make_folder(folder);
    }
    if (status_is_ok(&status))
        status = run_model(&zoo->results[zoo->done], &model, kind, zoo->dataset, &options, &zoo->watcher);
    progress_clear(&zoo->progress);
    if (!status_is_ok(&status))
        return status;
    zoo->done++;
    if (seed == 0)
        status = report_data_add(&zoo->report, model, zoo->dataset, &options);
    model_free(model);
    return status_is_ok(&status) ? write_results(zoo) : status;
}

static void print_outcome(const Zoo *zoo, bool fine)
{
    const Settings *s = zoo->settings;
    print_table(zoo->results, zoo->done, s->seeds > 1);
    if (s->seeds > 1 && fine) {
        printf("\n");
        report_print(&s->out, 1);
    }
    if (interrupted && fine)
        printf("interrupted: ended after the batch in hand; go on with: train_zoo --resume %s\n", s->out);
    printf("results: %s/results.json\nreport: %s/report.html\n", s->out, s->out);
}

static Status train_all(const Settings *s, const ModelKind **kinds, int count, const RunOptions *run,
                        const Dataset *dataset)
{
    Zoo zoo = {.settings = s, .dataset = dataset, .options = *run};
    size_t runs = (size_t)count * (size_t)s->seeds;
    zoo.results = mem_calloc(runs, sizeof *zoo.results);
    if (!zoo.results)
        return status_no_memory(runs * sizeof *zoo.results, "the results");
    progress_init(&zoo.progress, s->quiet);
    zoo.watcher = (RunWatcher){.context = &zoo.progress, .progress = show, .stop = asked_to_stop};
    zoo.options.trainer.schedule.total =
        (int64_t)s->epochs * ((dataset->train.count + s->batch - 1) / s->batch);
    Status status = report_data_begin(&zoo.report, dataset);
    for (int i = 0; i < count * s->seeds && !interrupted && status_is_ok(&status); i++)
        status = train_one(&zoo, kinds[i / s->seeds], i % s->seeds);
    if (zoo.done > 0)
        print_outcome(&zoo, status_is_ok(&status));
    for (int i = 0; i < zoo.done; i++)
        run_result_free(&zoo.results[i]);
    mem_free(zoo.results);
    report_run_free(&zoo.report);
    return status;
}

/* ---- Comparing finished runs ---- */

static Status compare(const Settings *s, const char *const *folders, int count)
{
    char path[PATH_MAX];
    if (count < 1)
        return status_usage("--compare: name the folders of the runs");
    Status status = report_print(folders, count);
    if (!status_is_ok(&status))
        return status;
    if (snprintf(path, sizeof path, "%s/report.html", s->out) >= (int)sizeof path)
        return status_failed("%.200s: the path is too long; choose a shorter one", s->out);
    status = make_folder(s->out);
    if (status_is_ok(&status))
        status = report_write(folders, count, path);
    if (status_is_ok(&status))
        printf("report: %s\n", path);
    return status;
}

/* The data, the folder, and what stands in it. */
static Status prepare(const Settings *s, Folder *folder, const ModelKind **kinds, int count, RunOptions *run,
                      Dataset **dataset)
{
    DatasetOptions options = to_dataset_options(s);
    if (s->resume)
        options.clean.stop_words = folder->stop_words_path;
    if (strcmp(s->tokenizer, "bpe") == 0) {
        folder->subwords.vocabulary = s->vocab;
        options.fit = subwords_fit;
        options.fit_context = &folder->subwords;
    } else if (strcmp(s->tokenizer, "words") != 0) {
        return status_usage("--tokenizer %s: must be words or bpe", s->tokenizer);
    }
    Status status = dataset_read(dataset, s->resume ? folder->data_path : s->data, &options);
    if (status_is_ok(&status))
        status = make_folder(s->out);
    if (status_is_ok(&status))
        status = lock_folder(folder, s->out);
    if (status_is_ok(&status))
        status = settle(s, folder, *dataset, &run->files);
    run->files.folder = s->out;
    run->files.every = s->checkpoint_every;
    run->files.keep = s->keep;
    run->files.level = s->compress;
    run->files.resume = s->resume != NULL;
    run->files.init = s->resume ? folder->init_path : s->init;
    if (status_is_ok(&status) && run->files.init)
        status = check_init(run->files.init, kinds, count, run, *dataset);
    return status;
}

static Status train_zoo(Settings *s, Folder *folder)
{
    const ModelKind *kinds[MAX_MODELS];
    int count;
    RunOptions run;
    Status status = s->resume ? read_settings(s, folder) : status_ok();
    if (status_is_ok(&status) && !s->data)
        return status_usage("--data FILE is required");
    if (status_is_ok(&status))
        status = choose_models(s->models, kinds, &count);
    if (status_is_ok(&status))
        status = to_run_options(s, &run);
    if (!status_is_ok(&status))
        return status;
    Dataset *dataset = NULL;
    status = prepare(s, folder, kinds, count, &run, &dataset);
    if (status_is_ok(&status)) {
        if (!s->quiet)
            print_head(s, &run, dataset);
        status = train_all(s, kinds, count, &run, dataset);
    }
    dataset_free(dataset);
    return status;
}

static void print_help(const Option *options, int count)
{
    printf(
        "usage: train_zoo --data FILE [options]\n"
        "       train_zoo --compare RUN... [--out DIR]\n\n"
        "Trains models of the zoo on a labelled corpus, one after another, shows their quality on the test\n"
        "part after each epoch, and compares them in DIR/report.html. With --compare, makes one such page\n"
        "(runs/compare/report.html) of several finished runs.\n\n");
    options_print(options, count);
}

int main(int argc, char **argv)
{
    Settings settings = defaults();
    const Option options[] = SETTINGS_OPTIONS(&settings);
    int count = (int)(sizeof options / sizeof options[0]);
    const char **rest = (const char **)argv; /* what is no option moves to the front */
    int rest_count = 0;
    Status status = options_parse(options, count, argc, argv, rest, &rest_count);
    if (status_is_ok(&status) && rest_count > 0 && !settings.compare)
        status = status_usage("'%.100s': an argument where an option is expected", rest[0]);
    if (!status_is_ok(&status))
        return options_report("train_zoo", &status);
    if (settings.help) {
        print_help(options, count);
        return 0;
    }
    if (settings.list) {
        for (int i = 0; i < zoo_count(); i++)
            printf("%-16s %s\n", zoo_kind(i)->name, zoo_kind(i)->description);
        return 0;
    }
    if (settings.compare) {
        if (settings.out == defaults().out) /* the same literal: --out was not given */
            settings.out = "runs/compare";
        status = compare(&settings, rest, rest_count);
        return options_report("train_zoo", &status);
    }
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    Folder folder = {.lock = -1};
    arena_init(&folder.arena, 4096);
    status = train_zoo(&settings, &folder);
    folder_free(&folder);
    return options_report("train_zoo", &status);
}

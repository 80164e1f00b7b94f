/* Trains models of the zoo on a labelled corpus and compares them. */
#include "models/results.h"
#include "models/run.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/options.h"
#include "tools/progress.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_MODELS = 64 };

/* The command line. */
typedef struct Settings {
    const char *data, *models, *out, *stop_words, *output_bias, *optimizer, *schedule;
    int epochs, batch, max_len, embed, hidden, layers, threads, shards, min_df, warmup;
    double lr, max_df, weight_decay, clip;
    uint64_t seed;
    bool notebook, check_finite, quiet, help, list;
} Settings;

static Settings defaults(void)
{
    return (Settings){.models = "all",
                      .out = "runs/zoo",
                      .output_bias = "log-odds",
                      .optimizer = "adam",
                      .schedule = "constant",
                      .epochs = 50,
                      .batch = 64,
                      .max_len = 64,
                      .threads = pool_processors(),
                      .min_df = 2,
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
            {"stop-words",                                                                                     \
             "FILE",                                                                                           \
             OPTION_TEXT,                                                                                      \
             &(s)->stop_words,                                                                                 \
             0,                                                                                                \
             0,                                                                                                \
             "file of words to drop, or none (scikit-learn's English list but no, not)"},                      \
            {"min-df", "N", OPTION_INTEGER, &(s)->min_df, 1, 1e9, "drop words in fewer training texts (2)"},   \
            {"max-df",                                                                                         \
             "X",                                                                                              \
             OPTION_NUMBER,                                                                                    \
             &(s)->max_df,                                                                                     \
             1e-9,                                                                                             \
             1,                                                                                                \
             "drop words in more than this part of them (0.9)"},                                               \
            {"out", "DIR", OPTION_TEXT, &(s)->out, 0, 0, "folder for results.json (runs/zoo)"},                \
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
    run->config = (ModelConfig){.embed = s->embed, .hidden = s->hidden, .layers = s->layers};
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
    printf("%s: %lld rows (hash %s), %lld to train, %lld to test, %d labels, %d words, %.1f ids a text\n",
           s->data, (long long)(dataset->train.count + dataset->test.count), dataset->hash,
           (long long)dataset->train.count, (long long)dataset->test.count, dataset_num_classes(dataset),
           dataset->tokenizer.vocab_size,
           (double)dataset->train.offsets[dataset->train.count] / (double)dataset->train.count);
    printf("%d epochs, batches of %d, lr %g, seed %llu, %d threads, %d shards%s\n", s->epochs, s->batch,
           s->lr, (unsigned long long)s->seed, s->threads, run->trainer.shards,
           s->notebook ? ", as the notebook reads" : "");
}

static void print_table(const RunResult *results, int count)
{
    printf("\n%-14s %11s %8s %6s %8s %9s %9s %8s\n", "model", "parameters", "best F1*", "epoch", "last F1",
           "micro F1", "seconds", "peak MB");
    for (int i = 0; i < count; i++) {
        const RunResult *r = &results[i];
        const RunEpoch *last = r->count ? &r->epochs[r->count - 1] : NULL;
        printf("%-14s %11lld %8.4f %6d %8.4f %9.4f %9.1f %8.0f%s\n", r->name, (long long)r->params,
               r->best_f1, r->best_epoch, last ? last->test_f1 : 0.0, last ? last->test_micro_f1 : 0.0,
               r->seconds, r->peak_rss_mb, r->interrupted ? "  (interrupted)" : "");
    }
    printf("* macro F1, the homework's maximum over epochs on the test part\n");
}

static Status train_all(const Settings *s, const ModelKind **kinds, int count, const RunOptions *run,
                        const Dataset *dataset)
{
    RunResult results[MAX_MODELS];
    int done = 0;
    Progress progress;
    progress_init(&progress, s->quiet);
    RunWatcher watcher = {.context = &progress, .progress = show, .stop = asked_to_stop};
    char path[1100];
    snprintf(path, sizeof path, "%s/results.json", s->out);
    Status status = status_ok();
    RunOptions options = *run;
    options.trainer.schedule.total = (int64_t)s->epochs * ((dataset->train.count + s->batch - 1) / s->batch);
    while (done < count && !interrupted && status_is_ok(&status)) {
        status = run_model(&results[done], NULL, kinds[done], dataset, &options, &watcher);
        progress_clear(&progress);
        if (!status_is_ok(&status))
            break;
        done++;
        Results all = {.data = s->data,
                       .dataset = dataset,
                       .seed = s->seed,
                       .threads = s->threads,
                       .shards = options.trainer.shards,
                       .batch = s->batch,
                       .lr = s->lr,
                       .notebook = s->notebook,
                       .models = results,
                       .count = done};
        status = results_write(&all, path);
    }
    if (done > 0)
        print_table(results, done);
    if (interrupted)
        printf("interrupted: ended after the batch in hand; what there is has been written\n");
    if (done > 0)
        printf("results: %s\n", path);
    for (int i = 0; i < done; i++)
        run_result_free(&results[i]);
    return status;
}

static Status train_zoo(const Settings *s)
{
    const ModelKind *kinds[MAX_MODELS];
    int count;
    RunOptions run;
    if (!s->data)
        return status_usage("--data FILE is required");
    Status status = choose_models(s->models, kinds, &count);
    if (status_is_ok(&status))
        status = to_run_options(s, &run);
    if (!status_is_ok(&status))
        return status;
    DatasetOptions dataset_options = to_dataset_options(s);
    Dataset *dataset = NULL;
    status = dataset_read(&dataset, s->data, &dataset_options);
    if (!status_is_ok(&status))
        return status;
    status = make_folder(s->out);
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
        "usage: train_zoo --data FILE [options]\n\n"
        "Trains models of the zoo on a labelled corpus, one after another, shows their quality on the test\n"
        "part after each epoch, and compares them.\n\n");
    options_print(options, count);
}

int main(int argc, char **argv)
{
    Settings settings = defaults();
    const Option options[] = SETTINGS_OPTIONS(&settings);
    int count = (int)(sizeof options / sizeof options[0]);
    Status status = options_parse(options, count, argc, argv, NULL, NULL);
    if (!status_is_ok(&status))
        return options_report("train_zoo", &status);
    if (settings.help) {
        print_help(options, count);
        return 0;
    }
    if (settings.list) {
        for (int i = 0; i < zoo_count(); i++)
            printf("%-14s %s\n", zoo_kind(i)->name, zoo_kind(i)->description);
        return 0;
    }
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = train_zoo(&settings);
    return options_report("train_zoo", &status);
}

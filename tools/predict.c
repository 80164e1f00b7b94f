/* Predicts the labels of texts with a saved model. */
#include "tools/predict.h"

#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/line_stream.h"
#include "tools/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)LINE_STREAM_LINES <= (int)PREDICT_TEXTS, "a window is predicted in one go");

#define SETTINGS_OPTIONS(s)                                                                                   \
    {                                                                                                         \
        {"top", "K", OPTION_INTEGER, &(s)->top, 1, 1e9, "the K most probable labels, whatever they reach"},   \
            {"threshold", "X", OPTION_NUMBER, &(s)->threshold, 0, 1, "labels above X (the model's, or 0.5)"}, \
            {"json", NULL, OPTION_FLAG, &(s)->json, 0, 0, "an object of JSON for each text"},                 \
            {"attention", NULL, OPTION_FLAG, &(s)->attention, 0, 0, "show the weight of each word"},          \
            {"eval",                                                                                          \
             "FILE",                                                                                          \
             OPTION_TEXT,                                                                                     \
             &(s)->eval,                                                                                      \
             0,                                                                                               \
             0,                                                                                               \
             "print the quality on a TSV with the columns text and labels"},                                  \
            {"threads", "N", OPTION_INTEGER, &(s)->threads, 1, 1024, "threads (all processors)"},             \
            {"quiet",                                                                                         \
             NULL,                                                                                            \
             OPTION_FLAG,                                                                                     \
             &(s)->quiet,                                                                                     \
             0,                                                                                               \
             0,                                                                                               \
             "neither speed nor warnings on the standard error"},                                             \
            {"help", NULL, OPTION_FLAG, &(s)->help, 0, 0, "this text"},                                       \
    }

static Status predict_file(PredictRun *run, const char *path)
{
    LineStream stream;
    Status status = line_stream_open(&stream, path);
    if (status_is_ok(&status))
        status = line_stream_next(&stream);
    while (status_is_ok(&status) && stream.count > 0) {
        status = predict_texts(run, stream.lines, stream.count);
        if (status_is_ok(&status))
            status = line_stream_next(&stream);
    }
    line_stream_close(&stream);
    return status;
}

/* The logit above which a label is predicted: of several models' thresholds the mean. */
static float limit_of(const PredictRun *run, int32_t k)
{
    double threshold = 0;
    for (int i = 0; i < run->models; i++) {
        const float *own = run->checkpoints[i]->text.thresholds;
        threshold += (own ? (double)own[k] : 0.5) / run->models;
    }
    if (!isnan(run->settings->threshold))
        threshold = run->settings->threshold;
    return (float)log(threshold / (1 - threshold));
}

static Status prepare(PredictRun *run)
{
    const Checkpoint *checkpoint = run->checkpoint;
    if (run->settings->attention && !checkpoint->model->kind->has_attention)
        return status_usage("--attention: the model %s has none", checkpoint->model->kind->name);
    size_t k = (size_t)(run->labels = checkpoint->labels.count);
    run->limits = mem_alloc(k * sizeof *run->limits);
    run->ranking = mem_alloc(k * sizeof *run->ranking);
    run->logits = mem_alloc(PREDICT_TEXTS * k * sizeof *run->logits);
    if (!run->limits || !run->ranking || !run->logits)
        return status_no_memory(PREDICT_TEXTS * k * sizeof *run->logits, "the predictions");
    for (int32_t i = 0; i < run->labels; i++)
        run->limits[i] = limit_of(run, i);
    run->colour = !run->settings->json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    run->shows = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
    run->began = clock_seconds();
    if (run->models > 1 && !(run->mean = mem_alloc(PREDICT_TEXTS * k * sizeof *run->mean)))
        return status_no_memory(PREDICT_TEXTS * k * sizeof *run->mean, "the predictions");
    Status status = status_ok();
    for (int i = 0; i < run->models && status_is_ok(&status); i++)
        status = predictor_new(&run->predictors[i], run->checkpoints[i], run->settings->threads);
    run->predictor = run->predictors[0];
    return status;
}

/* Says on the standard error which members of the file Reel does not know. */
static void report_unknown(const char *path, const NnSnapshot *unknown)
{
    enum { SHOWN = 8 };
    const char *name = nn_snapshot_name(unknown, 0);
    if (!name)
        return;
    fprintf(stderr, "predict: %s: passed over, since this Reel does not know them: ", path);
    for (int i = 0; i < SHOWN && name; name = nn_snapshot_name(unknown, ++i))
        fprintf(stderr, "%s%s", i ? ", " : "", name);
    fputs(name ? ", ...\n" : "\n", stderr);
}

/* Models can be asked together where they name the same labels. */
static Status same_labels(const StringTable *a, const StringTable *b, const char *path)
{
    bool same = a->count == b->count;
    for (int32_t k = 0; same && k < a->count; k++)
        same = strcmp(string_table_text(a, k), string_table_text(b, k)) == 0;
    return same
               ? status_ok()
               : status_failed(
                     "%s: has other labels than the first model; ask models of the same data together", path);
}

static Status load_models(PredictRun *run, const char *const *paths, int count)
{
    Status status = status_ok();
    for (int i = 0; i < count && status_is_ok(&status); i++) {
        status = checkpoint_load(&run->checkpoints[i], paths[i]);
        if (!status_is_ok(&status))
            break;
        run->models = i + 1;
        if (!run->settings->quiet)
            report_unknown(paths[i], &run->checkpoints[i]->unknown);
        if (i > 0)
            status = same_labels(&run->checkpoints[0]->labels, &run->checkpoints[i]->labels, paths[i]);
    }
    run->checkpoint = run->checkpoints[0];
    return status;
}

static Status predict(const PredictSettings *settings, const char *const *models, int count,
                      const char *input)
{
    PredictRun run = {.settings = settings};
    Status status = load_models(&run, models, count);
    if (status_is_ok(&status))
        status = prepare(&run);
    if (status_is_ok(&status))
        status = settings->eval ? predict_evaluate(&run) : predict_file(&run, input);
    if (status_is_ok(&status))
        predict_show_speed(&run, true);
    for (int i = 0; i < run.models; i++) {
        predictor_free(run.predictors[i]);
        checkpoint_free(run.checkpoints[i]);
    }
    mem_free(run.mean);
    mem_free(run.limits);
    mem_free(run.ranking);
    mem_free(run.logits);
    return status;
}

static void print_help(const Option *options, int count)
{
    printf(
        "usage: predict MODEL.npz... [FILE|-] [options]\n\n"
        "Reads one text a line and writes a line for each: labels and their probabilities, separated by "
        "tabs,\n"
        "the most probable first. Several models answer together, by the mean of their probabilities and of\n"
        "their thresholds. With --attention a column of the words and their weights comes first.\n\n");
    options_print(options, count);
}

/* The first argument is a model, and so are those behind it that are called so. */
static int count_models(const char *const *arguments, int count)
{
    int models = count > 0;
    for (; models < count; models++) {
        size_t length = strlen(arguments[models]);
        if (length < 4 || strcmp(arguments[models] + length - 4, ".npz") != 0)
            break;
    }
    return models;
}

int main(int argc, char **argv)
{
    PredictSettings settings = {.threads = pool_processors(), .threshold = NAN};
    const Option options[] = SETTINGS_OPTIONS(&settings);
    int count = (int)(sizeof options / sizeof options[0]), given = 0;
    const char **rest = mem_alloc((size_t)argc * sizeof *rest);
    Status status =
        rest ? options_parse(options, count, argc, argv, rest, &given) : status_no_memory(0, "predict");
    if (status_is_ok(&status) && settings.help)
        print_help(options, count);
    else if (status_is_ok(&status) && given < 1)
        status = status_usage("a model is required");
    int models = count_models(rest, given);
    if (status_is_ok(&status) && !settings.help) {
        if (given > models + 1 || (given > models && settings.eval))
            status = status_usage("'%s': one argument too many", rest[given - 1]);
        else if (models > PREDICT_MOST_MODELS)
            status = status_usage("%d models are more than %d", models, PREDICT_MOST_MODELS);
        else
            status = predict(&settings, rest, models, given > models ? rest[models] : "-");
    }
    mem_free(rest);
    return options_report("predict", &status);
}

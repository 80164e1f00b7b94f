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

/* The logit above which a label is predicted. */
static float limit_of(const PredictRun *run, int32_t k)
{
    const float *own = run->checkpoint->text.thresholds;
    double threshold = !isnan(run->settings->threshold) ? run->settings->threshold
                       : own                            ? (double)own[k]
                                                        : 0.5;
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
    return predictor_new(&run->predictor, checkpoint, run->settings->threads);
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

static Status predict(const PredictSettings *settings, const char *model, const char *input)
{
    Checkpoint *checkpoint;
    Status status = checkpoint_load(&checkpoint, model);
    if (!status_is_ok(&status))
        return status;
    if (!settings->quiet)
        report_unknown(model, &checkpoint->unknown);
    PredictRun run = {.settings = settings, .checkpoint = checkpoint};
    status = prepare(&run);
    if (status_is_ok(&status))
        status = settings->eval ? predict_evaluate(&run) : predict_file(&run, input);
    if (status_is_ok(&status))
        predict_show_speed(&run, true);
    predictor_free(run.predictor);
    mem_free(run.limits);
    mem_free(run.ranking);
    mem_free(run.logits);
    checkpoint_free(checkpoint);
    return status;
}

static void print_help(const Option *options, int count)
{
    printf(
        "usage: predict MODEL.npz [FILE|-] [options]\n\n"
        "Reads one text a line and writes a line for each: labels and their probabilities, separated by "
        "tabs,\n"
        "the most probable first. With --attention a column of the words and their weights comes first.\n\n");
    options_print(options, count);
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
    else if (status_is_ok(&status) && (given > 2 || (given == 2 && settings.eval)))
        status = status_usage("'%s': one argument too many", rest[given - 1]);
    else if (status_is_ok(&status))
        status = predict(&settings, rest[0], given > 1 ? rest[1] : "-");
    mem_free(rest);
    return options_report("predict", &status);
}

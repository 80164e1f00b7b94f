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

/* clang-format off */
#define SETTINGS_OPTIONS(s) {                                                                                 \
    {"top", "K", OPTION_INTEGER, &(s)->top, 1, 1e9, "the K most probable labels, whatever they reach"},       \
    {"threshold", "X", OPTION_NUMBER, &(s)->threshold, 0, 1, "labels above X (the model's, or 0.5)"},         \
    {"json", NULL, OPTION_FLAG, &(s)->json, 0, 0, "an object of JSON for each text"},                         \
    {"attention", NULL, OPTION_FLAG, &(s)->attention, 0, 0, "show the weight of each word"},                  \
    {"eval", "FILE", OPTION_TEXT, &(s)->eval, 0, 0,                                                           \
     "print the quality on a TSV with the columns text and labels"},                                          \
    {"label-separator", "S", OPTION_TEXT, &(s)->label_separator, 0, 0,                                        \
     "what separates the labels of a row of --eval (as the model was trained)"},                              \
    {"export", "FILE", OPTION_TEXT, &(s)->export_path, 0, 0,                                                  \
     "predict nothing: write the weights to FILE.safetensors or FILE.npz"},                                   \
    {"threads", "N", OPTION_INTEGER, &(s)->threads, 1, 1024, "threads (all processors)"},                     \
    {"quiet", NULL, OPTION_FLAG, &(s)->quiet, 0, 0, "neither speed nor warnings on the standard error"},      \
}
/* clang-format on */

static Status predict_file(PredictRun *run, const char *path)
{
    LineStream stream;
    Status status = line_stream_open(&stream, path);
    if (status_is_ok(&status))
        status = line_stream_next(&stream);
    while (status_is_ok(&status) && stream.count > 0) {
        predict_look_at_lines(run, stream.lines, stream.count);
        status = predict_texts(run, stream.lines, stream.count);
        if (status_is_ok(&status))
            status = line_stream_next(&stream);
    }
    line_stream_close(&stream);
    return status;
}

static Status prepare(PredictRun *run)
{
    const Checkpoint *checkpoint = run->checkpoint;
    if (run->settings->attention && !checkpoint->model->kind->has_attention)
        return status_usage("--attention: the model %s has none", checkpoint->model->kind->name);
    const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    size_t k = (size_t)(run->labels = checkpoint->text.labels.count);
    run->limits = mem_alloc(k * sizeof *run->limits);
    run->ranking = mem_alloc(k * sizeof *run->ranking);
    run->logits = mem_alloc(PREDICT_TEXTS * k * sizeof *run->logits);
    if (!run->limits || !run->ranking || !run->logits)
        return status_no_memory(PREDICT_TEXTS * k * sizeof *run->logits, "the predictions");
    for (int32_t i = 0; i < run->labels; i++) {
        double threshold = predict_threshold(run, i);
        run->limits[i] = (float)log(threshold / (1 - threshold));
    }
    run->colour = !run->settings->json && isatty(STDOUT_FILENO) && !(no_colour && no_colour[0]) &&
                  !(terminal && strcmp(terminal, "dumb") == 0);
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

static Status predict(const PredictSettings *settings, const char *const *models, int count,
                      const char *input)
{
    PredictRun run = {.settings = settings};
    Status status = predict_load_models(&run, models, count);
    if (status_is_ok(&status))
        status = prepare(&run);
    if (status_is_ok(&status))
        status = settings->eval ? predict_evaluate(&run) : predict_file(&run, input);
    if (status_is_ok(&status)) {
        predict_show_speed(&run, true);
        predict_warn(&run, settings->eval            ? settings->eval
                           : strcmp(input, "-") == 0 ? "the standard input"
                                                     : input);
    } else if (run.shown > 0)
        fputc('\n', stderr); /* the message gets a line of its own */
    predict_free_models(&run);
    mem_free(run.mean);
    mem_free(run.limits);
    mem_free(run.ranking);
    mem_free(run.logits);
    return status;
}

static void print_help(const Option *options, int count)
{
    printf("usage: predict MODEL.npz... [FILE|-] [options]\n\n"
           "Reads one text a line and writes a line for each: labels and their probabilities, separated by "
           "tabs,\n"
           "the most probable first. Several models answer together, by the mean of their log-odds and of\n"
           "their thresholds'. With --attention a column of the words and their weights comes first.\n\n");
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
    if (options_ask_help(argc, argv)) {
        print_help(options, count);
        Status fine = status_ok();
        return options_report("predict", &fine);
    }
    const char **rest = mem_alloc((size_t)argc * sizeof *rest);
    Status status =
        rest ? options_parse(options, count, argc, argv, rest, &given, NULL) : status_no_memory(0, "predict");
    if (status_is_ok(&status) && given < 1)
        status = status_usage("a model is required");
    int models = count_models(rest, given);
    if (status_is_ok(&status)) {
        if (given > models + 1 || (given > models && settings.eval))
            status = status_usage("'%s': one argument too many", rest[given - 1]);
        else if (settings.eval && (settings.top || settings.attention))
            status = status_usage("--eval counts what is above the thresholds; leave out --%s",
                                  settings.top ? "top" : "attention");
        else if (settings.export_path && (given > 1 || settings.eval))
            status = status_usage("--export writes the weights of one model, and reads no texts");
        else if (settings.label_separator && !settings.eval)
            status = status_usage("--label-separator is for the labels of --eval");
        else if (models > PREDICT_MODELS)
            status = status_usage("%d models are more than %d", models, PREDICT_MODELS);
        else if (settings.export_path)
            status = predict_export(rest[0], settings.export_path);
        else
            status = predict(&settings, rest, models, given > models ? rest[models] : "-");
    }
    mem_free(rest);
    return options_report("predict", &status);
}

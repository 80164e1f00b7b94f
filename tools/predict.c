/* Predicts the labels of texts with a saved model. */
#include "tools/predict.h"

#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/line_stream.h"
#include "tools/program.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)LINE_STREAM_LINES <= (int)PREDICT_TEXTS, "a window is predicted in one go");

/* The names of the columns that are passed through; the stream keeps them. */
static ReelStatus name_passed(PredictRun *run, const LineStream *stream)
{
    run->passed = stream->passed;
    run->num_passed = stream->num_passed;
    if (stream->num_passed == 0)
        return reel_status_ok();
    size_t bytes = (size_t)stream->num_passed * sizeof *run->passed_names;
    run->passed_names = reel_mem_alloc(bytes);
    for (int i = 0; run->passed_names && i < stream->num_passed; i++)
        run->passed_names[i] = model_records_column(&stream->records, stream->passed_columns[i]);
    return run->passed_names ? reel_status_ok() : reel_status_no_memory(bytes, "the columns");
}

static ReelStatus predict_file(PredictRun *run, const char *path)
{
    LineStream stream;
    ReelStatus status = line_stream_open(&stream, path);
    if (reel_status_is_ok(&status))
        status = line_stream_expect(&stream, run->settings->input_format, &run->settings->columns);
    if (reel_status_is_ok(&status))
        status = line_stream_next(&stream);
    if (reel_status_is_ok(&status))
        status = name_passed(run, &stream);
    if (reel_status_is_ok(&status) && !run->settings->embeddings)
        predict_header(run);
    while (reel_status_is_ok(&status) && stream.count > 0) {
        predict_look_at_lines(run, stream.lines, stream.count, stream.is_table);
        status = run->settings->embeddings ? predict_vectors(run, stream.lines, stream.count)
                                           : predict_texts(run, stream.lines, stream.count);
        if (reel_status_is_ok(&status))
            status = line_stream_next(&stream);
    }
    reel_mem_free(run->passed_names);
    line_stream_close(&stream);
    return status;
}

static ReelStatus prepare(PredictRun *run)
{
    const ModelCheckpoint *checkpoint = run->checkpoint;
    if (run->settings->attention && !checkpoint->model->kind->has_attention)
        return reel_status_usage("--attention: the model %s has none", checkpoint->model->kind->name);
    size_t k = (size_t)(run->labels = checkpoint->text.labels.count);
    run->limits = reel_mem_alloc(k * sizeof *run->limits);
    run->scores = reel_mem_alloc(k * sizeof *run->scores);
    run->probabilities = reel_mem_alloc(k * sizeof *run->probabilities);
    run->ranking = reel_mem_alloc(k * sizeof *run->ranking);
    run->logits = reel_mem_alloc(PREDICT_TEXTS * k * sizeof *run->logits);
    if (!run->limits || !run->ranking || !run->logits || !run->scores || !run->probabilities)
        return reel_status_no_memory(PREDICT_TEXTS * k * sizeof *run->logits, "the predictions");
    for (int32_t i = 0; i < run->labels; i++)
        run->limits[i] = predict_threshold(run, i);
    run->colour = run->settings->format == PREDICT_TSV && meter_has_colours(STDOUT_FILENO);
    run->meter = meter_start();
    run->meter.shown &= !run->settings->quiet && !isatty(STDOUT_FILENO);
    if (run->models > 1 && !(run->mean = reel_mem_alloc(PREDICT_TEXTS * k * sizeof *run->mean)))
        return reel_status_no_memory(PREDICT_TEXTS * k * sizeof *run->mean, "the predictions");
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < run->models && reel_status_is_ok(&status); i++)
        status = model_predictor_new(&run->predictors[i], run->checkpoints[i], run->settings->threads);
    run->predictor = run->predictors[0];
    return status;
}

static ReelStatus write_vectors(PredictRun *run, const char *input)
{
    ReelStatus status = predict_open_vectors(run);
    if (reel_status_is_ok(&status)) {
        status = predict_file(run, input);
        if (reel_status_is_ok(&status))
            status = predict_close_vectors(run);
        reel_atomic_file_abandon(&run->vectors_file);
    }
    reel_mem_free(run->vectors);
    return status;
}

static ReelStatus predict(const PredictSettings *settings, const char *const *models, int count,
                          const char *input)
{
    PredictRun run = {.settings = settings};
    ReelStatus status = predict_load_models(&run, models, count);
    if (reel_status_is_ok(&status))
        status = prepare(&run);
    if (reel_status_is_ok(&status))
        status = settings->embeddings ? write_vectors(&run, input)
                 : settings->eval     ? predict_evaluate(&run)
                                      : predict_file(&run, input);
    if (reel_status_is_ok(&status)) {
        predict_show_speed(&run);
        predict_warn(&run, settings->eval            ? settings->eval
                           : strcmp(input, "-") == 0 ? "the standard input"
                                                     : input);
    }
    meter_clear(&run.meter);
    predict_free_models(&run);
    reel_mem_free(run.mean);
    reel_mem_free(run.limits);
    reel_mem_free(run.scores);
    reel_mem_free(run.probabilities);
    reel_mem_free(run.ranking);
    reel_mem_free(run.logits);
    return status;
}

/* The first argument is a model, and so are those behind it that are called so. */
static int count_models(const char *const *arguments, int count)
{
    int models = count > 0;
    while (models < count && reel_path_ends(arguments[models], ".npz"))
        models++;
    return models;
}

/* What the output is to be. */
static ReelStatus check_output(PredictSettings *s, int models)
{
    static const char *const names[] = {"tsv", "csv", "jsonl", NULL};
    ReelStatus status = reel_status_ok();
    s->format = s->output_format
                    ? (PredictFormat)model_options_choose("output-format", s->output_format, names, &status)
                : s->json ? PREDICT_JSONL
                          : PREDICT_TSV;
    if (!reel_status_is_ok(&status))
        return status;
    if (s->json && s->format != PREDICT_JSONL)
        return reel_status_usage("--json is --output-format jsonl; leave one of the two out");
    s->json = s->format == PREDICT_JSONL;
    if (s->all && s->top)
        return reel_status_usage("--all tells of all labels; leave out --top");
    if (s->all && !s->json && !isnan(s->threshold))
        return reel_status_usage("--all tells of all labels; leave out --threshold");
    if (s->attention && (s->format == PREDICT_CSV || (s->all && !s->json)))
        return reel_status_usage("--attention has no column here; leave out --%s",
                                 s->all ? "all" : "output-format csv");
    if (s->eval && (s->all || s->format == PREDICT_CSV))
        return reel_status_usage("--eval prints a table, or JSON; leave out --%s",
                                 s->all ? "all" : "output-format csv");
    if (s->embeddings &&
        (s->all || s->top || s->attention || s->output_format || s->json || !isnan(s->threshold)))
        return reel_status_usage("--embeddings writes vectors and no labels; leave out what is about those");
    if (s->embeddings && (s->eval || s->info || s->export_path || models > 1))
        return reel_status_usage("--embeddings writes the vectors of texts by one model, and nothing else");
    return reel_status_ok();
}

static ReelStatus check(const PredictSettings *s, const char *const *rest, int given, int models)
{
    if (given < 1)
        return reel_status_usage("a model is required");
    if (given > models + 1 || (given > models && s->eval))
        return reel_status_usage("'%s': one argument too many", rest[given - 1]);
    if (s->eval && (s->top || s->attention))
        return reel_status_usage("--eval counts what is above the thresholds; leave out --%s",
                                 s->top ? "top" : "attention");
    if (s->info && (given > 1 || s->eval || s->export_path))
        return reel_status_usage("--info tells of one model, and reads no texts");
    if (s->export_path && (given > 1 || s->eval))
        return reel_status_usage("--export writes one model, and reads no texts");
    if (s->quantize && !s->export_path)
        return reel_status_usage("--quantize is for the file of --export");
    if (s->label_separator && !s->eval)
        return reel_status_usage("--label-separator is for the labels of --eval");
    ModelFormat format;
    if (s->input_format && strcmp(s->input_format, "lines") != 0) {
        ReelStatus status = model_format_named(s->input_format, &format);
        if (!reel_status_is_ok(&status))
            return status;
    }
    if ((s->columns.labels || s->columns.label_columns) && !s->eval)
        return reel_status_usage("--labels and --label-columns are for the labels of --eval");
    if (models > PREDICT_MODELS)
        return reel_status_usage("%d models are more than %d", models, PREDICT_MODELS);
    return reel_status_ok();
}

int main(int argc, char **argv)
{
    PredictSettings s = {.threads = tensor_pool_processors(), .threshold = NAN};
    const ModelOption options[] = {
        {"top", "K", MODEL_OPTION_INTEGER, &s.top, 1, 1e9, "the K most probable labels, whatever they reach"},
        {"threshold", "X", MODEL_OPTION_NUMBER, &s.threshold, 0, 1,
         "labels above X (the model's, or 0.5; of one label a text the most probable)"},
        {"output-format", "KIND", MODEL_OPTION_TEXT, &s.output_format, 0, 0,
         "tsv; csv, with a header, labels and probabilities a column each; or jsonl, an object for each text "
         "(tsv)"},
        {"json", NULL, MODEL_OPTION_FLAG, &s.json, 0, 0, "the same as --output-format jsonl"},
        {"all", NULL, MODEL_OPTION_FLAG, &s.all, 0, 0,
         "the probability of each label, a column each, with a header"},
        {"embeddings", "FILE", MODEL_OPTION_TEXT, &s.embeddings, 0, 0,
         "print nothing: write the vectors that the last layer reads to FILE, an array .npy"},
        {"attention", NULL, MODEL_OPTION_FLAG, &s.attention, 0, 0, "show the weight of each word"},
        {"eval", "FILE", MODEL_OPTION_TEXT, &s.eval, 0, 0,
         "print the quality on texts with labels, in a file as train_zoo reads it"},
        {"input-format", "KIND", MODEL_OPTION_TEXT, &s.input_format, 0, 0,
         "lines, tsv, csv, jsonl or fasttext (what name and content say)"},
        {"text", "COLUMN", MODEL_OPTION_TEXT, &s.columns.text, 0, 0,
         "column of the texts; several are separated by commas and joined"},
        {"labels", "COLUMN", MODEL_OPTION_TEXT, &s.columns.labels, 0, 0, "column of the labels of --eval"},
        {"label-columns", "LIST", MODEL_OPTION_TEXT, &s.columns.label_columns, 0, 0,
         "a column of 0 and 1 for each label of --eval; '*': all others that hold nothing else"},
        {"id", "COLUMN", MODEL_OPTION_TEXT, &s.columns.id, 0, 0,
         "the one column that is passed through (all but text and labels)"},
        {"label-separator", "S", MODEL_OPTION_TEXT, &s.label_separator, 0, 0,
         "what separates the labels of a row of --eval (as the model was trained)"},
        {"info", NULL, MODEL_OPTION_FLAG, &s.info, 0, 0,
         "predict nothing: say what the file holds (model, labels, thresholds, quality, settings)"},
        {"export", "FILE", MODEL_OPTION_TEXT, &s.export_path, 0, 0,
         "predict nothing: write FILE.npz, the model as it is loaded fastest, or FILE.safetensors, its "
         "weights "
         "alone"},
        {"quantize", NULL, MODEL_OPTION_FLAG, &s.quantize, 0, 0,
         "matrices of FILE.npz are of 8 bits: a quarter of the size"},
        {"threads", "N", MODEL_OPTION_INTEGER, &s.threads, 1, 1024, "threads (all processors)"},
        {"quiet", NULL, MODEL_OPTION_FLAG, &s.quiet, 0, 0,
         "neither speed nor warnings on the standard error"},
    };
    const Program program = {
        .name = "reel-predict",
        .summary = "predict the labels of texts with a saved model",
        .synopsis = "MODEL.npz... [FILE|-] [options]",
        .description = "Reads one text a line, or a table as train_zoo does, and writes a line for each: the "
                       "other columns, "
                       "then labels and their probabilities, separated by tabs, the most probable first. "
                       "Several models answer together, by the mean of their log-odds and of their "
                       "thresholds'. With --attention a column of the words and their weights comes first.",
        .options = options,
        .count = OPTION_COUNT(options),
    };
    int given = 0;
    const char **rest = reel_mem_alloc((size_t)argc * sizeof *rest);
    ReelStatus status = reel_status_no_memory(0, "the arguments");
    bool runs = rest && program_reads(&program, argc, argv, rest, &given, &status);
    int models = runs ? count_models(rest, given) : 0;
    if (runs)
        status = check(&s, rest, given, models);
    if (runs && reel_status_is_ok(&status))
        status = check_output(&s, models);
    if (runs && reel_status_is_ok(&status))
        status = s.info          ? predict_info(rest[0], s.json)
                 : s.export_path ? predict_export(rest[0], s.export_path, s.quantize)
                                 : predict(&s, rest, models, given > models ? rest[models] : "-");
    reel_mem_free(rest);
    return program_report(&status);
}

/* tools/predict: one text's line, and on the standard error how fast it goes. */
#include "tensor/bytes.h"
#include "tensor/storage/json_writer.h"
#include "tools/predict.h"
#include "tools/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stable order is wanted, so equal probabilities go by number. qsort() knows no context. */
static const double *ranked;

static int more_probable(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (ranked[i] != ranked[j])
        return ranked[i] > ranked[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* The labels to be shown, the most probable first, in run->ranking. */
static int32_t choose(PredictRun *run, const float *logits)
{
    const PredictSettings *s = run->settings;
    bool limited = !s->top || !isnan(s->threshold);
    int32_t count = 0;
    predict_decide(run, logits);
    for (int32_t k = 0; k < run->labels; k++)
        if (!limited || run->scores[k] > 0)
            run->ranking[count++] = k;
    ranked = run->probabilities;
    qsort(run->ranking, (size_t)count, sizeof *run->ranking, more_probable);
    return s->top && count > s->top ? s->top : count;
}

/* A shade of red, the darker the more weight, with the words in black. */
static void print_coloured(const PredictRun *run, ModelPredictorText text)
{
    static const int shades[] = {231, 224, 217, 210, 203, 196};
    float most = 0;
    for (int32_t i = 0; i < text.count; i++)
        most = text.weights[i] > most ? text.weights[i] : most;
    for (int32_t i = 0; i < text.count; i++) {
        int shade = most > 0 ? (int)(text.weights[i] / most * 5.0f + 0.5f) : 0;
        printf("%s\033[48;5;%dm\033[38;5;16m%s\033[0m", i ? " " : "", shades[shade],
               model_predictor_word(run->predictor, text.ids[i]));
    }
    putchar('\t');
}

static void print_attention(const PredictRun *run, ModelPredictorText text)
{
    if (!text.weights)
        return;
    if (run->colour) {
        print_coloured(run, text);
        return;
    }
    for (int32_t i = 0; i < text.count; i++)
        printf("%s%s:%.4f", i ? " " : "", model_predictor_word(run->predictor, text.ids[i]),
               (double)text.weights[i]);
    putchar('\t');
}

/* Whether it would not be one field of a TSV, or a CSV, as it stands. */
static bool wants_quotes(ModelTextSpan text, PredictFormat format)
{
    for (size_t i = 0; i < text.length; i++)
        if (memchr(format == PREDICT_CSV ? ",\"\n\r" : "\t\n\r\t", text.bytes[i], 4))
            return true;
    return text.length > 0 && text.bytes[0] == '"';
}

static void print_field(const PredictRun *run, ModelTextSpan text)
{
    bool quoted = wants_quotes(text, run->settings->format);
    if (quoted)
        putchar('"');
    for (size_t i = 0; i < text.length; i++) {
        if (quoted && text.bytes[i] == '"')
            putchar('"');
        putchar(text.bytes[i]);
    }
    if (quoted)
        putchar('"');
}

static char separator(const PredictRun *run)
{
    return run->settings->format == PREDICT_CSV ? ',' : '\t';
}

void predict_header(const PredictRun *run)
{
    const PredictSettings *s = run->settings;
    if (s->format == PREDICT_JSONL || (s->format == PREDICT_TSV && !s->all))
        return;
    for (int c = 0; c < run->num_passed; c++) {
        print_field(run, model_text_span(run->passed_names[c]));
        putchar(separator(run));
    }
    if (!s->all)
        printf("labels,probabilities");
    for (int32_t k = 0; s->all && k < run->labels; k++) {
        if (k)
            putchar(separator(run));
        print_field(run, model_text_span(predict_label(run, k)));
    }
    putchar('\n');
}

/* A probability for each label. */
static void print_all(PredictRun *run, const float *logits)
{
    predict_decide(run, logits);
    for (int32_t k = 0; k < run->labels; k++) {
        if (k)
            putchar(separator(run));
        printf("%.6f", run->probabilities[k]);
    }
}

/* Labels and probabilities of a CSV, a field each. */
static ReelStatus print_lists(const PredictRun *run, int32_t count)
{
    const char *between = model_pipeline_separator(&run->checkpoint->text);
    ReelBytes names = {0};
    bool fine = true;
    for (int32_t k = 0; k < count && fine; k++) {
        const char *name = predict_label(run, run->ranking[k]);
        fine = (k == 0 || reel_bytes_append(&names, between, strlen(between))) &&
               reel_bytes_append(&names, name, strlen(name));
    }
    if (fine)
        print_field(run, (ModelTextSpan){names.data, names.size});
    reel_bytes_free(&names);
    putchar(',');
    for (int32_t k = 0; k < count; k++)
        printf("%s%.6f", k ? " " : "", run->probabilities[run->ranking[k]]);
    return fine ? reel_status_ok() : reel_status_no_memory(names.size, "the output");
}

/* A line of a TSV or a CSV. */
static ReelStatus print_line(PredictRun *run, int64_t i, const float *logits)
{
    const PredictSettings *s = run->settings;
    ReelStatus status = reel_status_ok();
    int32_t count = s->all ? 0 : choose(run, logits);
    bool more = s->all || s->format == PREDICT_CSV || count > 0 || s->attention;
    for (int c = 0; c < run->num_passed; c++) {
        print_field(run, run->passed[i * run->num_passed + c].text);
        if (c + 1 < run->num_passed || more)
            putchar(separator(run));
    }
    if (s->attention)
        print_attention(run, model_predictor_text(run->predictor, i));
    if (s->all)
        print_all(run, logits);
    else if (s->format == PREDICT_CSV)
        status = print_lists(run, count);
    else
        for (int32_t k = 0; k < count; k++)
            printf("%s%s\t%.6f", k ? "\t" : "", predict_label(run, run->ranking[k]),
                   run->probabilities[run->ranking[k]]);
    putchar('\n');
    return status;
}

static void write_attention(ReelJsonWriter *json, const PredictRun *run, ModelPredictorText text)
{
    reel_json_begin_array(json, "attention");
    for (int32_t w = 0; w < text.count; w++) {
        reel_json_begin_object(json, NULL);
        reel_json_string(json, "word", model_predictor_word(run->predictor, text.ids[w]));
        reel_json_float(json, "weight", text.weights[w]);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
}

/* The other columns as strings, but for JSON's null. */
static ReelStatus write_passed(ReelJsonWriter *json, const PredictRun *run, int64_t i)
{
    ReelBytes text = {0};
    bool fine = true;
    reel_json_begin_object(json, "columns");
    for (int c = 0; c < run->num_passed && fine; c++) {
        ModelField field = run->passed[i * run->num_passed + c];
        text.size = 0;
        fine =
            reel_bytes_append(&text, field.text.bytes, field.text.length) && reel_bytes_append(&text, "", 1);
        if (fine && field.kind == REEL_JSON_NULL)
            reel_json_null(json, run->passed_names[c]);
        else if (fine)
            reel_json_string(json, run->passed_names[c], text.data);
    }
    reel_json_end_object(json);
    reel_bytes_free(&text);
    return fine ? reel_status_ok() : reel_status_no_memory(text.size, "the output");
}

static ReelStatus print_json(PredictRun *run, int64_t i, const float *logits)
{
    ReelJsonWriter json = {.compact = true};
    int32_t count = choose(run, logits);
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "line", run->texts + i + 1);
    if (run->num_passed > 0) {
        ReelStatus status = write_passed(&json, run, i);
        if (!reel_status_is_ok(&status)) {
            reel_json_free(&json);
            return status;
        }
    }
    reel_json_begin_array(&json, "labels");
    for (int32_t k = 0; k < count; k++) {
        reel_json_begin_object(&json, NULL);
        reel_json_string(&json, "label", predict_label(run, run->ranking[k]));
        reel_json_float(&json, "probability", (float)run->probabilities[run->ranking[k]]);
        reel_json_end_object(&json);
    }
    reel_json_end_array(&json);
    if (run->settings->all) {
        reel_json_begin_object(&json, "probabilities");
        for (int32_t k = 0; k < run->labels; k++)
            reel_json_float(&json, predict_label(run, k), (float)run->probabilities[k]);
        reel_json_end_object(&json);
    }
    ModelPredictorText text = model_predictor_text(run->predictor, i);
    if (run->settings->attention && text.weights)
        write_attention(&json, run, text);
    reel_json_end_object(&json);
    return program_print_json(&json, stdout);
}

/* How fast it goes. */
static void describe(const PredictRun *run, char text[96])
{
    double seconds = meter_seconds(&run->meter);
    snprintf(text, 96, "%lld texts, %.1f s, %.0f texts/s", (long long)run->texts, seconds,
             (double)run->texts / seconds);
}

void predict_show_speed(PredictRun *run)
{
    char text[96];
    describe(run, text);
    meter_clear(&run->meter);
    if (!run->settings->quiet)
        fprintf(stderr, "%s\n", text);
}

void predict_progress(PredictRun *run, int64_t count)
{
    char text[96];
    run->texts += count;
    if (!meter_is_due(&run->meter))
        return;
    describe(run, text);
    meter_draw(&run->meter, "%s", text);
}

ReelStatus predict_texts(PredictRun *run, const ModelTextSpan *texts, int64_t count)
{
    ReelStatus status = predict_logits(run, texts, count, run->settings->attention);
    for (int64_t i = 0; reel_status_is_ok(&status) && i < count; i++) {
        const float *logits = run->logits + i * run->labels;
        status =
            run->settings->format == PREDICT_JSONL ? print_json(run, i, logits) : print_line(run, i, logits);
    }
    if (reel_status_is_ok(&status))
        status = program_check_output();
    predict_progress(run, count);
    return status;
}

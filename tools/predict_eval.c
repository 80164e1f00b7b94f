/* tools/predict --eval: the quality on labelled texts. */
#include "tensor/storage/json_writer.h"
#include "models/training/bootstrap.h"
#include "models/training/metrics.h"
#include "tensor/mem.h"
#include "tools/predict.h"
#include "tools/program.h"

#include <stdio.h>
#include <stdlib.h>

/* The model's number of each of the corpus' labels, -1 where it knows none of that name. */
static ReelStatus match_labels(const PredictRun *run, const ModelCorpus *corpus, int32_t **numbers)
{
    int32_t unknown = 0, example = 0;
    size_t bytes = (size_t)corpus->classes.count * sizeof **numbers;
    *numbers = reel_mem_alloc(bytes);
    if (!*numbers)
        return reel_status_no_memory(bytes, "the labels");
    for (int32_t i = 0; i < corpus->classes.count; i++) {
        (*numbers)[i] = model_string_table_find(
            &run->checkpoint->text.labels, model_text_span(model_string_table_text(&corpus->classes, i)));
        if ((*numbers)[i] < 0 && unknown++ == 0)
            example = i;
    }
    if (unknown > 0 && unknown == corpus->classes.count)
        return reel_status_failed(
            "%s: the model knows none of its labels, such as '%.80s'; evaluate on data with the "
            "model's labels",
            run->settings->eval, model_string_table_text(&corpus->classes, example));
    if (unknown && !run->settings->quiet)
        program_warn("%s: the model does not know %d of %d labels, such as '%s'; they do not count",
                     run->settings->eval, unknown, corpus->classes.count,
                     model_string_table_text(&corpus->classes, example));
    return reel_status_ok();
}

/* The labels of each row that the model knows, by its numbers. */
typedef struct Truth {
    NnIds *rows;
    int32_t *ids;
} Truth;

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static ReelStatus take_truth(Truth *truth, const ModelCorpus *corpus, const int32_t *numbers)
{
    size_t rows = (size_t)corpus->rows, labels = (size_t)corpus->label_offsets[rows];
    truth->rows = reel_mem_alloc(rows * sizeof *truth->rows);
    truth->ids = reel_mem_alloc(labels * sizeof *truth->ids);
    if (!truth->rows || !truth->ids)
        return reel_status_no_memory(rows * sizeof *truth->rows, "the labels");
    int32_t *to = truth->ids;
    for (size_t i = 0; i < rows; i++) {
        int32_t *first = to;
        for (int64_t at = corpus->label_offsets[i]; at < corpus->label_offsets[i + 1]; at++)
            if (numbers[corpus->labels[at]] >= 0)
                *to++ = numbers[corpus->labels[at]];
        qsort(first, (size_t)(to - first), sizeof *first, ascending);
        truth->rows[i] = (NnIds){first, (int32_t)(to - first)};
    }
    return reel_status_ok();
}

/* What is counted, and how sure its macro F1 is. */
typedef struct Quality {
    ModelMetrics metrics;
    ModelBootstrap bootstrap;
    ModelInterval interval; /* 95 % */
} Quality;

static ReelStatus evaluate_window(PredictRun *run, const ModelCorpus *corpus, const Truth *truth,
                                  int64_t first, int64_t count, Quality *quality)
{
    size_t k = (size_t)run->labels;
    ReelStatus status = predict_logits(run, corpus->texts + first, count, false);
    if (!reel_status_is_ok(&status))
        return status;
    for (int64_t i = 0; i < count; i++) {
        float *row = run->logits + (size_t)i * k;
        predict_decide(run, row);
        memcpy(row, run->scores, k * sizeof *row);
    }
    Tensor scores = tensor_from(run->logits, TENSOR_F32, TENSOR_SHAPE(count, run->labels));
    model_metrics_add(&quality->metrics, scores, truth->rows + first, 0.0);
    status = model_bootstrap_add(&quality->bootstrap, scores, truth->rows + first, NULL);
    predict_progress(run, count);
    return status;
}

static void write_scores(ReelJsonWriter *json, const char *key, const char *label, ModelScores scores)
{
    reel_json_begin_object(json, key);
    if (label)
        reel_json_string(json, "label", label);
    reel_json_number(json, "precision", scores.precision);
    reel_json_number(json, "recall", scores.recall);
    reel_json_number(json, "f1", scores.f1);
    reel_json_integer(json, "support", scores.support);
    reel_json_end_object(json);
}

static ReelStatus print_quality_json(const PredictRun *run, const Quality *quality)
{
    const ModelMetrics *metrics = &quality->metrics;
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "texts", metrics->examples);
    reel_json_begin_array(&json, "labels");
    for (int32_t k = 0; k < run->labels; k++)
        write_scores(&json, NULL, predict_label(run, k), model_metrics_label(metrics, k));
    reel_json_end_array(&json);
    write_scores(&json, "micro", NULL, model_metrics_micro(metrics));
    write_scores(&json, "macro", NULL, model_metrics_macro(metrics));
    reel_json_number(&json, "accuracy", model_metrics_accuracy(metrics));
    reel_json_number(&json, "macro_f1_low", quality->interval.low);
    reel_json_number(&json, "macro_f1_high", quality->interval.high);
    reel_json_end_object(&json);
    return program_print_json(&json, stdout);
}

static void print_scores(int width, const char *name, ModelScores scores)
{
    printf("%-*s %9.4f %9.4f %9.4f %9lld\n", width, name, scores.precision, scores.recall, scores.f1,
           (long long)scores.support);
}

static void print_quality(const PredictRun *run, const Quality *quality)
{
    const ModelMetrics *metrics = &quality->metrics;
    int width = 8;
    for (int32_t k = 0; k < run->labels; k++) {
        int length = (int)strlen(predict_label(run, k));
        width = length > width ? length : width;
    }
    printf("%-*s %9s %9s %9s %9s\n", width, "label", "precision", "recall", "F1", "support");
    for (int32_t k = 0; k < run->labels; k++)
        print_scores(width, predict_label(run, k), model_metrics_label(metrics, k));
    print_scores(width, "micro", model_metrics_micro(metrics));
    print_scores(width, "macro", model_metrics_macro(metrics));
    printf("accuracy %.4f: texts whose labels are exactly the true ones\n", model_metrics_accuracy(metrics));
    printf("95 %% interval of macro F1: %.4f to %.4f\n", quality->interval.low, quality->interval.high);
}

static ReelStatus evaluate_corpus(PredictRun *run, const ModelCorpus *corpus, const int32_t *numbers,
                                  Quality *quality)
{
    Truth truth = {0};
    ReelStatus status = take_truth(&truth, corpus, numbers);
    for (int64_t at = 0; reel_status_is_ok(&status) && at < corpus->rows; at += PREDICT_TEXTS) {
        int64_t left = corpus->rows - at;
        status =
            evaluate_window(run, corpus, &truth, at, left < PREDICT_TEXTS ? left : PREDICT_TEXTS, quality);
    }
    if (reel_status_is_ok(&status) && corpus->rows > 0)
        status = model_bootstrap_macro_f1(&quality->bootstrap, MODEL_BOOTSTRAP_ROUNDS, 0, &quality->interval);
    reel_mem_free(truth.rows);
    reel_mem_free(truth.ids);
    if (!reel_status_is_ok(&status))
        return status;
    if (run->settings->json)
        return print_quality_json(run, quality);
    print_quality(run, quality);
    return status;
}

ReelStatus predict_evaluate(PredictRun *run)
{
    ModelCorpus corpus;
    const char *given = run->settings->label_separator, *own = run->checkpoint->text.label_separator;
    ModelCorpusOptions options = {.label_separator = given    ? given
                                                     : own[0] ? own
                                                              : NULL, /* the reader's, with its doubts */
                                  .columns = run->settings->columns};
    if (run->settings->input_format) /* checked before */
        model_format_named(run->settings->input_format, &options.format);
    ReelStatus status = model_corpus_read(&corpus, run->settings->eval, &options);
    if (!reel_status_is_ok(&status))
        return status;
    if (corpus.warning[0] && !run->settings->quiet)
        program_warn("%s", corpus.warning);
    int32_t *numbers = NULL;
    Quality quality = {0};
    model_bootstrap_init(&quality.bootstrap, run->labels);
    status = match_labels(run, &corpus, &numbers);
    if (reel_status_is_ok(&status))
        status = model_metrics_init(&quality.metrics, run->labels);
    if (reel_status_is_ok(&status))
        status = evaluate_corpus(run, &corpus, numbers, &quality);
    model_metrics_free(&quality.metrics);
    model_bootstrap_free(&quality.bootstrap);
    reel_mem_free(numbers);
    model_corpus_free(&corpus);
    return status;
}

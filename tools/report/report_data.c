/* Collecting what the report shows beyond results.json: from the data set, and from each trained model. */
#include "tools/report/report_data.h"
#include "models/bpe/bpe.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_TEXTS = 12, REPORT_BINS = 24, REPORT_MISSES = 400 };

void report_run_free(ReportRun *run)
{
    tensor_arena_free(&run->arena);
    *run = (ReportRun){0};
}

const ReportDetails *report_details(const ReportRun *run, const char *model)
{
    for (int i = 0; i < run->num_details; i++)
        if (strcmp(run->details[i].name, model) == 0)
            return &run->details[i];
    return NULL;
}

static ReelStatus no_memory(void)
{
    return reel_status_failed("out of memory for the report");
}

/* ---- The data set ---- */

static bool count_labels(ReportRun *run, const Dataset *dataset)
{
    run->num_classes = dataset_num_classes(dataset);
    run->classes = tensor_arena_calloc(&run->arena, (size_t)run->num_classes * sizeof *run->classes);
    for (int k = 0; run->classes && k < run->num_classes; k++) {
        const char *name = string_table_text(&dataset->text.labels, k);
        run->classes[k] = (ReportLabel){.name = tensor_arena_memdup(&run->arena, name, strlen(name) + 1),
                                        .train = dataset->train.label_counts[k],
                                        .test = dataset->test.label_counts[k]};
        if (!run->classes[k].name)
            return false;
    }
    return run->classes != NULL;
}

static bool count_lengths(ReportRun *run, const Dataset *dataset)
{
    int longest =
        dataset->train.longest > dataset->test.longest ? dataset->train.longest : dataset->test.longest;
    int width = (longest + REPORT_BINS) / REPORT_BINS; /* lengths 0 to longest */
    run->num_bins = longest / width + 1;
    run->bins = tensor_arena_calloc(&run->arena, (size_t)run->num_bins * sizeof *run->bins);
    if (!run->bins)
        return false;
    for (int i = 0; i < run->num_bins; i++) {
        run->bins[i].from = i * width;
        run->bins[i].to = i * width + width - 1;
    }
    for (int64_t i = 0; i < dataset->train.count; i++)
        run->bins[(dataset->train.offsets[i + 1] - dataset->train.offsets[i]) / width].train++;
    for (int64_t i = 0; i < dataset->test.count; i++)
        run->bins[(dataset->test.offsets[i + 1] - dataset->test.offsets[i]) / width].test++;
    return true;
}

static char *word_of(TensorArena *arena, const Dataset *dataset, int32_t id)
{
    char number[24];
    size_t size;
    const char *word = model_pipeline_word(&dataset->text, id, &size);
    if (!word) {
        size = (size_t)snprintf(number, sizeof number, "#%d", id);
        word = number;
    }
    char *copy = tensor_arena_calloc(arena, size + 1);
    if (copy)
        memcpy(copy, word, size);
    return copy;
}

static bool copy_text(ReportRun *run, ReportText *text, const Dataset *dataset, int64_t example)
{
    const DatasetPart *part = &dataset->test;
    int64_t begin = part->offsets[example], labels = part->label_offsets[example];
    text->row = part->rows[example];
    text->num_words = (int)(part->offsets[example + 1] - begin);
    text->words = tensor_arena_calloc(&run->arena, (size_t)text->num_words * sizeof *text->words);
    text->num_labels = (int)(part->label_offsets[example + 1] - labels);
    text->labels = tensor_arena_memdup(&run->arena, part->labels + labels,
                                       (size_t)text->num_labels * sizeof *text->labels);
    for (int i = 0; text->words && i < text->num_words; i++)
        if (!(text->words[i] = word_of(&run->arena, dataset, part->ids[begin + i])))
            return false;
    return text->words && text->labels;
}

/* The example that text number i shows. */
static int64_t example_of(const ReportRun *run, const Dataset *dataset, int i)
{
    return dataset->test.count * i / run->num_texts;
}

static bool choose_texts(ReportRun *run, const Dataset *dataset)
{
    run->num_texts = dataset->test.count < REPORT_TEXTS ? (int)dataset->test.count : REPORT_TEXTS;
    run->texts = tensor_arena_calloc(&run->arena, (size_t)run->num_texts * sizeof *run->texts);
    for (int i = 0; run->texts && i < run->num_texts; i++)
        if (!copy_text(run, &run->texts[i], dataset, example_of(run, dataset, i)))
            return false;
    return run->texts != NULL;
}

ReelStatus report_data_begin(ReportRun *run, const Dataset *dataset)
{
    *run = (ReportRun){0};
    tensor_arena_init(&run->arena, 0);
    run->train_ids = dataset->train.offsets[dataset->train.count];
    run->details_hash =
        tensor_arena_memdup(&run->arena, dataset->text.data_hash, sizeof dataset->text.data_hash);
    bool fine = run->details_hash && count_labels(run, dataset) && count_lengths(run, dataset) &&
                choose_texts(run, dataset);
    return fine ? reel_status_ok() : no_memory();
}

/* ---- A model ---- */

/* One pass over the test part. */
typedef struct Look {
    ReportRun *run;
    ReportDetails *details;
    const Dataset *dataset;
    Metrics metrics;
    int64_t *confused; /* [K, K + 1]: missed x predicted instead; the last column: nothing instead */
    float *logits;     /* [batch, K] */
    float *attention;  /* [ids of a batch], NULL where the model has none */
} Look;

static void count_misses(Look *look, const Batch *batch, Tensor scores)
{
    int64_t classes = look->metrics.num_labels;
    for (int32_t i = 0; i < batch->size; i++) {
        const float *score = tensor_f32(scores) + i * classes;
        const float *is_true = tensor_f32(batch->labels) + i * batch->labels.strides[0];
        for (int64_t missed = 0; missed < classes; missed++) {
            if (is_true[missed] == 0.0f || score[missed] > 0)
                continue;
            int64_t *row = look->confused + missed * (classes + 1);
            int wrong = 0;
            for (int64_t k = 0; k < classes; k++) {
                bool instead = score[k] > 0 && is_true[k] == 0.0f;
                row[k] += instead;
                wrong += instead;
            }
            row[classes] += wrong == 0;
        }
    }
}

static bool note_reading(Look *look, ReportReading *reading, const Batch *batch, int32_t place, int num_words)
{
    TensorArena *arena = &look->run->arena;
    int32_t classes = look->metrics.num_labels;
    const float *score = look->logits + (size_t)place * (size_t)classes;
    reading->predicted = tensor_arena_calloc(arena, (size_t)classes * sizeof *reading->predicted);
    if (!reading->predicted)
        return false;
    for (int32_t k = 0; k < classes; k++)
        if (score[k] > 0)
            reading->predicted[reading->num_predicted++] = k;
    if (!look->attention)
        return true;
    reading->num_weights = num_words;
    reading->weights = tensor_arena_calloc(arena, (size_t)num_words * sizeof *reading->weights);
    for (int i = 0; reading->weights && i < num_words; i++)
        reading->weights[i] = (double)look->attention[batch->offsets[place] + i];
    return reading->weights != NULL;
}

/* The chosen texts that are in this batch. */
static bool note_readings(Look *look, const Batch *batch)
{
    for (int i = 0; i < look->details->num_readings; i++)
        for (int32_t place = 0; place < batch->size; place++)
            if (batch->examples[place] == example_of(look->run, look->dataset, i) &&
                !note_reading(look, &look->details->readings[i], batch, place, look->run->texts[i].num_words))
                return false;
    return true;
}

static ReelStatus look_at_batches(Look *look, Trainer *trainer, Loader *loader)
{
    Batch batch;
    while (loader_next(loader, &batch)) {
        Tensor scores =
            tensor_from(look->logits, TENSOR_F32, TENSOR_SHAPE(batch.size, look->metrics.num_labels));
        ReelStatus status = trainer_predict(trainer, &batch, scores, look->attention);
        if (!reel_status_is_ok(&status))
            return status;
        metrics_add(&look->metrics, scores, batch.labels, 0.0);
        count_misses(look, &batch, scores);
        if (!note_readings(look, &batch))
            return no_memory();
    }
    return reel_status_ok();
}

static int more_texts_first(const void *a, const void *b)
{
    const ReportMiss *left = a, *right = b;
    if (left->texts != right->texts)
        return left->texts < right->texts ? 1 : -1;
    if (left->missed != right->missed)
        return left->missed < right->missed ? -1 : 1;
    return left->instead < right->instead ? -1 : left->instead > right->instead;
}

/* Keeps the most frequent pairs. */
static bool keep_misses(Look *look)
{
    int classes = look->metrics.num_labels, count = 0;
    size_t cells = (size_t)classes * ((size_t)classes + 1);
    ReportMiss *all = reel_mem_alloc(cells * sizeof *all);
    if (!all)
        return false;
    for (int missed = 0; missed < classes; missed++)
        for (int k = 0; k <= classes; k++) {
            int64_t texts = look->confused[(int64_t)missed * (classes + 1) + k];
            if (texts > 0)
                all[count++] = (ReportMiss){missed, k < classes ? k : -1, texts};
        }
    qsort(all, (size_t)count, sizeof *all, more_texts_first);
    ReportDetails *details = look->details;
    details->num_misses = count < REPORT_MISSES ? count : REPORT_MISSES;
    details->misses =
        tensor_arena_memdup(&look->run->arena, all, (size_t)details->num_misses * sizeof *details->misses);
    reel_mem_free(all);
    return details->misses != NULL;
}

static bool keep_scores(Look *look)
{
    look->details->num_scores = look->metrics.num_labels;
    look->details->scores =
        tensor_arena_memdup(&look->run->arena, look->metrics.labels,
                            (size_t)look->metrics.num_labels * sizeof *look->details->scores);
    return look->details->scores != NULL;
}

static ReelStatus look_at(Look *look, Model *model, const RunOptions *options)
{
    /* SGD keeps no state, and nothing is updated here. */
    TrainerOptions settings = options->trainer;
    settings.optimizer = nn_optimizer_options(NN_SGD);
    LoaderOptions loading = {.batch = options->batch, .pad = options->notebook};
    Trainer *trainer = NULL;
    Loader loader = {0};
    ReelStatus status = trainer_new(&trainer, model, &settings);
    if (reel_status_is_ok(&status))
        status = loader_init(&loader, &look->dataset->test, &loading);
    if (reel_status_is_ok(&status))
        status = look_at_batches(look, trainer, &loader);
    loader_free(&loader);
    trainer_free(trainer);
    if (reel_status_is_ok(&status) && (!keep_scores(look) || !keep_misses(look)))
        return no_memory();
    return status;
}

/* The place for a model of this name; its old details go. */
static ReportDetails *place_for(ReportRun *run, const char *name)
{
    int i = 0;
    while (i < run->num_details && strcmp(run->details[i].name, name) != 0)
        i++;
    if (i == run->num_details) {
        ReportDetails *larger = tensor_arena_calloc(&run->arena, ((size_t)i + 1) * sizeof *larger);
        if (!larger)
            return NULL;
        if (i)
            memcpy(larger, run->details, (size_t)i * sizeof *larger);
        run->details = larger;
    }
    ReportDetails *details = &run->details[i];
    *details = (ReportDetails){.name = tensor_arena_memdup(&run->arena, name, strlen(name) + 1),
                               .num_readings = run->num_texts};
    details->readings = tensor_arena_calloc(&run->arena, (size_t)run->num_texts * sizeof *details->readings);
    if (!details->name || !details->readings)
        return NULL;
    if (i == run->num_details)
        run->num_details++;
    return details;
}

ReelStatus report_data_add(ReportRun *run, Model *model, const Dataset *dataset, const RunOptions *options)
{
    size_t classes = (size_t)dataset_num_classes(dataset), batch = (size_t)options->batch;
    Look look = {.run = run, .dataset = dataset, .details = place_for(run, model->kind->name)};
    if (!look.details)
        return no_memory();
    look.details->has_attention = model->kind->has_attention;
    ReelStatus status = metrics_init(&look.metrics, (int32_t)classes);
    if (!reel_status_is_ok(&status))
        return status;
    look.confused = reel_mem_calloc(classes * (classes + 1), sizeof *look.confused);
    look.logits = reel_mem_calloc(batch * classes, sizeof *look.logits);
    if (look.details->has_attention)
        look.attention = reel_mem_calloc(batch * (size_t)dataset->test.longest, sizeof *look.attention);
    bool complete = look.confused && look.logits && (look.attention || !look.details->has_attention);
    status = complete ? look_at(&look, model, options) : no_memory();
    reel_mem_free(look.confused);
    reel_mem_free(look.logits);
    reel_mem_free(look.attention);
    metrics_free(&look.metrics);
    return status;
}

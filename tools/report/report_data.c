/* Collecting what the report shows beyond results.json: from the data set, and from each trained model. */
#include "tools/report/report_internal.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_TEXTS = 12, REPORT_BINS = 24, REPORT_MISSES = 400 };

void report_free(ReportRun *runs, int count)
{
    for (int i = 0; i < count; i++)
        tensor_arena_free(&runs[i].arena);
}

static ReelStatus no_memory(void)
{
    return reel_status_failed("out of memory for the report");
}

/* ---- The data set ---- */

static bool count_labels(ReportRun *run, const ModelDataset *dataset)
{
    run->num_classes = model_dataset_num_classes(dataset);
    run->classes = tensor_arena_calloc(&run->arena, (size_t)run->num_classes * sizeof *run->classes);
    for (int k = 0; run->classes && k < run->num_classes; k++)
        run->classes[k] = (ReportLabel){.name = model_string_table_text(&dataset->text.labels, k),
                                        .train = dataset->train.label_counts[k],
                                        .test = dataset->test.label_counts[k]};
    return run->classes != NULL;
}

static bool count_lengths(ReportRun *run, const ModelDataset *dataset)
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

static char *word_of(TensorArena *arena, const ModelDataset *dataset, int32_t id)
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

static ReelStatus copy_text(ReportRun *run, ReportText *text, const ModelDataset *dataset, int64_t example)
{
    const ModelDatasetPart *part = &dataset->test;
    int64_t labels = part->label_offsets[example];
    text->row = part->rows[example];
    text->num_words = model_dataset_part_length(part, example);
    int32_t *ids = tensor_arena_calloc(&run->arena, (size_t)text->num_words * sizeof *ids);
    text->words = tensor_arena_calloc(&run->arena, (size_t)text->num_words * sizeof *text->words);
    text->num_labels = (int)(part->label_offsets[example + 1] - labels);
    text->labels = tensor_arena_memdup(&run->arena, part->labels + labels,
                                       (size_t)text->num_labels * sizeof *text->labels);
    if (!ids || !text->words || !text->labels)
        return no_memory();
    ReelStatus status = model_dataset_part_ids(part, example, ids);
    int all = text->num_words, first_piece = dataset->text.tokenizer.first_piece;
    text->num_words = 0;
    for (int i = 0; reel_status_is_ok(&status) && i < all; i++) {
        if (first_piece > 0 && ids[i] >= first_piece) /* pieces of words are not read by people */
            continue;
        if (!(text->words[text->num_words++] = word_of(&run->arena, dataset, ids[i])))
            status = no_memory();
    }
    return status;
}

/* The example that text number i shows. */
static int64_t example_of(const ReportRun *run, const ModelDataset *dataset, int i)
{
    return dataset->test.count * i / run->num_texts;
}

static ReelStatus choose_texts(ReportRun *run, const ModelDataset *dataset)
{
    run->num_texts = dataset->test.count < REPORT_TEXTS ? (int)dataset->test.count : REPORT_TEXTS;
    run->texts = tensor_arena_calloc(&run->arena, (size_t)run->num_texts * sizeof *run->texts);
    ReelStatus status = run->texts ? reel_status_ok() : no_memory();
    for (int i = 0; reel_status_is_ok(&status) && i < run->num_texts; i++)
        status = copy_text(run, &run->texts[i], dataset, example_of(run, dataset, i));
    return status;
}

/* The folder's own name: what stands behind the last slash. */
static char *label_of(TensorArena *arena, const char *folder)
{
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/')
        begin--;
    char *label = tensor_arena_calloc(arena, end - begin + 1);
    if (label)
        memcpy(label, folder + begin, end - begin);
    return label;
}

ReelStatus report_open(ReportRun *run, const char *folder)
{
    *run = (ReportRun){0};
    tensor_arena_init(&run->arena, 0);
    run->label = label_of(&run->arena, folder);
    return run->label ? reel_status_ok() : no_memory();
}

ReelStatus report_begin(ReportRun *run, const char *folder, const ModelDataset *dataset)
{
    ReelStatus status = report_open(run, folder);
    run->details_hash = dataset->text.data_hash;
    run->train_ids = dataset->train.offsets[dataset->train.count];
    model_results_set_dataset(&run->results, dataset);
    if (!reel_status_is_ok(&status))
        return status;
    if (!count_labels(run, dataset) || !count_lengths(run, dataset))
        return no_memory();
    return choose_texts(run, dataset);
}

/* ---- A model ---- */

/* A model's decisions on the test part. */
typedef struct Decisions {
    const ModelDatasetPart *part;
    const float *logits;
    const double *thresholds; /* NULL: 0 */
    float *room;              /* [K] */
} Decisions;

/* Scores of example i, of which those above 0 are predicted; good until the next call. */
static const float *scores_of(const Decisions *d, int64_t example)
{
    size_t classes = (size_t)d->part->num_classes;
    memcpy(d->room, d->logits + (size_t)example * classes, classes * sizeof *d->room);
    model_task_scores(d->part->task, d->room, 1, d->part->num_classes);
    for (size_t k = 0; d->thresholds && k < classes; k++)
        d->room[k] = (float)((double)d->room[k] - d->thresholds[k]);
    return d->room;
}

/* What was missed and what was predicted in its place, a number for each time. */
typedef struct Misses {
    uint64_t *pairs; /* missed (K + 1) + instead, which is K for nothing */
    size_t count, capacity;
} Misses;

static bool add_miss(Misses *misses, uint64_t pair)
{
    if (misses->count == misses->capacity) {
        size_t capacity = 2 * misses->capacity + 1024;
        uint64_t *larger = reel_mem_realloc(misses->pairs, capacity * sizeof *larger);
        if (!larger)
            return false;
        misses->pairs = larger;
        misses->capacity = capacity;
    }
    misses->pairs[misses->count++] = pair;
    return true;
}

/* Counts each label's decisions, and notes what was missed. `wrong` has room for K + 1. */
static bool count_decisions(const Decisions *d, ModelLabelCounts *labels, int32_t *wrong, Misses *misses)
{
    const ModelDatasetPart *part = d->part;
    int32_t classes = part->num_classes;
    for (int64_t i = 0; i < part->count; i++) {
        const float *scores = scores_of(d, i);
        const int32_t *borne = part->labels + part->label_offsets[i];
        int num_borne = (int)(part->label_offsets[i + 1] - part->label_offsets[i]);
        int32_t wrongs = 0;
        for (int32_t k = 0; k < classes; k++) {
            bool is_true = scores[k] > 0 && report_contains(borne, num_borne, k);
            labels[k].predicted += scores[k] > 0;
            labels[k].hits += is_true;
            if (scores[k] > 0 && !is_true)
                wrong[wrongs++] = k;
        }
        if (wrongs == 0)
            wrong[wrongs++] = classes;
        for (int j = 0; j < num_borne; j++) {
            labels[borne[j]].support++;
            for (int32_t w = 0; w < wrongs && !(scores[borne[j]] > 0); w++)
                if (!add_miss(misses, (uint64_t)borne[j] * ((uint64_t)classes + 1) + (uint64_t)wrong[w]))
                    return false;
        }
    }
    return true;
}

static int lower_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
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

static int64_t missed(const ModelLabelCounts *counts)
{
    return counts->support - counts->hits;
}

int report_most_missed(const ReportDetails *details, int most, int *labels)
{
    int count = 0;
    while (count < most) {
        int next = -1;
        for (int k = 0; k < details->num_scores; k++)
            if (missed(&details->scores[k]) > (next < 0 ? 0 : missed(&details->scores[next])) &&
                !report_contains(labels, count, k))
                next = k;
        if (next < 0)
            break;
        labels[count++] = next;
    }
    return count;
}

/* Moves to the front, of pairs by frequency, the first REPORT_MISSES and all of the labels that a matrix may
 * show; returns how many they are. */
static int choose_misses(const ReportDetails *details, ReportMiss *all, size_t count)
{
    int labels[REPORT_MATRIX], in_matrix = report_most_missed(details, REPORT_MATRIX, labels), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i < REPORT_MISSES || report_contains(labels, in_matrix, all[i].missed))
            all[kept++] = all[i];
    return kept;
}

/* Keeps the most frequent pairs. */
static bool keep_misses(ReportDetails *details, Misses *misses, int classes, TensorArena *arena)
{
    size_t found = 0;
    ReportMiss *all = reel_mem_alloc((misses->count + 1) * sizeof *all);
    if (!all)
        return false;
    if (misses->count > 0)
        qsort(misses->pairs, misses->count, sizeof *misses->pairs, lower_first);
    for (size_t i = 0; i < misses->count; i++) {
        int missed = (int)(misses->pairs[i] / ((uint64_t)classes + 1)),
            instead = (int)(misses->pairs[i] % ((uint64_t)classes + 1));
        if (i == 0 || misses->pairs[i] != misses->pairs[i - 1])
            all[found++] = (ReportMiss){missed, instead < classes ? instead : -1, 0};
        all[found - 1].texts++;
    }
    qsort(all, found, sizeof *all, more_texts_first);
    details->num_misses = choose_misses(details, all, found);
    details->misses = tensor_arena_memdup(arena, all, (size_t)details->num_misses * sizeof *all);
    reel_mem_free(all);
    return details->misses != NULL;
}

static bool note_decisions(ReportDetails *details, const Decisions *d, TensorArena *arena)
{
    Misses misses = {0};
    int32_t *wrong = reel_mem_alloc(((size_t)d->part->num_classes + 1) * sizeof *wrong);
    bool fine = wrong && count_decisions(d, details->scores, wrong, &misses) &&
                keep_misses(details, &misses, d->part->num_classes, arena);
    reel_mem_free(misses.pairs);
    reel_mem_free(wrong);
    return fine;
}

/* What the model made of one of the texts. */
static bool note_reading(ReportReading *reading, const Decisions *d, const float *attention, int64_t example,
                         TensorArena *arena)
{
    const ModelDatasetPart *part = d->part;
    const float *scores = scores_of(d, example);
    int64_t begin = part->offsets[example];
    reading->predicted = tensor_arena_calloc(arena, (size_t)part->num_classes * sizeof *reading->predicted);
    for (int32_t k = 0; reading->predicted && k < part->num_classes; k++)
        if (scores[k] > 0)
            reading->predicted[reading->num_predicted++] = k;
    if (!attention || !reading->predicted)
        return reading->predicted != NULL;
    reading->num_weights = (int)(part->offsets[example + 1] - begin);
    reading->weights = tensor_arena_calloc(arena, (size_t)reading->num_weights * sizeof *reading->weights);
    for (int i = 0; reading->weights && i < reading->num_weights; i++)
        reading->weights[i] = (double)attention[begin + i];
    return reading->weights != NULL;
}

/* What is said against what is. */
static bool note_reliability(ReportDetails *details, const ModelRunResult *result,
                             const ModelDatasetPart *part, TensorArena *arena)
{
    const double *calibration = result->selected.epoch ? result->selected.calibration : NULL;
    ModelReliability raw = {0}, calibrated = {0};
    ReelStatus status = model_reliability_add(&raw, NULL, result->test.logits, part);
    if (reel_status_is_ok(&status) && calibration)
        status = model_reliability_add(&calibrated, calibration, result->test.logits, part);
    details->num_raw = MODEL_RELIABILITY_BINS;
    details->num_calibrated = calibration ? MODEL_RELIABILITY_BINS : 0;
    details->raw = tensor_arena_memdup(arena, raw.bins, sizeof raw.bins);
    details->calibrated = tensor_arena_memdup(arena, calibrated.bins, sizeof calibrated.bins);
    return reel_status_is_ok(&status) && details->raw && details->calibrated;
}

/* Room for one more model. */
static ReportDetails *new_details(ReportRun *run)
{
    size_t count = (size_t)run->num_details;
    ReportDetails *larger = tensor_arena_calloc(&run->arena, (count + 1) * sizeof *larger);
    if (larger && count)
        memcpy(larger, run->details, count * sizeof *larger);
    run->details = larger ? larger : run->details;
    return larger ? &run->details[run->num_details++] : NULL;
}

ReelStatus report_add(ReportRun *run, const ModelKind *kind, const ModelDataset *dataset,
                      const ModelRunResult *result)
{
    const ModelDatasetPart *part = &dataset->test;
    size_t labels = (size_t)part->num_classes;
    ReportDetails *details = new_details(run);
    if (!details)
        return no_memory();
    *details = (ReportDetails){.name = kind->name,
                               .has_attention = kind->has_attention,
                               .num_scores = part->num_classes,
                               .num_readings = run->num_texts};
    Decisions decisions = {.part = part,
                           .logits = result->test.logits,
                           .thresholds = result->selected.epoch ? result->selected.thresholds : NULL,
                           .room = reel_mem_alloc(labels * sizeof(float))};
    details->scores = tensor_arena_calloc(&run->arena, labels * sizeof *details->scores);
    details->readings = tensor_arena_calloc(&run->arena, (size_t)run->num_texts * sizeof *details->readings);
    bool fine = decisions.room && details->scores && details->readings &&
                note_decisions(details, &decisions, &run->arena) &&
                note_reliability(details, result, part, &run->arena);
    for (int i = 0; fine && i < run->num_texts; i++)
        fine = note_reading(&details->readings[i], &decisions, result->test.attention,
                            example_of(run, dataset, i), &run->arena);
    reel_mem_free(decisions.room);
    return fine ? reel_status_ok() : no_memory();
}

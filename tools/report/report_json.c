/* The two files that a run leaves for reports, and what must be true of them. */
#include "tensor/storage/json_fields.h"
#include "tools/report/report_data.h"
#include "tools/report/report_internal.h"
#include "tensor/storage/text_file.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OF(member, kind) REEL_JSON_FIELD(OBJECT, member, REEL_JSON_FIELD_##kind)

#define OBJECT RunEpoch
static const ReelJsonField epoch_fields[] = {OF(epoch, INT), OF(train_loss, NUMBER), OF(test_f1, NUMBER),
                                             OF(test_micro_f1, NUMBER), OF(seconds, NUMBER)};
static const ReelJsonShape epoch_shape = REEL_JSON_SHAPE(RunEpoch, epoch_fields);
#undef OBJECT

/* A seed's members, in a list of their own or inside the model. */
#define SEED_FIELDS(type, prefix)                                                                            \
    {"best_f1", REEL_JSON_FIELD_NUMBER, offsetof(type, prefix best_f1), 0, NULL},                            \
        {"last_f1", REEL_JSON_FIELD_NUMBER, offsetof(type, prefix last_f1), 0, NULL},                        \
        {"last_micro_f1", REEL_JSON_FIELD_NUMBER, offsetof(type, prefix last_micro_f1), 0, NULL},            \
        {"tuned_f1", REEL_JSON_FIELD_NUMBER, offsetof(type, prefix tuned_f1), 0, NULL},                      \
        {"selected_epoch", REEL_JSON_FIELD_INT, offsetof(type, prefix selected_epoch), 0, NULL},             \
        {"seconds", REEL_JSON_FIELD_NUMBER, offsetof(type, prefix seconds), 0, NULL},                        \
        {"best_epoch", REEL_JSON_FIELD_INT, offsetof(type, prefix best_epoch), 0, NULL},                     \
        {"interrupted", REEL_JSON_FIELD_BOOL, offsetof(type, prefix interrupted), 0, NULL},                  \
    {                                                                                                        \
        "epochs", REEL_JSON_FIELD_LIST, offsetof(type, prefix epochs), offsetof(type, prefix count),         \
            &epoch_shape                                                                                     \
    }
static const ReelJsonField seed_fields[] = {REEL_JSON_FIELD(ReportSeed, seed, REEL_JSON_FIELD_INTEGER),
                                            SEED_FIELDS(ReportSeed, )};
static const ReelJsonShape seed_shape = REEL_JSON_SHAPE(ReportSeed, seed_fields);

#define OBJECT ReportModel
static const ReelJsonField model_fields[] = {OF(name, TEXT),
                                             OF(params, INTEGER),
                                             OF(params_without_embedding, INTEGER),
                                             OF(peak_rss_mb, NUMBER),
                                             SEED_FIELDS(ReportModel, first.),
                                             REEL_JSON_LIST(ReportModel, seeds, num_seeds, &seed_shape)};
static const ReelJsonShape model_shape = REEL_JSON_SHAPE(ReportModel, model_fields);
#undef OBJECT

#define OBJECT ReportRun
static const ReelJsonField result_fields[] = {
    OF(data, TEXT),       OF(data_hash, TEXT),
    OF(rows, INTEGER),    OF(train, INTEGER),
    OF(valid, INTEGER),   OF(test, INTEGER),
    OF(labels, INTEGER),  OF(vocab, INTEGER),
    OF(max_len, INTEGER), OF(seed, INTEGER),
    OF(threads, INTEGER), OF(shards, INTEGER),
    OF(batch, INTEGER),   OF(lr, NUMBER),
    OF(notebook, BOOL),   REEL_JSON_LIST(ReportRun, models, num_models, &model_shape)};
static const ReelJsonShape result_shape = REEL_JSON_SHAPE(ReportRun, result_fields);
#undef OBJECT

#define OBJECT ReportLabel
static const ReelJsonField label_fields[] = {OF(name, TEXT), OF(train, INTEGER), OF(test, INTEGER)};
static const ReelJsonShape label_shape = REEL_JSON_SHAPE(ReportLabel, label_fields);
#undef OBJECT
#define OBJECT ReportBin
static const ReelJsonField bin_fields[] = {OF(from, INT), OF(to, INT), OF(train, INTEGER), OF(test, INTEGER)};
static const ReelJsonShape bin_shape = REEL_JSON_SHAPE(ReportBin, bin_fields);
#undef OBJECT
#define OBJECT LabelCounts
static const ReelJsonField score_fields[] = {OF(hits, INTEGER), OF(predicted, INTEGER), OF(support, INTEGER)};
static const ReelJsonShape score_shape = REEL_JSON_SHAPE(LabelCounts, score_fields);
#undef OBJECT
#define OBJECT ReportMiss
static const ReelJsonField miss_fields[] = {OF(missed, INT), OF(instead, INT), OF(texts, INTEGER)};
static const ReelJsonShape miss_shape = REEL_JSON_SHAPE(ReportMiss, miss_fields);
#undef OBJECT

static const ReelJsonField text_fields[] = {REEL_JSON_FIELD(ReportText, row, REEL_JSON_FIELD_INT),
                                            REEL_JSON_LIST(ReportText, words, num_words, &reel_json_texts),
                                            REEL_JSON_LIST(ReportText, labels, num_labels, &reel_json_ints)};
static const ReelJsonShape text_shape = REEL_JSON_SHAPE(ReportText, text_fields);
static const ReelJsonField reading_fields[] = {
    REEL_JSON_LIST(ReportReading, predicted, num_predicted, &reel_json_ints),
    REEL_JSON_LIST(ReportReading, weights, num_weights, &reel_json_numbers)};
static const ReelJsonShape reading_shape = REEL_JSON_SHAPE(ReportReading, reading_fields);

static const ReelJsonField details_fields[] = {
    REEL_JSON_FIELD(ReportDetails, name, REEL_JSON_FIELD_TEXT),
    REEL_JSON_FIELD(ReportDetails, has_attention, REEL_JSON_FIELD_BOOL),
    REEL_JSON_LIST(ReportDetails, scores, num_scores, &score_shape),
    REEL_JSON_LIST(ReportDetails, misses, num_misses, &miss_shape),
    REEL_JSON_LIST(ReportDetails, readings, num_readings, &reading_shape)};
static const ReelJsonShape details_shape = REEL_JSON_SHAPE(ReportDetails, details_fields);

static const ReelJsonField report_fields[] = {
    {"data_hash", REEL_JSON_FIELD_TEXT, offsetof(ReportRun, details_hash), 0, NULL},
    REEL_JSON_FIELD(ReportRun, train_ids, REEL_JSON_FIELD_INTEGER),
    REEL_JSON_LIST(ReportRun, classes, num_classes, &label_shape),
    REEL_JSON_LIST(ReportRun, bins, num_bins, &bin_shape),
    REEL_JSON_LIST(ReportRun, texts, num_texts, &text_shape),
    REEL_JSON_LIST(ReportRun, details, num_details, &details_shape)};
static const ReelJsonShape report_shape = REEL_JSON_SHAPE(ReportRun, report_fields);

/* ---- What must hold, so that the figures need not ask ---- */

static ReelStatus check_results(ReportRun *run, const char *path)
{
    if (run->num_models < 1)
        return reel_status_failed("%s: no models in it; is it the results.json of a training run?", path);
    for (int i = 0; i < run->num_models; i++) {
        ReportModel *model = &run->models[i];
        if (!model->name)
            return reel_status_failed("%s: model %d has no name", path, i + 1);
        if (model->num_seeds < 1) {
            model->first.seed = run->seed;
            model->seeds = &model->first;
            model->num_seeds = 1;
        }
    }
    return reel_status_ok();
}

static bool all_within(const int *values, int count, int limit)
{
    for (int i = 0; i < count; i++)
        if (values[i] < 0 || values[i] >= limit)
            return false;
    return true;
}

/* So that sums of them do not overflow. */
static bool is_count(int64_t value)
{
    return value >= 0 && value <= INT64_MAX / 8;
}

static bool data_holds(const ReportRun *run)
{
    for (int i = 0; i < run->num_texts; i++)
        if (!all_within(run->texts[i].labels, run->texts[i].num_labels, run->num_classes) ||
            !all_within(&run->texts[i].row, 1, INT_MAX))
            return false;
    for (int k = 0; k < run->num_classes; k++)
        if (!run->classes[k].name || !is_count(run->classes[k].train) || !is_count(run->classes[k].test))
            return false;
    for (int i = 0; i < run->num_bins; i++) {
        const ReportBin *bin = &run->bins[i];
        if (bin->from < 0 || bin->to < bin->from || bin->to == INT_MAX)
            return false;
    }
    return true;
}

static bool details_hold(const ReportRun *run, const ReportDetails *details)
{
    if (!details->name || details->num_scores != run->num_classes || details->num_readings != run->num_texts)
        return false;
    for (int k = 0; k < details->num_scores; k++) {
        const LabelCounts *counts = &details->scores[k];
        if (!is_count(counts->hits) || !is_count(counts->predicted) || !is_count(counts->support))
            return false;
    }
    for (int i = 0; i < details->num_misses; i++) {
        const ReportMiss *miss = &details->misses[i];
        if (!all_within(&miss->missed, 1, run->num_classes) || miss->instead < -1 ||
            miss->instead >= run->num_classes)
            return false;
    }
    for (int i = 0; i < details->num_readings; i++) {
        const ReportReading *reading = &details->readings[i];
        if (!all_within(reading->predicted, reading->num_predicted, run->num_classes) ||
            (reading->num_weights && reading->num_weights != run->texts[i].num_words))
            return false;
    }
    return true;
}

static ReelStatus check_details(ReportRun *run, const char *path)
{
    bool hold = data_holds(run);
    for (int i = 0; hold && i < run->num_details; i++)
        hold = details_hold(run, &run->details[i]);
    if (!hold)
        return reel_status_failed(
            "%s: its numbers contradict each other; delete it, and the report leaves its details out", path);
    bool same = run->details_hash && run->data_hash && strcmp(run->details_hash, run->data_hash) == 0;
    if (!same) {
        run->num_classes = run->num_bins = run->num_texts = run->num_details = 0;
        run->train_ids = 0;
    }
    return reel_status_ok();
}

/* ---- Files ---- */

static ReelStatus read_into(ReportRun *run, const char *path, const ReelJsonShape *shape)
{
    char *bytes = NULL;
    size_t size = 0;
    ReelStatus status = reel_text_file_read(path, &bytes, &size);
    if (reel_status_is_ok(&status))
        status = reel_json_read_fields(bytes, size, path, shape, run, &run->arena);
    reel_mem_free(bytes);
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

ReelStatus report_run_read(ReportRun *run, const char *folder)
{
    char path[REPORT_PATH_SIZE];
    *run = (ReportRun){0};
    tensor_arena_init(&run->arena, 0);
    if (strlen(folder) > REPORT_PATH_SIZE - 32)
        return reel_status_failed("%.40s...: the path is too long", folder);
    run->label = label_of(&run->arena, folder);
    if (!run->label)
        return reel_status_failed("out of memory for the report");
    snprintf(path, sizeof path, "%s/results.json", folder);
    ReelStatus status = read_into(run, path, &result_shape);
    if (reel_status_is_ok(&status))
        status = check_results(run, path);
    if (!reel_status_is_ok(&status))
        return status;
    snprintf(path, sizeof path, "%s/report.json", folder);
    if (access(path, F_OK) != 0)
        return reel_status_ok();
    status = read_into(run, path, &report_shape);
    return reel_status_is_ok(&status) ? check_details(run, path) : status;
}

ReelStatus report_data_write(const ReportRun *run, const char *path)
{
    ReelJsonWriter json = {0};
    reel_json_write_fields(&json, NULL, &report_shape, run);
    const char *text = reel_json_finish(&json);
    ReelStatus status =
        text ? reel_atomic_file_put(path, text, json.size) : reel_status_no_memory(json.size, path);
    reel_json_free(&json);
    return status;
}

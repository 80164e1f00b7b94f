/* report.json, and what must be true of it. */
#include "tools/report/report_internal.h"
#include "tensor/storage/text_file.h"
#include "tensor/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
REEL_JSON_TABLE(label_shape, ReportLabel,
    REEL_JSON_NAMED(ReportLabel, "name",  name,  TEXT),
    REEL_JSON_NAMED(ReportLabel, "train", train, INTEGER),
    REEL_JSON_NAMED(ReportLabel, "test",  test,  INTEGER));

REEL_JSON_TABLE(bin_shape, ReportBin,
    REEL_JSON_NAMED(ReportBin, "from",  from,  INT),
    REEL_JSON_NAMED(ReportBin, "to",    to,    INT),
    REEL_JSON_NAMED(ReportBin, "train", train, INTEGER),
    REEL_JSON_NAMED(ReportBin, "test",  test,  INTEGER));

REEL_JSON_TABLE(score_shape, ModelLabelCounts,
    REEL_JSON_NAMED(ModelLabelCounts, "hits",      hits,      INTEGER),
    REEL_JSON_NAMED(ModelLabelCounts, "predicted", predicted, INTEGER),
    REEL_JSON_NAMED(ModelLabelCounts, "support",   support,   INTEGER));

REEL_JSON_TABLE(miss_shape, ReportMiss,
    REEL_JSON_NAMED(ReportMiss, "missed",  missed,  INT),
    REEL_JSON_NAMED(ReportMiss, "instead", instead, INT),
    REEL_JSON_NAMED(ReportMiss, "texts",   texts,   INTEGER));

REEL_JSON_TABLE(text_shape, ReportText,
    REEL_JSON_NAMED(ReportText, "row", row, INT),
    REEL_JSON_LIST(ReportText, words, num_words, &reel_json_texts),
    REEL_JSON_LIST(ReportText, labels, num_labels, &reel_json_ints));

REEL_JSON_TABLE(reading_shape, ReportReading,
    REEL_JSON_LIST(ReportReading, predicted, num_predicted, &reel_json_ints),
    REEL_JSON_LIST(ReportReading, weights, num_weights, &reel_json_numbers));

REEL_JSON_TABLE(reliability_shape, ModelReliabilityBin,
    REEL_JSON_NAMED(ModelReliabilityBin, "count", count, INTEGER),
    REEL_JSON_NAMED(ModelReliabilityBin, "said",  said,  NUMBER),
    REEL_JSON_NAMED(ModelReliabilityBin, "right", right, INTEGER));

REEL_JSON_TABLE(details_shape, ReportDetails,
    REEL_JSON_NAMED(ReportDetails, "name",          name,          TEXT),
    REEL_JSON_NAMED(ReportDetails, "has_attention", has_attention, BOOL),
    REEL_JSON_LIST(ReportDetails, scores, num_scores, &score_shape),
    REEL_JSON_LIST(ReportDetails, misses, num_misses, &miss_shape),
    REEL_JSON_LIST(ReportDetails, readings, num_readings, &reading_shape),
    REEL_JSON_LIST(ReportDetails, raw, num_raw, &reliability_shape),
    REEL_JSON_LIST(ReportDetails, calibrated, num_calibrated, &reliability_shape));

REEL_JSON_TABLE(report_shape, ReportRun,
    REEL_JSON_NAMED(ReportRun, "data_hash", details_hash, TEXT),
    REEL_JSON_NAMED(ReportRun, "train_ids", train_ids,    INTEGER),
    REEL_JSON_LIST(ReportRun, classes, num_classes, &label_shape),
    REEL_JSON_LIST(ReportRun, bins, num_bins, &bin_shape),
    REEL_JSON_LIST(ReportRun, texts, num_texts, &text_shape),
    REEL_JSON_LIST(ReportRun, details, num_details, &details_shape));
/* clang-format on */

/* ---- What must hold, so that the figures need not ask ---- */

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

/* None, or all. */
static bool bins_hold(const ModelReliabilityBin *bins, int count)
{
    if (count != 0 && count != MODEL_RELIABILITY_BINS)
        return false;
    for (int i = 0; i < count; i++)
        if (!is_count(bins[i].count) || bins[i].right < 0 || bins[i].right > bins[i].count ||
            !(bins[i].said >= 0 && bins[i].said <= (double)bins[i].count * (1 + 1e-9)))
            return false;
    return true;
}

static bool details_hold(const ReportRun *run, const ReportDetails *details)
{
    if (!bins_hold(details->raw, details->num_raw) ||
        !bins_hold(details->calibrated, details->num_calibrated))
        return false;
    if (!details->name || details->num_scores != run->num_classes || details->num_readings != run->num_texts)
        return false;
    for (int k = 0; k < details->num_scores; k++) {
        const ModelLabelCounts *counts = &details->scores[k];
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
    if (!report_same_data(run->details_hash, run->results.data_hash)) {
        run->num_classes = run->num_bins = run->num_texts = run->num_details = 0;
        run->train_ids = 0;
    }
    return reel_status_ok();
}

/* ---- Files ---- */

static ReelStatus read_details(ReportRun *run, const char *path)
{
    char *bytes = NULL;
    size_t size = 0;
    ReelStatus status = reel_text_file_read(path, &bytes, &size);
    if (reel_status_is_ok(&status))
        status = reel_json_read_fields(bytes, size, path, &report_shape, run, &run->arena);
    reel_mem_free(bytes);
    return reel_status_is_ok(&status) ? check_details(run, path) : status;
}

static ReelStatus read_run(ReportRun *run, const char *folder)
{
    char path[REPORT_PATH_SIZE];
    ReelStatus status = report_open(run, folder);
    if (reel_status_is_ok(&status) && strlen(folder) > REPORT_PATH_SIZE - 32)
        status = reel_status_failed("%.40s...: the path is too long", folder);
    snprintf(path, sizeof path, "%s/results.json", folder);
    if (reel_status_is_ok(&status))
        status = model_results_read(&run->results, path, &run->arena);
    snprintf(path, sizeof path, "%s/report.json", folder);
    return reel_status_is_ok(&status) && access(path, F_OK) == 0 ? read_details(run, path) : status;
}

ReelStatus report_read(ReportRun *runs, const char *const *folders, int count)
{
    for (int i = 0; i < count; i++)
        runs[i] = (ReportRun){0};
    for (int i = 0; i < count; i++) {
        ReelStatus status = read_run(&runs[i], folders[i]);
        if (!reel_status_is_ok(&status))
            return status;
        for (int j = 0; j < i; j++)
            if (strcmp(runs[i].label, runs[j].label) == 0)
                runs[i].label = folders[i];
    }
    return reel_status_ok();
}

ReelStatus report_save(const ReportRun *run, const char *path)
{
    ReelJsonWriter json = {0};
    reel_json_write_fields(&json, NULL, &report_shape, run);
    return reel_json_save(&json, path);
}

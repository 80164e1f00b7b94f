/* report.html: one page, without scripts or anything from a network, that compares the models of one or more
 * runs; made from what the runs came to (results.json) and from details that are looked at after the last
 * epoch (report.json). Both are in memory after training, and files of the run's folder, so that a page can
 * be made again, or of several runs together, without training. */
#ifndef REEL_TOOLS_REPORT_H
#define REEL_TOOLS_REPORT_H

#include "models/training/results.h"

/* ---- report.json ---- */

/* A label and how many examples of each part bear it. */
typedef struct ReportLabel {
    const char *name;
    int64_t train, test;
} ReportLabel;

/* Texts whose number of ids, with bos and eos, lies within [from, to]. */
typedef struct ReportBin {
    int from, to;
    int64_t train, test;
} ReportBin;

/* One of the test texts that the attention models are shown on. */
typedef struct ReportText {
    int row;      /* of the corpus, from 0 */
    char **words; /* [num_words] what the model reads, with <bos> and <eos> */
    int num_words;
    int *labels; /* [num_labels] the true ones */
    int num_labels;
} ReportText;

/* What a model made of it. */
typedef struct ReportReading {
    int *predicted; /* [num_predicted] */
    int num_predicted;
    double *weights; /* [num_weights], of the words; none where the model has no attention */
    int num_weights;
} ReportReading;

/* In `texts` test texts the label `missed` was true and not predicted, while `instead` was predicted and not
 * true; -1: nothing wrong was predicted. */
typedef struct ReportMiss {
    int missed, instead;
    int64_t texts;
} ReportMiss;

/* Of one model, as its first seed delivers it, on the test part. */
typedef struct ReportDetails {
    const char *name;
    bool has_attention;
    ModelLabelCounts *scores; /* [num_scores] by label */
    int num_scores;
    ReportMiss *misses; /* [num_misses], the most frequent first */
    int num_misses;
    ReportReading *readings; /* [num_readings], of the texts */
    int num_readings;
    /* What is said against what is, without the calibration and with it; either none or all bins. */
    ModelReliabilityBin *raw, *calibrated;
    int num_raw, num_calibrated;
} ReportDetails;

/* ---- A run ---- */

typedef struct ReportRun {
    const char *label; /* how the report names the run */
    ModelResults results;

    /* report.json; the lists are empty where it is missing. */
    const char *details_hash; /* the data's: details of other data do not count */
    int64_t train_ids;        /* of all training texts: what one epoch reads */
    ReportLabel *classes;
    int num_classes;
    ReportBin *bins;
    int num_bins;
    ReportText *texts;
    int num_texts;
    ReportDetails *details;
    int num_details;

    TensorArena arena; /* what was read or collected lives here */
} ReportRun;

/* Reads FOLDER/results.json and, where it is there, FOLDER/report.json of each folder. Runs in folders of the
 * same name have their whole path as a label. All must be freed with report_free() whatever the result.
 * Errors: no such file, no JSON, no models in it, numbers that contradict each other, no memory. */
ReelStatus report_read(ReportRun *runs, const char *const *folders, int count);
void report_free(ReportRun *runs, int count);
/* The page, whole or not at all. Errors: those of the file; no memory. */
ReelStatus report_write(const ReportRun *runs, int count, const char *path);
/* The same runs as a table on stdout. */
ReelStatus report_print(const ReportRun *runs, int count);

/* ---- Collecting ---- */

/* Begins the details of a run in FOLDER: labels, lengths, about a dozen test texts at even distances (not
 * chosen by result). Free with report_free() whatever the result. */
ReelStatus report_begin(ReportRun *run, const char *folder, const ModelDataset *dataset);
/* Looks at what a model, as it is delivered, said of the test part. An error: no memory. */
ReelStatus report_add(ReportRun *run, const ModelKind *kind, const ModelDataset *dataset,
                      const ModelRunResult *result);
/* Writes report.json, whole or not at all. */
ReelStatus report_save(const ReportRun *run, const char *path);

#endif

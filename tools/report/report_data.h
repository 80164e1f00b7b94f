/* What a report of finished runs is made from: the results, and the details that are looked at after the last
 * epoch. Both are files of the run's folder (results.json, report.json), so that a report can be made again,
 * or of several runs together, without training. */
#ifndef REEL_TOOLS_REPORT_DATA_H
#define REEL_TOOLS_REPORT_DATA_H

#include "models/training/metrics.h"
#include "models/training/results.h"
#include "models/training/spread.h"
#include "tensor/arena.h"

REEL_BEGIN_DECLS

/* ---- results.json ---- */

/* One run of one model from one seed. */
typedef struct ReportSeed {
    int64_t seed;
    double best_f1, last_f1, last_micro_f1, seconds;
    double tuned_f1; /* on the test part, epoch and thresholds chosen by the validation part */
    int best_epoch;
    int selected_epoch; /* 0: there was no validation part */
    bool interrupted;
    RunEpoch *epochs; /* [count] */
    int count;
} ReportSeed;

typedef struct ReportModel {
    char *name;
    int64_t params, params_without_embedding;
    double peak_rss_mb;
    ReportSeed first;  /* the members of the model itself; seeds[0] where `seeds` is missing */
    ReportSeed *seeds; /* [num_seeds], one or more */
    int num_seeds;
} ReportModel;

/* ---- report.json ---- */

/* A label and how many examples of each part bear it. */
typedef struct ReportLabel {
    char *name;
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

/* Of one model, of its first seed, after the last epoch, on the test part. */
typedef struct ReportDetails {
    char *name;
    bool has_attention;
    LabelCounts *scores; /* [num_scores] by label */
    int num_scores;
    ReportMiss *misses; /* [num_misses], the most frequent first */
    int num_misses;
    ReportReading *readings; /* [num_readings], of the texts */
    int num_readings;
} ReportDetails;

/* ---- A run ---- */

typedef struct ReportRun {
    char *label; /* how the report names the run */

    /* results.json */
    char *data, *data_hash;
    int64_t rows, train, valid, test, labels, vocab, max_len, seed, threads, shards, batch;
    double lr;
    bool notebook;
    ReportModel *models; /* [num_models] */
    int num_models;

    /* report.json; the lists are empty where it is missing. */
    char *details_hash; /* the data's: details of other data do not count */
    int64_t train_ids;  /* of all training texts: what one epoch reads */
    ReportLabel *classes;
    int num_classes;
    ReportBin *bins;
    int num_bins;
    ReportText *texts;
    int num_texts;
    ReportDetails *details;
    int num_details;

    TensorArena arena; /* all of the above lives here */
} ReportRun;

/* Reads FOLDER/results.json and, where it is there, FOLDER/report.json. Free with report_run_free() whatever
 * the result. Errors: no such file, no JSON, no models in it, numbers that contradict each other, no memory.
 */
ReelStatus report_run_read(ReportRun *run, const char *folder);
void report_run_free(ReportRun *run);
/* The details of a model, NULL where there are none. */
const ReportDetails *report_details(const ReportRun *run, const char *model);

/* ---- Collecting ---- */

/* Begins the details of a run: labels, lengths, about a dozen test texts at even distances (not chosen by
 * result). Free with report_run_free() whatever the result. */
ReelStatus report_data_begin(ReportRun *run, const Dataset *dataset);
/* Looks at a trained model: one pass over the test part. What an earlier call noted under the same name is
 * replaced. Errors: those of predicting. */
ReelStatus report_data_add(ReportRun *run, Model *model, const Dataset *dataset, const RunOptions *options);
/* Writes report.json atomically. */
ReelStatus report_data_write(const ReportRun *run, const char *path);

REEL_END_DECLS

#endif

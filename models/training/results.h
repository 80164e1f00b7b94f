/* What training came to: one table of fields, from which the files are written and read: results.json (whose
 * names are a contract), and in a checkpoint reel/training.json. */
#ifndef REEL_MODELS_RESULTS_H
#define REEL_MODELS_RESULTS_H

#include "models/training/ensemble.h"
#include "models/training/run.h"
#include "models/training/spread.h"
#include "nn/state_dict.h"
#include "tensor/storage/json_fields.h"

REEL_BEGIN_DECLS

/* One run of one model from one seed: the members of ModelRunResult that are kept in files. */
extern const ReelJsonShape model_run_shape;

enum { MODEL_RESULTS_MAX_SEEDS = 64 };

/* The member of a file of weights that says how good they are, and its writing: after an epoch of training on
 * so many texts. It has no times in it, so that the same weights make the same file. */
#define MODEL_RESULTS_QUALITY "reel/quality.json"
void model_results_snapshot_quality(NnSnapshot *snapshot, const ModelRunEpoch *epoch,
                                    const ModelRunResult *result, int64_t texts);

/* A model with all its seeds. */
typedef struct ModelResult {
    const char *name;
    int64_t params, params_without_embedding;
    ModelRunResult first;  /* seeds[0] */
    ModelRunResult *seeds; /* [num_seeds], one or more */
    int num_seeds;
    ModelSpread best, last;             /* of F1, over the seeds that finished an epoch */
    ModelSpread macro, micro, accuracy; /* of what is delivered, over the same */
    ModelSpread tuned;                  /* of macro F1, over those of them with a validation part */
} ModelResult;

/* The model that a run delivers, which is its best.npz: from which epoch (0: none), and what it comes to on
 * the test part (NAN: there is none), with its own thresholds. */
typedef struct ModelDelivered {
    int epoch;
    double macro_f1, micro_f1, accuracy;
} ModelDelivered;

/* What a run delivers: the model chosen on validation data, or else that of the best epoch. */
ModelDelivered model_run_delivered(const ModelRunResult *run);

/* results.json. */
typedef struct ModelResults {
    int format;
    const char *data;      /* the path that was given */
    const char *data_hash; /* NULL: not known */
    const char *task;      /* model_task_name(); NULL: multilabel */
    int64_t rows, train, valid, test, labels, vocab, max_len;
    int64_t seed; /* the first */
    int64_t threads, shards, batch;
    double lr;
    bool notebook;
    const char *best_f1_is;
    ModelResult *models; /* [num_models] */
    int num_models;
    ModelEnsemble ensemble; /* of all of them; members 0: none */
} ModelResults;

/* The facts about the data. */
void model_results_set_dataset(ModelResults *results, const ModelDataset *dataset);
/* Groups runs, in which the seeds of one model follow one another, rising, as models; the runs are borrowed.
 * An error: no memory. */
ReelStatus model_results_set_runs(ModelResults *results, ModelRunResult *runs, int count, TensorArena *arena);

/* Writes `path`, whole or not at all. */
ReelStatus model_results_write(const ModelResults *results, const char *path);
/* Reads what this version or an earlier one wrote; strings and lists go to the arena. Errors: no such file,
 * no JSON, no models in it, no memory. */
ReelStatus model_results_read(ModelResults *results, const char *path, TensorArena *arena);

REEL_END_DECLS

#endif

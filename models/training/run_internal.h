/* A run at work, for the files that work on it: run.c trains, run_pretrain.c makes the first weights,
 * run_init.c begins from a model, run_files.c keeps the checkpoints. */
#ifndef REEL_MODELS_RUN_INTERNAL_H
#define REEL_MODELS_RUN_INTERNAL_H

#include "models/text/subword_dropout.h"
#include "models/training/predictions_internal.h"
#include "models/training/run.h"
#include "models/training/saver.h"
#include "models/training/training_state.h"
#include "tensor/clock.h"

typedef struct Run {
    const ModelRunOptions *options;
    const ModelRunWatcher *watcher;
    const ModelDataset *dataset;
    const ModelKind *kind;
    Model *model;
    ModelTrainer *trainer;
    ModelLoader loader;
    ModelSubwordDropout dropout; /* where options.bpe_dropout asks for it */
    ModelRunResult *result;
    ModelTrainingState at; /* where it is */
    ModelLabelLoss loss;
    ModelPredictions valid; /* after the last epoch */
    bool diverged;          /* an error is that of a loss, of logits or of weights that are not numbers */
    ModelSaver *saver;      /* NULL: no files */
    NnSnapshot best;        /* the best weights, where they are not yet on their way to the file */
    bool best_waits;
    NnSnapshot unknown;    /* members of the file it went on from that are not Reel's */
    double started, saved; /* when this process began, and when it last wrote */
    double seconds_before; /* that earlier processes took */
    int64_t batches_done;  /* by this process */
    double measured_from;  /* when the first of them was done */
    bool pretrained;       /* by this process */
} Run;

/* The seconds that the run has taken, those of earlier processes too. */
static inline double model_run_seconds(const Run *run)
{
    return run->seconds_before + reel_clock_seconds() - run->started;
}

/* Whether the watcher wants to end. */
static inline bool model_run_wants_stop(const Run *run)
{
    return run->watcher && run->watcher->stop && run->watcher->stop(run->watcher->context);
}

/* ---- Pretraining ---- */

/* Trains the model that is there as a language model; result->interrupted says whether it was stopped, with
 * FOLDER/<model>.pretrained.npz to go on from. */
ReelStatus model_run_pretrain(Run *run);
/* Removes that file, unless the run goes on from it. */
void model_run_forget_pretraining(Run *run, bool resumes);

/* ---- Beginning from a model ---- */

/* Gives the model that is there the weights of files->init; rows that its file does not have stay as they
 * are. Errors: another model, words or labels that do not come first in the data set. */
ReelStatus model_run_load_init(Run *run);

/* ---- Its checkpoints ---- */

enum { MODEL_RUN_PATH_SIZE = 4096 };

/* FOLDER/<model>.KIND.npz; empty where the run has no files. */
void model_run_path(const Run *run, const char *kind, char path[MODEL_RUN_PATH_SIZE]);
/* Opens the file to go on from and reads where it is; *npz is NULL where there is none of this run. */
ReelStatus model_run_open_last(Run *run, TensorNpz **npz);
/* Keeps the weights after an epoch, where it is the best or the last `keep` are kept. */
ReelStatus model_run_after_epoch(Run *run, const ModelRunEpoch *epoch);
/* Whether `last` is to be written now, after a batch or (at.batch is 0) an epoch. */
bool model_run_save_is_due(const Run *run);
/* Hands `last` to the thread that writes, and the best weights before it. Nothing where there are no files.
 */
ReelStatus model_run_save_last(Run *run);
/* Waits for what is being written. A failure goes to *status, unless there is one. */
void model_run_close_files(Run *run, ReelStatus *status);

#endif

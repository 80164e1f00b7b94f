/* A run at work, for the two files that work on it: run.c trains, run_files.c keeps its checkpoints. */
#ifndef REEL_MODELS_RUN_INTERNAL_H
#define REEL_MODELS_RUN_INTERNAL_H

#include "models/text/subword_dropout.h"
#include "models/training/run.h"
#include "models/training/saver.h"
#include "models/training/training_state.h"

typedef struct Run {
    const RunOptions *options;
    const RunWatcher *watcher;
    const Dataset *dataset;
    const ModelKind *kind;
    Model *model;
    Trainer *trainer;
    Loader loader;
    SubwordDropout dropout; /* where options.bpe_dropout asks for it */
    RunResult *result;
    TrainingState at; /* where it is */
    LabelLoss loss;
    ModelPredictions valid; /* after the last epoch */
    bool diverged;          /* an error is that of a loss, of logits or of weights that are not numbers */
    Saver *saver;           /* NULL: no files */
    NnSnapshot best;        /* the best weights, where they are not yet on their way to the file */
    bool best_waits;
    NnSnapshot unknown;    /* members of the file it went on from that are not Reel's */
    double started, saved; /* when this process began, and when it last wrote */
    double seconds_before; /* that earlier processes took */
    int64_t batches_done;  /* by this process */
    double measured_from;  /* when the first of them was done */
} Run;

/* Takes back what has come of it. */
void run_forget_result(Run *run);

/* The seconds that the run has taken, those of earlier processes too. */
double run_seconds(const Run *run);

/* ---- Its checkpoints ---- */

/* Opens the file to go on from and reads where it is; *npz is NULL where there is none of this run. */
ReelStatus run_open_last(Run *run, TensorNpz **npz);
/* Keeps the weights after an epoch, where it is the best or the last `keep` are kept. */
ReelStatus run_after_epoch(Run *run, const RunEpoch *epoch);
/* Whether `last` is to be written now, after a batch or (at.batch is 0) an epoch. */
bool run_save_is_due(const Run *run);
/* Hands `last` to the thread that writes, and the best weights before it. Nothing where there are no files.
 */
ReelStatus run_save_last(Run *run);
/* Waits for what is being written. A failure goes to *status, unless there is one. */
void run_close_files(Run *run, ReelStatus *status);

#endif

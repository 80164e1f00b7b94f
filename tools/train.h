/* What the files of tools/train_zoo share: train_data.c reads what is trained on, train_begin.c what models
 * begin with, train_models.c trains them and writes what they came to, train_print.c tells of it. */
#ifndef REEL_TOOLS_TRAIN_H
#define REEL_TOOLS_TRAIN_H

#include "models/training/checkpoint.h"
#include "models/training/refit.h"
#include "tools/run_folder.h"

/* A run of several models, each from several seeds. */
typedef struct TrainJob {
    const ModelZooSettings *settings;
    NnComm *ranks;
    RunFolder *folder;
    const ModelKind *kinds[MODEL_ZOO_MAX_MODELS];
    int count;
    ModelRunOptions run;
    /* With --refit there are two of each: what the models are trained on; and the same with a validation
     * part, to choose by. Without, the second ones are empty and `choice` is NULL. */
    ModelDataset *dataset, *choice;
    int32_t begun_labels, begun_words; /* of the model that the run begins with; 0: none, or byte pairs */
    ModelPretrained vectors[2];        /* of their words */
    ModelPretraining pretraining[2];
} TrainJob;

/* Of a word that counts: "" or "s". */
static inline const char *train_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- The data ---- */

/* The data as ids; with --refit twice: whole, and with a validation part for the choice. With a model to
 * begin with they are read as it reads them, and its sizes are taken. */
ReelStatus train_read_data(TrainJob *job);

/* ---- What models begin with ---- */

/* What a model would refuse at its turn is refused before any has trained. */
ReelStatus train_check_models(const TrainJob *job);
/* Reads --vectors for the words of the data sets. All models must have embeddings of one width. */
ReelStatus train_read_vectors(TrainJob *job);
/* Reads the texts of --pretrain as the data sets' pipelines have them, and adds those of their training
 * parts. */
ReelStatus train_read_language(TrainJob *job);

/* ---- Training ---- */

/* Trains all models, and writes results and report. */
ReelStatus train_models(const TrainJob *job);
/* Puts finished runs side by side. */
ReelStatus train_compare(const ModelZooSettings *s, const char *const *folders, int count);

/* ---- Telling ---- */

/* Before the data are read, which takes its time. */
void train_print_first(const ModelZooSettings *s, const NnComm *ranks);
void train_print_head(const TrainJob *job);
void train_warn_of_data(const ModelDataset *dataset);
void train_print_table(const ModelRunResult *results, int count, bool several_seeds, bool single);
/* What a validation part chose, and what that comes to. */
void train_print_tuned(const ModelTuned *tuned, bool single);

#endif

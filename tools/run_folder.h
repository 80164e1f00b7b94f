/* The folder of a run of train_zoo: its lock, and settings.json, by which --resume knows it again. */
#ifndef REEL_TOOLS_RUN_FOLDER_H
#define REEL_TOOLS_RUN_FOLDER_H

#include "models/text/subwords.h"
#include "tensor/arena.h"
#include "models/training/zoo_settings.h"

#include <limits.h>

/* What the folder holds about the run. */
typedef struct RunFolder {
    const char *data_path, *stop_words_path, *init_path, *vectors_path; /* absolute, of what was given */
    const char *data_hash, *fingerprint, *init_hash, *vectors_hash;     /* NULL: not known yet */
    const char *pretrain_path, *pretrain_hash;                          /* of several files, with commas */
    const char
        *run; /* the run's id in checkpoints of versions that did not name the settings there; or NULL */
    const char *written;                             /* settings.json as it stands; NULL: there is none */
    ModelRunSetting settings[MODEL_ZOO_MAX_OPTIONS]; /* that the models depend on */
    TensorArena arena;                               /* of strings that were read */
    int lock;                                        /* held while the run is on; -1: none */
    bool reads_only;                                 /* another rank locks and writes */
} RunFolder;

void run_folder_init(RunFolder *folder);
void run_folder_free(RunFolder *folder);
/* FOLDER/NAME, in `path`; a folder that could be made leaves room. */
const char *run_folder_path(const char *folder, const char *name, char path[PATH_MAX]);
/* Makes a folder and those above it. */
ReelStatus run_folder_make(const char *path);
/* Keeps other runs out until run_folder_free(). */
ReelStatus run_folder_lock(RunFolder *folder, const char *path);
/* Replaces the settings by those of the folder that --resume names, but for those that were given and change
 * no model. An error: one that was given and would change it; it is named. */
ReelStatus run_folder_read_settings(RunFolder *folder, ModelZooSettings *s, const bool *given);
/* Writes settings.json. Of a new run, and removes before what another run has left in the folder: its
 * results, and the files that these models would go on from. Of one that goes on, where it has new settings,
 * after a look at whether the data are the same. `files` gets what a run is known by. */
ReelStatus run_folder_settle(RunFolder *folder, const ModelZooSettings *s, const ModelKind *const *kinds,
                             int count, const ModelDataset *dataset, ModelRunFiles *files);

#endif

/* The folder of a run of train_zoo: its lock, and settings.json, by which --resume knows it again. */
#ifndef REEL_TOOLS_RUN_FOLDER_H
#define REEL_TOOLS_RUN_FOLDER_H

#include "models/text/subwords.h"
#include "tensor/arena.h"
#include "tools/zoo_settings.h"

/* What the folder holds about the run. */
typedef struct RunFolder {
    const char *data_path, *stop_words_path, *init_path; /* absolute, of what was given */
    const char *data_hash, *fingerprint;
    Arena arena;       /* of strings that were read */
    Subwords subwords; /* what --tokenizer bpe has learned */
    int lock;          /* held while the run is on; -1: none */
} RunFolder;

void run_folder_init(RunFolder *folder);
void run_folder_free(RunFolder *folder);
/* Makes a folder and those above it. */
Status run_folder_make(const char *path);
/* Keeps other runs out until run_folder_free(). */
Status run_folder_lock(RunFolder *folder, const char *path);
/* Replaces the settings by those of the folder that --resume names. */
Status run_folder_read_settings(RunFolder *folder, ZooSettings *s);
/* Writes settings.json (of a new run) and removes the results of another run in the folder, or checks that it
 * says what is so (of one that goes on); either way `files` gets the run's id. */
Status run_folder_settle(RunFolder *folder, const ZooSettings *s, const Dataset *dataset, RunFiles *files);

#endif

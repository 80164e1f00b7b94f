/* Writes checkpoints on a thread of its own, while training goes on.
 *
 * Files appear in the order in which they were given, so that one that refers to an earlier one is never
 * there without it. After a failure nothing more is written. */
#ifndef REEL_MODELS_SAVER_H
#define REEL_MODELS_SAVER_H

#include "nn/state_dict.h"

REEL_BEGIN_DECLS

/* A writer in the background. */
typedef struct ModelSaver ModelSaver;

/* Starts one; its options are those of the files that it writes. */
ReelStatus model_saver_new(ModelSaver **saver, TensorNpzOptions options);
/* Waits for what is being written; returns the first failure. NULL is allowed. */
ReelStatus model_saver_free(ModelSaver *saver);

/* An empty snapshot to be filled; waits until one is free. The first failure so far is in *status, and the
 * result is then NULL. */
NnSnapshot *model_saver_begin(ModelSaver *saver, ReelStatus *status);
/* Gives the snapshot to the thread, to be written to `path`; afterwards `remove` (may be NULL) is deleted. */
ReelStatus model_saver_submit(ModelSaver *saver, NnSnapshot *snapshot, const char *path, const char *remove);
/* Whether model_saver_begin() would not have to wait. */
bool model_saver_is_idle(ModelSaver *saver);

REEL_END_DECLS

#endif

/* The settings of a run in the file that it goes on from, by their names: what the weights there came from.
 */
#ifndef REEL_MODELS_RUN_SETTINGS_H
#define REEL_MODELS_RUN_SETTINGS_H

#include "models/training/run.h"
#include "nn/state_dict.h"

REEL_BEGIN_DECLS

/* The member that holds them. */
#define MODEL_RUN_SETTINGS "reel/settings.json"

/* Adds the settings to a file to be; nothing where there are none. */
void model_run_settings_snapshot(NnSnapshot *snapshot, const ModelRunFiles *files);
/* Whether the run may go on from a file: it has the same settings, or, where one of the two names none, the
 * same id, which is `id` in the file. An error names what differs. */
ReelStatus model_run_settings_check(const TensorNpz *npz, const ModelRunFiles *files, const char *id);
/* The same of the file at `path`, before anything is begun; a file that is not there is no error. */
ReelStatus model_run_settings_check_file(const char *path, const ModelRunFiles *files);

REEL_END_DECLS

#endif

/* How a run begins from a model: ModelRunFiles.init. A file of train_zoo's brings its words and labels, to
 * which the data add theirs: the data set is read with ModelDatasetOptions.begin, and rows are appended to
 * the embedding and to the output layer. A bare state_dict brings weights alone, which must fit. */
#ifndef REEL_MODELS_RUN_INIT_H
#define REEL_MODELS_RUN_INIT_H

#include "models/training/checkpoint.h"
#include "models/training/run.h"

REEL_BEGIN_DECLS

/* What the file says beside weights, for model_checkpoint_free(); *first is NULL where that is nothing, and
 * where there is no file to begin with. Errors: those of model_checkpoint_load_from(). */
ReelStatus model_run_read_init(ModelCheckpoint **first, const ModelRunFiles *files);
/* Gives the run the sizes of the model that it begins with. Errors: a model of another kind or that reads in
 * another way; sizes that were asked for and are others. */
ReelStatus model_run_take_init(ModelRunOptions *options, const ModelKind *kind, const ModelCheckpoint *first);

REEL_END_DECLS

#endif

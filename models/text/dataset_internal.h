/* What data sets share with the cache. */
#ifndef REEL_MODELS_DATASET_INTERNAL_H
#define REEL_MODELS_DATASET_INTERNAL_H

#include "models/text/dataset.h"

/* As model_dataset_new(), with the ids in a file, from its beginning on, which stays the caller's to close:
 * (*dataset)->file. */
ReelStatus model_dataset_new_in_file(ModelDataset **dataset, const ModelCorpus *corpus, const char *name,
                                     const ModelDatasetOptions *options, int fd, const char *path);

#endif

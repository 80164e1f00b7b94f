/* Data sets in files: for corpora that are larger than memory, and so that the next run need not read its
 * data again. The ids of the texts stay in the file; what is counted by the row (labels, lengths) is in
 * memory.
 *
 * NAME.data has ids, offsets, labels and rows of the parts, NAME.npz the rest with a CRC-32 of them; NAME is
 * made of the paths and the options. Whoever makes them holds the lock NAME.lock, and others wait: ranks of
 * one machine, or several programs, make them once. They are written beside and renamed, the head last. */
#ifndef REEL_MODELS_CACHE_H
#define REEL_MODELS_CACHE_H

#include "models/text/dataset.h"

REEL_BEGIN_DECLS

enum { MODEL_CACHE_WHY_SIZE = 200 };

/* The files of one data set. */
typedef struct ModelCache {
    char *head, *data;              /* paths */
    char *key;                      /* what they must have been made from, and how */
    int lock;                       /* -1: not locked */
    char why[MODEL_CACHE_WHY_SIZE]; /* why they are made anew though they are there; or empty */
} ModelCache;

/* Waits for the lock. `folder` must be there. Errors: a file that is not there, the folder, no memory;
 * options with texts or a tokenizer that a file cannot have (keep_texts, fit) are wrong usage.
 * model_cache_close() after an error too. */
ReelStatus model_cache_open(ModelCache *cache, const char *folder, const char *path,
                            const ModelDatasetOptions *options);
void model_cache_close(ModelCache *cache);
/* *dataset is NULL where there is none, or one of other data (by size and time of change) or damaged, which
 * cache->why tells. Errors: no memory. */
ReelStatus model_cache_load(ModelCache *cache, ModelDataset **dataset);
/* Makes a data set, whose ids are in the file. Errors: those of model_dataset_new(), a full disk. */
ReelStatus model_cache_make(ModelCache *cache, ModelDataset **dataset, const ModelCorpus *corpus,
                            const char *name, const ModelDatasetOptions *options);

REEL_END_DECLS

#endif

/* Learns word vectors from texts: skip-gram with negative sampling (Mikolov et al. 2013, arXiv 1310.4546),
 * with the pieces of words where they are asked for (Bojanowski et al. 2017, arXiv 1607.04606).
 *
 * Of each text, frequent words are dropped at random, once an epoch (word w is kept with probability
 * sqrt(t / f) + t / f, f its frequency: that of the original program). Each word left is predicted from those
 * up to b places before and behind it, b drawn from 1 to `window`, against `negative` words that are drawn
 * with their frequency to the power 3/4. An update takes `batch` words, by plain SGD with the sum of their
 * losses; the rate falls in a line to `least_lr`. What is drawn depends on seed, epoch and shard, so that a
 * run ends in the same bytes on any number of threads, and also where it was interrupted. */
#ifndef REEL_MODELS_SKIP_GRAM_H
#define REEL_MODELS_SKIP_GRAM_H

#include "models/vectors/sentences.h"
#include "tensor/arena.h"
#include "tensor/decls.h"
#include "tensor/status.h"
#include "tensor/view.h"

#include <stdbool.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct ModelSkipGramOptions {
    int64_t width; /* of the vectors */
    int window, negative, epochs;
    double sample; /* t: above this frequency words are dropped; 0: none are */
    double lr, least_lr;
    int batch, shards, threads;
    uint64_t seed;
    int buckets;              /* rows for the pieces of words; 0: words alone */
    int min_piece, max_piece; /* their lengths in characters, "<" and ">" around the word included */
} ModelSkipGramOptions;

/* The original program's: width 100, window 5, 5 negatives, 5 epochs, t 1e-3, rate 0.025 to 1e-4; updates of
 * 64 words in 2 shards. */
ModelSkipGramOptions model_skip_gram_defaults(void);

/* A model and where its training is. */
typedef struct ModelSkipGram ModelSkipGram;

/* What a watcher sees, after every update. */
typedef struct ModelSkipGramProgress {
    int epoch, epochs;    /* from 1 */
    int64_t words, total; /* predicted of this epoch */
    double loss;          /* mean for each pair of words, over the last thousand updates or so */
    double seconds;       /* of this process's training */
    int64_t words_in_all; /* predicted in them */
} ModelSkipGramProgress;

/* Called after each update; false ends the training in good order. */
typedef bool ModelSkipGramWatcher(void *context, const ModelSkipGramProgress *progress);

/* The sentences must outlive the model. Errors: an option out of range, no memory. */
ReelStatus model_skip_gram_new(ModelSkipGram **model, const ModelSentences *sentences,
                               const ModelSkipGramOptions *options);
void model_skip_gram_free(ModelSkipGram *model);
/* Trains to the end, or until the watcher (may be NULL) says so; *finished tells which. Errors: a loss that
 * is not a number, no memory. */
ReelStatus model_skip_gram_train(ModelSkipGram *model, ModelSkipGramWatcher *watcher, void *context,
                                 bool *finished);
/* The vectors of all words, f32 [V, width]. Invalid where there is no memory. */
Tensor model_skip_gram_vectors(const ModelSkipGram *model, TensorArena *arena);

/* Writes all that training needs to go on; the file appears whole or not at all. */
ReelStatus model_skip_gram_save(ModelSkipGram *model, const char *path);
/* Goes on from there. Errors: the file is of other texts or other options. */
ReelStatus model_skip_gram_load(ModelSkipGram *model, const char *path);

REEL_END_DECLS

#endif

/* Learns what comes next in texts: any encoder that makes states of them, and a softmax over the vocabulary
 * on top, adaptive where that is large (Grave et al. 2017, arXiv 1609.04309). The order of the texts and all
 * that is drawn depend on seed and epoch, so that a run ends in the same bytes on any number of threads, and
 * also where it was interrupted. */
#ifndef REEL_MODELS_LANGUAGE_H
#define REEL_MODELS_LANGUAGE_H

#include "models/language/language_texts.h"
#include "nn/nn.h"

REEL_BEGIN_DECLS

/* The states of a packed batch of ids. Of one direction [N, H]: row t knows the ids up to t. Of both [N, 2H]:
 * the first half does, the second half knows those from t on. */
typedef NnSequence ModelLanguageStates(void *context, NnSequence ids);

/* What turns ids into states; its module gets the gradients. */
typedef struct ModelLanguageEncoder {
    NnModule *module;
    ModelLanguageStates *states;
    void *context;
    int64_t width; /* H */
    bool both;     /* directions: the second half predicts the id before */
} ModelLanguageEncoder;

typedef struct ModelLanguageOptions {
    int batch;  /* texts an update */
    int length; /* ids that are predicted in one go; a longer text is cut into several */
    int epochs;
    double lr;      /* of Adam; falls to 0 by half a cosine */
    double clip;    /* global norm of the gradients; 0: off */
    double dropout; /* of the states */
    bool full;      /* a full softmax, whatever the vocabulary */
    int shards, threads;
    NnComm *comm; /* the ranks; NULL: this process alone */
    uint64_t seed;
} ModelLanguageOptions;

/* Batches of 64 texts, 128 ids, 1 epoch, lr 2e-3, clipped to 1, no dropout; 2 shards, 1 thread. */
ModelLanguageOptions model_language_defaults(void);

/* A language model and where its training is. */
typedef struct ModelLanguage ModelLanguage;

/* What a watcher sees, after every update. */
typedef struct ModelLanguageProgress {
    int epoch, epochs; /* from 1 */
    int64_t batch, batches;
    double loss;    /* mean for each id predicted in this epoch so far; exp of it is the perplexity */
    double seconds; /* of this process's training */
    int64_t tokens; /* predicted in them */
} ModelLanguageProgress;

/* Called after each update; false ends the training in good order. */
typedef bool ModelLanguageWatcher(void *context, const ModelLanguageProgress *progress);

/* First values of the softmax are drawn; those of the encoder are the caller's. The model takes the encoder's
 * module as a part and frees its values with its own. The texts must outlive it; `ids`: V. Errors: an option
 * out of range, no texts, an id that is not below V, no memory. */
ReelStatus model_language_new(ModelLanguage **model, ModelLanguageEncoder encoder, int32_t ids,
                              const ModelLanguageTexts *texts, const ModelLanguageOptions *options);
/* The same without texts and training, for a model whose weights are read by nn_load_from(); `order` as in
 * model_language_order(). */
ReelStatus model_language_restore(ModelLanguage **model, ModelLanguageEncoder encoder, int32_t ids,
                                  const int32_t *order, const ModelLanguageOptions *options);
void model_language_free(ModelLanguage *model);

/* Encoder and softmax as one module. */
NnModule *model_language_module(ModelLanguage *model);
/* [V]: the class of each id, the most frequent id first. */
const int32_t *model_language_order(const ModelLanguage *model);
/* Where its training is: from 1; behind the last one when it is done. */
int model_language_epoch(const ModelLanguage *model);
/* How many ids an epoch predicts. */
int64_t model_language_tokens(const ModelLanguage *model);

/* Trains up to the end of `epoch` (from 1; the last one: options.epochs), or until the watcher (may be NULL)
 * says so; *finished tells which. Errors: a loss that is not a number, no memory. */
ReelStatus model_language_train(ModelLanguage *model, int epoch, ModelLanguageWatcher *watcher, void *context,
                                bool *finished);
/* The mean loss for each id of other texts: exp of it is their perplexity. *tokens (may be NULL): how many
 * ids were predicted. Dropout is off. */
ReelStatus model_language_evaluate(ModelLanguage *model, const ModelLanguageTexts *texts, double *loss,
                                   int64_t *tokens);
/* The log probabilities of the next id after each state [N, H], in the order of the ids, to scores [N, V].
 * False: an error is on the tape. */
bool model_language_log_prob(ModelLanguage *model, Var states, float *scores);

/* Writes all that training needs to go on, deflated at zlib's level `level`; the file appears whole or not at
 * all. */
ReelStatus model_language_save(ModelLanguage *model, const char *path, int level);
/* Goes on from there. Errors: the file is of other texts or other options. */
ReelStatus model_language_load(ModelLanguage *model, const char *path);

REEL_END_DECLS

#endif

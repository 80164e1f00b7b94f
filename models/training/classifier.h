/* A text classifier in a program of one's own: texts and labels from memory, a model out of the zoo, and the
 * settings of train_zoo (models/training/zoo_settings.h) by their names.
 *
 *     ModelClassifier *c;
 *     ReelStatus status = model_classifier_new(&c);
 *     if (reel_status_is_ok(&status))
 *         status = model_classifier_fit(c, texts, count, labels, NULL);
 *     if (reel_status_is_ok(&status))
 *         status = model_classifier_predict(c, others, 2, probabilities, chosen);
 *     model_classifier_free(c);
 *
 * Texts and labels are UTF-8 and end in NUL. One thread at a time may use a classifier. */
#ifndef REEL_MODELS_CLASSIFIER_H
#define REEL_MODELS_CLASSIFIER_H

#include "models/training/run.h"
#include "models/training/zoo_settings.h"
#include "tensor/bytes.h"

REEL_BEGIN_DECLS

/* A classifier: settings, and once it is fitted or loaded a model. */
typedef struct ModelClassifier ModelClassifier;

/* One with the settings of --models best. Errors: no memory. */
ReelStatus model_classifier_new(ModelClassifier **classifier);
/* NULL is allowed. */
void model_classifier_free(ModelClassifier *classifier);

/* Sets an option of train_zoo, without its dashes; `models` names one model. The value of a switch is "on" or
 * "off". What was not set is as the model of --models best has it, or else as train_zoo's help says; nothing
 * is kept for testing. Errors: no such option, one that is about files, a value that cannot be. */
ReelStatus model_classifier_set(ModelClassifier *classifier, const char *name, const char *value);
/* Describes the options that there are; returns how many. */
int model_classifier_options(ModelClassifier *classifier, ModelOption options[MODEL_ZOO_MAX_OPTIONS]);
/* Who looks on while it trains, and may stop it: it keeps the best model so far. */
void model_classifier_watch(ModelClassifier *classifier, ModelRunWatcher watcher);

/* Trains a new model on `count` texts. The labels of text i are labels[label_offsets[i]] up to
 * labels[label_offsets[i + 1] - 1]; label_offsets NULL: labels[i] is its only one, or NULL, none. Where each
 * text has exactly one, the task is to find that one, unless `task` says otherwise.
 * The option `init` begins with the model of a file, whose words and labels stay, as training on it does.
 * Nothing is kept of texts and labels. A model that was there stays where this fails. Errors: those of
 * model_dataset_new() and model_run_model(), a text or label that is not UTF-8, an empty label or one with a
 * tab or a line end, stopped before the first epoch was over. */
ReelStatus model_classifier_fit(ModelClassifier *classifier, const char *const *texts, int64_t count,
                                const char *const *labels, const int64_t *label_offsets);

/* Whether there is a model. What follows needs one, and says so in an error where it is missing. */
bool model_classifier_is_fitted(const ModelClassifier *classifier);
/* Whether a text has exactly one label: probabilities add up to 1, and one answer is chosen. */
bool model_classifier_is_single(const ModelClassifier *classifier);
/* K, and the name of label k; they are in the order of their bytes, behind those of the model that `init` has
 * begun with. Without a model 0 and "". */
int32_t model_classifier_num_labels(const ModelClassifier *classifier);
const char *model_classifier_label(const ModelClassifier *classifier, int32_t k);
/* Probabilities and answers, both [count, K] or NULL, where label k of text i is at i K + k. */
ReelStatus model_classifier_predict(ModelClassifier *classifier, const char *const *texts, int64_t count,
                                    float *probabilities, bool *chosen);
/* The width W of what the output layer reads, and these vectors of texts: [count, W]. */
int64_t model_classifier_width(const ModelClassifier *classifier);
ReelStatus model_classifier_vectors(ModelClassifier *classifier, const char *const *texts, int64_t count,
                                    float *vectors);

/* The model as a file that tools/predict reads, on disk or in memory, which is empty at first. */
ReelStatus model_classifier_save(const ModelClassifier *classifier, const char *path);
ReelStatus model_classifier_to_bytes(const ModelClassifier *classifier, ReelBytes *bytes);
/* Takes the model of a file, also one of train_zoo's; settings stay. Errors: those of
 * model_checkpoint_load(); a model that was there then stays. */
ReelStatus model_classifier_load(ModelClassifier *classifier, const char *path);
ReelStatus model_classifier_from_bytes(ModelClassifier *classifier, const void *data, size_t size);

REEL_END_DECLS

#endif

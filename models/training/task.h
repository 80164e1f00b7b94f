/* What differs between the two tasks, any number of labels a text or exactly one: the loss, the score that a
 * decision is made by, the probability. Whoever counts, chooses, draws or prints asks here. */
#ifndef REEL_MODELS_TASK_H
#define REEL_MODELS_TASK_H

#include "autograd/ops.h"
#include "models/text/pipeline.h"

REEL_BEGIN_DECLS

/* The sum over texts and labels of the loss of logits [B, K] against zeros and ones [B, K]; pos_weight [K] is
 * of a label's true examples, weight [K] of all its decisions (VAR_NONE: 1). */
typedef Var ModelLossFunction(Var logits, Var truth, Var pos_weight, Var weight);

/* A decision for each label by itself: sigmoids with binary cross-entropy. */
ModelLossFunction model_loss_sigmoid;
/* One among all: softmax with cross-entropy. A weight of a label is that of the texts that bear it. */
ModelLossFunction model_loss_softmax;

/* "multilabel", "single". */
const char *model_task_name(ModelTask task);

/* Makes scores of the logits of texts, [texts, labels], in place: a label is predicted where its score is
 * above its threshold. Of any number of labels they are the logits. Of exactly one a score is the distance to
 * the best other logit, so that with thresholds of 0 the greatest is predicted, of equal ones the first; a
 * text with a NaN among its logits gets NaN. */
void model_task_scores(ModelTask task, float *logits, int64_t texts, int32_t labels);
/* The probabilities of a text's labels: each by itself, or adding up to 1. */
void model_task_probabilities(ModelTask task, const float *logits, int32_t labels, double *probabilities);

REEL_END_DECLS

#endif

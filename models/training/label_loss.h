/* How a run's loss weighs its labels, so that a step of the optimizer does not depend on how many there are,
 * how frequent they are, or how --pos-weight weighs them. */
#ifndef REEL_MODELS_LABEL_LOSS_H
#define REEL_MODELS_LABEL_LOSS_H

#include "models/model.h"
#include "models/text/dataset.h"
#include "models/training/task.h"

REEL_BEGIN_DECLS

/* How a loss is made from the labels' losses. A run keeps the form that it began with. */
typedef enum ModelLossForm {
    MODEL_LOSS_MEAN, /* the mean over texts and labels, as version 0.1.0 had it */
    MODEL_LOSS_SUM   /* a mean over texts and a sum over labels, whose curvature is bounded */
} ModelLossForm;

/* What is minimized. Where a text has one label, the most probable one is the answer of both; sigmoids
 * were more accurate for each of the models that were measured, by little for some (docs/notes/results.md).
 */
typedef enum ModelLossKind {
    MODEL_LOSS_SIGMOID, /* binary cross-entropy of each label by itself */
    MODEL_LOSS_SOFTMAX  /* cross-entropy of all of them: for one label a text */
} ModelLossKind;

/* A label of frequency p, whose true examples count w times as much, has the loss
 *
 *   l = u (w y softplus(-z) + (1 - y) softplus(z))        w = ((1 - p) / p)^power
 *
 * At the best constant logit, ln(w p / (1 - p)), where training starts, its curvature is u w p (1 - p) / (1 -
 * p + w p): u = (1 - p + w p) / w makes that p (1 - p) whatever the weights are. For a power of at most 1 no
 * example then counts more than twice; for a larger one u is made so much smaller.
 *
 * That is at most 1/4, which a label's own row of the output layer bears. The layers that the labels share
 * feel the sum of the curvatures; the gradient that is followed is that of sum l / (57 max(1, sum p (1 - p) /
 * 4)): see label_loss.c.
 *
 * Softmax has the gradient of the sum of sigmoids' losses, p - y, and is divided likewise. Its weights are u
 * w, the same for all decisions of a text, with a u that makes their mean over texts 1 and the largest at
 * most 2. */
typedef struct ModelLabelLoss {
    ModelLossFunction *function;
    float *pos_weight, *weight; /* [K] w, u; NULL: 1. Softmax: u w, and no u */
    double labels;              /* what the sum over labels is divided by; 0: K */
    double decisions;           /* of a text: K, or 1 of softmax, over which a mean loss is taken */
    double base;                /* the mean loss of the best constant logits */
} ModelLabelLoss;

/* From a training part. An error: no memory. */
ReelStatus model_label_loss_init(ModelLabelLoss *loss, ModelLossKind kind, ModelLossForm form,
                                 const ModelDatasetPart *part, double power);
void model_label_loss_free(ModelLabelLoss *loss);
/* Moves an output bias from the labels' log-odds to the best constant logits. */
void model_label_loss_shift_bias(const ModelLabelLoss *loss, ModelLossForm form, Model *model);

REEL_END_DECLS

#endif

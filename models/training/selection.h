/* What a validation part decides: the best epoch and the thresholds; and what these come to on the test part,
 * which has no say in it. */
#ifndef REEL_MODELS_SELECTION_H
#define REEL_MODELS_SELECTION_H

#include "models/text/dataset.h"
#include "models/training/bootstrap.h"
#include "models/training/metrics.h"
#include "models/training/trainer.h"

REEL_BEGIN_DECLS

typedef struct SelectionOptions {
    int patience;    /* the run ends after so many epochs without a better one; 0: never */
    double strength; /* of the shrinkage of each label's own threshold; INFINITY: one for all labels */
} SelectionOptions;

/* All zeros: nothing is selected yet. */
typedef struct Selection {
    int epoch;           /* from 1; 0: none */
    double valid_f1;     /* macro F1 on the validation part at the one best threshold */
    double threshold;    /* that threshold, of logits */
    double *thresholds;  /* [K] what is used: of logits */
    float *valid_logits; /* [valid.count, K] after the selected epoch; NULL: not at hand */
    float *test_logits;  /* [test.count, K] */
    double tuned_f1;     /* macro F1 on the test part with `thresholds` */
    double tuned_micro_f1;
    Interval tuned_interval; /* 95 % of tuned_f1 over other test texts */
} Selection;

/* Frees the thresholds. */
void selection_free(Selection *selection);
/* Room for the thresholds, all 0. */
ReelStatus selection_reserve(Selection *selection, int32_t num_labels);

/* After an epoch: tunes a threshold on the validation part, and where the macro F1 is better than that of
 * every epoch before, selects the epoch. */
ReelStatus selection_consider(Selection *selection, const SelectionOptions *options, Trainer *trainer,
                              const Dataset *dataset, int batch, bool pad, int epoch);
/* Fills in the test part's figures with the thresholds that are there. */
ReelStatus selection_test(Selection *selection, Trainer *trainer, const Dataset *dataset, int batch,
                          bool pad);

/* What thresholds [K] come to on scores and truth [N, K]: macro and micro F1, and the 95 % interval of macro
 * F1. Errors: no memory, other shapes. */
ReelStatus thresholds_test(Tensor scores, Tensor truth, const double *thresholds, double *macro_f1,
                           double *micro_f1, Interval *interval);

/* The logits of a whole part in its order, [count, K]. `pad` as in LoaderOptions. */
ReelStatus predict_part(Trainer *trainer, const DatasetPart *part, int batch, bool pad, float *logits);

REEL_END_DECLS

#endif

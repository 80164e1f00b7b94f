/* What a validation part decides: the best epoch and the thresholds; and what these come to on the test part,
 * which has no say in it. */
#ifndef REEL_MODELS_SELECTION_H
#define REEL_MODELS_SELECTION_H

#include "models/text/dataset.h"
#include "models/training/bootstrap.h"
#include "models/training/calibration.h"
#include "models/training/metrics.h"

REEL_BEGIN_DECLS

typedef struct ModelSelectionOptions {
    ModelMetric metric; /* decides */
    int patience;       /* the run ends after so many epochs without a better one; 0: never */
    double
        strength; /* of the shrinkage of each label's own threshold and calibration; INFINITY: one for all */
} ModelSelectionOptions;

/* What thresholds come to. */
typedef struct ModelTuned {
    double valid_score; /* the metric on the validation part at the one best threshold; log loss < 0 */
    double valid_f1;    /* macro F1 there */
    double threshold;   /* that threshold, of logits */
    double macro_f1, micro_f1, accuracy; /* on the test part with it, or with each label's */
    ModelInterval interval;              /* 95 % of macro_f1 over other test texts */
    ModelCalibrationLine line;           /* of the calibration, for all labels; slope 0: there is none */
    double error_before, error;          /* expected calibration error on the test part without it, with it */
} ModelTuned;

/* All zeros: nothing is selected yet. */
typedef struct ModelSelection {
    int epoch; /* from 1; 0: none */
    ModelTuned tuned;
    double *thresholds;  /* [K] what is used: of logits */
    double *calibration; /* [5, K] fitted to valid_logits; NULL where thresholds are */
    float *valid_logits; /* [valid.count, K] after the selected epoch; NULL: not at hand */
    float *test_logits;  /* [test.count, K] */
} ModelSelection;

/* Frees the thresholds. */
void model_selection_free(ModelSelection *selection);
/* Room for the thresholds, all 0, and for a calibration, which is none. */
ReelStatus model_selection_reserve(ModelSelection *selection, int32_t num_labels);

/* After an epoch, with its logits of the two parts: tunes a threshold on the validation part, and where the
 * metric is better than that of every epoch before, selects the epoch. */
ReelStatus model_selection_consider(ModelSelection *selection, const ModelSelectionOptions *options,
                                    const ModelDataset *dataset, const float *valid, const float *test,
                                    int epoch);
/* Takes the choice of an earlier run, and tries it on the test part. */
ReelStatus model_selection_take(ModelSelection *selection, const ModelSelection *chosen,
                                const ModelDataset *dataset, const float *test);

/* Tunes thresholds [K] on a part's logits [count, K]: `valid_f1` and `threshold`; 0 where a text has one
 * label. Where that F1 is not above that of *tuned, nothing is changed. Errors: no memory. */
ReelStatus model_thresholds_tune(ModelTuned *tuned, double *thresholds, const float *logits,
                                 const ModelDatasetPart *part, const ModelSelectionOptions *options);
/* What thresholds come to on a part's logits: the other figures, which are NAN where the part is empty.
 * Errors: no memory. */
ReelStatus model_thresholds_test(ModelTuned *tuned, const double *thresholds, const float *logits,
                                 const ModelDatasetPart *part);

REEL_END_DECLS

#endif

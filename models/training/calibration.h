/* Probabilities that can be believed, fitted on a validation part: log-odds a z + b of a logit z instead of z
 * (Platt 1999, "Probabilistic Outputs for Support Vector Machines"), a and b for each label drawn to common
 * ones; where a text has one label, softmax of a z with one a (Guo et al. 2017, "On Calibration of Modern
 * Neural Networks", arXiv 1706.04599). Since a > 0, no order and no decision changes. */
#ifndef REEL_MODELS_CALIBRATION_H
#define REEL_MODELS_CALIBRATION_H

#include "models/text/dataset.h"
#include "models/training/task.h"

REEL_BEGIN_DECLS

/* The same for all labels. */
typedef struct ModelCalibrationLine {
    double slope, shift;
} ModelCalibrationLine;

/* Fits `calibration`, f64 [2, K], the labels' slopes and their shifts, and what they have in common, to a
 * part's logits [count, K]. A label's own line counts as much as it has true examples, the common one as much
 * as `strength`, as its threshold (models/training/threshold.h). A slope that is not above 0 says that the
 * logits tell nothing: a label then has the common line, and the common one is 1, 0, no calibration. Errors:
 * no memory. */
ReelStatus model_calibration_fit(double *calibration, ModelCalibrationLine *common, const float *logits,
                                 const ModelDatasetPart *part, double strength);
/* Makes calibrated log-odds of the logits of texts, in place; NULL: leaves them. */
void model_calibration_apply(const double *calibration, float *logits, int64_t texts, int32_t labels);

/* Of decisions whose probability is said to lie in a tenth of [0, 1]. */
typedef struct ModelReliabilityBin {
    int64_t count; /* how many they are */
    double said;   /* the sum of what is said */
    int64_t right; /* and how many are true */
} ModelReliabilityBin;

enum { MODEL_RELIABILITY_BINS = 10 };

/* What is said against what is: of all decisions, or, where a text has one label, of the most probable one.
 */
typedef struct ModelReliability {
    ModelReliabilityBin bins[MODEL_RELIABILITY_BINS];
} ModelReliability;

/* Adds a part's logits [count, K] with a calibration (NULL: none). An error: no memory. */
ReelStatus model_reliability_add(ModelReliability *reliability, const double *calibration,
                                 const float *logits, const ModelDatasetPart *part);
/* The expected calibration error: the mean over decisions of how far what is said in their bin lies from what
 * is. 0 where there is none. */
double model_reliability_error(const ModelReliabilityBin bins[MODEL_RELIABILITY_BINS]);

REEL_END_DECLS

#endif

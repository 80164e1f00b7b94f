/* Probabilities that can be believed, fitted on a validation part: log-odds of u = a z + b of a logit z
 * (Platt 1999, "Probabilistic Outputs for Support Vector Machines"), a and b for each label drawn to common
 * ones, and then d ln(1 + e^u) - c ln(1 + e^-u) + e, a curve with the slope c far below 0 and d far above it
 * (Kull et al. 2017, "Beta calibration"), the same for all labels: models that are too sure of what they deny
 * are not so of what they assert. Where a text has one label, softmax of a z with one a (Guo et al. 2017, "On
 * Calibration of Modern Neural Networks", arXiv 1706.04599). Since slopes are above 0, no order of a label's
 * texts and no decision changes. */
#ifndef REEL_MODELS_CALIBRATION_H
#define REEL_MODELS_CALIBRATION_H

#include "models/text/dataset.h"
#include "models/training/task.h"

REEL_BEGIN_DECLS

/* The same for all labels. */
typedef struct ModelCalibrationLine {
    double slope, shift;
    double below, above, bend; /* of the curve; where `below` is not above 0 there is none */
} ModelCalibrationLine;

/* The rows of a calibration, f64 [5, K], each with a number for each label: a, b; c, d, e. The first two
 * alone are a calibration of lines. */
typedef enum ModelCalibrationRow {
    MODEL_CALIBRATION_SLOPE,
    MODEL_CALIBRATION_SHIFT,
    MODEL_CALIBRATION_BELOW,
    MODEL_CALIBRATION_ABOVE,
    MODEL_CALIBRATION_BEND,
    MODEL_CALIBRATION_ROWS
} ModelCalibrationRow;

/* One that changes nothing, or only by the lines that are there. */
void model_calibration_straighten(double *calibration, int32_t labels);
/* Whether all numbers are finite, and slopes above 0. */
bool model_calibration_is_sound(const double *calibration, int32_t labels);
/* What a logit is made of by what labels have in common; the logit where there is no calibration. */
double model_calibration_common(const ModelCalibrationLine *line, double logit);
/* What label k's logit is made of; NULL: the logit. */
double model_calibration_log_odds(const double *calibration, int32_t labels, int32_t k, double logit);
/* The logit that such log-odds, finite ones, are made of. */
double model_calibration_logit(const double *calibration, int32_t labels, int32_t k, double log_odds);

/* Fits `calibration`, f64 [5, K], and the line that labels have in common, to a part's logits [count, K]. A
 * label's own line counts as much as it has true examples, the common one as much as `strength`, as its
 * threshold (models/training/threshold.h). A slope that is not above 0 says that the logits tell nothing: a
 * label then has the common line, and the common one is 1, 0, no calibration; nor is there a curve without
 * two such slopes. Errors: no memory. */
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

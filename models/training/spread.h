/* Mean and spread of a few values, such as the seeds of one model. */
#ifndef REEL_MODELS_SPREAD_H
#define REEL_MODELS_SPREAD_H

#include "tensor/decls.h"

REEL_BEGIN_DECLS

typedef struct ModelSpread {
    double mean, sd; /* sample standard deviation (n - 1); 0 for one value */
    double low, high;
    int n;
} ModelSpread;

/* All zeros where there is no value. */
ModelSpread model_spread_of(const double *values, int n);
/* The median; sorts the values. NaN where there is none. */
double model_spread_median(double *values, int n);

REEL_END_DECLS

#endif

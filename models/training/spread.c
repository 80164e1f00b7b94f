#include "models/training/spread.h"

#include <math.h>
#include <stdlib.h>

ModelSpread model_spread_of(const double *values, int n)
{
    ModelSpread spread = {.n = n};
    if (n < 1)
        return spread;
    spread.low = spread.high = values[0];
    for (int i = 0; i < n; i++) {
        spread.mean += values[i] / n;
        spread.low = fmin(spread.low, values[i]);
        spread.high = fmax(spread.high, values[i]);
    }
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += (values[i] - spread.mean) * (values[i] - spread.mean);
    spread.sd = n > 1 ? sqrt(squares / (n - 1)) : 0;
    return spread;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double model_spread_median(double *values, int n)
{
    if (n < 1)
        return NAN;
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

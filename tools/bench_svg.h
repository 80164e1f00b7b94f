/* Draws curves on logarithmic axes as SVG. */
#ifndef REEL_TOOLS_BENCH_SVG_H
#define REEL_TOOLS_BENCH_SVG_H

#include "tensor/status.h"

#include <stdbool.h>

enum { SVG_MAX_POINTS = 32, SVG_MAX_CURVES = 16 };

typedef struct SvgCurve {
    const char *name;
    int count;
    double x[SVG_MAX_POINTS], y[SVG_MAX_POINTS]; /* above 0; others are left out */
} SvgCurve;

typedef struct SvgPanel {
    const char *title, *x_label, *y_label; /* with units */
    bool base_2;                           /* marks on the x axis at powers of 2, otherwise of 10 */
    int count;
    SvgCurve curves[SVG_MAX_CURVES];
} SvgPanel;

/* Writes the panels to `path`, two in a row. */
ReelStatus svg_write(const char *path, const SvgPanel *panels, int count);

#endif

/* A line on the terminal that is drawn anew: how far a program is, and how fast. */
#ifndef REEL_TOOLS_METER_H
#define REEL_TOOLS_METER_H

#include "tensor/decls.h"

#include <stdbool.h>

/* Whether a file is a terminal on which lines can be drawn anew: one that TERM does not call dumb. */
bool meter_can_draw(int fd);
/* The same, and the user has not asked for text without colours (NO_COLOR). */
bool meter_has_colours(int fd);

typedef struct Meter {
    bool shown; /* it can be drawn on the standard error */
    bool drawn; /* there is a line */
    double start, last;
} Meter;

/* Starts the clock. */
Meter meter_start(void);
double meter_seconds(const Meter *meter);
/* Whether a line is due: where it can be seen, and not oftener than ten times a second. */
bool meter_is_due(Meter *meter);
/* Draws the line over the last one. */
void meter_draw(Meter *meter, const char *format, ...) REEL_PRINTF(2, 3);
/* Takes the line away. */
void meter_clear(Meter *meter);

#endif

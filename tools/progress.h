/* The progress of training: the line of each finished epoch, and on a terminal one live line a model with the
 * loss as a sparkline. */
#ifndef REEL_TOOLS_PROGRESS_H
#define REEL_TOOLS_PROGRESS_H

#include "models/training/run.h"

#include <stdbool.h>
#include <stdio.h>

enum { PROGRESS_CELLS = 14, PROGRESS_LINE_SIZE = 512 };

/* Seconds after which a line is written where none can be drawn anew. */
enum { PROGRESS_SILENCE = 30 };

typedef struct Progress {
    FILE *out;
    bool live;      /* redraw a line: out is a terminal */
    bool colour;    /* of the sparkline and the best epoch */
    bool utf8;      /* the sparkline in block characters, otherwise in ASCII */
    bool quiet;     /* nothing but results */
    bool impatient; /* reading will take long: say so at once */
    int width;      /* of the terminal, in columns */

    /* Of the model at hand. */
    const char *model;
    double sums[PROGRESS_CELLS]; /* of the loss of the batches that fall into each cell */
    int counts[PROGRESS_CELLS];
    double best_f1, last_loss;
    int best_epoch, last_epoch;
    double drawn, began;
} Progress;

/* Writes to stdout. Live where stdout and stderr are terminals that can redraw a line (TERM is not dumb); in
 * colour unless NO_COLOR is set; block characters where the locale's encoding is UTF-8. */
void progress_init(Progress *progress, bool quiet);
/* What is done with the data before training, where that takes long; where lines stay, only now and
 * then. */
void progress_reading(Progress *progress, const char *doing, int64_t done, int64_t rows);
/* Draws the live line, or the line of a finished epoch. */
void progress_show(Progress *progress, const ModelRunProgress *at);
/* Ends the reading, or a model: takes the live line away and leaves one that sums a model up. */
void progress_clear(Progress *progress);

/* The parts, for tests. */

/* One character a value (the cells with a count), from the lowest to the highest; "" where there is none. */
char *progress_sparkline(const Progress *progress, char *text, size_t size);
/* "0:07", "12:34", "1:02:03". */
char *progress_clock(double seconds, char text[32]);
/* The live line without escape codes, at most as many columns as the terminal has, less one. */
char *progress_line(const Progress *progress, const ModelRunProgress *at, char text[PROGRESS_LINE_SIZE]);

#endif

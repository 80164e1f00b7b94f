/* The progress of training, on a terminal or in a file. */
#ifndef REEL_TOOLS_PROGRESS_H
#define REEL_TOOLS_PROGRESS_H

#include "models/run.h"

#include <stdbool.h>

typedef struct Progress {
    bool bar;   /* redraw a line: stderr is a terminal */
    bool quiet; /* nothing but results */
    double drawn;
} Progress;

/* A bar where stderr is a terminal, none otherwise. */
void progress_init(Progress *progress, bool quiet);
/* Draws the bar, or the line of a finished epoch. */
void progress_show(Progress *progress, const RunProgress *at);
/* Takes the bar away. */
void progress_clear(Progress *progress);

#endif

/* What a program does while it trains on texts for long: it shows how far it is, saves now and then what
 * --resume goes on from, and ends after the step in hand when it is asked to (Ctrl-C, kill). */
#ifndef REEL_TOOLS_TRAINING_WATCH_H
#define REEL_TOOLS_TRAINING_WATCH_H

#include "tools/meter.h"

#include "tensor/status.h"

#include <stdbool.h>

enum { TRAINING_WATCH_PATH_SIZE = 4096 };

/* Saves what --resume needs. */
typedef ReelStatus TrainingWatchSaver(void *context, const char *path);

typedef struct TrainingWatch {
    char state_path[TRAINING_WATCH_PATH_SIZE]; /* OUT.state.npz */
    TrainingWatchSaver *save;
    void *context; /* of `save` */
    bool quiet;
    Meter meter;
    double shown, saved;
    ReelStatus status; /* of saving */
} TrainingWatch;

/* Catches what asks for an end (tools/interrupt.h). Errors: the path is too long. */
ReelStatus training_watch_begin(TrainingWatch *watch, const char *out, bool quiet);
/* Whether a line is due: at the end of an epoch; on a terminal, where it is drawn anew, often, elsewhere now
 * and then. */
bool training_watch_is_due(TrainingWatch *watch, bool at_end);
void training_watch_show(TrainingWatch *watch, bool at_end, const char *format, ...) REEL_PRINTF(3, 4);
/* After a step: saves where it is time to. False: no further step. */
bool training_watch_goes_on(TrainingWatch *watch);
/* After the training: says how to go on, or, where all is done (`out` is written), removes the state. */
void training_watch_end(const TrainingWatch *watch);

#endif

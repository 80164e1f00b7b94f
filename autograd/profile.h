/* What steps take: time, memory and products of each op, each module and each line.
 *
 * tape_profile(tape, true), some steps, tape_profile(tape, false), and then the figures as a table, as a file
 * for a browser's viewer of traces, or one by one. A use of an op takes 96 bytes of notes, so measure some
 * steps and not an epoch. Steps on several tapes (shards) are measured tape by tape. */
#ifndef REEL_AUTOGRAD_PROFILE_H
#define REEL_AUTOGRAD_PROFILE_H

#include "autograd/tape.h"

REEL_BEGIN_DECLS

/* What rows of figures are of. */
typedef enum {
    TAPE_PROFILE_OPS,     /* "linear" */
    TAPE_PROFILE_MODULES, /* "encoder.layers.0", with all its parts; "" is the whole */
    TAPE_PROFILE_LINES    /* "model.c:12", the calls in the user's code */
} TapeProfileKind;

/* Without what other rows of its kind have inside it: an op whose gradient is made of other ops counts
 * what it does itself. */
typedef struct TapeProfileCost {
    int64_t calls;
    double seconds;
    int64_t bytes;      /* of the step's memory that were taken and not given back */
    int64_t operations; /* floating-point ones in matrix products (tensor/flops.h) */
} TapeProfileCost;

typedef struct TapeProfileRow {
    const char *name;
    TapeProfileCost forward, backward;
} TapeProfileRow;

/* Measures from now on, and forgets what was measured before; or stops. Off (as a new tape is) it costs
 * nothing. False: there is no memory, and nothing is measured. */
bool tape_profile(Tape *tape, bool on);
/* The figures so far: ops and lines by time, the most first; modules in the order of their first use, each
 * before its parts. `count` gets their number. They live until the next call, or the tape's end. NULL where
 * nothing was measured or there is no memory. */
const TapeProfileRow *tape_profile_rows(Tape *tape, TapeProfileKind kind, int *count);
/* Writes a file, whole or not at all. "NAME.json": each use of an op on a line of time, inside its modules,
 * in Chrome's trace format, for ui.perfetto.dev or chrome://tracing. Any other name: the three tables, as
 * text. Errors: nothing was measured; I/O. */
ReelStatus tape_profile_save(Tape *tape, const char *path);

REEL_END_DECLS

#endif

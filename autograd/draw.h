/* A picture of the step that is on a tape. */
#ifndef REEL_AUTOGRAD_DRAW_H
#define REEL_AUTOGRAD_DRAW_H

#include "autograd/tape.h"

REEL_BEGIN_DECLS

/* Writes what the tape holds to a file, whole or not at all. By the path's ending:
 * - ".html": one page that needs nothing else, for a browser. A row for each leaf and each use of an op, with
 * its shapes, its bytes and the line of the user's code that made it; modules are frames, which fold; lines
 * lead from values to where they are used. Pointing at a row shows the way of its gradient, from the loss.
 * Where the step was measured (tape_profile()), its times stand there too.
 * - ".dot" or ".gv": the same as a graph for Graphviz, modules as clusters.
 * Modules must still be there. Errors: another ending; I/O; no memory. A tape with an error is drawn as far
 * as it came. */
ReelStatus tape_draw(const Tape *tape, const char *path);

REEL_END_DECLS

#endif

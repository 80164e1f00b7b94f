/* The fixture of suites that work on one tape and with an arena for what they keep: new for each test, freed
 * after it, when nothing may be left. */
#ifndef REEL_TESTS_TAPE_SUPPORT_H
#define REEL_TESTS_TAPE_SUPPORT_H

#include "autograd/tape.h"
#include "tensor/arena.h"

extern TensorArena arena;
extern Tape *tape; /* in its first step */

void tape_set_up(void);
void tape_tear_down(void);

#endif

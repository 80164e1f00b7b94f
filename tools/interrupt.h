/* How a program that trains is asked to end: Ctrl-C and kill end it after the step in hand, a second one at
 * once. */
#ifndef REEL_TOOLS_INTERRUPT_H
#define REEL_TOOLS_INTERRUPT_H

#include "nn/comm.h"

#include <stdbool.h>

/* Catches SIGINT and SIGTERM. Among `ranks` (or NULL) also SIGUSR1, which mpirun hands on; then what one of
 * them catches all know at the same place of the program. */
void interrupt_catch(NnComm *ranks);
/* nn_comm_close(), after which a signal no longer goes to the ranks: the first is only noted, a second one
 * ends the program at once, as before. */
void interrupt_close(NnComm *ranks);
/* After a step: whether to end. The context (of a watcher) is not looked at. */
bool interrupt_asked(void *context);
/* The signal that has asked, as of the last time that was looked; 0: none. */
int interrupt_signal(void);
/* A program's exit code, of which an interruption makes what a shell tells it by. */
int interrupt_exit_code(int code);

#endif

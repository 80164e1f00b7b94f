#include "tools/interrupt.h"

#include <signal.h>

static NnComm *volatile among;
static volatile sig_atomic_t interrupted; /* by this signal; 0: not yet */

static void on_interrupt(int signal)
{
    nn_comm_raise(among, signal);
    if (nn_comm_size(among) == 1)
        interrupted = signal;
}

void interrupt_catch(NnComm *ranks)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    among = ranks;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (ranks)
        sigaction(SIGUSR1, &action, NULL); /* which mpirun hands on, while SIGKILL follows its SIGTERM */
}

void interrupt_close(NnComm *ranks)
{
    among = NULL; /* the handlers stay, and ranks that are closed are not there to be told */
    nn_comm_close(ranks);
}

bool interrupt_asked(void *context)
{
    (void)context;
    if (nn_comm_size(among) > 1)
        interrupted = nn_comm_raised(among);
    return interrupted != 0;
}

int interrupt_signal(void)
{
    return interrupted;
}

int interrupt_exit_code(int code)
{
    return code == 0 && interrupted ? 128 + interrupted : code; /* as a shell tells it */
}

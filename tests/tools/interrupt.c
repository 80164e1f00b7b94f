/* tools/interrupt: a signal after the ranks are closed. tests/tools/ranks.c and tests/tools/resume.c
 * interrupt programs. */
#include "tools/interrupt.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program on ranks that sends itself so many signals after it has closed them. Returns how it ended. */
static int end_of(int ranks, int signals)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        char name[] = "program", option[] = "--ranks", number[] = {(char)('0' + ranks), '\0'};
        char *arguments[] = {name, option, number, NULL}, **argv = arguments;
        int argc = 3;
        NnComm *comm;
        ReelStatus opened = nn_comm_open(&comm, &argc, &argv);
        if (!reel_status_is_ok(&opened))
            _exit(1);
        interrupt_catch(comm);
        interrupt_close(comm);
        for (int i = 0; i < signals; i++)
            raise(SIGINT);
        _exit(interrupt_signal() == SIGINT ? 40 : 41);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Of what the ranks were nothing is read or written any more. */
START_TEST(a_signal_after_the_ranks_are_closed_is_noted)
{
    ck_assert_int_eq(end_of(_i, 1), 40);
}
END_TEST

START_TEST(a_second_one_ends_the_program_at_once)
{
    ck_assert_int_eq(end_of(1, 2), 256 + SIGINT);
}
END_TEST

Suite *tools_interrupt_suite(void);
Suite *tools_interrupt_suite(void)
{
    Suite *suite = suite_create("tools/interrupt");
    TCase *cases = tcase_create("after the ranks");
    tcase_add_loop_test(cases, a_signal_after_the_ranks_are_closed_is_noted, 1, 3);
    tcase_add_test(cases, a_second_one_ends_the_program_at_once);
    suite_add_tcase(suite, cases);
    return suite;
}

/* tools/meter: where a line can be drawn anew, and in colours. tests/tools/progress.c looks at what is drawn.
 */
#define _GNU_SOURCE /* posix_openpt() */
#include "tools/meter.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(a_dumb_terminal_gets_lines_alone)
{
    static const struct {
        const char *terminal, *no_colour;
        bool draws, colours;
    } cases[] = {{"xterm", NULL, true, true},  {"xterm", "", true, true}, {"xterm", "1", true, false},
                 {"dumb", NULL, false, false}, {"", NULL, false, false},  {NULL, NULL, false, false}};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), pipes[2];
    ck_assert_int_ge(terminal, 0);
    ck_assert_int_eq(pipe(pipes), 0);
    dup2(terminal, STDERR_FILENO);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsetenv("TERM");
        unsetenv("NO_COLOR");
        if (cases[i].terminal)
            setenv("TERM", cases[i].terminal, 1);
        if (cases[i].no_colour)
            setenv("NO_COLOR", cases[i].no_colour, 1);
        ck_assert_int_eq(meter_can_draw(terminal), cases[i].draws);
        ck_assert_int_eq(meter_has_colours(terminal), cases[i].colours);
        ck_assert_int_eq(meter_start().shown, cases[i].draws);
        ck_assert(!meter_can_draw(pipes[1]) && !meter_has_colours(pipes[1]));
    }
    close(pipes[0]);
    close(pipes[1]);
    close(terminal);
}
END_TEST

Suite *tools_meter_suite(void);
Suite *tools_meter_suite(void)
{
    Suite *suite = suite_create("tools/meter");
    TCase *cases = tcase_create("meter");
    tcase_add_test(cases, a_dumb_terminal_gets_lines_alone);
    suite_add_tcase(suite, cases);
    return suite;
}

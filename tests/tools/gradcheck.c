/* tools/gradcheck as a user runs it: the table, JSON, and the exit codes. */
#include "autograd/ops.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char output[20000];

/* Runs the program; returns its exit code, with what it wrote in `output`. */
static int run(const char *arguments)
{
    char command[1000];
    const char *folder = getenv("REEL_TOOLS");
    snprintf(command, sizeof command, "%s/gradcheck %s 2>&1", folder ? folder : "tools", arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t used = fread(output, 1, sizeof output - 1, pipe);
    output[used] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(the_table_has_a_line_for_each_op)
{
    ck_assert_int_eq(run("--seeds 1 --seed 5"), 0);
    for (int i = 0; i < op_count(); i++) {
        char line[100];
        snprintf(line, sizeof line, "\n%-16s ", op_at(i)->name);
        ck_assert_msg(strstr(output, line), "no line for %s", op_at(i)->name);
    }
    ck_assert_ptr_nonnull(strstr(output, " 0 wrong"));
    ck_assert_ptr_null(strstr(output, "WRONG"));
}
END_TEST

START_TEST(one_op_in_json)
{
    ck_assert_int_eq(run("--op mul --json"), 0);
    ck_assert_ptr_nonnull(strstr(output, "{\"op\": \"mul\", \"layouts\": 9, "));
    ck_assert_ptr_nonnull(strstr(output, "\"ok\": true}"));
    ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
}
END_TEST

START_TEST(help_and_wrong_usage)
{
    ck_assert_int_eq(run("--help"), 0);
    ck_assert_ptr_nonnull(strstr(output, "usage: gradcheck"));
    const char *const wrong[] = {"--op nosuch", "--op",       "--seed x", "--seed -1",
                                 "--seeds 0",   "--nonsense", "mul"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(run(wrong[i]) == 2, "%s", wrong[i]);
        ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1); /* one line */
    }
}
END_TEST

Suite *tools_gradcheck_suite(void);
Suite *tools_gradcheck_suite(void)
{
    Suite *suite = suite_create("tools/gradcheck");
    TCase *cases = tcase_create("gradcheck");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, the_table_has_a_line_for_each_op);
    tcase_add_test(cases, one_op_in_json);
    tcase_add_test(cases, help_and_wrong_usage);
    suite_add_tcase(suite, cases);
    return suite;
}

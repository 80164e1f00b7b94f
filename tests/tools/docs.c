/* The programs in the pages of docs/ and under docs/examples/: the Makefile compiles them as a user would,
 * and here they are run. A page's program must print what the page says that it prints. */
#include "tests/shell_support.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROGRAMS = 256, NAME_SIZE = 64 };
static char programs[MAX_PROGRAMS][NAME_SIZE];

static int read_programs(void)
{
    char path[512];
    int count = 0;
    const char *folder = getenv("REEL_DOCS");
    snprintf(path, sizeof path, "%s/programs", folder ? folder : "");
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (count < MAX_PROGRAMS && fscanf(file, "%63s", programs[count]) == 1)
        count++;
    fclose(file);
    return count;
}

START_TEST(a_program_of_a_page_runs_and_prints_what_the_page_says)
{
    const char *docs = shell_setting("REEL_DOCS"), *name = programs[_i];
    shell_must("'%s/pages/%s'", docs, name);
    if (shell_run("[ -e '%s/pages/%s.expected' ]", docs, name) == 0)
        shell_must("'%s/pages/%s' | diff '%s/pages/%s.expected' -", docs, name, docs, name);
}
END_TEST

START_TEST(the_examples_run)
{
    glob_t found;
    if (glob("docs/examples/*.c", 0, NULL, &found) != 0)
        found.gl_pathc = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        shell_must("'%s/../%.*s'", shell_setting("REEL_DOCS"), (int)strlen(path) - 2, path);
        ck_assert_msg(strlen(shell_output()) > 0, "%s prints nothing", path);
    }
    globfree(&found);
}
END_TEST

START_TEST(there_are_programs)
{
    ck_assert_int_gt(read_programs(), 0);
    ck_assert_int_lt(read_programs(), MAX_PROGRAMS);
}
END_TEST

Suite *tools_docs_suite(void);
Suite *tools_docs_suite(void)
{
    Suite *suite = suite_create("tools/docs");
    TCase *tcase = tcase_create("docs");
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, there_are_programs);
    tcase_add_loop_test(tcase, a_program_of_a_page_runs_and_prints_what_the_page_says, 0, read_programs());
    tcase_add_test(tcase, the_examples_run);
    suite_add_tcase(suite, tcase);
    return suite;
}

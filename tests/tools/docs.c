/* The programs in the pages of docs/ and under docs/examples/: the Makefile compiles them as a user would,
 * and here they are run. A page's program must print what the page says that it prints. */
#include "tests/shell_support.h"

#include <check.h>
#include <glob.h>
#include <math.h>
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

/* Examples that learn: of the last number behind the label, what it must lie between. */
static const struct {
    const char *name, *arguments, *label;
    double low, high;
    int lines; /* fewer than these */
} learners[] = {
    {"char_lm", "", "step 100: ", 0, 1.0, 160}, /* bits a character; 7 at first */
    {"gru_classifier", "", "loss ", 0, 0.05, 160},
    {"numeric_mlp", "", "test error ", 0, 0.01, 160}, /* the variance of the data is 0.29 */
    {"gpt", "", "step 150: ", 0, 1.0, 120},
    {"tagger", "", "right: ", 0.97, 1, 120},
    {"translate", "", "right: ", 0.9, 1, 120},
    {"digits", "tests/fixtures/digits.npz", "right: ", 0.96, 1, 120},
    {"gradient_penalty", "", "centre ", 1.6, 2.4, 120},
    {"gradient_penalty", "", "slope ", 0.5, 1.1, 120}, /* of the points 0.8 */
};
enum { LEARNERS = sizeof learners / sizeof learners[0] };

START_TEST(the_examples_run)
{
    glob_t found;
    if (glob("docs/examples/*.c", 0, NULL, &found) != 0)
        found.gl_pathc = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i], *name = strrchr(path, '/') + 1;
        size_t length = strlen(name) - 2;
        int k = 0;
        while (k < LEARNERS && (strncmp(name, learners[k].name, length) != 0 || learners[k].name[length]))
            k++;
        if (k < LEARNERS)
            continue; /* the next test runs it */
        shell_must("'%s/../%.*s'", shell_setting("REEL_DOCS"), (int)strlen(path) - 2, path);
        ck_assert_msg(strlen(shell_output()) > 0, "%s prints nothing", path);
    }
    globfree(&found);
}
END_TEST

/* The number behind the last `label` of what a program printed. */
static double last_number(const char *label)
{
    double number = NAN;
    for (const char *at = shell_output(); (at = strstr(at, label)); at += strlen(label))
        number = strtod(at + strlen(label), NULL);
    return number;
}

START_TEST(an_example_learns_and_is_short)
{
    const char *docs = shell_setting("REEL_DOCS"), *name = learners[_i].name;
    shell_must("'%s/examples/%s' %s", docs, name, learners[_i].arguments);
    double number = last_number(learners[_i].label);
    ck_assert_msg(number >= learners[_i].low && number <= learners[_i].high, "%s%g in\n%s",
                  learners[_i].label, number, shell_output());
    shell_must("[ $(wc -l < 'docs/examples/%s.c') -lt %d ]", name, learners[_i].lines);
}
END_TEST

/* A loop of one's own, on ranks and threads: all that it prints is the same. */
START_TEST(ranks_and_threads_do_not_change_a_loss)
{
    const char *docs = shell_setting("REEL_DOCS"), *folder = shell_folder();
    shell_must("gru='%s/examples/gru_classifier'; data=tests/fixtures/debian_120.tsv; "
               "$gru $data 5 1 > '%s/one' && grep -q 'loss 0' '%s/one' && "
               "for ranks in 1 2 4; do for threads in 1 2; do "
               "$gru $data 5 $threads --ranks $ranks | cmp - '%s/one' || exit 1; done; done",
               docs, folder, folder, folder);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(files_that_are_not_there)
{
    const char *docs = shell_setting("REEL_DOCS");
    ck_assert_int_eq(shell_run("'%s/examples/char_lm' /no/such/file", docs), 1);
    ck_assert_int_eq(shell_run("'%s/examples/gru_classifier' /no/such/file", docs), 1);
    ck_assert_int_eq(shell_run("'%s/examples/digits' /no/such/file", docs), 1);
}
END_TEST

/* The messages of troubleshooting.md's table of the programs: what stands between the dots is looked for in
 * the sources, their strings joined where the layout has split them. */
START_TEST(messages_in_troubleshooting_are_those_of_the_sources)
{
    const char *folder = shell_folder();
    shell_must("cat tools/*.sh $(find tensor autograd nn models tools -name '*.c') | tr '\\n' ' ' | "
               "sed 's/\" *\"//g; s/\\\\\\(.\\)/\\1/g' > '%s/all'",
               folder);
    shell_must("sed -n '/^## Messages of the programs/,/^## Building/p' docs/troubleshooting.md | "
               "awk -F ' [|] ' '/^[|] `/ { print substr($1, 3) }' | sed 's/`, `/`\\n`/g' | "
               "sed 's/^`//; s/`$//; s/[.][.][.]/\\n/g' | grep ... > '%s/parts' && "
               "[ $(wc -l < '%s/parts') -gt 20 ] && while IFS= read -r part; do "
               "grep -qF -- \"$part\" '%s/all' || echo \"no such message: $part\"; done < '%s/parts'",
               folder, folder, folder, folder);
    ck_assert_str_eq(shell_output(), "");
    shell_remove_folder(folder);
}
END_TEST

START_TEST(every_page_is_in_the_books_contents)
{
    shell_must("cd docs && for page in *.md; do case $page in README.md|api.md) ;; "
               "*) grep -q \"($page)\" README.md || echo \"not in README.md: $page\" ;; esac; done");
    ck_assert_str_eq(shell_output(), "");
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
    tcase_add_test(tcase, messages_in_troubleshooting_are_those_of_the_sources);
    tcase_add_test(tcase, every_page_is_in_the_books_contents);
    tcase_add_test(tcase, the_examples_run);
    tcase_add_loop_test(tcase, an_example_learns_and_is_short, 0, LEARNERS);
    tcase_add_test(tcase, ranks_and_threads_do_not_change_a_loss);
    tcase_add_test(tcase, files_that_are_not_there);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* Runs every suite of the project with Check. An argument names the suites, with patterns
 * as of a shell: "tensor/v* nn/module". The last line is Check's own:
 * "100%: Checks: 240, Failures: 0, Errors: 0". Fails where a test failed, where none ran, and, with the
 * environment variable REEL_SKIPS=fail, where one was skipped (tests/skip_support.h). */
#include "tests/skip_support.h"

#include <check.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUITE(folder, file) Suite *folder##_##file##_suite(void);
#include "suites.h"
#undef SUITE

/* Check forks for every test, and looking for leaks when such a process ends takes a second each, ten minutes
 * in all. The suites count blocks themselves (reel_mem_stats()); the programs that they run are looked at. A
 * block that is too large is NULL, as it is without the sanitizer. */
const char *__asan_default_options(void); /* NOLINT: the sanitizer's name */
__attribute__((visibility("default"))) const char *__asan_default_options(void) /* NOLINT */
{
    return "detect_leaks=0:allocator_may_return_null=1";
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A suite must bear its file's name, or `make test SUITE=dir/name` would not find it. */
static int run_suite(SRunner *runner, const char *name)
{
    int before = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    double start = seconds();
    srunner_run(runner, name, NULL, CK_SILENT);
    int count = srunner_ntests_run(runner) - before;
    failed = srunner_ntests_failed(runner) - failed;
    printf("%-28s %4d checks %6.1f s%s\n", name, count, seconds() - start,
           failed  ? "  FAILED"
           : count ? ""
                   : "  NO TEST RAN");
    fflush(stdout);
    return count > 0;
}

/* Whether one of the patterns, which blanks separate, fits the name. */
static int is_wanted(const char *patterns, const char *name)
{
    for (const char *at = patterns + strspn(patterns, " "); *at; at += strspn(at, " ")) {
        char pattern[256];
        size_t length = strcspn(at, " ");
        snprintf(pattern, sizeof pattern, "%.*s", (int)length, at);
        if (fnmatch(pattern, name, 0) == 0)
            return 1;
        at += length;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        Suite *(*suite)(void);
    } suites[] = {
#define SUITE(folder, file) {#folder "/" #file, folder##_##file##_suite},
#include "suites.h"
#undef SUITE
    };
    SRunner *runner = srunner_create(NULL);
    const char *wanted = argc > 1 && *argv[1] ? argv[1] : NULL;
    int complete = 1, found = 0;
    skip_start();
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        srunner_add_suite(runner, suites[i].suite());
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (!wanted || is_wanted(wanted, suites[i].name)) {
            complete = run_suite(runner, suites[i].name) && complete;
            found = 1;
        }
    if (!found)
        fprintf(stderr, "no test ran: is there a suite '%s'?\n", wanted);
    int skipped = skip_report();
    srunner_print(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    const char *skips = getenv("REEL_SKIPS");
    if (skipped > 0 && skips && strcmp(skips, "fail") == 0) {
        fprintf(stderr, "%d skipped, which counts as failed here\n", skipped);
        return EXIT_FAILURE;
    }
    return failed == 0 && complete && found ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Suites that run Reel's programs, each test in a folder of its own. */
#ifndef REEL_TESTS_PROGRAM_SUPPORT_H
#define REEL_TESTS_PROGRAM_SUPPORT_H

#include "tests/shell_support.h"

/* The folder of the test at hand, and that of the programs. */
extern const char *folder, *tools;

/* A fixture, or the first and the last that a suite's own does. */
void program_setup(void);
void program_teardown(void);

/* The last command has printed this. */
void must_say(const char *part);
/* The best weights of two runs in the folder, and their results.json but for times, memory and threads, are
 * the same. */
void same_runs(const char *one, const char *other);

#endif

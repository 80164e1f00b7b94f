/* Tests that cannot run here: counted, shown, and failures in CI. */
#ifndef REEL_TESTS_SKIP_SUPPORT_H
#define REEL_TESTS_SKIP_SUPPORT_H

/* Notes that something was not tested, and why ("clang is not installed"). The caller then returns. Works
 * from the processes that Check forks. */
void test_skip(const char *reason);

/* For tests/run.c: before all tests; and after them, prints the reasons and returns how many there are. */
void skip_start(void);
int skip_report(void);

#endif

/* Tests that run commands. */
#ifndef REEL_TESTS_SHELL_SUPPORT_H
#define REEL_TESTS_SHELL_SUPPORT_H

#include "tensor/decls.h"

#include <stdbool.h>

/* Runs a command of the shell and gives its exit code (128 + n for signal n). What it printed, to stdout and
 * stderr, is in shell_output() until the next one. */
int shell_run(const char *format, ...) REEL_PRINTF(1, 2);
const char *shell_output(void);
/* The same for a command that must succeed: fails the test with what it printed. */
void shell_must(const char *format, ...) REEL_PRINTF(1, 2);
/* Whether a program is to be found. */
bool shell_has(const char *program);
/* A new empty folder, removed by shell_remove_folder() (or left behind by a test that fails). */
const char *shell_folder(void);
void shell_remove_folder(const char *folder);
/* An environment variable that the Makefile sets. */
const char *shell_setting(const char *name);

#endif

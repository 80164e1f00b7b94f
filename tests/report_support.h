/* Runs for the tests of reports. */
#ifndef REEL_TESTS_REPORT_SUPPORT_H
#define REEL_TESTS_REPORT_SUPPORT_H

/* Writes a run into an existing folder, with names that try to break out of the page: three models on made-up
 * data, `seeds` seeds each, whose best F1 are `gap` apart; with details (report.json) or without. */
void report_support_run(const char *folder, int seeds, double gap, int details);
/* The name of the first label: what must never appear unescaped. */
extern const char *const REPORT_SUPPORT_EVIL;

#endif

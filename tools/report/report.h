/* report.html: one page, without scripts or anything from a network, that compares the models of one or more
 * finished runs. */
#ifndef REEL_TOOLS_REPORT_H
#define REEL_TOOLS_REPORT_H

#include "tensor/decls.h"
#include "tensor/status.h"

REEL_BEGIN_DECLS

/* Reads the runs' folders (results.json, and report.json where there is one) and writes the page to `path`,
 * atomically. Errors: those of the files; no memory. */
ReelStatus report_write(const char *const *folders, int count, const char *path);
/* The same runs as a table on stdout. */
ReelStatus report_print(const char *const *folders, int count);

REEL_END_DECLS

#endif

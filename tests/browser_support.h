/* Debian's chromium, without a screen, for suites that look at a page. */
#ifndef REEL_TESTS_BROWSER_SUPPORT_H
#define REEL_TESTS_BROWSER_SUPPORT_H

#include "tests/shell_support.h"
#include "tests/skip_support.h"

/* The beginning of a command for shell_must(), whose next argument is a folder. */
#define CHROMIUM                                                                                             \
    "timeout 100 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run " \
    "--user-data-dir='%s/profile' "

/* Whether there is none: `what` is then skipped. */
static inline int browser_is_missing(const char *what)
{
    if (shell_has("chromium"))
        return 0;
    test_skip(what);
    return 1;
}

#endif

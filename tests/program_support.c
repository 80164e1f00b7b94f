#include "tests/program_support.h"

#include <check.h>
#include <string.h>

const char *folder, *tools;

void program_setup(void)
{
    folder = shell_folder();
    tools = shell_setting("REEL_TOOLS");
}

void program_teardown(void)
{
    shell_remove_folder(folder);
}

void must_say(const char *part)
{
    ck_assert_msg(strstr(shell_output(), part) != NULL, "'%s' is not in: %s", part, shell_output());
}

void same_runs(const char *one, const char *other)
{
    shell_must("cd '%s' && for f in %s/*.best.npz; do cmp $f %s/${f##*/} || exit 1; done && "
               "for run in %s %s; do grep -vE '\"(seconds|peak_rss_mb|threads)\"' $run/results.json > "
               "$run/compared; done && cmp %s/compared %s/compared",
               folder, one, other, one, other, one, other);
}

#include "tests/skip_support.h"

#include <stdio.h>
#include <stdlib.h>

/* A file without a name, which the forked tests inherit. */
static FILE *skips;

void skip_start(void)
{
    skips = tmpfile();
    if (!skips) {
        perror("tmpfile");
        exit(EXIT_FAILURE);
    }
}

void test_skip(const char *reason)
{
    fseek(skips, 0, SEEK_END);
    fprintf(skips, "%s\n", reason);
    fflush(skips);
}

int skip_report(void)
{
    char line[512];
    int count = 0;
    rewind(skips);
    while (fgets(line, sizeof line, skips)) {
        printf("skipped: %s", line);
        count++;
    }
    if (count)
        printf("%d skipped\n", count);
    fflush(stdout);
    fclose(skips);
    return count;
}

#include "tests/text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const TEXT_SUPPORT_DEBIAN = "tests/fixtures/debian_120.tsv";

static char last_path[200];

static void remove_last(void)
{
    if (last_path[0])
        unlink(last_path);
}

const char *text_support_file(const char *bytes, size_t size)
{
    const char *folder = getenv("TMPDIR");
    if (!last_path[0])
        atexit(remove_last);
    remove_last();
    snprintf(last_path, sizeof last_path, "%.150s/reel-text-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(last_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    return last_path;
}

ModelCorpus text_support_corpus(const char *tsv)
{
    ModelCorpus corpus;
    ck_assert_ok(model_corpus_parse(&corpus, "test.tsv", tsv, strlen(tsv), NULL));
    return corpus;
}

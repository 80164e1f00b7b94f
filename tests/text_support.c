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

const NnIds *text_support_texts(const int32_t *ids, const int32_t *offsets, int32_t count)
{
    static NnIds *texts;
    texts = realloc(texts, (size_t)(count > 0 ? count : 1) * sizeof *texts);
    for (int32_t i = 0; i < count; i++)
        texts[i] = (NnIds){ids + offsets[i], offsets[i + 1] - offsets[i]};
    return texts;
}

const NnIds *text_support_labels(Tensor matrix)
{
    static NnIds *labels;
    static int32_t *ids;
    labels = realloc(labels, ((size_t)matrix.shape[0] + 1) * sizeof *labels);
    ids = realloc(ids, ((size_t)tensor_numel(&matrix) + 1) * sizeof *ids);
    int32_t *to = ids;
    for (int64_t i = 0; i < matrix.shape[0]; i++) {
        labels[i] = (NnIds){.ids = to};
        for (int64_t k = 0; k < matrix.shape[1]; k++)
            if (tensor_get(&matrix, (int64_t[]){i, k}) != 0)
                *to++ = (int32_t)k;
        labels[i].count = (int32_t)(to - labels[i].ids);
    }
    return labels;
}

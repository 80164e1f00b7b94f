#define _GNU_SOURCE
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

typedef struct Part {
    BpeEncoder *encoder;
    const char *text;
    size_t size;
    BpeIds *ids, *ends;
    Status status;
} Part;

static void encode_part(void *context, int task)
{
    Part *part = &((Part *)context)[task];
    part->status = bpe_encode_lines(part->encoder, part->text, part->size, part->ids, part->ends);
}

/* Behind the first line feed from `at` on. */
static size_t line_border(const char *text, size_t size, size_t at)
{
    const char *feed = at < size ? memchr(text + at, '\n', size - at) : NULL;
    return feed ? (size_t)(feed - text) + 1 : size;
}

Status bpe_encode_parallel(BpeEncoder *const *encoders, int count, Pool *pool, const char *text, size_t size,
                           BpeIds *ids, BpeIds *ends)
{
    Part *parts = mem_calloc((size_t)count, sizeof *parts);
    if (!parts)
        return status_no_memory((size_t)count * sizeof *parts, "parts of a text");
    size_t begin = 0;
    for (int i = 0; i < count; i++) {
        size_t wanted = size / (size_t)count * (size_t)(i + 1), end = size;
        if (i + 1 < count)
            end = wanted > begin ? line_border(text, size, wanted - 1) : begin;
        parts[i] = (Part){encoders[i], text + begin, end - begin, &ids[i], &ends[i], status_ok()};
        begin = end;
    }
    pool_run(pool, encode_part, parts, count);
    Status status = status_ok();
    for (int i = 0; i < count && status_is_ok(&status); i++)
        status = parts[i].status;
    mem_free(parts);
    return status;
}

#define _GNU_SOURCE
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"

typedef struct Part {
    ModelBpeEncoder *encoder;
    const char *text;
    size_t size;
    ModelBpeIds *ids, *ends;
    ReelStatus status;
} Part;

static void encode_part(void *context, int task)
{
    Part *part = &((Part *)context)[task];
    part->status = model_bpe_encode_lines(part->encoder, part->text, part->size, part->ids, part->ends);
}

/* Behind the first line feed from `at` on. */
static size_t line_border(const char *text, size_t size, size_t at)
{
    const char *feed = at < size ? memchr(text + at, '\n', size - at) : NULL;
    return feed ? (size_t)(feed - text) + 1 : size;
}

ReelStatus model_bpe_encode_parallel(ModelBpeEncoder *const *encoders, int count, TensorPool *pool,
                                     const char *text, size_t size, ModelBpeIds *ids, ModelBpeIds *ends)
{
    Part *parts = reel_mem_calloc((size_t)count, sizeof *parts);
    if (!parts)
        return reel_status_no_memory((size_t)count * sizeof *parts, "parts of a text");
    size_t begin = 0;
    for (int i = 0; i < count; i++) {
        size_t wanted = size / (size_t)count * (size_t)(i + 1), end = size;
        if (i + 1 < count)
            end = wanted > begin ? line_border(text, size, wanted - 1) : begin;
        parts[i] = (Part){encoders[i], text + begin, end - begin, &ids[i], &ends[i], reel_status_ok()};
        begin = end;
    }
    tensor_pool_run(pool, encode_part, parts, count);
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < count && reel_status_is_ok(&status); i++)
        status = parts[i].status;
    reel_mem_free(parts);
    return status;
}

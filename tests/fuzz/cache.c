/* Fuzz target: any bytes, read as a cache (models/text/cache.h): two bytes say how many of those behind them
 * are its data, and the rest is its head. A crash, a leak, a read out of bounds or undefined behaviour is a
 * finding; so is a data set with an id, a label or an offset out of range, and an error where there should be
 * a reason to make the cache anew. */
#include "models/text/cache.h"
#include "models/text/loader.h"
#include "tensor/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void put(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    require(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void check(const ModelDataset *dataset, const ModelDatasetPart *part)
{
    ModelLoader loader;
    ModelBatch batch;
    ModelLoaderOptions options = {.batch = 3, .by_length = true};
    if (part->count == 0)
        return;
    ReelStatus status = model_loader_init(&loader, part, &options);
    require(reel_status_is_ok(&status));
    while (model_loader_next(&loader, &batch))
        for (int32_t i = 0; i < batch.size; i++) {
            for (int32_t k = 0; k < (int32_t)batch.texts[i].count; k++)
                require(batch.texts[i].ids[k] >= 0 &&
                        batch.texts[i].ids[k] < dataset->text.tokenizer.vocab_size);
            for (int32_t k = 0; k < (int32_t)batch.labels[i].count; k++)
                require(batch.labels[i].ids[k] >= 0 &&
                        batch.labels[i].ids[k] < model_dataset_num_classes(dataset));
        }
    require(reel_status_is_ok(&loader.status));
    model_loader_free(&loader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "fuzz";
    char head[64], values[64];
    size_t count = size < 2 ? 0 : data[0] + 256u * data[1];
    if (count + 2 > size)
        return 0;
    int64_t live = reel_mem_stats().live_blocks;
    snprintf(head, sizeof head, "/tmp/reel-fuzz-cache-%ld.npz", (long)getpid());
    snprintf(values, sizeof values, "/tmp/reel-fuzz-cache-%ld.data", (long)getpid());
    put(values, data + 2, count);
    put(head, data + 2 + count, size - 2 - count);
    ModelCache cache = {.head = head, .data = values, .key = (char *)(uintptr_t)key, .lock = -1};
    ModelDataset *dataset;
    ReelStatus status = model_cache_load(&cache, &dataset);
    require(reel_status_is_ok(&status) && (dataset != NULL) != (cache.why[0] != '\0') &&
            !strchr(cache.why, '\n'));
    if (dataset) {
        check(dataset, &dataset->train);
        check(dataset, &dataset->valid);
        check(dataset, &dataset->test);
    }
    model_dataset_free(dataset);
    unlink(head);
    unlink(values);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}

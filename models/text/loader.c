#include "models/text/loader.h"
#include "models/text/tokenizer.h"
#include "tensor/mem.h"
#include "tensor/random.h"

ModelLoaderOptions model_loader_defaults(void)
{
    return (ModelLoaderOptions){.batch = 64, .shuffle = true};
}

/* The order that stays from epoch to epoch; by length by counting. False: no memory. */
static bool put_in_order(ModelLoader *loader)
{
    const ModelDatasetPart *part = loader->part;
    int32_t most = part->longest, count = (int32_t)part->count;
    for (int32_t i = 0; i < count; i++)
        loader->order[i] = i;
    if (!loader->options.by_length)
        return true;
    int32_t *starts = reel_mem_calloc((size_t)most + 2, sizeof *starts);
    if (!starts)
        return false;
    for (int32_t i = 0; i < count; i++)
        starts[most - model_dataset_part_length(part, i) + 1]++;
    for (int32_t k = 1; k <= most + 1; k++)
        starts[k] += starts[k - 1];
    for (int32_t i = 0; i < count; i++)
        loader->order[starts[most - model_dataset_part_length(part, i)]++] = i;
    reel_mem_free(starts);
    return true;
}

size_t model_loader_most_ids(const ModelLoader *loader)
{
    int64_t batch = loader->options.batch < loader->part->count ? loader->options.batch : loader->part->count;
    size_t ids = 0;
    if (!loader->options.by_length || loader->options.pad)
        return (size_t)batch * (size_t)loader->part->longest;
    for (int64_t i = 0; i < batch; i++) /* by length the first one has the most */
        ids += (size_t)model_dataset_part_length(loader->part, loader->order[i]);
    return ids;
}

ReelStatus model_loader_init(ModelLoader *loader, const ModelDatasetPart *part,
                             const ModelLoaderOptions *options)
{
    *loader = (ModelLoader){.part = part, .options = *options, .status = reel_status_ok()};
    if (options->batch < 1)
        return reel_status_usage("a batch of %d examples cannot be loaded; ask for 1 or more",
                                 options->batch);
    /* No batch holds more than the whole part. */
    int64_t most = options->batch < part->count ? options->batch : part->count;
    if (most * part->longest > INT32_MAX)
        return reel_status_usage("a batch of %d texts of %d ids is too large; ask for a smaller one",
                                 options->batch, part->longest);
    size_t batch = (size_t)most, classes = part->label_offsets ? (size_t)part->num_classes : 0;
    loader->order = reel_mem_alloc((size_t)part->count * sizeof *loader->order);
    loader->offsets = reel_mem_alloc((batch + 1) * sizeof *loader->offsets);
    loader->labels = reel_mem_alloc(batch * classes * sizeof *loader->labels);
    bool fine = loader->order && loader->offsets && loader->labels && put_in_order(loader);
    size_t ids = fine ? model_loader_most_ids(loader) : 0;
    loader->ids = reel_mem_alloc(ids * sizeof *loader->ids);
    if (!fine || !loader->ids) {
        model_loader_free(loader);
        return reel_status_no_memory((ids + batch * classes) * sizeof(int32_t), "the batches");
    }
    model_loader_start_epoch(loader, 0);
    return reel_status_ok();
}

void model_loader_free(ModelLoader *loader)
{
    reel_mem_free(loader->order);
    reel_mem_free(loader->ids);
    reel_mem_free(loader->offsets);
    reel_mem_free(loader->labels);
    *loader = (ModelLoader){0};
}

int64_t model_loader_num_batches(const ModelLoader *loader)
{
    return (loader->part->count + loader->options.batch - 1) / loader->options.batch;
}

void model_loader_start_epoch(ModelLoader *loader, int64_t epoch)
{
    int32_t count = (int32_t)loader->part->count;
    loader->next = 0;
    if (loader->options.shuffle) {
        TensorRandom random =
            tensor_random_new(loader->options.seed, tensor_random_stream("loader") + (uint64_t)epoch);
        tensor_random_permutation(&random, loader->order, count);
    }
}

void model_loader_seek(ModelLoader *loader, int64_t batch)
{
    int64_t last = model_loader_num_batches(loader);
    batch = batch < 0 ? 0 : batch > last ? last : batch;
    loader->next = batch * loader->options.batch;
}

static int32_t longest_text(const ModelLoader *loader, const int32_t *examples, int32_t size)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < size; i++) {
        int32_t length = model_dataset_part_length(loader->part, examples[i]);
        longest = length > longest ? length : longest;
    }
    return longest;
}

bool model_loader_next(ModelLoader *loader, ModelBatch *batch)
{
    const ModelDatasetPart *part = loader->part;
    int64_t left = part->count - loader->next;
    if (left <= 0)
        return false;
    int32_t size = left < loader->options.batch ? (int32_t)left : loader->options.batch;
    const int32_t *examples = loader->order + loader->next;
    int32_t width = loader->options.pad ? longest_text(loader, examples, size) : 0, used = 0;
    for (int32_t i = 0; i < size; i++) {
        int32_t length = model_dataset_part_length(part, examples[i]);
        loader->offsets[i] = used;
        loader->status = model_dataset_part_ids(part, examples[i], loader->ids + used);
        if (!reel_status_is_ok(&loader->status))
            return false;
        used += length;
        for (; length < width; length++)
            loader->ids[used++] = MODEL_TOKEN_PAD;
    }
    loader->offsets[size] = used;
    loader->next += size;
    *batch = (ModelBatch){.size = size,
                          .num_ids = used,
                          .examples = examples,
                          .ids = loader->ids,
                          .offsets = loader->offsets,
                          .labels = tensor_invalid()};
    if (part->label_offsets) {
        model_dataset_part_labels(part, examples, size, loader->labels);
        batch->labels = tensor_from(loader->labels, TENSOR_F32, TENSOR_SHAPE(size, part->num_classes));
    }
    return true;
}

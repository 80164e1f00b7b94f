#include "models/text/loader.h"
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

/* ---- Shuffling by blocks ---- */

static int32_t num_blocks(const ModelLoader *loader)
{
    return (int32_t)((loader->part->count + loader->options.block - 1) / loader->options.block);
}

/* Block number `i` of the epoch: its first text, and how many it has. */
static int32_t block_size(const ModelLoader *loader, int32_t i, int64_t *first)
{
    *first = (int64_t)loader->blocks[i] * loader->options.block;
    int64_t left = loader->part->count - *first;
    return (int32_t)(left < loader->options.block ? left : loader->options.block);
}

static void shuffle_blocks(ModelLoader *loader, TensorRandom *random)
{
    int32_t blocks = num_blocks(loader);
    int64_t at = 0, mixed = 0;
    tensor_random_permutation(random, loader->blocks, blocks);
    for (int32_t i = 0; i < blocks; i++) {
        int64_t first;
        int32_t size = block_size(loader, i, &first);
        for (int32_t k = 0; k < size; k++)
            loader->order[at++] = (int32_t)(first + k);
        if ((i + 1) % MODEL_LOADER_MIXED == 0 || i + 1 == blocks) {
            tensor_random_shuffle(random, loader->order + mixed, (int32_t)(at - mixed));
            mixed = at;
        }
    }
}

/* Asks for the blocks that are mixed with what is read next, and for those that follow, so that the disk
 * reads while the first are trained on. */
static void ask_for_blocks(ModelLoader *loader)
{
    const ModelDatasetPart *part = loader->part;
    int64_t ahead = 2 * (int64_t)MODEL_LOADER_MIXED * loader->options.block;
    for (int32_t blocks = num_blocks(loader);
         loader->asked < blocks && loader->asked_end < loader->next + ahead; loader->asked++) {
        int64_t first, begin;
        int32_t size = block_size(loader, loader->asked, &first);
        begin = part->offsets[first];
        loader->asked_end += size;
        if (loader->asked_end + ahead > loader->next) /* else it is of batches that are left out */
            model_id_store_expect(&part->ids, begin, part->offsets[first + size] - begin);
    }
}

/* ---- Batches ---- */

/* That a batch of `texts` texts can have. */
static size_t most_ids(const ModelLoader *loader, int64_t texts)
{
    int64_t most = loader->options.most_ids, longest = loader->part->longest;
    most = most > longest ? most : longest;
    return (size_t)(loader->options.most_ids > 0 && texts * longest > most ? most : texts * longest);
}

ReelStatus model_loader_init(ModelLoader *loader, const ModelDatasetPart *part,
                             const ModelLoaderOptions *options)
{
    *loader = (ModelLoader){.part = part, .options = *options, .status = reel_status_ok()};
    if (options->batch < 1)
        return reel_status_usage("a batch of %d examples cannot be loaded; ask for 1 or more",
                                 options->batch);
    if (options->block < 0)
        return reel_status_usage("texts cannot be shuffled in blocks of %d; ask for 1 or more, or 0",
                                 options->block);
    /* No batch holds more than the whole part. */
    int64_t most = options->batch < part->count ? options->batch : part->count;
    if (most * part->longest > INT32_MAX)
        return reel_status_usage("a batch of %d texts of %d ids is too large; ask for a smaller one",
                                 options->batch, part->longest);
    loader->order = reel_mem_alloc((size_t)part->count * sizeof *loader->order);
    loader->texts = reel_mem_alloc((size_t)most * sizeof *loader->texts);
    loader->labels = reel_mem_alloc((size_t)most * sizeof *loader->labels);
    if (options->block > 0)
        loader->blocks = reel_mem_alloc((size_t)num_blocks(loader) * sizeof *loader->blocks);
    if (!part->ids.wide)
        loader->ids = reel_mem_alloc(most_ids(loader, most) * sizeof *loader->ids);
    if (!loader->order || !loader->texts || !loader->labels || (!part->ids.wide && !loader->ids) ||
        (options->block > 0 && !loader->blocks) || !put_in_order(loader)) {
        model_loader_free(loader);
        return reel_status_no_memory((size_t)part->count * sizeof *loader->order, "the order of the texts");
    }
    model_loader_start_epoch(loader, 0);
    return reel_status_ok();
}

void model_loader_free(ModelLoader *loader)
{
    reel_mem_free(loader->order);
    reel_mem_free(loader->blocks);
    reel_mem_free(loader->texts);
    reel_mem_free(loader->labels);
    reel_mem_free(loader->ids);
    *loader = (ModelLoader){0};
}

int64_t model_loader_num_batches(const ModelLoader *loader)
{
    return (loader->part->count + loader->options.batch - 1) / loader->options.batch;
}

void model_loader_start_epoch(ModelLoader *loader, int64_t epoch)
{
    int32_t count = (int32_t)loader->part->count;
    loader->next = loader->asked_end = 0;
    loader->asked = 0;
    if (loader->options.shuffle) {
        TensorRandom random =
            tensor_random_new(loader->options.seed, tensor_random_stream("loader") + (uint64_t)epoch);
        if (loader->blocks)
            shuffle_blocks(loader, &random);
        else
            tensor_random_permutation(&random, loader->order, count);
    }
}

void model_loader_seek(ModelLoader *loader, int64_t batch)
{
    int64_t last = model_loader_num_batches(loader);
    batch = batch < 0 ? 0 : batch > last ? last : batch;
    loader->next = batch * loader->options.batch;
}

/* The ids of a batch of so many texts, the longest of which has `longest`. */
static int64_t count_ids(const ModelLoader *loader, int32_t texts, int64_t sum, int32_t longest)
{
    return loader->options.pad ? (int64_t)texts * longest : sum;
}

/* The next text of a batch that has `before` ids so far. */
static NnIds take_text(ModelLoader *loader, int32_t example, int64_t before)
{
    const ModelDatasetPart *part = loader->part;
    int32_t count = model_dataset_part_length(part, example);
    if (part->ids.wide)
        return (NnIds){part->ids.wide + part->offsets[example], count};
    loader->status = model_dataset_part_ids(part, example, loader->ids + before);
    return (NnIds){loader->ids + before, count};
}

static NnIds labels_of(const ModelDatasetPart *part, int32_t example)
{
    const int64_t *ends = part->label_offsets + example;
    return (NnIds){part->labels + ends[0], (int32_t)(ends[1] - ends[0])};
}

bool model_loader_next(ModelLoader *loader, ModelBatch *batch)
{
    const ModelDatasetPart *part = loader->part;
    const ModelLoaderOptions *options = &loader->options;
    const int32_t *examples = loader->order + loader->next;
    int64_t left = part->count - loader->next, sum = 0;
    int32_t size = 0, longest = 0;
    if (options->shuffle && loader->blocks)
        ask_for_blocks(loader);
    for (; size < left && size < options->batch; size++) {
        int32_t length = model_dataset_part_length(part, examples[size]),
                longer = length > longest ? length : longest;
        if (options->most_ids > 0 && size > 0 &&
            count_ids(loader, size + 1, sum + length, longer) > options->most_ids)
            break;
        loader->texts[size] = take_text(loader, examples[size], sum);
        if (!reel_status_is_ok(&loader->status))
            return false;
        if (part->label_offsets)
            loader->labels[size] = labels_of(part, examples[size]);
        sum += length;
        longest = longer;
    }
    loader->next += size;
    *batch = (ModelBatch){.size = size,
                          .padded = options->pad ? longest : 0,
                          .num_ids = (int32_t)count_ids(loader, size, sum, longest),
                          .examples = examples,
                          .texts = loader->texts,
                          .labels = part->label_offsets ? loader->labels : NULL};
    return size > 0;
}

Var model_label_rows(Tape *tape, const NnIds *labels, int32_t count, int64_t classes)
{
    Tensor rows = tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(count, classes));
    for (int32_t i = 0; tensor_is_valid(rows) && i < count; i++)
        for (int32_t k = 0; k < labels[i].count; k++)
            tensor_f32(rows)[i * classes + labels[i].ids[k]] = 1.0f;
    return tape_constant(tape, rows);
}

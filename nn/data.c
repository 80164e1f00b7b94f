#include "nn/data.h"
#include "tensor/mem.h"
#include "tensor/random.h"
#include "tensor/storage/npz.h"

#include <string.h>

enum { MOST_COLUMNS = 32 };

/* Rows, or texts. */
typedef struct Column {
    Tensor rows;
    const NnIds *texts;
} Column;

struct NnLoader {
    NnLoaderOptions options;
    ReelStatus status;
    TensorArena arena; /* of what was read from files */
    Column columns[MOST_COLUMNS];
    int column_count;
    int32_t count;
    int32_t *order; /* [count] */
    int64_t next;   /* place in `order` of the next batch's first example */
};

ReelStatus nn_loader_new(NnLoader **result, NnLoaderOptions options)
{
    *result = NULL;
    if (options.batch < 1)
        return reel_status_usage("nn_loader: batch is %lld and must be at least 1", (long long)options.batch);
    if (options.most_ids < 0)
        return reel_status_usage("nn_loader: most_ids is %lld and must be at least 0; 0 is off",
                                 (long long)options.most_ids);
    NnLoader *loader = reel_mem_calloc(1, sizeof *loader);
    if (!loader)
        return reel_status_no_memory(sizeof *loader, "a loader");
    loader->options = options;
    loader->status = reel_status_ok();
    tensor_arena_init(&loader->arena, 0);
    *result = loader;
    return loader->status;
}

void nn_loader_free(NnLoader *loader)
{
    if (!loader)
        return;
    tensor_arena_free(&loader->arena);
    reel_mem_free(loader->order);
    reel_mem_free(loader);
}

/* ---- Columns ---- */

static void fail(NnLoader *loader, ReelStatus status)
{
    if (reel_status_is_ok(&loader->status))
        loader->status = status;
}

static void begin(NnLoader *loader, int64_t count)
{
    loader->order = reel_mem_alloc((size_t)count * sizeof *loader->order);
    if (!loader->order) {
        fail(loader,
             reel_status_no_memory((size_t)count * sizeof *loader->order, "the order of the examples"));
        return;
    }
    loader->count = (int32_t)count;
    for (int32_t i = 0; i < loader->count; i++)
        loader->order[i] = i;
    nn_loader_start_epoch(loader, 0);
}

static void add(NnLoader *loader, Column column, int64_t count)
{
    if (!reel_status_is_ok(&loader->status))
        return;
    if (loader->column_count == MOST_COLUMNS)
        fail(loader, reel_status_usage("nn_loader: there are %d columns at most", MOST_COLUMNS));
    else if (count < 1 || count > INT32_MAX)
        fail(loader, reel_status_usage("nn_loader: column %d has %lld examples and must have 1 to %d",
                                       loader->column_count, (long long)count, INT32_MAX));
    else if (loader->column_count > 0 && count != loader->count)
        fail(loader, reel_status_usage("nn_loader: column %d has %lld examples and column 0 has %d",
                                       loader->column_count, (long long)count, loader->count));
    else if (loader->column_count == 0)
        begin(loader, count);
    if (reel_status_is_ok(&loader->status))
        loader->columns[loader->column_count++] = column;
}

void nn_loader_add(NnLoader *loader, Tensor rows)
{
    if (!tensor_is_valid(rows) || rows.ndim < 1)
        fail(loader, reel_status_usage("nn_loader: column %d must be an array of at least one axis",
                                       loader->column_count));
    else
        add(loader, (Column){.rows = rows}, rows.shape[0]);
}

void nn_loader_add_npy(NnLoader *loader, const char *path)
{
    Tensor rows;
    ReelStatus status = tensor_npy_read(path, &loader->arena, &rows);
    if (reel_status_is_ok(&status))
        nn_loader_add(loader, rows);
    else
        fail(loader, status);
}

void nn_loader_add_texts(NnLoader *loader, const NnIds *texts, int64_t count)
{
    add(loader, (Column){.rows = tensor_invalid(), .texts = texts}, count);
}

ReelStatus nn_loader_status(const NnLoader *loader)
{
    return loader->status;
}

int64_t nn_loader_count(const NnLoader *loader)
{
    return loader->count;
}

/* ---- Batches ---- */

void nn_loader_start_epoch(NnLoader *loader, int64_t epoch)
{
    loader->next = 0;
    if (!loader->options.shuffle || loader->count == 0)
        return;
    TensorRandom random =
        tensor_random_new(loader->options.seed, tensor_random_stream("loader") + (uint64_t)epoch);
    tensor_random_permutation(&random, loader->order, loader->count);
}

static int64_t ids_of(const NnLoader *loader, int32_t example)
{
    int64_t ids = 0;
    for (int i = 0; i < loader->column_count; i++)
        if (loader->columns[i].texts)
            ids += loader->columns[i].texts[example].count;
    return ids;
}

static NnBatch batch_from(const NnLoader *loader, int64_t first)
{
    const NnLoaderOptions *options = &loader->options;
    NnBatch batch = {.loader = loader, .examples = loader->order + first};
    int64_t left = loader->count - first;
    if (!reel_status_is_ok(&loader->status))
        left = 0;
    while (batch.size < left && batch.size < options->batch) {
        int64_t ids = ids_of(loader, batch.examples[batch.size]);
        if (options->most_ids > 0 && batch.size > 0 && batch.ids + ids > options->most_ids)
            break;
        batch.ids += ids;
        batch.size++;
    }
    if (options->drop_last && options->most_ids == 0 && batch.size < options->batch)
        batch.size = 0;
    return batch;
}

bool nn_loader_next(NnLoader *loader, NnBatch *batch)
{
    *batch = batch_from(loader, loader->next);
    loader->next += batch->size;
    return batch->size > 0;
}

void nn_loader_seek(NnLoader *loader, int64_t batch)
{
    NnBatch skipped;
    loader->next = 0;
    while (batch-- > 0 && nn_loader_next(loader, &skipped))
        ;
}

int64_t nn_loader_num_batches(const NnLoader *loader)
{
    int64_t count = 0;
    NnBatch batch = batch_from(loader, 0);
    for (int64_t at = 0; batch.size > 0; count++) {
        at += batch.size;
        batch = batch_from(loader, at);
    }
    return count;
}

NnBatch nn_batch_shard(NnBatch batch, int shard, int shards)
{
    int64_t first = batch.size * shard / shards, stop = batch.size * (shard + 1) / shards;
    batch.examples += first;
    batch.size = stop - first;
    batch.ids = 0;
    for (int64_t i = 0; i < batch.size; i++)
        batch.ids += ids_of(batch.loader, batch.examples[i]);
    return batch;
}

/* ---- On the tape ---- */

static const Column *column_of(NnBatch batch, Tape *tape, int column, bool texts)
{
    const NnLoader *loader = batch.loader;
    const Column *found = column >= 0 && column < loader->column_count ? &loader->columns[column] : NULL;
    if (found && (found->texts != NULL) == texts)
        return found;
    tape_fail(tape, "nn_batch: column %d has no %s; there are %d columns", column, texts ? "texts" : "rows",
              loader->column_count);
    return NULL;
}

static void take_rows(Tensor out, Tensor rows, const int32_t *examples)
{
    size_t size = (size_t)(tensor_numel(&out) / out.shape[0]) * tensor_dtype_size(out.dtype);
    bool is_whole = tensor_is_contiguous(&rows);
    for (int64_t i = 0; i < out.shape[0]; i++)
        if (is_whole)
            memcpy((char *)out.data + (size_t)i * size, (const char *)rows.data + (size_t)examples[i] * size,
                   size);
        else
            tensor_copy_into(tensor_select(out, 0, i), tensor_select(rows, 0, examples[i]));
}

Var(nn_batch_rows)(NnBatch batch, Tape *tape, int column)
{
    const Column *found = column_of(batch, tape, column, false);
    if (!found)
        return VAR_NONE;
    int64_t shape[TENSOR_MAX_DIMS];
    memcpy(shape, found->rows.shape, sizeof shape);
    shape[0] = batch.size;
    Tensor out = tensor_new(tape_arena(tape), found->rows.dtype, found->rows.ndim, shape);
    if (!tensor_is_valid(out) || batch.size == 0)
        return tape_fail(tape, "nn_batch: %s", batch.size == 0 ? "there are no examples" : "out of memory");
    take_rows(out, found->rows, batch.examples);
    return tape_constant(tape, out);
}

NnSequence(nn_batch_texts)(NnBatch batch, Tape *tape, int column)
{
    const Column *found = column_of(batch, tape, column, true);
    NnIds *texts = tensor_arena_alloc(tape_arena(tape), (size_t)batch.size * sizeof *texts);
    if (!found || !texts) {
        Var none = tape_fail(tape, "nn_batch: out of memory"); /* unless there is an error already */
        return (NnSequence){.rows = none};
    }
    for (int64_t i = 0; i < batch.size; i++)
        texts[i] = found->texts[batch.examples[i]];
    return nn_pack_texts(tape, texts, (int32_t)batch.size);
}

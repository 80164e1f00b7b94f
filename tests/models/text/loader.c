#include "models/text/loader.h"
#include "tensor/mem_internal.h"
#include "tests/text_support.h"

#include <stdlib.h>

static ModelDataset *dataset;
static ModelLoader loader;

static void setup(void)
{
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, NULL));
}

static void teardown(void)
{
    model_loader_free(&loader);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static void start(int32_t batch, bool shuffle, bool pad, uint64_t seed)
{
    model_loader_free(&loader);
    ModelLoaderOptions options = {.batch = batch, .shuffle = shuffle, .pad = pad, .seed = seed};
    ck_assert_ok(model_loader_init(&loader, &dataset->train, &options));
}

/* The examples of an epoch in their order. */
static void epoch_order(int64_t epoch, int32_t order[96])
{
    ModelBatch batch;
    int32_t count = 0;
    model_loader_start_epoch(&loader, epoch);
    while (model_loader_next(&loader, &batch))
        for (int32_t i = 0; i < batch.size; i++)
            order[count++] = batch.examples[i];
    ck_assert_int_eq(count, 96);
}

static void check_batch(const ModelBatch *batch)
{
    const ModelDatasetPart *part = &dataset->train;
    int64_t ids = 0;
    for (int32_t i = 0; i < batch->size; i++) {
        int32_t example = batch->examples[i];
        int32_t own[64], length = model_dataset_part_length(part, example);
        const int64_t *of_labels = part->label_offsets + example;
        ck_assert_ok(model_dataset_part_ids(part, example, own));
        ck_assert_int_eq(batch->texts[i].count, length);
        ck_assert_mem_eq(batch->texts[i].ids, own, (size_t)length * sizeof *own);
        ck_assert_ptr_eq(batch->labels[i].ids, part->labels + of_labels[0]);
        ck_assert_int_eq(batch->labels[i].count, of_labels[1] - of_labels[0]);
        ids += batch->padded ? batch->padded : batch->texts[i].count;
    }
    ck_assert_int_eq(batch->num_ids, ids);
}

START_TEST(an_epoch_has_every_example_once)
{
    int32_t order[96], seen[96] = {0};
    start(64, true, false, 0);
    epoch_order(0, order);
    for (int i = 0; i < 96; i++)
        seen[order[i]]++;
    for (int i = 0; i < 96; i++)
        ck_assert_int_eq(seen[i], 1);
}
END_TEST

/* Each text once, in an order that the seed decides; 16 blocks at a time have all the texts of 16 blocks. */
START_TEST(blocks_stay_together)
{
    static const int32_t sizes[] = {1, 2, 3, 5, 6, 7, 96, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int32_t order[96], again[96], other[96], block = sizes[s], seen[96] = {0};
        model_loader_free(&loader);
        ModelLoaderOptions options = {.batch = 7, .shuffle = true, .seed = 3, .block = block};
        ck_assert_ok(model_loader_init(&loader, &dataset->train, &options));
        epoch_order(2, order);
        epoch_order(3, other);
        epoch_order(2, again);
        ck_assert_mem_eq(order, again, sizeof order);
        ck_assert_mem_ne(order, other, sizeof order);
        for (int i = 0; i < 96; i++)
            seen[order[i]]++;
        for (int i = 0; i < 96; i++)
            ck_assert_int_eq(seen[i], 1);
        int32_t whole =
            96 % block == 0 ? block * MODEL_LOADER_MIXED : 0; /* texts mixed; 0: a block is short */
        for (int32_t from = 0; whole > 0 && from < 96; from += whole) {
            int32_t texts = 96 - from < whole ? 96 - from : whole, blocks = 0;
            bool has[96] = {0};
            for (int32_t i = from; i < from + texts; i++) {
                blocks += !has[order[i] / block];
                has[order[i] / block] = true;
            }
            ck_assert_int_eq(blocks, texts / block);
        }
    }
    ModelLoaderOptions wrong = {.batch = 7, .shuffle = true, .block = -1};
    model_loader_free(&loader);
    ck_assert_failed(model_loader_init(&loader, &dataset->train, &wrong), REEL_STATUS_USAGE, "blocks of -1");
}
END_TEST

START_TEST(the_last_batch_is_what_is_left)
{
    static const int32_t sizes[] = {1, 7, 64, 95, 96, 97, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        start(sizes[s], true, s % 2, 0);
        ModelBatch batch;
        int64_t count = 0;
        int32_t total = 0;
        while (model_loader_next(&loader, &batch)) {
            count++;
            total += batch.size;
            ck_assert_int_eq(batch.size, total < 96 || 96 % sizes[s] == 0 ? sizes[s] : 96 % sizes[s]);
            check_batch(&batch);
        }
        ck_assert_int_eq(total, 96);
        ck_assert_int_eq(count, model_loader_num_batches(&loader));
        ck_assert(!model_loader_next(&loader, &batch));
    }
}
END_TEST

START_TEST(padding_reaches_to_the_longest_of_the_batch)
{
    start(8, true, true, 0);
    ModelBatch batch;
    int32_t widths = 0, first_width = 0;
    while (model_loader_next(&loader, &batch)) {
        int32_t longest = 0;
        for (int32_t i = 0; i < batch.size; i++) {
            const int64_t *ends = dataset->train.offsets + batch.examples[i];
            longest = ends[1] - ends[0] > longest ? (int32_t)(ends[1] - ends[0]) : longest;
        }
        ck_assert_int_eq(batch.padded, longest);
        check_batch(&batch);
        first_width = first_width ? first_width : longest;
        widths += longest != first_width;
    }
    ck_assert_int_gt(widths, 0);
}
END_TEST

START_TEST(seed_and_epoch_decide_the_order)
{
    int32_t first[96], again[96], other[96];
    start(64, true, false, 5);
    epoch_order(3, first);
    epoch_order(4, other);
    ck_assert_mem_ne(first, other, sizeof first);
    epoch_order(3, again);
    ck_assert_mem_eq(first, again, sizeof first);
    start(10, true, true, 5); /* neither the batch size nor the padding */
    epoch_order(3, again);
    ck_assert_mem_eq(first, again, sizeof first);
    start(64, true, false, 6);
    epoch_order(3, other);
    ck_assert_mem_ne(first, other, sizeof first);
    start(64, false, false, 5);
    epoch_order(3, other);
    for (int32_t i = 0; i < 96; i++)
        ck_assert_int_eq(other[i], i);
}
END_TEST

START_TEST(a_run_can_go_on_where_it_was)
{
    int32_t order[96];
    ModelBatch batch;
    start(10, true, false, 0);
    epoch_order(2, order);
    model_loader_start_epoch(&loader, 2);
    model_loader_seek(&loader, 4);
    ck_assert(model_loader_next(&loader, &batch));
    ck_assert_mem_eq(batch.examples, order + 40, 10 * sizeof *order);
    model_loader_seek(&loader, 9);
    ck_assert(model_loader_next(&loader, &batch));
    ck_assert_int_eq(batch.size, 6);
    model_loader_seek(&loader, 100);
    ck_assert(!model_loader_next(&loader, &batch));
}
END_TEST

START_TEST(epochs_allocate_nothing)
{
    int32_t order[96];
    start(10, true, true, 0);
    uint64_t calls = reel_mem_stats().calls;
    epoch_order(1, order);
    epoch_order(2, order);
    ck_assert_uint_eq(reel_mem_stats().calls, calls);
}
END_TEST

/* Longest first, equal ones in their order, each once; the ids fit what a batch is said to have at most. A
 * part need not have labels. */
START_TEST(by_length_the_longest_come_first)
{
    ModelDatasetPart part = dataset->train;
    ModelBatch batch;
    int64_t seen = 0, length = INT32_MAX;
    int32_t before = -1;
    part.label_offsets = NULL;
    ck_assert_ok(model_loader_init(&loader, &part, &(ModelLoaderOptions){.batch = 7, .by_length = true}));
    while (model_loader_next(&loader, &batch)) {
        ck_assert_ptr_null(batch.labels);
        for (int32_t i = 0; i < batch.size; i++, seen++) {
            int32_t example = batch.examples[i];
            int64_t own = part.offsets[example + 1] - part.offsets[example];
            ck_assert(own < length || (own == length && example > before));
            ck_assert_int_eq(batch.texts[i].count, own);
            length = own;
            before = example;
        }
    }
    ck_assert_int_eq(seen, part.count);
}
END_TEST

/* Also where there is padding; a text with more ids than that is a batch by itself. */
START_TEST(a_batch_ends_before_it_has_too_many_ids)
{
    for (int pad = 0; pad < 2; pad++)
        for (int32_t most = 1; most < 2000; most = 3 * most + 1) {
            ModelLoaderOptions options = {.batch = 20, .most_ids = most, .by_length = true, .pad = pad};
            ModelBatch batch;
            int32_t seen = 0, last_size = 0, last_ids = 0;
            model_loader_free(&loader);
            ck_assert_ok(model_loader_init(&loader, &dataset->train, &options));
            for (; model_loader_next(&loader, &batch); seen += batch.size) {
                check_batch(&batch);
                ck_assert(batch.size == 1 || (batch.size <= 20 && batch.num_ids <= most));
                /* The text after the last one did not fit. */
                int32_t next = batch.padded ? last_ids / (last_size ? last_size : 1) : batch.texts[0].count;
                ck_assert(seen == 0 || last_size == 20 || last_ids + next > most);
                last_size = batch.size;
                last_ids = batch.num_ids;
            }
            ck_assert_int_eq(seen, 96);
        }
}
END_TEST

/* Ids of 32 bits in memory are read there; others come through the loader's. */
START_TEST(the_form_of_the_ids_does_not_matter)
{
    ModelDatasetPart part = dataset->train;
    int32_t *wide = malloc((size_t)part.offsets[part.count] * sizeof *wide);
    ModelBatch batch;
    ck_assert_ok(model_id_store_read(&part.ids, 0, part.offsets[part.count], wide));
    ck_assert_ptr_nonnull(part.ids.narrow);
    part.ids = (ModelIdStore){.wide = wide};
    for (int32_t most = 0; most < 200; most += 110) {
        ModelLoaderOptions options = {.batch = 7, .most_ids = most, .by_length = true};
        model_loader_free(&loader);
        ck_assert_ok(model_loader_init(&loader, &part, &options));
        while (model_loader_next(&loader, &batch)) {
            check_batch(&batch);
            for (int32_t i = 0; i < batch.size; i++)
                ck_assert_ptr_eq(batch.texts[i].ids, wide + part.offsets[batch.examples[i]]);
        }
    }
    free(wide);
}
END_TEST

START_TEST(loaders_that_cannot_be)
{
    ModelLoaderOptions options = model_loader_defaults();
    ck_assert_int_eq(options.batch, 64);
    options.batch = 0;
    ck_assert_failed(model_loader_init(&loader, &dataset->train, &options), REEL_STATUS_USAGE,
                     "a batch of 0");
    options.batch = 64;
    for (int n = 0; n < 3; n++) {
        reel_mem_fail_at(n, 0);
        ck_assert_failed(model_loader_init(&loader, &dataset->train, &options), REEL_STATUS_FAILED,
                         "out of memory");
        reel_mem_fail_at(-1, 0);
    }
}
END_TEST

Suite *models_loader_suite(void);
Suite *models_loader_suite(void)
{
    Suite *suite = suite_create("models/loader");
    TCase *tcase = tcase_create("loader");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_epoch_has_every_example_once);
    tcase_add_test(tcase, blocks_stay_together);
    tcase_add_test(tcase, the_last_batch_is_what_is_left);
    tcase_add_test(tcase, padding_reaches_to_the_longest_of_the_batch);
    tcase_add_test(tcase, seed_and_epoch_decide_the_order);
    tcase_add_test(tcase, a_run_can_go_on_where_it_was);
    tcase_add_test(tcase, epochs_allocate_nothing);
    tcase_add_test(tcase, by_length_the_longest_come_first);
    tcase_add_test(tcase, the_form_of_the_ids_does_not_matter);
    tcase_add_test(tcase, a_batch_ends_before_it_has_too_many_ids);
    tcase_add_test(tcase, loaders_that_cannot_be);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* Loaders for a loop of one's own. */
#include "nn/nn.h"
#include "tensor/storage/npz.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXAMPLES = 23 };

static float numbers[EXAMPLES][2];
static int32_t classes[EXAMPLES], words[EXAMPLES * 8];
static NnIds texts[EXAMPLES];

static void setup(void)
{
    tape_set_up();
    int at = 0;
    for (int i = 0; i < EXAMPLES; i++) {
        numbers[i][0] = (float)i;
        numbers[i][1] = (float)-i;
        classes[i] = 100 + i;
        texts[i] = (NnIds){words + at, 1 + i % 5};
        for (int k = 0; k < texts[i].count; k++)
            words[at++] = 10 * i + k;
    }
}

static NnLoader *new_loader(NnLoaderOptions options)
{
    NnLoader *loader;
    ck_assert_ok(nn_loader_new(&loader, options));
    nn_loader_add(loader, tensor_from(numbers, TENSOR_F32, TENSOR_SHAPE(EXAMPLES, 2)));
    nn_loader_add(loader, tensor_from(classes, TENSOR_I32, TENSOR_SHAPE(EXAMPLES)));
    nn_loader_add_texts(loader, texts, EXAMPLES);
    ck_assert_ok(nn_loader_status(loader));
    ck_assert_int_eq(nn_loader_count(loader), EXAMPLES);
    return loader;
}

/* The examples in the order of an epoch; returns how many batches there were. */
static int run(NnLoader *loader, int64_t epoch, int32_t order[EXAMPLES])
{
    NnBatch batch;
    int batches = 0, count = 0;
    for (nn_loader_start_epoch(loader, epoch); nn_loader_next(loader, &batch); batches++)
        for (int64_t i = 0; i < batch.size; i++)
            order[count++] = batch.examples[i];
    for (; count < EXAMPLES; count++)
        order[count] = -1;
    ck_assert_int_eq(nn_loader_num_batches(loader), batches);
    return batches;
}

START_TEST(every_example_comes_once_in_an_order_of_seed_and_epoch)
{
    NnLoader *a = new_loader((NnLoaderOptions){.batch = 5, .shuffle = true, .seed = 3}),
             *b = new_loader((NnLoaderOptions){.batch = 7, .shuffle = true, .seed = 3}),
             *c = new_loader((NnLoaderOptions){.batch = 5, .shuffle = true, .seed = 4});
    int32_t first[EXAMPLES], other[EXAMPLES], seen[EXAMPLES] = {0};
    ck_assert_int_eq(run(a, 2, first), 5);
    for (int i = 0; i < EXAMPLES; i++)
        seen[first[i]]++;
    for (int i = 0; i < EXAMPLES; i++)
        ck_assert_int_eq(seen[i], 1);
    run(b, 9, other);
    ck_assert_int_eq(run(b, 2, other), 4);
    ck_assert_mem_eq(first, other, sizeof first); /* whatever came before, and in batches of any size */
    run(a, 3, other);
    ck_assert_mem_ne(first, other, sizeof first);
    run(c, 2, other);
    ck_assert_mem_ne(first, other, sizeof first);
    nn_loader_free(a);
    nn_loader_free(b);
    nn_loader_free(c);
}
END_TEST

START_TEST(columns_of_a_batch_belong_together)
{
    NnLoader *loader = new_loader((NnLoaderOptions){.batch = 6, .shuffle = true});
    NnBatch batch;
    while (nn_loader_next(loader, &batch)) {
        tape_begin(tape);
        Var x = nn_batch_rows(batch, tape, 0), y = nn_batch_rows(batch, tape, 1);
        NnSequence text = nn_batch_texts(batch, tape, 2);
        ck_assert_tape_ok(tape);
        ck_assert_int_eq(text.packing->rows, batch.ids);
        ck_assert_int_eq(text.packing->texts, batch.size);
        for (int64_t i = 0; i < batch.size; i++) {
            int32_t example = batch.examples[i];
            ck_assert_float_eq(tensor_f32(var_value(x))[2 * i + 1], (float)-example);
            ck_assert_int_eq(tensor_i32(var_value(y))[i], 100 + example);
            ck_assert_int_eq(text.packing->length[i], texts[example].count);
            ck_assert_int_eq(tensor_i32(var_value(text.rows))[text.packing->place[i]], 10 * example);
        }
    }
    nn_loader_free(loader);
}
END_TEST

START_TEST(a_batch_holds_so_many_ids)
{
    NnLoader *loader = new_loader((NnLoaderOptions){.batch = 100, .most_ids = 4, .shuffle = true});
    NnBatch batch;
    int count = 0;
    bool several = false;
    while (nn_loader_next(loader, &batch)) {
        ck_assert(batch.size == 1 || batch.ids <= 4); /* of one text: those that it has */
        several = several || batch.size > 1;
        count += (int)batch.size;
    }
    ck_assert_int_eq(count, EXAMPLES);
    ck_assert(several);
    nn_loader_free(loader);
}
END_TEST

START_TEST(a_short_last_batch_may_be_left_out)
{
    int32_t order[EXAMPLES];
    NnLoader *loader = new_loader((NnLoaderOptions){.batch = 10, .drop_last = true});
    ck_assert_int_eq(run(loader, 0, order), 2);
    ck_assert_int_eq(order[19], 19);
    ck_assert_int_eq(order[20], -1);
    nn_loader_free(loader);
}
END_TEST

START_TEST(a_loop_goes_on_where_it_was)
{
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        NnLoaderOptions options = {.batch = 4, .most_ids = by_ids ? 9 : 0, .shuffle = true};
        NnLoader *whole = new_loader(options), *rest = new_loader(options);
        NnBatch a, b;
        nn_loader_start_epoch(whole, 1);
        nn_loader_start_epoch(rest, 1);
        for (int i = 0; i < 3; i++)
            ck_assert(nn_loader_next(whole, &a));
        nn_loader_seek(rest, 3);
        while (nn_loader_next(whole, &a)) {
            ck_assert(nn_loader_next(rest, &b));
            ck_assert_int_eq(a.size, b.size);
            ck_assert_mem_eq(a.examples, b.examples, (size_t)a.size * sizeof *a.examples);
        }
        ck_assert(!nn_loader_next(rest, &b));
        nn_loader_free(whole);
        nn_loader_free(rest);
    }
}
END_TEST

START_TEST(shards_share_a_batch)
{
    NnLoader *loader = new_loader((NnLoaderOptions){.batch = 10});
    NnBatch batch;
    ck_assert(nn_loader_next(loader, &batch));
    for (int shards = 1; shards <= 12; shards++) {
        int64_t count = 0, ids = 0;
        for (int s = 0; s < shards; s++) {
            NnBatch part = nn_batch_shard(batch, s, shards);
            ck_assert(part.size == 10 / shards || part.size == 10 / shards + 1);
            for (int64_t i = 0; i < part.size; i++)
                ck_assert_int_eq(part.examples[i], count + i);
            count += part.size;
            ids += part.ids;
        }
        ck_assert_int_eq(count, 10);
        ck_assert_int_eq(ids, batch.ids);
    }
    nn_loader_free(loader);
}
END_TEST

/* [2, 3] and, with its axes turned, not contiguous. */
START_TEST(arrays_may_be_strided_and_of_any_type)
{
    double data[] = {1, 2, 3, 4, 5, 6};
    NnLoader *loader;
    NnBatch batch;
    ck_assert_ok(nn_loader_new(&loader, (NnLoaderOptions){.batch = 2}));
    nn_loader_add(loader, tensor_transpose(tensor_from(data, TENSOR_F64, TENSOR_SHAPE(2, 3)), 0, 1));
    ck_assert(nn_loader_next(loader, &batch) && nn_loader_next(loader, &batch));
    Tensor row = var_value(nn_batch_rows(batch, tape, 0));
    ck_assert_int_eq(row.shape[0], 1);
    ck_assert_double_eq(tensor_f64(row)[0], 3);
    ck_assert_double_eq(tensor_f64(row)[1], 6);
    nn_loader_free(loader);
}
END_TEST

/* A .npy file of i64 [3], as NumPy writes it, or the `size` first bytes of one. */
static void write_npy(const char *path, size_t size)
{
    char file[TENSOR_NPY_HEADER_CAPACITY + 100];
    int64_t values[] = {7, -8, 9};
    size_t header = tensor_npy_format('i', 8, 1, (const int64_t[]){3}, file);
    memcpy(file + header, values, sizeof values);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fwrite(file, 1, size < header + sizeof values ? size : header + sizeof values, f);
    fclose(f);
}

START_TEST(a_file_of_an_array_is_a_column)
{
    char path[] = "/tmp/reel-npy-XXXXXX";
    close(mkstemp(path));
    NnLoader *loader;
    NnBatch batch;
    for (size_t size = 0; size <= 200; size++) {
        write_npy(path, size);
        ck_assert_ok(nn_loader_new(&loader, (NnLoaderOptions){.batch = 3}));
        nn_loader_add_npy(loader, path);
        ReelStatus status = nn_loader_status(loader);
        ck_assert_int_eq(reel_status_is_ok(&status), size >= 128 + 24);
        ck_assert(reel_status_is_ok(&status) || strstr(status.message, path));
        ck_assert_int_eq(nn_loader_next(loader, &batch), size >= 128 + 24);
        nn_loader_free(loader);
    }
    Tensor array;
    ck_assert_ok(tensor_npy_read(path, &arena, &array));
    ck_assert_int_eq(array.dtype, TENSOR_I32);
    ck_assert_int_eq(tensor_i32(array)[1], -8);
    unlink(path);
    ck_assert_failed(tensor_npy_read("tests/fixtures/npz/stored.npz", &arena, &array), REEL_STATUS_FAILED,
                     "arrays and not one");
}
END_TEST

START_TEST(what_cannot_be_is_an_error)
{
    NnLoader *loader;
    NnBatch batch;
    ck_assert_failed(nn_loader_new(&loader, (NnLoaderOptions){0}), REEL_STATUS_USAGE,
                     "batch is 0 and must be at least 1");
    ck_assert_ptr_null(loader);
    ck_assert_failed(nn_loader_new(&loader, (NnLoaderOptions){.batch = 1, .most_ids = -2}), REEL_STATUS_USAGE,
                     "most_ids is -2");
    loader = new_loader((NnLoaderOptions){.batch = 2});
    ck_assert(nn_loader_next(loader, &batch));
    ck_assert(var_is_empty(nn_batch_rows(batch, tape, 2)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "column 2 has no rows; there are 3 columns");
    tape_begin(tape);
    nn_batch_texts(batch, tape, 0);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "column 0 has no texts");
    tape_begin(tape);
    nn_batch_rows(nn_batch_shard(batch, 0, 3), tape, 0);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "there are no examples");
    nn_loader_add(loader, tensor_from(numbers, TENSOR_F32, TENSOR_SHAPE(3, 2)));
    ck_assert_failed(nn_loader_status(loader), REEL_STATUS_USAGE,
                     "column 3 has 3 examples and column 0 has 23");
    ck_assert(!nn_loader_next(loader, &batch));
    nn_loader_free(loader);
    ck_assert_ok(nn_loader_new(&loader, (NnLoaderOptions){.batch = 2}));
    ck_assert(!nn_loader_next(loader, &batch)); /* nothing was added */
    nn_loader_add_npy(loader, "/nonexistent.npy");
    ck_assert_failed(nn_loader_status(loader), REEL_STATUS_FAILED, "/nonexistent.npy: cannot open");
    nn_loader_free(loader);
}
END_TEST

Suite *nn_data_suite(void);
Suite *nn_data_suite(void)
{
    Suite *suite = suite_create("nn/data");
    TCase *c = tcase_create("data");
    tcase_add_checked_fixture(c, setup, tape_tear_down);
    tcase_add_test(c, every_example_comes_once_in_an_order_of_seed_and_epoch);
    tcase_add_test(c, columns_of_a_batch_belong_together);
    tcase_add_test(c, a_batch_holds_so_many_ids);
    tcase_add_test(c, a_short_last_batch_may_be_left_out);
    tcase_add_test(c, a_loop_goes_on_where_it_was);
    tcase_add_test(c, shards_share_a_batch);
    tcase_add_test(c, arrays_may_be_strided_and_of_any_type);
    tcase_add_test(c, a_file_of_an_array_is_a_column);
    tcase_add_test(c, what_cannot_be_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

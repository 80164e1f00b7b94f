#include "models/text/pipeline.h"
#include "models/text/dataset.h"
#include "tensor/mem.h"
#include "tests/text_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char TSV[] = "text\tlabels\nRed apple 3\ta\nblue sky\tb\nred sky\ta; b\ngreen apple\tb\n";

/* A data set's pipeline, as the bytes of a file that holds nothing else. */
static void save(const ModelPipeline *pipeline, ReelBytes *json, NnSnapshot *snapshot)
{
    ReelJsonWriter writer = {0};
    reel_json_begin_object(&writer, NULL);
    reel_json_integer(&writer, "another", 1);
    model_pipeline_write_fields(pipeline, &writer);
    reel_json_end_object(&writer);
    const char *text = reel_json_finish(&writer);
    ck_assert(text && reel_bytes_append(json, text, writer.size));
    reel_json_free(&writer);
    nn_snapshot_init(snapshot);
    model_pipeline_snapshot(pipeline, snapshot);
}

static void load(ModelPipeline *pipeline, const ReelBytes *json, const char *path)
{
    ReelJsonReader reader;
    bool first = true;
    reel_json_reader_open(&reader, json->data, json->size, "config");
    reel_json_reader_open_object(&reader);
    while (reel_json_reader_next_key(&reader, &first) && model_pipeline_read_field(pipeline, &reader))
        continue;
    ck_assert(reel_json_reader_end(&reader));
    reel_json_reader_close(&reader);
    TensorNpz *npz;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_ok(model_pipeline_load(pipeline, npz, &arena));
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
}

static void same_ids(const ModelPipeline *a, const ModelPipeline *b, const char *text)
{
    ReelBytes scratch = {0};
    ModelIdList first = {0}, second = {0};
    ck_assert(model_pipeline_encode(a, model_text_span(text), &scratch, &first));
    ck_assert(model_pipeline_encode(b, model_text_span(text), &scratch, &second));
    ck_assert_uint_eq(first.count, second.count);
    ck_assert_mem_eq(first.ids, second.ids, first.count * sizeof *first.ids);
    model_id_list_free(&first);
    model_id_list_free(&second);
    reel_bytes_free(&scratch);
}

START_TEST(it_is_saved_and_loaded_as_one)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.corpus.label_separator = "; ";
    options.vocabulary.min_df = 1;
    options.clean.keep_digits = true;
    options.max_len = 7;
    options.byte_pairs = _i == 1 ? 20 : 0;
    options.ngrams = (ModelNgramOptions){.least = 2, .most = _i == 2 ? 3 : 0, .min_df = 1};
    ModelCorpus corpus;
    ModelDataset *dataset;
    ck_assert_ok(model_corpus_parse(&corpus, "x.tsv", TSV, sizeof TSV - 1, &options.corpus));
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "x.tsv", &options));
    model_corpus_free(&corpus);
    ReelBytes json = {0};
    NnSnapshot snapshot;
    ModelPipeline again = {0};
    char path[40];
    snprintf(path, sizeof path, "build/pipeline_%d.npz", _i);
    save(&dataset->text, &json, &snapshot);
    ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){0}));
    load(&again, &json, path);
    remove(path);
    ck_assert_int_eq(again.max_len, 7);
    ck_assert_str_eq(again.label_separator, "; ");
    ck_assert_str_eq(again.data_hash, dataset->text.data_hash);
    ck_assert_int_eq(again.labels.count, 2);
    ck_assert_str_eq(model_string_table_text(&again.labels, 1), "b");
    same_ids(&dataset->text, &again, "the RED apple, no. 3: green, red!");
    same_ids(&dataset->text, &again, "");
    for (int32_t id = 0; id < again.tokenizer.vocab_size; id++)
        ck_assert_str_eq(model_pipeline_word(&again, id, NULL),
                         model_pipeline_word(&dataset->text, id, NULL));
    ck_assert(_i != 2 || again.tokenizer.first_piece > 0);
    ck_assert_ptr_null(model_pipeline_word(&again, again.tokenizer.vocab_size, NULL));
    model_pipeline_free(&again);
    nn_snapshot_free(&snapshot);
    reel_bytes_free(&json);
    model_dataset_free(dataset);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
END_TEST

START_TEST(its_members_are_known)
{
    ck_assert(model_pipeline_has_member("reel/vocabulary.txt"));
    ck_assert(model_pipeline_has_member("reel/labels.txt"));
    ck_assert(model_pipeline_has_member("reel/pieces.txt"));
    ck_assert(!model_pipeline_has_member("reel/config.json"));
}
END_TEST

Suite *models_pipeline_suite(void);
Suite *models_pipeline_suite(void)
{
    Suite *suite = suite_create("models/pipeline");
    TCase *tcase = tcase_create("pipeline");
    tcase_add_loop_test(tcase, it_is_saved_and_loaded_as_one, 0, 3);
    tcase_add_test(tcase, its_members_are_known);
    suite_add_tcase(suite, tcase);
    return suite;
}

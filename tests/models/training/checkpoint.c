#include "models/text/dataset.h"
#include "models/training/checkpoint.h"

#include "models/training/predictor.h"
#include "models/text/subwords.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"
#include "tests/shell_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A corpus of a few words, so that a checkpoint has a few kilobytes. */
static const char TSV[] = "text\tlabels\n"
                          "red apple pie\tfood, red\n"
                          "red fire truck\tred\n"
                          "green apple\tfood\n"
                          "blue fire\tblue\n"
                          "apple pie pie\tfood\n"
                          "green truck\tother\n"
                          "blue sky sky\tblue\n";

static const char *folder;
static char path[300], other[300];
static ModelDataset *dataset;
static TensorArena arena;

static void make_dataset(bool bpe)
{
    ModelCorpus corpus = text_support_corpus(TSV);
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.min_df = 1;
    options.clean.stop_words = "none";
    options.max_len = 6;
    options.byte_pairs = bpe ? 30 : 0;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "test.tsv", &options));
    model_corpus_free(&corpus);
}

static void setup(void)
{
    folder = shell_folder();
    snprintf(path, sizeof path, "%s/model.npz", folder);
    snprintf(other, sizeof other, "%s/other.npz", folder);
    tensor_arena_init(&arena, 0);
    make_dataset(false);
}

static void teardown(void)
{
    model_dataset_free(dataset);
    tensor_arena_free(&arena);
    shell_remove_folder(folder);
}

static Model *new_model(const char *name)
{
    Model *model;
    ModelConfig config = {
        .vocabulary = dataset->text.tokenizer.vocab_size,
        .labels = model_dataset_num_classes(dataset),
        .embed = model_zoo_find(name) == model_zoo_find("transformer") ? 4 : 3, /* its heads divide it */
        .hidden = 2,
        .embed_dropout = -1,
        .dropout = -1};
    ck_assert_ok(model_new(&model, model_zoo_find(name), config, 3));
    return model;
}

static void save(Model *model, bool notebook, const double *thresholds)
{
    ModelCheckpoint all = {.model = model,
                           .text = dataset->text,
                           .notebook = notebook,
                           .thresholds = (double *)(uintptr_t)thresholds};
    ck_assert_ok(model_checkpoint_save(path, &all, (TensorNpzOptions){.level = 1}));
}

static void save_one(const char *name, bool notebook, const double *thresholds)
{
    Model *model = new_model(name);
    save(model, notebook, thresholds);
    model_free(model);
}

static void must_refuse(ReelStatus status, const char *part)
{
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_null(strchr(status.message, '\n'));
    ck_assert_ptr_nonnull(strchr(status.message, ';'));
    ck_assert_msg(strstr(status.message, part) != NULL, "'%s' is not in: %s", part, status.message);
}

static void check_same_table(const ModelStringTable *a, const ModelStringTable *b)
{
    ck_assert_int_eq(a->count, b->count);
    for (int32_t i = 0; i < a->count; i++)
        ck_assert_str_eq(model_string_table_text(a, i), model_string_table_text(b, i));
}

static bool is_same_config(const ModelConfig *a, const ModelConfig *b)
{
    return a->vocabulary == b->vocabulary && a->labels == b->labels && a->embed == b->embed &&
           a->hidden == b->hidden && a->layers == b->layers && a->embed_scale == b->embed_scale &&
           a->forget_bias == b->forget_bias && a->orthogonal == b->orthogonal &&
           a->embed_dropout == b->embed_dropout && a->dropout == b->dropout;
}

/* Whether two checkpoints are the same model in every respect. */
static bool same_checkpoint(const ModelCheckpoint *a, const ModelCheckpoint *b)
{
    bool same = a->model->kind == b->model->kind && is_same_config(&a->model->config, &b->model->config) &&
                a->text.max_len == b->text.max_len && a->notebook == b->notebook &&
                strcmp(a->text.data_hash, b->text.data_hash) == 0 &&
                a->text.labels.count == b->text.labels.count &&
                a->text.vocabulary.words.count == b->text.vocabulary.words.count &&
                memcmp(a->text.cleaner.map, b->text.cleaner.map, sizeof a->text.cleaner.map) == 0;
    for (int32_t i = 0; same && i < a->text.labels.count; i++)
        same = strcmp(model_string_table_text(&a->text.labels, i),
                      model_string_table_text(&b->text.labels, i)) == 0;
    for (int32_t i = 0; same && i < a->text.vocabulary.words.count; i++)
        same = strcmp(model_vocabulary_word(&a->text.vocabulary, i),
                      model_vocabulary_word(&b->text.vocabulary, i)) == 0;
    for (NnIterator it = nn_iterate(&a->model->base); same && nn_next(&it);) {
        NnNamed named;
        same = nn_find(&b->model->base, it.named.name, &named) &&
               tensor_equal(nn_named_view(&it.named), nn_named_view(&named));
    }
    return same;
}

/* ---- Round trips ---- */

START_TEST(every_model_comes_back_whole)
{
    const char *name = model_zoo_kind(_i / 2)->name;
    bool notebook = _i % 2;
    const double thresholds[] = {-2.5, -1.25, 0, 0.7};
    Model *model = new_model(name);
    ModelCheckpoint *c;
    save(model, notebook, notebook ? thresholds : NULL);
    ck_assert_ok(model_checkpoint_load(&c, path));
    ck_assert_ptr_eq(c->model->kind, model->kind);
    ck_assert(is_same_config(&c->model->config, &model->config));
    ck_assert_int_eq(c->notebook, notebook);
    ck_assert_int_eq(c->text.max_len, 6);
    ck_assert_str_eq(c->text.data_hash, dataset->text.data_hash);
    check_same_table(&c->text.labels, &dataset->text.labels);
    check_same_table(&c->text.vocabulary.words, &dataset->text.vocabulary.words);
    check_same_table(&c->text.cleaner.stop_words, &dataset->text.cleaner.stop_words);
    ck_assert_mem_eq(c->text.cleaner.map, dataset->text.cleaner.map, sizeof c->text.cleaner.map);
    ck_assert_int_eq(c->thresholds != NULL, notebook);
    if (notebook)
        ck_assert_mem_eq(c->thresholds, thresholds, sizeof thresholds);
    NnIterator it = nn_iterate(&model->base), again = nn_iterate(&c->model->base);
    while (nn_next(&it)) {
        ck_assert(nn_next(&again));
        ck_assert_str_eq(it.named.name, again.named.name);
        ck_assert(tensor_equal(nn_named_view(&it.named), nn_named_view(&again.named)));
    }
    model_checkpoint_free(c);
    model_free(model);
}
END_TEST

START_TEST(what_is_loaded_has_its_kinds_dropout)
{
    ModelCheckpoint *checkpoint;
    save_one("transformer", false, NULL);
    ck_assert_ok(model_checkpoint_load(&checkpoint, path));
    const ModelConfig *kinds = &model_zoo_find("transformer")->defaults;
    ck_assert_double_eq(checkpoint->model->config.dropout, kinds->dropout);
    ck_assert_double_eq(checkpoint->model->config.embed_dropout, kinds->embed_dropout);
    ck_assert_double_eq(checkpoint->model->dropout.p, kinds->dropout);
    model_checkpoint_free(checkpoint);
}
END_TEST

START_TEST(what_is_loaded_and_saved_again_has_the_same_bytes)
{
    ModelCheckpoint *c;
    save_one("attention", true, NULL);
    ck_assert_ok(model_checkpoint_load(&c, path));
    ck_assert_ok(model_checkpoint_save(other, c, (TensorNpzOptions){.level = 1}));
    ck_assert_int_eq(shell_run("cmp %s %s", path, other), 0);
    model_checkpoint_free(c);
}
END_TEST

START_TEST(stop_words_and_digits_are_kept)
{
    model_dataset_free(dataset);
    ModelCorpus corpus = text_support_corpus("text\tlabels\nthe 3 red pies\ta\na red 44\tb\nnot red\ta\n");
    ModelDatasetOptions options = model_dataset_defaults();
    options.vocabulary.min_df = 1;
    options.vocabulary.max_df = 1;
    options.clean.keep_digits = true;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "test.tsv", &options));
    model_corpus_free(&corpus);
    ModelCheckpoint *c;
    save_one("rnn", false, NULL);
    ck_assert_ok(model_checkpoint_load(&c, path));
    check_same_table(&c->text.cleaner.stop_words, &dataset->text.cleaner.stop_words);
    ck_assert_int_gt(c->text.cleaner.stop_words.count, 300);
    char out[32];
    size_t size = model_cleaner_run(&c->text.cleaner, model_text_span("THE red, no 44!"), out);
    ck_assert_int_eq((int)size, 9);
    ck_assert_mem_eq(out, "red no 44", 9);
    model_checkpoint_free(c);
}
END_TEST

START_TEST(byte_pairs_are_kept)
{
    model_dataset_free(dataset);
    make_dataset(true);
    ModelCheckpoint *c;
    save_one("lstm", false, NULL);
    ck_assert_ok(model_checkpoint_load(&c, path));
    ck_assert(c->text.tokenizer.bpe && c->text.vocabulary.words.count == 0);
    ModelIdList a = {0}, b = {0};
    ReelBytes scratch = {0};
    ck_assert(
        model_pipeline_encode(&dataset->text, model_text_span("Apples and pies on fire"), &scratch, &a));
    ck_assert(model_pipeline_encode(&c->text, model_text_span("Apples and pies on fire"), &scratch, &b));
    reel_bytes_free(&scratch);
    ck_assert_uint_eq(a.count, b.count);
    ck_assert_mem_eq(a.ids, b.ids, a.count * sizeof *a.ids);
    model_id_list_free(&a);
    model_id_list_free(&b);
    ck_assert_ok(model_checkpoint_save(other, c, (TensorNpzOptions){.level = 1}));
    ck_assert_int_eq(shell_run("cmp %s %s", path, other), 0);
    model_checkpoint_free(c);
}
END_TEST

/* ---- Other files ---- */

/* Writes the checkpoint at `path` to `other` with one member's text replaced (text NULL: left out; as an
 * array of uint8 where `array`). */
static void rewrite(const char *name, const char *text, bool array)
{
    TensorNpz *npz;
    NnSnapshot snapshot;
    ck_assert_ok(tensor_npz_open(&npz, path));
    nn_snapshot_init(&snapshot);
    for (int i = 0; i < tensor_npz_count(npz); i++)
        if (strcmp(tensor_npz_member(npz, i)->name, name) != 0)
            nn_snapshot_member(&snapshot, npz, tensor_npz_member(npz, i));
    tensor_npz_close(npz);
    if (text && !array)
        nn_snapshot_bytes(&snapshot, name, text, strlen(text));
    ck_assert_ok(nn_snapshot_write(&snapshot, other, (TensorNpzOptions){0}));
    if (text && array) {
        TensorNpzWriter *writer;
        char name_of_copy[320];
        snprintf(name_of_copy, sizeof name_of_copy, "%s.copy", other);
        ck_assert_ok(tensor_npz_open(&npz, other));
        ck_assert_ok(tensor_npz_writer_open(&writer, name_of_copy, (TensorNpzOptions){0}));
        for (int i = 0; i < tensor_npz_count(npz); i++) {
            const void *bytes;
            size_t size;
            const TensorNpzMember *m = tensor_npz_member(npz, i);
            ck_assert_ok(tensor_npz_read_bytes(npz, m, &arena, &bytes, &size));
            if (m->is_array)
                tensor_npz_add_array(writer, m->name, m->array.kind, (int)m->array.item_bytes, m->array.ndim,
                                     m->array.shape, bytes);
            else
                tensor_npz_add_bytes(writer, m->name, bytes, size);
        }
        tensor_npz_add_array(writer, name, 'u', 1, 1, (const int64_t[]){(int64_t)strlen(text)}, text);
        ck_assert_ok(tensor_npz_writer_finish(writer));
        tensor_npz_close(npz);
        ck_assert_int_eq(rename(name_of_copy, other), 0);
    }
    nn_snapshot_free(&snapshot);
}

START_TEST(a_file_that_says_what_cannot_be_is_refused)
{
    static const struct {
        const char *member, *text, *message;
    } cases[] = {
        {"reel/config.json", NULL,
         "has no member reel/config.json; where it is a bare state_dict, export it"},
        {"reel/config.json", "", "reel/config.json"},
        {"reel/config.json", "{\"model\": \"gpt\"}", "there is no model 'gpt'"},
        {"reel/config.json", "{\"max_len\": 5}", "does not name the model"},
        {"reel/config.json", "{\"model\": \"rnn\"}", "does not say how many ids"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 2}", "2 is not from 3 to"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 6, \"hidden\": 0}", "0 is not from 1 to"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 6, \"hidden\": 1e3}", "a whole number"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 6, \"reading\": \"first\"}", "is neither"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 6, \"format\": 5}", "5 is not from 1 to 4"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 6, \"pad_id\": 5}", "5 is not from 0 to 0"},
        {"reel/config.json", "{\"model\": \"rnn\", \"max_len\": 6, \"embed\": 3, \"hidden\": 2000000000}",
         "parameter 'bias_h' is [2] in the file and [2000000000] in the model"},
        {"reel/config.json",
         "{\"model\": \"rnn\", \"max_len\": 6, \"embed\": 3, \"hidden\": 2, \"vocabulary\": 99}",
         "says 99 words and the file names"},
        {"reel/config.json", "{\"model\": \"lstm\", \"max_len\": 6, \"embed\": 3, \"hidden\": 2}",
         "parameter 'W_f.weight' is missing"},
        {"reel/vocabulary.txt", NULL, "has no member reel/vocabulary.txt"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\n", "has no room for"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\napple\n", "must be '<eos>'"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\n<eos>\napple\napple\n", "are both 'apple'"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\n<eos>\n\n", "is empty"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\n<eos>\napple", "does not end in a line feed"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\n<eos>\napp\xff\n", "reel/vocabulary.txt"},
        {"reel/vocabulary.txt", "<pad>\n<unk>\n<bos>\n<eos>\napple\n", "says 11 words and the file names 5"},
        {"reel/labels.txt", "blue\nfood\nother\n", "says 4 labels and the file names 3"},
        {"reel/labels.txt", "blue\nfood\nother\nblue\n", "line 4 is there twice"},
        {"reel/labels.txt", "blue\n\nother\nred\n", "line 2 is empty"},
        {"reel/thresholds", "text", "reel/thresholds"},
        {"reel/calibration", "text", "reel/calibration"},
        {"output_layer.bias", NULL, "parameter 'output_layer.bias' is missing"},
        {"output_layer.scale", "x", "'output_layer.scale' is in the file"},
    };
    save_one("rnn", false, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ModelCheckpoint *c;
        rewrite(cases[i].member, cases[i].text, false);
        int64_t live = reel_mem_stats().live_blocks;
        must_refuse(model_checkpoint_load(&c, other), cases[i].message);
        ck_assert_ptr_null(c);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
}
END_TEST

START_TEST(byte_pairs_that_cannot_be_read_are_refused)
{
    static const struct {
        const char *text, *message;
    } cases[] = {{NULL, "has no member reel/tokenizer.json"},
                 {"", "reel/tokenizer.json"},
                 {"{\"model\"", "reel/tokenizer.json: byte 8: ':' is expected here; see docs/checkpoints.md"},
                 {"{\"model\": 1}", "reel/tokenizer.json"},
                 {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}, "
                  "\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}}",
                  "reel/tokenizer.json: the tokenizer's first tokens must be <pad> <unk> <bos> <eos>"}};
    model_dataset_free(dataset);
    make_dataset(true);
    save_one("rnn", false, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ModelCheckpoint *c;
        rewrite("reel/tokenizer.json", cases[i].text, false);
        int64_t live = reel_mem_stats().live_blocks;
        must_refuse(model_checkpoint_load(&c, other), cases[i].message);
        ck_assert_ptr_null(c);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
}
END_TEST

START_TEST(text_may_be_an_array_of_bytes_as_numpy_writes_it)
{
    ModelCheckpoint *c;
    save_one("rnn", false, NULL);
    rewrite("reel/labels.txt",
            "blue\nfood\nother\nr\xc3\xa9"
            "d\n",
            true);
    ck_assert_ok(model_checkpoint_load(&c, other));
    ck_assert_str_eq(model_string_table_text(&c->text.labels, 3), "r\xc3\xa9"
                                                                  "d");
    model_checkpoint_free(c);
}
END_TEST

/* As numpy.savez_compressed(path, **numpy.load(path)) has it: each text is an array of one string. */
START_TEST(text_may_be_one_string_as_numpy_saves_what_it_has_loaded)
{
    TensorNpz *npz;
    ModelCheckpoint *c;
    TensorNpzWriter *writer;
    save_one("rnn", false, NULL);
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_ok(tensor_npz_writer_open(&writer, other, (TensorNpzOptions){0}));
    int texts = 0, empty = 0;
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *m = tensor_npz_member(npz, i);
        const void *bytes;
        size_t size;
        ck_assert_ok(tensor_npz_read_whole(npz, m, &arena, &bytes, &size));
        if (m->is_array) {
            tensor_npz_add_npy(writer, m->name, bytes, size);
            continue;
        }
        size_t length = size ? size : 1; /* NumPy has no empty strings */
        char *npy = tensor_arena_calloc(&arena, 128 + length);
        int header = snprintf(
            npy, 128, "\x93NUMPY\x01%c\x76%c{'descr': '|S%zu', 'fortran_order': False, 'shape': (), }", 0, 0,
            length);
        memset(npy + header, ' ', 128 - (size_t)header);
        npy[127] = '\n';
        memcpy(npy + 128, bytes, size);
        tensor_npz_add_npy(writer, m->name, npy, 128 + length);
        texts++;
        empty += size == 0;
    }
    ck_assert_ok(tensor_npz_writer_finish(writer));
    tensor_npz_close(npz);
    ck_assert_int_ge(texts, 4);
    ck_assert_int_eq(empty, 1);
    ck_assert_ok(model_checkpoint_load(&c, other));
    ck_assert_ok(model_checkpoint_save(other, c, (TensorNpzOptions){.level = 1}));
    ck_assert_int_eq(shell_run("cmp %s %s", path, other), 0);
    model_checkpoint_free(c);
}
END_TEST

START_TEST(what_reel_does_not_know_is_kept)
{
    ModelCheckpoint *c;
    NnSnapshot snapshot;
    save_one("rnn", false, NULL);
    rewrite("reel/notes.txt", "learned by heart", false);
    ck_assert_ok(model_checkpoint_load(&c, other));
    ck_assert_str_eq(nn_snapshot_name(&c->unknown, 0), "reel/notes.txt");
    nn_snapshot_init(&snapshot);
    model_checkpoint_snapshot(&snapshot, c->model, &c->text, c->notebook, c->thresholds, c->calibration);
    nn_snapshot_append(&snapshot, &c->unknown);
    ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){0}));
    ck_assert_int_eq(shell_run("cmp %s %s", path, other), 0);
    nn_snapshot_free(&snapshot);
    model_checkpoint_free(c);
}
END_TEST

/* ---- Damage ---- */

/* Whether bytes are refused, with a message. Otherwise they must be exactly the same model. */
static bool is_refused(const char *bytes, size_t size, const ModelCheckpoint *whole)
{
    TensorNpz *npz;
    ModelCheckpoint *c = NULL;
    char *exact = malloc(size + !size); /* so that the sanitizers see a read beyond the end */
    memcpy(exact, bytes, size);
    ReelStatus status = tensor_npz_open_memory(&npz, exact, size, "damaged");
    if (reel_status_is_ok(&status))
        status = model_checkpoint_load_from(&c, npz, (NnLoadOptions){0});
    tensor_npz_close(npz);
    free(exact);
    if (!reel_status_is_ok(&status)) {
        must_refuse(status, "damaged");
        return true;
    }
    ck_assert(same_checkpoint(c, whole));
    model_checkpoint_free(c);
    return false;
}

/* The file may go while its weights are in use, another may be renamed onto it, and one that is cut is
 * refused before any of it is read. */
START_TEST(what_is_exported_is_read_in_place)
{
    Model *model = new_model(model_zoo_kind(_i)->name);
    ModelCheckpoint all = {.model = model, .text = dataset->text}, *c;
    save(model, false, NULL);
    ck_assert_ok(model_checkpoint_load(&c, path));
    ck_assert(!model_checkpoint_is_in_place(c));
    model_checkpoint_free(c);
    ck_assert_ok(model_checkpoint_export(path, &all, false));
    ck_assert_ok(model_checkpoint_load(&c, path));
    ck_assert(model_checkpoint_is_in_place(c));
    for (NnIterator it = nn_iterate(&c->model->base); nn_next(&it);)
        ck_assert_int_eq(it.named.parameter->is_borrowed,
                         it.named.rows == (it.named.parameter->ndim ? it.named.parameter->shape[0] : 1));
    remove(path);
    save(model, false, NULL);
    ck_assert(same_checkpoint(c, &all));
    NnModule *module = &c->model->base; /* values that are set become the model's own */
    ck_assert_ok(nn_module_reset(module, 9));
    ck_assert_ok(nn_module_reset_f64(module, 9));
    ck_assert(!model_checkpoint_is_in_place(c));
    model_checkpoint_free(c);
    ck_assert_ok(model_checkpoint_export(path, &all, false));
    FILE *file = fopen(path, "r+");
    fseek(file, 0, SEEK_END);
    ck_assert_int_eq(ftruncate(fileno(file), ftell(file) / 2), 0);
    fclose(file);
    must_refuse(model_checkpoint_load(&c, path), "it is cut");
    model_free(model);
}
END_TEST

START_TEST(a_file_that_is_cut_or_changed_is_the_same_model_or_refused)
{
    TensorNpz *npz;
    ModelCheckpoint *whole;
    Model *model = new_model(_i == 1 ? "lstm" : "rnn");
    ModelCheckpoint all = {.model = model, .text = dataset->text};
    ck_assert_ok(_i >= 2 ? model_checkpoint_export(path, &all, _i == 3)
                         : model_checkpoint_save(path, &all, (TensorNpzOptions){.level = _i}));
    ck_assert_ok(model_checkpoint_load(&whole, path));
    FILE *file = fopen(path, "rb");
    static char bytes[1 << 16];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_uint_lt(size, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++)
        ck_assert(is_refused(bytes, cut, whole));
    int survivors = 0;
    for (size_t i = 0; i < size; i++)
        for (int mask = 1; mask < 256; mask = mask == 1 ? 0x80 : mask == 0x80 ? 0xff : 256) {
            bytes[i] ^= (char)mask;
            survivors += !is_refused(bytes, size, whole);
            bytes[i] ^= (char)mask;
        }
    /* Versions and attributes in the directory mean nothing for the contents, nor does what aligns them. */
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_lt(survivors, (50 + (_i >= 2 ? 3 * TENSOR_NPY_ALIGNMENT : 0)) * tensor_npz_count(npz));
    tensor_npz_close(npz);
    model_checkpoint_free(whole);
    model_free(model);
}
END_TEST

START_TEST(memory_that_fails_is_an_error_at_every_place)
{
    Model *model = new_model("attention");
    ModelCheckpoint all = {.model = model, .text = dataset->text};
    ModelCheckpoint *c = NULL;
    char exported[300];
    int failures = 0;
    ck_assert_ok(model_checkpoint_save(path, &all, (TensorNpzOptions){.level = 1}));
    snprintf(exported, sizeof exported, "%s/exported.npz", folder);
    ck_assert_ok(model_checkpoint_export(exported, &all, false));
    for (int load = 0; load < 3; load++)
        for (int n = 0;; n++) {
            int64_t live = reel_mem_stats().live_blocks;
            reel_mem_fail_at(n, n % 2);
            ReelStatus status = load ? model_checkpoint_load(&c, load == 1 ? path : exported)
                                     : model_checkpoint_save(other, &all, (TensorNpzOptions){.level = 1});
            reel_mem_fail_at(-1, 0);
            bool done = reel_status_is_ok(&status);
            if (load && done)
                model_checkpoint_free(c);
            ck_assert_int_eq(reel_mem_stats().live_blocks, live);
            if (done)
                break;
            failures++;
            ck_assert(!load || !c);
            ck_assert_ptr_null(strchr(status.message, '\n'));
        }
    ck_assert_int_gt(failures, 40);
    model_free(model);
}
END_TEST

Suite *models_checkpoint_suite(void);
Suite *models_checkpoint_suite(void)
{
    Suite *suite = suite_create("models/checkpoint");
    TCase *tcase = tcase_create("checkpoint");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_model_comes_back_whole, 0, 2 * model_zoo_count());
    tcase_add_test(tcase, what_is_loaded_has_its_kinds_dropout);
    tcase_add_test(tcase, what_is_loaded_and_saved_again_has_the_same_bytes);
    tcase_add_test(tcase, stop_words_and_digits_are_kept);
    tcase_add_test(tcase, byte_pairs_are_kept);
    tcase_add_test(tcase, a_file_that_says_what_cannot_be_is_refused);
    tcase_add_test(tcase, byte_pairs_that_cannot_be_read_are_refused);
    tcase_add_test(tcase, text_may_be_an_array_of_bytes_as_numpy_writes_it);
    tcase_add_test(tcase, text_may_be_one_string_as_numpy_saves_what_it_has_loaded);
    tcase_add_test(tcase, what_reel_does_not_know_is_kept);
    tcase_add_loop_test(tcase, what_is_exported_is_read_in_place, 0, model_zoo_count());
    tcase_add_loop_test(tcase, a_file_that_is_cut_or_changed_is_the_same_model_or_refused, 0, 4);
    tcase_add_test(tcase, memory_that_fails_is_an_error_at_every_place);
    suite_add_tcase(suite, tcase);
    return suite;
}

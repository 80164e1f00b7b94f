/* A run that begins from a model: what it knew stays in place, what the data add is appended. */
#include "models/training/run_init.h"
#include "models/training/predictor.h"
#include "tensor/mem_internal.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char OLD[] = "text\tlabels\n"
                          "red apple pie\tfood, sweet\nblue sky\tair\nred fire\thot\nblue sea apple\tfood\n"
                          "green apple\tfood\nred sky\tair, hot\nblue pie\tsweet\ngreen sea\tair\n"
                          "red pie\tfood\nblue fire sky\thot\n";
/* "colour" and "water" are new labels and come before and behind the old ones in the alphabet; "boat" and
 * "zebra" are new words, "fire" and "pie" are in none of its texts. */
static const char NEW[] = "text\tlabels\n"
                          "red apple boat\tfood, colour\nblue sky zebra\tair\nred boat\twater\n"
                          "blue sea apple\tcolour, food\ngreen zebra\twater, air\nred sky\tcolour\n"
                          "blue boat\twater\ngreen sea\tair\n";

static const char *folder;
static char path[300];
static ModelDatasetOptions how;
static ModelRunOptions options;
static ModelCheckpoint *first;

static void setup(void)
{
    folder = shell_folder();
    how = model_dataset_defaults();
    how.vocabulary = (ModelVocabularyOptions){.min_df = 1, .max_df = 1};
    how.clean.stop_words = "none";
    options = model_run_defaults();
    options.epochs = 3;
    options.batch = 4;
    options.config = (ModelConfig){.embed = 4, .hidden = 4};
    options.trainer.threads = options.trainer.shards = 1;
    options.trainer.schedule.lr = 0.05;
    first = NULL;
}

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    model_checkpoint_free(first);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    shell_remove_folder(folder);
}

static ModelDataset *data(const char *tsv)
{
    ModelDataset *dataset;
    ModelCorpus corpus = text_support_corpus(tsv);
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "test.tsv", &how));
    model_corpus_free(&corpus);
    return dataset;
}

/* Trains a model on the old data, to begin with; returns its macro F1. */
static double begin(const char *kind, const char *tsv)
{
    ModelRunResult result;
    ModelDataset *dataset = data(tsv);
    options.files.folder = folder;
    options.files.init = NULL;
    ck_assert_ok(model_run_model(&result, NULL, model_zoo_find(kind), dataset, &options, NULL));
    double f1 = result.last_f1;
    model_run_result_free(&result);
    model_dataset_free(dataset);
    options.files.folder = NULL;
    snprintf(path, sizeof path, "%s/%s.last.npz", folder, kind);
    options.files.init = path;
    model_checkpoint_free(first);
    ck_assert_ok(model_run_read_init(&first, &options.files));
    ck_assert_ptr_nonnull(first);
    how.begin = &first->text;
    return f1;
}

/* The model before its first step. */
static ReelStatus go_on(Model **model, ModelRunResult *result, const ModelDataset *dataset)
{
    options.epochs = 0;
    return model_run_model(result, model, first->model->kind, dataset, &options, NULL);
}

/* Whether rows first to end of one table are, in the other, `by` later. */
static bool same_rows(Tensor a, Tensor b, int64_t from, int64_t end, int64_t by)
{
    size_t width = (size_t)(tensor_numel(&a) / a.shape[0]);
    return end + by <= b.shape[0] &&
           memcmp(tensor_f32(a) + (size_t)from * width, tensor_f32(b) + (size_t)(from + by) * width,
                  (size_t)(end - from) * width * sizeof(float)) == 0;
}

static void check_weights(Model *model, const ModelDataset *dataset)
{
    int64_t words = first->model->config.vocabulary, pieces = first->text.tokenizer.first_piece;
    int64_t fixed = pieces ? pieces : words,
            later = pieces ? dataset->text.tokenizer.first_piece - pieces : 0;
    for (NnIterator it = nn_iterate(&first->model->base); nn_next(&it);) {
        NnNamed now;
        ck_assert(nn_find(&model->base, it.named.name, &now));
        Tensor a = nn_named_view(&it.named), b = nn_named_view(&now);
        bool table = a.shape[0] == words && b.shape[0] == model->config.vocabulary;
        ck_assert_msg(same_rows(a, b, 0, table ? fixed : a.shape[0], 0), "%s", it.named.name);
        if (table)
            ck_assert_msg(same_rows(a, b, fixed, words, later), "%s", it.named.name);
    }
}

static void check_going_on(const ModelDataset *dataset)
{
    Model *model;
    ModelRunResult result;
    ck_assert_ok(go_on(&model, &result, dataset));
    check_weights(model, dataset);
    model_free(model);
    model_run_result_free(&result);
}

/* All kinds of the zoo. */
START_TEST(old_rows_stay_and_new_ones_are_appended)
{
    begin("wide", OLD);
    for (int i = 0; i < model_zoo_count(); i++) {
        Model *model;
        ModelRunResult result;
        options.epochs = 1;
        how.begin = NULL;
        begin(model_zoo_kind(i)->name, OLD);
        ModelDataset *dataset = data(NEW);
        ck_assert_ok(go_on(&model, &result, dataset));
        ck_assert_int_eq(model->config.labels, first->text.labels.count + 2);
        ck_assert_int_eq(model->config.vocabulary, first->text.tokenizer.vocab_size + 2);
        check_weights(model, dataset);
        NnNamed bias;
        ck_assert(nn_find(&model->base,
                          model->kind == model_zoo_find("rnn") ? "output_layer.bias" : "fc.bias", &bias));
        /* A new label starts at its log-odds in the training part. */
        int64_t k = first->text.labels.count, with = dataset->train.label_counts[k];
        Tensor values = nn_named_view(&bias);
        ck_assert_double_eq_tol(tensor_get(&values, &k),
                                log((double)with / (double)(dataset->train.count - with)), 1e-6);
        model_free(model);
        model_run_result_free(&result);
        model_dataset_free(dataset);
    }
}
END_TEST

START_TEST(words_and_labels_keep_their_ids)
{
    begin("rnn", OLD);
    ModelDataset *dataset = data(NEW);
    const ModelStringTable *labels = &dataset->text.labels;
    ck_assert_int_eq(labels->count, 6);
    ck_assert_int_eq(model_string_table_difference(labels, &first->text.labels), 4);
    ck_assert_str_eq(model_string_table_text(labels, 4), "colour");
    ck_assert_str_eq(model_string_table_text(labels, 5), "water");
    const ModelStringTable *words = &dataset->text.vocabulary.words;
    ck_assert_int_eq(model_string_table_difference(words, &first->text.vocabulary.words),
                     first->text.vocabulary.words.count);
    ck_assert_int_eq(words->count, first->text.vocabulary.words.count + 2);
    ck_assert_str_eq(model_string_table_text(words, words->count - 2), "boat");
    /* Labels of an example ascend, though "colour" comes before "food" in its row. */
    const ModelDatasetPart *part = &dataset->train;
    for (int64_t i = 0; i < part->count; i++)
        for (int64_t k = part->label_offsets[i] + 1; k < part->label_offsets[i + 1]; k++)
            ck_assert_int_lt(part->labels[k - 1], part->labels[k]);
    model_dataset_free(dataset);
    /* Rare labels that are new are left out, old ones stay. */
    how.min_label_count = 3;
    how.vocabulary.min_df = 6; /* the same of words */
    dataset = data(NEW);
    ck_assert_int_eq(
        model_string_table_difference(&dataset->text.vocabulary.words, &first->text.vocabulary.words), -1);
    ck_assert_int_eq(model_string_table_difference(&dataset->text.labels, &first->text.labels),
                     dataset->text.labels.count > 4 ? 4 : -1);
    ck_assert_int_lt(dataset->text.labels.count, 6);
    model_dataset_free(dataset);
}
END_TEST

/* Its texts are cleaned and cut as the model's were, whatever the options say. */
START_TEST(texts_are_read_as_the_model_reads_them)
{
    how.clean.keep_digits = true;
    how.max_len = 7;
    begin("rnn", OLD);
    how.clean = (ModelCleanOptions){.letters = MODEL_CLEAN_UNICODE};
    how.max_len = 64;
    how.byte_pairs = 300;
    ModelDataset *dataset = data("text\tlabels\nred apple 42 the\tfood\nblue sky\tair\n42 the\thot\n"
                                 "the 42 sea\tair\nthe 42\tair\n");
    ck_assert_int_eq(dataset->text.max_len, 7);
    ck_assert(dataset->text.cleaner.keep_digits && !dataset->text.cleaner.unicode);
    ck_assert_int_ge(model_vocabulary_id(&dataset->text.vocabulary, model_text_span("42")), 4);
    ck_assert_int_ge(model_vocabulary_id(&dataset->text.vocabulary, model_text_span("the")), 4);
    ck_assert_ptr_null(dataset->text.tokenizer.bpe);
    model_dataset_free(dataset);
    dataset = data("text\tlabels\nкрасное яблоко\tfood\nсинее sky\tair\nred лес\thot\nsea\tair\nred\tair\n");
    ck_assert_msg(strstr(dataset->form, "are not ASCII, which the model does not read"), "%s", dataset->form);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(on_the_same_data_the_model_is_the_same)
{
    static const char *const kinds[] = {"wide", "lstm", "transformer"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        Model *model;
        ModelRunResult result;
        options.epochs = 3;
        how.begin = NULL;
        double f1 = begin(kinds[i], OLD);
        how.vocabulary.min_df = 2; /* as of another preset: what the model knows stays */
        ModelDataset *dataset = data(OLD);
        ck_assert_int_eq(model_dataset_num_classes(dataset), first->text.labels.count);
        ck_assert_int_eq(dataset->text.tokenizer.vocab_size, first->text.tokenizer.vocab_size);
        ck_assert_ok(go_on(&model, &result, dataset));
        check_weights(model, dataset);
        ck_assert_double_eq(model_metrics_macro(&result.metrics).f1, f1);
        model_free(model);
        model_run_result_free(&result);
        model_dataset_free(dataset);
        how.vocabulary.min_df = 1;
    }
}
END_TEST

/* Pieces of words stand behind the words, new ones too. */
START_TEST(pieces_of_words_move_behind_new_words)
{
    how.ngrams = (ModelNgramOptions){.least = 2, .most = 3, .min_df = 2};
    begin("wide", OLD);
    how.ngrams = (ModelNgramOptions){.min_df = 2};
    ModelDataset *dataset = data(NEW);
    const ModelPipeline *text = &dataset->text;
    ck_assert_int_eq(text->ngrams.least, 2);
    ck_assert_int_eq(text->ngrams.most, 3);
    ck_assert_int_eq(text->tokenizer.first_piece, first->text.tokenizer.first_piece + 2);
    ck_assert_int_gt(text->ngrams.pieces.count, first->text.ngrams.pieces.count); /* "bo", "oa", ... */
    ck_assert_int_eq(model_string_table_difference(&text->ngrams.pieces, &first->text.ngrams.pieces),
                     first->text.ngrams.pieces.count);
    check_going_on(dataset);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(byte_pairs_stay)
{
    how.byte_pairs = 40;
    begin("gru", OLD);
    how.byte_pairs = 0;
    ModelDataset *dataset = data(NEW);
    ck_assert_int_eq(dataset->text.tokenizer.vocab_size, first->text.tokenizer.vocab_size);
    ck_assert_int_eq(model_dataset_num_classes(dataset), 6);
    check_going_on(dataset);
    model_dataset_free(dataset);
}
END_TEST

/* A text of old words has the old answers for the old labels. */
START_TEST(old_texts_have_their_old_answers)
{
    const ModelTextSpan texts[] = {model_text_span("red apple pie"), model_text_span("blue fire"),
                                   model_text_span("nothing known")};
    enum { COUNT = sizeof texts / sizeof texts[0] };
    float before[COUNT * 4], after[COUNT * 6];
    ModelRunResult result;
    ModelPredictor *predictor;
    ModelCheckpoint now = {0};
    begin("lstm", OLD);
    ModelDataset *dataset = data(NEW);
    ck_assert_ok(go_on(&now.model, &result, dataset));
    nn_module_train(&now.model->base, false);
    now.text = dataset->text;
    now.text.tokenizer.state = &dataset->text.vocabulary;
    ck_assert_ok(model_predictor_new(&predictor, first, 1));
    ck_assert_ok(model_predictor_run(predictor, texts, COUNT, false, before));
    model_predictor_free(predictor);
    ck_assert_ok(model_predictor_new(&predictor, &now, 1));
    ck_assert_ok(model_predictor_run(predictor, texts, COUNT, false, after));
    model_predictor_free(predictor);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < 4; k++)
            ck_assert_float_eq_tol(after[i * 6 + k], before[i * 4 + k], 1e-6f);
    model_free(now.model);
    model_run_result_free(&result);
    model_dataset_free(dataset);
}
END_TEST

/* One label a text or several: as the model has it, unless another task is asked for. */
START_TEST(the_task_is_the_models)
{
    static const char single[] =
        "text\tlabels\nred apple\tfood\nblue sky\tair\nred fire\thot\nsea\tair\nsky\tair\n";
    ModelDataset *dataset;
    begin("rnn", OLD);
    dataset = data(single);
    ck_assert_int_eq(dataset->text.task, MODEL_TASK_MULTILABEL);
    model_dataset_free(dataset);
    how.begin = NULL;
    options.epochs = 1;
    begin("rnn", single);
    ModelCorpus corpus = text_support_corpus(NEW);
    ck_assert_failed(
        model_dataset_new(&dataset, &corpus, "new.tsv", &how), REEL_STATUS_FAILED,
        "new.tsv: row 1 has 2 labels, and one label a text is asked for by the model to begin with;");
    how.task = MODEL_TASK_MULTILABEL;
    ck_assert_ok(model_dataset_new(&dataset, &corpus, "new.tsv", &how));
    model_dataset_free(dataset);
    model_corpus_free(&corpus);
    /* Rows of one label alone are told apart from the others that the model knows. */
    how.task = MODEL_TASK_AUTO;
    dataset = data("text\tlabels\nred\tfood\nblue\tfood\nsea\tfood\nsky\tfood\nfire\tfood\n");
    ck_assert_int_eq(model_dataset_num_classes(dataset), 3);
    model_dataset_free(dataset);
}
END_TEST

/* Labels of a test part that the model knows are known. */
START_TEST(known_labels_are_not_missed)
{
    static const char parts[] = "text\tlabels\tpart\nred apple\tcolour\ttrain\nblue sky\tair\ttrain\n"
                                "red fire\thot, wet\ttest\nblue zebra\tair\ttest\n";
    begin("rnn", OLD);
    how.corpus.columns.split = "part";
    ModelDataset *dataset;
    const char *tsv = text_support_file(parts, sizeof parts - 1);
    ck_assert_ok(model_dataset_read(&dataset, tsv, &how));
    ck_assert_int_eq(dataset->test.missed, 1);
    ck_assert_str_eq(dataset->missed_names, "'wet'");
    ck_assert_int_eq(model_dataset_num_classes(dataset), 5);
    model_dataset_free(dataset);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    Model *model;
    ModelRunResult result;
    ModelRunOptions other;
    begin("rnn", OLD);
    /* Data that were read without the model. */
    how.begin = NULL;
    ModelDataset *dataset = data(NEW);
    ck_assert_failed(go_on(&model, &result, dataset), REEL_STATUS_FAILED, "ModelDatasetOptions.begin");
    model_dataset_free(dataset);
    how.byte_pairs = 40;
    dataset = data(OLD);
    ck_assert_failed(go_on(&model, &result, dataset), REEL_STATUS_FAILED,
                     "reads words, and the data set has byte");
    model_dataset_free(dataset);
    /* Another kind, another way of reading, other sizes. */
    other = options;
    ck_assert_failed(model_run_take_init(&other, model_zoo_find("gru"), first), REEL_STATUS_FAILED,
                     "rnn.last.npz: holds the model rnn and cannot begin gru; choose --models rnn");
    other.notebook = true;
    ck_assert_failed(model_run_take_init(&other, model_zoo_find("rnn"), first), REEL_STATUS_FAILED,
                     "leave out --notebook");
    other = options;
    other.config = (ModelConfig){.embed = 5};
    ck_assert_failed(model_run_take_init(&other, model_zoo_find("rnn"), first), REEL_STATUS_USAGE,
                     "--embed 5: the model in ");
    other.config = (ModelConfig){.hidden = 3};
    ck_assert_failed(model_run_take_init(&other, model_zoo_find("rnn"), first), REEL_STATUS_USAGE,
                     "has 4; leave the option out");
    other.config = (ModelConfig){.hidden = 4};
    ck_assert_ok(model_run_take_init(&other, model_zoo_find("rnn"), first));
    ck_assert_int_eq(other.config.embed, 4);
    /* No model. */
    ModelCheckpoint *none;
    other.files.init = "Makefile";
    ck_assert_failed(model_run_read_init(&none, &other.files), REEL_STATUS_FAILED, "Makefile: ");
    ck_assert_ptr_null(none);
    other.files.init = NULL;
    ck_assert_ok(model_run_read_init(&none, &other.files));
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    Model *model;
    ModelRunResult result;
    options.epochs = 1;
    begin("rnn", OLD);
    ModelCorpus corpus = text_support_corpus(NEW);
    bool done = false;
    int64_t live = reel_mem_stats().live_blocks;
    for (int64_t n = 0; !done; n++) {
        ModelDataset *dataset;
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_dataset_new(&dataset, &corpus, "new.tsv", &how);
        if (reel_status_is_ok(&status)) {
            status = go_on(&model, &result, dataset);
            done = reel_status_is_ok(&status);
        }
        reel_mem_fail_at(-1, 0);
        if (done) {
            model_free(model);
            model_run_result_free(&result);
        } else {
            ck_assert_msg(strstr(status.message, "memory") != NULL, "%lld: %s", (long long)n, status.message);
        }
        model_dataset_free(dataset);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    model_corpus_free(&corpus);
}
END_TEST

Suite *models_run_init_suite(void);
Suite *models_run_init_suite(void)
{
    Suite *suite = suite_create("models/run_init");
    TCase *tcase = tcase_create("run_init");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, old_rows_stay_and_new_ones_are_appended);
    tcase_add_test(tcase, words_and_labels_keep_their_ids);
    tcase_add_test(tcase, texts_are_read_as_the_model_reads_them);
    tcase_add_test(tcase, on_the_same_data_the_model_is_the_same);
    tcase_add_test(tcase, pieces_of_words_move_behind_new_words);
    tcase_add_test(tcase, byte_pairs_stay);
    tcase_add_test(tcase, old_texts_have_their_old_answers);
    tcase_add_test(tcase, the_task_is_the_models);
    tcase_add_test(tcase, known_labels_are_not_missed);
    tcase_add_test(tcase, what_does_not_fit_is_refused);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

/* A classifier on texts in memory answers as the programs do on the same texts in a file. */
#include "models/training/classifier.h"
#include "models/training/checkpoint.h"
#include "tensor/mem.h"
#include "tensor/mem_internal.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static ModelClassifier *c;

/* The texts and labels of the corpus in the repository, as a caller has them. */
static ModelCorpus corpus;
static const char **texts, **names;

static void setup(void)
{
    ck_assert_ok(model_corpus_read(&corpus, TEXT_SUPPORT_DEBIAN, NULL));
    texts = reel_mem_alloc((size_t)corpus.rows * sizeof *texts);
    names = reel_mem_alloc((size_t)corpus.label_offsets[corpus.rows] * sizeof *names);
    for (int64_t i = 0; i < corpus.rows; i++) {
        char *copy = reel_mem_calloc(corpus.texts[i].length + 1, 1);
        memcpy(copy, corpus.texts[i].bytes, corpus.texts[i].length);
        texts[i] = copy;
    }
    for (int64_t i = 0; i < corpus.label_offsets[corpus.rows]; i++)
        names[i] = model_string_table_text(&corpus.classes, corpus.labels[i]);
    ck_assert_ok(model_classifier_new(&c));
}

static void teardown(void)
{
    reel_mem_fail_at(-1, 0);
    model_classifier_free(c);
    for (int64_t i = 0; i < corpus.rows; i++)
        reel_mem_free((void *)(uintptr_t)texts[i]);
    reel_mem_free(texts);
    reel_mem_free(names);
    model_corpus_free(&corpus);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static void set(const char *const (*options)[2], int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_ok(model_classifier_set(c, options[i][0], options[i][1]));
}

/* A small LSTM. */
static void set_small(void)
{
    static const char *const options[][2] = {
        {"models", "lstm"}, {"epochs", "3"}, {"batch", "20"},   {"embed", "8"},   {"hidden", "6"},
        {"lr", "0.02"},     {"valid", "0"},  {"max-len", "12"}, {"threads", "1"}, {"refit", "off"}};
    set(options, sizeof options / sizeof options[0]);
}

static ReelStatus fit(void)
{
    return model_classifier_fit(c, texts, corpus.rows, names, corpus.label_offsets);
}

/* Probabilities of all texts, which the caller frees, and in *chosen the answers. */
static float *predict(ModelClassifier *from, bool **chosen)
{
    size_t count = (size_t)corpus.rows * (size_t)model_classifier_num_labels(from);
    float *probabilities = reel_mem_alloc(count * sizeof *probabilities);
    *chosen = reel_mem_alloc(count);
    ck_assert_ok(model_classifier_predict(from, texts, corpus.rows, probabilities, *chosen));
    return probabilities;
}

static void check_same(ModelClassifier *a, ModelClassifier *b)
{
    bool *chosen, *others;
    size_t count = (size_t)corpus.rows * (size_t)model_classifier_num_labels(a);
    float *first = predict(a, &chosen), *second = predict(b, &others);
    ck_assert_int_eq(model_classifier_num_labels(a), model_classifier_num_labels(b));
    ck_assert_mem_eq(first, second, count * sizeof *first);
    ck_assert_mem_eq(chosen, others, count);
    reel_mem_free(first);
    reel_mem_free(second);
    reel_mem_free(chosen);
    reel_mem_free(others);
}

START_TEST(labels_come_in_the_order_of_their_names)
{
    set_small();
    ck_assert(!model_classifier_is_fitted(c));
    ck_assert_int_eq(model_classifier_num_labels(c), 0);
    ck_assert_str_eq(model_classifier_label(c, 0), "");
    ck_assert_ok(fit());
    ck_assert(model_classifier_is_fitted(c));
    ck_assert_int_eq(model_classifier_num_labels(c), corpus.classes.count);
    for (int32_t k = 0; k < corpus.classes.count; k++)
        ck_assert_str_eq(model_classifier_label(c, k), model_string_table_text(&corpus.classes, k));
    ck_assert_str_eq(model_classifier_label(c, -1), "");
    ck_assert_str_eq(model_classifier_label(c, corpus.classes.count), "");
}
END_TEST

/* Training a second time begins anew. */
START_TEST(the_same_settings_give_the_same_model)
{
    ModelClassifier *other = c;
    set_small();
    ck_assert_ok(fit());
    ck_assert_ok(fit());
    ck_assert_ok(model_classifier_new(&c));
    set_small();
    ck_assert_ok(fit());
    check_same(c, other);
    ck_assert_ok(model_classifier_set(other, "seed", "1"));
    ck_assert_ok(model_classifier_fit(other, texts, corpus.rows, names, corpus.label_offsets));
    bool *chosen;
    float *first = predict(c, &chosen), *second;
    reel_mem_free(chosen);
    second = predict(other, &chosen);
    ck_assert(first[0] != second[0]);
    reel_mem_free(first);
    reel_mem_free(second);
    reel_mem_free(chosen);
    model_classifier_free(other);
}
END_TEST

/* train_zoo on a file whose column says that all rows are for training, but for one that it must have. */
START_TEST(the_programs_train_and_answer_alike)
{
    const char *folder = shell_folder(), *tools = shell_setting("REEL_TOOLS");
    char path[300];
    set_small();
    ck_assert_ok(model_classifier_fit(c, texts, corpus.rows - 1, names, corpus.label_offsets));
    shell_must(
        "{ sed -n '1s/$/\\tpart/p' %s; sed -n '2,$s/$/\\ttrain/p' %s | sed '$s/train$/test/'; } >%s/data.tsv",
        TEXT_SUPPORT_DEBIAN, TEXT_SUPPORT_DEBIAN, folder);
    shell_must("%s/train_zoo --data %s/data.tsv --split part --models lstm --epochs 3 --batch 20 --embed 8 "
               "--hidden 6 "
               "--lr 0.02 --max-len 12 --threads 1 --out %s/run --quiet",
               tools, folder, folder);
    snprintf(path, sizeof path, "%s/run/lstm.last.npz", folder);
    ModelClassifier *program;
    ck_assert_ok(model_classifier_new(&program));
    ck_assert_ok(model_classifier_load(program, path));
    check_same(c, program);
    model_classifier_free(program);
    shell_remove_folder(folder);
}
END_TEST

/* The same features in training, in prediction, and once the model is loaded. */
START_TEST(pieces_of_words_come_back_with_the_model)
{
    static const char *const options[][2] = {{"models", "best"}, {"epochs", "2"}, {"embed", "8"},
                                             {"threads", "1"},   {"valid", "0"},  {"char-ngrams", "2-4"}};
    const char *unknown[] = {"monitoringz", "qqqq"};
    ReelBytes bytes = {0};
    ModelClassifier *other;
    set(options, sizeof options / sizeof options[0]);
    ck_assert_ok(fit());
    ck_assert_ok(model_classifier_to_bytes(c, &bytes));
    ck_assert_ok(model_classifier_new(&other));
    ck_assert_ok(model_classifier_from_bytes(other, bytes.data, bytes.size));
    check_same(c, other);
    /* A word that was never seen says something by its pieces. */
    size_t labels = (size_t)model_classifier_num_labels(c);
    float *said = reel_mem_alloc(2 * labels * sizeof *said);
    ck_assert_ok(model_classifier_predict(other, unknown, 2, said, NULL));
    ck_assert_mem_ne(said, said + labels, labels * sizeof *said);
    reel_mem_free(said);
    model_classifier_free(other);
    reel_bytes_free(&bytes);
}
END_TEST

/* The option `init`: labels of the model stay in front. */
START_TEST(a_model_is_begun_with)
{
    const char *more[] = {"zeppelin airship", "airship balloon", "a zeppelin", "games for a console"},
               *labels[] = {"flying", "flying", "flying", model_string_table_text(&corpus.classes, 0)};
    const char *folder = shell_folder();
    char path[300];
    set_small();
    ck_assert_ok(fit());
    snprintf(path, sizeof path, "%s/first.npz", folder);
    ck_assert_ok(model_classifier_save(c, path));
    static const char *const options[][2] = {
        {"embed", "0"}, {"hidden", "0"}, {"min-df", "1"}, {"max-len", "64"}};
    set(options, 4);
    ck_assert_ok(model_classifier_set(c, "init", path));
    ck_assert_ok(model_classifier_fit(c, more, 4, labels, NULL));
    ck_assert_int_eq(model_classifier_num_labels(c), corpus.classes.count + 1);
    ck_assert_str_eq(model_classifier_label(c, 0), model_string_table_text(&corpus.classes, 0));
    ck_assert_str_eq(model_classifier_label(c, corpus.classes.count), "flying");
    ck_assert(!model_classifier_is_single(c)); /* as the model */
    ck_assert_int_eq(model_classifier_width(c), 6);
    ck_assert_ok(model_classifier_set(c, "hidden", "7"));
    ck_assert_failed(model_classifier_fit(c, more, 4, labels, NULL), REEL_STATUS_USAGE,
                     "--hidden 7: the model in");
    ck_assert_ok(model_classifier_set(c, "init", "nowhere.npz"));
    ck_assert_failed(model_classifier_fit(c, more, 4, labels, NULL), REEL_STATUS_FAILED, "nowhere.npz");
    ck_assert_int_eq(model_classifier_num_labels(c), corpus.classes.count + 1);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(a_model_comes_back_from_a_file_and_from_memory)
{
    const char *folder = shell_folder();
    char path[300], again[300];
    ReelBytes bytes = {0}, same = {0};
    ModelClassifier *other;
    set_small();
    ck_assert_ok(model_classifier_set(c, "valid", "0.2"));
    ck_assert_ok(fit());
    snprintf(path, sizeof path, "%s/model.npz", folder);
    snprintf(again, sizeof again, "%s/again.npz", folder);
    ck_assert_ok(model_classifier_save(c, path));
    ck_assert_ok(model_classifier_to_bytes(c, &bytes));
    ck_assert_ok(model_classifier_new(&other));
    ck_assert_ok(model_classifier_load(other, path));
    check_same(c, other);
    ck_assert_ok(model_classifier_from_bytes(other, bytes.data, bytes.size));
    check_same(c, other);
    ck_assert_ok(model_classifier_to_bytes(other, &same));
    ck_assert_uint_eq(same.size, bytes.size);
    ck_assert_mem_eq(same.data, bytes.data, bytes.size);
    ck_assert_ok(model_classifier_save(other, again));
    shell_must("cmp %s %s && %s/predict --info --json %s | grep -q valid_f1", path, again,
               shell_setting("REEL_TOOLS"), again);
    /* What is no model leaves the one that is there. */
    ck_assert_failed(model_classifier_from_bytes(other, "none", 4), REEL_STATUS_FAILED,
                     "the model in memory");
    ck_assert_failed(model_classifier_load(other, "/none"), REEL_STATUS_FAILED, "/none");
    check_same(c, other);
    model_classifier_free(other);
    reel_bytes_free(&bytes);
    reel_bytes_free(&same);
    shell_remove_folder(folder);
}
END_TEST

/* Of `best` the answers are those above the thresholds, which are not 0.5 for all. */
START_TEST(best_has_thresholds_of_its_own)
{
    static const char *const options[][2] = {{"embed", "8"}, {"threads", "1"}, {"shards", "0"}};
    bool *chosen, other = false;
    set(options, 3);
    ck_assert_ok(fit());
    float *probabilities = predict(c, &chosen);
    size_t count = (size_t)corpus.rows * (size_t)corpus.classes.count;
    for (size_t i = 0; i < count; i++) {
        ck_assert(probabilities[i] >= 0 && probabilities[i] <= 1);
        other = other || chosen[i] != (probabilities[i] > 0.5f);
    }
    ck_assert(other);
    reel_mem_free(probabilities);
    reel_mem_free(chosen);
}
END_TEST

/* The last layer of the vectors is the answer. */
START_TEST(vectors_are_what_the_last_layer_reads)
{
    static const char *const kinds[] = {"rnn",  "lstm",   "attention",   "bag",           "cnn",
                                        "wide", "bilstm", "transformer", "attention_fed", "gru"};
    for (int i = 0; i < 10; i++) {
        set_small();
        ck_assert_ok(model_classifier_set(c, "models", kinds[i]));
        ck_assert_ok(model_classifier_set(c, "epochs", "1"));
        ck_assert_ok(fit());
        ReelBytes bytes = {0};
        TensorNpz *npz;
        ModelCheckpoint *checkpoint;
        ck_assert_ok(model_classifier_to_bytes(c, &bytes));
        ck_assert_ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "memory"));
        ck_assert_ok(model_checkpoint_load_from(&checkpoint, npz, (NnLoadOptions){0}));
        const NnLinear *last = checkpoint->model->output;
        int64_t width = model_classifier_width(c), labels = model_classifier_num_labels(c);
        float *vectors = reel_mem_alloc((size_t)(corpus.rows * width) * sizeof *vectors);
        ck_assert_ok(model_classifier_vectors(c, texts, corpus.rows, vectors));
        bool *chosen;
        float *probabilities = predict(c, &chosen);
        for (int64_t row = 0; row < corpus.rows; row += 7)
            for (int64_t k = 0; k < labels; k += 5) {
                double z = tensor_get(&last->bias.core.value, &k);
                for (int64_t j = 0; j < width; j++)
                    z += (double)vectors[row * width + j] *
                         tensor_get(&last->weight.core.value, (int64_t[]){k, j});
                ck_assert_double_eq_tol(1 / (1 + exp(-z)), (double)probabilities[row * labels + k], 1e-5);
            }
        reel_mem_free(chosen);
        reel_mem_free(probabilities);
        reel_mem_free(vectors);
        model_checkpoint_free(checkpoint);
        tensor_npz_close(npz);
        reel_bytes_free(&bytes);
    }
}
END_TEST

/* Where each text has one label exactly one is the answer. */
START_TEST(one_label_a_text_is_a_task_of_its_own)
{
    const char *first[120];
    bool *chosen;
    for (int64_t i = 0; i < corpus.rows; i++)
        first[i] =
            corpus.label_offsets[i] < corpus.label_offsets[i + 1] ? names[corpus.label_offsets[i]] : "none";
    set_small();
    ck_assert_ok(model_classifier_fit(c, texts, corpus.rows, first, NULL));
    ck_assert(model_classifier_is_single(c));
    float *probabilities = predict(c, &chosen);
    int32_t labels = model_classifier_num_labels(c);
    for (int64_t i = 0; i < corpus.rows; i++) {
        int count = 0;
        double sum = 0;
        for (int32_t k = 0; k < labels; k++) {
            count += chosen[i * labels + k];
            sum += (double)probabilities[i * labels + k];
        }
        ck_assert_int_eq(count, 1);
        ck_assert_double_eq_tol(sum, 1, 1e-5);
    }
    reel_mem_free(probabilities);
    reel_mem_free(chosen);
    ck_assert_ok(model_classifier_set(c, "task", "multilabel"));
    ck_assert_ok(model_classifier_fit(c, texts, corpus.rows, first, NULL));
    ck_assert(!model_classifier_is_single(c));
}
END_TEST

/* ---- Settings ---- */

START_TEST(settings_are_those_of_train_zoo)
{
    ModelOption options[MODEL_ZOO_MAX_OPTIONS];
    int count = model_classifier_options(c, options), seen = 0;
    for (int i = 0; i < count; i++) {
        seen += strcmp(options[i].name, "lr") == 0 || strcmp(options[i].name, "models") == 0 ||
                strcmp(options[i].name, "keep-digits") == 0;
        ck_assert_str_ne(options[i].name, "data");
        ck_assert_str_ne(options[i].name, "resume");
        ck_assert_str_ne(options[i].name, "seeds");
        ck_assert_ptr_null(strstr(options[i].name, "pretrain"));
    }
    ck_assert_int_eq(seen, 3);
    ck_assert_failed(model_classifier_set(c, "lr", "fast"), REEL_STATUS_USAGE, "--lr fast: not a number");
    ck_assert_failed(model_classifier_set(c, "lr", "-1"), REEL_STATUS_USAGE, "--lr -1: must lie between");
    ck_assert_failed(model_classifier_set(c, "speed", "1"), REEL_STATUS_USAGE, "no setting 'speed'");
    ck_assert_failed(model_classifier_set(c, "data", "file.tsv"), REEL_STATUS_USAGE,
                     "not for texts in memory");
    ck_assert_failed(model_classifier_set(c, "resume", "run"), REEL_STATUS_USAGE, "not for texts in memory");
    ck_assert_failed(model_classifier_set(c, "cache", "folder"), REEL_STATUS_USAGE,
                     "--cache is for train_zoo");
    ck_assert_failed(model_classifier_set(c, "pretrain", "texts"), REEL_STATUS_USAGE,
                     "not for texts in memory");
    ck_assert_failed(model_classifier_set(c, "refit", "yes"), REEL_STATUS_USAGE, "on or off");
    ck_assert_failed(model_classifier_set(c, "valid", "file.tsv"), REEL_STATUS_USAGE, "a part of the texts");
    ck_assert_ok(model_classifier_set(c, "models", "rnn,lstm"));
    ck_assert_failed(fit(), REEL_STATUS_USAGE, "of one model");
    ck_assert_ok(model_classifier_set(c, "models", "none"));
    ck_assert_failed(fit(), REEL_STATUS_USAGE, "none");
    ck_assert_ok(model_classifier_set(c, "models", "rnn"));
    ck_assert_ok(model_classifier_set(c, "optimizer", "none"));
    ck_assert_failed(fit(), REEL_STATUS_USAGE, "--optimizer none");
    ck_assert(!model_classifier_is_fitted(c));
}
END_TEST

/* ---- Texts and labels ---- */

START_TEST(what_cannot_be_read_is_an_error)
{
    const char *two[] = {"a compiler", "a game"}, *labels[] = {"devel", "games"}, *tab[] = {"a\tb", "c"},
               *empty[] = {"", "c"}, *bad[] = {"\xff", "c"}, *same[] = {"devel", "devel"},
               *none[] = {NULL, NULL};
    set_small();
    ck_assert_failed(model_classifier_fit(c, two, 0, labels, NULL), REEL_STATUS_FAILED, "no texts");
    ck_assert_failed(model_classifier_fit(c, two, 2, tab, NULL), REEL_STATUS_FAILED, "a tab or a line end");
    ck_assert_failed(model_classifier_fit(c, two, 2, empty, NULL), REEL_STATUS_FAILED,
                     "text 0 has an empty label");
    ck_assert_failed(model_classifier_fit(c, two, 2, bad, NULL), REEL_STATUS_FAILED, "text 0 is not UTF-8");
    ck_assert_failed(model_classifier_fit(c, bad, 2, labels, NULL), REEL_STATUS_FAILED,
                     "text 0 is not UTF-8");
    ck_assert_failed(model_classifier_fit(c, two, 2, same, NULL), REEL_STATUS_FAILED,
                     "the same single label");
    ck_assert_failed(model_classifier_fit(c, two, 2, none, NULL), REEL_STATUS_FAILED, "no row has a label");
    ck_assert_failed(model_classifier_predict(c, two, 2, NULL, NULL), REEL_STATUS_USAGE, "no model yet");
    ck_assert_failed(model_classifier_save(c, "/none/there"), REEL_STATUS_USAGE, "no model yet");
    ck_assert_failed(model_classifier_vectors(c, two, 2, NULL), REEL_STATUS_USAGE, "no model yet");
    ck_assert_ok(model_classifier_set(c, "min-df", "1"));
    ck_assert_ok(model_classifier_set(c, "max-df", "1"));
    ck_assert_ok(model_classifier_fit(c, two, 2, labels, NULL));
    ck_assert_int_eq(model_classifier_num_labels(c), 2);
    ck_assert_failed(model_classifier_fit(c, bad, 2, labels, NULL), REEL_STATUS_FAILED, "UTF-8");
    ck_assert(model_classifier_is_fitted(c)); /* what was there stays */
    ck_assert_ok(model_classifier_predict(c, two, 0, NULL, NULL));
}
END_TEST

START_TEST(a_label_counts_once_in_a_text)
{
    const char *two[] = {"a compiler", "a game"}, *labels[] = {"b", "a", "b", "c"};
    const int64_t offsets[] = {0, 3, 4};
    set_small();
    ck_assert_ok(model_classifier_set(c, "min-df", "1"));
    ck_assert_ok(model_classifier_set(c, "max-df", "1"));
    ck_assert_ok(model_classifier_fit(c, two, 2, labels, offsets));
    ck_assert_int_eq(model_classifier_num_labels(c), 3);
    ck_assert_str_eq(model_classifier_label(c, 2), "c");
}
END_TEST

/* ---- Looking on ---- */

typedef struct Seen {
    int batches, epochs, chosen, stop_after; /* batches; 0: never */
} Seen;

static void see(void *context, const ModelRunProgress *progress)
{
    Seen *seen = context;
    seen->batches += progress->batch > 0 && !progress->finished;
    seen->epochs += progress->finished != NULL;
    seen->chosen += progress->chosen > 0;
}

static bool stop(void *context)
{
    const Seen *seen = context;
    return seen->stop_after && seen->batches >= seen->stop_after;
}

START_TEST(who_looks_on_sees_all_and_may_stop)
{
    Seen seen = {0};
    set_small();
    model_classifier_watch(c, (ModelRunWatcher){.context = &seen, .progress = see, .stop = stop});
    ck_assert_ok(fit());
    ck_assert_int_eq(seen.batches, 3 * 6);
    ck_assert_int_eq(seen.epochs, 3);
    ck_assert_int_eq(seen.chosen, 0);
    seen = (Seen){.stop_after = 1};
    ck_assert_ok(model_classifier_set(c, "valid", "0.2"));
    ck_assert_ok(model_classifier_set(c, "refit", "on"));
    ck_assert_failed(fit(), REEL_STATUS_FAILED, "stopped before the first epoch was over");
    seen = (Seen){0};
    ck_assert_ok(fit());
    ck_assert_int_eq(seen.chosen, 1);
    seen = (Seen){.stop_after = 3 * 5 + 1}; /* in the second training: the choice's best is what there is */
    ck_assert_ok(fit());
    ck_assert_int_eq(seen.chosen, 1);
    seen = (Seen){.stop_after = 7}; /* in the second epoch */
    ck_assert_ok(fit());
    ck_assert_int_eq(seen.epochs, 1);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    const char *two[] = {"a compiler", "a game"}, *labels[] = {"devel", "games"};
    static const char *const options[][2] = {{"min-df", "1"}, {"max-df", "1"}, {"epochs", "1"}};
    bool fitted = false;
    set_small();
    set(options, 3);
    int64_t live = reel_mem_stats().live_blocks;
    for (int64_t n = 0; !fitted; n += n < 200 ? 1 : 17) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = model_classifier_fit(c, two, 2, labels, NULL);
        reel_mem_fail_at(-1, 0);
        fitted = reel_status_is_ok(&status);
        if (!fitted) {
            ck_assert_msg(strstr(status.message, "memory") != NULL, "call %lld: '%s'", (long long)n,
                          status.message);
            ck_assert_int_eq(reel_mem_stats().live_blocks, live);
        }
    }
}
END_TEST

Suite *models_classifier_suite(void);
Suite *models_classifier_suite(void)
{
    Suite *suite = suite_create("models/classifier");
    TCase *tcase = tcase_create("classifier");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, labels_come_in_the_order_of_their_names);
    tcase_add_test(tcase, the_same_settings_give_the_same_model);
    tcase_add_test(tcase, the_programs_train_and_answer_alike);
    tcase_add_test(tcase, pieces_of_words_come_back_with_the_model);
    tcase_add_test(tcase, a_model_is_begun_with);
    tcase_add_test(tcase, a_model_comes_back_from_a_file_and_from_memory);
    tcase_add_test(tcase, best_has_thresholds_of_its_own);
    tcase_add_test(tcase, vectors_are_what_the_last_layer_reads);
    tcase_add_test(tcase, one_label_a_text_is_a_task_of_its_own);
    tcase_add_test(tcase, settings_are_those_of_train_zoo);
    tcase_add_test(tcase, what_cannot_be_read_is_an_error);
    tcase_add_test(tcase, a_label_counts_once_in_a_text);
    tcase_add_test(tcase, who_looks_on_sees_all_and_may_stop);
    tcase_add_test(tcase, no_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}

#include "models/vectors/skip_gram.h"
#include "tensor/mem_internal.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ModelSentences sentences;

/* Two topics that share no word: animals and numbers. */
static void set_up(void)
{
    static const char *const words[2][6] = {{"cat", "dog", "horse", "cow", "sheep", "goat"},
                                            {"one", "two", "three", "four", "five", "six"}};
    unsigned state = 1;
    for (int i = 0; i < 300; i++) {
        char text[128] = "";
        for (int j = 0; j < 8; j++) {
            state = state * 1103515245u + 12345u;
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", words[i % 2][(state >> 16) % 6]);
        }
        ck_assert_ok(model_sentences_add(&sentences, model_text_span(text)));
    }
    ck_assert_ok(model_sentences_number(&sentences, 1));
}

static void tear_down(void)
{
    model_sentences_free(&sentences);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

static ModelSkipGramOptions small(void)
{
    ModelSkipGramOptions options = model_skip_gram_defaults();
    options.width = 8;
    options.window = 3;
    options.epochs = 3;
    options.sample = 0;
    options.batch = 8; /* of twelve words each is there often */
    options.lr = 0.02;
    return options;
}

/* Trains, stopping after `stop` updates (0: not) and going on from a file; the vectors are of the arena. */
typedef struct Stop {
    int left;
} Stop;

static bool count_down(void *context, const ModelSkipGramProgress *progress)
{
    Stop *stop = context;
    ck_assert(progress->words > 0 && progress->words <= progress->total && isfinite(progress->loss));
    return stop->left == 0 || --stop->left > 0;
}

static Tensor learn(const ModelSkipGramOptions *options, int stop_after, TensorArena *arena)
{
    const char *folder = shell_folder();
    char path[256];
    snprintf(path, sizeof path, "%s/state.npz", folder);
    ModelSkipGram *model;
    bool finished;
    Stop stop = {stop_after};
    ck_assert_ok(model_skip_gram_new(&model, &sentences, options));
    ck_assert_ok(model_skip_gram_train(model, count_down, &stop, &finished));
    ck_assert_int_eq(finished, stop_after == 0);
    if (!finished) {
        ck_assert_ok(model_skip_gram_save(model, path));
        model_skip_gram_free(model);
        ck_assert_ok(model_skip_gram_new(&model, &sentences, options));
        ck_assert_ok(model_skip_gram_load(model, path));
        ck_assert_ok(model_skip_gram_train(model, NULL, NULL, &finished));
        ck_assert(finished);
    }
    Tensor rows = model_skip_gram_vectors(model, arena);
    ck_assert(tensor_is_valid(rows));
    model_skip_gram_free(model);
    shell_remove_folder(folder);
    return rows;
}

static double cosine(Tensor rows, const char *a, const char *b)
{
    int64_t d = rows.shape[1];
    const float *x = tensor_f32(rows) + model_string_table_find(&sentences.words, model_text_span(a)) * d;
    const float *y = tensor_f32(rows) + model_string_table_find(&sentences.words, model_text_span(b)) * d;
    double xy = 0, xx = 0, yy = 0;
    for (int64_t j = 0; j < d; j++) {
        xy += (double)x[j] * (double)y[j];
        xx += (double)x[j] * (double)x[j];
        yy += (double)y[j] * (double)y[j];
    }
    return xy / sqrt(xx * yy);
}

/* Words of one topic come to lie together, with pieces of words as without. */
START_TEST(words_that_go_together_are_near)
{
    for (int pieces = 0; pieces < 2; pieces++) {
        ModelSkipGramOptions options = small();
        options.epochs = 20;
        options.buckets = pieces ? 500 : 0;
        options.lr = pieces ? 0.005 : 0.02;
        TensorArena arena;
        tensor_arena_init(&arena, 0);
        Tensor rows = learn(&options, 0, &arena);
        static const char *const animals[] = {"cat", "dog", "horse"}, *const numbers[] = {"one", "two",
                                                                                          "six"};
        for (int i = 0; i < 3; i++) {
            double same = cosine(rows, animals[i], animals[(i + 1) % 3]);
            double other = cosine(rows, animals[i], numbers[i]);
            ck_assert_msg(same > other + 0.5, "pieces %d: %g, %g", pieces, same, other);
        }
        tensor_arena_free(&arena);
    }
}
END_TEST

START_TEST(threads_and_an_interruption_change_no_bit)
{
    for (int pieces = 0; pieces < 2; pieces++) {
        ModelSkipGramOptions options = small();
        options.buckets = pieces ? 100 : 0;
        options.sample = 0.05;
        options.shards = 3;
        TensorArena arena;
        tensor_arena_init(&arena, 0);
        Tensor one = learn(&options, 0, &arena);
        options.threads = 2;
        Tensor two = learn(&options, 0, &arena), resumed = learn(&options, 40, &arena);
        size_t bytes = (size_t)tensor_numel(&one) * sizeof(float);
        ck_assert_mem_eq(one.data, two.data, bytes);
        ck_assert_mem_eq(one.data, resumed.data, bytes);
        options.shards = 2;
        Tensor other = learn(&options, 0, &arena);
        ck_assert(memcmp(one.data, other.data, bytes) != 0); /* as it says */
        tensor_arena_free(&arena);
    }
}
END_TEST

START_TEST(a_state_of_another_training_is_refused)
{
    const char *folder = shell_folder();
    char path[256];
    snprintf(path, sizeof path, "%s/state.npz", folder);
    ModelSkipGramOptions options = small();
    ModelSkipGram *model;
    ck_assert_ok(model_skip_gram_new(&model, &sentences, &options));
    ck_assert_ok(model_skip_gram_save(model, path));
    model_skip_gram_free(model);
    options.window++;
    ck_assert_ok(model_skip_gram_new(&model, &sentences, &options));
    ReelStatus status = model_skip_gram_load(model, path);
    ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    ck_assert_msg(strstr(status.message, "window 3") && strstr(status.message, "window 4"), "%s",
                  status.message);
    model_skip_gram_free(model);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
    ModelSkipGramOptions wrong[5];
    for (int i = 0; i < 5; i++)
        wrong[i] = small();
    wrong[0].width = 0;
    wrong[1].negative = 0;
    wrong[2].lr = NAN;
    wrong[3].buckets = 10;
    wrong[3].max_piece = 2;
    wrong[4].shards = 0;
    for (int i = 0; i < 5; i++) {
        ModelSkipGram *model;
        ReelStatus status = model_skip_gram_new(&model, &sentences, &wrong[i]);
        ck_assert_int_eq(status.code, REEL_STATUS_USAGE);
        ck_assert_ptr_null(model);
    }
}
END_TEST

START_TEST(a_rate_that_is_too_large_is_an_error)
{
    ModelSkipGramOptions options = small();
    options.lr = 1e30;
    options.least_lr = 1e30;
    ModelSkipGram *model;
    bool finished;
    ck_assert_ok(model_skip_gram_new(&model, &sentences, &options));
    ReelStatus status = model_skip_gram_train(model, NULL, NULL, &finished);
    ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    ck_assert_msg(strstr(status.message, "lower --lr") != NULL, "%s", status.message);
    model_skip_gram_free(model);
}
END_TEST

START_TEST(without_memory_there_is_a_message)
{
    ModelSkipGramOptions options = small();
    options.buckets = 10;
    for (int64_t n = 0;; n++) {
        ModelSkipGram *model;
        reel_mem_fail_at(n, 1);
        ReelStatus status = model_skip_gram_new(&model, &sentences, &options);
        reel_mem_fail_at(-1, 0);
        model_skip_gram_free(model);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    }
}
END_TEST

Suite *models_skip_gram_suite(void);
Suite *models_skip_gram_suite(void)
{
    Suite *suite = suite_create("models/skip_gram");
    TCase *cases = tcase_create("skip_gram");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, words_that_go_together_are_near);
    tcase_add_test(cases, threads_and_an_interruption_change_no_bit);
    tcase_add_test(cases, a_state_of_another_training_is_refused);
    tcase_add_test(cases, options_that_cannot_be_are_refused);
    tcase_add_test(cases, a_rate_that_is_too_large_is_an_error);
    tcase_add_test(cases, without_memory_there_is_a_message);
    suite_add_tcase(suite, cases);
    return suite;
}

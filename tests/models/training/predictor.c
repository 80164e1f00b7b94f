#include "models/training/predictor.h"

#include "models/text/dataset.h"
#include "tensor/mem_internal.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Real texts, and a checkpoint of a small model with its first values. */
static ModelCorpus corpus;
static ModelCheckpoint *checkpoint;
static int32_t labels;

static void setup(void)
{
    ck_assert_ok(model_corpus_read(&corpus, TEXT_SUPPORT_DEBIAN, NULL));
}

static void teardown(void)
{
    model_checkpoint_free(checkpoint);
    model_corpus_free(&corpus);
    checkpoint = NULL;
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

/* Writes a model of the kind and loads it, of 8 bits where it is quantized. */
static void load(const ModelKind *kind, bool bpe, bool notebook, bool quantized)
{
    ModelDataset *dataset;
    Model *model;
    const char *folder = shell_folder();
    char path[300];
    ModelDatasetOptions options = model_dataset_defaults();
    options.byte_pairs = bpe ? 200 : 0;
    options.max_len = 40;
    if (kind->reads_words && !bpe)
        options.ngrams = (ModelNgramOptions){.least = 3, .most = 4, .min_df = 2};
    snprintf(path, sizeof path, "%s/model.npz", folder);
    ck_assert_ok(model_dataset_read(&dataset, TEXT_SUPPORT_DEBIAN, &options));
    labels = model_dataset_num_classes(dataset);
    ModelConfig config = {.vocabulary = dataset->text.tokenizer.vocab_size,
                          .labels = labels,
                          .embed = 16,
                          .hidden = 12,
                          .embed_dropout = -1,
                          .dropout = -1};
    ck_assert_ok(model_new(&model, kind, config, 5));
    ModelCheckpoint all = {.model = model, .text = dataset->text, .notebook = notebook};
    ck_assert_ok(quantized ? model_checkpoint_export(path, &all, true)
                           : model_checkpoint_save(path, &all, (TensorNpzOptions){.level = 1}));
    model_free(model);
    model_dataset_free(dataset);
    ck_assert_ok(model_checkpoint_load(&checkpoint, path));
    ck_assert_int_eq(checkpoint->quantized, quantized);
    shell_remove_folder(folder);
}

/* What predicts every text by itself, and what came of it: [rows, labels]. */
typedef struct Client {
    ModelPredictor *predictor;
    float *logits;
    ReelStatus status;
} Client;

static Client new_client(void)
{
    return (Client){.logits = reel_mem_alloc((size_t)(corpus.rows * labels) * sizeof(float)),
                    .status = reel_status_ok()};
}

static void free_client(Client *client)
{
    model_predictor_free(client->predictor);
    reel_mem_free(client->logits);
}

static void ask_all(Client *client)
{
    for (int64_t i = 0; i < corpus.rows && reel_status_is_ok(&client->status); i++)
        client->status =
            model_predictor_run(client->predictor, &corpus.texts[i], 1, true, client->logits + i * labels);
}

static void *serve(void *context)
{
    Client *client = context;
    client->status = model_predictor_new(&client->predictor, checkpoint, 1);
    ask_all(client);
    return NULL;
}

START_TEST(threads_share_a_model_and_say_what_one_says)
{
    load(model_zoo_kind(_i / 2), _i % 2, _i % 3 == 0, _i % 3 == 1);
    enum { THREADS = 2 };
    Client clients[THREADS], alone = new_client();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        clients[i] = new_client();
        ck_assert_int_eq(pthread_create(&threads[i], NULL, serve, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_ok(model_predictor_new(&alone.predictor, checkpoint, 2));
    ck_assert_ok(model_predictor_run(alone.predictor, corpus.texts, corpus.rows, false, alone.logits));
    for (int i = 0; i < THREADS; i++) {
        ck_assert_ok(clients[i].status);
        ck_assert_mem_eq(clients[i].logits, alone.logits,
                         (size_t)(corpus.rows * labels) * sizeof *alone.logits);
        free_client(&clients[i]);
    }
    free_client(&alone);
}
END_TEST

START_TEST(a_steady_call_allocates_nothing)
{
    load(model_zoo_kind(_i / 2), _i % 2, _i % 3 == 0, _i % 3 == 1);
    Client client = new_client();
    ck_assert_ok(model_predictor_new(&client.predictor, checkpoint, 1));
    for (int i = 0; i < 2; i++)
        ask_all(&client);
    uint64_t calls = reel_mem_stats().calls;
    ask_all(&client);
    ck_assert_ok(client.status);
    ck_assert_uint_eq(reel_mem_stats().calls, calls);
    free_client(&client);
}
END_TEST

START_TEST(without_memory_there_is_a_message)
{
    load(model_zoo_find("attention"), _i, false, _i);
    float *logits = reel_mem_alloc((size_t)(corpus.rows * labels) * sizeof *logits);
    bool done = false;
    for (int n = 0; !done; n++) {
        ModelPredictor *predictor = NULL;
        reel_mem_fail_at(n, 1);
        ReelStatus status = model_predictor_new(&predictor, checkpoint, 1);
        if (reel_status_is_ok(&status))
            status = model_predictor_run(predictor, corpus.texts, corpus.rows, true, logits);
        reel_mem_fail_at(-1, 0);
        done = reel_status_is_ok(&status);
        if (!done)
            ck_assert_msg(strstr(status.message, "memory") != NULL, "%s", status.message);
        model_predictor_free(predictor);
    }
    reel_mem_free(logits);
}
END_TEST

Suite *models_predictor_suite(void);
Suite *models_predictor_suite(void)
{
    Suite *suite = suite_create("models/predictor");
    TCase *tcase = tcase_create("predictor");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, threads_share_a_model_and_say_what_one_says, 0, 2 * model_zoo_count());
    tcase_add_loop_test(tcase, a_steady_call_allocates_nothing, 0, 2 * model_zoo_count());
    tcase_add_loop_test(tcase, without_memory_there_is_a_message, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

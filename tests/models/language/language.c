/* A language model learns what comes next, says what a full softmax would, and comes to the same bytes on any
 * number of threads and after an interruption. */
#include "models/language/awd_lstm.h"
#include "models/language/language_file.h"
#include "tests/nn_support.h"
#include "tests/shell_support.h"
#include "tests/tape_support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IDS = 12, TEXTS = 40 };

static ModelLanguageTexts texts;
static char path[4096];

/* Each id is followed by the next one, and 11 by 4: which text it is, one id tells. */
static void setup(void)
{
    tape_set_up();
    texts = (ModelLanguageTexts){0};
    for (int i = 0; i < TEXTS; i++) {
        int32_t ids[20] = {MODEL_TOKEN_BOS};
        int count = 5 + i % 13;
        for (int t = 1; t < count; t++)
            ids[t] = 4 + (i + t) % (IDS - 4);
        ids[count++] = MODEL_TOKEN_EOS;
        ck_assert_ok(model_language_texts_add_ids(&texts, ids, count));
    }
    snprintf(path, sizeof path, "%s/state.npz", shell_folder());
}

static void teardown(void)
{
    *strrchr(path, '/') = '\0';
    shell_remove_folder(path);
    model_language_texts_free(&texts);
    tape_tear_down();
}

static ModelLanguageOptions options_of(int threads, int epochs)
{
    ModelLanguageOptions o = model_language_defaults();
    o.batch = 7;
    o.length = 6; /* most texts are cut */
    o.epochs = epochs;
    o.lr = 0.02;
    o.threads = threads;
    o.dropout = 0.1;
    return o;
}

static void begin(ModelAwdLstm *encoder, ModelLanguage **model, int threads, int epochs)
{
    model_awd_lstm_init(encoder, (ModelAwdLstmOptions){.ids = IDS,
                                                       .embed = 6,
                                                       .hidden = 8,
                                                       .layers = 2,
                                                       .word_dropout = 0.1,
                                                       .embed_dropout = 0.1,
                                                       .hidden_dropout = 0.1,
                                                       .weight_dropout = 0.1});
    ck_assert_ok(nn_module_reset(&encoder->base, 1));
    ModelLanguageOptions options = options_of(threads, epochs);
    ck_assert_ok(model_language_new(model, model_awd_lstm_encoder(encoder), IDS, &texts, &options));
}

static void must_be_the_same(ModelLanguage *a, ModelLanguage *b)
{
    NnIterator x = nn_iterate(model_language_module(a)), y = nn_iterate(model_language_module(b));
    while (nn_next(&x)) {
        ck_assert(nn_next(&y));
        Tensor left = nn_parameter_read(x.named.parameter, &arena),
               right = nn_parameter_read(y.named.parameter, &arena);
        ck_assert_msg(tensor_equal(left, right), "%s differs", x.named.name);
    }
}

START_TEST(what_comes_next_is_learned)
{
    ModelAwdLstm encoder;
    ModelLanguage *model;
    double before, after;
    int64_t tokens;
    bool finished;
    begin(&encoder, &model, 2, 30);
    ck_assert_ok(model_language_evaluate(model, &texts, &before, &tokens));
    ck_assert_int_eq(tokens, (int64_t)texts.ids.count - TEXTS);
    ck_assert_int_eq(model_language_tokens(model), tokens);
    ck_assert_ok(model_language_train(model, 30, NULL, NULL, &finished));
    ck_assert(finished);
    ck_assert_ok(model_language_evaluate(model, &texts, &after, NULL));
    ck_assert_msg(
        before > 2 && after < 1, "%g, then %g", before,
        after); /* log 12 is 2.48; the first word and the length of a text do not follow from anything */
    model_language_free(model);
}
END_TEST

typedef struct Stop {
    int updates;
} Stop;

static bool stop_after(void *context, const ModelLanguageProgress *progress)
{
    Stop *stop = context;
    ck_assert(progress->loss > 0 && progress->batch <= progress->batches && progress->tokens > 0);
    return --stop->updates > 0;
}

START_TEST(threads_and_interruptions_change_nothing)
{
    ModelAwdLstm encoders[3];
    ModelLanguage *models[3];
    bool finished;
    for (int i = 0; i < 3; i++)
        begin(&encoders[i], &models[i], 1 + i % 2, 3);
    for (int i = 0; i < 2; i++)
        ck_assert_ok(model_language_train(models[i], 3, NULL, NULL, &finished));
    must_be_the_same(models[0], models[1]);
    /* Stopped in the middle of the second epoch; another process goes on. */
    ck_assert_ok(model_language_train(models[2], 3, stop_after, &(Stop){17}, &finished));
    ck_assert(!finished);
    ck_assert_ok(model_language_save(models[2], path, 1));
    model_language_free(models[2]);
    begin(&encoders[2], &models[2], 2, 3);
    ck_assert_ok(model_language_load(models[2], path));
    ck_assert_ok(model_language_train(models[2], 3, NULL, NULL, &finished));
    ck_assert(finished);
    must_be_the_same(models[0], models[2]);
    /* Not with other options. */
    ModelAwdLstm encoder;
    ModelLanguage *other;
    begin(&encoder, &other, 2, 4);
    ck_assert_failed(model_language_load(other, path), REEL_STATUS_FAILED, "epochs 3");
    model_language_free(other);
    for (int i = 0; i < 3; i++)
        model_language_free(models[i]);
}
END_TEST

/* One id after another comes to the losses of whole texts. */
START_TEST(steps_say_what_whole_texts_do)
{
    ModelAwdLstm encoder;
    ModelLanguage *model;
    ModelLanguageTexts one = {0};
    double loss, sum = 0;
    int64_t tokens;
    begin(&encoder, &model, 1, 1);
    int32_t ids[] = {MODEL_TOKEN_BOS, 5, 9, 4, MODEL_TOKEN_EOS};
    ck_assert_ok(model_language_texts_add_ids(&one, ids, 5));
    ck_assert_ok(model_language_evaluate(model, &one, &loss, &tokens));
    nn_module_train(model_language_module(model), false);
    NnRecurrentState states[MODEL_AWD_LSTM_MAX_LAYERS] = {{VAR_NONE, VAR_NONE}};
    tape_begin(tape);
    for (int t = 0; t < 4; t++) {
        float scores[IDS];
        Var id = tape_constant(tape, tensor_from(&ids[t], TENSOR_I32, TENSOR_SHAPE(1)));
        ck_assert(model_language_log_prob(model, model_awd_lstm_step(&encoder, id, states), scores));
        sum -= (double)scores[ids[t + 1]];
    }
    ck_assert_int_eq(tokens, 4);
    ck_assert_double_eq_tol(loss, sum / 4, 1e-5);
    model_language_texts_free(&one);
    model_language_free(model);
}
END_TEST

/* Both directions of a toy whose states are given: a one-hot of the id that each half may know. */
typedef struct Toy {
    NnModule base;
    NnEmbedding table;
} Toy;

static NnSequence toy_states(void *context, NnSequence ids)
{
    return nn_embedding_sequence(&((Toy *)context)->table, ids);
}

START_TEST(the_second_half_predicts_what_was_before)
{
    Toy toy;
    ModelLanguage *model;
    bool finished;
    double loss;
    nn_module_init(&toy.base);
    NN_ADD(&toy, table, nn_embedding_init, IDS, 2 * 8);
    ck_assert_ok(nn_module_reset(&toy.base, 0));
    ModelLanguageOptions options = options_of(2, 30);
    options.dropout = 0;
    ModelLanguageEncoder encoder = {
        .module = &toy.base, .states = toy_states, .context = &toy, .width = 8, .both = true};
    ck_assert_ok(model_language_new(&model, encoder, IDS, &texts, &options));
    NnNamed named;
    ck_assert(nn_find(model_language_module(model), "previous.head.weight", &named));
    ck_assert_ok(model_language_train(model, 30, NULL, NULL, &finished));
    ck_assert_ok(model_language_evaluate(model, &texts, &loss, NULL));
    ck_assert_msg(loss < 0.8, "%g", loss); /* each neighbour follows from the id, but for the ends */
    model_language_free(model);
}
END_TEST

START_TEST(what_cannot_be_is_an_error)
{
    ModelAwdLstm encoder;
    ModelLanguage *model;
    ModelLanguageOptions options = options_of(1, 1);
    ModelLanguageTexts none = {0}, strange = {0};
    for (int i = 0; i < 4; i++) {
        model_awd_lstm_init(
            &encoder, (ModelAwdLstmOptions){.ids = IDS, .embed = 6, .hidden = 8, .layers = i == 3 ? 9 : 1});
        ReelStatus status = nn_module_reset(&encoder.base, 1);
        if (i == 3) {
            ck_assert_failed(status, REEL_STATUS_USAGE, "1 to 8 layers, not 9");
            nn_module_free(&encoder.base);
            break;
        }
        int32_t ids[] = {MODEL_TOKEN_BOS, IDS};
        if (i == 1)
            ck_assert_ok(model_language_texts_add_ids(&strange, ids, 2));
        options.batch = i == 2 ? 0 : 7;
        status = model_language_new(&model, model_awd_lstm_encoder(&encoder), IDS,
                                    i == 0   ? &none
                                    : i == 1 ? &strange
                                             : &texts,
                                    &options);
        ck_assert_failed(status, i == 2 ? REEL_STATUS_USAGE : REEL_STATUS_FAILED,
                         i == 0   ? "no texts"
                         : i == 1 ? "id 12 of the texts is not below 12"
                                  : "batch, length");
        ck_assert_ptr_null(model);
        nn_module_free(&encoder.base);
    }
    model_language_texts_free(&strange);
}
END_TEST

Suite *models_language_suite(void);
Suite *models_language_suite(void)
{
    Suite *suite = suite_create("models/language");
    TCase *c = tcase_create("language");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, what_comes_next_is_learned);
    tcase_add_test(c, threads_and_interruptions_change_nothing);
    tcase_add_test(c, steps_say_what_whole_texts_do);
    tcase_add_test(c, the_second_half_predicts_what_was_before);
    tcase_add_test(c, what_cannot_be_is_an_error);
    suite_add_tcase(suite, c);
    return suite;
}

/* The six models against PyTorch (tests/fixtures/pytorch), on every path, and what they promise. */
#include "models/model.h"
#include "models/training/trainer.h"
#include "tensor/mem_internal.h"
#include "tensor/panels.h"
#include "tensor/vmath_internal.h"
#include "tests/nn_support.h"
#include "tensor/panels_internal.h"

#include <math.h>
#include <stdio.h>

static void teardown(void)
{
    tensor_panels_force_fallback(false);
    reel_mem_fail_at(-1, 0);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

/* ---- Building ---- */

static const char *const names[] = {"rnn", "lstm", "lstm_matched", "attention", "attention_fed", "stacked"};
enum { MODELS = 6 };

/* The settings of the fixtures. */
static ModelConfig fixture_config(int model)
{
    ModelConfig config = {.vocabulary = 29, .labels = 5, .embed = 9, .hidden = 8};
    if (strcmp(names[model], "lstm_matched") == 0)
        config.hidden = 5;
    if (strcmp(names[model], "stacked") == 0) {
        config.embed = 7;
        config.hidden = 6;
    }
    return config;
}

static Model *new_model(int model, ModelConfig config, uint64_t seed)
{
    Model *made;
    ck_assert_ptr_nonnull(model_zoo_find(names[model]));
    ck_assert_ok(model_new(&made, model_zoo_find(names[model]), config, seed));
    return made;
}

/* A model without values, for counting. */
static Model *declared(const char *name, ModelConfig config)
{
    const ModelKind *kind = model_zoo_find(name);
    Model *model = reel_mem_calloc(1, kind->size);
    ck_assert_ptr_nonnull(model);
    config.embed = kind->defaults.embed;
    config.hidden = kind->defaults.hidden;
    config.layers = kind->defaults.layers;
    nn_module_init(&model->base);
    model->kind = kind;
    model->config = config;
    kind->build(model);
    return model;
}

START_TEST(the_list_begins_with_the_homeworks_models)
{
    ck_assert_int_ge(model_zoo_count(), MODELS);
    for (int i = 0; i < MODELS; i++) {
        ck_assert_str_eq(model_zoo_kind(i)->name, names[i]);
        ck_assert_ptr_eq(model_zoo_find(names[i]), model_zoo_kind(i));
    }
    ck_assert_ptr_null(model_zoo_find("no such model"));
    ck_assert_ptr_null(model_zoo_kind(-1));
    ck_assert_ptr_null(model_zoo_kind(model_zoo_count()));
}
END_TEST

START_TEST(models_have_the_notebooks_number_of_parameters)
{
    static const struct {
        const char *name;
        int64_t all, without_embedding;
    } counts[] = {{"rnn", 5556509, 138781},
                  {"lstm", 5951517, 5951517 - 21163 * 256},
                  {"lstm_matched", 138749 + 21163 * 256, 138749},
                  {"attention", 6214685, 6214685 - 21163 * 256}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        Model *model = declared(counts[i].name, (ModelConfig){.vocabulary = 21163, .labels = 29});
        ck_assert_int_eq(model_count(model), counts[i].all);
        ck_assert_int_eq(model_count_without_embedding(model), counts[i].without_embedding);
        model_free(model);
    }
}
END_TEST

/* From the output over the recurrent layers, the top one first, to the embedding. */
START_TEST(parameters_lie_at_the_depth_of_their_layer)
{
    static const struct {
        const char *model, *parameter;
        int depth, deepest;
    } cases[] = {{"rnn", "output_layer.weight", 0, 2},
                 {"rnn", "hidden_linear.weight", 1, 2},
                 {"rnn", "embedding.weight", 2, 2},
                 {"lstm", "U_o.bias", 1, 2},
                 {"stacked", "W_c.weight", 0, 3},
                 {"stacked", "lstm.weight_hh_l1", 1, 3},
                 {"stacked", "lstm.bias_ih_l0", 2, 3},
                 {"stacked", "embedding.weight", 3, 3},
                 {"bilstm", "lstm.weight_ih_l0_reverse", 1, 2},
                 {"bag", "embedding.weight", 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Model *model = declared(cases[i].model, (ModelConfig){.vocabulary = 10, .labels = 3});
        NnNamed named;
        ck_assert_msg(nn_find(&model->base, cases[i].parameter, &named), "%s", cases[i].parameter);
        ck_assert_msg(model_depth_of(model, named.parameter) == cases[i].depth, "%s %s", cases[i].model,
                      cases[i].parameter);
        ck_assert_int_eq(model_depth(model), cases[i].deepest);
        model_free(model);
    }
}
END_TEST

START_TEST(settings_are_the_kinds_own_unless_given)
{
    Model *model = new_model(5, (ModelConfig){.vocabulary = 10, .labels = 3}, 0);
    ck_assert_int_eq(model->config.embed, 100);
    ck_assert_int_eq(model->config.hidden, 64);
    ck_assert_int_eq(model->config.layers, 2);
    model_free(model);
    model =
        new_model(5, (ModelConfig){.vocabulary = 10, .labels = 3, .embed = 4, .hidden = 3, .layers = 3}, 0);
    NnNamed named;
    ck_assert(nn_find(&model->base, "lstm.weight_hh_l2", &named));
    ck_assert(!nn_find(&model->base, "lstm.weight_hh_l3", &named));
    model_free(model);
}
END_TEST

/* A dropout of 0 is one that is given; what is not given is -1. */
START_TEST(dropouts_are_the_kinds_own_unless_given)
{
    static const double given[][2] = {{-1, -1}, {0, 0}, {0.25, -1}, {-1, 0.25}};
    for (int i = 0; i < model_zoo_count(); i++)
        for (size_t k = 0; k < sizeof given / sizeof given[0]; k++) {
            const ModelConfig *own = &model_zoo_kind(i)->defaults;
            ModelConfig config = {
                .vocabulary = 10, .labels = 3, .embed_dropout = given[k][0], .dropout = given[k][1]};
            Model *model;
            ck_assert_ok(model_new(&model, model_zoo_kind(i), config, 0));
            ck_assert(model->config.embed_dropout == (given[k][0] < 0 ? own->embed_dropout : given[k][0]));
            ck_assert(model->config.dropout == (given[k][1] < 0 ? own->dropout : given[k][1]));
            ck_assert(model->embed_dropout.p == model->config.embed_dropout);
            ck_assert(model->dropout.p == model->config.dropout);
            model_free(model);
        }
}
END_TEST

START_TEST(settings_that_make_no_model_are_errors)
{
    Model *model;
    const ModelConfig bad[] = {{.vocabulary = 0, .labels = 3, .embed = 4, .hidden = 4},
                               {.vocabulary = 9, .labels = 0, .embed = 4, .hidden = 4},
                               {.vocabulary = 9, .labels = 3, .embed = -4, .hidden = 4},
                               {.vocabulary = 9, .labels = 3, .embed = 4, .hidden = -1}};
    for (int i = 0; i < MODELS; i++)
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            ck_assert_failed(model_new(&model, model_zoo_kind(i), bad[k], 0), REEL_STATUS_FAILED,
                             "at least 1");
            ck_assert_ptr_null(model);
        }
    ModelConfig config = fixture_config(5);
    config.layers = -1;
    ck_assert_failed(model_new(&model, model_zoo_find("stacked"), config, 0), REEL_STATUS_FAILED,
                     "at least one layer");
    config = (ModelConfig){.vocabulary = INT64_MAX / 2, .labels = 2, .embed = 1000, .hidden = 2};
    ck_assert_failed(model_new(&model, model_zoo_find("rnn"), config, 0), REEL_STATUS_FAILED,
                     "embedding.weight");
}
END_TEST

START_TEST(the_output_bias_starts_at_the_log_odds)
{
    for (int i = 0; i < MODELS; i++) {
        Model *model = new_model(i, fixture_config(i), 0);
        const int64_t counts[5] = {25, 50, 75, 0, 100};
        const double expected[5] = {log(25.0 / 75), 0, log(75.0 / 25), log(0.5 / 99.5), log(99.5 / 0.5)};
        uint64_t version = model->output->bias.core.version;
        model_set_output_bias(model, counts, 100);
        ck_assert_uint_ne(model->output->bias.core.version, version);
        NnNamed named;
        ck_assert(nn_find(&model->base, i == 0 ? "output_layer.bias" : "fc.bias", &named));
        ck_assert_ptr_eq(named.parameter, &model->output->bias);
        for (int k = 0; k < 5; k++)
            ck_assert_double_eq_tol(tensor_f32(model->output->bias.core.value)[k], expected[k], 1e-6);
        model_free(model);
    }
}
END_TEST

START_TEST(first_values_depend_on_the_seed_and_nothing_else)
{
    for (int i = 0; i < MODELS; i++) {
        Model *a = new_model(i, fixture_config(i), 3), *b = new_model(i, fixture_config(i), 3),
              *c = new_model(i, fixture_config(i), 4);
        NnIterator x = nn_iterate(&a->base), y = nn_iterate(&b->base), z = nn_iterate(&c->base);
        while (nn_next(&x) && nn_next(&y) && nn_next(&z)) {
            ck_assert(tensor_equal(nn_named_view(&x.named), nn_named_view(&y.named)));
            bool constant = strcmp(x.named.name, "bias_h") == 0;
            ck_assert(constant || !tensor_equal(nn_named_view(&x.named), nn_named_view(&z.named)));
        }
        model_free(a);
        model_free(b);
        model_free(c);
    }
}
END_TEST

/* ---- Against PyTorch ---- */

/* The texts of a fixture in some order. */
typedef struct Texts {
    int32_t ids[64], label_ids[6 * 5];
    NnIds texts[6], labels[6];
    ModelBatch batch;
} Texts;

/* Text i is text order[i] of the fixture; `pad`: filled up to the longest with id 0. */
static void take_texts(Texts *texts, Fixture *fixture, const int32_t *order, bool pad)
{
    Tensor ids = fixture_tensor(fixture, "reel/ids"), offsets = fixture_tensor(fixture, "reel/offsets"),
           targets = fixture_tensor(fixture, "reel/targets");
    int32_t *id = texts->ids, *label = texts->label_ids;
    for (int i = 0; i < 6; i++) {
        const int32_t *of = tensor_i32(offsets) + order[i];
        texts->texts[i].ids = id;
        for (int32_t k = of[0]; k < of[1]; k++)
            *id++ = tensor_i32(ids)[k];
        for (int32_t k = of[1] - of[0]; pad && k < 9; k++)
            *id++ = 0;
        texts->texts[i].count = (int32_t)(id - texts->texts[i].ids);
        texts->labels[i].ids = label;
        for (int32_t k = 0; k < 5; k++)
            if (tensor_f32(targets)[5 * order[i] + k] != 0)
                *label++ = k;
        texts->labels[i].count = (int32_t)(label - texts->labels[i].ids);
    }
    texts->batch = (ModelBatch){
        .size = 6, .num_ids = (int32_t)(id - texts->ids), .texts = texts->texts, .labels = texts->labels};
}

/* The rows of the fixture's logits in that order. */
static Tensor ordered_logits(Fixture *fixture, const int32_t *order)
{
    Tensor logits = fixture_tensor(fixture, "reel/logits"), out = tensor_copy(&fixture->arena, logits);
    for (int i = 0; i < 6; i++)
        tensor_copy_into(tensor_select(out, 0, i), tensor_select(logits, 0, order[i]));
    return out;
}

static void check_gradients(Fixture *fixture, Model *model, Tape *tape)
{
    for (NnIterator it = nn_iterate(&model->base); nn_next(&it);) {
        Tensor expected = fixture_tensor(fixture, "reel/grad/%s", it.named.name);
        bool f64 =
            it.named.parameter->core.value.dtype == TENSOR_F64; /* then only the file's rounding is left */
        ck_assert_norm_close(named_gradient(tape, &it.named, &fixture->arena), expected, f64 ? 1e-6 : 1e-4,
                             it.named.name);
    }
}

/* One forward and backward on a tape. */
static void compare_on_tape(Fixture *fixture, Model *model, Tape *tape, const int32_t *order, bool pad)
{
    Texts texts;
    take_texts(&texts, fixture, order, pad);
    tape_begin(tape);
    ck_assert(nn_module_prepare(&model->base));
    Var logits = model_forward(model, model_input(model, tape, texts.texts, 6)).logits;
    ck_assert_tape_ok(tape);
    bool f64 = model->output->bias.core.value.dtype == TENSOR_F64;
    ck_assert_close(var_value(logits), ordered_logits(fixture, order), f64 ? 1e-6 : 1e-5);
    Tensor labels = tensor_cast(tape_arena(tape), var_value(model_label_rows(tape, texts.labels, 6, 5)),
                                model->output->bias.core.value.dtype);
    Var loss =
        var_bce_with_logits(logits, tape_constant(tape, labels), VAR_NONE, VAR_NONE, VAR_REDUCTION_MEAN);
    ck_assert_double_eq_tol(var_item(loss), fixture_number(fixture, "reel/loss"), 1e-6);
    tape_backward(loss);
    ck_assert_tape_ok(tape);
    check_gradients(fixture, model, tape);
}

static const int32_t orders[][6] = {
    {0, 1, 2, 3, 4, 5}, {1, 5, 3, 0, 4, 2}, {2, 4, 0, 3, 5, 1}, {5, 0, 4, 2, 1, 3}};
enum { ORDERS = 4 };

static Fixture open_reading(int model, bool notebook)
{
    char name[60];
    snprintf(name, sizeof name, "%s%s", names[model], notebook ? "_notebook" : "");
    return fixture_open(name);
}

static void compare_in_all_orders(int i, bool notebook, bool f64)
{
    Fixture fixture = open_reading(i, notebook);
    Model *model = new_model(i, fixture_config(i), 0);
    if (f64)
        ck_assert_ok(nn_module_reset_f64(&model->base, 0));
    fixture_load(&fixture, &model->base);
    Tape *tape = tape_new();
    for (int k = 0; k < ORDERS; k++)
        compare_on_tape(&fixture, model, tape, orders[k], notebook);
    tape_free(tape);
    model_free(model);
    fixture_close(&fixture);
}

START_TEST(logits_and_gradients_are_pytorchs)
{
    for (int notebook = 0; notebook < 2; notebook++)
        compare_in_all_orders(_i, notebook, false);
}
END_TEST

START_TEST(logits_and_gradients_are_pytorchs_without_panels)
{
    tensor_panels_force_fallback(true);
    for (int notebook = 0; notebook < 2; notebook++)
        compare_in_all_orders(_i, notebook, false);
}
END_TEST

START_TEST(logits_and_gradients_are_pytorchs_in_f64)
{
    for (int notebook = 0; notebook < 2; notebook++)
        compare_in_all_orders(_i, notebook, true);
}
END_TEST

START_TEST(logits_and_gradients_are_pytorchs_at_every_level)
{
    TensorVmathLevel before = tensor_vmath_level();
    for (int level = 0; level < TENSOR_VMATH_LEVELS; level++)
        if (tensor_vmath_set_level((TensorVmathLevel)level))
            compare_in_all_orders(_i, false, false);
    ck_assert(tensor_vmath_set_level(before));
}
END_TEST

/* With plain SGD and a rate that is a large power of two, what a step takes from a weight is its gradient to
 * within the rounding of f32: through the trainer's shards and the late rows of the table. */
static void compare_in_shards(int i, bool notebook, int shards, const int32_t *order)
{
    const double lr = 4096;
    Fixture fixture = open_reading(i, notebook);
    Model *model = new_model(i, fixture_config(i), 0);
    fixture_load(&fixture, &model->base);
    ModelTrainerOptions options = model_trainer_defaults();
    options.shards = shards;
    options.threads = 2;
    options.optimizer = nn_optimizer_options(NN_SGD);
    options.schedule.lr = lr;
    ModelTrainer *trainer;
    ck_assert_ok(model_trainer_new(&trainer, model, &options));
    Texts texts;
    take_texts(&texts, &fixture, order, notebook);
    Tensor logits = tensor_zeros(&fixture.arena, TENSOR_F32, TENSOR_SHAPE(6, 5));
    ck_assert_ok(model_trainer_predict(trainer, &texts.batch, logits, NULL));
    ck_assert_close(logits, ordered_logits(&fixture, order), 1e-5);
    double loss;
    ck_assert_ok(model_trainer_step(trainer, &texts.batch, &loss));
    ck_assert_double_eq_tol(loss, fixture_number(&fixture, "reel/loss"), 1e-6);
    for (NnIterator it = nn_iterate(&model->base); nn_next(&it);) {
        Tensor before = fixture_tensor(&fixture, "%s", it.named.name), after = nn_named_view(&it.named);
        Tensor gradient = fixture_tensor(&fixture, "reel/grad/%s", it.named.name);
        Tensor expected = tensor_cast(&fixture.arena, before, TENSOR_F64);
        Tensor taken = tensor_cast(&fixture.arena, after, TENSOR_F64);
        for (int64_t k = 0, n = tensor_numel(&before); k < n; k++) {
            tensor_f64(taken)[k] = (tensor_f64(expected)[k] - tensor_f64(taken)[k]) / lr;
            tensor_f64(expected)[k] = tensor_f32(gradient)[k];
        }
        ck_assert_norm_close(taken, expected, 1e-4, it.named.name);
    }
    model_trainer_free(trainer);
    model_free(model);
    fixture_close(&fixture);
}

START_TEST(logits_and_gradients_are_pytorchs_in_any_number_of_shards)
{
    static const int shards[] = {1, 2, 3, 6, 9}; /* nine: more than texts */
    for (int k = 0; k < 5; k++) {
        compare_in_shards(_i, false, shards[k], orders[k % ORDERS]);
        compare_in_shards(_i, true, shards[k], orders[(k + 1) % ORDERS]);
    }
}
END_TEST

START_TEST(attention_weights_add_up_to_one_in_each_text)
{
    for (int i = 0; i < MODELS; i++) {
        const ModelKind *kind = model_zoo_kind(i);
        Fixture fixture = fixture_open(names[i]);
        Model *model = new_model(i, fixture_config(i), 0);
        fixture_load(&fixture, &model->base);
        Texts texts;
        take_texts(&texts, &fixture, orders[3], false);
        ModelTrainerOptions options = model_trainer_defaults();
        options.shards = 2;
        ModelTrainer *trainer;
        ck_assert_ok(model_trainer_new(&trainer, model, &options));
        Tensor logits = tensor_zeros(&fixture.arena, TENSOR_F32, TENSOR_SHAPE(6, 5));
        float weights[6][64], *where[6];
        for (int k = 0; k < 6 * 64; k++)
            weights[k / 64][k % 64] = -1;
        for (int b = 0; b < 6; b++)
            where[b] = weights[b];
        ck_assert_ok(model_trainer_predict(trainer, &texts.batch, logits, where));
        for (int b = 0; b < 6; b++) {
            double sum = 0;
            for (int32_t k = 0; k < texts.texts[b].count; k++) {
                ck_assert(kind->has_attention ? weights[b][k] > 0 : weights[b][k] == -1);
                sum += weights[b][k];
            }
            ck_assert(!kind->has_attention || fabs(sum - 1) < 1e-6);
            ck_assert(weights[b][texts.texts[b].count] == -1);
        }
        model_trainer_free(trainer);
        model_free(model);
        fixture_close(&fixture);
    }
}
END_TEST

/* ---- Gradients ---- */

static Var run_for_check(Tape *tape, Var input, void *context)
{
    (void)input;
    static const int32_t ids[] = {3, 1, 3, 4, 2, 2, 0, 1, 4, 3}, offsets[] = {0, 3, 4, 10};
    return model_forward(context, model_input(context, tape, text_support_texts(ids, offsets, 3), 3)).logits;
}

START_TEST(backward_agrees_with_differences)
{
    ModelConfig config = {.vocabulary = 5, .labels = 2, .embed = 3, .hidden = 3};
    Model *model = new_model(_i, config, 5);
    ck_assert_ok(nn_module_reset_f64(&model->base, 5));
    check_module_gradients(&model->base, run_for_check, model, tensor_invalid());
    model_free(model);
}
END_TEST

/* ---- A text's logits do not depend on the rest of the batch ---- */

enum { POOL = 64, VOCAB = 50, LONGEST = 20, K = 7 };

typedef struct TextPool {
    int32_t ids[POOL][LONGEST], length[POOL];
    Tensor alone; /* [POOL, K]: the logits of each text by itself */
} TextPool;

/* Logits of some texts of the pool, [count, K], in the arena of the tape. */
static Tensor logits_of(Model *model, Tape *tape, const TextPool *pool, const int32_t *chosen, int32_t count)
{
    NnIds texts[POOL];
    for (int32_t i = 0; i < count; i++)
        texts[i] = (NnIds){pool->ids[chosen[i]], pool->length[chosen[i]]};
    tape_begin(tape);
    tape_set_grad_enabled(tape, false);
    Tensor logits = var_value(model_forward(model, model_input(model, tape, texts, count)).logits);
    ck_assert_tape_ok(tape);
    return logits;
}

static void compare_with_alone(Model *model, Tape *tape, const TextPool *pool, TensorRandom *random)
{
    int32_t chosen[POOL];
    int32_t count = 1 + (int32_t)tensor_random_below(random, POOL);
    tensor_random_permutation(random, chosen, POOL);
    for (int32_t i = 0; tensor_random_below(random, 4) == 0 && i < count; i++)
        chosen[i] = (int32_t)tensor_random_below(random, POOL); /* some texts more than once */
    Tensor logits = logits_of(model, tape, pool, chosen, count);
    for (int32_t i = 0; i < count; i++)
        ck_assert_msg(tensor_equal(tensor_select(logits, 0, i), tensor_select(pool->alone, 0, chosen[i])),
                      "%s: text %d of %d has other bits than alone", model->kind->name, i, count);
}

static void check_independence(int i, int64_t embed, int64_t hidden, int rounds)
{
    ModelConfig config = {.vocabulary = VOCAB, .labels = K, .embed = embed, .hidden = hidden};
    Model *model = new_model(i, config, 1);
    nn_module_train(&model->base, false);
    Tape *tape = tape_new();
    TensorRandom random = tensor_random_new(8, (uint64_t)i);
    TextPool pool;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    pool.alone = tensor_zeros(&arena, TENSOR_F32, TENSOR_SHAPE(POOL, K));
    for (int32_t b = 0; b < POOL; b++) {
        pool.length[b] = 1 + (int32_t)tensor_random_below(&random, LONGEST);
        for (int k = 0; k < LONGEST; k++)
            pool.ids[b][k] = (int32_t)tensor_random_below(&random, VOCAB);
        tensor_copy_into(tensor_select(pool.alone, 0, b),
                         tensor_select(logits_of(model, tape, &pool, &b, 1), 0, 0));
    }
    for (int round = 0; round < rounds; round++)
        compare_with_alone(model, tape, &pool, &random);
    tensor_arena_free(&arena);
    tape_free(tape);
    model_free(model);
}

START_TEST(a_text_has_the_same_logits_whoever_shares_its_batch)
{
    check_independence(_i, 11, 13, test_rounds(30));
    check_independence(_i, 32, 24, test_rounds(30));
    check_independence(_i, 64, 64, test_rounds(10));
}
END_TEST

START_TEST(a_text_has_the_same_logits_whoever_shares_its_batch_without_panels)
{
    tensor_panels_force_fallback(true);
    check_independence(_i, 11, 13, test_rounds(20));
    check_independence(_i, 32, 24, test_rounds(20));
}
END_TEST

START_TEST(padding_by_hand_is_a_longer_text)
{
    /* Text 1 has no padding in the fixtures: read as the notebook reads it has the same logits. */
    Fixture real = open_reading(_i, false), notebook = open_reading(_i, true);
    Tensor a = tensor_select(fixture_tensor(&real, "reel/logits"), 0, 1);
    ck_assert_close(tensor_select(fixture_tensor(&notebook, "reel/logits"), 0, 1), a, 1e-6);
    fixture_close(&real);
    fixture_close(&notebook);
}
END_TEST

/* ---- Errors ---- */

static void check_error(Model *model, const int32_t *ids, const int32_t *offsets, int32_t texts,
                        const char *part)
{
    Tape *tape = tape_new();
    tape_begin(tape);
    Var logits =
        model_forward(model, model_input(model, tape, text_support_texts(ids, offsets, texts), texts)).logits;
    Var loss = var_sum(logits, TENSOR_AXES_ALL, false);
    ck_assert(var_is_empty(loss));
    ck_assert(!tape_backward(loss));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, part);
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "tests/models/zoo.c:");
    tape_free(tape);
}

START_TEST(texts_that_cannot_be_read_are_errors)
{
    Model *model = new_model(_i, fixture_config(_i), 0);
    check_error(model, (int32_t[]){1, 2, 29}, (int32_t[]){0, 1, 3}, 2, "id 29");
    check_error(model, (int32_t[]){1, -2, 3}, (int32_t[]){0, 1, 3}, 2, "id -2");
    check_error(model, (int32_t[]){1, 29, 3}, (int32_t[]){0, 1, 3}, 2, "embedding");
    check_error(model, (int32_t[]){1, 2, 3}, (int32_t[]){0, 3, 3}, 2, "text 1 has no tokens");
    check_error(model, (int32_t[]){1, 2, 3}, (int32_t[]){0, 3, 2}, 2, "text 1 has no tokens");
    check_error(model, (int32_t[]){1, 2, 3}, (int32_t[]){0}, 0, "at least one text");
    check_error(model, (int32_t[]){1, 2, 3}, (int32_t[]){0}, -1, "at least one text");
    model_free(model);
}
END_TEST

START_TEST(a_model_without_values_says_so)
{
    ModelConfig config = {.vocabulary = 29, .labels = 5};
    Model *model = declared(names[_i], config);
    check_error(model, (int32_t[]){1, 2, 3}, (int32_t[]){0, 1, 3}, 2, "has no value yet");
    model_free(model);
}
END_TEST

Suite *models_zoo_suite(void);
Suite *models_zoo_suite(void)
{
    Suite *suite = suite_create("models/zoo");
    TCase *c = tcase_create("zoo");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, the_list_begins_with_the_homeworks_models);
    tcase_add_test(c, models_have_the_notebooks_number_of_parameters);
    tcase_add_test(c, parameters_lie_at_the_depth_of_their_layer);
    tcase_add_test(c, settings_are_the_kinds_own_unless_given);
    tcase_add_test(c, dropouts_are_the_kinds_own_unless_given);
    tcase_add_test(c, settings_that_make_no_model_are_errors);
    tcase_add_test(c, the_output_bias_starts_at_the_log_odds);
    tcase_add_test(c, first_values_depend_on_the_seed_and_nothing_else);
    tcase_add_loop_test(c, logits_and_gradients_are_pytorchs, 0, MODELS);
    tcase_add_loop_test(c, logits_and_gradients_are_pytorchs_without_panels, 0, MODELS);
    tcase_add_loop_test(c, logits_and_gradients_are_pytorchs_in_f64, 0, MODELS);
    tcase_add_loop_test(c, logits_and_gradients_are_pytorchs_at_every_level, 0, MODELS);
    tcase_add_loop_test(c, logits_and_gradients_are_pytorchs_in_any_number_of_shards, 0, MODELS);
    tcase_add_test(c, attention_weights_add_up_to_one_in_each_text);
    tcase_add_loop_test(c, backward_agrees_with_differences, 0, MODELS);
    tcase_add_loop_test(c, a_text_has_the_same_logits_whoever_shares_its_batch, 0, MODELS);
    tcase_add_loop_test(c, a_text_has_the_same_logits_whoever_shares_its_batch_without_panels, 0, MODELS);
    tcase_add_loop_test(c, padding_by_hand_is_a_longer_text, 0, MODELS);
    tcase_add_loop_test(c, texts_that_cannot_be_read_are_errors, 0, MODELS);
    tcase_add_loop_test(c, a_model_without_values_says_so, 0, MODELS);
    suite_add_tcase(suite, c);
    return suite;
}
